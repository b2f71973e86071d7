"""How the two functions behave: what they change, keep between calls, and make of dout."""

from typing import Any

import numpy as np
import pytest

from stnref import nn
from stnref.gradcheck import GradientReport, check_gradients

X = np.random.default_rng(0).standard_normal((3, 4))


def _causes(report: GradientReport) -> list[str]:
    return [finding.cause for finding in report.findings]


def test_inputs_that_are_changed_are_named() -> None:
    def forward(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x *= 2
        return x + 0, x

    report = check_gradients(forward, lambda dY, cache: 2 * dY, [X], names=["X"])
    assert _causes(report)[0] == "input-mutated"
    assert report.findings[0].where == "forward changes X"


def test_an_upstream_gradient_that_is_changed_is_named() -> None:
    def backward(dY: np.ndarray, cache: Any) -> np.ndarray:
        dY *= 1 - cache.Y**2
        return dY

    report = check_gradients(nn.tanh_forward, backward, [X])
    assert _causes(report) == ["input-mutated"]
    assert report.findings[0].where == "backward changes dout"


def test_state_between_the_calls_is_named() -> None:
    last: dict[str, np.ndarray] = {}

    def forward(x: np.ndarray) -> tuple[np.ndarray, None]:
        last["Y"] = np.tanh(x)
        return last["Y"], None

    report = check_gradients(forward, lambda dY, cache: dY * (1 - last["Y"] ** 2), [X])
    assert _causes(report) == ["stale-cache"]


def test_a_buffer_that_fills_is_named() -> None:
    def forward(x: np.ndarray) -> tuple[np.ndarray, Any]:
        return 2 * x, np.zeros_like(x)

    def backward(dY: np.ndarray, total: np.ndarray) -> np.ndarray:
        total += 2 * dY
        return total

    assert "not-repeatable" in _causes(check_gradients(forward, backward, [X]))


def test_an_upstream_gradient_that_is_ignored_is_named() -> None:
    report = check_gradients(nn.tanh_forward, lambda dY, cache: 1 - cache.Y**2, [X])
    assert "upstream-ignored" in _causes(report)


def test_float32_inside_a_function_of_float64_is_named() -> None:
    report = check_gradients(
        nn.tanh_forward, lambda dY, c: nn.tanh_backward(dY, c).astype(np.float32), [X]
    )
    assert "float32" in _causes(report)


def test_a_random_forward() -> None:
    rng = np.random.default_rng(0)

    def dropout(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mask = rng.random(x.shape) < 0.5
        return x * mask, mask

    report = check_gradients(dropout, lambda dY, mask: dY * mask, [X])
    assert _causes(report) == ["random-forward"]
    assert "calls with the same inputs differ" in report.findings[0].evidence


def test_a_mask_of_the_upstream_gradient_is_told_from_other_things_that_are_not_linear() -> None:
    mask = check_gradients(nn.relu_forward, lambda dY, cache: dY * (dY > 0), [np.abs(X) + 1])
    assert _causes(mask) == ["relu-mask"]
    square = check_gradients(nn.tanh_forward, lambda dY, c: nn.tanh_backward(dY, c) ** 2, [X])
    assert _causes(square) == ["not-linear"]


def test_a_gradient_that_cancels_to_round_off_is_linear() -> None:
    """sum d - sum d in another order: zero but for round-off, which is no mistake."""
    X = np.random.default_rng(0).standard_normal(50)

    def forward(x: np.ndarray) -> tuple[np.ndarray, None]:
        return X + (x - x), None

    def backward(d: np.ndarray, cache: None) -> np.ndarray:
        return np.full(1, d.sum() - np.sort(d).sum())

    assert check_gradients(forward, backward, [np.array([0.5])]).ok


@pytest.mark.parametrize("seed", range(6))
def test_relu_of_the_upstream_gradient_of_a_single_output(seed: int) -> None:
    report = check_gradients(
        lambda x: (np.array(x.sum()), x),
        lambda d, x: np.maximum(d, 0) * np.ones_like(x),
        [np.array([0.5, 2.0])],
        seed=seed,
    )
    assert report.findings[0].cause == "relu-mask"
