"""Correct pairs at awkward points give no finding, and awkward mistakes are not overlooked."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stnref.gradcheck import check_gradients

Pair = tuple[Callable[..., Any], Callable[..., Any]]

SQUARE: Pair = (lambda x: (x * x, x), lambda d, x: 2 * d * x)
LOG: Pair = (lambda x: (np.log(x), x), lambda d, x: d / x)
RELU: Pair = (lambda x: (np.maximum(x, 0), x), lambda d, x: d * (x > 0))
SORT: Pair = (lambda x: (np.sort(x), np.argsort(x)), lambda d, i: d[np.argsort(i)])


def _real(function: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse complex numbers, so that differences have to do."""
    return lambda x: (function(np.array(x, dtype=float)), x)


RIGHT: dict[str, tuple[Pair, np.ndarray]] = {
    "large numbers": (SQUARE, 1e4 * np.random.default_rng(5).normal(size=(4, 3))),
    "very large numbers": (SQUARE, 1e12 * np.random.default_rng(5).normal(size=(4, 3))),
    "small numbers": (SQUARE, 1e-8 * np.random.default_rng(5).normal(size=(4, 3))),
    "large, with kinks": (RELU, 1e5 * np.random.default_rng(5).normal(size=(4, 3))),
    "near the end of the domain": (LOG, np.array([1e-5, 1.0])),
    "a minimum": (SQUARE, np.zeros(3)),
    "a saddle": ((lambda x: ((x**3).sum(), x), lambda d, x: 3 * d * x * x), np.zeros(3)),
    "much curvature": (
        (_real(lambda x: np.sin(1000 * x)), lambda d, x: 1000 * d * np.cos(1000 * x)),
        np.random.default_rng(5).normal(size=(4, 3)),
    ),
    "two equal numbers, sorted": (SORT, np.array([1.0, 1.0, 0.5])),
    "a vector of one": (SQUARE, np.array([3.0])),
    "a number": ((lambda x: (np.sin(x), x), lambda d, x: d * np.cos(x)), np.array(0.3)),
    "a large number": ((lambda x: (np.sin(x), x), lambda d, x: d * np.cos(x)), np.array(2.0**20)),
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes(name: str, seed: int) -> None:
    pair, x = RIGHT[name]
    report = check_gradients(*pair, [x], seed=seed)
    assert report.ok, f"\n{report}"


@pytest.mark.parametrize("seed", range(4))
def test_inputs_drawn_with_the_seed_of_the_check(seed: int) -> None:
    """Else the upstream gradient would be the input, and J^T dout zero for a normalisation."""

    def forward(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return X / np.sqrt((X * X).sum(axis=1, keepdims=True)), X

    def backward(d: np.ndarray, X: np.ndarray) -> np.ndarray:
        n = np.sqrt((X * X).sum(axis=1, keepdims=True))
        return (d - X * (d * X).sum(axis=1, keepdims=True) / n**2) / n

    X = np.random.default_rng(seed).normal(size=(6, 2))
    assert check_gradients(forward, backward, [X], seed=seed).ok


@pytest.mark.parametrize(("size", "at"), [(1500, 0), (1500, 1499), (20_000, 7001)])
def test_one_kink_in_a_large_input_is_found_and_judged(size: int, at: int) -> None:
    x = np.random.default_rng(5).normal(size=size)
    x[at] = 0
    right = check_gradients(*RELU, [x])
    assert right.ok
    assert any(f"1 of {size} outputs" in n and "on a smaller input" in n for n in right.notes)
    wrong = check_gradients(RELU[0], lambda d, x: d * np.where(x == 0, 3, x > 0), [x])
    assert [finding.cause for finding in wrong.findings] == ["kink"]


def test_kinks_that_no_smaller_input_has_are_not_judged() -> None:
    def forward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if x.shape != (1500,):
            raise ValueError("a shape that is bound")
        return np.abs(x.sum()) * np.ones(2), np.sign(x.sum()) * np.ones(1500)

    report = check_gradients(forward, lambda d, sign: d.sum() * sign, [np.zeros(1500)])
    assert report.ok


def test_a_jump_is_no_kink() -> None:
    x = np.array([0.0, 1.3, 2.2])
    report = check_gradients(lambda x: (np.floor(x), x), lambda d, x: 0 * d, [x])
    assert report.findings[0].cause == "untrusted"


def test_a_sum_over_the_wrong_axis_is_not_called_a_mask() -> None:
    X = np.random.default_rng(5).normal(size=(4, 3))
    report = check_gradients(
        lambda X: (X.mean(axis=1), X), lambda d, X: np.full_like(X, d.sum() / 3), [X]
    )
    assert not report.ok
    assert "relu-mask" not in [finding.cause for finding in report.findings]


def test_a_forgotten_epsilon_is_not_called_float32() -> None:
    X = np.random.default_rng(5).uniform(0.1, 1, (4, 3))
    report = check_gradients(lambda X: (np.log(X + 1e-7), X), lambda d, X: d / X, [X])
    assert not report.ok
    assert "float32" not in [finding.cause for finding in report.findings]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite(bad: float) -> None:
    report = check_gradients(lambda x: (2 * x, x), lambda d, x: d * bad, [np.ones((4, 3))])
    assert report.findings[0].cause == "non-finite"


@pytest.mark.parametrize(
    ("forward", "cause"),
    [
        (lambda x: ([[1.0], [1.0, 2.0]], 0), "shape"),
        (lambda x: (x[:0], 0), "shape"),
        (lambda x: (1j * x, 0), "shape"),
        (lambda x: x, "shape"),
    ],
    ids=["ragged", "empty", "complex", "alone"],
)
def test_outputs_that_are_none(forward: Callable[..., Any], cause: str) -> None:
    report = check_gradients(forward, lambda d, cache: np.ones(3), [np.ones(3)])
    assert [finding.cause for finding in report.findings] == [cause]


def test_every_failure_has_a_finding() -> None:
    def rough(d: np.ndarray, x: np.ndarray) -> np.ndarray:
        return d * (np.tanh(x + 1e-5) - np.tanh(x - 1e-5)) / 2e-5

    X = np.random.default_rng(5).normal(size=(4, 3))
    report = check_gradients(lambda x: (np.tanh(x), x), rough, [X])
    assert report.ok == (not report.findings)
