"""The presets' own rules, in numbers; against PyTorch, ONNX and SciPy themselves see peers/."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from stnref import NonFiniteError
from stnref.presets import (
    _fused_minus_one,
    onnx_grid_sample,
    pytorch_grid_sample,
    pytorch_grid_sample_backward,
    pytorch_grid_sample_forward,
    scipy_map_coordinates,
)

ROW = np.array([3.0, 5, 4, 9, 7]).reshape(1, 1, 5, 1)


def _grid(*x: float) -> np.ndarray:
    """The pixel coordinates x along ROW, normalised with aligned corners."""
    return np.array([(value / 2 - 1, 0) for value in x]).reshape(1, 1, -1, 2)


def test_pytorchs_nearest_rounds_half_to_even() -> None:
    V = pytorch_grid_sample(ROW, _grid(0.5, 1.5, 2.5), mode="nearest", align_corners=True)
    assert V.ravel().tolist() == [3, 4, 4]


@pytest.mark.parametrize(
    ("padding_mode", "slopes"),
    [("zeros", [2, -7, 3]), ("border", [0, 0, 0]), ("reflection", [0, 0, 1])],
)
def test_pytorchs_slopes_on_the_outer_pixels_and_beyond(
    padding_mode: str, slopes: list[float]
) -> None:
    options = {"padding_mode": padding_mode, "align_corners": True}
    V, cache = pytorch_grid_sample_forward(ROW, _grid(0, 4, -1), **options)
    _, dgrid = pytorch_grid_sample_backward(np.ones_like(V), cache)
    assert (dgrid[0, 0, :, 0] / 2).tolist() == slopes


@pytest.mark.parametrize(("runtime", "value"), [(False, 1.0), (True, 0.904)])
def test_the_number_in_the_conventions(runtime: bool, value: float) -> None:
    """Cubic with border at x = -0.2: ONNX clamps the coordinate first, its runtime the taps."""
    U = np.array([1.0, 2, 4, 8, 16]).reshape(1, 1, 5, 1)
    grid = np.array([-0.2 / 2 - 1, 0]).reshape(1, 1, 1, 2)
    options = {"padding_mode": "border", "align_corners": True}
    V = onnx_grid_sample(U, grid, mode="cubic", runtime=runtime, **options)
    assert V.item() == pytest.approx(value, abs=1e-12)
    pytorch = pytorch_grid_sample(U, grid, mode="bicubic", **options)
    assert pytorch.item() == pytest.approx(0.904, abs=1e-12)


def _slope(U: list[float], g: Any, fused: bool, d: int = 2) -> float:
    """dV/dg of a row of pixels, at outer edges."""
    grid = np.zeros((1,) * (d + 1) + (d,), np.asarray(g).dtype)
    grid[..., 0] = g
    rows = np.array(U, grid.dtype).reshape((1,) * d + (-1, 1))
    V, cache = pytorch_grid_sample_forward(rows, grid, fused=fused)
    return pytorch_grid_sample_backward(np.ones_like(V), cache)[1].flat[0]


def test_fused_and_unfused_take_different_cells() -> None:
    """The two pairs of numbers of the conventions; in volumes PyTorch does not fuse."""
    triangular = [0, 1, 3, 6, 10, 15, 21]
    assert _slope(triangular, 2 / 7, fused=True) == 14
    assert _slope(triangular, 2 / 7, fused=False) == 17.5
    assert _slope(triangular, 2 / 7, fused=True, d=3) == 17.5
    squares = [m * m for m in range(11)]
    assert _slope(squares, np.float32(-0.54545456), fused=True) == 16.5
    assert _slope(squares, np.float32(-0.54545456), fused=False) == 27.5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fused_rounds_once(dtype: type[np.floating]) -> None:
    """s n - 1 in exact fractions, rounded; near the lattice, where most digits cancel, too."""
    rng = np.random.default_rng(0)
    n = rng.integers(1, 5000, 2000)
    s = np.where(n % 2, rng.uniform(-30, 30, 2000), rng.integers(0, n + 1) / n).astype(dtype)
    exact = [dtype(Fraction(float(a)) * int(b) - 1) for a, b in zip(s, n, strict=True)]
    np.testing.assert_array_equal(_fused_minus_one(s, n.astype(dtype)), exact)
    wide = s + 1e-30j  # a complex step passes
    step = _fused_minus_one(wide, n.astype(dtype)).imag
    np.testing.assert_allclose(step, 1e-30 * n, rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e308])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align_corners", [True, False])
def test_coordinates_that_are_not_finite(
    value: float, mode: str, padding_mode: str, align_corners: bool
) -> None:
    """As in `grid_sample`, and without a warning: 1e308 is infinite in pixels."""
    grid = np.array([value, 0, 0.25, 0]).reshape(1, 1, 2, 2)
    options = {"padding_mode": padding_mode, "align_corners": align_corners}
    with pytest.raises(NonFiniteError, match=r"grid.*: expected finite values, got (-?inf|nan) at"):
        pytorch_grid_sample(ROW, grid, mode=mode, **options)
    V, cache = pytorch_grid_sample_forward(ROW, grid, mode=mode, nonfinite="outside", **options)
    known, known_cache = pytorch_grid_sample_forward(ROW, grid[:, :, 1:], mode=mode, **options)
    assert V.ravel().tolist() == [0, known.item()]
    dU, dgrid = pytorch_grid_sample_backward(np.ones_like(V), cache)
    known_dU, known_dgrid = pytorch_grid_sample_backward(np.ones_like(known), known_cache)
    np.testing.assert_array_equal(dU, known_dU)
    np.testing.assert_array_equal(dgrid[0, 0], [[0, 0], known_dgrid[0, 0, 0]])
    onnx_mode = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    with pytest.raises(NonFiniteError, match="grid"):
        onnx_grid_sample(ROW, grid, mode=onnx_mode, **options)


def test_bad_input() -> None:
    U, points = np.zeros((1, 3, 3, 1)), np.zeros((1, 2, 2, 2))
    with pytest.raises(ValueError, match=r"mode: expected one of 'grid-constant', .* got 'wrap'"):
        scipy_map_coordinates(U, points, mode="wrap")
    with pytest.raises(ValueError, match="nonfinite: expected one of 'raise', 'outside', got 'p"):
        pytorch_grid_sample(U, points, nonfinite="pytorch")
    with pytest.raises(TypeError, match="fused: expected True or False, got 'no'"):
        pytorch_grid_sample(U, points, fused="no")
    with pytest.raises(TypeError, match="runtime: expected True or False, got 'no'"):
        onnx_grid_sample(U, points, runtime="no")
