"""Figures as they were looked at, pixel by pixel, in the one environment that fixes every pixel.

``python -m tests.viz.test_images`` in it draws them anew: look at each before it is committed.
"""

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import FigureBase
from matplotlib.testing.compare import compare_images

from stnref import kernels, viz

FOLDER = Path(__file__).parents[1] / "golden" / "figures"
VERSION = "3.8.0"
"""The oldest matplotlib of the metadata, whose own FreeType sets the letters."""


def cell() -> FigureBase:
    """Four weights."""
    figure = viz.new_figure(4, 4)
    viz.plot_cell(0.7, 0.25, ax=figure.add_subplot())
    return figure


def kernel() -> FigureBase:
    """Two kernels."""
    return viz.plot_kernels({"linear": kernels.linear(), "cubic": kernels.cubic()})


def contributions() -> FigureBase:
    """Of a few points."""
    figure = viz.new_figure(4, 4)
    points = np.array([[[0.25, 0.5], [2.0, 1.5]], [[1.1, 3.0], [-0.5, 0.4]]])
    viz.plot_contributions(points, (4, 5), ax=figure.add_subplot())
    return figure


FIGURES = (cell, kernel, viz.plot_corner_rules, viz.plot_paddings, contributions)


@pytest.mark.skipif(matplotlib.__version__ != VERSION, reason=f"drawn by matplotlib {VERSION}")
@pytest.mark.parametrize("draw", FIGURES, ids=lambda draw: draw.__name__)
def test_the_image_is_the_one_that_was_looked_at(
    draw: Callable[[], FigureBase], tmp_path: Path
) -> None:
    actual = tmp_path / f"{draw.__name__}.png"
    viz.save_figure(draw(), actual, dpi=60)  # type: ignore[arg-type]
    difference = compare_images(str(FOLDER / actual.name), str(actual), tol=0.5)
    assert difference is None, difference


if __name__ == "__main__":
    for one in FIGURES:
        viz.save_figure(one(), FOLDER / f"{one.__name__}.png", dpi=60)  # type: ignore[arg-type]
