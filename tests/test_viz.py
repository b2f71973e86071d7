"""Figures: what is drawn is where the data says, and nothing is left open."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from stnref import (
    affine_grid,
    check_gradients,
    nn,
    sample_backward,
    sample_forward,
    target_grid,
    viz,
)
from stnref.gradcheck import GradientReport, InputResult
from stnref.kernels import cubic, linear


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


def _result(error: np.ndarray, **changes: object) -> InputResult:
    """An input whose gradient has these errors, next to a numeric value of one."""
    zero, numeric = np.zeros(error.shape), np.where(np.isnan(error), np.nan, 0.0)
    numeric.flat[-1] = 1
    fields = {
        "name": "U",
        "gradient": np.nan_to_num(numeric + error),
        "numeric": numeric,
        "below": numeric,
        "above": numeric,
        "kinked": zero != 0,
        "distance": zero + np.nan,
        "method": "differences",
        "asked": error.size,
        "directions": 3,
    }
    return InputResult(**(fields | changes))  # type: ignore[arg-type]


def _pictures(shape: tuple[int, ...]) -> np.ndarray:
    """The number of the element that is drawn at each place, from 1."""
    error = np.arange(1, 1 + np.prod(shape)).reshape(shape) / 1024
    figure = viz.plot_gradient_error(_result(error))
    return np.rint(1024 * figure.axes[0].images[0].get_array()).astype(int)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((), [[1]]),
        ((3,), [[1, 2, 3]]),
        ((2, 3), [[1, 2, 3], [4, 5, 6]]),
        ((2, 2, 3), [[1, 2, 3, 7, 8, 9], [4, 5, 6, 10, 11, 12]]),  # one picture for each theta
        ((2, 1, 2, 2), [[1, 3, 2, 4], [5, 7, 6, 8]]),  # rows: pictures, columns: channels
        ((2, 2, 1, 2), [[1, 3, 2, 4], [5, 7, 6, 8]]),  # a filter: its picture comes first
        ((1, 2, 1, 2, 1), [[1, 2], [3, 4]]),  # a volume: a row for each layer
    ],
)
def test_every_number_of_axes_is_drawn_as_pictures(shape: tuple[int, ...], expected: list) -> None:
    np.testing.assert_array_equal(_pictures(shape), expected)


def test_the_pictures_of_a_map_are_numbered_by_their_index() -> None:
    figure = viz.plot_gradient_error(_result(np.zeros((2, 3, 4, 5))))
    ax = figure.axes[0]
    assert "U[i, :, :, j]" in figure.get_suptitle()
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("i", "j")
    assert ax.get_yticks().tolist() == [1, 4]  # the middle of rows 0 to 2, and 3 to 5
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1", "2", "3", "4"]


def test_zero_is_white_round_off_blue_a_mistake_red_and_what_was_not_asked_grey() -> None:
    figure = viz.plot_gradient_error(_result(np.array([0, 1e-15, 0.1, np.nan, 0])))
    image = figure.axes[0].images[0]
    colours = image.cmap(image.norm(image.get_array()))[0, :, :3]
    zero, round_off, mistake, not_asked, _ = colours
    np.testing.assert_array_equal(zero, 1)
    assert round_off[2] > round_off[0]
    assert mistake[0] > mistake[2]
    np.testing.assert_allclose(not_asked, 0.8)
    assert "largest 1.0e-01 at [2]" in figure.axes[0].get_title()
    assert "no error" in viz.plot_gradient_error(_result(np.zeros(2))).axes[0].get_title()


def test_where_no_distance_is_known_there_is_no_empty_picture() -> None:
    figure = viz.plot_gradient_error(_result(np.full((3, 4), 0.5)))
    assert [len(ax.images) for ax in figure.axes] == [1]


def test_elements_on_a_kink_are_marked_and_those_outside_the_slopes_in_another_colour() -> None:
    zero = np.zeros((2, 3))
    error, kinked = zero.copy(), zero != 0
    error[1, 2], kinked[1, 2], kinked[0, 1] = 0.5, True, True
    distance = np.where(kinked, 0, 0.25)
    figure = viz.plot_gradient_error(_result(error, kinked=kinked, distance=distance))
    ax = figure.axes[1]
    inside, outside = ax.lines
    np.testing.assert_array_equal(inside.get_xydata(), [[1, 0]])  # column, row
    np.testing.assert_array_equal(outside.get_xydata(), [[2, 1]])
    assert outside.get_markerfacecolor() == viz.WARNING_COLOUR != inside.get_markeredgecolor()
    np.testing.assert_array_equal(ax.images[0].get_array(), distance)
    assert "2 on a kink" in ax.get_title()
    assert "1 of them outside" in ax.get_title()


def test_a_report_has_a_row_for_each_input() -> None:
    rng = np.random.default_rng(0)
    X, W, b = rng.standard_normal((3, 4)), rng.standard_normal((4, 2)), np.zeros(2)
    report = check_gradients(
        nn.linear_forward, nn.linear_backward, [X, W, b], names=["X", "W", "b"]
    )
    figure = viz.plot_gradient_report(report)
    shapes = [part.axes[0].images[0].get_array().shape for part in figure.subfigs]
    assert shapes == [(3, 4), (4, 2), (1, 2)]
    assert [part.get_suptitle()[:13] for part in figure.subfigs] == [
        f"gradient of {name}" for name in "XWb"
    ]


def test_samples_on_the_lattice_are_all_marked() -> None:
    U = np.random.default_rng(0).standard_normal((1, 3, 4, 1))
    points = np.stack(np.meshgrid(np.arange(4.0), np.arange(3.0)), axis=-1)[None]
    report = check_gradients(
        lambda U, points: sample_forward(U, points, kernel=linear("paper")),
        sample_backward,
        [U, points],
    )
    inside, outside = viz.plot_gradient_report(report).subfigs[1].axes[1].lines[:2]
    n_outside = report.inputs[1].outside
    assert n_outside > 0
    assert (len(inside.get_xdata()), len(outside.get_xdata())) == (24 - n_outside, n_outside)


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
        (lambda: viz.plot_gradient_report(GradientReport()), "report: expected inputs that were"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


# ------------------------------------------------------------------------------- the mathematics


def test_the_areas_of_a_cell_are_the_weights() -> None:
    areas = viz.plot_cell(0.7, 0.25)
    weights = [abs(area.get_width() * area.get_height()) for area in areas]
    np.testing.assert_allclose(weights, [0.3 * 0.75, 0.7 * 0.75, 0.3 * 0.25, 0.7 * 0.25])
    with pytest.raises(ValueError, match="x: expected a finite number above 0 and below 1, got 1"):
        viz.plot_cell(1, 0.5)


def test_kernels_are_drawn_with_their_slopes() -> None:
    figure = viz.plot_kernels({"hat": linear(), "Keys": cubic()})
    (hat, keys), (hat_slope, keys_slope) = np.reshape(figure.axes, (2, 2))
    for ax, function in ((hat, linear().k), (keys, cubic().k), (keys_slope, cubic().dk)):
        t, drawn = ax.lines[0].get_data()
        inside = np.abs(t) < 1
        np.testing.assert_allclose(drawn[inside], function(t[inside]))
    t, drawn = hat_slope.lines[0].get_data()
    assert set(drawn) == {-1, 0, 1}
    assert set(drawn[np.abs(t) > 1]) == {0}


def test_arrows_point_down() -> None:
    points = np.random.default_rng(0).uniform(0, 4, (2, 3, 2))
    arrows = viz.plot_gradient_field(np.zeros((5, 5, 1)), points, np.full((2, 3, 2), [1.0, -2]))
    np.testing.assert_array_equal(arrows.XY, points.reshape(-1, 2))
    np.testing.assert_array_equal(np.stack([arrows.U, arrows.V]), [[-1] * 6, [2] * 6])


def test_a_landscape_has_its_path_and_ends() -> None:
    x, y = np.linspace(-1, 1, 5), np.linspace(0, 1, 4)
    path = np.array([[0.5, 0.2], [0.1, 0.3], [0.0, 0.9]])
    line, start, end = viz.plot_landscape(x, y, np.add.outer(y**2, x**2), path=path)
    np.testing.assert_array_equal(np.transpose(line.get_data()), path)
    assert np.ravel(start.get_data()).tolist() == [0.5, 0.2]
    assert np.ravel(end.get_data()).tolist() == [0, 0.9]
    assert viz.plot_landscape(x, y, np.zeros((4, 5)) + x) == []
    with pytest.raises(ValueError, match=r"loss: expected shape \(4, 5\), got \(5, 4\)"):
        viz.plot_landscape(x, y, np.zeros((5, 4)))
