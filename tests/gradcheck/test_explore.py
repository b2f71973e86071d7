"""Exploration: what random directions tell of an input."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stnref.gradcheck import Problem
from stnref.gradcheck.explore import explore


@pytest.mark.parametrize(
    ("f", "analytic", "causes"),
    [
        (np.sin, True, []),
        (np.abs, False, []),
        (lambda x: np.sin(np.real(x)), False, []),
        (np.floor, False, ["untrusted"]),
        (lambda x: np.exp(np.float32(x)).astype(float), False, ["float32"]),
    ],
    ids=["sin", "abs", "real", "floor", "float32"],
)
def test_what_is_found(f: Callable[..., Any], analytic: bool, causes: list[str]) -> None:
    problem = Problem(lambda x: (f(x), x), lambda d, x: d, [np.array([0.0, 1.3, 2.2])], ["x"])
    seen = explore(problem, 0, np.random.default_rng(0))
    assert seen.analytic == analytic
    assert [finding.cause for finding in seen.findings] == causes
    if f is np.abs:
        assert seen.kinked.tolist() == [True, False, False]
