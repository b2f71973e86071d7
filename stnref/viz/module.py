"""The data flow of the module, drawn from a run of it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from numpy.typing import ArrayLike

from stnref.nn.layer import Params
from stnref.sampler import grid_sample_backward
from stnref.spatial_transformer import SpatialTransformer
from stnref.validation import Array
from stnref.viz.figure import new_figure

BACKWARD = "#d55e00"
"""Vermillion of Okabe and Ito; backward arrows are dashed too."""


def plot_data_flow(
    module: SpatialTransformer,
    U: ArrayLike,
    params: Params | None = None,
    *,
    ax: Axes | None = None,
) -> list[Annotation]:
    """Run the module forwards and backwards, and draw what goes where, with its shape and size.

    U has two readers, so two gradients come back to it, and their sum is dU (S19).

    Parameters
    ----------
    module : SpatialTransformer
    U : (B, H, W, C) or (B, D, H, W, C)
    params : dict of str to array, optional
        As for its forward.
    ax : matplotlib.axes.Axes, optional
        Where to draw; on axes of their own unless told.

    Returns
    -------
    list of matplotlib.text.Annotation
        The arrows, forwards and then backwards; each gradient's text holds its root mean square
        for dV = 1.

    Raises
    ------
    TypeError, ValueError
        See `SpatialTransformer.forward`.
    """
    V, cache = module.forward(U, params)
    dV = np.ones_like(V)
    dU, _ = module.backward(dV, cache)
    dU_sampler, dgrid = grid_sample_backward(dV, cache.sample)
    dtheta = module.transform.backward(dgrid, cache.transform)
    places = {"U": (0, 0), "net": (0, 1), "transform": (2, 1), "sampler": (2, 0), "V": (3.4, 0)}
    titles = {
        "U": f"U\n{dU.shape}",
        "net": f"localisation net\n{type(module.localisation).__name__}, Linear",
        "transform": f"grid generator\n{module.transform.n_params} parameters",
        "sampler": "sampler",
        "V": f"V\n{V.shape}",
    }
    ways = (
        ("U", "net", "U", "dU_localisation", dU - dU_sampler),
        ("U", "sampler", "U", "dU_sampler", dU_sampler),
        ("net", "transform", f"theta {cache.theta.shape}", "dtheta", dtheta),
        ("transform", "sampler", f"grid {cache.grid.shape}", "dgrid", dgrid),
        ("sampler", "V", "V", "dV", dV),
    )
    ax = new_figure(9, 4).add_subplot() if ax is None else ax
    box = {"boxstyle": "round,pad=0.5", "fc": "0.93", "ec": "0.3"}
    for name, place in places.items():
        ax.text(*place, titles[name], ha="center", va="center", bbox=box, fontsize=9, zorder=3)
    drawn = []
    for forwards in (True, False):
        for start, end, what, name, gradient in ways:
            text = what if forwards else f"{name}, {_size(gradient)}"
            a, b = np.array(places[start], float), np.array(places[end], float)
            drawn.append(_arrow(ax, a, b, text, forwards))
    ax.text(-0.4, -0.35, "dU = dU_sampler + dU_localisation", color=BACKWARD, fontsize=9)
    ax.set(xlim=(-0.5, 3.9), ylim=(-0.45, 1.25))
    ax.set_axis_off()
    return drawn


def _size(gradient: Array) -> str:
    return f"{np.sqrt(np.mean(np.square(gradient))):.2g}"


def _arrow(ax: Axes, a: Array, b: Array, text: str, forwards: bool) -> Annotation:
    """Draw an arrow above or left of the line from a to b; or, backwards, b to a on its right."""
    along = (b - a) / np.abs(b - a).max()  # along x or y
    gap = along * (0.5, 0.22)  # for the boxes
    side = np.array([-1, 0]) if along[0] == 0 else np.array([0, 1])
    side = side * (0.05, 0.06) * (1 if forwards else -1)
    start, end = (a + gap + side, b - gap + side)[:: 1 if forwards else -1]
    colour, style = ("0.1", "-") if forwards else (BACKWARD, "--")
    arrow = {"arrowstyle": "-|>", "color": colour, "linestyle": style}
    drawn = ax.annotate("", end, start, arrowprops=arrow)
    drawn.set_gid(text)
    ha = {-1: "right", 0: "center", 1: "left"}[int(np.sign(side[0]))]
    va = {-1: "top", 0: "center", 1: "bottom"}[int(np.sign(side[1]))]
    x, y = (start + end) / 2 + 0.4 * side
    ax.text(x, y, text, color=colour, ha=ha, va=va, fontsize=9)
    return drawn
