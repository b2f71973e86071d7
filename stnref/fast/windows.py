"""The windows of a map as the rows of a matrix, "im2col", and its transpose, "col2im".

A window's row of pixels, with their channels, lies in one piece in the map: it is copied, or
added, as one. With a single channel these pieces are too short, and the places of all windows
under one tap are taken at once instead. Nothing is checked here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from stnref.validation import Array

NUMBERS = 2**18
"""Numbers in the windows of a piece of a batch: with what is made of them a cache holds them."""


def pieces(B: int, numbers: int) -> Iterator[slice]:
    """Divide a batch.

    Parameters
    ----------
    B : int
    numbers : int
        In the windows of a picture.

    Yields
    ------
    slice

    Examples
    --------
    >>> list(pieces(5, 2**17))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(NUMBERS // max(numbers, 1), 1)
    for start in range(0, B, step):
        yield slice(start, min(start + step, B))


def im2col(X: Array, k: int, stride: int) -> Array:
    """Return the windows of k x k pixels as rows.

    Parameters
    ----------
    X : (B, H, W, C)
    k : int
    stride : int

    Returns
    -------
    cols : (B H' W', k k C)
        ``H' = (H - k) // stride + 1``.

    Examples
    --------
    >>> im2col(np.arange(6.0).reshape(1, 2, 3, 1), 2, 1).tolist()
    [[0.0, 1.0, 3.0, 4.0], [1.0, 2.0, 4.0, 5.0]]
    """
    B, H, W, C = X.shape
    h, w = ((n - k) // stride + 1 for n in (H, W))
    if C == 1:
        planes = np.empty((k, k, B, h, w), X.dtype)
        for u, v in np.ndindex(k, k):
            planes[u, v] = _under(X, u, v, h, w, stride)[..., 0]
        return planes.reshape(k * k, -1).T
    rows = np.ascontiguousarray(X).reshape(B, H, W * C)
    runs = sliding_window_view(rows, k * C, axis=2)[:, :, :: stride * C]  # (B, H, W', k C)
    cols = np.empty((B, h, w, k, k * C), X.dtype)
    for u in range(k):
        cols[:, :, :, u] = runs[:, u : u + h * stride : stride]
    return cols.reshape(-1, k * k * C)


def col2im(dcols: Array, shape: Sequence[int], k: int, stride: int) -> Array:
    """Add the rows to the windows that they are of.

    Parameters
    ----------
    dcols : (B H' W', k k C)
    shape : (B, H, W, C)
    k : int
    stride : int

    Returns
    -------
    dX : (B, H, W, C)

    Examples
    --------
    >>> col2im(np.ones((2, 4)), (1, 2, 3, 1), 2, 1).ravel().tolist()
    [1.0, 2.0, 1.0, 1.0, 2.0, 1.0]
    """
    B, H, W, C = shape
    h, w = ((n - k) // stride + 1 for n in (H, W))
    dX = np.zeros(shape, dcols.dtype)
    if C == 1:
        planes = dcols.T.reshape(k, k, B, h, w)
        for u, v in np.ndindex(k, k):
            _under(dX, u, v, h, w, stride)[..., 0] += planes[u, v]
        return dX
    rows, runs = dX.reshape(B, H, W * C), dcols.reshape(B, h, w, k, k * C)
    for u in range(k):
        for j in range(w):
            start = j * stride * C
            under = rows[:, u : u + h * stride : stride, start : start + k * C]
            under += runs[:, :, j, u]
    return dX


def _under(X: Array, u: int, v: int, h: int, w: int, stride: int) -> Array:
    """Return the pixels that all windows have under tap (u, v): a view (B, H', W', C)."""
    return X[:, u : u + h * stride : stride, v : v + w * stride : stride]
