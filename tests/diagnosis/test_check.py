"""Plain mistakes and the names they are given, in the forms that pairs come in."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stnref import assert_gradients, nn
from stnref.diagnosis import check_gradients
from stnref.gradcheck import GradientReport, from_layer, from_pullback, from_vjp

rng = np.random.default_rng(0)
X, W, b = rng.standard_normal((3, 4)), rng.standard_normal((4, 2)), rng.standard_normal(2)


def _causes(report: GradientReport) -> list[str]:
    return [finding.cause for finding in report.findings]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda g: -g, "sign"),
        (lambda g: 2.5 * g, "constant-factor"),
        (lambda g: g**2, "not-linear"),
    ],
)
def test_the_kind_of_mistake_is_named(change: Callable[[Any], Any], cause: str) -> None:
    report = check_gradients(
        nn.tanh_forward, lambda dY, cache: change(nn.tanh_backward(dY, cache)), [X], names=["X"]
    )
    assert _causes(report)[0] == cause
    assert "X" in report.findings[0].where
    assert f"error[{cause}]" in str(report)


def test_assert_gradients_raises_with_the_report() -> None:
    assert_gradients(nn.tanh_forward, nn.tanh_backward, [X])
    with pytest.raises(AssertionError, match=r"error\[sign\]: a sign is flipped"):
        assert_gradients(nn.tanh_forward, lambda dY, c: -nn.tanh_backward(dY, c), [X])


def test_a_sign_in_a_vjp() -> None:
    pair = from_vjp(lambda X, W: X @ W, lambda dY, X, W: (dY @ W.T, -X.T @ dY))
    assert _causes(check_gradients(*pair, [X, W])) == ["sign"]


def test_a_sign_in_a_pullback() -> None:
    def f(X: np.ndarray, W: np.ndarray) -> tuple[np.ndarray, Any]:
        return X @ W, lambda dY: [dY @ W.T, -X.T @ dY]

    assert _causes(check_gradients(*from_pullback(f), [X, W])) == ["sign"]


class WrongSign:
    """A layer that keeps its gradients as attributes, one with a sign too many."""

    def __init__(self) -> None:
        self.W, self.b = W, b

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.cache = x
        return x @ self.W + self.b

    def backward(self, dout: np.ndarray) -> np.ndarray:
        self.dW, self.db = self.cache.T @ dout, -dout.sum(axis=0)
        return dout @ self.W.T


def test_a_wrong_gradient_of_a_parameter_is_found() -> None:
    report = check_gradients(*from_layer(WrongSign(), "W", "b"), [X, W, b], names=["X", "W", "b"])
    assert _causes(report) == ["sign"]
    assert report.findings[0].where == "gradient of b"
