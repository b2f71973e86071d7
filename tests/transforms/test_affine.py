"""Affine grids, and the families that map into them."""

import importlib
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

import stnref
from stnref import (
    affine_grid,
    affine_grid_backward,
    affine_grid_forward,
    affine_grid_jvp,
    assert_gradients,
    attention_matrix_forward,
    basis_grid_forward,
    grid_sample,
    loops,
    rigid_matrix_forward,
    similarity_matrix_forward,
    target_grid,
    translation_matrix_forward,
)
from stnref.pairs import pair_of
from tests.signatures import expect_names


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_affine_grid_equals_the_loops(rng: np.random.Generator) -> None:
    theta, G = rng.standard_normal((2, 2, 3)), target_grid((3, 4))
    np.testing.assert_allclose(affine_grid(theta, G), loops.affine_grid(theta, G), atol=1e-15)


def test_affine_grid_backward_equals_the_loops(rng: np.random.Generator) -> None:
    theta, G = rng.standard_normal((2, 2, 3)), target_grid((3, 4))
    grid, cache = affine_grid_forward(theta, G)
    dgrid = rng.standard_normal(grid.shape)
    expected = loops.affine_grid_backward(dgrid, G)
    np.testing.assert_allclose(affine_grid_backward(dgrid, cache), expected, atol=1e-14)


def test_the_identity_gives_the_target_grid_bit_by_bit() -> None:
    G = target_grid((5, 7))
    np.testing.assert_array_equal(affine_grid(np.eye(2, 3)[None], G)[0], G)


def test_a_volume_takes_x_y_z_and_one(rng: np.random.Generator) -> None:
    theta, G = rng.standard_normal((2, 3, 4)), target_grid((2, 3, 4))
    grid = affine_grid(theta, G)
    for b, index in ((0, (1, 2, 3)), (1, (0, 1, 2))):
        expected = theta[b] @ np.append(G[index], 1)
        np.testing.assert_allclose(grid[b][index], expected, atol=1e-15)


def test_it_is_the_basis_x_y_one(rng: np.random.Generator) -> None:
    theta, G = rng.standard_normal((2, 2, 3)), target_grid((3, 4))
    basis = np.concatenate([G, np.ones((3, 4, 1))], axis=-1)
    grid, _ = basis_grid_forward(theta.swapaxes(1, 2), basis)
    np.testing.assert_array_equal(affine_grid(theta, G), grid)


def test_the_grid_takes_the_dtype_of_theta() -> None:
    theta = np.eye(2, 3, dtype=np.float32)[None]
    grid, cache = affine_grid_forward(theta, target_grid((3, 4)))
    assert grid.dtype == np.float32
    assert affine_grid_backward(grid, cache).dtype == np.float32


def test_the_jvp_is_the_transform_of_the_tangent(rng: np.random.Generator) -> None:
    G = target_grid((3, 4))
    _, cache = affine_grid_forward(rng.standard_normal((2, 2, 3)), G)
    theta_dot = rng.standard_normal((2, 2, 3))
    np.testing.assert_array_equal(affine_grid_jvp(theta_dot, cache), affine_grid(theta_dot, G))


def test_theta_maps_target_to_source_so_shrinking_zooms_in() -> None:
    picture = np.zeros((1, 5, 5, 1))
    picture[0, 1:4, 1:4] = 1
    theta, _ = attention_matrix_forward(np.array([[0.5, 0, 0]]))
    np.testing.assert_array_equal(grid_sample(picture, affine_grid(theta, target_grid((5, 5)))), 1)


def test_a_positive_angle_turns_the_grid_clockwise_and_the_picture_the_other_way() -> None:
    """A mark at the right goes to the top: counter-clockwise on the screen."""
    picture = np.zeros((1, 5, 5, 1))
    picture[0, 2, 4] = 1
    theta, _ = rigid_matrix_forward(np.array([[np.pi / 2, 0, 0]]))
    turned = grid_sample(picture, affine_grid(theta, target_grid((5, 5))))[0, :, :, 0]
    assert np.unravel_index(turned.argmax(), turned.shape) == (0, 2)


def test_a_rotation_of_a_non_square_picture_shears_in_pixels() -> None:
    """Pixel vectors of the grid's axes are no longer at right angles."""
    H, W = 5, 9
    theta, _ = rigid_matrix_forward(np.array([[np.pi / 4, 0, 0]]))
    pixels = theta[0, :, :2] * np.array([[(W - 1) / 2], [(H - 1) / 2]])
    assert abs(pixels[:, 0] @ pixels[:, 1]) > 1


PARAMS = {
    "translation": (translation_matrix_forward, [[0.3, -0.2], [0.1, 0.5]]),
    "attention": (attention_matrix_forward, [[0.7, 0.3, -0.2], [1.2, 0.1, 0.5]]),
    "rigid": (rigid_matrix_forward, [[0.4, 0.3, -0.2], [-1.2, 0.1, 0.5]]),
    "similarity": (similarity_matrix_forward, [[0.7, 0.4, 0.3, -0.2], [1.2, -1.2, 0.1, 0.5]]),
}


def _similarity(s: float, a: float, tx: float, ty: float) -> list[list[float]]:
    return [[s * np.cos(a), -s * np.sin(a), tx], [s * np.sin(a), s * np.cos(a), ty]]


@pytest.mark.parametrize(
    ("name", "as_similarity"),
    [
        ("translation", lambda tx, ty: (1, 0, tx, ty)),
        ("attention", lambda s, tx, ty: (s, 0, tx, ty)),
        ("rigid", lambda a, tx, ty: (1, a, tx, ty)),
        ("similarity", lambda s, a, tx, ty: (s, a, tx, ty)),
    ],
)
def test_each_family_is_a_similarity_with_some_parameters_fixed(
    name: str, as_similarity: Callable[..., tuple[float, ...]]
) -> None:
    forward, params = PARAMS[name]
    theta, _ = forward(np.array(params))
    expected = [_similarity(*as_similarity(*row)) for row in params]
    np.testing.assert_allclose(theta, expected, atol=1e-15)


@pytest.mark.parametrize("name", PARAMS)
@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_matrices_keep_the_dtype_of_their_parameters(name: str, dtype: type) -> None:
    forward, params = PARAMS[name]
    assert forward(np.array(params, dtype=dtype))[0].dtype == dtype


def test_the_loops_of_equation_1_are_exact_on_fractions() -> None:
    theta = np.array([[[Fraction(1, 3), 0, Fraction(1, 7)], [0, 1, 0]]])
    G = np.array([[[Fraction(3, 5), -1]]])
    assert loops.affine_grid(theta, G)[0, 0, 0].tolist() == [Fraction(12, 35), -1]


@pytest.mark.parametrize(
    ("name", "n_params"), [("translation", 2), ("attention", 3), ("rigid", 3), ("similarity", 4)]
)
def test_every_matrix_has_its_gradient(name: str, n_params: int) -> None:
    pair = pair_of(vars(stnref.transforms), f"{name}_matrix")
    params = np.random.default_rng(0).uniform(0.3, 1.7, (5, n_params))
    assert_gradients(pair.forward, pair.backward, [params], jvp=pair.jvp)


@pytest.mark.parametrize("form", [(2, 3), (3, 4)])
def test_the_grid_has_its_gradient(form: tuple[int, int]) -> None:
    G = stnref.target_grid((2, 3, 4)[: form[0]])
    pair = pair_of(vars(stnref.transforms), "affine_grid", G=G)
    theta = np.random.default_rng(0).standard_normal((3, *form))
    assert_gradients(pair.forward, pair.backward, [theta], jvp=pair.jvp)


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.transforms.affine"))
