"""Windows: the pixels that an output reads, tap by tap.

A sample reads 2 x 2 pixels, in a volume 2 x 2 x 2, with a cubic kernel 4 x 4; a convolution reads
as many as its filter has, and all its channels. In the Jacobian by the map a window's weights are
the entries of a row, and a mistake in them is the same in every window. Splatting has its windows
in the columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stnref.validation import Array

STRIDES = (1, 2, 3, 4)
"""Steps from window to window that are tried."""


class Windows(NamedTuple):
    """The windows of the rows of a Jacobian.

    Attributes
    ----------
    size : tuple of int
        Taps along each axis of the map; 1 along those that windows do not extend over.
    columns : (n, taps)
        The element that each tap reads, -1 where that is outside of the map.
    full, empty : (n,) of bool
        Whether all taps are inside; whether nothing is read.
    """

    size: tuple[int, ...]
    columns: NDArray[np.intp]
    full: NDArray[np.bool_]
    empty: NDArray[np.bool_]

    @property
    def axes(self) -> list[int]:
        """The axes that windows extend over."""
        return [a for a, n in enumerate(self.size) if n > 1]

    def of(self, J: Array) -> Array:
        """Return J's entries tap by tap, (n, *size); NaN where there is no pixel."""
        taps = np.take_along_axis(J, np.maximum(self.columns, 0), axis=1)
        return np.where(self.columns >= 0, taps, np.nan).reshape(-1, *self.size)

    def read(self, U: Array) -> Array:
        """Return the values of a map tap by tap, (n, taps); NaN where there is no pixel."""
        return np.where(self.columns >= 0, U.ravel()[self.columns], np.nan)

    def jacobian(self, taps: Array, n: int) -> Array:
        """Return the Jacobian (n_out, n) that has these taps; NaN where none of them is known."""
        J, taps = np.zeros((len(taps), n)), taps.reshape(len(taps), -1)
        rows, tap = np.nonzero(self.columns >= 0)
        J[rows, self.columns[rows, tap]] = taps[rows, tap]
        J[np.isnan(taps).all(axis=1) & ~self.empty] = np.nan
        return J


def _extents(J: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Return the first and the last index that rows read along each axis, plus 1: (n, ndim)."""
    reads = (J != 0).reshape(len(J), *shape)
    axes = range(1, len(shape) + 1)
    along = [reads.any(axis=tuple(b for b in axes if b != a)) for a in axes]  # (n, shape[a]) each
    starts = [r.argmax(axis=1) for r in along]
    ends = [r.shape[1] - r[:, ::-1].argmax(axis=1) for r in along]
    return np.array(starts).T.reshape(-1, len(shape)), np.array(ends).T.reshape(-1, len(shape))


def moving_axes(J: Array, shape: tuple[int, ...]) -> list[int]:
    """Return the axes along which the rows of J have a window that moves, cut at the border.

    Parameters
    ----------
    J : (n_out, n)
    shape : tuple of int
        Of the map, or of whatever its columns are.

    Returns
    -------
    list of int

    Examples
    --------
    >>> moving_axes(np.array([[1.0, 2.0, 0.0], [0.0, 3.0, 4.0]]), (3,))
    [0]
    """
    starts, ends = _extents(J[(J != 0).any(axis=1)], shape)
    axes = []
    for axis, (start, end) in enumerate(zip(starts.T, ends.T, strict=True)):
        extent = end - start
        cut = extent < extent.max(initial=0)
        moves = len(set(start.tolist())) > 1 and len(set(end.tolist())) > 1
        if moves and extent.max(initial=0) > 1 and ((start == 0) | (end == shape[axis]))[cut].all():
            axes.append(axis)
    return axes


def windows_of(J: Array, shape: tuple[int, ...]) -> Windows:
    """Find the windows of a Jacobian's rows by their extents; at the border they are cut.

    Parameters
    ----------
    J : (n_out, n)
    shape : tuple of int
        Of the map.

    Returns
    -------
    Windows

    Examples
    --------
    The first of two windows of two taps reaches beyond the border:

    >>> windows_of(np.array([[1.0, 0.0, 0.0], [0.0, 3.0, 4.0]]), (3,)).columns.tolist()
    [[-1, 0], [1, 2]]
    """
    start, end = _extents(J, shape)
    empty = ~(J != 0).any(axis=1)
    size = (end - start)[~empty].max(axis=0, initial=1)
    cut_before = (start == 0) & (end - start < size)
    return _at(np.where(cut_before, end - size, start), size, shape, empty)


def pools_of(J: Array, shape: tuple[int, ...], out_shape: tuple[int, ...]) -> Windows | None:
    """Find the windows where each output reads one pixel of its own, as in max pooling.

    They begin at a stride times the output's index: the stride that makes them the smallest.

    Parameters
    ----------
    J : (n_out, n)
    shape, out_shape : tuple of int
        Of the map and the output, with as many axes.

    Returns
    -------
    Windows or None
        None where there are none.

    Examples
    --------
    >>> J = np.eye(6)[[0, 3, 4]]  # the first of two, the second, the first
    >>> pools_of(J, (6,), (3,)).columns.tolist()
    [[0, 1], [2, 3], [4, 5]]
    """
    if ((J != 0).sum(axis=1) != 1).any():
        return None
    outputs = np.array(list(np.ndindex(out_shape)))  # (n_out, ndim)
    read = np.stack(np.unravel_index((J != 0).argmax(axis=1), shape), axis=1)
    offsets = np.stack([read - s * outputs for s in STRIDES])  # (strides, n_out, ndim)
    best = np.ptp(offsets, axis=1).argmin(axis=0)  # (ndim,)
    first = offsets.min(axis=1)[best, range(len(shape))]
    size = np.ptp(offsets, axis=1)[best, range(len(shape))] + 1
    empty = np.zeros(len(J), dtype=bool)
    found = _at(outputs * np.array(STRIDES)[best] + first, size, shape, empty)
    return found if found.axes else None


def _at(origin: Array, size: Array, shape: tuple[int, ...], empty: Array) -> Windows:
    """Return the windows of one size that begin there."""
    at = origin[:, None, :] + np.array(list(np.ndindex(*size)))  # (n_out, taps, ndim)
    inside = ((at >= 0) & (at < shape)).all(axis=-1) & ~empty[:, None]
    flat = np.ravel_multi_index(np.moveaxis(np.where(inside[..., None], at, 0), -1, 0), shape)
    return Windows(tuple(size.tolist()), np.where(inside, flat, -1), inside.all(axis=1), empty)
