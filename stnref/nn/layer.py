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

from stnref.pairs import Pair
from stnref.validation import (
    Array,
    expect_count,
    expect_dtype,
    expect_generator,
    expect_needs,
    expect_sizes,
)

Params = Mapping[str, Array]
NEEDS = ("X", "params")


class Layer(Protocol):
    """The form of all layers, `Sequential` and `SpatialTransformer` among them.

    Examples
    --------
    >>> from stnref.nn import Linear
    >>> layer: Layer = Linear(3, 2)
    >>> params = layer.init(np.random.default_rng(0), np.float64)
    >>> Y, cache = layer.forward(np.ones((4, 3)), params)
    >>> dX, dparams = layer.backward(np.ones_like(Y), cache, needs=("params",))
    >>> Y.shape, dX, dparams["W"].shape
    ((4, 2), None, (3, 2))
    """

    def init(self, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> Params:
        """Return the initial parameters.

        Parameters
        ----------
        rng : numpy.random.Generator
        dtype : float32 or float64

        Returns
        -------
        params : dict of str to array
            Empty for a layer without parameters.
        """

    def forward(self, X: ArrayLike, params: Params | None = None) -> tuple[Array, Any]:
        """Return the output and the cache that backward wants.

        Parameters
        ----------
        X : (B, ...)
            Input, of a floating dtype.
        params : dict of str to array, optional
            From `init`, or of a step of an optimizer; a layer without parameters needs none.

        Returns
        -------
        Y : (B, ...)
        cache : Any
            References to the inputs, and what else backward reads.

        Raises
        ------
        TypeError, ValueError
            A dtype or a shape does not fit.
        KeyError
            A parameter is missing.
        """

    def backward(
        self, dY: ArrayLike, cache: Any, *, needs: Collection[str] = NEEDS
    ) -> tuple[Any, Params]:
        """Return the gradients to the input and to the parameters.

        Parameters
        ----------
        dY : shape of Y
            Gradient to the output.
        cache : Any
            From `forward`.
        needs : subset of {"X", "params"}
            The gradients to compute.

        Returns
        -------
        dX : shape of X, or None
            Which of the two depends on `needs`: typed as Any.
        dparams : dict of str to array
            Keyed like params; empty without "params" in `needs`.

        Raises
        ------
        TypeError, ValueError
            dY does not have the dtype or the shape of an output, or `needs` names something else.
        """


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

    Raises
    ------
    TypeError, ValueError
        The dtype is neither float32 nor float64, or another argument is none of its kind.

    Examples
    --------
    >>> W = he_normal(np.random.default_rng(0), (200, 50), 200, np.float32)
    >>> W.dtype.name, round(W.var().item(), 3)
    ('float32', 0.01)
    """
    rng, dtype = expect_generator("rng", rng), expect_dtype("dtype", dtype)
    shape, fan_in = expect_sizes("shape", shape, range(1, 9)), expect_count("fan_in", fan_in)
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
) -> tuple[Any, Params]:
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
    """A pair without parameters as a layer; the subclasses give the pair."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair

    def init(self, rng: np.random.Generator, dtype: DTypeLike = np.float32) -> Params:
        """Return no parameters."""
        return {}

    def forward(self, X: ArrayLike, params: Params | None = None) -> tuple[Array, Any]:
        """Return the output and the cache."""
        return self.pair.forward(X)

    def backward(
        self, dY: ArrayLike, cache: Any, *, needs: Collection[str] = NEEDS
    ) -> tuple[Any, Params]:
        """Return dX, or None, and no gradients."""
        expect_needs(needs, NEEDS)
        return (self.pair.backward(dY, cache) if "X" in needs else None), {}
