"""Windows: the pixels that an output reads, tap by tap.

A sample reads 2 x 2 pixels, in a volume 2 x 2 x 2, with a cubic kernel 4 x 4; a convolution reads as
many as its filter has, and all its channels. In the Jacobian by the map a window's weights are the
entries of a row, and a mistake in them is the same in every window. Splatting has its windows in
the columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stnref.validation import Array


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
        rows = np.arange(len(J))[:, None]
        taps = np.where(self.columns >= 0, J[rows, self.columns], np.nan)
        return taps.reshape(len(J), *self.size)

    def jacobian(self, taps: Array, n: int) -> Array:
        """Return the Jacobian (n_out, n) that has these taps."""
        J = np.zeros((len(taps), n))
        rows, tap = np.nonzero(self.columns >= 0)
        J[rows, self.columns[rows, tap]] = taps.reshape(len(taps), -1)[rows, tap]
        return J


def windows_of(J: Array, shape: tuple[int, ...], size: tuple[int, ...] | None = None) -> Windows:
    """Find the windows of a Jacobian's rows by their extents; at the border they are cut.

    Where an output reads one pixel of its window, as in max pooling, the window's size is given.
    """
    reads = (J != 0).reshape(len(J), *shape)
    starts, ends = [], []
    for axis, n in enumerate(shape):
        along = reads.any(axis=tuple(a + 1 for a in range(len(shape)) if a != axis))  # (n_out, n)
        starts.append(along.argmax(axis=1))
        ends.append(n - along[:, ::-1].argmax(axis=1))
    start, end = np.array(starts).T, np.array(ends).T  # (n_out, ndim)
    empty = ~reads.reshape(len(J), -1).any(axis=1)
    if size is None:
        size = tuple((end - start)[~empty].max(axis=0, initial=1).tolist())
        cut_low = (start == 0) & (end - start < size)
        origin = np.where(cut_low, end - np.array(size), start)
    else:
        origin = start // size * size
    taps = np.stack(np.indices(size), axis=-1).reshape(-1, len(shape))  # (taps, ndim)
    at = origin[:, None, :] + taps  # (n_out, taps, ndim)
    inside = ((at >= 0) & (at < shape)).all(axis=-1) & ~empty[:, None]
    flat = np.ravel_multi_index(np.moveaxis(np.where(inside[..., None], at, 0), -1, 0), shape)
    return Windows(size, np.where(inside, flat, -1), inside.all(axis=1), empty)
