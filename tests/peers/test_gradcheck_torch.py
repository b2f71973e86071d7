"""The gradient check of PyTorch's functions, and of custom ones."""

from typing import Any

import numpy as np
import pytest

from stnref import check_gradients
from stnref.gradcheck import from_torch_function

torch = pytest.importorskip("torch", reason="the optional extra 'peers' is not installed")

rng = np.random.default_rng(0)
X = rng.standard_normal((3, 4))


class Tanh(torch.autograd.Function):  # type: ignore[misc]
    sign = 1

    @staticmethod
    def forward(ctx: Any, X: Any) -> Any:
        Y = torch.tanh(X)
        ctx.save_for_backward(Y)
        return Y

    @staticmethod
    def backward(ctx: Any, dY: Any) -> Any:
        (Y,) = ctx.saved_tensors
        return dY * (1 - Y**2)


class Product(torch.autograd.Function):  # type: ignore[misc]
    """X W, times a constant; a sign is planted in the gradient to W."""

    @staticmethod
    def forward(ctx: Any, X: Any, W: Any, factor: float) -> Any:
        ctx.save_for_backward(X, W)
        ctx.factor = factor
        return factor * X @ W

    @staticmethod
    def backward(ctx: Any, dY: Any) -> Any:
        X, W = ctx.saved_tensors
        return ctx.factor * dY @ W.T, -ctx.factor * X.T @ dY, None


class Writing(Tanh):
    """Writes into the upstream gradient."""

    @staticmethod
    def backward(ctx: Any, dY: Any) -> Any:
        (Y,) = ctx.saved_tensors
        return dY.mul_(1 - Y**2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_right_function_passes(dtype: type) -> None:
    pair = from_torch_function(Tanh)
    report = check_gradients(*pair, [X.astype(dtype)])
    assert report.ok, report
    out, cache = pair[0](X.astype(dtype))
    (dX,) = pair[1](np.ones_like(out), cache)
    assert (out.dtype, dX.dtype) == (dtype, dtype)
    np.testing.assert_allclose(out, np.tanh(X), rtol=1e-5)


def test_a_planted_sign_is_named() -> None:
    W = rng.standard_normal((4, 2))
    report = check_gradients(*from_torch_function(Product, 3.0), [X, W], names=["X", "W"])
    assert [finding.cause for finding in report.findings] == ["sign"]
    assert report.findings[0].where == "gradient of W"


def test_writing_into_the_upstream_gradient_is_seen() -> None:
    report = check_gradients(*from_torch_function(Writing), [X])
    assert "input-mutated" in [finding.cause for finding in report.findings]


def test_an_input_that_is_not_used_has_the_gradient_none() -> None:
    forward, backward = from_torch_function(lambda X, W: 2 * X)
    out, cache = forward(X, X)
    dX, dW = backward(np.ones_like(out), cache)
    np.testing.assert_array_equal(dX, 2 * np.ones_like(X))
    assert dW is None
    assert check_gradients(forward, backward, [X, X]).ok


def test_a_function_that_returns_no_tensor() -> None:
    forward, _ = from_torch_function(lambda X: (X, X))
    with pytest.raises(TypeError, match="function: expected it to return a tensor, got tuple"):
        forward(X)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
def test_grid_sample_off_the_lattice(padding_mode: str, align_corners: bool) -> None:
    U = rng.standard_normal((2, 3, 4, 5))  # (B, C, H, W)
    points = rng.integers(-2, 6, (2, 3, 2, 2)) + rng.uniform(0.1, 0.4, (2, 3, 2, 2))
    d = np.array([5.0, 4.0])  # (W, H)
    grid = 2 * points / (d - 1) - 1 if align_corners else (2 * points + 1) / d - 1

    def function(U: Any, grid: Any) -> Any:
        return torch.nn.functional.grid_sample(
            U, grid, padding_mode=padding_mode, align_corners=align_corners
        )

    report = check_gradients(*from_torch_function(function), [U, grid], names=["U", "grid"])
    assert report.ok, report
