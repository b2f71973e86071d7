"""At and beyond the border."""

import numpy as np
import pytest

from stnref.diagnosis.evidence import Evidence
from stnref.diagnosis.suspects import border
from tests.diagnosis.made_up import Array, Case, Mistake, by_map, right


def _but(axis: int, i: int) -> Mistake:
    return lambda e: e.N * (e.k[:, axis] != i)


def _inside_only(e: Evidence) -> Array:
    return np.where(e.windows.full[:, None], e.N, 0)


def _clipped(e: Evidence) -> Array:
    return right(f"clipped {e.problem.names[e.which]}").N


def _truncated(e: Evidence) -> Array:
    return by_map(floor=np.trunc)


def _outside_too(e: Evidence) -> Array:
    return e.N + ~e.depends.any(axis=1, keepdims=True)


def _mask(*pattern: float) -> Mistake:
    return lambda e: np.diag(np.resize(pattern, len(e.k)))


CASES = [
    Case(border.edge_gets_nothing, "sample U", _but(1, 5), "border-gradient", "last row get"),
    Case(border.edge_gets_nothing, "sample U", _but(2, 0), "border-gradient", "first column get"),
    Case(border.cut_windows_wrong, "sample U", _inside_only, "border-gradient", "get no gradient"),
    Case(border.cut_windows_wrong, "sample U", _clipped, "outside-gradient"),
    Case(border.cut_windows_wrong, "sample points", _clipped, "outside-gradient", "read none"),
    Case(border.cut_windows_wrong, "sample U", _truncated, "off-by-one", "is not floor"),
    Case(border.gradient_where_none_is_due, "sample points", _outside_too, "outside-gradient"),
    Case(border.flat_units_get_gradient, "relu X", _mask(1), "relu-mask", "forward is flat at"),
    Case(border.flat_units_get_gradient, "tanh X", lambda e: e.N + 1 - np.eye(len(e.N)), ""),
    Case(border.mask_of_relu, "relu X", _mask(1), "relu-mask", "forward is flat at"),
    Case(border.mask_of_relu, "relu X", lambda e: np.eye(20) - e.N, "relu-mask", "nowhere else"),
    Case(border.mask_of_relu, "relu X", _mask(1, 0), "relu-mask", "% of the units"),
    Case(border.mask_of_relu, "relu X", lambda e: e.N * e.k[:, 1], "relu-mask", "another array"),
    Case(border.mask_of_relu, "relu X", _mask(1, -2), ""),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_mistake_is_named(case: Case) -> None:
    assert case.named == case.cause
