"""Figures of the gradient check: what is drawn is where the data says."""

import numpy as np
import pytest

from stnref import check_gradients, nn, sample_backward, sample_forward, viz
from stnref.gradcheck import GradientReport, InputResult, taylor_test
from stnref.kernels import linear


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


def test_a_report_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="report: expected inputs that were"):
        viz.plot_gradient_report(GradientReport())


def test_taylor_remainders_lie_on_their_slopes() -> None:
    X = np.random.default_rng(0).standard_normal((3, 4))
    test = taylor_test(lambda X: (np.tanh(X), X), lambda dY, X: dY / np.cosh(X) ** 2, [X])
    change, remainder, first, second = viz.plot_taylor_test(test)
    np.testing.assert_array_equal(change.get_data(), [test.steps, test.change])
    np.testing.assert_array_equal(remainder.get_data(), [test.steps, test.remainder])
    for power, line in ((1, first), (2, second)):
        h, y = line.get_data()
        np.testing.assert_allclose(np.diff(np.log(y)) / np.diff(np.log(h)), power)
    assert remainder.get_label() == "with it: rate 2.00"
    assert remainder.axes.get_xscale() == remainder.axes.get_yscale() == "log"
