"""What a layer is: parameters in a dict, a forward and a backward, nothing kept on self.

``params = layer.init(rng)``, ``Y, cache = layer.forward(X, params)``,
``dX, dparams = layer.backward(dY, cache)`` with dparams keyed like params. The cache carries
everything from one to the other, so a layer can run three times before one backward (shared
weights). ``needs`` declines gradients: without "X" dX is None, without "params" dparams is
empty.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from stnref.validation import Array, expect_needs

Params = Mapping[str, Array]
NEEDS = ("X", "params")


class Layer(Protocol):
    """The form of all layers, `Sequential` and `SpatialTransformer` among them."""

    def init(self, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> Params:
        """Return the initial parameters."""

    def forward(self, X: ArrayLike, params: Params | None = None) -> tuple[Array, Any]:
        """Return the output and the cache that backward wants."""

    def backward(
        self, dY: ArrayLike, cache: Any, *, needs: Collection[str] = NEEDS
    ) -> tuple[Array | None, Params]:
        """Return dX, or None where it is not needed, and the gradients to the parameters."""


def he_normal(
    rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, dtype: DTypeLike
) -> Array:
    """Draw weights of variance 2 / fan_in: the scale survives a relu (He et al. 2015).

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : tuple of int
    fan_in : int
        Number of inputs that one output sees.
    dtype : dtype

    Returns
    -------
    W : shape

    Examples
    --------
    >>> W = he_normal(np.random.default_rng(0), (200, 50), 200, np.float32)
    >>> W.dtype.name, round(W.var().item(), 3)
    ('float32', 0.01)
    """
    return (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(dtype)


def expect_params(params: Params | None, *names: str) -> list[Array]:
    """Return the named parameters in their order.

    Parameters
    ----------
    params : mapping of str to array, or None
        None is as an empty one.
    *names : str

    Returns
    -------
    list of array

    Raises
    ------
    KeyError
        A name is missing.

    Examples
    --------
    >>> expect_params({"b": np.zeros(1), "W": np.ones(1)}, "W", "b")
    [array([1.]), array([0.])]
    """
    given = params or {}
    missing = [name for name in names if name not in given]
    if missing:
        raise KeyError(f"params: expected {', '.join(names)}, got {', '.join(given) or 'none'}")
    return [given[name] for name in names]


def parametric_backward(
    backward: Callable[..., tuple[Array | None, ...]],
    dY: ArrayLike,
    cache: Any,
    needs: Collection[str],
) -> tuple[Array | None, Params]:
    """dX, dparams = dX, {"W": dW, "b": db}: the backward of a pair X, W, b as that of a layer.

    dY : shape of Y -> dX : shape of X, or None, and dparams, empty without "params" in `needs`.
    Raises ValueError if `needs` names something else, and what `backward` raises.

    >>> from stnref.nn.linear import linear_backward, linear_forward
    >>> Y, cache = linear_forward(np.ones((3, 2)), np.ones((2, 4)), np.zeros(4))
    >>> dX, dparams = parametric_backward(linear_backward, Y, cache, ("params",))
    >>> dX, dparams["W"].shape, dparams["b"].shape
    (None, (2, 4), (4,))
    """
    expect_needs(needs, NEEDS)
    wanted = [*(["X"] if "X" in needs else []), *(["W", "b"] if "params" in needs else [])]
    dX, dW, db = backward(dY, cache, needs=wanted)
    return dX, {"W": dW, "b": db} if dW is not None and db is not None else {}


class Stateless:
    """A pair without parameters as a layer; the subclasses name the pair."""

    def init(self, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> Params:
        """Return no parameters."""
        return {}

    def forward(self, X: ArrayLike, params: Params | None = None) -> tuple[Array, Any]:
        """Return the output and the cache."""
        return self._forward(X)

    def backward(
        self, dY: ArrayLike, cache: Any, *, needs: Collection[str] = NEEDS
    ) -> tuple[Array | None, Params]:
        """Return dX, or None, and no gradients."""
        expect_needs(needs, NEEDS)
        return (self._backward(dY, cache) if "X" in needs else None), {}

    def _forward(self, X: ArrayLike) -> tuple[Array, Any]:
        raise NotImplementedError

    def _backward(self, dY: ArrayLike, cache: Any) -> Array:
        raise NotImplementedError
