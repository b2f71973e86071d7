r"""The sampler: (U, points) -> V, and its derivatives. The only place that gathers and scatters.

For a sample at (x, y), in pixels, with a one-dimensional kernel k and U extended by a padding
(equation 3; volumes have one more factor):

.. math::  V_i^c = \sum_n \sum_m U_{nm}^c \, k(x_i - m) \, k(y_i - n)

Read V as S U, where the sparse matrix S has a row for each sample, and write S_x, S_y for the
same pattern with k' in place of k along that axis. Then every derivative is one line:

    V  = S U                            dU = S^T dV
    dx = sum_c dV (S_x U)               V_dot = S U_dot + x_dot (S_x U) + y_dot (S_y U)

`_gather` applies such a matrix, `_scatter` its transpose; nothing else here knows how they do it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from stnref.coordinates import (
    UnnormalizeCache,
    unnormalize_backward,
    unnormalize_forward,
    unnormalize_jvp,
)
from stnref.kernels import Kernel, get_kernel
from stnref.padding import PADDINGS, Padding, get_padding
from stnref.validation import Array, expect_array, expect_choice, expect_finite, expect_needs


class SampleCache(NamedTuple):
    """Where the samples lie. P = H' W' samples a picture; axes in array order, rows first.

    Attributes
    ----------
    U : (B, H, W, C)
        The input map: a reference, not a copy.
    out_shape : tuple
        (B, H', W', C), the shape of V.
    kernel : Kernel
    indices : for each axis, (2 * support, B, P)
        The pixels that a sample reads, after padding; the tap comes first.
    inside : for each axis, (2 * support, B, P)
        False where the padding puts a zero in the pixel's place.
    fraction : for each axis, (B, P)
        Distance in pixels from the cell's first lattice point: x - floor(x).
    """

    U: Array
    out_shape: tuple[int, ...]
    kernel: Kernel
    indices: list[NDArray[np.intp]]
    inside: list[NDArray[np.bool_]]
    fraction: list[Array]


def sample_forward(
    U: ArrayLike,
    points: ArrayLike,
    *,
    kernel: str | Kernel = "linear",
    padding: str | Padding = "zeros",
    nonfinite: str = "raise",
) -> tuple[Array, SampleCache]:
    """Sample the map U at points given in pixels: V = S U (equation 3).

    Parameters
    ----------
    U : (B, H, W, C) or (B, D, H, W, C)
        Input map, channels last.
    points : (B, H', W', 2) or (B, D', H', W', 3)
        Where to sample, in pixels: last axis (x, y) or (x, y, z).
    kernel : str or Kernel
        "linear", or a kernel of your own.
    padding : str or Padding
        "zeros", or a map on indices of your own.
    nonfinite : "raise" or "outside"
        What a NaN or infinite coordinate does: raise, or give V = 0 and no gradient.

    Returns
    -------
    V : (B, H', W', C) or (B, D', H', W', C)
        dtype ``numpy.result_type(U, points)``.
    cache : SampleCache

    Raises
    ------
    TypeError
        U or points is not float32, float64, complex64 or complex128.
    ValueError
        A shape does not fit, an axis is empty, an option is unknown, or a coordinate is
        not finite.

    Examples
    --------
    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> V, cache = sample_forward(U, np.array([2.25, 0.0]).reshape(1, 1, 1, 2))
    >>> V.item()
    5.25
    """
    U = expect_array("U", U, ("B", "H", "W", "C"), ("B", "D", "H", "W", "C"))
    d = U.ndim - 2
    points = expect_array("points", points, (len(U), *"DHW"[3 - d :], d))
    expect_choice("nonfinite", nonfinite, ("raise", "outside"))
    if nonfinite == "raise":
        expect_finite("points", points)
    cache = _locate(U, points, get_kernel(kernel), get_padding(padding))
    return _gather(U, cache, _factors(cache)), cache


def sample_backward(
    dV: ArrayLike, cache: SampleCache, *, needs: Collection[str] = ("U", "points")
) -> tuple[Array | None, Array | None]:
    """Return the gradients to the map and to the coordinates (equations 6 and 7).

    Parameters
    ----------
    dV : (B, H', W', C)
        Gradient of the loss with respect to V.
    cache : SampleCache
        From `sample_forward`.
    needs : subset of {"U", "points"}
        Gradients to compute; the other comes as None.

    Returns
    -------
    dU : shape of U, or None
        S^T dV.
    dpoints : shape of points, or None
        sum_c dV (S_x U), likewise for y: per pixel. On the lattice, the right slope.

    Raises
    ------
    ValueError
        dV does not have the shape of V, or `needs` names something else.
    """
    dV = expect_array("dV", dV, cache.out_shape)
    expect_needs(needs, ("U", "points"))
    dU = _scatter(dV, cache, _factors(cache)) if "U" in needs else None
    if "points" not in needs:
        return dU, None
    slopes = [(dV * S_a_U).sum(axis=-1) for S_a_U in _slopes(cache)]  # rows first
    return dU, np.stack(slopes[::-1], axis=-1)  # (B, H', W', 2), (x, y)


def sample_jvp(U_dot: ArrayLike | None, points_dot: ArrayLike | None, cache: SampleCache) -> Array:
    """Return V_dot = S U_dot + x_dot (S_x U) + y_dot (S_y U); a tangent of None is zero."""
    V_dot = np.zeros(cache.out_shape, dtype=np.result_type(cache.U, cache.fraction[0]))
    if U_dot is not None:
        U_dot = expect_array("U_dot", U_dot, cache.U.shape)
        V_dot = V_dot + _gather(U_dot, cache, _factors(cache))
    if points_dot is not None:
        d = len(cache.indices)
        points_dot = expect_array("points_dot", points_dot, (*cache.out_shape[:-1], d))
        for axis, S_a_U in enumerate(_slopes(cache)):
            V_dot = V_dot + points_dot[..., d - 1 - axis, None] * S_a_U
    return V_dot


# ------------------------------------------------------------------ taps: where, how much


def _taps(kernel: Kernel, dtype: DTypeLike) -> Array:
    """Return the offsets of the taps from the cell, as floats: (2 * support, 1, 1)."""
    return np.arange(1 - kernel.support, kernel.support + 1, dtype=dtype)[:, None, None]


def _locate(U: Array, points: Array, kernel: Kernel, padding: Padding) -> SampleCache:
    """Find, for each axis, the pixels that each sample reads. (x, y) becomes (row, column)."""
    B, *sizes, C = U.shape
    axes = [points[..., a].reshape(B, -1) for a in reversed(range(len(sizes)))]  # (B, P) each
    finite = np.logical_and.reduce([np.isfinite(x) for x in axes])  # (B, P)
    taps = _taps(kernel, points.real.dtype)
    indices, insides, fractions = [], [], []
    for x, n in zip(axes, sizes, strict=True):
        x = np.where(finite, x, 0)
        cell = np.floor(x.real)
        m, m_inside = padding(cell + taps, n)  # (taps, B, P)
        indices.append(m)
        insides.append(m_inside & finite)
        fractions.append(x - cell)
    return SampleCache(U, (*points.shape[:-1], C), kernel, indices, insides, fractions)


def _factors(cache: SampleCache, slope_axis: int | None = None) -> list[Array]:
    """Return k(x - m) for each axis and tap, with k' in its place along `slope_axis`."""
    factors = []
    for axis, fraction in enumerate(cache.fraction):
        t = fraction - _taps(cache.kernel, fraction.real.dtype)  # (taps, B, P)
        factors.append(cache.kernel.dk(t) if axis == slope_axis else cache.kernel.k(t))
    return factors


def _slopes(cache: SampleCache) -> Iterator[Array]:
    """Yield S_y U, then S_x U: the slope of every sample along each axis, rows first."""
    for axis in range(len(cache.indices)):
        yield _gather(cache.U, cache, _factors(cache, slope_axis=axis))


# ------------------------------------------------------- combine the taps: S and S transposed


def _entries(
    cache: SampleCache, factors: Sequence[Array]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.bool_], Array]]:
    """Yield the entries of S tap by tap: pixel number, whether it is there, weight; each (B, P)."""
    B, *sizes, _ = cache.U.shape
    first = np.arange(B)[:, None] * prod(sizes)  # (B, 1), number of each picture's first pixel
    for tap in product(range(len(factors[0])), repeat=len(sizes)):
        position = [m[t] for m, t in zip(cache.indices, tap, strict=True)]
        inside = [m[t] for m, t in zip(cache.inside, tap, strict=True)]
        weight = [k[t] for k, t in zip(factors, tap, strict=True)]
        pixel = first + np.ravel_multi_index(position, sizes)
        yield pixel, np.logical_and.reduce(inside), prod(weight[1:], start=weight[0])


def _gather(U: Array, cache: SampleCache, factors: Sequence[Array]) -> Array:
    """Apply S: V[b, i] = sum over the taps of weight * U[b, n, m]."""
    pixels = U.reshape(-1, U.shape[-1])  # (B H W, C)
    V: Array | int = 0
    for pixel, inside, weight in _entries(cache, factors):
        V = V + np.where(inside[..., None], weight[..., None] * pixels.take(pixel, axis=0), 0)
    return np.reshape(V, (*cache.out_shape[:-1], U.shape[-1]))


def _scatter(dV: Array, cache: SampleCache, factors: Sequence[Array]) -> Array:
    """Apply S transposed: dU[b, n, m] += weight * dV[b, i] over the taps."""
    C = dV.shape[-1]
    dV = dV.reshape(*cache.fraction[0].shape, C)  # (B, P, C)
    dU = np.zeros(cache.U.size, dtype=np.result_type(dV, factors[0]))
    for pixel, inside, weight in _entries(cache, factors):
        entry = (weight[..., None] * dV)[inside]
        # One flat index: numpy adds single elements several times faster than rows.
        np.add.at(dU, (pixel[inside][:, None] * C + np.arange(C)).ravel(), entry.ravel())
    return dU.reshape(cache.U.shape)


# --------------------------------------------------------------- in normalised coordinates


class GridSampleCache(NamedTuple):
    """The caches of the two arrows that `grid_sample_forward` joins."""

    unnormalize: UnnormalizeCache
    sample: SampleCache


MODES = {"bilinear": "linear"}
"""The field's names of the interpolations, and our kernels."""


def grid_sample_forward(
    U: ArrayLike,
    grid: ArrayLike,
    *,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = True,
    nonfinite: str = "raise",
) -> tuple[Array, GridSampleCache]:
    """Sample U at normalised coordinates: `unnormalize_forward`, then `sample_forward`.

    Parameters
    ----------
    U : (B, H, W, C) or (B, D, H, W, C)
        Input map, channels last.
    grid : (B, H', W', 2) or (B, D', H', W', 3)
        Normalised coordinates, last axis (x, y) or (x, y, z).
    mode : "bilinear"
        Name of the interpolation; in volumes it is trilinear.
    padding_mode : "zeros"
        How U continues outside.
    align_corners : bool
        True: -1 and 1 are the centres of the first and last pixel; False: their outer
        edges.
    nonfinite : "raise" or "outside"
        See `sample_forward`.

    Returns
    -------
    V : (B, H', W', C) or (B, D', H', W', C)
    cache : GridSampleCache

    Raises
    ------
    TypeError, ValueError
        As `sample_forward`.
    """
    U = expect_array("U", U, ("B", "H", "W", "C"), ("B", "D", "H", "W", "C"))
    d = U.ndim - 2
    grid = expect_array("grid", grid, (len(U), *"DHW"[3 - d :], d))
    expect_choice("mode", mode, MODES)
    expect_choice("padding_mode", padding_mode, PADDINGS)
    expect_choice("nonfinite", nonfinite, ("raise", "outside"))
    if nonfinite == "raise":
        expect_finite("grid", grid)
    points, unnormalize_cache = unnormalize_forward(
        grid, U.shape[1:-1], align_corners=align_corners
    )
    V, sample_cache = sample_forward(
        U, points, kernel=MODES[mode], padding=padding_mode, nonfinite=nonfinite
    )
    return V, GridSampleCache(unnormalize_cache, sample_cache)


def grid_sample_backward(
    dV: ArrayLike, cache: GridSampleCache, *, needs: Collection[str] = ("U", "grid")
) -> tuple[Array | None, Array | None]:
    """Return dU and dgrid, see `sample_backward`; `needs` is a subset of {"U", "grid"}."""
    expect_needs(needs, ("U", "grid"))
    dU, dpoints = sample_backward(
        dV, cache.sample, needs=["points" if need == "grid" else need for need in needs]
    )
    return dU, None if dpoints is None else unnormalize_backward(dpoints, cache.unnormalize)


def grid_sample_jvp(
    U_dot: ArrayLike | None, grid_dot: ArrayLike | None, cache: GridSampleCache
) -> Array:
    """Return V_dot, see `sample_jvp`; a tangent of None is zero."""
    points_dot = None if grid_dot is None else unnormalize_jvp(grid_dot, cache.unnormalize)
    return sample_jvp(U_dot, points_dot, cache.sample)


def grid_sample(
    U: ArrayLike,
    grid: ArrayLike,
    *,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = True,
    nonfinite: str = "raise",
) -> Array:
    """Sample U at normalised coordinates; channels last, align_corners=True, unlike PyTorch.

    `grid_sample_forward` without its cache; see there.

    Examples
    --------
    >>> from stnref.coordinates import target_grid
    >>> U = np.arange(6.0).reshape(1, 2, 3, 1)
    >>> bool((grid_sample(U, target_grid((2, 3))[None]) == U).all())
    True
    """
    return grid_sample_forward(
        U,
        grid,
        mode=mode,
        padding_mode=padding_mode,
        align_corners=align_corners,
        nonfinite=nonfinite,
    )[0]
