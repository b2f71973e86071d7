"""Evidence: what the inputs are is read off the Jacobians."""

import numpy as np
import pytest

from stnref import check_gradients
from stnref.diagnosis.evidence import indices
from tests.diagnosis.made_up import of_matrix, right

KINDS = [
    ("sample U", "is_map has_grid", [7, 6]),
    ("sample points", "is_coordinates has_grid", [7, 6]),
    ("splat image", "is_map has_grid is_splat", [7, 6]),
    ("splat points", "is_coordinates has_grid is_splat", [7, 6]),
    ("strided X", "is_map", [9, 7]),
    ("strided W", "", [9, 7]),
    ("pool X", "is_map", [6, 4]),
    ("dense W", "", []),
]


@pytest.mark.parametrize(("base", "kinds", "sizes"), KINDS)
def test_what_an_input_is(base: str, kinds: str, sizes: list[int]) -> None:
    e = right(base)
    possible = "is_map", "is_coordinates", "has_grid", "is_splat"
    assert {kind for kind in possible if getattr(e, kind)} == set(kinds.split())
    assert e.sizes == sizes


def test_where_the_jacobians_differ() -> None:
    e = of_matrix(np.array([[1, 1e-15], [0, 3]]), np.array([[1, 0], [2, np.nan]]))
    assert e.wrong.tolist() == [[False, False], [True, False]]
    assert e.depends.tolist() == [[True, False], [False, True]]
    assert e.given.tolist() == [[True, False], [True, False]]
    assert indices((2, 1)).tolist() == [[0, 0], [1, 0]]


def test_forward_may_be_undefined_at_twice_the_input() -> None:
    """As a sampler without a check of its indices is, or a square root."""

    def forward(U: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return U[np.floor(x).astype(int)] * (x % 1), x

    x = np.array([0.3, 1.2, 2.4, 3.6, 4.1])
    report = check_gradients(forward, lambda d, x: (d, d), [np.arange(5.0), x])
    assert {finding.cause for finding in report.findings} == {"unexplained"}
