"""Pictures and grids: what is drawn is where the data says."""

import numpy as np
import pytest

from stnref import affine_grid, get_transform, grid_sample, target_grid, unnormalize_forward, viz


def test_an_image_is_drawn_with_pixel_0_0_on_top_left() -> None:
    picture = np.random.default_rng(0).random((4, 5, 1))
    artist = viz.plot_image(picture)
    np.testing.assert_array_equal(artist.get_array(), picture[..., 0])
    assert list(artist.get_extent()) == [-0.5, 4.5, 3.5, -0.5]  # pixel centres are whole numbers
    assert artist.get_clim() == (0, 1)


def test_colours_are_drawn_as_they_are() -> None:
    picture = np.random.default_rng(0).random((4, 5, 3))
    np.testing.assert_array_equal(viz.plot_image(picture).get_array(), picture)


@pytest.mark.parametrize("align_corners", [True, False])
def test_the_identity_grid_lies_on_the_pixels(align_corners: bool) -> None:
    G = target_grid((4, 5), align_corners=align_corners)
    drawn = viz.plot_grid(G, (4, 5), lines=2, align_corners=align_corners)
    top, bottom, left, right = drawn.get_segments()
    np.testing.assert_array_equal(top, [[x, 0] for x in range(5)])
    np.testing.assert_array_equal(bottom, [[x, 3] for x in range(5)])
    np.testing.assert_array_equal(left, [[0, y] for y in range(4)])
    np.testing.assert_array_equal(right, [[4, y] for y in range(4)])
    widths = drawn.get_linewidths()
    assert widths[0] > max(widths[1:])  # the first row is the heavy one


def test_a_sheet_has_inputs_above_outputs() -> None:
    rng = np.random.default_rng(0)
    images, outputs = rng.random((5, 6, 6, 1)), rng.random((5, 4, 4, 1))
    grids = affine_grid(np.tile(np.eye(2, 3), (5, 1, 1)), target_grid((4, 4)))
    figure = viz.plot_sheet(images, grids, outputs, columns=3)
    shown = [ax.images[0].get_array() if ax.images else None for ax in figure.axes]
    order = [images[:3], outputs[:3], images[3:], outputs[3:]]  # bands of three columns
    for k, part in enumerate(order):
        for i, picture in enumerate(part):
            np.testing.assert_array_equal(shown[3 * k + i], picture[..., 0])
    assert shown[8] is None
    assert shown[11] is None


def test_beyond_a_horizon_no_line_is_drawn() -> None:
    theta = np.array([[1.0, 0, 0, 0, 1, 0, 2, 0]])  # Z = 1 + 2 x: hidden on the left
    grid, _ = get_transform("projective", (5, 5)).forward(theta)
    drawn = viz.plot_grid(grid[0], (5, 5), lines=5)
    points, _ = unnormalize_forward(grid, (5, 5))
    points[0, :, :2] = np.nan  # Z = -1 and 0
    np.testing.assert_array_equal(drawn.get_paths()[0].vertices, points[0, 0])


def test_each_family_has_its_grid_above_and_what_it_shows_below() -> None:
    image = np.random.default_rng(0).random((6, 7, 1))
    params = {"translation": [0.25, 0.5], "affine": [1, 0, 0, 0, 0.5, 0]}
    figure = viz.plot_families(image, params)
    above, below = np.reshape(figure.axes, (2, 2))
    for column, (name, theta) in enumerate(params.items()):
        assert above[column].get_title() == name
        np.testing.assert_array_equal(above[column].images[0].get_array(), image[..., 0])
        grid, _ = get_transform(name, (6, 7)).forward(np.array([theta], dtype=float))
        shown = below[column].images[0].get_array()
        np.testing.assert_array_equal(shown, grid_sample(image[None], grid)[0, :, :, 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: viz.plot_image(np.zeros((2, 2))), r"image: expected shape \(H, W, 1\) or"),
        (lambda: viz.plot_grid(np.zeros((1, 2, 2, 2)), (2, 2)), r"grid: expected shape \(H, W, 2"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
