"""Homographies: values by hand, the affine case, and the horizon."""

import importlib

import numpy as np
import pytest

from stnref import affine_grid, check_gradients, grid_sample, target_grid
from stnref.transforms import (
    FAR,
    HORIZON,
    get_transform,
    projective_grid_backward,
    projective_grid_forward,
    projective_grid_jvp,
)
from tests.signatures import expect_names

G = target_grid((3, 4))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _near_identity(rng: np.random.Generator, batch: int = 2) -> np.ndarray:
    return np.eye(3) + 0.2 * rng.standard_normal((batch, 3, 3))


def _tilted(slope: float) -> np.ndarray:
    """Z = 1 + slope y: the horizon is at y = -1 / slope."""
    theta = np.eye(3)[None].copy()
    theta[0, 2, 1] = slope
    return theta


def _grid(theta: np.ndarray, G: np.ndarray = G) -> np.ndarray:
    return projective_grid_forward(theta, G)[0]


def test_the_identity_gives_the_target_grid_bit_by_bit() -> None:
    np.testing.assert_array_equal(_grid(np.eye(3)[None])[0], G)


def test_values_by_hand() -> None:
    """(1, -1) goes to (X, Y, Z) = (1 - 2 + 3, 4 - 5 + 6, 0.5 - 0.25 + 2) = (2, 5, 2.25)."""
    theta = np.array([[[1, 2, 3], [4, 5, 6], [0.5, 0.25, 2]]])
    np.testing.assert_allclose(_grid(theta)[0, 0, 3], [2 / 2.25, 5 / 2.25], rtol=1e-15)


def test_it_is_the_equation_at_every_point(rng: np.random.Generator) -> None:
    theta = _near_identity(rng)
    grid = _grid(theta)
    for b, i, j in np.ndindex(2, 3, 4):
        X, Y, Z = theta[b] @ np.append(G[i, j], 1)
        np.testing.assert_allclose(grid[b, i, j], [X / Z, Y / Z], rtol=1e-13)


def test_with_the_third_row_0_0_1_it_is_affine(rng: np.random.Generator) -> None:
    theta = _near_identity(rng)
    theta[:, 2] = 0, 0, 1
    np.testing.assert_allclose(_grid(theta), affine_grid(theta[:, :2], G), atol=1e-15)


def test_lines_stay_lines(rng: np.random.Generator) -> None:
    """The columns of the grid lie each on one line."""
    for column in _grid(_near_identity(rng), target_grid((5, 4)))[0].swapaxes(0, 1):
        a, b = column[1:-1] - column[0], column[-1] - column[0]
        np.testing.assert_allclose(a[:, 0] * b[1] - a[:, 1] * b[0], 0, atol=1e-14)


def test_a_positive_factor_changes_nothing(rng: np.random.Generator) -> None:
    theta = _near_identity(rng)
    for factor in (8.0, 2.0**-40):
        np.testing.assert_array_equal(_grid(factor * theta), _grid(theta))


@pytest.mark.parametrize("slope", [0.4, 1.5, 5.0], ids=["in front", "tilted", "steep"])
def test_gradients_on_both_sides_of_the_horizon(slope: float, rng: np.random.Generator) -> None:
    theta = _tilted(slope) + 0.1 * rng.standard_normal((2, 3, 3))
    report = check_gradients(
        lambda theta: projective_grid_forward(theta, G),
        projective_grid_backward,
        [theta],
        jvp=projective_grid_jvp,
    )
    assert report.ok, str(report)


def test_the_gradient_along_theta_is_zero(rng: np.random.Generator) -> None:
    """A factor on theta changes nothing, so neither does a step in that direction."""
    theta = _near_identity(rng)
    grid, cache = projective_grid_forward(theta, G)
    dtheta = projective_grid_backward(rng.standard_normal(grid.shape), cache)
    np.testing.assert_allclose((dtheta * theta).sum(axis=(1, 2)), 0, atol=1e-13)


class TestTheHorizon:
    """With slope 2, Z = 1 + 2 y is -1, 1 and 3 in the three rows; with slope 1 it is 0, 1, 2."""

    @pytest.mark.parametrize("slope", [1.0, 2.0], ids=["on", "behind"])
    def test_hidden_points_are_far_away(self, slope: float) -> None:
        grid = _grid(_tilted(slope))
        np.testing.assert_array_equal(grid[0, 0], FAR)
        np.testing.assert_array_equal(grid[0, 1], G[1])
        np.testing.assert_allclose(grid[0, 2], G[2] / (1 + slope))

    @pytest.mark.parametrize("shape", [(1, 2), (2, 1), (2, 2), (7, 4)], ids=str)
    @pytest.mark.parametrize("align_corners", [True, False], ids=["aligned", "edges"])
    def test_zeros_padding_reads_0_there(self, shape: tuple[int, int], align_corners: bool) -> None:
        U = np.ones((1, *shape, 1))
        V = grid_sample(U, _grid(_tilted(2.0)), align_corners=align_corners)
        np.testing.assert_array_equal(V[0, 0], 0)

    def test_they_have_no_gradient(self, rng: np.random.Generator) -> None:
        grid, cache = projective_grid_forward(_tilted(2.0), G)
        dgrid = np.zeros_like(grid)
        dgrid[:, 0] = 1e30
        np.testing.assert_array_equal(projective_grid_backward(dgrid, cache), 0)
        theta_dot = rng.standard_normal((1, 3, 3))
        np.testing.assert_array_equal(projective_grid_jvp(theta_dot, cache)[:, 0], 0)

    def test_the_rule_is_relative_to_the_third_row(self) -> None:
        """In the first row, y = -1, the third row of theta (0, 1 - Z, 1) gives Z."""
        for scale in (1.0, 1e-20, 1e20):
            for Z, hidden in ((0.9 * HORIZON, True), (1.1 * HORIZON, False)):
                theta = scale * _tilted(1 - Z)
                assert (_grid(theta)[0, 0, 0, 0] == FAR) == hidden

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize(
        "third_row",
        [(0, 0, 0), (0, 0, -1), (0, 1, 1), (0, 1 - 1e-7, 1), (1, 1, 1e-30), (3e30, 0, 1)],
        ids=str,
    )
    def test_everything_stays_finite(self, third_row: tuple[float, ...], dtype: type) -> None:
        theta = np.eye(3, dtype=dtype)[None].copy()
        theta[0, 2] = third_row
        grid, cache = projective_grid_forward(theta, target_grid((5, 5)))
        dtheta = projective_grid_backward(np.ones_like(grid), cache)
        grid_dot = projective_grid_jvp(np.ones_like(theta), cache)
        for array in (grid, dtheta, grid_dot):
            assert np.isfinite(array).all()

    def test_it_is_asked_of_the_real_part(self) -> None:
        """A complex step on a hidden point is no derivative: it stays where it is."""
        grid = _grid(_tilted(1.0) + 1e-100j)
        np.testing.assert_array_equal(grid[0, 0], FAR)
        assert np.isfinite(grid).all()

    def test_a_nan_is_not_hidden(self) -> None:
        """Training that has diverged is to be noticed."""
        theta = _tilted(0.0)
        theta[0, 2, 0] = np.nan
        assert np.isnan(_grid(theta)).all()

    def test_training_walks_out_of_it(self, rng: np.random.Generator) -> None:
        """From a start with half of the picture hidden, on to the plane that was asked for."""
        transform = get_transform("projective", (8, 9))
        wanted, _ = transform.forward(np.array([[1, 0, 0, 0, 1, 0, 0.1, 0.2]]))
        params = transform.identity[None].copy()
        params[0, 7] = 3.0
        losses = []
        for _ in range(3000):
            grid, cache = transform.forward(params)
            visible = cache[1].inverse_Z != 0
            difference = np.where(visible, grid - wanted, 0)
            losses.append((difference**2).sum() / visible.sum())
            gradient = transform.backward(2 * difference / visible.sum(), cache)
            gradient /= max(1.0, np.linalg.norm(gradient))
            params = params - 0.05 * gradient
        assert np.isfinite(losses).all()
        assert (cache[1].inverse_Z != 0).all()
        assert losses[-1] < 1e-3


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision_stays(dtype: type, rng: np.random.Generator) -> None:
    theta = _tilted(2.0).astype(dtype)
    grid, cache = projective_grid_forward(theta, G)
    dtheta = projective_grid_backward(grid, cache)
    grid_dot = projective_grid_jvp(theta, cache)
    assert grid.dtype == dtheta.dtype == grid_dot.dtype == dtype


def test_inputs_are_not_changed_and_views_do(rng: np.random.Generator) -> None:
    theta, dgrid = _near_identity(rng), rng.standard_normal((2, 3, 4, 2))
    copies = theta.copy(), G.copy(), dgrid.copy()
    grid, cache = projective_grid_forward(theta, G)
    dtheta = projective_grid_backward(dgrid, cache)
    projective_grid_jvp(theta, cache)
    for array, copy in zip((theta, G, dgrid), copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    view, view_cache = projective_grid_forward(
        np.asfortranarray(theta), np.repeat(G, 2, axis=0)[::2]
    )
    np.testing.assert_allclose(view, grid, rtol=1e-15)
    turned = projective_grid_backward(np.asfortranarray(dgrid), view_cache)
    np.testing.assert_allclose(turned, dtheta, rtol=1e-13)


def test_bad_shapes() -> None:
    _, cache = projective_grid_forward(np.eye(3)[None], G)
    with pytest.raises(ValueError, match=r"theta: expected shape \(B, 3, 3\), got \(3, 3\)"):
        projective_grid_forward(np.eye(3), G)
    with pytest.raises(ValueError, match=r"G: expected shape \(H', W', 2\), got \(2, 3, 4, 3\)"):
        projective_grid_forward(np.eye(3)[None], target_grid((2, 3, 4)))
    with pytest.raises(ValueError, match=r"dgrid: expected shape \(1, 3, 4, 2\), got"):
        projective_grid_backward(G, cache)
    with pytest.raises(ValueError, match=r"theta_dot: expected shape \(1, 3, 3\), got"):
        projective_grid_jvp(np.eye(3), cache)


class TestThePlainQuotient:
    """horizon="ignore", as OpenCV, Keras and kornia have it."""

    def test_what_lies_behind_is_upside_down(self) -> None:
        """With Z = 1 + 2 y the first row, y = -1, has Z = -1."""
        grid, _ = projective_grid_forward(_tilted(2.0), G, horizon="ignore")
        np.testing.assert_array_equal(grid[0, 0], -G[0])
        np.testing.assert_array_equal(grid[0, 1:], _grid(_tilted(2.0))[0, 1:])

    def test_theta_and_minus_theta_are_the_same(self, rng: np.random.Generator) -> None:
        theta = _tilted(2.0) + 0.1 * rng.standard_normal((2, 3, 3))
        one, other = (
            projective_grid_forward(sign * theta, G, horizon="ignore")[0] for sign in (1, -1)
        )
        np.testing.assert_array_equal(one, other)
        assert (_grid(-_near_identity(rng)) == FAR).all()  # where points behind are hidden

    def test_on_the_horizon_there_is_no_quotient(self) -> None:
        grid, cache = projective_grid_forward(_tilted(1.0), G, horizon="ignore")
        np.testing.assert_array_equal(grid[0, 0], FAR)
        dgrid = np.zeros_like(grid)
        dgrid[:, 0] = 1e30
        np.testing.assert_array_equal(projective_grid_backward(dgrid, cache), 0)

    @pytest.mark.parametrize("slope", [0.4, 2.5, 5.0])
    def test_gradients(self, slope: float, rng: np.random.Generator) -> None:
        report = check_gradients(
            lambda theta: projective_grid_forward(theta, G, horizon="ignore"),
            projective_grid_backward,
            [_tilted(slope) + 0.1 * rng.standard_normal((2, 3, 3))],
            jvp=projective_grid_jvp,
        )
        assert report.ok, str(report)

    def test_the_points_of_kerass_own_test(self) -> None:
        """Of 50 x 50 pixels 1,480 lie on or behind the horizon; Keras takes the quotient there.

        The points are those that Keras draws in its test of `ops.image.perspective_transform`.
        """
        source = [[0.5428782, 0.8328936], [0.1250889, 0.129783], [0.5568184, 0.9463786]]
        target = [[0.6066893, 0.9304486], [0.8369278, 0.9954837], [0.0225686, 0.1128581]]
        source, target = [*source, [0.4149978, 0.3269421]], [*target, [0.6094677, 0.8205764]]
        rows = []
        for (x, y), (u, v) in zip(target, source, strict=True):
            rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        a = np.linalg.solve(rows, np.ravel(source))
        y, x = np.mgrid[0:50, 0:50].astype(float)
        Z = a[6] * x + a[7] * y + 1
        quotient = [(a[0] * x + a[1] * y + a[2]) / Z, (a[3] * x + a[4] * y + a[5]) / Z]
        theta, pixels = np.append(a, 1).reshape(1, 3, 3), np.stack([x, y], axis=-1)
        assert (_grid(theta, pixels)[0] == FAR).all(axis=-1).sum() == 1480
        grid, _ = projective_grid_forward(theta, pixels, horizon="ignore")
        np.testing.assert_allclose(grid[0], np.stack(quotient, axis=-1), rtol=1e-9)

    def test_the_transform_of_that_name_has_the_option(self, rng: np.random.Generator) -> None:
        params = rng.standard_normal((2, 8))
        shown = get_transform("projective", (3, 4), horizon="ignore").forward(params)[0]
        hidden = get_transform("projective", (3, 4)).forward(params)[0]
        away = (hidden == FAR).all(axis=-1)
        assert 0 < away.sum() < away.size
        np.testing.assert_array_equal(shown[~away], hidden[~away])
        assert (np.abs(shown[away]) < FAR).all()

    def test_another_word_is_refused(self) -> None:
        with pytest.raises(ValueError, match="horizon: expected one of 'hide', 'ignore', got 'x'"):
            projective_grid_forward(np.eye(3)[None], G, horizon="x")


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.transforms.projective"))
