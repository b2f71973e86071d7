"""Both Jacobians: what one derivative answers for, and that large inputs have none."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stnref.gradcheck import Problem, jacobians

X = np.random.default_rng(0).standard_normal((5, 4))


def _counted(f: Callable[..., Any], backward: Callable[..., Any]) -> tuple[Problem, list[int]]:
    calls = [0]

    def forward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        calls[0] += 1
        return f(x), x

    return Problem(forward, backward, [X], ["x"]), calls


@pytest.mark.parametrize("f", [np.sin, lambda x: np.sin(np.array(x, dtype=float))])
def test_elements_that_no_output_reads_together_share_a_derivative(f: Callable[..., Any]) -> None:
    problem, calls = _counted(f, lambda d, x: d * np.cos(x))
    A, N, _ = jacobians(problem, np.random.default_rng(0))
    assert calls[0] < 2 * X.size * 2
    np.testing.assert_allclose(A[0], np.diag(np.cos(X).ravel()), rtol=1e-12)
    np.testing.assert_allclose(N[0].value, A[0], atol=1e-8)


@pytest.mark.parametrize("lost", [np.s_[0], np.s_[:, 1], np.s_[2, 3]])
def test_what_backward_says_of_the_outputs_is_not_believed(lost: Any) -> None:
    """It forgets entries, and N has them all the same."""

    def backward(d: np.ndarray, x: np.ndarray) -> np.ndarray:
        g = np.roll(d, 1, axis=0) + d
        g[lost] = 0
        return g

    problem, _ = _counted(lambda x: x + np.roll(x, -1, axis=0), backward)
    A, N, _ = jacobians(problem, np.random.default_rng(0))
    assert (A[0].sum(axis=0).reshape(X.shape)[lost] == 0).all()
    assert set(N[0].value.sum(axis=0)) == {2.0}


def test_on_kinks_one_sided_slopes_of_many_elements_at_once() -> None:
    x = np.round(X)
    problem = Problem(lambda x: (np.abs(x), x), lambda d, x: d * np.sign(x), [x], ["x"])
    N = jacobians(problem, np.random.default_rng(0)).N[0]
    on_kink = np.diag(x.ravel() == 0)
    np.testing.assert_array_equal(N.kinked, on_kink)
    np.testing.assert_allclose(N.below[on_kink], -1)
    np.testing.assert_allclose(N.above[on_kink], 1)


def test_a_large_input_has_none() -> None:
    x = np.arange(1500.0)
    problem = Problem(lambda x: (np.abs(x), x), lambda d, x: d * np.sign(x), [x], ["x"])
    A, N, seen = jacobians(problem, np.random.default_rng(0))
    assert (A, N, seen[0].kinked.sum()) == ([None], [None], 1)
