r"""The sampler: (U, points) -> V, and its derivatives.

Derivation: ``docs/derivations/sampler.md``, equations S1 to S15.

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
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike

from stnref.coordinates import times_slope, to_pixels
from stnref.kernels import MODES, Kernel, get_kernel
from stnref.padding import PaddingLike, get_paddings, padding_modes
from stnref.taps import SamplingMatrix, locate, row_dots
from stnref.validation import (
    TARGET_AXES,
    Array,
    expect_array,
    expect_cache,
    expect_choice,
    expect_finite,
    expect_needs,
)


class SampleCache(NamedTuple):
    """The map and the matrix that sampled it.

    Attributes
    ----------
    U : (B, H, W, C) or (B, D, H, W, C)
        The input map: a reference, not a copy.
    S : SamplingMatrix
        Where the samples lie.
    """

    U: Array
    S: SamplingMatrix

    @property
    def V_shape(self) -> tuple[int, ...]:
        """Shape of the output: (B, H', W', C) or (B, D', H', W', C)."""
        return (*self.S.out_shape, self.U.shape[-1])

    @property
    def points_shape(self) -> tuple[int, ...]:
        """Shape of the points: (B, H', W', 2) or (B, D', H', W', 3)."""
        return (*self.S.out_shape, len(self.S.cell))


def sample_forward(
    U: ArrayLike,
    points: ArrayLike,
    *,
    kernel: str | Kernel = "linear",
    padding: PaddingLike = "zeros",
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
    padding : str or Padding, or a sequence of these
        "zeros", "border", "reflection_centres", "reflection_edges", "wrap", or a map on indices
        of your own; for all axes, or one for each of x, y (and z).
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
        A shape does not fit, the map has no pixels or no channels, an option is unknown, or a
        coordinate is not finite.

    Notes
    -----
    U and points may be complex: nothing is conjugated, so that a complex step can check the
    derivatives. What backward gives for a complex picture is therefore not the gradient of a
    real loss; for that, sample its real and its imaginary part as two channels.

    Examples
    --------
    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> V, cache = sample_forward(U, np.array([2.25, 0.0]).reshape(1, 1, 1, 2))
    >>> V.item()
    5.25
    """
    U, points = expect_map_and_points(U, "points", points)
    expect_known("points", points, nonfinite)
    S = locate(U.shape[:-1], points, get_kernel(kernel), get_paddings(padding, U.ndim - 2))
    return S @ U, SampleCache(U, S)  # S1


@overload
def sample_backward(dV: ArrayLike, cache: SampleCache) -> tuple[Array, Array]: ...
@overload
def sample_backward(
    dV: ArrayLike, cache: SampleCache, *, needs: Collection[str]
) -> tuple[Any, Any]: ...  # one that is declined is None
def sample_backward(
    dV: ArrayLike, cache: SampleCache, *, needs: Collection[str] = ("U", "points")
) -> tuple[Array | None, Array | None]:
    """dU = S^T dV (S8) and dx = sum_c dV (S_x U), likewise for y (S9): equations 6 and 7.

    dV : shape of V -> dU : shape of U, dpoints : shape of points, per pixel. On the lattice the
    slope is what the kernel's rule says. `needs` names the gradients to compute, a subset of
    {"U", "points"}; the other comes as None. dtype: result_type of dV, points, and in dpoints of U;
    nothing is conjugated, so a complex picture goes in as two channels, see `sample_forward`.
    Raises ValueError if dV does not have the shape of V or `needs` names something else, TypeError
    on the dtype of dV.

    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> V, cache = sample_forward(U, np.array([2.25, 0.0]).reshape(1, 1, 1, 2))
    >>> dU, dpoints = sample_backward(np.ones_like(V), cache)
    >>> dU.ravel().tolist(), dpoints.ravel().tolist()  # the slope by x is 9 - 4
    ([0.0, 0.0, 0.75, 0.25], [5.0, -5.25])
    """
    cache = expect_cache(cache, SampleCache, "sample_forward")
    dV = expect_array("dV", dV, cache.V_shape)
    expect_needs(needs, ("U", "points"))
    return _backward(dV, cache, "U" in needs, "points" in needs)


def _backward(
    dV: Array, cache: SampleCache, needs_U: bool, needs_points: bool
) -> tuple[Array | None, Array | None]:
    U, S = cache
    dU = S.T @ dV if needs_U else None  # S8
    return dU, points_gradient(dV, S, U) if needs_points else None


def points_gradient(dV: Array, S: SamplingMatrix, U: Array) -> Array:
    """Return the gradient of <dV, S U> by the points.

    Parameters
    ----------
    dV : (B, H', W', C)
    S : SamplingMatrix
    U : (B, H, W, C)

    Returns
    -------
    dpoints : (B, H', W', 2) or (B, D', H', W', 3)
        Per pixel, last axis (x, y) or (x, y, z).

    Notes
    -----
    dx = sum_c dV (S_x U), likewise for y (S9). Nothing is checked here.

    Examples
    --------
    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> V, (_, S) = sample_forward(U, np.array([2.25, 0.0]).reshape(1, 1, 1, 2))
    >>> points_gradient(np.ones_like(V), S, U).ravel().tolist()  # below there are zeros
    [5.0, -5.25]
    """
    return row_dots(dV, S.slopes, U)  # S9


def sample_jvp(U_dot: ArrayLike | None, points_dot: ArrayLike | None, cache: SampleCache) -> Array:
    """V_dot = S U_dot + x_dot (S_x U) + y_dot (S_y U) (S7); a tangent of None is zero.

    U_dot : shape of U, points_dot : shape of points, pixels -> V_dot : shape of V. dtype:
    result_type of all.
    Raises ValueError if a tangent does not have the shape of its input, TypeError on its dtype.

    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> _, cache = sample_forward(U, np.array([2.25, 0.0]).reshape(1, 1, 1, 2))
    >>> sample_jvp(None, np.array([2.0, 0.0]).reshape(1, 1, 1, 2), cache).item()
    10.0
    """
    cache = expect_cache(cache, SampleCache, "sample_forward")
    U_dot, points_dot = _expect_tangents("U_dot", U_dot, "points_dot", points_dot, cache)
    return _tangent(cache.S, cache.U, U_dot, points_dot)


def _tangent(S: SamplingMatrix, U: Array, U_dot: Array | None, points_dot: Array | None) -> Array:
    """Return the tangent of S U; S may be one of its derivatives."""
    V_dot = np.zeros((*S.out_shape, U.shape[-1]), np.result_type(U, S.dtype))
    if U_dot is not None:
        V_dot = V_dot + S @ U_dot  # S7
    if points_dot is not None:
        V_dot = V_dot + S.along(points_dot) @ U  # S7
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
        S ddU + ddx (S_x U) + ddy (S_y U), the tangent map (S14).
    dU : shape of U
        S_x^T (ddx dV) + S_y^T (ddy dV) (S14).
    dpoints : shape of points
        sum_c dV (S_x ddU + ddx (S_xx U) + ddy (S_xy U)), likewise for y (S15). With the linear
        kernel S_xx = 0 inside a cell; the delta on a kink is dropped.

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit.

    Examples
    --------
    dV/dx = 5 at this point, so the gradient of dx with respect to dV is 5:

    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> V, cache = sample_forward(U, np.array([2.25, 0.0]).reshape(1, 1, 1, 2))
    >>> ddpoints = np.array([1.0, 0.0]).reshape(1, 1, 1, 2)
    >>> sample_double_backward(None, ddpoints, np.ones_like(V), cache)[0].item()
    5.0
    """
    cache = expect_cache(cache, SampleCache, "sample_forward")
    dV = expect_array("dV", dV, cache.V_shape)
    ddU, ddpoints = _expect_tangents("ddU", ddU, "ddpoints", ddpoints, cache)
    return _double_backward(ddU, ddpoints, dV, cache)


def _double_backward(
    ddU: Array | None, ddpoints: Array | None, dV: Array, cache: SampleCache
) -> tuple[Array, Array, Array]:
    U, S = cache
    d_dV = _tangent(S, U, ddU, ddpoints)  # S14
    dU = np.zeros(U.shape, dtype=np.result_type(d_dV, dV))
    dpoints = np.zeros(cache.points_shape, dtype=dU.dtype)
    if ddU is not None:
        dpoints = dpoints + row_dots(dV, S.slopes, ddU)  # S15
    if ddpoints is not None:
        S_dot = S.along(ddpoints)
        dU = dU + S_dot.T @ dV  # S14
        dpoints = dpoints + row_dots(dV, S_dot.slopes, U)  # S15
    return d_dV, dU, dpoints


def expect_map_and_points(U: ArrayLike, name: str, points: ArrayLike) -> tuple[Array, Array]:
    """Check a map and the coordinates at which to sample it.

    Parameters
    ----------
    U : (B, H, W, C) or (B, D, H, W, C)
    name : str
        What the caller calls the points.
    points : (B, H', W', 2) or (B, D', H', W', 3)

    Returns
    -------
    U, points : arrays

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit.

    Examples
    --------
    >>> expect_map_and_points(np.zeros((1, 4, 5, 2)), "grid", np.zeros((1, 3, 2)))
    Traceback (most recent call last):
        ...
    ValueError: grid: expected shape (1, H', W', 2), got (1, 3, 2)
    """
    U = expect_array("U", U, ("B", "H", "W", "C"), ("B", "D", "H", "W", "C"))
    d = U.ndim - 2
    return U, expect_array(name, points, (len(U), *TARGET_AXES[d], d))


def expect_known(name: str, points: Array, nonfinite: str) -> None:
    """Check that all coordinates are finite, or that the caller takes others as outside.

    Parameters
    ----------
    name : str
        What the caller calls the points.
    points : array
    nonfinite : "raise" or "outside"

    Raises
    ------
    ValueError
        `nonfinite` is neither; as NonFiniteError, it is "raise" and a coordinate is not finite.

    Examples
    --------
    >>> expect_known("points", np.array([np.nan]), "outside")
    """
    expect_choice("nonfinite", nonfinite, ("raise", "outside"))
    if nonfinite == "raise":
        expect_finite(name, points)


def _expect_tangents(
    U_name: str, U: ArrayLike | None, points_name: str, points: ArrayLike | None, cache: SampleCache
) -> tuple[Array | None, Array | None]:
    """Check a tangent of U and one of the points, either of which may be None."""
    return (
        None if U is None else expect_array(U_name, U, cache.U.shape),
        None if points is None else expect_array(points_name, points, cache.points_shape),
    )


# --------------------------------------------------------------- in normalised coordinates


class GridSampleCache(NamedTuple):
    """The sampler's cache, and the factor from normalised coordinates to pixels.

    Attributes
    ----------
    sample : SampleCache
    slope : (2,) or (3,), or the shape of the grid
        ∂x/∂g of each coordinate, in pixels; order (x, y) or (x, y, z).
    """

    sample: SampleCache
    slope: Array


def grid_sample_forward(
    U: ArrayLike,
    grid: ArrayLike,
    *,
    mode: str | Kernel = "bilinear",
    padding_mode: PaddingLike = "zeros",
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
    mode : "nearest", "bilinear" or "bicubic", or a Kernel
        Name of the interpolation; in volumes they are trilinear and tricubic.
    padding_mode : "zeros", "border", "reflection" or "wrap", or a Padding, or a sequence of these
        How U continues outside; for all axes, or one for each of x, y (and z). A reflection is
        about -1 and 1, whatever these are. The period of "wrap" is n pixels: the way from -1 to
        1 where these are edges, one pixel more where they are centres.
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
        As `sample_forward`. Complex pictures: see there too.

    Examples
    --------
    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> V, _ = grid_sample_forward(U, np.array([0.5, 0.0]).reshape(1, 1, 1, 2))  # at x = 2.25
    >>> V.item()
    5.25
    """
    U, grid = expect_map_and_points(U, "grid", grid)
    kernel = get_kernel(mode, "mode", MODES)
    known = padding_modes(align_corners)
    paddings = get_paddings(padding_mode, U.ndim - 2, "padding_mode", known)
    expect_known("grid", grid, nonfinite)
    with np.errstate(over="ignore"):  # of the largest numbers, as the next line tells
        points, slope = to_pixels(grid, U.shape[1:-1], align_corners)
    expect_known("grid, in pixels", points, nonfinite)
    S = locate(U.shape[:-1], points, kernel, paddings)
    del points  # which with one channel are as large as U and V together
    return S @ U, GridSampleCache(SampleCache(U, S), slope)


@overload
def grid_sample_backward(dV: ArrayLike, cache: GridSampleCache) -> tuple[Array, Array]: ...
@overload
def grid_sample_backward(
    dV: ArrayLike, cache: GridSampleCache, *, needs: Collection[str]
) -> tuple[Any, Any]: ...  # one that is declined is None
def grid_sample_backward(
    dV: ArrayLike, cache: GridSampleCache, *, needs: Collection[str] = ("U", "grid")
) -> tuple[Array | None, Array | None]:
    """dU = S^T dV (S8) and dgrid = dpoints ∂x/∂g, with the dpoints of S9 (S12).

    dV : shape of V -> dU : shape of U, dgrid : shape of grid. `needs` names the gradients to
    compute, a subset of {"U", "grid"}; the other comes as None. dtype: as `sample_backward`.
    Raises ValueError if dV does not have the shape of V or `needs` names something else, TypeError
    on the dtype of dV.

    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> V, cache = grid_sample_forward(U, np.array([0.5, 0.0]).reshape(1, 1, 1, 2))
    >>> _, dgrid = grid_sample_backward(np.ones_like(V), cache, needs=["grid"])
    >>> dgrid.ravel().tolist()  # 5 per pixel, times (W - 1) / 2; H = 1
    [7.5, -0.0]
    """
    cache = expect_cache(cache, GridSampleCache, "grid_sample_forward")
    dV = expect_array("dV", dV, cache.sample.V_shape)
    expect_needs(needs, ("U", "grid"))
    dU, dpoints = _backward(dV, cache.sample, "U" in needs, "grid" in needs)
    return dU, None if dpoints is None else times_slope(dpoints, cache.slope)  # S12


def grid_sample_jvp(
    U_dot: ArrayLike | None, grid_dot: ArrayLike | None, cache: GridSampleCache
) -> Array:
    """V_dot = S U_dot + x_dot (S_x U) + y_dot (S_y U), x_dot = gx_dot ∂x/∂g (S7); None is zero.

    U_dot : shape of U, grid_dot : shape of grid -> V_dot : shape of V. dtype: result_type of all.
    Raises ValueError if a tangent does not have the shape of its input, TypeError on its dtype.

    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> _, cache = grid_sample_forward(U, np.array([0.5, 0.0]).reshape(1, 1, 1, 2))
    >>> grid_sample_jvp(None, np.array([2.0, 0.0]).reshape(1, 1, 1, 2), cache).item()
    15.0
    """
    cache = expect_cache(cache, GridSampleCache, "grid_sample_forward")
    U_dot, grid_dot = _expect_tangents("U_dot", U_dot, "grid_dot", grid_dot, cache.sample)
    points_dot = None if grid_dot is None else times_slope(grid_dot, cache.slope)  # S12
    return _tangent(cache.sample.S, cache.sample.U, U_dot, points_dot)


def grid_sample_double_backward(
    ddU: ArrayLike | None, ddgrid: ArrayLike | None, dV: ArrayLike, cache: GridSampleCache
) -> tuple[Array, Array, Array]:
    """d_dV, dU and dgrid: `sample_double_backward` between two factors ∂x/∂g (S12, S14, S15).

    ddU : shape of U, ddgrid : shape of grid, dV : shape of V -> d_dV : shape of V, dU : shape of
    U, dgrid : shape of grid. ddU or ddgrid may be None for zero. dtype: result_type of all.
    Raises ValueError if one does not have the shape of its output, TypeError on its dtype.

    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> V, cache = grid_sample_forward(U, np.array([0.5, 0.0]).reshape(1, 1, 1, 2))
    >>> ddgrid = np.array([1.0, 0.0]).reshape(1, 1, 1, 2)
    >>> grid_sample_double_backward(None, ddgrid, np.ones_like(V), cache)[0].item()
    7.5
    """
    cache = expect_cache(cache, GridSampleCache, "grid_sample_forward")
    dV = expect_array("dV", dV, cache.sample.V_shape)
    ddU, ddgrid = _expect_tangents("ddU", ddU, "ddgrid", ddgrid, cache.sample)
    ddpoints = None if ddgrid is None else times_slope(ddgrid, cache.slope)  # S12
    d_dV, dU, dpoints = _double_backward(ddU, ddpoints, dV, cache.sample)
    return d_dV, dU, times_slope(dpoints, cache.slope)  # S12


def grid_sample(
    U: ArrayLike,
    grid: ArrayLike,
    *,
    mode: str | Kernel = "bilinear",
    padding_mode: PaddingLike = "zeros",
    align_corners: bool = True,
    nonfinite: str = "raise",
) -> Array:
    """Sample U at normalised coordinates; channels last, align_corners=True, unlike PyTorch.

    `grid_sample_forward` without its cache; see there.

    Parameters
    ----------
    U, grid, mode, padding_mode, align_corners, nonfinite
        See `grid_sample_forward`.

    Returns
    -------
    V : (B, H', W', C) or (B, D', H', W', C)
        dtype ``numpy.result_type(U, grid)``.

    Raises
    ------
    TypeError, ValueError
        As `sample_forward`.

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
