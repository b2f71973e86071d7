"""The measure of alignment: it is zero where the grid undoes the rotation, and only there."""

import numpy as np
import pytest

from stnref import affine_grid, get_transform, target_grid
from stnref.data import draw_digits, rotate
from stnref.experiments.alignment import alignment, circular_std, grid_angle

G = target_grid((6, 6))


def test_the_angle_of_a_rotation_is_found() -> None:
    rng = np.random.default_rng(0)
    angle = rng.uniform(-np.pi, np.pi, 50)
    params = np.stack([angle, *rng.normal(size=(2, 50))], axis=-1)
    grid, _ = get_transform("rigid", (6, 6)).forward(params)
    np.testing.assert_allclose(grid_angle(grid), angle, atol=1e-12)


def test_the_angle_of_an_affine_matrix_is_that_of_its_polar_form() -> None:
    theta = np.random.default_rng(1).normal(size=(50, 2, 3))
    theta[:, 0] *= np.sign(np.linalg.det(theta[:, :, :2]))[:, None]  # no mirrors
    left, _, right = np.linalg.svd(theta[:, :, :2])
    turn = left @ right
    expected = np.arctan2(turn[:, 1, 0], turn[:, 0, 0])
    np.testing.assert_allclose(grid_angle(affine_grid(theta, G)), expected, atol=1e-12)


def test_circular_std() -> None:
    rng = np.random.default_rng(2)
    narrow = rng.normal(scale=0.3, size=200_000)  # a wrapped normal's is its scale
    assert circular_std(narrow) == pytest.approx(0.3, rel=0.01)
    assert circular_std(narrow + 3) == pytest.approx(circular_std(narrow), rel=1e-9)
    assert circular_std(np.full(5, 1.2)) == pytest.approx(0, abs=1e-7)
    around = np.arange(4) * np.pi / 2
    assert circular_std(around) > 5


def test_a_transformer_that_undoes_the_rotation_leaves_nothing() -> None:
    """The sign of the whole chain: the content's angle, the grid's angle, their difference."""
    rng = np.random.default_rng(3)
    digits = draw_digits(300, rng)
    turned = rotate(digits.images, rng)
    known = digits.angle + turned.angle
    rigid = get_transform("rigid", (28, 28))
    params = np.stack([known, 0 * known, 0 * known], axis=-1)
    undoing, mirrored = (grid_angle(rigid.forward(sign * params)[0]) for sign in (1, -1))
    for row in alignment(digits.labels, known, undoing):
        assert row.left < 1e-5 < 30 < row.known
    for row in alignment(digits.labels, known, mirrored):  # what is left is twice the angle
        doubled = circular_std(2 * known[digits.labels == row.label])
        assert row.left == pytest.approx(np.degrees(doubled), rel=1e-9)
        assert row.left > row.known
    for row in alignment(digits.labels, known, 0 * known):
        assert row.left == pytest.approx(row.known)


def test_the_sampler_shows_the_digit_upright_again() -> None:
    """The same claim in pixels, without the angles: what comes out is the digit as drawn."""
    from stnref import grid_sample

    rng = np.random.default_rng(4)
    digits = draw_digits(40, rng)
    turned = rotate(digits.images, rng)
    params = np.stack([turned.angle, 0 * turned.angle, 0 * turned.angle], axis=-1)
    grid, _ = get_transform("rigid", (28, 28)).forward(params.astype(np.float32))
    again = grid_sample(turned.images, grid)
    error = [np.abs(images - digits.images).mean() for images in (again, turned.images)]
    assert error[0] < 0.35 * error[1]
