r"""Taps: which pixels each sample reads, and how much of each. The matrix S and its transpose.

A sample at (x, y) reads the lattice points around it with the weights k(x - m) k(y - n). Number
the pixels of all pictures and all samples: the weights are a sparse matrix S, a row for each
sample (derivation: ``docs/derivations/sampler.md``, equations S5 and S6).

    V = S @ U        dU = S.T @ dV        S_x, S_y = S.slopes

`locate` finds the pattern of S once. S applies itself and its transpose, and these two are the
only places that read or write pixels by index; what uses them need not know how they do it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from math import ceil, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stnref.kernels import Kernel
from stnref.padding import Padding
from stnref.validation import Array

BLOCK = 2**17
"""Numbers that are read or written at a time: in float64 a megabyte, which a cache holds."""


class SamplingMatrix(NamedTuple):
    """The matrix S of P = B H' W' samples, or one of its derivatives S_x, S_y, S_xx, ….

    ``S @ U`` is V, ``S.T @ dV`` is dU, for arrays with channels last: (B, H, W, C) and
    (B, H', W', C). Their dtype is ``numpy.result_type`` of the array and the points.

    Attributes
    ----------
    in_shape : (B, H, W) or (B, D, H, W)
    out_shape : (B, H', W') or (B, D', H', W')
    kernel : Kernel
    pixel : for each of x, y (and z), int (taps, P)
        The axis's share of the number of the pixel that is read, after padding: the shares
        of all axes sum to it. Along an axis there are ``2 * kernel.support`` taps.
    outside : for each axis, bool (taps, P)
        True where the padding puts a zero in the pixel's place.
    fraction : for each axis, (P,)
        Distance in pixels from the lattice point that the taps are about: x - floor(x), or, if
        their number is odd, from the nearest one.
    order : for each axis, int
        How often its k is differentiated: S is (0, 0), S_x is (1, 0), S_xy is (1, 1).

    Examples
    --------
    Two samples of a row of three pixels, at x = 0.25 and x = 2:

    >>> from stnref.kernels import linear
    >>> from stnref.padding import zeros
    >>> points = np.array([[0.25, 0.0], [2.0, 0.0]]).reshape(1, 1, 2, 2)
    >>> S = locate((1, 1, 3), points, linear(), [zeros, zeros])
    >>> (S @ np.array([8.0, 4.0, 5.0]).reshape(1, 1, 3, 1)).ravel().tolist()
    [7.0, 5.0]
    >>> (S.T @ np.array([1.0, 10.0]).reshape(1, 1, 2, 1)).ravel().tolist()
    [0.75, 0.25, 10.0]
    """

    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    kernel: Kernel
    pixel: list[NDArray[np.intp]]
    outside: list[NDArray[np.bool_]]
    fraction: list[Array]
    order: tuple[int, ...]

    @property
    def slopes(self) -> list[SamplingMatrix]:
        """The derivatives by x, y (and z): S_x, S_y of S; S_xx, S_xy of S_x."""
        axes = range(len(self.order))
        orders = [tuple(self.order[b] + (a == b) for b in axes) for a in axes]
        return [self._replace(order=order) for order in orders]

    @property
    def T(self) -> Transposed:
        """S transposed."""
        return Transposed(self)

    def __matmul__(self, U: Array) -> Array:
        C = U.shape[-1]
        U = U.reshape(-1, C)  # (B H W, C)
        V = np.empty((len(self.fraction[0]), C), np.result_type(U, self.fraction[0]))
        for rows, pixel, outside, weight in self._blocks(C):
            read = U.take(pixel, axis=0)  # (taps, rows, C)
            read.reshape(-1, C)[np.flatnonzero(outside)] = 0
            V[rows] = (weight[..., None] * read).sum(axis=0)  # S5
        return V.reshape(*self.out_shape, C)

    def _blocks(self, C: int) -> Iterator[tuple[slice, NDArray[np.intp], NDArray[np.bool_], Array]]:
        """Yield the entries, some rows of S at a time: rows, pixel, outside, weight, (taps, rows).

        The taps of a sample are all combinations of the taps along its axes.
        """
        offset = _offsets(self.kernel)
        k = (self.kernel.k, self.kernel.dk, self.kernel.d2k)
        weight = [
            k[order](f - offset.astype(f.real.dtype))  # (taps, P); S3, S6
            for order, f in zip(self.order, self.fraction, strict=True)
        ]
        step = max(BLOCK // (len(offset) ** len(weight) * C), 1)
        for start in range(0, len(self.fraction[0]), step):
            rows = slice(start, start + step)
            yield (
                rows,
                _combine(np.add, self.pixel, rows),
                _combine(np.logical_or, self.outside, rows),
                _combine(np.multiply, weight, rows),  # S5
            )


class Transposed(NamedTuple):
    """S transposed: ``S.T @ dV`` is dU."""

    S: SamplingMatrix

    def __matmul__(self, dV: Array) -> Array:
        S, C = self.S, dV.shape[-1]
        dV = dV.reshape(-1, C)  # (P, C)
        dU = np.zeros(prod(S.in_shape) * C, np.result_type(dV, S.fraction[0]))
        for rows, pixel, outside, weight in S._blocks(C):
            inside = np.flatnonzero(~outside)
            part = (weight[..., None] * dV[rows]).reshape(-1, C).take(inside, axis=0)
            # One flat index: numpy adds single elements several times faster than rows.
            index = pixel.take(inside)[:, None] * C + np.arange(C)
            np.add.at(dU, index.ravel(), part.ravel())  # S8
        return dU.reshape(*S.in_shape, C)


def locate(
    in_shape: Sequence[int], points: Array, kernel: Kernel, paddings: Sequence[Padding]
) -> SamplingMatrix:
    """Find the pixels that each sample reads. Here (x, y) becomes (row, column).

    Parameters
    ----------
    in_shape : (B, H, W) or (B, D, H, W)
        Shape of the map without its channels.
    points : (B, H', W', 2) or (B, D', H', W', 3)
        In pixels, last axis (x, y) or (x, y, z). A sample that is not finite reads nothing.
    kernel : Kernel
    paddings : for each of x, y (and z), Padding

    Returns
    -------
    S : SamplingMatrix

    Notes
    -----
    Nothing is checked here: `sample_forward` does that.

    Examples
    --------
    >>> from stnref.kernels import linear
    >>> from stnref.padding import border
    >>> S = locate((1, 2, 3), np.array([2.25, 0.5]).reshape(1, 1, 1, 2), linear(), [border] * 2)
    >>> [taps.ravel().tolist() for taps in S.pixel]  # columns 2 and 2, rows 0 and 1 of three
    [[2, 2], [0, 3]]
    """
    B, *sizes = in_shape
    finite = np.isfinite(points).all(axis=-1).ravel()  # (P,)
    pixel, outside, fraction = [], [], []
    stride = 1  # from a pixel's number to the next one's along the axis
    # For x, y (and z): the coordinate of each sample, (P,), and the axis's pixels and padding.
    for x, n, pad in zip(points.reshape(-1, len(sizes)).T, sizes[::-1], paddings, strict=True):
        x = np.where(finite, x, 0)
        cell = np.floor(x.real)
        if kernel.support % 1:  # an odd number of taps is about the nearest pixel
            cell += x.real - cell >= 0.5
        m, inside = pad(cell + _offsets(kernel).astype(cell.dtype), n)  # (taps, P)
        pixel.append(m * stride)
        outside.append(~(inside & finite))
        f = x - cell
        f -= (f.real == 1) * np.finfo(f.dtype).epsneg  # -1e-17 + 1 rounds, but stays below a pixel
        fraction.append(f)
        stride *= n
    # A picture's first pixel, for each of its samples.
    pixel[-1] += np.repeat(np.arange(B) * stride, prod(points.shape[1:-1]))
    order = (0,) * len(sizes)
    return SamplingMatrix(
        tuple(in_shape), points.shape[:-1], kernel, pixel, outside, fraction, order
    )


def _offsets(kernel: Kernel) -> NDArray[np.int64]:
    """Return the distances of the taps from the cell: (taps, 1)."""
    return np.arange(round(2 * kernel.support))[:, None] + 1 - ceil(kernel.support)


def _combine(operation: np.ufunc, axes: list[NDArray[Any]], rows: slice) -> NDArray[Any]:
    """Combine the taps of x, y (and z), each with each: (taps, rows), those of x the fastest."""
    first, *others = (taps[:, rows] for taps in reversed(axes))
    return reduce(lambda a, b: operation(a[:, None], b).reshape(-1, b.shape[-1]), others, first)
