"""Transforms by name."""

import numpy as np
import pytest

from stnref import get_transform, target_grid
from stnref.transforms import TRANSFORMS

NAMES = pytest.mark.parametrize("name", TRANSFORMS)


@NAMES
@pytest.mark.parametrize("align_corners", [True, False], ids=["aligned", "edges"])
def test_the_identity_gives_the_target_grid(name: str, align_corners: bool) -> None:
    transform = get_transform(name, (3, 5), align_corners=align_corners)
    grid, _ = transform.forward(transform.identity[None])
    np.testing.assert_array_equal(grid[0], target_grid((3, 5), align_corners=align_corners))


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
