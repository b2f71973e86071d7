"""The mathematics of the sampler, drawn from its own functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.quiver import Quiver
from numpy.typing import ArrayLike

from stnref.coordinates import unnormalize_forward
from stnref.kernels import Kernel
from stnref.kinks import KinkReport
from stnref.padding import PADDINGS, PaddingLike
from stnref.splat import splat_forward
from stnref.validation import Array, expect_array, expect_count, expect_number, expect_sizes
from stnref.viz.figure import axes_of, new_figure
from stnref.viz.pictures import plot_image

CORNERS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")
"""Of a cell: four colours of Okabe and Ito, which all eyes tell apart."""


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
    ax = axes_of(ax)
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
    ax = axes_of(ax)
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
    ax = axes_of(ax)
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


def plot_contributions(
    points: Array,
    shape: Sequence[int],
    *,
    kernel: str | Kernel = "linear",
    padding: PaddingLike = "zeros",
    ax: Axes | None = None,
) -> AxesImage:
    """Draw how much of each pixel arrives in the output: the sum of its weights, dU for dV = 1.

    Where it is zero a pixel is not read at all, and gets no gradient.

    Parameters
    ----------
    points : (H', W', 2)
        In pixels.
    shape : (H, W)
        Size of the map.
    kernel, padding
        See `sample_forward`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on axes of their own unless told.

    Returns
    -------
    matplotlib.image.AxesImage
        Its array is the contributions (H, W).

    Raises
    ------
    TypeError, ValueError
        A dtype, a shape, a kernel or a padding does not fit.
    """
    points = expect_array("points", points, ("H'", "W'", 2), real=True)
    H, W = expect_sizes("shape", shape, (2,))
    ones = np.ones((1, *points.shape[:2], 1), points.dtype)
    w = splat_forward(ones, points[None], (H, W), kernel=kernel, padding=padding)[0][0, :, :, 0]
    ax = axes_of(ax)
    drawn = ax.imshow(w, "cividis", vmin=min(0.0, float(w.min())))
    ax.figure.colorbar(drawn, ax=ax, label="sum of the weights", shrink=0.8)
    ax.plot(*points.reshape(-1, 2).T, "w.", mec="k", mew=0.5, ms=6)
    ax.set(xlabel="x (pixels)", ylabel="y (pixels), down")
    return drawn


def plot_kinks(report: KinkReport, *, ax: Axes | None = None) -> AxesImage:
    """Draw the kink map of the first sample grid: how near each sample is to its nearest kink.

    Parameters
    ----------
    report : KinkReport
        Of a picture's points, from `kink_report`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on axes of their own unless told.

    Returns
    -------
    matplotlib.image.AxesImage
        Its array is the distance (H', W') in pixels, of the nearer coordinate; a circle marks each
        sample that lies on a kink.

    Raises
    ------
    ValueError
        The report is of volumes.
    """
    distance = expect_array("distance", report.distance, ("B", "H'", "W'", 2), real=True)[0]
    ax = axes_of(ax)
    drawn = ax.imshow(distance.min(axis=-1), "viridis", vmin=0, vmax=0.5)
    rows, columns = np.nonzero(report.on_kink[0].any(axis=-1))
    ax.plot(columns, rows, "o", mfc="none", mec="w", ls="none")
    ax.figure.colorbar(drawn, ax=ax, label="distance to a kink (pixels)", shrink=0.8)
    ax.set(xlabel="column of the output", ylabel="row of the output")
    ax.set_title(f"○ {len(rows)} of {distance[..., 0].size} on a kink", fontsize=10)
    return drawn


def plot_corner_rules(n: int = 4, *, figure: FigureBase | None = None) -> FigureBase:
    """Draw what -1 and 1 are for a row of n pixels, under either corner rule.

    Parameters
    ----------
    n : int
        Pixels.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Where to draw; on a new one unless told.

    Returns
    -------
    matplotlib.figure.FigureBase

    Raises
    ------
    ValueError
        n is not between 2 and 100.
    """
    n = expect_count("n", n, least=2, most=100)
    figure = figure or new_figure(7, 2.6)
    marks = np.linspace(-1, 1, 5)
    points = np.stack([marks, 0 * marks], axis=-1)[None, None]  # (1, 1, 5, 2)
    for ax, aligned in zip(figure.subplots(2, 1, sharex=True), (True, False), strict=True):
        ax.bar(range(n), 1, width=1, color="0.85", edgecolor="0.4")
        x = unnormalize_forward(points, (1, n), align_corners=aligned)[0][0, 0, :, 0]
        ax.plot(x, 0 * x + 0.5, "C0o-")
        for place, mark in zip(x, marks, strict=True):
            ax.text(place, 0.65, f"{mark:g}", ha="center")
        ax.set(yticks=[], ylim=(0, 1.05), title=f"align_corners={aligned}")
    ax.set(xlabel="x (pixels)", xticks=range(n))
    return figure


def plot_paddings(
    U: ArrayLike = (0.35, 0.55, 0.75, 0.95), *, figure: FigureBase | None = None
) -> FigureBase:
    """Draw how a row of pixels goes on under each padding.

    Parameters
    ----------
    U : (n,)
        Values from 0 to 1.
    figure : matplotlib.figure.Figure or SubFigure, optional
        Where to draw; on a new one unless told.

    Returns
    -------
    matplotlib.figure.FigureBase

    Raises
    ------
    TypeError, ValueError
        The dtype or the shape of U does not fit.
    """
    U = expect_array("U", U, ("n",), real=True)
    n = len(U)
    reach = n + n // 2
    m = np.arange(-float(reach), n + reach)
    figure = figure or new_figure(7, 4)
    rows = figure.subplots(len(PADDINGS), 1, sharex=True)
    for ax, (name, pad) in zip(rows, PADDINGS.items(), strict=True):
        index, inside = pad(m, n)
        row = np.where(inside, U[index.astype(int)], 0)
        extent = (m[0] - 0.5, m[-1] + 0.5, 0, 1)
        ax.imshow(row[None], "gray", extent=extent, aspect="auto", vmin=0, vmax=1)
        ax.axvspan(-0.5, n - 0.5, fill=False, ec="C1", lw=3)
        ax.set(yticks=[0.5], yticklabels=[name])
    ax.set(xlabel="x (pixels)")
    return figure
