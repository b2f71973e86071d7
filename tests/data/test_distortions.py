"""Distortions: the angle they report is the angle by which the content was turned."""

import numpy as np
import pytest

from stnref.data import DISTORTIONS, Distorted, rotate


class FixedAngle(np.random.Generator):
    """A generator whose uniform numbers are one number."""

    def __init__(self, value: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.value = value

    def uniform(self, low: float, high: float, size: int) -> np.ndarray:  # type: ignore[override]
        assert low <= self.value <= high
        return np.full(size, self.value)


def test_a_quarter_turn_clockwise() -> None:
    """What was up is on the right: the rows of the picture become its columns from the right."""
    images = np.random.default_rng(0).random((2, 5, 5, 3))
    turned = rotate(images, FixedAngle(np.pi / 2))
    np.testing.assert_allclose(turned.images, np.rot90(images, -1, axes=(1, 2)), atol=1e-12)
    np.testing.assert_array_equal(turned.angle, [np.pi / 2] * 2)


def test_the_ink_of_a_bar_points_to_the_reported_angle() -> None:
    images = np.zeros((300, 41, 41, 1))
    images[:, 5:20, 19:22] = 1  # a bar from the centre upwards
    turned = rotate(images, np.random.default_rng(1))
    axis = np.arange(41) - 20
    ink = turned.images[..., 0]
    x, y = (ink * axis).sum(axis=(1, 2)), (ink * axis[:, None]).sum(axis=(1, 2))
    np.testing.assert_allclose(np.arctan2(x, -y), turned.angle, atol=0.02)
    assert np.abs(turned.angle).max() <= np.pi / 2
    assert turned.angle.min() < -1.5
    assert turned.angle.max() > 1.5


@pytest.mark.parametrize("name", DISTORTIONS)
def test_same_seed_same_bits_and_the_input_is_left_alone(name: str) -> None:
    images = np.random.default_rng(0).random((3, 6, 6, 1), dtype=np.float32)
    before = images.copy()
    first, second = (DISTORTIONS[name](images, np.random.default_rng(4)) for _ in range(2))
    assert isinstance(first, Distorted)
    assert first.images.dtype == np.float32
    np.testing.assert_array_equal(first.images, second.images)
    np.testing.assert_array_equal(images, before)


def test_none_does_nothing() -> None:
    images = np.random.default_rng(0).random((3, 6, 6, 1))
    same = DISTORTIONS["none"](images, np.random.default_rng(4))
    np.testing.assert_array_equal(same.images, images)
    np.testing.assert_array_equal(same.angle, np.zeros(3))


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((2, 5, 4, 1)), ValueError, r"images: expected shape \(B, H, H, C\), got \(2, 5"),
        (np.zeros((5, 5, 1)), ValueError, r"images: expected shape \(B, H, W, C\), got \(5, 5, 1"),
        (np.zeros((2, 5, 5, 1), dtype=np.uint8), TypeError, "images: expected dtype .* got uint8"),
    ],
    ids=["not square", "one picture", "integers"],
)
def test_bad_input(images: np.ndarray, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rotate(images, np.random.default_rng(0))
