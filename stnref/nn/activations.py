"""Pointwise functions, and flatten."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stnref.nn.layer import Stateless
from stnref.validation import Array, expect_array


class ReluCache(NamedTuple):
    """The input, by reference."""

    X: Array


def relu_forward(X: ArrayLike) -> tuple[Array, ReluCache]:
    """Y = X where its real part is positive, else 0; NaN stays NaN.

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
    return np.where(X.real <= 0, 0, X), ReluCache(X)


def relu_backward(dY: ArrayLike, cache: ReluCache) -> Array:
    """Return dX = dY where X is positive, else 0: at the kink X = 0 the left slope."""
    dY = expect_array("dY", dY, cache.X.shape)
    return np.where(cache.X.real <= 0, 0, dY)


class TanhCache(NamedTuple):
    """The output."""

    Y: Array


def tanh_forward(X: ArrayLike) -> tuple[Array, TanhCache]:
    """Y = tanh X.

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
    Y = np.tanh(expect_array("X", X))
    return Y, TanhCache(Y)


def tanh_backward(dY: ArrayLike, cache: TanhCache) -> Array:
    """Return dX = dY (1 - Y^2)."""
    return expect_array("dY", dY, cache.Y.shape) * (1 - cache.Y**2)


class FlattenCache(NamedTuple):
    """The shape of the input."""

    X_shape: tuple[int, ...]


def flatten_forward(X: ArrayLike) -> tuple[Array, FlattenCache]:
    """Join all axes but the first.

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
    return X.reshape(len(X), -1), FlattenCache(X.shape)


def flatten_backward(dY: ArrayLike, cache: FlattenCache) -> Array:
    """Return dX in the shape of X."""
    B = cache.X_shape[0]
    return expect_array("dY", dY, (B, int(np.prod(cache.X_shape[1:])))).reshape(cache.X_shape)


class Relu(Stateless):
    """`relu_forward` as a layer."""

    _forward = staticmethod(relu_forward)
    _backward = staticmethod(relu_backward)


class Tanh(Stateless):
    """`tanh_forward` as a layer."""

    _forward = staticmethod(tanh_forward)
    _backward = staticmethod(tanh_backward)


class Flatten(Stateless):
    """`flatten_forward` as a layer."""

    _forward = staticmethod(flatten_forward)
    _backward = staticmethod(flatten_backward)
