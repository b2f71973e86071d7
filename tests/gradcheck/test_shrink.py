"""Shrinking: smaller inputs that show the same, whatever their axes mean."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stnref import nn, sample_backward, sample_forward, splat_backward, splat_forward
from stnref.gradcheck import Problem
from stnref.gradcheck.shrink import is_small, share_wrong, shrink

Pair = tuple[Callable[..., Any], Callable[..., Any]]
rng = np.random.default_rng(1)


def _splat(image: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, Any]:
    return splat_forward(image, points, (28, 24))


def _square_of_one_shape(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if x.shape != (8, 20, 16, 2):
        raise ValueError("expected another shape")
    return x**2, x


def _flat(X: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, Any]:
    return X.reshape(len(X), -1) @ W, (X, W)


def _flat_backward(d: np.ndarray, cache: Any) -> list[np.ndarray]:
    X, W = cache
    return [(d @ W.T).reshape(X.shape), X.reshape(len(X), -1).T @ d]


SAMPLE, CONV = (sample_forward, sample_backward), (nn.conv2d_forward, nn.conv2d_backward)
LINEAR, BOUND = (
    (nn.linear_forward, nn.linear_backward),
    (_square_of_one_shape, lambda d, x: [2 * d * x]),
)
CASES: dict[str, tuple[Pair, list[tuple[int, ...]]]] = {
    "axes that belong together": (LINEAR, [(32, 100), (100, 40), (40,)]),
    "positions in a map": (SAMPLE, [(8, 28, 24, 3), (8, 20, 16, 2)]),
    "a canvas that is bound": ((_splat, splat_backward), [(8, 20, 16, 3), (8, 20, 16, 2)]),
    "channels and filters": (CONV, [(6, 16, 14, 3), (5, 5, 3, 8), (8,)]),
    "a shape that is bound": (BOUND, [(8, 20, 16, 2)]),
    "a flattened map": ((_flat, _flat_backward), [(5, 14, 12, 3), (504, 6)]),
}


def _problem(pair: Pair, shapes: list[tuple[int, ...]], sign: int) -> Problem:
    """Return a problem, all gradients times a sign; what ends in a 2 are points in pixels."""
    inputs = [rng.standard_normal(s) if s[-1] != 2 else rng.uniform(0, 20, s) for s in shapes]
    forward, backward = pair
    names = [str(k) for k in range(len(inputs))]
    return Problem(forward, lambda d, c: [sign * g for g in backward(d, c)], inputs, names)


@pytest.mark.parametrize("name", CASES)
def test_a_small_input_of_the_same_kind_is_wrong_too(name: str) -> None:
    problem = _problem(*CASES[name], sign=-1)
    shows = share_wrong(problem, 0, np.random.default_rng(0))
    small = shrink(problem, shows)
    assert small is not None
    assert (is_small(problem), is_small(small)) == (False, True)
    assert shows(small) > 0
    for a, b in zip((*problem.inputs, problem.out), (*small.inputs, small.out), strict=True):
        assert a.ndim == b.ndim
        assert len(set(b.shape)) >= len(set(a.shape)) - 1
        assert min(b.shape) >= min(2, min(a.shape))


def test_what_shows_nothing_has_no_smaller_one_and_what_is_small_is_its_own() -> None:
    problem = _problem(*CASES["positions in a map"], sign=1)
    assert shrink(problem, share_wrong(problem, 0, np.random.default_rng(0))) is None
    small = _problem(SAMPLE, [(2, 5, 4, 3), (2, 3, 6, 2)], sign=1)
    assert shrink(small, lambda p: 0.0) is small


@pytest.mark.parametrize("at", [0, 777, 1999])
def test_one_wrong_element_among_many_is_kept(at: int) -> None:
    x = rng.standard_normal(2000)
    wrong = x[at]

    def backward(d: np.ndarray, x: np.ndarray) -> np.ndarray:
        return d * np.cos(x) * np.where(x == wrong, 2, 1)

    problem = Problem(lambda x: (np.sin(x), x), backward, [x], ["x"])
    small = shrink(problem, share_wrong(problem, 0, np.random.default_rng(0)))
    assert small is not None
    assert wrong in small.inputs[0]


def test_a_gradient_that_becomes_zero_is_another_mistake() -> None:
    def last_only(d: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.where(np.arange(2000) == 1999, d, 0)[-len(x) :] * np.cos(x)

    problem = Problem(lambda x: (np.sin(x), x), last_only, [rng.standard_normal(2000)], ["x"])
    small = shrink(problem, share_wrong(problem, 0, np.random.default_rng(0)))
    assert small is None or small.gradients(np.ones(small.out.shape))[0].any()
