r"""Taps: which pixels each sample reads, and how much of each. The matrix S and its transpose.

A sample at (x, y) reads the lattice points around it with the weights k(x - m) k(y - n). Number
the pixels of all pictures and all samples: the weights are a sparse matrix S, a row for each
sample (derivation: ``docs/derivations/sampler.md``, equations S5 and S6).

    V = S @ U        dU = S.T @ dV        S_x, S_y = S.slopes

`locate` finds the cell of each sample once. What S does it does some rows at a time: these rows
are a `Gather`, the only place that reads and writes pixels by index, or, where there is much to
do, a matrix of SciPy's with the same entries (`stnref.fast`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial, reduce
from itertools import product
from math import ceil, prod
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from stnref.fast import sparse, threads
from stnref.kernels import Kernel
from stnref.padding import Padding
from stnref.validation import Array

# A factor for each sample, (P,), or None; and how often k is differentiated along x, y (and z).
Term: TypeAlias = tuple[Array | None, tuple[int, ...]]


class SamplingMatrix(NamedTuple):
    """The matrix S of P = B H' W' samples, or one of its derivatives S_x, S_y, S_xx, …, S_dot.

    ``S @ U`` is V, ``S.T @ dV`` is dU, for arrays with channels last: (B, H, W, C) and
    (B, H', W', C). Their dtype is ``numpy.result_type`` of the array and the points.

    Attributes
    ----------
    in_shape : (B, H, W) or (B, D, H, W)
    out_shape : (B, H', W') or (B, D', H', W')
    kernel : Kernel
    paddings : for each of x, y (and z), Padding
    cell : for each axis, (P,)
        The lattice point that the taps of a sample are about: floor(x), or, if their number is
        odd, the nearest one. Along an axis there are ``2 * kernel.support`` taps.
    fraction : for each axis, (P,)
        Distance in pixels from there: x - cell.
    finite : bool (P,), or None
        False where a sample reads nothing, as its coordinates are not finite; None: all are.
    terms : sequence of (factor, order)
        Their sum is the matrix: S has one, with the order (0, 0); that of S_x is (1, 0).

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
    paddings: Sequence[Padding]
    cell: list[Array]
    fraction: list[Array]
    finite: NDArray[np.bool_] | None
    terms: tuple[Term, ...]

    @property
    def slopes(self) -> list[SamplingMatrix]:
        """The derivatives by x, y (and z): S_x, S_y of S; S_xx, S_xy of S_x (S6)."""
        axes = range(len(self.cell))
        return [
            self._replace(
                terms=tuple(
                    (factor, tuple(order[b] + (a == b) for b in axes))
                    for factor, order in self.terms
                )
            )
            for a in axes
        ]

    def along(self, points_dot: Array) -> SamplingMatrix:
        """Return the tangent S_dot = x_dot S_x + y_dot S_y: each row has its own x_dot (S7).

        points_dot : (B, H', W', 2) or (B, D', H', W', 3), pixels.
        """
        terms = []
        for a, S_a in enumerate(self.slopes):
            x_dot = points_dot[..., a].ravel()  # (P,)
            for factor, order in S_a.terms:
                terms.append((x_dot if factor is None else factor * x_dot, order))
        return self._replace(terms=tuple(terms))

    @property
    def T(self) -> Transposed:
        """S transposed."""
        return Transposed(self)

    def __matmul__(self, U: Array) -> Array:
        C = U.shape[-1]
        U = U.reshape(-1, C)  # (B H W, C)
        V = np.empty((len(self.cell[0]), C), np.result_type(U, self.dtype))
        part = _in_parts([self], U)

        def sample(rows: slice) -> None:
            pixels, (S,) = part(rows)
            V[rows] = S @ U[pixels]

        threads.for_each(sample, self._tiles())
        return V.reshape(*self.out_shape, C)

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of its entries."""
        factors = [factor for factor, _ in self.terms if factor is not None]
        return np.result_type(self.fraction[0], *factors)

    def _tiles(self) -> list[slice]:
        taps = round(2 * self.kernel.support) ** len(self.cell)
        return sparse.tiles(self.out_shape, prod(self.in_shape[1:]), taps)


class Transposed(NamedTuple):
    """S transposed: ``S.T @ dV`` is dU."""

    S: SamplingMatrix

    def __matmul__(self, dV: Array) -> Array:
        S, C = self.S, dV.shape[-1]
        dV = dV.reshape(-1, C)  # (P, C)
        dU = np.zeros((prod(S.in_shape), C), np.result_type(dV, S.dtype))
        part = _in_parts([S], dV)

        def spread(rows: slice) -> tuple[slice, Array]:
            pixels, (S,) = part(rows)
            return pixels, S.T @ dV[rows]

        for pixels, own in threads.in_turn(spread, S._tiles()):
            dU[pixels] += own  # S8: several parts may read a pixel
        return dU.reshape(*S.in_shape, C)


def row_dots(dV: Array, matrices: Sequence[SamplingMatrix], U: Array) -> Array:
    """Return sum_c dV (S_a U) for matrices S_a of the same samples (S9).

    Parameters
    ----------
    dV : (B, H', W', C)
    matrices : sequence of SamplingMatrix
        Such as the slopes of one.
    U : (B, H, W, C)

    Returns
    -------
    array, (B, H', W', len(matrices))

    Notes
    -----
    Nothing is checked here.

    Examples
    --------
    >>> from stnref.kernels import linear
    >>> from stnref.padding import border
    >>> U = np.array([3.0, 5.0, 4.0, 9.0]).reshape(1, 1, 4, 1)
    >>> S = locate((1, 1, 4), np.array([2.25, 0.0]).reshape(1, 1, 1, 2), linear(), [border] * 2)
    >>> row_dots(np.full((1, 1, 1, 1), 2.0), S.slopes, U).tolist()
    [[[[10.0, 0.0]]]]
    """
    S, C = matrices[0], U.shape[-1]
    dV, U = dV.reshape(-1, C), U.reshape(-1, C)
    dtype = np.result_type(dV, U, *(S_a.dtype for S_a in matrices))
    dots = np.empty((len(dV), len(matrices)), dtype)
    part = _in_parts(matrices, U)

    def dot(rows: slice) -> None:
        pixels, slopes = part(rows)
        for a, S_a in enumerate(slopes):
            dots[rows, a] = sparse.row_dot(dV[rows], S_a @ U[pixels])

    threads.for_each(dot, S._tiles())
    return dots.reshape(*S.out_shape, len(matrices))


def locate(
    in_shape: Sequence[int], points: Array, kernel: Kernel, paddings: Sequence[Padding]
) -> SamplingMatrix:
    """Find the cell of each sample.

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
    >>> [cell.tolist() for cell in S.cell], [f.tolist() for f in S.fraction]
    ([[2.0], [0.0]], [[0.25], [0.5]])
    """
    d = points.shape[-1]
    finite = None
    if not np.isfinite(points).all():
        finite = np.isfinite(points).all(axis=-1).ravel()  # (P,)
    cells, fractions = [], []
    for a in range(d):
        x = points[..., a].flatten()  # (P,)
        if finite is not None:
            x[~finite] = 0
        cell = np.floor(x.real)
        if kernel.support % 1:  # an odd number of taps is about the nearest pixel
            cell += x.real - cell >= 0.5
        f = np.subtract(x, cell, out=x)
        f[f.real == 1] -= np.finfo(f.dtype).epsneg  # -1e-17 + 1 rounds, but stays below a pixel
        cells.append(cell)
        fractions.append(f)
    terms = ((None, (0,) * d),)
    return SamplingMatrix(
        tuple(in_shape), points.shape[:-1], kernel, paddings, cells, fractions, finite, terms
    )


class Gather(NamedTuple):
    """Some rows of a matrix, tap by tap: ``rows @ U``, ``rows.T @ dV``.

    Attributes
    ----------
    pixel : int (rows, taps)
        What each tap reads.
    outside : bool (rows, taps)
        True where the padding puts a zero in the pixel's place.
    weight : (rows, taps)
    n_pixels : int
    """

    pixel: NDArray[np.integer[Any]]
    outside: NDArray[np.bool_]
    weight: Array
    n_pixels: int

    def _taps(self) -> Iterator[tuple[Any, ...]]:
        return zip(self.pixel.T, self.outside.T, self.weight.T, strict=True)

    def __matmul__(self, U: Array) -> Array:
        V = np.zeros((len(self.pixel), U.shape[1]), np.result_type(self.weight, U))
        for pixel, outside, weight in self._taps():
            read = U[pixel]  # (rows, C)
            read[outside] = 0  # whose weight is 0 too, but 0 times a NaN is none
            V += weight[:, None] * read  # S5
        return V

    @property
    def T(self) -> Scatter:
        """Its transpose."""
        return Scatter(self)


class Scatter(NamedTuple):
    """The transpose of a `Gather`: what a sample read with a weight it gives back with it."""

    rows: Gather

    def __matmul__(self, dV: Array) -> Array:
        S, C = self.rows, dV.shape[1]
        dU = np.zeros(S.n_pixels * C, np.result_type(S.weight, dV))
        for pixel, outside, weight in S._taps():
            inside = ~outside
            part = weight[inside, None] * dV[inside]  # (rows, C)
            # One flat index: numpy adds single elements several times faster than rows.
            index = pixel[inside, None] * C + np.arange(C)
            np.add.at(dU, index.ravel(), part.ravel())  # S8
        return dU.reshape(-1, C)


def _in_parts(
    matrices: Sequence[SamplingMatrix], X: Array
) -> Callable[[slice], tuple[slice, list[Any]]]:
    """Return a function of some rows: the pixels they read, and these rows of the matrices.

    The matrices have the same samples. Their rows, to be multiplied by a part of X, come in one
    of the two forms. Here (x, y) becomes (row, column).
    """
    S = matrices[0]
    N, Q = prod(S.in_shape[1:]), prod(S.out_shape[1:])  # pixels, samples of a picture
    derivatives = S.kernel.k, S.kernel.dk, S.kernel.d2k
    offset = np.arange(round(2 * S.kernel.support)) + 1 - ceil(S.kernel.support)
    offset = offset[:, None].astype(S.cell[0].dtype)  # (taps, 1), from the cell
    dtypes = [S.fraction[0].dtype, *(matrix.dtype for matrix in matrices)]
    is_sparse = sparse.is_apt(X, dtypes, len(S.cell[0]) * len(offset) ** len(S.cell))

    def part(rows: slice) -> tuple[slice, list[Any]]:
        pixel, inside, distance = [], [], []
        stride = 1  # from a pixel's number to the next one's along the axis
        # For x, y (and z): the number of pixels along the axis, its padding, and the samples.
        for n, pad, cell, f in zip(S.in_shape[:0:-1], S.paddings, S.cell, S.fraction, strict=True):
            m, is_inside = pad(cell[rows] + offset, n)  # (taps, rows)
            pixel.append(m.astype(sparse.index_dtype(N)) * stride)
            inside.append(is_inside)
            distance.append(f[rows] - offset)  # t = x - m
            stride *= n
        if S.finite is not None:
            inside[0] = inside[0] & S.finite[rows]

        picture, n_rows = rows.start // Q, rows.stop - rows.start
        if n_rows < Q:  # of one picture: number the pixels from the first that is read
            low, high = (sum(int(f(p)) for p in pixel) for f in (np.min, np.max))
            pixel[-1] -= low
        else:
            pictures = np.arange(n_rows // Q, dtype=pixel[-1].dtype)
            pixel[-1] += np.repeat(pictures * N, Q)
            low, high = 0, len(pictures) * N - 1

        @cache
        def k(a: int, order: int) -> Array:
            """Return the weights along an axis, (taps, rows); a tap outside weighs nothing."""
            weight = derivatives[order](distance[a])  # S3, S6
            return weight if inside[a].all() else weight * inside[a]

        def entries(matrix: SamplingMatrix) -> Array:
            """Return the weights, (rows, taps)."""
            tables = []
            for factor, orders in matrix.terms:
                x, *others = (k(a, order) for a, order in enumerate(orders))
                if factor is not None:
                    x = x * factor[rows]
                tables.append(_table(np.multiply, [x, *others], matrix.dtype))  # S5
            return reduce(np.add, tables)

        columns = _table(np.add, pixel, pixel[0].dtype)
        if is_sparse:
            form = partial(sparse.matrix, columns)
        else:
            outside = ~_table(np.logical_and, inside, inside[0].dtype)
            form = partial(Gather, columns, outside)
        read = slice(picture * N + low, picture * N + high + 1)
        return read, [form(entries(matrix), high + 1 - low) for matrix in matrices]

    return part


def _table(operation: np.ufunc, axes: list[Array], dtype: DTypeLike) -> Array:
    """Combine the taps (taps, rows) of x, y (and z), each with each: (rows, taps), x fastest."""
    x, *others = axes
    slow, *between = ([*axis] for axis in reversed(others))
    for axis in between:
        slow = [operation(a, b) for a in slow for b in axis]
    table = np.empty((x.shape[1], len(slow) * len(x)), dtype)
    for column, (a, b) in enumerate(product(slow, x)):
        operation(a, b, out=table[:, column])  # NumPy fills columns faster than it broadcasts
    return table
