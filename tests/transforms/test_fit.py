"""Matrices from points: exact ones, least squares, what determines nothing."""

from typing import Any

import numpy as np
import pytest

from stnref import affine_grid, check_gradients, target_grid, transforms
from stnref.coordinates import normalize
from stnref.pairs import pair_of
from stnref.transforms import (
    fit_affine_backward,
    fit_affine_forward,
    fit_affine_jvp,
    fit_homography_backward,
    fit_homography_forward,
    fit_homography_jvp,
    least_squares_backward,
    least_squares_forward,
    least_squares_jvp,
    projective_grid_forward,
    to_pixel_matrix,
)

CORNERS = target_grid((2, 2)).reshape(1, 4, 2)
HOMOGRAPHY = np.array([[[1.25, 0.25, 0.5], [-0.125, 0.75, 0.25], [0.25, -0.125, 1]]])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _points(rng: np.random.Generator, rows: int, columns: int, *shape: int) -> np.ndarray:
    """Two samples of points near a lattice, so that no three are on a line."""
    points = target_grid((*shape, rows, columns))
    points = points.reshape(-1, points.shape[-1])
    return points + 0.1 * rng.standard_normal((2, *points.shape))


# ---------------------------------------------------------------------------- least squares


def test_least_squares_by_hand() -> None:
    """A line through (0, 1), (1, 3), (2, 4) and (3, 4): 3/2 + x."""
    A = np.stack([np.ones(4), np.arange(4.0)], axis=-1)[None]
    h, cache = least_squares_forward(A, np.array([1.0, 3, 4, 4]).reshape(1, 4, 1))
    np.testing.assert_allclose(h.ravel(), [1.5, 1], rtol=1e-14)
    np.testing.assert_allclose(cache.residual.ravel(), [-0.5, 0.5, 0.5, -0.5], atol=1e-14)


def test_least_squares_is_numpys(rng: np.random.Generator) -> None:
    A, b = rng.standard_normal((3, 7, 4)), rng.standard_normal((3, 7, 2))
    A[2, :, 3] = A[2, :, 0] + A[2, :, 1]
    h, cache = least_squares_forward(A[:2], b[:2])
    for k in range(2):
        np.testing.assert_allclose(h[k], np.linalg.lstsq(A[k], b[k], rcond=None)[0], rtol=1e-12)
        np.testing.assert_allclose(cache.pseudoinverse[k], np.linalg.pinv(A[k]), atol=1e-14)
    with pytest.raises(ValueError, match=r"A: expected independent columns, got .* in sample 2"):
        least_squares_forward(A, b)


def test_the_condition_number_is_not_squared(rng: np.random.Generator) -> None:
    """Its square, that of A^T A, would be 1e20, and no digit would be left."""
    A = np.linalg.qr(rng.standard_normal((1, 6, 3)))[0] * [1, 1e-5, 1e-10]
    h, _ = least_squares_forward(A, A @ np.ones((1, 3, 1)))
    np.testing.assert_allclose(h, 1, rtol=1e-5)


# ----------------------------------------------------------------------------------- affine


def test_affine_by_hand() -> None:
    target = np.array([[[0.0, 0], [1, 0], [0, 1]]])
    source = np.array([[[0.5, 0.25], [2.5, 0.5], [0.25, -1]]])
    theta, _ = fit_affine_forward(target, source)
    expected = [[[2, -0.25, 0.5], [0.25, -1.25, 0.25]]]
    np.testing.assert_allclose(theta, expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("shape", [(2, 3), (3, 4)], ids=["2-D", "3-D"])
def test_points_of_an_affine_map_give_it_back(
    shape: tuple[int, int], rng: np.random.Generator
) -> None:
    theta = np.eye(*shape) + 0.3 * rng.standard_normal((2, *shape))
    target = rng.uniform(-1, 1, (2, 9, shape[0]))
    source = target @ theta[:, :, :-1].swapaxes(1, 2) + theta[:, None, :, -1]
    for K in (shape[1], 9):  # exact, and more than it takes
        found, cache = fit_affine_forward(target[:, :K], source[:, :K])
        np.testing.assert_allclose(found, theta, atol=1e-12)
        np.testing.assert_allclose(cache.residual, 0, atol=1e-13)


def test_the_corners_of_a_crop() -> None:
    """The use: theta from the corners of the part that is to fill the output."""
    crop = np.array([[[0.0, -0.5], [1, -0.5], [0, 0.5], [1, 0.5]]])
    theta, _ = fit_affine_forward(CORNERS, crop)
    np.testing.assert_allclose(theta, [[[0.5, 0, 0.5], [0, 0.5, 0]]], atol=1e-15)
    grid = affine_grid(theta, target_grid((3, 5)))
    np.testing.assert_allclose(grid[0, 0, 0], [0, -0.5], atol=1e-15)


def test_least_squares_leave_no_moment(rng: np.random.Generator) -> None:
    """The residual is orthogonal to 1, x and y: no other theta comes nearer."""
    target, source = _points(rng, 2, 4), rng.standard_normal((2, 8, 2))
    _, cache = fit_affine_forward(target, source)
    np.testing.assert_allclose(cache.A.swapaxes(1, 2) @ cache.residual, 0, atol=1e-14)
    assert np.abs(cache.residual).max() > 0.1


# ------------------------------------------------------------------------------- homography


def _apply(theta: np.ndarray, points: np.ndarray) -> np.ndarray:
    """By the project's own grid, with the points as a target grid."""
    return projective_grid_forward(theta, points)[0][:, 0]


@pytest.mark.parametrize("K", [4, 9])
def test_points_of_a_homography_give_it_back(K: int, rng: np.random.Generator) -> None:
    target = np.concatenate([CORNERS, rng.uniform(-1, 1, (1, 5, 2))], axis=1)[:, :K]
    theta, cache = fit_homography_forward(target, _apply(HOMOGRAPHY, target))
    np.testing.assert_allclose(theta, HOMOGRAPHY, atol=1e-13)
    np.testing.assert_allclose(cache.solved.residual, 0, atol=1e-14)
    assert theta[0, 2, 2] == 1


def test_every_pair_is_met(rng: np.random.Generator) -> None:
    target, source = _points(rng, 2, 2), _points(rng, 2, 2)
    theta, _ = fit_homography_forward(target, source)
    for b in range(2):
        np.testing.assert_allclose(
            _apply(theta[b : b + 1], target[b : b + 1]), source[b : b + 1], atol=1e-13
        )


def test_homography_by_hand() -> None:
    """The upper edge twice as wide as the lower one, (2, 1), so Z has the ratio 1 : 2 there."""
    source = np.array([[[-2.0, -2], [2, -2], [-1, 1], [1, 1]]])
    theta, _ = fit_homography_forward(CORNERS, source)
    expected = np.array([[[4, 0, 0], [0, 4, 0], [0, 1, 3]]]) / 3
    np.testing.assert_allclose(theta, expected, atol=1e-15)


def test_the_inverse_exchanges_the_points(rng: np.random.Generator) -> None:
    target, source = _points(rng, 2, 2), _points(rng, 2, 2)
    there, back = fit_homography_forward(target, source)[0], fit_homography_forward(source, target)
    inverse = transforms.invert(there)
    np.testing.assert_allclose(back[0], inverse / inverse[:, 2:, 2:], atol=1e-12)


def test_points_in_pixels(rng: np.random.Generator) -> None:
    """Through `normalize` and `to_pixel_matrix`, pictures of different sizes."""
    target = np.array([[[1.0, 2], [30, 4], [3, 21], [28, 19]]])
    source = np.array([[[0.0, 0], [19, 0], [0, 11], [19, 11]]])
    theta, _ = fit_homography_forward(normalize(target, (24, 32)), normalize(source, (12, 20)))
    M = to_pixel_matrix(theta, (12, 20), (24, 32))
    XYZ = np.insert(target, 2, 1, axis=-1) @ M.swapaxes(1, 2)
    np.testing.assert_allclose(XYZ[..., :2] / XYZ[..., 2:], source, atol=1e-12)


def test_a_point_in_the_wrong_order_is_met_and_hidden() -> None:
    """Two corners exchanged: a bow tie. Two of the points are behind the viewer."""
    source = CORNERS[:, [0, 1, 3, 2]]
    theta, _ = fit_homography_forward(CORNERS + [0.1, 0.2], source)
    XYZ = np.insert(CORNERS + [0.1, 0.2], 2, 1, axis=-1) @ theta.swapaxes(1, 2)
    np.testing.assert_allclose(XYZ[..., :2] / XYZ[..., 2:], source, atol=1e-13)
    assert (XYZ[..., 2] < 0).sum() == 2
    assert (_apply(theta, CORNERS + [0.1, 0.2]) == transforms.FAR).all(axis=-1).sum() == 2


def test_the_system_is_well_conditioned_in_normalised_coordinates() -> None:
    """The golden ratio + 1 for the identity; in pixels of a picture of 500 it is 5.6e5."""
    _, cache = fit_homography_forward(CORNERS, CORNERS)
    np.testing.assert_allclose(np.linalg.cond(cache.solved.A), (3 + 5**0.5) / 2, rtol=1e-12)
    pixels = 250 + 250 * CORNERS
    _, cache = fit_homography_forward(pixels, pixels)
    assert 5e5 < np.linalg.cond(cache.solved.A) < 6e5


# ---------------------------------------------------------------------------------- all pairs

INPUTS: dict[str, Any] = {
    "least_squares": lambda rng: [rng.standard_normal((3, 7, 4)), rng.standard_normal((3, 7, 2))],
    "fit_affine, 3 points": lambda rng: [_points(rng, 2, 2)[:, :3], _points(rng, 2, 2)[:, :3]],
    "fit_affine, 8 points": lambda rng: [_points(rng, 2, 4), _points(rng, 2, 4)],
    "fit_affine, 3-D": lambda rng: [_points(rng, 2, 2, 2), _points(rng, 2, 2, 2)],
    "fit_homography, 4 points": lambda rng: [_points(rng, 2, 2), _points(rng, 2, 2)],
    "fit_homography, 8 points": lambda rng: [_points(rng, 2, 4), _points(rng, 2, 4)],
}
PAIR = pytest.mark.parametrize("name", INPUTS)


@PAIR
def test_gradients(name: str, rng: np.random.Generator) -> None:
    pair = pair_of(vars(transforms), name.split(",")[0])
    report = check_gradients(pair.forward, pair.backward, INPUTS[name](rng), jvp=pair.jvp)
    assert report.ok, str(report)


@PAIR
@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision_stays_and_is_near(
    name: str, dtype: type, rng: np.random.Generator
) -> None:
    forward, backward, jvp = pair_of(vars(transforms), name.split(",")[0])
    assert jvp is not None
    inputs = INPUTS[name](rng)
    single = [array.astype(dtype) for array in inputs]
    out, cache = forward(*single)
    np.testing.assert_allclose(out, forward(*inputs)[0], atol=1e-4)
    assert {out.dtype, jvp(*single, cache).dtype, *(g.dtype for g in backward(out, cache))} == {
        np.dtype(dtype)
    }


@PAIR
def test_inputs_are_not_changed_and_none_is_zero(name: str, rng: np.random.Generator) -> None:
    forward, backward, jvp = pair_of(vars(transforms), name.split(",")[0])
    assert jvp is not None
    inputs = INPUTS[name](rng)
    before = [array.copy() for array in inputs]
    out, cache = forward(*inputs)
    backward(out, cache)
    dots = [np.cos(array) for array in inputs]
    both = jvp(*dots, cache)
    for array, copy in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    alone = jvp(dots[0], None, cache) + jvp(None, dots[1], cache)
    np.testing.assert_allclose(alone, both, atol=1e-12 * np.abs(both).max())


def test_one_sample_does_not_know_of_another(rng: np.random.Generator) -> None:
    target, source = _points(rng, 2, 4), _points(rng, 2, 4)
    for forward in (fit_affine_forward, fit_homography_forward):
        together = forward(target, source)[0]
        apart = [forward(target[b : b + 1], source[b : b + 1])[0][0] for b in range(2)]
        np.testing.assert_allclose(together, apart, atol=1e-14)


# ------------------------------------------------------------------- what determines nothing

LINE = np.array([[[-1.0, -1], [0.3, 0.3], [0.9, 0.9], [1, 0]]])
TWICE = np.array([[[-1.0, -1], [0.3, 0.7], [0.3, 0.7], [1, 0]]])
POINTS = r"target, source: expected four pairs or more, no three of four on a line, and the "
SINGULAR = r"target, source: expected an invertible map, no three of four points on a line, got "
DEGENERATE = {
    "three of the target": (LINE, CORNERS, POINTS),
    "three of the source": (CORNERS, LINE, SINGULAR),
    "three of both": (LINE, LINE, POINTS),
    "two of the target": (TWICE, CORNERS, POINTS),
    "two of the source": (CORNERS, TWICE, POINTS),
    "all in one place": (0 * CORNERS + 0.3, CORNERS, POINTS),
    "three pairs": (CORNERS[:, :3], CORNERS[:, :3], POINTS),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_points_are_named(case: str, dtype: type) -> None:
    target, source, expected = DEGENERATE[case]
    good = 0.9 * CORNERS[:, : target.shape[1]]
    pairs = (np.concatenate([good, points]).astype(dtype) for points in (target, source))
    sample = 0 if case == "three pairs" else 1
    with pytest.raises(ValueError, match=f"{expected}.*condition number .* in sample {sample}"):
        fit_homography_forward(*pairs)


def test_a_centre_on_the_horizon_is_named() -> None:
    """Theta = [[1, 0, 1], [0, 1, 0], [1, 0, 0]] is a homography, but its last entry is 0."""
    theta = np.array([[[1.0, 0, 1], [0, 1, 0], [1, 0, 0]]])
    target = np.array([[[1.0, -1], [1, 1], [3, 3], [3, -3]]])
    with pytest.raises(ValueError, match="target's centre not on the horizon, got the condition"):
        fit_homography_forward(target, _apply(theta, target))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("points", [LINE[:, :3], CORNERS[:, :2], 0 * CORNERS])
def test_degenerate_points_of_an_affine_map(points: np.ndarray, dtype: type) -> None:
    expected = "target: expected 3 points or more that span the space, got the condition number"
    with pytest.raises(ValueError, match=expected):
        fit_affine_forward(points.astype(dtype), points.astype(dtype))


def test_four_points_of_a_plane_give_no_map_of_volumes() -> None:
    flat = np.insert(CORNERS, 2, 0.5, axis=-1)
    with pytest.raises(ValueError, match="target: expected 4 points or more that span the space"):
        fit_affine_forward(flat, flat)


_, AFFINE = fit_affine_forward(CORNERS, CORNERS)
_, FIT = fit_homography_forward(CORNERS, CORNERS)
_, SOLVED = least_squares_forward(np.ones((1, 3, 1)), np.ones((1, 3, 2)))
BAD = {
    "one sample": (
        lambda: fit_homography_forward(CORNERS[0], CORNERS),
        r"target: expected shape \(B, K, 2\), got \(4, 2\)",
    ),
    "as many": (
        lambda: fit_affine_forward(CORNERS, CORNERS[:, :3]),
        r"source: expected shape \(1, 4, 2\), got \(1, 3, 2\)",
    ),
    "not finite": (
        lambda: fit_homography_forward(CORNERS, np.where(CORNERS > 0, np.nan, CORNERS)),
        r"source: expected finite values, got nan at index \(0, 1, 0\)",
    ),
    "right-hand side": (
        lambda: least_squares_forward(np.ones((1, 3, 1)), np.ones((1, 2, 1))),
        r"b: expected shape \(1, 3, d\), got \(1, 2, 1\)",
    ),
    "dh": (
        lambda: least_squares_backward(np.ones((1, 1, 1)), SOLVED),
        r"dh: expected shape \(1, 1, 2\), got \(1, 1, 1\)",
    ),
    "A_dot": (
        lambda: least_squares_jvp(np.ones((1, 1, 1)), None, SOLVED),
        r"A_dot: expected shape \(1, 3, 1\), got \(1, 1, 1\)",
    ),
    "dtheta": (
        lambda: fit_affine_backward(np.eye(2, 3), AFFINE),
        r"dtheta: expected shape \(1, 2, 3\), got \(2, 3\)",
    ),
    "dtheta of a homography": (
        lambda: fit_homography_backward(np.eye(3), FIT),
        r"dtheta: expected shape \(1, 3, 3\), got \(3, 3\)",
    ),
    "target_dot": (
        lambda: fit_affine_jvp(CORNERS[0], None, AFFINE),
        r"target_dot: expected shape \(1, 4, 2\), got \(4, 2\)",
    ),
    "source_dot": (
        lambda: fit_homography_jvp(None, CORNERS[0], FIT),
        r"source_dot: expected shape \(1, 4, 2\), got \(4, 2\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    call, expected = BAD[case]
    with pytest.raises(ValueError, match=expected):
        call()
