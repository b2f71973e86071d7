"""The bases of the thin-plate spline and of cubic B-splines."""

import importlib

import numpy as np
import pytest

from stnref import (
    basis_grid_backward,
    basis_grid_forward,
    basis_grid_jvp,
    check_gradients,
    target_grid,
)
from stnref.transforms import bspline_basis, bspline_points, regular_points, thin_plate_basis
from tests.signatures import expect_names

G = target_grid((5, 7))
STIFFNESS = pytest.mark.parametrize("stiffness", [0.0, 0.1, 1e9], ids=["0", "0.1", "1e9"])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _scattered(rng: np.random.Generator, K: int = 9) -> np.ndarray:
    return rng.uniform(-1, 1, (K, 2))


# ------------------------------------------------------------------------ thin-plate spline


def test_regular_points_are_row_by_row() -> None:
    points = regular_points((3, 4))
    np.testing.assert_array_equal(points[:4, 1], -1)
    np.testing.assert_allclose(points[:4, 0], [-1, -1 / 3, 1 / 3, 1], atol=1e-15)
    np.testing.assert_array_equal(points[-1], [1, 1])


@STIFFNESS
@pytest.mark.parametrize("lattice", ["4x4", "2x5", "scattered"])
def test_control_points_that_stay_give_the_identity(
    lattice: str, stiffness: float, rng: np.random.Generator
) -> None:
    points = {
        "4x4": regular_points((4, 4)),
        "2x5": regular_points((2, 5)),
        "scattered": _scattered(rng),
    }[lattice]
    grid, _ = basis_grid_forward(points[None], thin_plate_basis(points, G, stiffness=stiffness))
    np.testing.assert_allclose(grid[0], G, atol=1e-12)


@STIFFNESS
def test_affine_maps_of_the_control_points_are_reproduced(
    stiffness: float, rng: np.random.Generator
) -> None:
    """They do not bend the plate, so no stiffness resists them."""
    points, A, t = _scattered(rng), rng.standard_normal((2, 2)), rng.standard_normal(2)
    B = thin_plate_basis(points, G, stiffness=stiffness)
    np.testing.assert_allclose(B @ (points @ A + t), G @ A + t, atol=1e-12)
    np.testing.assert_allclose(B.sum(axis=-1), 1, atol=1e-12)


def test_the_spline_goes_through_its_points(rng: np.random.Generator) -> None:
    points, theta = _scattered(rng), rng.standard_normal((9, 2))
    B = thin_plate_basis(points, points.reshape(3, 3, 2))
    np.testing.assert_allclose((B @ theta).reshape(9, 2), theta, atol=1e-12)


def test_three_points_have_an_affine_spline() -> None:
    """Barycentric coordinates: at the centre of gravity each point weighs one third."""
    points = np.array([[-1.0, -1], [1, -1], [0, 1]])
    B = thin_plate_basis(points, points.mean(axis=0).reshape(1, 1, 2))
    np.testing.assert_allclose(B.ravel(), 1 / 3, atol=1e-14)


def test_five_points_by_hand() -> None:
    """The corners of the square, fixed at 0, and its centre, lifted to 1; asked at (1, 0).

    The weights are w at the centre and -w/4 at the corners. With u = log 2 and U = r^2 log r^2:
    f(0, 0) = a - w 2u and f(1, 1) = a + w 2u - w/4 (0 + 4 2u + 4 2u + 8 3u) = a - 8 w u, so that
    their difference is 6 w u = 1 and a = 4/3. At (1, 0) U is 0 at the centre, 0 at two corners
    and 5 log 5 at the others: f = 4/3 - 10/24 log 5 / log 2.
    """
    points = np.array([[0.0, 0], [-1, -1], [1, -1], [-1, 1], [1, 1]])
    B = thin_plate_basis(points, np.array([[[1.0, 0.0]]]))
    expected = 4 / 3 - 10 / 24 * np.log2(5)
    np.testing.assert_allclose(B[0, 0, 0], expected, atol=1e-14)


def test_an_infinitely_stiff_plate_is_the_best_affine_map(rng: np.random.Generator) -> None:
    points, theta = _scattered(rng), rng.standard_normal((9, 2))
    P = np.insert(points, 0, 1, axis=1)
    best, *_ = np.linalg.lstsq(P, theta, rcond=None)
    grid = thin_plate_basis(points, G, stiffness=1e12) @ theta
    np.testing.assert_allclose(grid, np.insert(G, 0, 1, axis=-1) @ best, atol=1e-10)


def test_stiffness_has_no_unit(rng: np.random.Generator) -> None:
    """The same picture in other units, moved and turned, has the same basis."""
    points = _scattered(rng)
    turn = 0.01 * np.array([[0.6, -0.8], [0.8, 0.6]])
    B = thin_plate_basis(points, G, stiffness=0.3)
    moved = thin_plate_basis(points @ turn + 5, G @ turn + 5, stiffness=0.3)
    np.testing.assert_allclose(moved, B, atol=1e-9)


def test_stiffness_trades_the_distance_for_the_bending(rng: np.random.Generator) -> None:
    points, theta = _scattered(rng), rng.standard_normal((9, 2))
    misses = []
    for stiffness in (0.0, 0.01, 0.1, 1.0, 10.0):
        B = thin_plate_basis(points, points.reshape(3, 3, 2), stiffness=stiffness)
        misses.append(np.linalg.norm((B @ theta).reshape(9, 2) - theta))
    assert misses[0] < 1e-12
    assert np.all(np.diff(misses) > 1e-3)


TOO_FEW = r"control_points: expected at least three distinct points .* condition number"


@pytest.mark.parametrize(
    "points",
    [
        np.array([[-1.0, -1], [1, 1]]),
        np.array([[-1.0, -0.7], [0, 0.1], [1, 0.9], [0.5, 0.5]]),
        regular_points((1, 4)),
        np.array([[-1.0, -1], [1, -1], [0, 1], [0, 1]]),
        np.zeros((4, 2)),
    ],
    ids=["two", "slanted line", "row", "repeated", "all the same"],
)
def test_points_without_a_spline_are_refused(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match=TOO_FEW):
        thin_plate_basis(points, G)


def test_a_stiff_plate_takes_the_mean_of_a_repeated_point() -> None:
    points = np.array([[-1.0, -1], [1, -1], [0, 1], [0, 1]])
    B = thin_plate_basis(points, G, stiffness=0.1)
    np.testing.assert_allclose(B[..., 2], B[..., 3], atol=1e-12)


@pytest.mark.parametrize("stiffness", [-0.1, np.nan, np.inf])
def test_a_stiffness_that_is_none(stiffness: float) -> None:
    with pytest.raises(ValueError, match="stiffness: expected a finite number from 0 on, got"):
        thin_plate_basis(regular_points((4, 4)), G, stiffness=stiffness)


def test_bad_points() -> None:
    points = regular_points((4, 4))
    with pytest.raises(ValueError, match=r"control_points: expected shape \(K, 2\), got \(2, 16\)"):
        thin_plate_basis(points.T, G)
    with pytest.raises(TypeError, match="control_points: expected a real dtype, got complex128"):
        thin_plate_basis(points + 0j, G)
    points[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"control_points: expected finite values, got nan at"):
        thin_plate_basis(points, G)


# --------------------------------------------------------------------------- cubic B-spline


@pytest.mark.parametrize("shape", [(4, 4), (4, 7), (9, 5)], ids=str)
@pytest.mark.parametrize("align_corners", [True, False], ids=["aligned", "edges"])
def test_the_lattice_that_stays_gives_the_identity(
    shape: tuple[int, int], align_corners: bool
) -> None:
    G = target_grid((5, 7), align_corners=align_corners)
    grid, _ = basis_grid_forward(bspline_points(shape)[None], bspline_basis(shape, G))
    np.testing.assert_allclose(grid[0], G, atol=1e-12)


def test_where_the_control_points_lie() -> None:
    """Five along x: spacing 2 / 2 = 1, from -2 to 2; four along y: spacing 2, from -3 to 3."""
    points = bspline_points((4, 5)).reshape(4, 5, 2)
    np.testing.assert_array_equal(points[0, :, 0], [-2, -1, 0, 1, 2])
    np.testing.assert_array_equal(points[:, 0, 1], [-3, -1, 1, 3])


def test_weights_by_hand() -> None:
    """On a control point 1/6, 4/6, 1/6; in the middle of two 1/48, 23/48, 23/48, 1/48."""
    on, between = np.array([1, 4, 1]) / 6, np.array([1, 23, 23, 1]) / 48
    B = bspline_basis((4, 5), np.array([[[0.0, 0.0]]])).reshape(4, 5)
    np.testing.assert_allclose(B[:, 1:4], np.outer(between, on), atol=1e-15)
    np.testing.assert_array_equal(B[:, [0, 4]], 0)


@pytest.mark.parametrize("shape", [(4, 5), (6, 4)], ids=str)
def test_it_is_positive_sums_to_one_and_is_local(shape: tuple[int, int]) -> None:
    B = bspline_basis(shape, G)
    assert B.min() >= 0
    np.testing.assert_allclose(B.sum(axis=-1), 1, atol=1e-14)
    distance = np.abs(G[:, :, None] - bspline_points(shape))
    spacing = 2 / (np.array(shape[::-1]) - 3)
    np.testing.assert_array_equal(B[(distance >= 2 * spacing).any(axis=-1)], 0)


def test_moving_one_control_point_moves_its_surroundings() -> None:
    theta = bspline_points((8, 9))
    G = target_grid((21, 21))
    moved = theta.copy()
    moved[4 * 9 + 4] += 0.1
    B = bspline_basis((8, 9), G)
    touched = (B @ moved != B @ theta).any(axis=-1)
    far = (np.abs(G - theta[4 * 9 + 4]) > 2 * 2 / np.array([6, 5])).any(axis=-1)
    assert touched.any()
    assert not touched[far].any()


def test_bad_lattices() -> None:
    with pytest.raises(ValueError, match=r"control_shape: expected at least 4 rows and columns, "):
        bspline_basis((3, 5), G)
    with pytest.raises(ValueError, match="control_shape: expected 2 positive integers, got 4"):
        bspline_points(4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"G: expected values from -1 to 1, got -2.0 to 2.0"):
        bspline_basis((4, 5), 2 * G)


# ------------------------------------------------------------------------------------- both

BASES = {
    "thin plate": thin_plate_basis(regular_points((3, 4)), G),
    "thin plate, stiff": thin_plate_basis(regular_points((3, 4)), G, stiffness=0.5),
    "B-spline": bspline_basis((4, 5), G),
}


@pytest.mark.parametrize("name", BASES)
def test_gradients(name: str, rng: np.random.Generator) -> None:
    B = BASES[name]
    report = check_gradients(
        lambda theta: basis_grid_forward(theta, B),
        basis_grid_backward,
        [rng.standard_normal((2, B.shape[-1], 2))],
        jvp=basis_grid_jvp,
    )
    assert report.ok, str(report)


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_the_grid_takes_the_dtype_of_theta(name: str, dtype: type) -> None:
    B = BASES[name]
    assert B.dtype == np.float64
    grid, cache = basis_grid_forward(np.ones((2, B.shape[-1], 2), dtype), B)
    assert grid.dtype == basis_grid_backward(grid, cache).dtype == dtype


def test_views_and_single_precision_give_the_same_basis(rng: np.random.Generator) -> None:
    points, view = regular_points((3, 4)), np.repeat(G, 2, axis=1)[:, ::2]
    before = points.copy(), view.copy()
    np.testing.assert_allclose(
        thin_plate_basis(np.asfortranarray(points), view), BASES["thin plate"], atol=1e-14
    )
    np.testing.assert_array_equal(bspline_basis((4, 5), view), BASES["B-spline"])
    np.testing.assert_array_equal(points, before[0])
    np.testing.assert_array_equal(view, before[1])
    single = bspline_basis((4, 5), G.astype(np.float32))
    assert single.dtype == np.float64
    np.testing.assert_allclose(single, BASES["B-spline"], atol=1e-6)


def test_arguments_have_names() -> None:
    c = regular_points((3, 3))
    by_name = thin_plate_basis(control_points=c, G=G, stiffness=0.1)
    np.testing.assert_array_equal(by_name, thin_plate_basis(c, G, stiffness=0.1))
    with pytest.raises(TypeError):
        thin_plate_basis(c, G, 0.1)  # type: ignore[misc]


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.transforms.basis"))
