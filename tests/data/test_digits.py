"""Drawn digits: the same seed gives the same bits, and the pose is the true one."""

import numpy as np
import pytest

from stnref import grid_sample
from stnref.data import Digits, draw_digits
from stnref.data.digits import SKELETONS


@pytest.fixture(scope="module")
def digits() -> Digits:
    return draw_digits(400, np.random.default_rng(5))


def test_the_same_seed_gives_the_same_bits(digits: Digits) -> None:
    again, other = (draw_digits(400, np.random.default_rng(seed)) for seed in (5, 6))
    for first, second in zip(digits, again, strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(digits.images, other.images)


def test_shapes_ranges_and_dtypes(digits: Digits) -> None:
    assert digits.images.shape == (400, 28, 28, 1)
    assert digits.images.dtype == np.float32
    assert (digits.images.min(), digits.images.max()) == (0, 1)
    assert digits.labels.shape == (400,)
    assert set(digits.labels) == set(range(10))
    assert digits.pose.shape == (400, 2, 3)
    # The edges are one pixel wide: a part of the inked pixels is grey.
    grey = (digits.images > 0.02) & (digits.images < 0.98)
    assert 0.3 < grey.sum() / (digits.images > 0).sum() < 0.8


def test_every_digit_is_another_hand(digits: Digits) -> None:
    sevens = digits.images[digits.labels == 7]
    assert len(np.unique(sevens, axis=0)) == len(sevens)


def test_digits_stay_clear_of_the_corners_when_they_are_turned(digits: Digits) -> None:
    """Ink lies within the circle that a rotation maps onto itself."""
    middle = (np.arange(28) - 13.5) ** 2
    beyond = np.hypot(*np.meshgrid(middle**0.5, middle**0.5)) > 14.5
    ink = digits.images[..., 0]
    assert ink[:, beyond].sum() / ink.sum() < 1e-3


@pytest.mark.parametrize("size", [16, 41])
def test_the_size_is_free_and_ink_keeps_its_share(size: int, digits: Digits) -> None:
    """The same hands at another size cover the same part of the picture."""
    other = draw_digits(400, np.random.default_rng(5), size=size)
    assert other.images.shape == (400, size, size, 1)
    np.testing.assert_array_equal(other.labels, digits.labels)
    coverage = [d.images.mean(axis=(1, 2, 3)) for d in (digits, other)]
    # Pixels are centres of squares, so a picture is (size / (size - 1)) of [-1, 1] wide.
    scaled = [c * (n / (n - 1)) ** 2 for c, n in zip(coverage, (28, size), strict=True)]
    np.testing.assert_allclose(scaled[1], scaled[0], rtol=0.1)


def test_labels_can_be_asked_for() -> None:
    labels = [3, 3, 8, 0]
    assert draw_digits(4, np.random.default_rng(0), labels=labels).labels.tolist() == labels


def test_the_angle_is_that_of_the_pose(digits: Digits) -> None:
    """The rotation nearest to a matrix is that of its polar form, found by an SVD."""
    for pose, angle in zip(digits.pose, digits.angle, strict=True):
        left, _, right = np.linalg.svd(pose[:, :2])
        c, s = (left @ right)[:, 0]
        np.testing.assert_allclose(angle, np.arctan2(s, c), atol=1e-12)


def _ink_at_the_skeleton(digits: Digits, pose: np.ndarray) -> np.ndarray:
    """Mean ink where the pose puts the control points, for the better way of writing; (N,)."""
    found = np.zeros(len(digits.labels))
    for number, label in enumerate(digits.labels):
        for points, _ in SKELETONS[label]:
            placed = np.array(points) @ pose[number, :, :2].T + pose[number, :, 2]
            ink = grid_sample(digits.images[number : number + 1], placed[None, None])
            found[number] = max(found[number], ink.mean())
    return found


def test_the_pose_is_where_the_ink_is(digits: Digits) -> None:
    """The pose carries the skeleton onto the strokes, up to the jitter; a mirrored one does not."""
    mirrored = digits.pose * [[[-1], [1]]]
    assert _ink_at_the_skeleton(digits, digits.pose).mean() > 0.8
    assert _ink_at_the_skeleton(digits, mirrored).mean() < 0.6


def test_skeletons_are_whole() -> None:
    """Every point belongs to a stroke, every stroke to points that there are."""
    assert len(SKELETONS) == 10
    for ways in SKELETONS:
        for points, strokes in ways:
            assert {index for stroke in strokes for index in stroke} == set(range(len(points)))


@pytest.mark.parametrize(
    ("count", "options", "error", "message"),
    [
        (0, {}, ValueError, "count: expected an integer from 1 on, got 0"),
        (2.5, {}, ValueError, r"count: expected an integer from 1 on, got 2\.5"),
        (2, {"size": 0}, ValueError, "size: expected an integer from 1 on, got 0"),
        (2, {"labels": [1, 10]}, ValueError, "labels: expected values from 0 to 9, got 10"),
        (2, {"labels": [1]}, ValueError, r"labels: expected shape \(2,\), got \(1,\)"),
        (2, {"labels": [1.0, 2.0]}, TypeError, "labels: expected an integer dtype, got float64"),
    ],
)
def test_bad_input(count: int, options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        draw_digits(count, np.random.default_rng(0), **options)
