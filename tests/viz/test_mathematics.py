"""Figures of the sampler's mathematics: what is drawn is what its functions compute."""

import numpy as np
import pytest

from stnref import (
    kink_report,
    sample_backward,
    sample_forward,
    target_grid,
    unnormalize_forward,
    viz,
)
from stnref.kernels import cubic, linear
from stnref.padding import PADDINGS


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


@pytest.mark.parametrize("kernel", ["linear", "cubic"])
def test_contributions_are_dU_for_dV_of_ones(kernel: str) -> None:
    points = np.random.default_rng(0).uniform(-2, 6, (3, 4, 2))
    drawn = viz.plot_contributions(points, (5, 6), kernel=kernel)
    _, cache = sample_forward(np.zeros((1, 5, 6, 1)), points[None], kernel=kernel)
    expected, _ = sample_backward(np.ones((1, 3, 4, 1)), cache)
    np.testing.assert_allclose(drawn.get_array(), expected[0, :, :, 0], atol=1e-15)
    (dots,) = drawn.axes.lines
    np.testing.assert_array_equal(dots.get_xydata(), points.reshape(-1, 2))


def test_every_sample_on_a_kink_has_a_circle() -> None:
    points = np.array([[[0.25, 0.5], [1, 0.5]], [[2.1, 3], [0.5, 0.4]]])[None]
    drawn = viz.plot_kinks(kink_report(points, (4, 4)))
    np.testing.assert_allclose(drawn.get_array(), [[0.25, 0], [0, 0.4]])
    (circles,) = drawn.axes.lines
    np.testing.assert_array_equal(circles.get_xydata(), [[1, 0], [0, 1]])  # column, row
    assert "2 of 4" in drawn.axes.get_title()


@pytest.mark.parametrize("n", [2, 5])
def test_the_marks_of_the_corner_rules_stand_where_the_library_puts_them(n: int) -> None:
    figure = viz.plot_corner_rules(n)
    for ax, outer in zip(figure.axes, (0, -0.5), strict=True):
        x = ax.lines[0].get_xdata()
        np.testing.assert_allclose(x[[0, -1]], [outer, n - 1 - outer])
    G = target_grid((1, n))
    x, _ = unnormalize_forward(G[None], (1, n))
    np.testing.assert_array_equal(figure.axes[0].get_xticks(), x[0, 0, :, 0])


def test_each_padding_has_its_row() -> None:
    figure = viz.plot_paddings([0.2, 0.4, 0.9])
    assert [ax.get_yticklabels()[0].get_text() for ax in figure.axes] == list(PADDINGS)
    rows = {
        name: ax.images[0].get_array()[0] for name, ax in zip(PADDINGS, figure.axes, strict=True)
    }
    np.testing.assert_allclose(rows["zeros"], [0] * 4 + [0.2, 0.4, 0.9] + [0] * 4)
    np.testing.assert_allclose(rows["border"], [0.2] * 4 + [0.2, 0.4, 0.9] + [0.9] * 4)
    np.testing.assert_allclose(rows["wrap"][:7], [0.9, 0.2, 0.4, 0.9, 0.2, 0.4, 0.9])
