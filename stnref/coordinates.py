r"""Coordinates: the target grid G, and normalised <-> pixel coordinates.

Derivation: ``docs/derivations/grid_generator.md``, equations G3 and G13.

First arrow of the flow after the transform: ``grid -> unnormalize -> points``.
With n pixels along an axis and ``d = n - 1`` (aligned corners) or ``d = n``:

.. math::  G_i = (2i - (n-1)) / d,        x(g) = (g d + n - 1) / 2,        ∂x/∂g = d / 2

Aligned corners put -1 and 1 on the centres of the first and the last pixel, the
other rule on their outer edges. An axis of size one has G = 0. Coordinates are
ordered (x, y) or (x, y, z); shapes (H, W) or (D, H, W), the other way round.
Normalised coordinates have no unit, pixel coordinates count pixels from the centre of
the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from stnref.validation import (
    Array,
    expect_array,
    expect_cache,
    expect_count,
    expect_dtype,
    expect_flag,
    expect_sizes,
)


def _extent(sizes: Sequence[int], align_corners: bool) -> NDArray[np.int64]:
    """Pixels that the normalised interval of length 2 covers along each axis: d."""
    n = np.asarray(sizes)
    return n - 1 if expect_flag("align_corners", align_corners) else n


def target_grid(
    shape: Sequence[int], *, align_corners: bool = True, dtype: DTypeLike = np.float64
) -> Array:
    """Return the regular grid G of target pixels, in normalised coordinates.

    Parameters
    ----------
    shape : (H', W') or (D', H', W')
        Size of the output, in pixels.
    align_corners : bool
        True: -1 and 1 are the centres of the first and last pixel; False: their outer
        edges.
    dtype : float32 or float64

    Returns
    -------
    G : (H', W', 2) or (D', H', W', 3)
        ``G[i, j] = (x, y)``, in [-1, 1].

    Raises
    ------
    TypeError, ValueError
        `shape` is not two or three positive integers, `dtype` another one, or `align_corners`
        neither True nor False.

    Notes
    -----
    The G of the paper, section 3.2: the target coordinates (x^t, y^t) of equation 1.
    Along an axis G_i = (2i - (n-1)) / d (G3).

    Examples
    --------
    >>> target_grid((2, 3))[0].tolist()
    [[-1.0, -1.0], [0.0, -1.0], [1.0, -1.0]]
    """
    return supersampled_grid(shape, 1, align_corners=align_corners, dtype=dtype)


def supersampled_grid(
    shape: Sequence[int],
    factor: int,
    *,
    align_corners: bool = True,
    dtype: DTypeLike = np.float64,
) -> Array:
    """Return `factor` points along each axis in place of every point of the target grid.

    The points of one output pixel are spread evenly over it, their mean is its centre. Sample at
    the transformed points and average over squares of side `factor` (`nn.avg_pool2d_forward`):
    an output that is smaller than what it shows then sees all of it, not every second pixel.
    The pairs in between give the gradient.

    Parameters
    ----------
    shape : (H', W') or (D', H', W')
        Size of the output after averaging.
    factor : int
        Points along each axis of an output pixel.
    align_corners, dtype
        See `target_grid`.

    Returns
    -------
    G : (H' factor, W' factor, 2) or (D' factor, H' factor, W' factor, 3)

    Raises
    ------
    TypeError, ValueError
        As `target_grid`, or `factor` is no positive integer.

    Examples
    --------
    >>> supersampled_grid((1, 3), 2)[0, :, 0].tolist()
    [-1.25, -0.75, -0.25, 0.25, 0.75, 1.25]
    """
    sizes = expect_sizes("shape", shape, (2, 3))
    factor = expect_count("factor", factor)
    expect_sizes("shape times factor", [n * factor for n in sizes], (2, 3))
    dtype = expect_dtype("dtype", dtype)
    axes = []
    for n, d in zip(sizes, _extent(sizes, align_corners), strict=True):
        i = (np.arange(n * factor) + 0.5) / factor - 0.5  # in output pixels
        axes.append(((2 * i - (n - 1)) / max(d, 1)).astype(dtype))  # G3
    return np.stack(np.meshgrid(*axes, indexing="ij")[::-1], axis=-1)  # (H', W', 2)


class UnnormalizeCache(NamedTuple):
    """The factor ∂x/∂g of each coordinate, and the grid's shape."""

    slope: Array  # (2,) or (3,), in pixels; order (x, y, z)
    grid_shape: tuple[int, ...]


def unnormalize_forward(
    grid: ArrayLike, shape: Sequence[int], *, align_corners: bool = True
) -> tuple[Array, UnnormalizeCache]:
    """Map normalised coordinates to pixel coordinates of a map of size `shape`.

    Parameters
    ----------
    grid : (..., 2) or (..., 3)
        Normalised coordinates, last axis (x, y) or (x, y, z).
    shape : (H, W) or (D, H, W)
        Size of the input map, in pixels.
    align_corners : bool
        See `target_grid`.

    Returns
    -------
    points : same shape and dtype as `grid`
        Pixel coordinates, last axis (x, y) or (x, y, z).
    cache : UnnormalizeCache

    Raises
    ------
    TypeError, ValueError
        `grid` has no floating dtype, or not one coordinate for each entry of `shape`.

    Notes
    -----
    x(g) = (g d + n - 1) / 2 (G13), but for round-off, see `to_pixels`.

    Examples
    --------
    >>> points, _ = unnormalize_forward(target_grid((2, 3)), (2, 3))
    >>> points[1].tolist()
    [[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]
    """
    sizes = expect_sizes("shape", shape, (2, 3))
    grid = expect_array("grid", grid, ("...", len(sizes)))
    points, slope = to_pixels(grid, sizes, align_corners)
    return points, UnnormalizeCache(slope, grid.shape)


def unnormalize_backward(dpoints: ArrayLike, cache: UnnormalizeCache) -> Array:
    """dgrid = dpoints ∂x/∂g, with ∂x/∂g = d / 2 along each axis (G13).

    dpoints : shape of grid, per pixel -> dgrid : shape of grid. dtype: result_type of both.
    Raises ValueError if dpoints does not have the shape of grid, TypeError on its dtype.

    >>> _, cache = unnormalize_forward(np.zeros((1, 2)), (5, 9))
    >>> unnormalize_backward(np.ones((1, 2)), cache).tolist()
    [[4.0, 2.0]]
    """
    cache = expect_cache(cache, UnnormalizeCache, "unnormalize_forward")
    dpoints = expect_array("dpoints", dpoints, cache.grid_shape)
    return times_slope(dpoints, cache.slope)  # G13


def unnormalize_jvp(grid_dot: ArrayLike, cache: UnnormalizeCache) -> Array:
    """points_dot = grid_dot ∂x/∂g, with ∂x/∂g = d / 2 along each axis (G13).

    grid_dot : shape of grid -> points_dot : shape of grid, pixels. dtype: result_type of both.
    Raises ValueError if grid_dot does not have the shape of grid, TypeError on its dtype.

    >>> _, cache = unnormalize_forward(np.zeros((1, 2)), (5, 9))
    >>> unnormalize_jvp(np.array([[0.5, 1.0]]), cache).tolist()
    [[2.0, 2.0]]
    """
    cache = expect_cache(cache, UnnormalizeCache, "unnormalize_forward")
    grid_dot = expect_array("grid_dot", grid_dot, cache.grid_shape)
    return times_slope(grid_dot, cache.slope)  # G13


def to_pixels(grid: Array, sizes: Sequence[int], align_corners: bool) -> tuple[Array, Array]:
    """Return pixel coordinates and their slope ∂x/∂g. The only place where that factor stands.

    Parameters
    ----------
    grid : (..., 2) or (..., 3)
        Normalised coordinates, last axis (x, y) or (x, y, z).
    sizes : (H, W) or (D, H, W)
        Size of the input map, in pixels.
    align_corners : bool
        See `target_grid`.

    Returns
    -------
    points : same shape and dtype as `grid`
    slope : (2,) or (3,)
        In pixels, order (x, y) or (x, y, z).

    Notes
    -----
    x(g) = (g d + n - 1) / 2 (G13) rounds, and a coordinate that ought to lie on a pixel may end
    an ulp below it, in another cell of the interpolation. Adding and subtracting
    M = 3 * 2^ceil(log2 n) rounds x to a multiple of ulp(M), about eps * n: every pixel
    centre of the target grid then lands on its integer exactly, and no other coordinate
    moves by more than that. M is real, so a complex step passes unchanged. Nothing is checked
    here: `unnormalize_forward` does that.

    Examples
    --------
    >>> points, slope = to_pixels(np.array([[0.0, 1.0]]), (5, 9), False)
    >>> points.tolist(), slope.tolist()
    ([[4.0, 4.5]], [4.5, 2.5])
    """
    real = grid.real.dtype
    n = np.asarray(sizes[::-1]).astype(real)  # (2,), order (x, y)
    d = _extent(sizes[::-1], align_corners).astype(real)
    M = (3 * 2 ** np.ceil(np.log2(n))).astype(real)
    points = np.empty_like(grid)
    for a in range(len(n)):  # one axis at a time: NumPy is slow along a last axis of 2
        points[..., a] = (grid[..., a] * d[a] + (n[a] - 1)) / 2 + M[a] - M[a]  # G13
    return points, d / 2


def times_slope(points: Array, slope: Array) -> Array:
    """Multiply gradients or tangents by ∂x/∂g, coordinate by coordinate.

    Parameters
    ----------
    points : (..., 2) or (..., 3)
    slope : (2,) or (3,), or the shape of points
        In pixels, order (x, y) or (x, y, z).

    Returns
    -------
    array, shape of points
        dtype ``numpy.result_type`` of both.

    Notes
    -----
    Nothing is checked here.

    Examples
    --------
    >>> times_slope(np.ones((1, 2)), np.array([4.0, 2.0])).tolist()
    [[4.0, 2.0]]
    """
    product = np.empty(points.shape, np.result_type(points, slope))
    for a in range(points.shape[-1]):
        np.multiply(points[..., a], slope[..., a], out=product[..., a])
    return product


def normalize(points: ArrayLike, shape: Sequence[int], *, align_corners: bool = True) -> Array:
    """Map pixel coordinates to normalised ones: the inverse of `unnormalize_forward`.

    Parameters
    ----------
    points : (..., 2) or (..., 3)
        Pixel coordinates, last axis (x, y) or (x, y, z).
    shape : (H, W) or (D, H, W)
        Size of the map, in pixels.
    align_corners : bool
        See `target_grid`.

    Returns
    -------
    grid : same shape and dtype as `points`
        Where an axis of size one has aligned corners, all g mean pixel 0 and there is no
        inverse; d = 1 is used, so pixel 0 gives G = 0.

    Raises
    ------
    TypeError, ValueError
        As `unnormalize_forward`.

    Examples
    --------
    >>> normalize(np.array([2.0, 0.5]), (2, 3)).tolist()
    [1.0, 0.0]
    """
    sizes = expect_sizes("shape", shape, (2, 3))
    points = expect_array("points", points, ("...", len(sizes)))
    real = points.real.dtype
    n = np.asarray(sizes[::-1]).astype(real)  # (2,), order (x, y)
    d = np.maximum(_extent(sizes[::-1], align_corners), 1).astype(real)
    return (2 * points - (n - 1)) / d  # G13, solved for g
