"""What the gradient check saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure, FigureBase
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from stnref.gradcheck import GradientReport, InputResult, TaylorTest
from stnref.validation import Array
from stnref.viz.figure import axes_of, new_figure
from stnref.viz.pictures import GRID_COLOUR

WARNING_COLOUR = GRID_COLOUR
NOT_ASKED = "0.8"
OUTSIDE = 1e-6
"""Relative error from which an element on a kink is marked, as `InputResult.outside` counts."""


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


def plot_taylor_test(test: TaylorTest, *, ax: Axes | None = None) -> list[Line2D]:
    """Draw the remainders of Taylor's formula against the step, on log-log axes.

    Parameters
    ----------
    test : TaylorTest
    ax : matplotlib.axes.Axes, optional
        Where to draw; on axes of their own unless told.

    Returns
    -------
    list of matplotlib.lines.Line2D
        Without the gradient, with it, and the slopes 1 and 2 beside them.
    """
    ax = axes_of(ax)
    h = test.steps
    floor = np.finfo(float).tiny  # zero has no logarithm
    drawn = ax.loglog(h, np.maximum(test.change, floor), "C0o-", ms=4, label="without the gradient")
    label = f"with it: rate {test.rate:.2f}"
    drawn += ax.loglog(h, np.maximum(test.remainder, floor), "C1s-", ms=4, label=label)
    for power, style in ((1, "k:"), (2, "k--")):
        start = max(test.change[0], test.noise)
        drawn += ax.loglog(h, start * (h / h[0]) ** power, style, lw=1, label=f"slope {power}")
    ax.axhspan(test.noise / 100, test.noise, color=NOT_ASKED, label="round-off")
    ax.set(xlabel="step h", ylabel="remainder", ylim=(test.noise / 100, 10 * test.change.max()))
    ax.legend(fontsize=8)
    return drawn


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
