"""Transforms by name."""

import importlib

import numpy as np
import pytest

from stnref import check_gradients, get_transform, target_grid
from stnref.transforms import (
    TRANSFORMS,
    TRANSFORMS_3D,
    Transform,
    affine_grid,
    bspline_basis,
    bspline_points,
    projective_grid_forward,
    regular_points,
    thin_plate_basis,
)
from tests.signatures import expect_names

NAMES = pytest.mark.parametrize("name", TRANSFORMS)
ALL_NAMES = pytest.mark.parametrize("name", [*TRANSFORMS, *TRANSFORMS_3D])


def _any(name: str, *, align_corners: bool = True) -> tuple[Transform, np.ndarray]:
    """The transform, onto a volume if it is one of those, and its target grid."""
    shape = (2, 3, 5) if name in TRANSFORMS_3D else (3, 5)
    transform = get_transform(name, shape, align_corners=align_corners)
    return transform, target_grid(shape, align_corners=align_corners)


def _near_identity(transform: Transform) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal((2, transform.n_params))
    return transform.identity + 0.2 * noise


@ALL_NAMES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("align_corners", [True, False], ids=["aligned", "edges"])
def test_the_identity_gives_the_target_grid_bit_by_bit_in_both_precisions(
    name: str, align_corners: bool, dtype: type
) -> None:
    transform, G = _any(name, align_corners=align_corners)
    grid, _ = transform.forward(transform.identity[None].astype(dtype))
    assert grid.dtype == dtype
    np.testing.assert_array_equal(grid[0], G.astype(dtype))


@ALL_NAMES
def test_gradients(name: str) -> None:
    transform, _ = _any(name)
    report = check_gradients(
        transform.forward, transform.backward, [_near_identity(transform)], jvp=transform.jvp
    )
    assert report.ok, str(report)


@ALL_NAMES
def test_complex64_passes(name: str) -> None:
    transform, _ = _any(name)
    params = _near_identity(transform).astype(np.complex64)
    grid, cache = transform.forward(params)
    assert grid.dtype == transform.backward(grid, cache).dtype == np.complex64


@ALL_NAMES
def test_parameters_are_not_changed_and_views_do(name: str) -> None:
    transform, _ = _any(name)
    params = _near_identity(transform)
    before = params.copy()
    grid, cache = transform.forward(params)
    transform.backward(grid, cache)
    np.testing.assert_array_equal(params, before)
    wide = np.repeat(params, 2, axis=1)[:, ::2]
    np.testing.assert_allclose(transform.forward(wide)[0], grid, atol=1e-15)


@NAMES
def test_shapes_follow_the_number_of_parameters(name: str) -> None:
    transform = get_transform(name, (3, 5))
    params = np.random.default_rng(0).standard_normal((2, transform.n_params))
    grid, cache = transform.forward(params)
    assert grid.shape == (2, 3, 5, 2)
    assert transform.backward(np.ones_like(grid), cache).shape == params.shape
    assert transform.jvp(params, cache).shape == grid.shape


@NAMES
def test_float32_stays_float32(name: str) -> None:
    transform = get_transform(name, (3, 5))
    grid, cache = transform.forward(transform.identity[None].astype(np.float32))
    assert grid.dtype == np.float32
    assert transform.backward(grid, cache).dtype == np.float32


def test_the_affine_parameters_are_theta_row_by_row() -> None:
    grid, _ = get_transform("affine", (3, 5)).forward(np.array([[0.0, 0, 7, 0, 0, 8]]))
    np.testing.assert_array_equal(grid, np.broadcast_to([7.0, 8.0], (1, 3, 5, 2)))


def test_the_projective_parameters_are_theta_without_its_last_entry() -> None:
    transform = get_transform("projective", (3, 5))
    params = _near_identity(transform)
    theta = np.insert(params, 8, 1, axis=1).reshape(2, 3, 3)
    expected, _ = projective_grid_forward(theta, target_grid((3, 5)))
    np.testing.assert_array_equal(transform.forward(params)[0], expected)


def test_the_parameters_of_affine3d_are_theta_row_by_row() -> None:
    transform = get_transform("affine3d", (2, 3, 5))
    params = _near_identity(transform)
    expected = affine_grid(params.reshape(2, 3, 4), target_grid((2, 3, 5)))
    np.testing.assert_array_equal(transform.forward(params)[0], expected)


@pytest.mark.parametrize("stiffness", [0.0, 0.5])
def test_the_tps_parameters_are_the_control_points_in_the_source(stiffness: float) -> None:
    transform = get_transform("tps", (3, 5), control_shape=(3, 4), stiffness=stiffness)
    points, params = regular_points((3, 4)), _near_identity(transform)
    np.testing.assert_array_equal(transform.identity, points.ravel())
    B = thin_plate_basis(points, target_grid((3, 5)), stiffness=stiffness)
    expected = B @ params.reshape(2, 1, 12, 2)
    np.testing.assert_allclose(transform.forward(params)[0], expected, atol=1e-13)


def test_the_bspline_parameters_are_the_control_points_in_the_source() -> None:
    transform = get_transform("bspline", (3, 5), control_shape=(4, 6))
    params = _near_identity(transform)
    np.testing.assert_array_equal(transform.identity, bspline_points((4, 6)).ravel())
    expected = bspline_basis((4, 6), target_grid((3, 5))) @ params.reshape(2, 1, 24, 2)
    np.testing.assert_allclose(transform.forward(params)[0], expected, atol=1e-13)


def test_the_names() -> None:
    pictures = "translation attention rigid similarity affine projective tps bspline"
    assert " ".join(TRANSFORMS) == pictures
    assert TRANSFORMS_3D == ("affine3d",)


@pytest.mark.parametrize(
    ("name", "option", "expected"),
    [
        ("rigid", "stiffness", "options of 'rigid': expected none, got 'stiffness'"),
        ("affine3d", "depth", "options of 'affine3d': expected none, got 'depth'"),
        ("tps", "grid", "of 'tps': expected 'control_shape' or 'stiffness', got 'grid'"),
        ("bspline", "stiffness", "of 'bspline': expected 'control_shape', got 'stiffness'"),
    ],
)
def test_unknown_options(name: str, option: str, expected: str) -> None:
    shape = (2, 3, 5) if name in TRANSFORMS_3D else (3, 5)
    with pytest.raises(TypeError, match=expected):
        get_transform(name, shape, **{option: 1})


@ALL_NAMES
def test_a_size_of_another_rank(name: str) -> None:
    shape, count = ((3, 5), 3) if name in TRANSFORMS_3D else ((2, 3, 5), 2)
    expected = rf"out_shape: expected {count} positive integers, got \({str(shape)[1:-1]}\)"
    with pytest.raises(ValueError, match=expected):
        get_transform(name, shape)


@ALL_NAMES
def test_parameters_of_another_width(name: str) -> None:
    transform, _ = _any(name)
    params = np.ones((2, transform.n_params + 1))
    with pytest.raises(ValueError, match=rf"params: expected shape \(B, {transform.n_params}\)"):
        transform.forward(params)


def test_the_default_control_shapes() -> None:
    """The paper's 16 points of a thin-plate spline, and as many of the B-spline in view."""
    assert get_transform("tps", (5, 6)).identity.shape == (2 * 16,)
    np.testing.assert_array_equal(
        get_transform("tps", (5, 6)).identity.reshape(16, 2), regular_points((4, 4))
    )
    default = get_transform("bspline", (5, 6)).identity
    np.testing.assert_array_equal(default.reshape(-1, 2), bspline_points((4, 4)))


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.transforms.registry"))
