"""Figures: what is drawn is where the data says, and nothing is left open."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from stnref import affine_grid, target_grid, viz


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


def test_learning_curves_in_percent() -> None:
    rows = [{"epoch": k, "train_error": 0.2 / k, "test_error": 0.1 / k} for k in (1, 2)]
    test, training = viz.plot_learning_curves({"st-cnn": rows})
    np.testing.assert_allclose(test.get_xydata(), [[1, 10], [2, 5]])
    np.testing.assert_allclose(training.get_xydata(), [[1, 20], [2, 10]])
    assert test.get_label() == "st-cnn, test"


def test_nothing_is_left_in_pyplot(tmp_path: Path) -> None:
    figure = viz.new_figure(1, 1)
    viz.plot_image(np.zeros((2, 2, 1)), ax=figure.add_subplot())
    viz.save_figure(figure, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert plt.get_fignums() == []


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
