"""Compose, invert, pixel matrices: against points, against pictures, by hand."""

import importlib
from typing import Any

import numpy as np
import pytest

from stnref import (
    affine_grid,
    check_gradients,
    grid_sample,
    rigid_matrix_forward,
    sample_forward,
    target_grid,
    transforms,
    unnormalize_forward,
)
from stnref.coordinates import normalize
from stnref.pairs import Pair, pair_of
from stnref.transforms import (
    compose,
    compose_forward,
    compose_jvp,
    from_pixel_matrix,
    invert,
    invert_backward,
    invert_forward,
    projective_grid_forward,
    to_pixel_matrix,
)
from tests.signatures import expect_names

FORMS = {"affine 2-D": (2, 3), "affine 3-D": (3, 4), "projective": (3, 3), "square 3-D": (4, 4)}
FORM = pytest.mark.parametrize("form", FORMS)
CORNERS = pytest.mark.parametrize("align_corners", [True, False], ids=["aligned", "edges"])
IN, OUT = (4, 7, 3), (5, 2, 6)
"""Sizes of volumes; pictures take the last two."""


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _matrices(form: str, rng: np.random.Generator, batch: int = 2) -> np.ndarray:
    return np.eye(*FORMS[form]) + 0.2 * rng.standard_normal((batch, *FORMS[form]))


def _sizes(form: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    d = FORMS[form][1] - 1
    return IN[3 - d :], OUT[3 - d :]


def _apply(A: np.ndarray, point: np.ndarray) -> np.ndarray:
    """A (x, y, 1), divided by the third if there is one."""
    mapped = A @ np.append(point, 1)
    d = len(point)
    return mapped[:d] / mapped[d] if len(mapped) > d else mapped


# ---------------------------------------------------------------------------------- compose


@FORM
def test_a_point_meets_the_second_matrix_first(form: str, rng: np.random.Generator) -> None:
    A, B = _matrices(form, rng), _matrices(form, rng)
    C, point = compose(A, B), rng.uniform(-1, 1, FORMS[form][1] - 1)
    assert C.shape == A.shape
    for b in range(2):
        np.testing.assert_allclose(
            _apply(C[b], point), _apply(A[b], _apply(B[b], point)), rtol=1e-13
        )


def test_pictures_come_in_the_other_order() -> None:
    """To sample with A B is to sample with A, and then the result with B."""
    rng = np.random.default_rng(0)
    U = np.zeros((1, 9, 9, 1))
    U[0, 3:6, 3:6, 0] = rng.standard_normal((3, 3))
    A = np.array([[[0.0, -1, 0], [1, 0, 0]]])  # a quarter turn
    B = np.array([[[1, 0, 0.25], [0, 1, 0]]])  # one pixel to the right
    G = target_grid((9, 9))

    def warp(U: np.ndarray, *matrices: np.ndarray) -> np.ndarray:
        for matrix in matrices:
            U = grid_sample(U, affine_grid(matrix, G))
        return U

    np.testing.assert_array_equal(warp(U, compose(A, B)), warp(U, A, B))
    assert np.abs(warp(U, compose(A, B)) - warp(U, B, A)).max() > 0.1


@FORM
def test_the_identity_is_neutral(form: str, rng: np.random.Generator) -> None:
    A, one = _matrices(form, rng), np.broadcast_to(np.eye(*FORMS[form]), (2, *FORMS[form]))
    np.testing.assert_array_equal(compose(A, one), A)
    np.testing.assert_array_equal(compose(one, A), A)


def test_compose_by_hand() -> None:
    A = np.array([[[1.0, 2, 3], [4, 5, 6]]])
    B = np.array([[[1.0, 0, 2], [0, 3, 0]]])
    assert compose(A, B).tolist() == [[[1, 6, 5], [4, 15, 14]]]


def test_a_tangent_of_none_is_zero(rng: np.random.Generator) -> None:
    A, B, dot = (_matrices("affine 2-D", rng) for _ in range(3))
    _, cache = compose_forward(A, B)
    zero = np.zeros_like(A)
    np.testing.assert_array_equal(compose_jvp(dot, None, cache), compose_jvp(dot, zero, cache))
    np.testing.assert_array_equal(compose_jvp(None, dot, cache), compose_jvp(zero, dot, cache))


def test_the_square_form_of_a_volume_is_the_short_one(rng: np.random.Generator) -> None:
    """With the row 0 0 0 1 written out, all comes out the same."""
    A, B = _matrices("affine 3-D", rng), _matrices("affine 3-D", rng)
    last = np.broadcast_to(np.eye(4)[3:], (2, 1, 4))
    A4, B4 = (np.concatenate([M, last], axis=1) for M in (A, B))
    np.testing.assert_allclose(compose(A4, B4)[:, :3], compose(A, B), atol=1e-15)
    np.testing.assert_allclose(invert(A4)[:, :3], invert(A), atol=1e-14)
    np.testing.assert_allclose(
        to_pixel_matrix(A4, IN, OUT)[:, :3], to_pixel_matrix(A, IN, OUT), atol=1e-14
    )


# ----------------------------------------------------------------------------------- invert


@FORM
def test_the_inverse_undoes(form: str, rng: np.random.Generator) -> None:
    A = _matrices(form, rng)
    for product in (compose(A, invert(A)), compose(invert(A), A)):
        np.testing.assert_allclose(
            product, np.broadcast_to(np.eye(*FORMS[form]), A.shape), atol=1e-13
        )


def test_the_inverse_of_a_rotation_turns_back() -> None:
    theta, _ = rigid_matrix_forward(np.array([[0.3, 0, 0]]))
    back, _ = rigid_matrix_forward(np.array([[-0.3, 0, 0]]))
    np.testing.assert_allclose(invert(theta), back, atol=1e-15)


def test_a_far_translation_does_not_make_it_singular() -> None:
    A = np.array([[[1, 0, 1e9], [0, 1, -1e9]]])
    np.testing.assert_array_equal(invert(A)[0, :, 2], [-1e9, 1e9])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_singular_matrices_are_named(dtype: type) -> None:
    A = np.tile(np.eye(2, 3), (3, 1, 1)).astype(dtype)
    A[1, 1] = 3 * A[1, 0]
    expected = r"A: expected invertible matrices, got one with condition number .* at index 1"
    with pytest.raises(ValueError, match=expected):
        invert(A)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_singular_is_what_has_lost_all_its_digits(dtype: type) -> None:
    A = np.eye(2, 3, dtype=dtype)[None].copy()
    A[0, 1, 1] = np.finfo(dtype).eps * 1.5
    assert np.isfinite(invert(A)).all()
    A[0, 1, 1] /= 2
    with pytest.raises(ValueError, match="A: expected invertible matrices"):
        invert(A)


def test_a_matrix_that_is_not_finite_is_named() -> None:
    A = np.eye(2, 3)[None].copy()
    A[0, 1, 1] = np.nan
    with pytest.raises(ValueError, match=r"A: expected finite values, got nan at index \(0, 1, 1"):
        invert(A)


# ------------------------------------------------------------- normalised <-> pixel matrices


@FORM
@CORNERS
def test_the_pixel_matrix_maps_target_pixels_to_source_pixels(
    form: str, align_corners: bool, rng: np.random.Generator
) -> None:
    """Pixel -> normalised -> A -> normalised -> pixel, point by point."""
    A, (in_shape, out_shape) = _matrices(form, rng), _sizes(form)
    M = to_pixel_matrix(A, in_shape, out_shape, align_corners=align_corners)
    assert M.shape == A.shape
    pixel = rng.uniform(0, 5, len(in_shape))
    for b in range(2):
        g = _apply(A[b], normalize(pixel, out_shape, align_corners=align_corners))
        expected, _ = unnormalize_forward(g, in_shape, align_corners=align_corners)
        np.testing.assert_allclose(_apply(M[b], pixel), expected, rtol=1e-12)


@FORM
@CORNERS
def test_there_and_back(form: str, align_corners: bool, rng: np.random.Generator) -> None:
    A, sizes = _matrices(form, rng), _sizes(form)
    M = to_pixel_matrix(A, *sizes, align_corners=align_corners)
    back = from_pixel_matrix(M, *sizes, align_corners=align_corners)
    np.testing.assert_allclose(back, A, atol=1e-14)


def test_pixel_matrices_by_hand() -> None:
    """4 x 9 to 4 x 5: the identity has to step over two columns; by edges, from their middle."""
    one = np.eye(2, 3)[None]
    assert to_pixel_matrix(one, (4, 9), (4, 5)).tolist() == [[[2, 0, 0], [0, 1, 0]]]
    edges = to_pixel_matrix(one, (4, 10), (4, 5), align_corners=False)
    np.testing.assert_allclose(edges, [[[2, 0, 0.5], [0, 1, 0]]], atol=1e-15)


@CORNERS
@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_a_matrix_of_opencv_or_scikit_image_can_be_used_as_it_is(
    align_corners: bool, padding: str, rng: np.random.Generator
) -> None:
    """`warpAffine(U, M, flags=WARP_INVERSE_MAP)` reads U at M (x, y, 1) for output pixel (x, y)."""
    U = rng.standard_normal((1, 6, 9, 2))
    turn, size = np.deg2rad(30), (4, 7)
    M = np.array([[np.cos(turn), -np.sin(turn), 2.3], [np.sin(turn), np.cos(turn), -1.1]])
    x, y = np.meshgrid(np.arange(7.0), np.arange(4.0))
    points = np.stack([x, y, np.ones_like(x)], axis=-1) @ M.T
    expected, _ = sample_forward(U, points[None], padding=padding)
    theta = from_pixel_matrix(M[None], U.shape[1:3], size, align_corners=align_corners)
    grid = affine_grid(theta, target_grid(size, align_corners=align_corners))
    V = grid_sample(U, grid, padding_mode=padding, align_corners=align_corners)
    np.testing.assert_allclose(V, expected, atol=1e-12)


@CORNERS
def test_a_homography_in_pixels_can_be_used_as_it_is(
    align_corners: bool, rng: np.random.Generator
) -> None:
    U = rng.standard_normal((1, 6, 9, 2))
    M = np.array([[1.1, 0.2, 0.3], [-0.1, 0.9, 1.2], [0.02, -0.03, 1]])
    x, y = np.meshgrid(np.arange(7.0), np.arange(4.0))
    XYZ = np.stack([x, y, np.ones_like(x)], axis=-1) @ M.T
    expected, _ = sample_forward(U, (XYZ[..., :2] / XYZ[..., 2:])[None])
    theta = from_pixel_matrix(M[None], (6, 9), (4, 7), align_corners=align_corners)
    grid, _ = projective_grid_forward(theta, target_grid((4, 7), align_corners=align_corners))
    V = grid_sample(U, grid, align_corners=align_corners)
    np.testing.assert_allclose(V, expected, atol=1e-12)


def test_a_rotation_in_pixels_does_not_shear_a_picture_that_is_not_square() -> None:
    """The way out of the trap that a rotation of normalised coordinates is."""
    M, _ = rigid_matrix_forward(np.array([[0.5, 1.0, 2.0]]))
    theta = from_pixel_matrix(M, (5, 9), (5, 9))
    points, _ = unnormalize_forward(affine_grid(theta, target_grid((5, 9))), (5, 9))
    right, down = points[0, 0, 1] - points[0, 0, 0], points[0, 1, 0] - points[0, 0, 0]
    np.testing.assert_allclose(
        [right @ right, down @ down, right @ down], [1, 1, 0], rtol=0, atol=1e-13
    )


class TestAnAxisOfSizeOne:
    """With aligned corners it has no scale; by edges it is an axis like others."""

    def test_the_identity_maps_the_only_pixel_to_the_middle(self) -> None:
        """The target's pixel has G = 0, which in a source of 5 rows is row 2."""
        M = to_pixel_matrix(np.eye(2, 3)[None], (5, 4), (1, 4))
        np.testing.assert_allclose(_apply(M[0], np.array([3.0, 0])), [3, 2], atol=1e-15)

    def test_a_source_of_size_one_is_pixel_0_everywhere(self, rng: np.random.Generator) -> None:
        M = to_pixel_matrix(_matrices("affine 2-D", rng), (1, 4), (3, 4))
        np.testing.assert_array_equal(M[:, 1], 0)

    def test_a_target_of_size_one_takes_pixel_matrices_exactly(
        self, rng: np.random.Generator
    ) -> None:
        M = np.array([[[1.0, 0.2, 0.5], [0.1, 1, 1.25]]])
        theta = from_pixel_matrix(M, (5, 4), (1, 4))
        points, _ = unnormalize_forward(affine_grid(theta, target_grid((1, 4))), (5, 4))
        expected = [_apply(M[0], np.array([x, 0])) for x in range(4)]
        np.testing.assert_allclose(points[0, 0], expected, atol=1e-14)

    def test_by_edges_there_and_back(self, rng: np.random.Generator) -> None:
        A = _matrices("affine 2-D", rng)
        M = to_pixel_matrix(A, (1, 4), (3, 1), align_corners=False)
        back = from_pixel_matrix(M, (1, 4), (3, 1), align_corners=False)
        np.testing.assert_allclose(back, A, atol=1e-14)


def test_large_maps_keep_single_precision() -> None:
    """The factors are formed in double precision, not as small differences of single."""
    M = np.eye(2, 3, dtype=np.float32)[None]
    theta = from_pixel_matrix(M, (3000, 4000), (1500, 2000))
    expected = from_pixel_matrix(M.astype(float), (3000, 4000), (1500, 2000))
    np.testing.assert_allclose(theta, expected, rtol=2e-7, atol=2e-7)


# ---------------------------------------------------------------------------------- all pairs


def _pairs(form: str) -> dict[str, Pair]:
    in_shape, out_shape = _sizes(form)
    pairs = {name: pair_of(vars(transforms), name) for name in ("compose", "invert")}
    for name in ("to_pixel_matrix", "from_pixel_matrix"):
        for aligned in (True, False):
            options: dict[str, Any] = {"in_shape": in_shape, "out_shape": out_shape}
            pair = pair_of(vars(transforms), name, **options, align_corners=aligned)
            pairs[f"{name}, {aligned}"] = pair
    return pairs


def _inputs(name: str, form: str, rng: np.random.Generator) -> list[np.ndarray]:
    return [_matrices(form, rng) for _ in range(2 if name == "compose" else 1)]


PAIR = pytest.mark.parametrize("name", _pairs("affine 2-D"))


@FORM
@PAIR
def test_gradients(name: str, form: str, rng: np.random.Generator) -> None:
    forward, backward, jvp = _pairs(form)[name]
    report = check_gradients(forward, backward, _inputs(name, form, rng), jvp=jvp)
    assert report.ok, str(report)


@FORM
@PAIR
@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision_stays(
    name: str, form: str, dtype: type, rng: np.random.Generator
) -> None:
    forward, backward, jvp = _pairs(form)[name]
    inputs = [array.astype(dtype) for array in _inputs(name, form, rng)]
    out, cache = forward(*inputs)
    gradients = backward(out, cache)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    assert {out.dtype, jvp(*inputs, cache).dtype, *(g.dtype for g in gradients)} == {
        np.dtype(dtype)
    }


@FORM
@PAIR
def test_inputs_are_not_changed_and_views_do(
    name: str, form: str, rng: np.random.Generator
) -> None:
    forward, backward, jvp = _pairs(form)[name]
    inputs = _inputs(name, form, rng)
    before = [array.copy() for array in inputs]
    out, cache = forward(*inputs)
    backward(out, cache)
    jvp(*inputs, cache)
    for array, copy in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    views = [np.repeat(array, 2, axis=2)[..., ::2] for array in inputs]
    np.testing.assert_allclose(forward(*views)[0], out, atol=1e-14)


BAD = {
    "one matrix": (
        lambda: invert(np.eye(2, 3)),
        r"A: expected shape \(B, 2, 3\) or \(B, 3, 4\) or \(B, 3, 3\) or \(B, 4, 4\), got \(2, 3\)",
    ),
    "two forms": (
        lambda: compose(np.ones((2, 2, 3)), np.ones((2, 3, 3))),
        r"B: expected shape \(2, 2, 3\), got \(2, 3, 3\)",
    ),
    "a volume's size for a picture": (
        lambda: to_pixel_matrix(np.ones((2, 2, 3)), (2, 3, 4), (3, 4)),
        r"in_shape: expected 2 positive integers, got \(2, 3, 4\)",
    ),
    "a picture's size for a volume": (
        lambda: from_pixel_matrix(np.ones((2, 3, 4)), (2, 3, 4), (3, 4)),
        r"out_shape: expected 3 positive integers, got \(3, 4\)",
    ),
    "gradient": (
        lambda: invert_backward(np.eye(2, 3), invert_forward(np.eye(2, 3)[None])[1]),
        r"dN: expected shape \(1, 2, 3\), got \(2, 3\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    call, expected = BAD[case]
    with pytest.raises(ValueError, match=expected):
        call()


def test_an_axis_of_one_pixel_is_one_unit_long() -> None:
    """With aligned corners d = 0 there; with d = 1 a pixel further is two units of the grid."""
    A = np.array([[[1.0, 0.3, 0.1], [0.2, 1.5, 0]]])
    pixel = to_pixel_matrix(A, (3, 4), (1, 2))
    np.testing.assert_allclose(pixel[0, :, 1], [2 * 1.5 * 0.3, 2 * 1 * 1.5], atol=1e-15)


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.transforms.algebra"))
