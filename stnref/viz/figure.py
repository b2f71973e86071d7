"""New figures, and files of figures: pictures and animations."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image  # matplotlib needs it too

from stnref.files import write_atomic
from stnref.validation import expect_number


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


def save_animation(
    figures: Iterable[Figure], path: Path, *, seconds: float = 0.1, dpi: int = 80
) -> None:
    """Write figures as the frames of an animated GIF that runs for ever, atomically.

    Parameters
    ----------
    figures : iterable of matplotlib.figure.Figure
        All of one size; from `new_figure`. One is kept at a time if they come from a generator.
    path : pathlib.Path
        Its folder has to exist.
    seconds : float
        For which a frame is shown.
    dpi : int
        Dots per inch.

    Raises
    ------
    ValueError
        There is no figure, or `seconds` is not positive.
    """
    seconds = expect_number("seconds", seconds, above=0, below=1000)
    frames = []
    for figure in figures:
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=dpi)
        rgb = Image.open(picture).convert("RGB")
        frames.append(rgb.quantize(64, dither=Image.Dither.NONE))
    if not frames:
        raise ValueError("figures: expected at least one, got none")
    buffer = io.BytesIO()
    duration = round(1000 * seconds)
    frames[0].save(
        buffer, "GIF", save_all=True, append_images=frames[1:], duration=duration, loop=0
    )
    write_atomic(path, buffer.getvalue())


def axes_of(ax: Axes | None) -> Axes:
    """Return the axes that were given, or new ones.

    Parameters
    ----------
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    return new_figure(4, 4).add_subplot() if ax is None else ax
