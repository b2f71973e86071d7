"""Figures. The only module that imports matplotlib.

Every ``plot_x(data, *, ax=None)`` draws on the axes it is given, or on new ones, and returns
what it drew; nothing is shown.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure, FigureBase
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.quiver import Quiver
from matplotlib.ticker import LogLocator, MaxNLocator

from stnref.coordinates import unnormalize_forward
from stnref.files import write_atomic
from stnref.gradcheck import GradientReport, InputResult
from stnref.kernels import Kernel
from stnref.validation import Array, expect_array, expect_count, expect_number, expect_sizes

GRID_COLOUR = "#e4572e"
WARNING_COLOUR = GRID_COLOUR
NOT_ASKED = "0.8"
CORNERS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")
"""Of a cell: four colours of Okabe and Ito, which all eyes tell apart."""
OUTSIDE = 1e-6
"""Relative error from which an element on a kink is marked, as `InputResult.outside` counts."""


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, outside of pyplot's list of figures.

    Parameters
    ----------
    width, height : float
        In inches.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        A size is none, or larger than any page.
    """
    width = expect_number("width", width, above=0, below=1000)
    height = expect_number("height", height, above=0, below=1000)
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path, *, dpi: int = 110) -> None:
    """Write a figure as PNG, atomically.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : pathlib.Path
        Its folder has to exist.
    dpi : int
        Dots per inch.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    write_atomic(path, buffer.getvalue())


def _axes(ax: Axes | None) -> Axes:
    return new_figure(4, 4).add_subplot() if ax is None else ax


def plot_image(image: Array, *, ax: Axes | None = None) -> AxesImage:
    """Draw one map; pixel (0, 0) is on top left.

    Parameters
    ----------
    image : (H, W, 1) or (H, W, 3)
        Values from 0 to 1.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on axes of their own unless told.

    Returns
    -------
    matplotlib.image.AxesImage

    Raises
    ------
    TypeError, ValueError
        The dtype or the shape of `image` does not fit.
    """
    image = expect_array("image", image, ("H", "W", 1), ("H", "W", 3), real=True)
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
    ax : matplotlib.axes.Axes, optional
        Where to draw; on axes of their own unless told.

    Returns
    -------
    matplotlib.collections.LineCollection
        The rows, then the columns; the first row is drawn heavier, to show which side is up.

    Raises
    ------
    TypeError, ValueError
        The dtype or the shape of `grid` does not fit.
    """
    grid = expect_array("grid", grid, ("H", "W", 2), real=True)
    lines, shape = expect_count("lines", lines), expect_sizes("shape", shape, (2,))
    points, _ = unnormalize_forward(grid, shape, align_corners=align_corners)
    rows, columns = (
        np.unique(np.linspace(0, n - 1, min(lines, n)).round().astype(int)) for n in grid.shape[:2]
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
        Pictures in a row.
    figure : matplotlib.figure.Figure, optional
        Where to draw; on a new one unless told.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit.
    """
    images = expect_array("images", images, ("N", "H", "W", 1), real=True)
    grids = expect_array("grids", grids, (len(images), "H'", "W'", 2), real=True)
    outputs = expect_array("outputs", outputs, (*grids.shape[:3], 1), real=True)
    columns = expect_count("columns", columns, most=100)
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
    ax : matplotlib.axes.Axes, optional
        Where to draw; on axes of their own unless told.

    Returns
    -------
    list of matplotlib.lines.Line2D
        Of each run the test error, then the training error.
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


def plot_transformer(
    history: Sequence[Mapping[str, float]], *, ax: Axes | None = None
) -> list[Line2D]:
    """Draw what `stnref.training.watch` saw over the epochs: shares of samples, and the scale.

    Parameters
    ----------
    history : sequence of mapping of str to float
        Rows with ``epoch``, ``outside``, ``zero_gradient`` and ``scale``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on axes of their own unless told.

    Returns
    -------
    list of matplotlib.lines.Line2D
        Of the samples outside, those without gradient, and the scale.
    """
    ax = _axes(ax)
    epochs = [row["epoch"] for row in history]
    kinds = {
        "outside": ("C0-o", "samples outside"),
        "zero_gradient": ("C1-s", "samples without gradient"),
        "scale": ("k--", "scale: 100 shows the whole picture"),
    }
    drawn = []
    for key, (style, label) in kinds.items():
        drawn += ax.plot(epochs, [100 * row[key] for row in history], style, ms=3, label=label)
    ax.set(xlabel="epoch", ylabel="%", ylim=(0, None))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.3)
    ax.legend()
    return drawn


# ------------------------------------------------------------------------------- the mathematics


def plot_cell(x: float, y: float, *, ax: Axes | None = None) -> list[Rectangle]:
    """Draw a sample in its cell: the weight of a corner is the area across from it (equation 5).

    Parameters
    ----------
    x, y : float
        The sample's fractions, from the left and from the upper border of the cell, 0 to 1.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on axes of their own unless told.

    Returns
    -------
    list of matplotlib.patches.Rectangle
        The areas of the corners (0, 0), (1, 0), (0, 1), (1, 1), as (x, y).

    Raises
    ------
    ValueError
        A fraction is not between 0 and 1.
    """
    x = expect_number("x", x, above=0, below=1)
    y = expect_number("y", y, above=0, below=1)
    ax = _axes(ax)
    drawn = []
    for k, (m, n) in enumerate(((0, 0), (1, 0), (0, 1), (1, 1))):
        across_x, across_y = 1 - m, 1 - n
        width, height = x - across_x, y - across_y
        colour = CORNERS[k]
        area = Rectangle((across_x, across_y), width, height, alpha=0.5, color=colour)
        ax.add_patch(area)
        drawn.append(area)
        ax.plot(m, n, "o", color=colour, ms=13)
        middle = across_x + width / 2, across_y + height / 2
        ax.text(*middle, f"{abs(width * height):.3g}", ha="center", va="center")
    ax.plot(x, y, "k*", ms=14)
    ax.set(xlim=(-0.12, 1.12), ylim=(1.12, -0.12), aspect="equal", xlabel="x (pixels)")
    ax.set(ylabel="y (pixels), down", xticks=[0, 1], yticks=[0, 1])
    return drawn


def plot_kernels(kernels: Mapping[str, Kernel], *, figure: Figure | None = None) -> Figure:
    """Draw kernels and below them their derivatives.

    Parameters
    ----------
    kernels : mapping of str to Kernel
        By the names that they are to have in the figure.
    figure : matplotlib.figure.Figure, optional
        Where to draw; on a new one unless told.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = figure or new_figure(2.4 * len(kernels), 4)
    axes = figure.subplots(2, len(kernels), sharex=True, sharey="row", squeeze=False)
    t = np.linspace(-2.25, 2.25, 900) + 1e-9  # beside the jumps
    for (name, kernel), (above, below) in zip(kernels.items(), axes.T, strict=True):
        inside = (t >= -kernel.support) & (t < kernel.support)
        for ax, function, style in ((above, kernel.k, "C0"), (below, kernel.dk, "C1")):
            ax.plot(t, np.where(inside, function(t), 0), style)
            ax.grid(alpha=0.3)
        above.set_title(name)
        below.set(xlabel="t (pixels)", xticks=range(-2, 3))
    axes[0, 0].set_ylabel("k(t)")
    axes[1, 0].set_ylabel("k'(t)")
    return figure


def plot_gradient_field(
    image: Array, points: Array, dpoints: Array, *, ax: Axes | None = None
) -> Quiver:
    """Draw at each sampling point the way down: minus the gradient of the loss.

    Parameters
    ----------
    image : (H, W, 1) or (H, W, 3)
    points : (H', W', 2)
        In pixels.
    dpoints : (H', W', 2)
    ax : matplotlib.axes.Axes, optional
        Where to draw; on axes of their own unless told.

    Returns
    -------
    matplotlib.quiver.Quiver

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit.
    """
    points = expect_array("points", points, ("H'", "W'", 2), real=True)
    dpoints = expect_array("dpoints", dpoints, points.shape, real=True)
    ax = _axes(ax)
    plot_image(image, ax=ax)
    (x, y), (u, v) = np.moveaxis(points, -1, 0), -np.moveaxis(dpoints, -1, 0)
    return ax.quiver(x, y, u, v, color="C1", angles="xy", width=0.005)


def plot_landscape(
    x: Array, y: Array, loss: Array, *, path: Array | None = None, ax: Axes | None = None
) -> list[Line2D]:
    """Draw a loss over two parameters, and the way that a descent went over it.

    Parameters
    ----------
    x : (M,)
    y : (N,)
        Values of the two parameters.
    loss : (N, M)
    path : (steps, 2), optional
        The parameters step by step.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on axes of their own unless told.

    Returns
    -------
    list of matplotlib.lines.Line2D
        The path, its start (a circle) and its end (a star), if there is one.

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit.
    """
    x = expect_array("x", x, ("M",), real=True)
    y = expect_array("y", y, ("N",), real=True)
    loss = expect_array("loss", loss, (len(y), len(x)), real=True)
    ax = _axes(ax)
    drawn = ax.contourf(x, y, loss, levels=24, cmap="cividis")
    ax.figure.colorbar(drawn, ax=ax, label="loss")
    if path is None:
        return []
    steps = expect_array("path", path, ("steps", 2), real=True).T
    ends = zip(("o", "*"), (steps[:, :1], steps[:, -1:]), strict=True)
    lines = ax.plot(*steps, "w-", lw=1.5)
    for mark, place in ends:
        lines += ax.plot(*place, f"w{mark}", ms=10, mec="k")
    return lines


# ------------------------------------------------------------------------------ gradient checks


def plot_gradient_error(result: InputResult, *, figure: Figure | None = None) -> Figure:
    """Draw where a gradient is wrong, and where the kinks lie.

    Left the error of each element, relative to the largest numeric value: white is zero, blue
    round-off, red wrong, grey was not asked. Right, if any is known, the distance to the nearest
    kink in units of the input, grey where it is not known; circles mark the elements on a kink,
    discs those of them that are not between the slopes to both sides.

    Parameters
    ----------
    result : InputResult
        Of an input with any number of axes. Vectors are drawn as a row, matrices as they are, and
        others as a table of pictures: of axes 1 and 2 where there are three axes, (B, H, W, C)
        for each b and c, and a filter (k, k, C, F) for each c and f.
    figure : matplotlib.figure.Figure, optional
        Where to draw; on a new one unless told.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = figure or new_figure(9, _height(result))
    _draw_result(figure, result)
    return figure


def plot_gradient_report(report: GradientReport, *, figure: Figure | None = None) -> Figure:
    """Draw the errors and the kinks of every input of a check, one below the other.

    Parameters
    ----------
    report : GradientReport
    figure : matplotlib.figure.Figure, optional
        Where to draw; on a new one unless told.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        No gradient was compared, since the pair could not be checked.
    """
    if not report.inputs:
        raise ValueError("report: expected inputs that were compared, got none")
    heights = [_height(result) for result in report.inputs]
    figure = figure or new_figure(9, sum(heights))
    rows = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for row, result in zip(rows, report.inputs, strict=True):
        _draw_result(row, result)
    return figure


class _Table(NamedTuple):
    """An array of any number of axes as a table of pictures."""

    order: tuple[int, ...]
    """Axes of the table's rows, of the pictures' rows, of both columns."""
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    """Sizes of the axes along the table's rows and its columns."""
    height: int
    width: int
    """Of one picture."""
    pattern: str
    """``[i, :, :, j]``: the letters number the pictures; if there is one, its elements."""

    def arrange(self, values: Array) -> Array:
        """Return all pictures side by side."""
        if values.ndim < 2:
            return np.atleast_2d(values)
        n_rows, n_columns = (int(np.prod(sizes)) for sizes in (self.rows, self.columns))
        return values.transpose(self.order).reshape(n_rows * self.height, n_columns * self.width)


LETTERS = "ijklmn"


def _table(shape: Sequence[int]) -> _Table:
    n = len(shape)
    if n < 2:
        return _Table((0,) * n, (), (), 1, shape[0] if n else 1, "[i]" if n else "")
    first = max(n - 3, 1) if n > 2 else 0  # the picture's first axis
    if n == 4 and shape[0] == shape[1]:
        first = 0  # a filter
    others = [axis for axis in range(n) if axis not in (first, first + 1)]
    letters = dict(zip(others or range(n), LETTERS, strict=False))
    return _Table(
        (*others[:-1], first, *others[-1:], first + 1),
        tuple(shape[axis] for axis in others[:-1]),
        tuple(shape[axis] for axis in others[-1:]),
        shape[first],
        shape[first + 1],
        f"[{', '.join(letters.get(axis, ':') for axis in range(n))}]",
    )


def _ratio(result: InputResult) -> float:
    """Height by width of the drawing: that of the array, within reason."""
    rows, columns = _table(result.gradient.shape).arrange(result.gradient).shape
    return float(np.clip(rows / columns, 0.25, 1.2))


def _height(result: InputResult) -> float:
    """In inches, for a width of 9."""
    return 3.3 * _ratio(result) + 1.4


ROUND_OFF, MISTAKE = (colormaps[name](np.linspace(0.15, 0.9, 128)) for name in ("Blues", "YlOrRd"))


def _draw_result(figure: FigureBase, result: InputResult) -> None:
    table = _table(result.gradient.shape)
    asked = f"{result.asked} of {result.gradient.size} elements, by {result.method}"
    figure.suptitle(f"gradient of {result.name}{table.pattern}: {asked}", fontsize=11)
    draws = [_draw_error]
    if np.isfinite(result.distance).any() or result.kinked.any():
        draws.append(_draw_kinks)
    for ax, draw in zip(figure.subplots(1, len(draws), squeeze=False)[0], draws, strict=True):
        bar = figure.colorbar(draw(ax, result, table), cax=ax.inset_axes((1.03, 0, 0.04, 1)))
        bar.ax.tick_params(labelsize=8)
        ax.set_box_aspect(_ratio(result))
        ax.title.set_size(9)
        _label(ax, table)


def _draw_error(ax: Axes, result: InputResult, table: _Table) -> AxesImage:
    colours = ListedColormap(np.concatenate([ROUND_OFF, MISTAKE]))
    error = np.where(np.isnan(result.gradient), np.inf, result.error)
    shown = np.where(error < 1e-16, 1e-17, error)  # zero has no logarithm: it is drawn as "under"
    artist = ax.imshow(
        table.arrange(shown),
        colours.with_extremes(bad=NOT_ASKED, under="white"),
        norm=LogNorm(1e-16, 1),
        aspect="auto",
    )
    known = np.nan_to_num(error, nan=-1, posinf=np.inf)
    worst = np.unravel_index(np.argmax(known), known.shape)
    largest = f"largest {known[worst]:.1e} at {[int(i) for i in worst]}"
    ax.set_title(
        "relative error: white 0, blue round-off, red wrong\n"
        + (largest if known[worst] > 0 else "no error at all")
    )
    return artist


def _draw_kinks(ax: Axes, result: InputResult, table: _Table) -> AxesImage:
    distance = table.arrange(np.where(np.isfinite(result.distance), result.distance, np.nan))
    artist = ax.imshow(
        distance,
        colormaps["viridis"].with_extremes(bad=NOT_ASKED),
        vmin=0,
        vmax=np.nanmax(distance, initial=0) or 1.0,
        aspect="auto",
    )
    on_kink = table.arrange(result.kinked)
    outside = on_kink & (table.arrange(result.error) > OUTSIDE)
    size = float(np.clip(110 / max(distance.shape), 2, 8))  # of a marker, in points
    for mask, face, edge in (
        (on_kink & ~outside, "none", "white"),
        (outside, WARNING_COLOUR, WARNING_COLOUR),
    ):
        rows, columns = np.nonzero(mask)
        ax.plot(columns, rows, "o", ms=size, mfc=face, mec=edge, mew=0.8, ls="none")
    title = "distance to the nearest kink (grey: not known)\n"
    if on_kink.any():
        title += f"○ {on_kink.sum()} on a kink, ● {outside.sum()} of them outside the slopes"
    else:
        title += "none of the elements asked is on a kink"
    ax.set_title(title)
    return artist


def _label(ax: Axes, table: _Table) -> None:
    """Number the pictures, with a line between them; or the elements, if there is one picture."""
    letters = [letter for letter in LETTERS if letter in table.pattern]
    if letters:
        ax.set_xlabel(letters[-1])
    ax.set_ylabel(", ".join(letters[:-1]), rotation=0)
    if not table.columns:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    for sizes, length, axis, line in (
        (table.columns, table.width, ax.xaxis, ax.axvline),
        (table.rows, table.height, ax.yaxis, ax.axhline),
    ):
        if not sizes:
            continue
        places = list(np.ndindex(*sizes))
        labels = [", ".join(str(k) for k in place) for place in places]
        axis.set_ticks([(k + 0.5) * length - 0.5 for k in range(len(places))], labels)
        axis.set_tick_params(length=0)
        for k in range(1, len(places)):
            line(k * length - 0.5, color="0.35", lw=1.5)
    if not table.rows and (table.columns or len(letters) < 2):
        ax.set_yticks([])
