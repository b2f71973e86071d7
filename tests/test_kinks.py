"""The kink report: how many samples lie on a kink, where, and within what distance."""

import importlib

import numpy as np
import pytest

from stnref import (
    affine_grid,
    kink_report,
    sample_backward,
    sample_forward,
    target_grid,
    unnormalize_forward,
)
from stnref.kinks import outside_report
from stnref.padding import PADDINGS, PaddingLike
from tests.signatures import expect_names


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("align_corners", [True, False])
def test_the_identity_at_equal_size_puts_every_sample_on_a_kink(
    align_corners: bool, dtype: type
) -> None:
    for shape in ((28, 42), (5, 7)):
        G = target_grid(shape, align_corners=align_corners, dtype=dtype)
        grid = affine_grid(np.eye(2, 3, dtype=dtype)[None], G)
        points, _ = unnormalize_forward(grid, shape, align_corners=align_corners)
        report = kink_report(points, shape)
        assert report.n_kinks == report.n_samples == shape[0] * shape[1]
        assert report.on_kink.all()
        assert report.distance.dtype == dtype


def test_where_and_how_far() -> None:
    """With zeros, the outermost lines are at -1 and at n: here x = 5 and y = 4."""
    points = np.array([[0.25, 1.5], [2.0, 0.4], [-1.0, 3.3], [-3.0, 9.0]]).reshape(1, 2, 2, 2)
    report = kink_report(points, (4, 5))
    np.testing.assert_array_equal(
        report.on_kink[0], [[[False, False], [True, False]], [[True, False], [False, False]]]
    )
    assert (report.n_kinks, report.n_samples) == (2, 4)
    expected = [[[0.25, 0.5], [0, 0.4]], [[0, 0.3], [2, 5]]]
    np.testing.assert_allclose(report.distance[0], expected)
    assert str(report).endswith("the first at [0, 0, 1], [0, 1, 0]")


def test_the_first_three_places_are_listed() -> None:
    points = np.zeros((1, 2, 2, 2))
    assert str(kink_report(points, (4, 5))).endswith("at [0, 0, 0], [0, 0, 1], [0, 1, 0]")


@pytest.mark.parametrize(
    ("padding", "outside"),
    [
        ("zeros", [1.3, 0.3, 0.2, 2.4]),  # to -1, -1, 5 and 5
        ("border", [2.3, 0.7, 0.8, 3.4]),  # to 0, 0, 4 and 4
        ("reflection_centres", [0.3, 0.3, 0.2, 0.4]),  # to -2, -1, 5 and 7
        ("reflection_edges", [0.3, 0.3, 0.2, 0.4]),
        ("wrap", [0.3, 0.3, 0.2, 0.4]),
        (("zeros", "border"), [1.3, 0.3, 0.2, 2.4]),
        (("border", "zeros"), [2.3, 0.7, 0.8, 3.4]),
    ],
)
def test_how_far_the_lines_go_on_depends_on_the_padding(
    padding: PaddingLike, outside: list[float]
) -> None:
    inside = [0.0, 0.3, 1.5, 3.9]
    x = np.array([*inside, -2.3, -0.7, 4.8, 7.4])
    points = np.stack([x, np.full(8, 0.5)], axis=-1).reshape(1, 1, 8, 2)
    report = kink_report(points, (4, 5), padding=padding)
    expected = [0, 0.3, 0.5, 0.1, *outside]
    np.testing.assert_allclose(report.distance[0, 0, :, 0], expected, atol=1e-12)


@pytest.mark.parametrize("padding", PADDINGS)
def test_between_the_lines_the_map_does_not_bend(padding: str) -> None:
    """Along x it is linear over the stretch that the distance promises, up to the line."""
    rng = np.random.default_rng(0)
    U = rng.standard_normal((1, 4, 5, 1))
    x = rng.uniform(-7, 11, 40)
    points = np.stack([x, np.full(40, 1.25)], axis=-1).reshape(1, 1, 40, 2)
    free = kink_report(points, U.shape[1:3], padding=padding).distance * [1, 0]  # (1, 1, 40, 2)
    before, middle, after = (
        sample_forward(U, points + sign * free, padding=padding)[0] for sign in (-1, 0, 1)
    )
    np.testing.assert_allclose(before + after, 2 * middle, atol=1e-12)


def test_an_unknown_padding_is_refused() -> None:
    with pytest.raises(ValueError, match="padding: expected one of"):
        kink_report(np.zeros((1, 2, 2, 2)), (4, 5), padding="mirror")


def test_the_tolerance() -> None:
    points = np.array([1 + 1e-6, 0.5]).reshape(1, 1, 1, 2)
    assert kink_report(points, (4, 5)).n_kinks == 0
    assert kink_report(points, (4, 5), tol=1e-5).n_kinks == 1
    assert str(kink_report(points, (4, 5), tol=0.1)).startswith("1 of 1 samples lie on a kink (wi")


def test_volumes() -> None:
    points = np.array([0.5, 0.5, 1.0]).reshape(1, 1, 1, 1, 3)
    np.testing.assert_array_equal(kink_report(points, (2, 3, 4)).on_kink.ravel(), [0, 0, 1])


@pytest.mark.parametrize(
    ("points", "shape", "message"),
    [
        (np.zeros((1, 2, 2, 3)), (4, 5), r"points: expected shape \(B, H', W', 2\)"),
        (np.zeros((1, 2, 2, 2)), (4,), "shape: expected 2 or 3 positive integers"),
    ],
)
def test_bad_input(points: np.ndarray, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kink_report(points, shape)


class TestOutside:
    def test_how_many_how_far_and_in_which_picture(self) -> None:
        """Of 4 x 5 pixels: x to 4, y to 3."""
        points = np.array(
            [[[0, 0], [4, 3], [4.75, 3.75]], [[5, 0], [2, -3], [7.5, 9]]], dtype=np.float32
        ).reshape(2, 1, 3, 2)
        report = outside_report(points, (4, 5))
        np.testing.assert_array_equal(report.distance[:, 0], [[0, 0, 0.75], [1, 3, 6]])
        assert report.distance.dtype == np.float32
        assert (report.n_outside, report.n_samples) == (3, 6)
        assert report.share.tolist() == [0, 1]
        assert str(report) == (
            "3 of 6 samples lie outside of the map, up to 6.0 pixels off; "
            "the most, 100%, in picture 1"
        )
        assert outside_report(points, (4, 5), margin=0.5).share.tolist() == [1 / 3, 1]

    def test_what_it_counts_has_neither_value_nor_gradient(self) -> None:
        rng = np.random.default_rng(0)
        U, points = rng.uniform(1, 2, (2, 4, 5, 1)), rng.uniform(-3, 7, (2, 6, 7, 2))
        V, cache = sample_forward(U, points)
        outside = outside_report(points, (4, 5)).distance >= 1
        assert 0 < outside.sum() < outside.size
        np.testing.assert_array_equal(V[..., 0] == 0, outside)
        _, dpoints = sample_backward(np.ones_like(V), cache)
        np.testing.assert_array_equal(dpoints[outside], 0)

    def test_volumes_and_coordinates_that_are_not_finite(self) -> None:
        points = np.zeros((1, 1, 1, 4, 3))
        points[0, 0, 0, 1:, 2] = np.nan, np.inf, -np.inf
        report = outside_report(points, (2, 3, 4))
        assert report.distance.ravel().tolist() == [0, np.inf, np.inf, np.inf]
        assert report.n_outside == 3

    @pytest.mark.parametrize("shape", [(28, 28), (5, 40), (4, 4), (6, 7, 8)])
    @pytest.mark.parametrize("align_corners", [True, False])
    def test_a_grid_of_pixels_is_recognised(
        self, align_corners: bool, shape: tuple[int, ...]
    ) -> None:
        pixels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")[::-1], axis=-1)
        points, _ = unnormalize_forward(pixels[None] * 1.0, shape, align_corners=align_corners)
        report = outside_report(points, shape)
        assert report.pixels_for_normalised
        assert str(report).endswith(
            "Was the grid in pixels? A normalised one lies in [-1, 1]: use `normalize`"
        )

    @pytest.mark.parametrize(
        "theta",
        [
            [[1, 0, 0], [0, 1, 0]],
            [[1, 0, 3], [0, 1, 3]],
            [[1, 0, -9], [0, 1, 0]],
            [[4, 0, 0], [0, 4, 0]],  # far too small, but about the middle
        ],
        ids=["identity", "far to one side", "far to the other", "zoomed out"],
    )
    def test_other_grids_are_not(self, theta: list[list[float]]) -> None:
        grid = affine_grid(np.array([theta], dtype=float), target_grid((28, 28)))
        points, _ = unnormalize_forward(grid, (28, 28))
        assert not outside_report(points, (28, 28)).pixels_for_normalised

    @pytest.mark.parametrize(
        ("low", "high", "n"),
        [
            (-1, 5, 28),  # six units wide: as wide as many a grid, and not as 28 pixels are
            (2, 3.2, 3),  # 1.2 units, narrower than a whole normalised grid
            (1.6, 3.4, 2),
            (1.3, 3.2, 2),
            (-1.5, 20, 28),  # as wide as pixels, but further to the left
            (0, 29.5, 28),  # further to the right
        ],
    )
    def test_nor_are_windows_off_the_picture(self, low: float, high: float, n: int) -> None:
        g = np.linspace(low, high, 9)
        grid = np.stack(np.meshgrid(g, g), axis=-1)[None]
        points, _ = unnormalize_forward(grid, (n, n))
        report = outside_report(points, (n, n), margin=0.1)
        assert report.share[0] > 0.5
        assert not report.pixels_for_normalised

    def test_of_nothing(self) -> None:
        for points in (np.zeros((0, 2, 3, 2)), np.zeros((2, 0, 3, 2))):
            report = outside_report(points, (4, 5))
            assert str(report) == "0 of 0 samples lie outside of the map"

    def test_bad_input(self) -> None:
        with pytest.raises(ValueError, match=r"points: expected shape \(B, H', W', 2\)"):
            outside_report(np.zeros((1, 2, 3)), (4, 5))


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.kinks"))
