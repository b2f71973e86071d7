"""Other forms of a pair: what they become, and that a mistake in them is still found."""

import builtins
import importlib
from typing import Any

import numpy as np
import pytest

from stnref.gradcheck import (
    check_gradients,
    from_dout_cache,
    from_layer,
    from_pullback,
    from_torch_function,
    from_vjp,
)

rng = np.random.default_rng(0)
X, W, b = rng.standard_normal((3, 4)), rng.standard_normal((4, 2)), rng.standard_normal(2)


# ------------------------------------------------------------------------ vjp and pullback


@pytest.mark.parametrize("sign", [1, -1])
def test_a_vjp(sign: int) -> None:
    pair = from_vjp(lambda X, W: X @ W, lambda dY, X, W: (dY @ W.T, sign * X.T @ dY))
    assert check_gradients(*pair, [X, W]).ok == (sign == 1)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_pullback(sign: int) -> None:
    pair = from_pullback(lambda X, W: (X @ W, lambda dY: [dY @ W.T, sign * X.T @ dY]))
    assert check_gradients(*pair, [X, W]).ok == (sign == 1)


# ------------------------------------------------------------------ forward, backward, cache


def _affine(X: np.ndarray, W: np.ndarray, b: np.ndarray, gain: float, *, shift: float = 0) -> Any:
    return gain * (X @ W + b) + shift, (X, W, gain)


def _affine_backward(dY: np.ndarray, cache: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    X, W, gain = cache
    dY = gain * dY
    return dY @ W.T, {"b": dY.sum(axis=0), "W": X.T @ dY}


def test_constants_and_options_are_bound_and_a_dictionary_is_put_in_order() -> None:
    pair = from_dout_cache(_affine, _affine_backward, 2.0, names=("W", "b"), shift=1.0)
    assert check_gradients(*pair, [X, W, b]).ok
    np.testing.assert_array_equal(pair[0](X, W, b)[0], 2 * (X @ W + b) + 1)


def test_without_names_a_dictionary_has_its_own_order() -> None:
    pair = from_dout_cache(_affine, _affine_backward, 2.0)
    report = check_gradients(*pair, [X, W, b], names=["X", "W", "b"])
    assert report.findings[0].cause == "shape"
    assert report.findings[0].where == "gradient of W"


def test_gradients_in_lists_of_lists() -> None:
    def backward(dY: np.ndarray, cache: Any) -> Any:
        dX, d = _affine_backward(dY, cache)
        return [[dX], ([d["W"], [d["b"]]],)]

    assert check_gradients(*from_dout_cache(_affine, backward, 2.0), [X, W, b]).ok


def test_a_single_gradient_and_none() -> None:
    pair = from_dout_cache(lambda X: (2 * X, None), lambda dY, cache: 2 * dY)
    assert check_gradients(*pair, [X]).ok
    pair = from_dout_cache(lambda X, W: (2 * X, None), lambda dY, cache: (2 * dY, None))
    assert check_gradients(*pair, [X, W]).ok


# -------------------------------------------------------------------------------- layers


class Returning:
    """A layer whose backward returns all gradients."""

    def __init__(self) -> None:
        self.W, self.b = W, b

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.cache = x
        return x @ self.W + self.b

    def gradients(self, dout: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return dout @ self.W.T, self.cache.T @ dout, dout.sum(axis=0)

    def backward(self, dout: np.ndarray) -> Any:
        return self.gradients(dout)


class ReturningDictionary(Returning):
    def backward(self, dout: np.ndarray) -> Any:
        dx, dW, db = self.gradients(dout)
        return dx, {"b": db, "W": dW}


class Keeping(Returning):
    """One that keeps the gradients as attributes."""

    def backward(self, dout: np.ndarray) -> Any:
        dx, self.dW, self.db = self.gradients(dout)
        return dx


class Adding(Returning):
    """One that adds them up from call to call."""

    def __init__(self) -> None:
        super().__init__()
        self.dW, self.db = np.zeros_like(W), np.zeros_like(b)

    def backward(self, dout: np.ndarray) -> Any:
        dx, dW, db = self.gradients(dout)
        self.dW += dW
        self.db += db
        return dx


class Held:
    """One with dictionaries of both."""

    def __init__(self) -> None:
        self.params = {"W": W, "b": b}
        self.grads: dict[str, np.ndarray] = {}

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout: np.ndarray) -> np.ndarray:
        self.grads["W"], self.grads["b"] = self.x.T @ dout, dout.sum(axis=0)
        return dout @ self.params["W"].T


LAYERS = [Returning, ReturningDictionary, Keeping, Adding, Held]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_with_its_parameters(layer: type) -> None:
    report = check_gradients(*from_layer(layer(), "W", "b"), [X, 2 * W, b + 1])
    assert report.ok, report


def test_a_layer_without_its_parameters() -> None:
    assert check_gradients(*from_layer(Keeping()), [X]).ok


@pytest.mark.parametrize("layer", LAYERS)
def test_the_layer_itself_is_left_alone(layer: type) -> None:
    mine = layer()
    before = set(vars(mine))
    forward, backward = from_layer(mine, "W", "b")
    out, cache = forward(X, 2 * W, b)
    backward(np.ones_like(out), cache)
    assert set(vars(mine)) == before
    np.testing.assert_array_equal(mine.forward(X), X @ W + b)


def test_a_parameter_or_a_gradient_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"V: expected it in Keeping.params or as Keeping.V, got"):
        from_layer(Keeping(), "V")
    forward, backward = from_layer(Held(), "W")
    out, cache = forward(X, W)
    cache.backward = lambda dout: dout @ W.T
    with pytest.raises(
        ValueError, match=r"W: expected it in Held.grads or as Held.dW, got neither"
    ):
        backward(np.ones_like(out), cache)


# --------------------------------------------------------------------------------- torch


def test_without_torch_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ImportError, match="torch: expected PyTorch to be installed, got No module"):
        from_torch_function(builtins.abs)
