"""Pictures, and the grids that are laid over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import ArrayLike

from stnref.coordinates import unnormalize_forward
from stnref.sampler import grid_sample_forward
from stnref.transforms import FAR, get_transform
from stnref.validation import Array, expect_array, expect_count, expect_sizes
from stnref.viz.figure import axes_of, new_figure

GRID_COLOUR = "#e4572e"


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
    ax = axes_of(ax)
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
    hidden = (np.abs(grid) >= FAR).any(axis=-1, keepdims=True)  # beyond a horizon: no line
    points, _ = unnormalize_forward(grid, shape, align_corners=align_corners)
    points = np.where(hidden, np.nan, points)
    rows, columns = (
        np.unique(np.linspace(0, n - 1, min(lines, n)).round().astype(int)) for n in grid.shape[:2]
    )
    paths = [*points[rows], *points.swapaxes(0, 1)[columns]]
    widths = [2.0] + [0.6] * (len(paths) - 1)
    ax = axes_of(ax)
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


def plot_families(
    image: Array, params: Mapping[str, ArrayLike], *, figure: Figure | None = None
) -> Figure:
    """Draw the grid of each transform over a picture, and below what it shows.

    Parameters
    ----------
    image : (H, W, 1)
    params : mapping of str to (n_params,)
        Name of a transform, for `get_transform` -> its parameters.
    figure : matplotlib.figure.Figure, optional
        Where to draw; on a new one unless told.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        A name is unknown, or a dtype or a shape does not fit.
    """
    image = expect_array("image", image, ("H", "W", 1), real=True)
    if not isinstance(params, Mapping) or not params:
        raise TypeError(f"params: expected a mapping of names to parameters, got {params!r}")
    H, W = image.shape[:2]
    figure = figure or new_figure(1.4 * len(params), 3.2)
    columns = figure.subplots(2, len(params), squeeze=False).T
    for (above, below), (name, theta) in zip(columns, params.items(), strict=True):
        transform = get_transform(name, (H, W))
        theta = expect_array(f"params[{name!r}]", theta, (transform.n_params,), real=True)
        grid, _ = transform.forward(theta[None])
        plot_image(image, ax=above)
        plot_grid(grid[0], (H, W), ax=above)
        above.set(title=name, facecolor="0.4")
        above.set(xlim=(-0.3 * W, 1.25 * W), ylim=(1.25 * H, -0.3 * H))
        plot_image(grid_sample_forward(image[None], grid)[0][0], ax=below)
    return figure
