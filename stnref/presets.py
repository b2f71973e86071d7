r"""Other systems' rules, exactly: PyTorch, ONNX, SciPy. Layout, names and errors are ours.

Where a padding is concerned the field has two readings. Ours extends the *map* to the lattice:
a rule on indices. PyTorch (for nearest and bilinear) and ONNX move the *coordinate* into the
picture first. The values of bilinear interpolation are the same; slopes differ on the lattice.
`docs/conventions.md` lists every difference.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnref.kernels import MODES
from stnref.padding import (
    Padding,
    border,
    padding_modes,
    reflection_centres,
    reflection_edges,
    wrap,
    zeros,
)
from stnref.sampler import (
    GridSampleCache,
    expect_map_and_points,
    grid_sample_backward,
    sample_forward,
)
from stnref.validation import Array, expect_choice


def _plain_points(
    grid: Array, shape: Sequence[int], align_corners: bool
) -> tuple[Array, NDArray[np.float64]]:
    """Return pixel coordinates by the plain formula, not snapped to the lattice, and dx/dg."""
    n = np.asarray(shape[::-1]).astype(grid.real.dtype)  # (d,), order (x, y)
    if align_corners:
        return (grid + 1) / 2 * (n - 1), (n - 1) / 2
    return ((grid + 1) * n - 1) / 2, n / 2


# --------------------------------------------------------- coordinates, moved into the picture


def _clip(x: Array, n: int) -> tuple[Array, Array]:
    """Clip x to [0, n - 1]; the slope is 0 on the bounds already."""
    slope = ((x.real > 0) & (x.real < n - 1)).astype(x.real.dtype)
    return np.where(x.real <= 0, 0, np.where(x.real >= n - 1, n - 1, x)), slope


def _reflect(x: Array, low: float, high: float) -> tuple[Array, Array]:
    """Reflect x about low and high until it lies between; the slope is 1 or -1."""
    span = high - low
    if span == 0:
        return np.zeros_like(x), np.zeros_like(x.real)
    sign = np.where(x.real < low, -1, 1).astype(x.real.dtype)
    distance = (x - low) * sign  # from the lower bound
    flips = np.floor(distance.real / span)
    rest = distance - flips * span
    odd = flips % 2 == 1
    return np.where(odd, high - rest, low + rest), np.where(odd, -sign, sign)


def _into_the_picture(
    points: Array, shape: Sequence[int], padding_mode: str, align_corners: bool
) -> tuple[Array, Array]:
    """Move every coordinate into the picture, as PyTorch does; return the slopes too."""
    moved, slopes = points.copy(), np.ones_like(points.real)
    for axis, n in enumerate(shape[::-1]):
        x, slope = points[..., axis], slopes[..., axis]
        if padding_mode == "reflection":
            x, slope = _reflect(x, *_bounds(n, align_corners))
        if padding_mode != "zeros":
            x, clip_slope = _clip(x, n)
            slope = slope * clip_slope
        moved[..., axis], slopes[..., axis] = x, slope
    return moved, slopes


def _bounds(n: int, align_corners: bool) -> tuple[float, float]:
    """Return where an axis of n pixels is reflected."""
    return (0, n - 1) if align_corners else (-0.5, n - 0.5)


# ----------------------------------------------------------------------------------- PyTorch

PADDING_MODES = ("zeros", "border", "reflection")
"""The paddings that PyTorch and ONNX have."""


def pytorch_grid_sample_forward(
    U: ArrayLike,
    grid: ArrayLike,
    *,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> tuple[Array, GridSampleCache]:
    """Sample as ``torch.nn.functional.grid_sample`` does, but channels last.

    Parameters
    ----------
    U : (B, H, W, C) or (B, D, H, W, C)
        In PyTorch (B, C, H, W): ``U.transpose(0, 3, 1, 2)``.
    grid : (B, H', W', 2) or (B, D', H', W', 3)
        Normalised coordinates, (x, y) or (x, y, z), as in PyTorch.
    mode : "nearest", "bilinear" or "bicubic"
        "bicubic" is for pictures only.
    padding_mode : "zeros", "border" or "reflection"
    align_corners : bool
        PyTorch's default, unlike ours, is False.

    Returns
    -------
    V : (B, H', W', C) or (B, D', H', W', C)
    cache : GridSampleCache
        Its ``slope`` has the shape of the grid: it is 0 where a coordinate was clipped.

    Raises
    ------
    TypeError, ValueError
        As `grid_sample_forward`; "bicubic" of a volume.

    Notes
    -----
    It differs from `grid_sample_forward` with the same options in these rules:

    - nearest rounds half to even, ours half up;
    - border: the slope is 0 at the outer pixels' centres already, ours the right one;
    - reflection: on the lattice the slope is the right one of the *reflected* coordinate, so in
      odd periods it is our left one; at the folds it is 0;
    - on the lattice with round-off: the plain formula may put a lattice point an ulp aside, ours
      lands on it.

    Examples
    --------
    At x = 2.5, half a pixel from the outer edge:

    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> V, _ = pytorch_grid_sample_forward(U, np.array([0.5, 0.0]).reshape(1, 1, 1, 2))
    >>> V.item()
    6.5
    """
    U, grid = expect_map_and_points(U, "grid", grid)
    expect_choice("mode", mode, MODES)
    expect_choice("padding_mode", padding_mode, PADDING_MODES)
    if mode == "bicubic" and U.ndim == 5:
        raise ValueError(f"mode: expected 'nearest' or 'bilinear' for a volume, got {mode!r}")
    shape = U.shape[1:-1]
    points, slope = _plain_points(grid, shape, align_corners)
    padding: Padding = zeros
    if mode == "bicubic":  # here PyTorch too pads the taps
        padding, slopes = padding_modes(align_corners)[padding_mode], np.ones_like(points.real)
    else:
        points, slopes = _into_the_picture(points, shape, padding_mode, align_corners)
    if mode == "nearest":
        points = np.rint(points.real)
    V, sample = sample_forward(U, points, kernel=MODES[mode](), padding=padding)
    return V, GridSampleCache(sample, slope * slopes)


def pytorch_grid_sample_backward(
    dV: ArrayLike, cache: GridSampleCache, *, needs: Collection[str] = ("U", "grid")
) -> tuple[Array | None, Array | None]:
    """dU = S^T dV (S8) and dgrid = dpoints dx/dg (S12), dx/dg by PyTorch's rules.

    dV : shape of V -> dU : shape of U, dgrid : shape of grid; see `grid_sample_backward`.
    Raises TypeError, ValueError as `grid_sample_backward`.

    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> V, cache = pytorch_grid_sample_forward(U, np.array([0.5, 0.0]).reshape(1, 1, 1, 2))
    >>> pytorch_grid_sample_backward(np.ones_like(V), cache)[1][..., 0].item()  # 5 times W / 2
    10.0
    """
    return grid_sample_backward(dV, cache, needs=needs)


def pytorch_grid_sample(
    U: ArrayLike,
    grid: ArrayLike,
    *,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> Array:
    """`pytorch_grid_sample_forward` without its cache; align_corners=False as in PyTorch.

    Parameters
    ----------
    U, grid, mode, padding_mode, align_corners
        See `pytorch_grid_sample_forward`.

    Returns
    -------
    V : (B, H', W', C) or (B, D', H', W', C)

    Raises
    ------
    TypeError, ValueError
        As `grid_sample_forward`; "bicubic" of a volume.

    Examples
    --------
    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> pytorch_grid_sample(U, np.array([0.5, 0.0]).reshape(1, 1, 1, 2)).item()
    6.5
    """
    return pytorch_grid_sample_forward(
        U, grid, mode=mode, padding_mode=padding_mode, align_corners=align_corners
    )[0]


# -------------------------------------------------------------------------------------- ONNX

ONNX_MODES = ("nearest", "linear", "cubic")
"""ONNX's names of the interpolations; our kernels have the same."""


def onnx_grid_sample(
    U: ArrayLike,
    grid: ArrayLike,
    *,
    mode: str = "linear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> Array:
    """Sample as ONNX's GridSample does, operator set 20 and later, but channels last.

    Parameters
    ----------
    U : (B, H, W, C) or (B, D, H, W, C)
    grid : (B, H', W', 2) or (B, D', H', W', 3)
        Normalised coordinates, (x, y) or (x, y, z), as in ONNX.
    mode : "nearest", "linear" or "cubic"
        Up to operator set 19 the last two were called "bilinear" and "bicubic".
    padding_mode : "zeros", "border" or "reflection"
    align_corners : bool

    Returns
    -------
    V : (B, H', W', C) or (B, D', H', W', C)

    Raises
    ------
    TypeError, ValueError
        As `grid_sample_forward`.

    Notes
    -----
    It differs from `grid_sample` in these rules: nearest rounds half to even, before it pads; the
    coordinate is clamped or reflected first in all modes, and the taps then once more, so that
    cubic with border or reflection gives other values outside of the picture. AffineGrid is
    `affine_grid` with the target grid of the same corner rule; on an axis of size one with
    aligned corners ONNX's reference fails, and ours is 0.

    Examples
    --------
    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> onnx_grid_sample(U, np.array([0.5, 0.0]).reshape(1, 1, 1, 2)).item()
    6.5
    """
    U, grid = expect_map_and_points(U, "grid", grid)
    expect_choice("mode", mode, ONNX_MODES)
    expect_choice("padding_mode", padding_mode, PADDING_MODES)
    shape = U.shape[1:-1]
    points, _ = _plain_points(grid, shape, align_corners)
    if mode == "nearest":
        points = np.rint(points.real)
    if padding_mode != "zeros":
        for axis, n in enumerate(shape[::-1]):
            x, (low, high) = points[..., axis], _bounds(n, align_corners)
            outside = (x.real < low) | (x.real > high)
            inner = _clip(x, n)[0] if padding_mode == "border" else _reflect(x, low, high)[0]
            points[..., axis] = np.where(outside, inner, x)
    padding = padding_modes(align_corners)[padding_mode]
    return sample_forward(U, points, kernel=mode, padding=padding)[0]


# ------------------------------------------------------------------------------------- SciPy

SCIPY_MODES: dict[str, Padding] = {
    "grid-constant": zeros,
    "nearest": border,
    "mirror": reflection_centres,
    "reflect": reflection_edges,
    "grid-wrap": wrap,
}
"""SciPy's names of the paddings, and ours."""


def scipy_map_coordinates(U: ArrayLike, points: ArrayLike, *, mode: str = "grid-constant") -> Array:
    """Sample as ``scipy.ndimage.map_coordinates(order=1)`` does, every channel alike.

    Parameters
    ----------
    U : (B, H, W, C) or (B, D, H, W, C)
        SciPy takes one map (H, W) at a time.
    points : (B, H', W', 2) or (B, D', H', W', 3)
        Pixel coordinates, last axis (x, y) or (x, y, z). SciPy wants (row, column), in the first
        axis: ``np.moveaxis(points[b, ..., ::-1], -1, 0)``.
    mode : "grid-constant", "nearest", "mirror", "reflect" or "grid-wrap"
        Zeros, border, reflection about centres, about edges, wrap. (SciPy's own default,
        "constant", cuts off outside of the picture in place of interpolating towards zero; its
        "wrap" has a period of n - 1 pixels.)

    Returns
    -------
    V : (B, H', W', C) or (B, D', H', W', C)

    Raises
    ------
    TypeError, ValueError
        As `sample_forward`.

    Notes
    -----
    Order 1 alone: SciPy's higher orders filter the map first, which makes every output depend on
    every pixel, another operator; its order 0 reflects before it rounds.

    Examples
    --------
    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> points = np.array([[2.25, 0.0], [4.0, 0.0]]).reshape(1, 1, 2, 2)
    >>> scipy_map_coordinates(U, points, mode="mirror").ravel().tolist()
    [5.25, 4.0]
    """
    expect_choice("mode", mode, SCIPY_MODES)
    return sample_forward(U, points, padding=SCIPY_MODES[mode])[0]
