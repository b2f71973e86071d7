"""Target grid, and normalised <-> pixel coordinates."""

import importlib
from fractions import Fraction

import numpy as np
import pytest

from stnref import (
    grid_sample,
    supersampled_grid,
    target_grid,
    unnormalize_backward,
    unnormalize_forward,
    unnormalize_jvp,
)
from stnref.coordinates import normalize
from stnref.nn import avg_pool2d_forward
from tests.signatures import expect_names

ALIGNED = pytest.mark.parametrize("align_corners", [True, False], ids=["aligned", "edges"])


def test_target_grid_is_x_then_y_over_rows_and_columns() -> None:
    G = target_grid((2, 3))
    assert G.shape == (2, 3, 2)
    np.testing.assert_array_equal(G[..., 0], [[-1, 0, 1], [-1, 0, 1]])
    np.testing.assert_array_equal(G[..., 1], [[-1, -1, -1], [1, 1, 1]])


def test_target_grid_of_edges_puts_centres_half_a_pixel_inside() -> None:
    G = target_grid((2, 4), align_corners=False)
    np.testing.assert_array_equal(G[0, :, 0], [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_array_equal(G[:, 0, 1], [-0.5, 0.5])


def test_target_grid_of_a_volume_is_x_y_z_over_depth_rows_columns() -> None:
    G = target_grid((2, 3, 4))
    assert G.shape == (2, 3, 4, 3)
    np.testing.assert_array_equal(G[1, 2, 0], [-1, 1, 1])
    np.testing.assert_array_equal(G[0, 0, 3], [1, -1, -1])


@ALIGNED
def test_target_grid_is_zero_along_an_axis_of_size_one(align_corners: bool) -> None:
    G = target_grid((1, 3), align_corners=align_corners)
    np.testing.assert_array_equal(G[..., 1], 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_target_grid_has_the_dtype_asked_for(dtype: type) -> None:
    assert target_grid((2, 3), dtype=dtype).dtype == dtype


@ALIGNED
def test_unnormalize_is_the_formula(align_corners: bool) -> None:
    rng = np.random.default_rng(0)
    H, W = 5, 8
    grid = rng.uniform(-2, 2, (2, 3, 4, 2))
    points, _ = unnormalize_forward(grid, (H, W), align_corners=align_corners)
    if align_corners:
        expected = (grid + 1) * [W - 1, H - 1] / 2
    else:
        expected = ((grid + 1) * [W, H] - 1) / 2
    np.testing.assert_allclose(points, expected, rtol=0, atol=1e-14)


@ALIGNED
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_lattice_points_land_exactly_on_the_lattice(align_corners: bool, dtype: type) -> None:
    """For every size up to 4096: not one pixel centre falls into another cell."""
    for n in range(1, 4097):
        G = target_grid((1, n), align_corners=align_corners, dtype=dtype)
        points, _ = unnormalize_forward(G, (1, n), align_corners=align_corners)
        assert points.dtype == dtype
        np.testing.assert_array_equal(points[0, :, 0], np.arange(n))


@ALIGNED
def test_unnormalize_moves_no_coordinate_by_more_than_the_round_off_of_the_size(
    align_corners: bool,
) -> None:
    rng = np.random.default_rng(1)
    for n in (1, 2, 7, 28, 42, 1000):
        d = n - 1 if align_corners else n
        grid = rng.uniform(-1.2, 1.2, (50, 2))
        points, _ = unnormalize_forward(grid, (n, n), align_corners=align_corners)
        for g, x in zip(grid.ravel().tolist(), points.ravel().tolist(), strict=True):
            exact = (Fraction(g) * d + n - 1) / 2
            assert abs(Fraction(x) - exact) <= 4 * Fraction(np.finfo(float).eps) * n


def test_unnormalize_takes_a_complex_step() -> None:
    grid = np.array([[0.3 + 1e-30j, -0.7 + 2e-30j]])
    points, _ = unnormalize_forward(grid, (5, 9))
    np.testing.assert_array_equal(points.imag, [[4e-30, 4e-30]])


def test_unnormalize_along_an_aligned_axis_of_size_one_is_pixel_zero_with_slope_zero() -> None:
    grid = np.array([[0.8, -3.0]])
    points, cache = unnormalize_forward(grid, (1, 1))
    np.testing.assert_array_equal(points, 0)
    np.testing.assert_array_equal(unnormalize_backward(np.ones((1, 2)), cache), 0)


@ALIGNED
def test_backward_and_jvp_are_the_slope(align_corners: bool) -> None:
    _, cache = unnormalize_forward(np.zeros((2, 3, 2)), (5, 9), align_corners=align_corners)
    slope = [4, 2] if align_corners else [4.5, 2.5]
    ones = np.ones((2, 3, 2))
    np.testing.assert_array_equal(unnormalize_backward(ones, cache), ones * slope)
    np.testing.assert_array_equal(unnormalize_jvp(ones, cache), ones * slope)


@ALIGNED
@pytest.mark.parametrize("shape", [(5, 8), (3, 6, 4)], ids=["2-D", "3-D"])
def test_normalize_is_the_inverse(align_corners: bool, shape: tuple[int, ...]) -> None:
    grid = np.random.default_rng(2).uniform(-2, 2, (2, 3, len(shape)))
    points, _ = unnormalize_forward(grid, shape, align_corners=align_corners)
    back = normalize(points, shape, align_corners=align_corners)
    np.testing.assert_allclose(back, grid, rtol=0, atol=1e-14)


def test_a_coordinate_of_1e30_stays_finite() -> None:
    points, _ = unnormalize_forward(np.array([[1e30, -1e30]], dtype=np.float32), (28, 28))
    assert np.isfinite(points).all()


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("shape", [(3, 4), (1, 5), (2, 3, 4)])
def test_the_points_of_a_supersampled_pixel_have_its_centre_as_mean(
    shape: tuple[int, ...], align_corners: bool
) -> None:
    G = supersampled_grid(shape, 3, align_corners=align_corners)
    assert G.shape == (*(3 * n for n in shape), len(shape))
    blocks = G.reshape(*(k for n in shape for k in (n, 3)), len(shape))
    centres = blocks.mean(axis=tuple(range(1, 2 * len(shape), 2)))
    np.testing.assert_allclose(centres, target_grid(shape, align_corners=align_corners), atol=1e-15)


def test_a_supersampled_grid_of_outer_edges_is_the_finer_grid() -> None:
    fine = target_grid((8, 12), align_corners=False)
    np.testing.assert_allclose(supersampled_grid((4, 6), 2, align_corners=False), fine, atol=1e-15)


def test_supersampling_sees_every_pixel() -> None:
    """A checkerboard shown at a third of its size is grey, not black or white."""
    U = (np.indices((27, 27)).sum(axis=0) % 2).astype(float)[None, :, :, None]
    aliased = grid_sample(U, target_grid((9, 9), align_corners=False)[None], align_corners=False)
    G = supersampled_grid((9, 9), 3, align_corners=False)
    V, _ = avg_pool2d_forward(grid_sample(U, G[None], align_corners=False), 3)
    assert np.ptp(aliased) == 1
    np.testing.assert_allclose(V, 0.5, atol=0.06)


def test_bad_factor() -> None:
    with pytest.raises(ValueError, match="factor: expected an integer from 1 on, got 0"):
        supersampled_grid((3, 4), 0)


def test_a_supersampled_grid_that_fits_into_no_memory_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape times factor: expected sizes of at most 64 GiB"):
        supersampled_grid((2**16, 2**16), 2)


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.coordinates"))
