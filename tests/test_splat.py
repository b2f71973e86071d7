"""Forward mapping: the transpose of sampling, its holes, its gradients; see also
test_loops, and for the precision test_properties.
"""

import importlib

import numpy as np
import pytest

from stnref import (
    check_gradients,
    sample_backward,
    sample_forward,
    splat_backward,
    splat_forward,
    splat_jvp,
)
from tests.signatures import expect_names

NORMALIZE = pytest.mark.parametrize("normalize", [False, True], ids=["sum", "mean"])


def _case(d: int = 2) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    rng = np.random.default_rng(d)
    in_shape, shape = ((4, 3), (5, 6)) if d == 2 else ((2, 4, 3), (3, 5, 6))
    image = rng.standard_normal((2, *in_shape, 2))
    cells = rng.integers(-1, 6, (2, *in_shape, d))
    return image, cells + rng.uniform(0.2, 0.8, cells.shape), shape


@pytest.mark.parametrize("d", [2, 3], ids=["2-D", "3-D"])
@pytest.mark.parametrize("kernel", ["nearest", "linear", "cubic", "bspline3"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection_edges", "wrap"])
def test_it_is_the_transpose_of_sampling(kernel: str, padding: str, d: int) -> None:
    """The canvas is the dU of a sampler at the same points with the image as dV."""
    image, points, shape = _case(d)
    canvas, _ = splat_forward(image, points, shape, kernel=kernel, padding=padding)
    _, cache = sample_forward(np.zeros((2, *shape, 2)), points, kernel=kernel, padding=padding)
    np.testing.assert_allclose(canvas, sample_backward(image, cache)[0], atol=1e-14)


def test_what_lands_inside_is_kept() -> None:
    image, points, shape = _case()
    canvas, cache = splat_forward(image, points, shape, padding="border")
    np.testing.assert_allclose(canvas.sum(axis=(1, 2)), image.sum(axis=(1, 2)), rtol=1e-12)
    np.testing.assert_allclose(cache.weight.sum(), image[..., 0].size, rtol=1e-12)


def test_holes_are_visible_and_overlaps_average() -> None:
    image = np.array([2.0, 6.0, 5.0]).reshape(1, 1, 3, 1)
    points = np.array([[0.0, 0], [0, 0], [3, 0]]).reshape(1, 1, 3, 2)
    total, cache = splat_forward(image, points, (1, 4))
    mean, _ = splat_forward(image, points, (1, 4), normalize=True)
    assert cache.weight.ravel().tolist() == [2, 0, 0, 1]
    assert total.ravel().tolist() == [8, 0, 0, 5]
    assert mean.ravel().tolist() == [4, 0, 0, 5]


@NORMALIZE
def test_a_constant_image_splats_to_its_weight(normalize: bool) -> None:
    image, points, shape = _case()
    canvas, cache = splat_forward(0 * image + 3, points, shape, normalize=normalize)
    expected = np.where(cache.weight != 0, 3, 0) if normalize else 3 * cache.weight
    np.testing.assert_allclose(canvas, np.stack([expected, expected], axis=-1), rtol=1e-12)


@NORMALIZE
@pytest.mark.parametrize("kernel", ["linear", "bspline3"])
@pytest.mark.parametrize("d", [2, 3], ids=["2-D", "3-D"])
def test_gradients(kernel: str, normalize: bool, d: int) -> None:
    image, points, shape = _case(d)
    image, points = image[:, :2], points[:, :2]
    report = check_gradients(
        lambda image, points: splat_forward(
            image, points, shape, kernel=kernel, normalize=normalize
        ),
        splat_backward,
        [image, points],
        jvp=splat_jvp,
    )
    assert report.ok, report


@NORMALIZE
def test_none_is_zero_and_needs_declines(normalize: bool) -> None:
    image, points, shape = _case()
    canvas, cache = splat_forward(image, points, shape, normalize=normalize)
    rng = np.random.default_rng(0)
    image_dot, points_dot = rng.standard_normal(image.shape), rng.standard_normal(points.shape)
    whole = splat_jvp(image_dot, points_dot, cache)
    parts = splat_jvp(image_dot, None, cache) + splat_jvp(None, points_dot, cache)
    np.testing.assert_allclose(whole, parts, atol=1e-12)
    dcanvas = rng.standard_normal(canvas.shape)
    dimage, dpoints = splat_backward(dcanvas, cache)
    only_image, declined = splat_backward(dcanvas, cache, needs=["image"])
    assert declined is None
    np.testing.assert_array_equal(only_image, dimage)
    np.testing.assert_array_equal(splat_backward(dcanvas, cache, needs=["points"])[1], dpoints)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"image": np.zeros((2, 3, 1))}, ValueError, r"image: expected shape \(B, H', W', C\)"),
        ({"image": np.zeros((1, 2, 2, 1), int)}, TypeError, "image: expected dtype"),
        ({"points": np.zeros((1, 2, 3, 2))}, ValueError, r"points: expected shape \(1, 2, 2, 2\)"),
        ({"points": np.full((1, 2, 2, 2), np.nan)}, ValueError, "points: expected finite values"),
        ({"shape": (3, 0)}, ValueError, r"shape: expected 2 positive integers, got \(3, 0\)"),
        ({"kernel": "box"}, ValueError, "kernel: expected one of"),
        ({"padding": "mirror"}, ValueError, "padding: expected one of"),
    ],
)
def test_bad_input(change: dict, error: type[Exception], message: str) -> None:
    arguments = {"image": np.zeros((1, 2, 2, 1)), "points": np.zeros((1, 2, 2, 2)), "shape": (3, 4)}
    with pytest.raises(error, match=message):
        splat_forward(**{**arguments, **change})


def test_a_backward_of_the_wrong_shape() -> None:
    image, points, shape = _case()
    _, cache = splat_forward(image, points, shape)
    with pytest.raises(ValueError, match=r"dcanvas: expected shape \(2, 5, 6, 2\), got \(2, 5, 6"):
        splat_backward(np.zeros((2, 5, 6, 3)), cache)


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.splat"))
