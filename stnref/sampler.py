r"""The sampler: (U, points) -> V, and its derivatives.

For a sample at (x, y), in pixels, with a one-dimensional kernel k and U extended by a padding
(equation 3; volumes have one more factor):

.. math::  V_i^c = \sum_n \sum_m U_{nm}^c \, k(x_i - m) \, k(y_i - n)

Read V as S U, where the sparse matrix S of `stnref.taps` has a row for each sample, and write
S_x, S_y for the same pattern with k' in place of k along that axis. Then every derivative is one
line:

    V  = S U                            dU = S^T dV
    dx = sum_c dV (S_x U)               V_dot = S U_dot + x_dot (S_x U) + y_dot (S_y U)

The second derivatives have S_xx, S_xy, S_yy, with k'' or two k' in place of k.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stnref.coordinates import (
    UnnormalizeCache,
    unnormalize_backward,
    unnormalize_forward,
    unnormalize_jvp,
)
from stnref.kernels import Kernel, get_kernel
from stnref.padding import PADDINGS, Padding, get_padding
from stnref.taps import SampleCache, axes_of, factors, gather, locate, scatter
from stnref.validation import Array, expect_array, expect_choice, expect_finite, expect_needs


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
        "nearest", "linear", "cubic", "bspline3", or a kernel of your own.
    padding : str or Padding
        "zeros", "border", "reflection_centres", "reflection_edges", or a map on indices of your
        own.
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
    cache = locate(U, points, get_kernel(kernel), get_padding(padding))
    return gather(U, cache, factors(cache)), cache


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
        sum_c dV (S_x U), likewise for y: per pixel. On the lattice, what the kernel's rule says.

    Raises
    ------
    ValueError
        dV does not have the shape of V, or `needs` names something else.
    """
    dV = expect_array("dV", dV, cache.out_shape)
    expect_needs(needs, ("U", "points"))
    dU = scatter(dV, cache, factors(cache)) if "U" in needs else None
    if "points" not in needs:
        return dU, None
    slopes = [
        (dV * gather(cache.U, cache, factors(cache, axis))).sum(axis=-1)
        for axis in range(len(cache.indices))
    ]
    return dU, np.stack(slopes[::-1], axis=-1)  # (B, H', W', 2), (x, y)


def sample_jvp(U_dot: ArrayLike | None, points_dot: ArrayLike | None, cache: SampleCache) -> Array:
    """Return V_dot = S U_dot + x_dot (S_x U) + y_dot (S_y U); a tangent of None is zero."""
    U_dot, points_dot = _expect_tangents("U_dot", U_dot, "points_dot", points_dot, cache)
    V_dot = np.zeros(cache.out_shape, dtype=np.result_type(cache.U, cache.fraction[0]))
    if U_dot is not None:
        V_dot = V_dot + gather(U_dot, cache, factors(cache))
    if points_dot is not None:
        for axis, x_dot in enumerate(axes_of(points_dot)):
            V_dot = V_dot + x_dot[..., None] * gather(cache.U, cache, factors(cache, axis))
    return V_dot


def sample_double_backward(
    ddU: ArrayLike | None, ddpoints: ArrayLike | None, dV: ArrayLike, cache: SampleCache
) -> tuple[Array, Array, Array]:
    """Differentiate `sample_backward`: pull gradients to its two outputs back to its inputs.

    Parameters
    ----------
    ddU, ddpoints : shapes of U and of points, or None for zero
        Gradients of a loss with respect to the dU and dpoints that `sample_backward` returned.
    dV : (B, H', W', C)
        What it was given.
    cache : SampleCache

    Returns
    -------
    d_dV : (B, H', W', C)
        S ddU + ddx (S_x U) + ddy (S_y U), the tangent map.
    dU : shape of U
        S_x^T (ddx dV) + S_y^T (ddy dV).
    dpoints : shape of points
        sum_c dV (S_x ddU + ddx (S_xx U) + ddy (S_xy U)), likewise for y. With the linear kernel
        S_xx = 0 inside a cell; the delta on a kink is dropped.

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit.
    """
    dV = expect_array("dV", dV, cache.out_shape)
    ddU, ddpoints = _expect_tangents("ddU", ddU, "ddpoints", ddpoints, cache)
    d_dV = sample_jvp(ddU, ddpoints, cache)
    axes = range(len(cache.indices))
    dU = np.zeros(cache.U.shape, dtype=np.result_type(d_dV, dV))
    slopes = [np.zeros(dV.shape[:-1], dtype=dU.dtype) for _ in axes]
    for a in axes:
        if ddU is not None:
            slopes[a] += (dV * gather(ddU, cache, factors(cache, a))).sum(axis=-1)
        if ddpoints is not None:
            dda = axes_of(ddpoints)[a][..., None]  # (B, H', W', 1)
            dU += scatter(dda * dV, cache, factors(cache, a))
            for b in axes:
                S_ab_U = gather(cache.U, cache, factors(cache, a, b))
                slopes[b] += (dda * dV * S_ab_U).sum(axis=-1)
    return d_dV, dU, np.stack(slopes[::-1], axis=-1)


def _expect_tangents(
    U_name: str, U: ArrayLike | None, points_name: str, points: ArrayLike | None, cache: SampleCache
) -> tuple[Array | None, Array | None]:
    """Check a tangent of U and one of the points, either of which may be None."""
    d = len(cache.indices)
    return (
        None if U is None else expect_array(U_name, U, cache.U.shape),
        None if points is None else expect_array(points_name, points, (*cache.out_shape[:-1], d)),
    )


# --------------------------------------------------------------- in normalised coordinates


class GridSampleCache(NamedTuple):
    """The caches of the two arrows that `grid_sample_forward` joins."""

    unnormalize: UnnormalizeCache
    sample: SampleCache


MODES = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic"}
"""The field's names of the interpolations, and our kernels."""

PADDING_MODES = ("zeros", "border", "reflection")
"""The field's names of the paddings; the corner rule says about what a reflection is."""


def padding_of(padding_mode: str, align_corners: bool) -> Padding:
    """Return the padding that the field's name means under that corner rule."""
    expect_choice("padding_mode", padding_mode, PADDING_MODES)
    if padding_mode == "reflection":
        padding_mode = "reflection_centres" if align_corners else "reflection_edges"
    return PADDINGS[padding_mode]


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
    mode : "nearest", "bilinear" or "bicubic"
        Name of the interpolation; in volumes they are trilinear and tricubic.
    padding_mode : "zeros", "border" or "reflection"
        How U continues outside. A reflection is about -1 and 1, whatever these are.
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
    padding = padding_of(padding_mode, align_corners)
    expect_choice("nonfinite", nonfinite, ("raise", "outside"))
    if nonfinite == "raise":
        expect_finite("grid", grid)
    points, unnormalize_cache = unnormalize_forward(
        grid, U.shape[1:-1], align_corners=align_corners
    )
    V, sample_cache = sample_forward(
        U, points, kernel=MODES[mode], padding=padding, nonfinite=nonfinite
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


def grid_sample_double_backward(
    ddU: ArrayLike | None, ddgrid: ArrayLike | None, dV: ArrayLike, cache: GridSampleCache
) -> tuple[Array, Array, Array]:
    """Return d_dV, dU and dgrid, see `sample_double_backward`."""
    ddpoints = None if ddgrid is None else unnormalize_jvp(ddgrid, cache.unnormalize)
    d_dV, dU, dpoints = sample_double_backward(ddU, ddpoints, dV, cache.sample)
    return d_dV, dU, unnormalize_backward(dpoints, cache.unnormalize)


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
