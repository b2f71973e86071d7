"""Max and average pooling over squares of size x size pixels that do not overlap.

Rows and columns that do not fill a square are left out (H' = H // size); they get no gradient.
Derivation: ``docs/derivations/layers.md``, equations L6 and L7.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnref.nn.layer import Stateless
from stnref.pairs import Pair
from stnref.validation import Array, expect_array, expect_cache, expect_count


def _taps(X: Array, size: int) -> Iterator[Array]:
    """Yield, row by row through the square, the view (B, H', W', C) of each of its pixels."""
    rows, columns = (n // size * size for n in X.shape[1:3])
    for u in range(size):
        for v in range(size):
            yield X[:, u:rows:size, v:columns:size]


def _expect_map(X: ArrayLike, size: int) -> tuple[Array, int]:
    X = expect_array("X", X, ("B", "H", "W", "C"))
    size = expect_count("size", size)
    if min(X.shape[1:3]) < size:
        raise ValueError(f"X: expected at least {size} rows and columns, got {X.shape}")
    return X, size


class MaxPool2dCache(NamedTuple):
    """Which pixel of its square won: its number, row by row through the square."""

    X_shape: tuple[int, ...]
    size: int
    winner: NDArray[np.unsignedinteger[Any]]  # (B, H', W', C)


def max_pool2d_forward(X: ArrayLike, size: int) -> tuple[Array, MaxPool2dCache]:
    """Y = the largest value of each square, by its real part (L7).

    Parameters
    ----------
    X : (B, H, W, C)
        Maps, channels last.
    size : int
        Side of the square, in pixels.

    Returns
    -------
    Y : (B, H // size, W // size, C)
    cache : MaxPool2dCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, or the map is smaller than a square.

    Notes
    -----
    Of equal values the first in the square wins, row by row, and gets the whole gradient.

    Examples
    --------
    >>> X = np.array([[1.0, 2.0, 0.0], [4.0, 3.0, 0.0]]).reshape(1, 2, 3, 1)
    >>> max_pool2d_forward(X, 2)[0].item()
    4.0
    """
    X, size = _expect_map(X, size)
    taps = _taps(X, size)
    Y = next(taps)
    number_type = np.min_scalar_type(size**2)
    winner = np.zeros(Y.shape, dtype=number_type)
    for number, tap in enumerate(taps, start=1):
        larger = tap.real > Y.real
        Y = np.where(larger, tap, Y)  # L7
        np.maximum(winner, larger * number_type.type(number), out=winner)  # later ones are larger
    return Y, MaxPool2dCache(X.shape, size, winner)


def max_pool2d_backward(dY: ArrayLike, cache: MaxPool2dCache) -> Array:
    """dX = dY at the pixel of each square that won, 0 at the others (L7).

    dY : (B, H // size, W // size, C) -> dX : shape of X. dtype: that of dY.
    Raises ValueError if dY does not have the shape of Y, TypeError on its dtype.

    >>> X = np.array([[1.0, 2.0, 0.0], [4.0, 3.0, 0.0]]).reshape(1, 2, 3, 1)
    >>> Y, cache = max_pool2d_forward(X, 2)
    >>> max_pool2d_backward(np.array([[[[8.0]]]]), cache)[0, :, :, 0].tolist()
    [[0.0, 0.0, 0.0], [8.0, 0.0, 0.0]]
    """
    cache = expect_cache(cache, MaxPool2dCache, "max_pool2d_forward")
    dY = expect_array("dY", dY, cache.winner.shape)
    dX = np.zeros(cache.X_shape, dtype=dY.dtype)
    for number, tap in enumerate(_taps(dX, cache.size)):
        tap[...] = np.where(cache.winner == number, dY, 0)  # L7
    return dX


class AvgPool2dCache(NamedTuple):
    """The shape of the input, and the side of the square."""

    X_shape: tuple[int, ...]
    size: int


def avg_pool2d_forward(X: ArrayLike, size: int) -> tuple[Array, AvgPool2dCache]:
    """Y = the mean of each square (L6).

    Parameters
    ----------
    X : (B, H, W, C)
        Maps, channels last.
    size : int
        Side of the square, in pixels.

    Returns
    -------
    Y : (B, H // size, W // size, C)
    cache : AvgPool2dCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, or the map is smaller than a square.

    Examples
    --------
    >>> X = np.array([[1.0, 2.0, 0.0], [4.0, 3.0, 0.0]]).reshape(1, 2, 3, 1)
    >>> avg_pool2d_forward(X, 2)[0].item()
    2.5
    """
    X, size = _expect_map(X, size)
    Y = sum(_taps(X, size), start=np.zeros(1, X.dtype)) / size**2  # L6
    return Y, AvgPool2dCache(X.shape, size)


def avg_pool2d_backward(dY: ArrayLike, cache: AvgPool2dCache) -> Array:
    """dX = dY / size^2 at every pixel of a square (L6).

    dY : (B, H // size, W // size, C) -> dX : shape of X. dtype: that of dY.
    Raises ValueError if dY does not have the shape of Y, TypeError on its dtype.

    >>> Y, cache = avg_pool2d_forward(np.ones((1, 2, 3, 1)), 2)
    >>> avg_pool2d_backward(np.array([[[[8.0]]]]), cache)[0, :, :, 0].tolist()
    [[2.0, 2.0, 0.0], [2.0, 2.0, 0.0]]
    """
    cache = expect_cache(cache, AvgPool2dCache, "avg_pool2d_forward")
    B, H, W, C = cache.X_shape
    dY = expect_array("dY", dY, (B, H // cache.size, W // cache.size, C))
    dX = np.zeros(cache.X_shape, dtype=dY.dtype)
    for tap in _taps(dX, cache.size):
        tap[...] = dY / cache.size**2  # L6
    return dX


class MaxPool2d(Stateless):
    """`max_pool2d_forward` as a layer."""

    def __init__(self, size: int) -> None:
        size = expect_count("size", size)
        super().__init__(Pair(partial(max_pool2d_forward, size=size), max_pool2d_backward))


class AvgPool2d(Stateless):
    """`avg_pool2d_forward` as a layer."""

    def __init__(self, size: int) -> None:
        size = expect_count("size", size)
        super().__init__(Pair(partial(avg_pool2d_forward, size=size), avg_pool2d_backward))
