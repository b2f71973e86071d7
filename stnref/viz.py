"""Figures. The only module that imports matplotlib.

Every ``plot_x(data, *, ax=None)`` draws on the axes it is given, or on new ones, and returns
what it drew; nothing is shown.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from stnref.coordinates import unnormalize_forward
from stnref.files import write_atomic
from stnref.validation import Array, expect_array

GRID_COLOUR = "#e4572e"


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of that size in inches, outside of pyplot's list of figures."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path, *, dpi: int = 110) -> None:
    """Write a figure as PNG, atomically."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    write_atomic(path, buffer.getvalue())


def _axes(ax: Axes | None) -> Axes:
    return new_figure(4, 4).add_subplot() if ax is None else ax


def plot_image(image: Array, *, ax: Axes | None = None) -> AxesImage:
    """Draw one map (H, W, 1) or (H, W, 3) with values from 0 to 1; pixel (0, 0) is on top left."""
    image = expect_array("image", image, ("H", "W", 1), ("H", "W", 3))
    ax = _axes(ax)
    artist = ax.imshow(image.squeeze(-1) if image.shape[-1] == 1 else image, "gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    return artist


def plot_grid(
    grid: Array,
    shape: Sequence[int],
    *,
    lines: int = 7,
    align_corners: bool = True,
    ax: Axes | None = None,
) -> LineCollection:
    """Draw a sampling grid over a picture, in pixels of the picture.

    Parameters
    ----------
    grid : (H', W', 2)
        Normalised coordinates.
    shape : (H, W)
        Size of the picture.
    lines : int
        Number of rows and of columns of the grid that are drawn, the outer ones included.
    align_corners : bool
        See `target_grid`.

    Returns
    -------
    matplotlib.collections.LineCollection
        The rows, then the columns; the first row is drawn heavier, to show which side is up.
    """
    points, _ = unnormalize_forward(
        expect_array("grid", grid, ("H", "W", 2)), shape, align_corners=align_corners
    )
    rows, columns = (
        np.unique(np.linspace(0, n - 1, lines).round().astype(int)) for n in grid.shape[:2]
    )
    paths = [*points[rows], *points.swapaxes(0, 1)[columns]]
    widths = [2.0] + [0.6] * (len(paths) - 1)
    ax = _axes(ax)
    drawn = ax.add_collection(LineCollection(paths, colors=GRID_COLOUR, linewidths=widths))
    assert isinstance(drawn, LineCollection)
    return drawn


def plot_sheet(
    images: Array, grids: Array, outputs: Array, *, columns: int = 10, figure: Figure | None = None
) -> Figure:
    """Draw inputs with their sampling grids, and below each what the transformer passed on.

    Parameters
    ----------
    images : (N, H, W, 1)
    grids : (N, H', W', 2)
    outputs : (N, H', W', 1)
    columns : int
    """
    bands = -(-len(images) // columns)
    figure = figure or new_figure(columns * 0.9, bands * 1.9)
    axes = np.reshape(figure.subplots(2 * bands, columns), (bands, 2, columns))
    for ax in axes.ravel():
        ax.set_axis_off()
    for i, (image, grid, output) in enumerate(zip(images, grids, outputs, strict=True)):
        above, below = axes[i // columns, :, i % columns]
        H, W = image.shape[:2]
        plot_image(image, ax=above)
        plot_grid(grid, (H, W), ax=above)
        # A grid that reaches beyond the picture is to be seen, within reason.
        above.set(xlim=(-0.25 * W, 1.25 * W - 1), ylim=(1.25 * H - 1, -0.25 * H), facecolor="0.35")
        plot_image(output, ax=below)
    return figure


def plot_learning_curves(
    histories: Mapping[str, Sequence[Mapping[str, float]]], *, ax: Axes | None = None
) -> list[Line2D]:
    """Draw the training error (dashed) and test error (solid) of each run over its epochs.

    Parameters
    ----------
    histories : mapping of str to rows
        Name of the run -> rows with ``epoch``, ``train_error`` and ``test_error``.
    """
    ax = _axes(ax)
    drawn = []
    for number, (name, rows) in enumerate(histories.items()):
        epochs = [row["epoch"] for row in rows]
        for key, style, what in (("test_error", "-o", "test"), ("train_error", "--", "training")):
            percent = [100 * row[key] for row in rows]
            drawn += ax.plot(
                epochs, percent, style, color=f"C{number}", ms=3, label=f"{name}, {what}"
            )
    ax.set(xlabel="epoch", ylabel="error (%)", yscale="log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter("")
    ax.grid(alpha=0.3, which="both")
    ax.legend()
    return drawn
