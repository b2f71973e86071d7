"""Pointwise functions, and flatten.

Derivation: ``docs/derivations/layers.md``, equations L8 and L9.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stnref.nn.layer import Stateless
from stnref.pairs import Pair
from stnref.validation import Array, expect_array, expect_cache


class ReluCache(NamedTuple):
    """The input, by reference."""

    X: Array


def relu_forward(X: ArrayLike) -> tuple[Array, ReluCache]:
    """Y = max(0, X): X where its real part is positive, else 0; NaN stays NaN (L8).

    Parameters
    ----------
    X : any shape

    Returns
    -------
    Y : shape of X
    cache : ReluCache

    Raises
    ------
    TypeError
        X has no floating dtype.

    Examples
    --------
    >>> relu_forward(np.array([-1.0, 0.0, 2.0]))[0].tolist()
    [0.0, 0.0, 2.0]
    """
    X = expect_array("X", X)
    return np.where(X.real <= 0, 0, X), ReluCache(X)  # L8


def relu_backward(dY: ArrayLike, cache: ReluCache) -> Array:
    """dX = dY where X is positive, else 0: at the kink X = 0 the left slope (L8).

    dY : shape of Y -> dX : shape of X. dtype: that of dY.
    Raises ValueError if dY does not have the shape of Y, TypeError on its dtype.

    >>> Y, cache = relu_forward(np.array([-1.0, 0.0, 2.0]))
    >>> relu_backward(np.array([3.0, 4.0, 5.0]), cache).tolist()
    [0.0, 0.0, 5.0]
    """
    cache = expect_cache(cache, ReluCache, "relu_forward")
    dY = expect_array("dY", dY, cache.X.shape)
    return np.where(cache.X.real <= 0, 0, dY)  # L8


class TanhCache(NamedTuple):
    """The output."""

    Y: Array


def tanh_forward(X: ArrayLike) -> tuple[Array, TanhCache]:
    """Y = tanh X (L9).

    Parameters
    ----------
    X : any shape

    Returns
    -------
    Y : shape of X
    cache : TanhCache

    Raises
    ------
    TypeError
        X has no floating dtype.

    Examples
    --------
    >>> tanh_forward(np.array([0.0, 100.0]))[0].tolist()
    [0.0, 1.0]
    """
    Y = np.tanh(expect_array("X", X))  # L9
    return Y, TanhCache(Y)


def tanh_backward(dY: ArrayLike, cache: TanhCache) -> Array:
    """dX = (1 - Y^2) dY (L9).

    dY : shape of Y -> dX : shape of X. dtype: result_type of both.
    Raises ValueError if dY does not have the shape of Y, TypeError on its dtype.

    >>> Y, cache = tanh_forward(np.array([0.0, 100.0]))
    >>> tanh_backward(np.array([3.0, 4.0]), cache).tolist()
    [3.0, 0.0]
    """
    cache = expect_cache(cache, TanhCache, "tanh_forward")
    return expect_array("dY", dY, cache.Y.shape) * (1 - cache.Y**2)  # L9


class FlattenCache(NamedTuple):
    """The shape of the input."""

    X_shape: tuple[int, ...]


def flatten_forward(X: ArrayLike) -> tuple[Array, FlattenCache]:
    """Y = X with all axes but the first joined.

    Parameters
    ----------
    X : (B, ...)

    Returns
    -------
    Y : (B, N)
    cache : FlattenCache

    Raises
    ------
    TypeError, ValueError
        X has no floating dtype, or no axis.

    Examples
    --------
    >>> flatten_forward(np.zeros((2, 3, 4, 5)))[0].shape
    (2, 60)
    """
    X = expect_array("X", X, ("B", "..."))
    return X.reshape(len(X), prod(X.shape[1:])), FlattenCache(X.shape)


def flatten_backward(dY: ArrayLike, cache: FlattenCache) -> Array:
    """dX = dY in the shape of X.

    dY : (B, N) -> dX : shape of X. dtype: that of dY.
    Raises ValueError if dY does not have the shape of Y, TypeError on its dtype.

    >>> Y, cache = flatten_forward(np.zeros((2, 3, 4, 5)))
    >>> flatten_backward(Y, cache).shape
    (2, 3, 4, 5)
    """
    cache = expect_cache(cache, FlattenCache, "flatten_forward")
    B = cache.X_shape[0]
    return expect_array("dY", dY, (B, prod(cache.X_shape[1:]))).reshape(cache.X_shape)


class Relu(Stateless):
    """`relu_forward` as a layer."""

    def __init__(self) -> None:
        super().__init__(Pair(relu_forward, relu_backward))


class Tanh(Stateless):
    """`tanh_forward` as a layer."""

    def __init__(self) -> None:
        super().__init__(Pair(tanh_forward, tanh_backward))


class Flatten(Stateless):
    """`flatten_forward` as a layer."""

    def __init__(self) -> None:
        super().__init__(Pair(flatten_forward, flatten_backward))
