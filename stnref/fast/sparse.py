"""Some rows of a sampling matrix at a time, as a sparse matrix of SciPy's.

SciPy multiplies by the rows of a matrix in compiled loops, an entry after the other, and adds the
transposed ones likewise. The entries lie in memory as it wants them, row by row, so that nothing
is sorted. It is imported when it is used first. Nothing is checked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from stnref.validation import Array

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LEAST = 2**12
"""Below so many entries a product in NumPy takes no longer."""

ENTRIES = 2**17
"""Entries of a tile: with what it takes to form them they stay in a processor's cache."""

MOST_TILES = 64
"""Of a single picture. Each may add to most of its pixels, if the picture is turned."""


def is_apt(X: Array, dtypes: Sequence[DTypeLike], n_entries: int) -> bool:
    """Say whether a product with X is one for SciPy: large, of one real dtype, and finite.

    Taps outside are entries of weight zero, and zero times NaN is NaN: a map that is not finite
    is left to the form that does not read them.

    Parameters
    ----------
    X : array
    dtypes : sequence of dtype
        Those of the entries.
    n_entries : int

    Returns
    -------
    bool

    Examples
    --------
    >>> is_apt(np.zeros((9, 4)), [np.float64], 10**5), is_apt(np.zeros((9, 4)), [np.float64], 10)
    (True, False)
    """
    if n_entries < LEAST or X.dtype.kind == "c" or any(X.dtype != dtype for dtype in dtypes):
        return False
    # A sum is finite only if its terms are; if it overflows, the other form is right too.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(X.sum()))


def index_dtype(n_pixels: int) -> type[np.signedinteger[Any]]:
    """Return the dtype of indices: the shorter the better.

    Parameters
    ----------
    n_pixels : int
        Of a picture.

    Returns
    -------
    dtype

    Examples
    --------
    >>> index_dtype(10**6).__name__, index_dtype(10**10).__name__
    ('int32', 'int64')
    """
    return np.int32 if n_pixels < 2**31 - 2**24 else np.int64


def tiles(out_shape: Sequence[int], n_pixels: int, taps: int) -> list[slice]:
    """Divide the samples of a batch: whole pictures, or the parts of one.

    Parameters
    ----------
    out_shape : (B, H', W') or (B, D', H', W')
    n_pixels : int
        Of a picture of the input.
    taps : int
        Of a sample.

    Returns
    -------
    list of slice
        In the order of the samples.

    Examples
    --------
    >>> tiles((3, 100, 100), 10**4, 4)
    [slice(0, 30000, None)]
    >>> len(tiles((3, 10, 10), 100, 4)), len(tiles((1, 1000, 1000), 10**6, 4))
    (1, 31)
    """
    B, Q = out_shape[0], prod(out_shape[1:])
    pictures = ENTRIES // max(Q * taps, n_pixels, 1)
    if pictures:
        step = pictures * Q
        return [slice(start, min(start + step, B * Q)) for start in range(0, B * Q, step or 1)]
    step = max(ENTRIES // taps, -(-Q // MOST_TILES))
    return [
        slice(first + start, first + min(start + step, Q))
        for first in range(0, B * Q, max(Q, 1))
        for start in range(0, Q, step)
    ]


def matrix(columns: NDArray[np.integer[Any]], weight: Array, n_columns: int) -> csr_array:
    """Return rows as a sparse matrix.

    Parameters
    ----------
    columns : int (rows, taps)
        Where in a row its entries stand.
    weight : (rows, taps)
    n_columns : int

    Returns
    -------
    scipy.sparse.csr_array, (rows, n_columns)

    Examples
    --------
    >>> S = matrix(np.array([[0, 2], [1, 1]]), np.array([[0.5, 0.5], [1.0, 2.0]]), 3)
    >>> (S @ np.array([8.0, 4.0, 6.0])).tolist()
    [7.0, 12.0]
    """
    from scipy.sparse import csr_array

    rows, taps = columns.shape
    start = np.arange(0, columns.size + 1, taps, dtype=columns.dtype)
    return csr_array((weight.ravel(), columns.ravel(), start), shape=(rows, n_columns))


def row_dot(a: Array, b: Array) -> Array:
    """Return the sum over the channels of a b.

    Parameters
    ----------
    a, b : (rows, C)

    Returns
    -------
    array, (rows,)

    Examples
    --------
    >>> row_dot(np.ones((2, 3)), np.arange(6.0).reshape(2, 3)).tolist()
    [3.0, 12.0]
    """
    if a.shape[1] > 8:
        return np.einsum("ic,ic->i", a, b)
    total = a[:, 0] * b[:, 0]  # few channels: rows are too short for NumPy
    for c in range(1, a.shape[1]):
        total += a[:, c] * b[:, c]
    return total
