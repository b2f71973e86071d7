r"""Other systems' rules: PyTorch, ONNX, SciPy. Layout, names and errors are ours.

Where a padding is concerned the field has two readings. Ours extends the *map* to the lattice:
a rule on indices. PyTorch (but for bicubic) and ONNX move the *coordinate* into the picture first.
The values are the same, but for ONNX's cubic with border; slopes differ on the lattice.
`docs/conventions.md` lists every difference.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

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
    expect_known,
    expect_map_and_points,
    grid_sample_backward,
    sample_forward,
)
from stnref.validation import Array, expect_choice, expect_finite, expect_flag


def _plain_points(grid: Array, n: Array, align_corners: bool, fused: bool) -> tuple[Array, Array]:
    """Return pixel coordinates by the plain formula, not snapped to the lattice, and ∂x/∂g."""
    with np.errstate(over="ignore", invalid="ignore"):  # the caller looks at the outcome
        s = grid + 1
        if expect_flag("align_corners", align_corners):
            return s / 2 * (n - 1), (n - 1) / 2
        return (_fused_minus_one(s, n) if fused else s * n - 1) / 2, n / 2


def _fused_minus_one(s: Array, n: Array) -> Array:
    """Return s n - 1 rounded once, as the machine's fused multiply-add does.

    s splits into a multiple of 2^-26 and a rest of 26 bits. While n and |s| n are less
    than 2^26, both products and the difference are exact, and so only the last sum rounds.
    """
    M = 3.0 * 2**25  # adding and subtracting it rounds to a multiple of 2^-26
    wide = s.astype(np.result_type(s, np.float64))
    high = wide + M - M
    return (high * n - 1 + (wide - high) * n).astype(s.dtype)


def _sizes(U: Array, grid: Array) -> Array:
    """Return the map's sizes in the grid's precision: (d,), order (x, y)."""
    return np.asarray(U.shape[-2:0:-1]).astype(grid.real.dtype)


# --------------------------------------------------------- coordinates, moved into the picture


def _clip(x: Array, n: Array) -> tuple[Array, Array]:
    """Clip x to [0, n - 1]; the slope is 0 on the bounds already."""
    slope = ((x.real > 0) & (x.real < n - 1)).astype(x.real.dtype)
    return np.where(x.real <= 0, 0, np.where(x.real >= n - 1, n - 1, x)), slope


def _reflect(x: Array, n: Array, align_corners: bool) -> tuple[Array, Array]:
    """Reflect x about the picture's bounds until it lies between; the slope is 1 or -1."""
    low, high = _bounds(n, align_corners)
    span = np.maximum(high - low, 1)  # it is 0 for one pixel, to which x is clipped later
    sign = np.where(x.real < low, -1, 1).astype(x.real.dtype)
    distance = (x - low) * sign  # from the lower bound
    flips = np.floor(distance.real / span)
    rest = distance - flips * span
    odd = flips % 2 == 1
    return np.where(odd, high - rest, low + rest), np.where(odd, -sign, sign)


def _bounds(n: Array, align_corners: bool) -> tuple[float, Array]:
    """Return where an axis of n pixels is reflected."""
    return (0.0, n - 1) if align_corners else (-0.5, n - 0.5)


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
    nonfinite: str = "raise",
    fused: bool = False,
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
    nonfinite : "raise" or "outside"
        See `sample_forward`. What PyTorch does depends on mode, padding and dimension, and may
        crash: ``docs/conventions.md`` has the table.
    fused : bool
        True: as on a processor with AVX2 or AVX-512, see the notes.

    Returns
    -------
    V : (B, H', W', C) or (B, D', H', W', C)
    cache : GridSampleCache
        Where coordinates are moved its ``slope`` has the shape of the grid: 0 where one is clipped.

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

    With outer edges that formula is x = ((g + 1) n - 1) / 2, and how it rounds depends on the
    processor. Where ``torch.backends.cpu.get_cpu_capability()`` is "AVX2" or "AVX512", PyTorch
    computes pictures with fused multiply-adds: (g + 1) n - 1 rounds once, as with ``fused=True``.
    Under "DEFAULT", which ``ATEN_CPU_CAPABILITY=default`` asks for, and in all volumes, it rounds
    twice, as with ``fused=False``; for volumes `fused` does nothing. The two differ by round-off,
    which decides the cell of a lattice point, and with it the slope: dV/dg of

    - U = [0, 1, 3, 6, 10, 15, 21] at g = 2/7 in float64 is 14 fused, 17.5 not;
    - U = [0, 1, 4, 9, ..., 100] at g = -0.54545456 in float32 is 16.5 fused, 27.5 not.

    On the identity grid that PyTorch makes itself (float64) a slope differs for 63 of the sizes 2
    to 128. Nearest may take the other pixel at a half. `fused` is exact while n and |x| are less
    than 2^25 pixels. Measured with PyTorch 2.13 on x86; how other processors round is not known.

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
    expect_known("grid", grid, nonfinite)
    n = _sizes(U, grid)
    fused = expect_flag("fused", fused) and U.ndim == 4
    points, slope = _plain_points(grid, n, align_corners, fused)
    expect_known("grid, in pixels", points, nonfinite)
    padding: Padding = zeros
    if mode == "bicubic":  # here PyTorch too pads the taps
        padding = padding_modes(align_corners)[padding_mode]
    elif padding_mode != "zeros":
        known = np.isfinite(points)
        moved = np.where(known, points, 0)
        if padding_mode == "reflection":
            moved, sign = _reflect(moved, n, align_corners)
            slope = slope * sign
        moved, inside = _clip(moved, n)
        points, slope = np.where(known, moved, np.nan), slope * inside
    if mode == "nearest":
        points = np.rint(points.real)
    V, sample = sample_forward(
        U, points, kernel=MODES[mode](), padding=padding, nonfinite="outside"
    )
    return V, GridSampleCache(sample, slope)


@overload
def pytorch_grid_sample_backward(dV: ArrayLike, cache: GridSampleCache) -> tuple[Array, Array]: ...
@overload
def pytorch_grid_sample_backward(
    dV: ArrayLike, cache: GridSampleCache, *, needs: Collection[str]
) -> tuple[Any, Any]: ...  # one that is declined is None
def pytorch_grid_sample_backward(
    dV: ArrayLike, cache: GridSampleCache, *, needs: Collection[str] = ("U", "grid")
) -> tuple[Array | None, Array | None]:
    """dU = S^T dV (S8) and dgrid = dpoints ∂x/∂g (S12), ∂x/∂g by PyTorch's rules.

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
    nonfinite: str = "raise",
    fused: bool = False,
) -> Array:
    """`pytorch_grid_sample_forward` without its cache; align_corners=False as in PyTorch.

    Parameters
    ----------
    U, grid, mode, padding_mode, align_corners, nonfinite, fused
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
        U,
        grid,
        mode=mode,
        padding_mode=padding_mode,
        align_corners=align_corners,
        nonfinite=nonfinite,
        fused=fused,
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
    runtime: bool = False,
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
    runtime : bool
        False: as the standard's reference; True: as ONNX Runtime. They differ in "cubic" with
        "border".

    Returns
    -------
    V : (B, H', W', C) or (B, D', H', W', C)

    Raises
    ------
    TypeError, ValueError
        As `grid_sample_forward`; a coordinate that is not finite is refused.

    Notes
    -----
    It differs from `grid_sample` in two rules. Nearest rounds half to even. In cubic with border
    the standard's reference clamps the coordinate first, so that a sample outside is the border
    pixel; ONNX Runtime clamps the taps, as PyTorch and `grid_sample` do. An exported network is
    validated against the runtime, so there `runtime=True` is the one to compare with. (ONNX
    Runtime has no cubic volumes.)

    AffineGrid is `affine_grid` with the target grid of the same corner rule; on an axis of size
    one with aligned corners ONNX's reference fails, and ours is 0.

    Examples
    --------
    >>> U = np.array([[3.0, 5.0, 4.0, 9.0]]).reshape(1, 1, 4, 1)
    >>> onnx_grid_sample(U, np.array([0.5, 0.0]).reshape(1, 1, 1, 2)).item()
    6.5
    """
    U, grid = expect_map_and_points(U, "grid", grid)
    expect_choice("mode", mode, ONNX_MODES)
    expect_choice("padding_mode", padding_mode, PADDING_MODES)
    expect_finite("grid", grid)
    n = _sizes(U, grid)
    points, _ = _plain_points(grid, n, align_corners, fused=False)
    expect_finite("grid, in pixels", points)
    if mode == "nearest":
        points = np.rint(points.real)
    clamps = mode == "cubic" and padding_mode == "border"
    if not expect_flag("runtime", runtime) and clamps:
        low, high = _bounds(n, align_corners)
        outside = (points.real < low) | (points.real > high)
        points = np.where(outside, _clip(points, n)[0], points)
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
