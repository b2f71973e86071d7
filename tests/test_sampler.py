"""The sampler: values, gradients, the lattice, options.

Against the loops see test_loops; purity, memory order and precision: test_properties.
"""

import importlib
import inspect
from typing import Any

import numpy as np
import pytest

from stnref import (
    grid_sample,
    grid_sample_backward,
    grid_sample_forward,
    loops,
    sample_backward,
    sample_forward,
    sample_jvp,
    target_grid,
    unnormalize_forward,
)
from stnref.kernels import bspline3
from stnref.padding import reflection_edges, zeros
from tests.signatures import expect_names


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _points(*xy: tuple[float, float]) -> np.ndarray:
    return np.array(xy, dtype=float).reshape(1, 1, -1, 2)


ROW = np.array([3.0, 5, 4, 9]).reshape(1, 1, 4, 1)


@pytest.mark.parametrize(
    ("x", "value"), [(0, 3), (2.25, 5.25), (3, 9), (-0.5, 1.5), (3.75, 2.25), (-1, 0), (7, 0)]
)
def test_values_on_a_row(x: float, value: float) -> None:
    V, _ = sample_forward(ROW, _points((x, 0)))
    assert V.item() == value


@pytest.mark.parametrize(("x", "slope"), [(0, 2), (1, -1), (2, 5), (3, -9), (-1, 3), (4, 0)])
def test_the_slope_on_the_lattice_is_the_one_to_the_right(x: float, slope: float) -> None:
    V, cache = sample_forward(ROW, _points((x, 0)))
    assert sample_backward(np.ones_like(V), cache)[1][0, 0, 0, 0] == slope


def test_a_constant_picture_has_no_gradient_inside(rng: np.random.Generator) -> None:
    points = rng.integers(0, 3, (1, 4, 5, 2)).astype(float)
    V, cache = sample_forward(np.ones((1, 5, 6, 2)), points)
    np.testing.assert_array_equal(sample_backward(np.ones_like(V), cache)[1], 0)


def test_the_gradient_of_a_ramp_is_its_slope_everywhere_inside(rng: np.random.Generator) -> None:
    n, m = np.mgrid[:5, :7]
    ramp = (2.0 * m - 3.0 * n)[None, ..., None]
    points = rng.uniform(0, 4, (1, 3, 4, 2))
    points[0, 0] = rng.integers(0, 4, (4, 2))
    V, cache = sample_forward(ramp, points)
    slopes = sample_backward(np.ones_like(V), cache)[1]
    expected = np.broadcast_to([2.0, -3.0], slopes.shape)
    np.testing.assert_allclose(slopes, expected, atol=1e-13)


def test_the_tutorials_four_weights() -> None:
    """Its dx is the distance to the right border of the cell, its dy to the upper border."""
    x, y = 1.7, 0.4
    corners = np.array([[2.0, 3.0], [5.0, 7.0]])
    U = np.zeros((1, 2, 3, 1))
    U[0, :, 1:, 0] = corners
    dx, dy = 2 - x, y - 0
    weights = np.array([[dx * (1 - dy), (1 - dx) * (1 - dy)], [dx * dy, (1 - dx) * dy]])
    V, _ = sample_forward(U, _points((x, y)))
    np.testing.assert_allclose(V.item(), (weights * corners).sum(), rtol=1e-15)


def test_the_identity_grid_returns_the_map_bit_by_bit(rng: np.random.Generator) -> None:
    for align_corners in (True, False):
        for shape in ((28, 28), (42, 17), (5, 1), (1, 1), (3, 4, 6)):
            U = rng.standard_normal((2, *shape, 2)).astype(np.float32)
            G = target_grid(shape, align_corners=align_corners, dtype=np.float32)
            grid = np.broadcast_to(G, (2, *G.shape))
            np.testing.assert_array_equal(grid_sample(U, grid, align_corners=align_corners), U)


def test_the_output_has_the_grids_size_and_the_maps_channels(rng: np.random.Generator) -> None:
    V = grid_sample(rng.standard_normal((2, 4, 5, 3)), rng.uniform(-1, 1, (2, 7, 6, 2)))
    assert V.shape == (2, 7, 6, 3)


def test_grid_sample_is_unnormalize_then_sample(rng: np.random.Generator) -> None:
    U, grid = rng.standard_normal((2, 4, 5, 3)), rng.uniform(-1.5, 1.5, (2, 3, 2, 2))
    points, _ = unnormalize_forward(grid, (4, 5), align_corners=False)
    V, cache = grid_sample_forward(U, grid, align_corners=False)
    expected, sample_cache = sample_forward(U, points)
    np.testing.assert_array_equal(V, expected)
    dU, dgrid = grid_sample_backward(V, cache)
    expected_dU, dpoints = sample_backward(V, sample_cache)
    np.testing.assert_array_equal(dU, expected_dU)
    np.testing.assert_array_equal(dgrid, dpoints * [2.5, 2.0])


def test_needs_declines_a_gradient_and_leaves_the_other_as_it_is(rng: np.random.Generator) -> None:
    V, cache = sample_forward(rng.standard_normal((1, 3, 4, 2)), rng.uniform(0, 2, (1, 2, 3, 2)))
    dU, dpoints = sample_backward(V, cache)
    assert sample_backward(V, cache, needs=("points",))[0] is None
    assert sample_backward(V, cache, needs=("U",))[1] is None
    np.testing.assert_array_equal(sample_backward(V, cache, needs=("U",))[0], dU)
    np.testing.assert_array_equal(sample_backward(V, cache, needs=("points",))[1], dpoints)


def test_a_tangent_of_none_is_zero(rng: np.random.Generator) -> None:
    U, points = rng.standard_normal((1, 3, 4, 2)), rng.uniform(0, 2, (1, 2, 3, 2))
    V, cache = sample_forward(U, points)
    zero_U, zero_points = np.zeros_like(U), np.zeros_like(points)
    np.testing.assert_array_equal(sample_jvp(U, None, cache), sample_jvp(U, zero_points, cache))
    np.testing.assert_array_equal(
        sample_jvp(None, points, cache), sample_jvp(zero_U, points, cache)
    )
    np.testing.assert_array_equal(sample_jvp(None, None, cache), np.zeros_like(V))


def test_mixed_dtypes_follow_result_type(rng: np.random.Generator) -> None:
    U = rng.standard_normal((1, 3, 4, 2)).astype(np.float32)
    V, _ = sample_forward(U, rng.uniform(0, 2, (1, 2, 3, 2)))
    assert V.dtype == np.float64


def test_nothing_is_conjugated(rng: np.random.Generator) -> None:
    """Complex maps and upstream gradients pass as in the loops: a bilinear form, no inner one."""
    U = rng.standard_normal((1, 3, 4, 1)) + 1j * rng.standard_normal((1, 3, 4, 1))
    dV = rng.standard_normal((1, 2, 2, 1)) + 1j * rng.standard_normal((1, 2, 2, 1))
    points = rng.uniform(0, 2, (1, 2, 2, 2))
    _, cache = sample_forward(U, points)
    for got, expected in zip(
        sample_backward(dV, cache), loops.sample_backward(dV, U, points), strict=True
    ):
        np.testing.assert_allclose(got, expected, atol=1e-14)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_non_finite_coordinate_can_be_taken_as_outside(bad: float) -> None:
    points = _points((1, 0), (bad, 0), (0, bad))
    V, cache = sample_forward(ROW, points, nonfinite="outside")
    np.testing.assert_array_equal(V.ravel(), [5, 0, 0])
    dU, dpoints = sample_backward(np.ones_like(V), cache)
    np.testing.assert_array_equal(dU.ravel(), [0, 1, 0, 0])
    np.testing.assert_array_equal(dpoints[0, 0, 1:], 0)
    grid = np.array([bad, 0.0]).reshape(1, 1, 1, 2)
    assert grid_sample(ROW, grid, nonfinite="outside").item() == 0


@pytest.mark.parametrize(("align_corners", "period"), [(False, 2.0), (True, 2 * 5 / 4)])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_wrap_has_a_period_of_n_pixels(
    mode: str, align_corners: bool, period: float, rng: np.random.Generator
) -> None:
    U, grid = rng.standard_normal((2, 4, 5, 3)), rng.uniform(-1, 1, (2, 3, 6, 2))
    options = {"mode": mode, "padding_mode": "wrap", "align_corners": align_corners}
    V, cache = grid_sample_forward(U, grid, **options)
    for turns in (-3, 1):
        again, further = grid_sample_forward(U, grid + [turns * period, 0], **options)
        np.testing.assert_allclose(again, V, atol=1e-12)
        for one, other in zip(
            grid_sample_backward(V, cache), grid_sample_backward(V, further), strict=True
        ):
            np.testing.assert_allclose(one, other, atol=1e-12)


def test_grid_sample_takes_kernels_and_paddings_of_ones_own(rng: np.random.Generator) -> None:
    U, grid = rng.standard_normal((2, 4, 5, 3)), rng.uniform(-2, 2, (2, 3, 6, 2))
    points, _ = unnormalize_forward(grid, (4, 5))
    V = grid_sample(U, grid, mode=bspline3(), padding_mode=[reflection_edges, "zeros"])
    expected, _ = sample_forward(U, points, kernel="bspline3", padding=[reflection_edges, zeros])
    np.testing.assert_array_equal(V, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"mode": "linear"},
            "mode: expected one of 'nearest', .*, got 'linear'",
        ),
        ({"padding_mode": "reflection_edges"}, "padding_mode: expected one of .*, 'wrap', got"),
        ({"padding_mode": ("wrap", "x")}, "padding_mode: expected one of .*, got 'x'"),
        ({"padding_mode": ["wrap"]}, "padding_mode: expected one, or one for each of xy, got 1"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        grid_sample(ROW, _points((0, 0)), **options)


def test_arguments_have_names_and_options_no_places() -> None:
    for function in (sample_forward, grid_sample_forward, grid_sample):
        parameters = inspect.signature(function).parameters.values()
        for p in parameters:
            is_option = p.default is not p.empty
            assert p.kind is (p.KEYWORD_ONLY if is_option else p.POSITIONAL_OR_KEYWORD)


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.sampler"))
