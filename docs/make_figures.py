"""Draw the figures of the pages, and that of the README from the run that ``make train`` leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import stnref
from stnref import kernels, transforms, viz
from stnref.data import draw_digits
from stnref.experiments.run import load_run
from stnref.padding import PADDINGS

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "figures"


def digits() -> Figure:
    """Ten test digits before and after the transformer."""
    run = load_run(ROOT / "runs" / "st-cnn")
    images = run.some_of_each(1)
    outputs, grids = run.transformed(images)
    return viz.plot_sheet(images, grids, outputs)


def cell() -> Figure:
    """The four weights of a sample."""
    figure = viz.new_figure(4, 4)
    viz.plot_cell(0.7, 0.25, ax=figure.add_subplot())
    return figure


def kernel() -> Figure:
    """Kernels and their slopes."""
    return viz.plot_kernels(
        {
            "nearest": kernels.nearest(),
            "linear": kernels.linear(),
            "cubic, a = -3/4": kernels.cubic(),
            "cubic B-spline": kernels.bspline3(),
        }
    )


def corners() -> Figure:
    """What -1 and 1 are, under either rule, for a row of four pixels."""
    figure = viz.new_figure(7, 2.6)
    for ax, aligned in zip(figure.subplots(2, 1, sharex=True), (True, False), strict=True):
        ax.bar(range(4), 1, width=1, color="0.85", edgecolor="0.4")
        grid = np.linspace(-1, 1, 5)[:, None]
        points = np.concatenate([grid, 0 * grid], axis=1)[None, None]  # (1, 1, 5, 2)
        x = stnref.unnormalize_forward(points, (1, 4), align_corners=aligned)[0][0, 0, :, 0]
        ax.plot(x, 0 * x + 0.5, "C0o-")
        for place, value in zip(x, grid[:, 0], strict=True):
            ax.text(place, 0.65, f"{value:g}", ha="center")
        ax.set(yticks=[], ylim=(0, 1.05), title=f"align_corners={aligned}")
    ax.set(xlabel="x (pixels)", xticks=range(4))
    return figure


def paddings() -> Figure:
    """How a row of four pixels goes on."""
    figure = viz.new_figure(7, 4)
    U, m = np.array([0.35, 0.55, 0.75, 0.95]), np.arange(-6.0, 10)
    for ax, (name, pad) in zip(figure.subplots(5, 1, sharex=True), PADDINGS.items(), strict=True):
        index, inside = pad(m, 4)
        row = np.where(inside, U[index], 0)
        ax.imshow(row[None], "gray", extent=(-6.5, 9.5, 0, 1), aspect="auto", vmin=0, vmax=1)
        ax.axvspan(-0.5, 3.5, fill=False, ec="C1", lw=3)
        ax.set(yticks=[0.5], yticklabels=[name])
    ax.set(xlabel="x (pixels)", xticks=range(-6, 10, 3))
    return figure


def families() -> Figure:
    """A grid of each family, and what it shows of a digit."""
    image = draw_digits(1, np.random.default_rng(4), labels=[5]).images.astype(float)
    rng = np.random.default_rng(2)
    params = {
        "translation": [0.3, -0.1],
        "attention": [0.6, 0.1, 0],
        "rigid": [0.5, 0, 0],
        "similarity": [0.7, 0.5, 0, 0],
        "affine": [0.8, 0.4, 0, 0, 0.7, 0],
        "projective": [0.9, 0.1, 0, 0, 0.8, 0, 0.3, 0.2],
    }
    for name in ("tps", "bspline"):
        start = transforms.get_transform(name, (28, 28)).identity
        params[name] = start + rng.normal(scale=0.15, size=start.shape)
    figure = viz.new_figure(11, 3.2)
    for (above, below), (name, theta) in zip(
        figure.subplots(2, len(params)).T, params.items(), strict=True
    ):
        grid, _ = transforms.get_transform(name, (28, 28)).forward(np.array([theta]))
        viz.plot_image(image[0], ax=above)
        viz.plot_grid(grid[0], (28, 28), ax=above)
        above.set(title=name, xlim=(-8, 35), ylim=(35, -8), facecolor="0.4")
        viz.plot_image(stnref.grid_sample(image, grid)[0], ax=below)
    return figure


def convolution() -> Figure:
    """Which pixels of X an output reads, and to which its gradient goes back."""
    figure = viz.new_figure(6, 3)
    left, right = figure.subplots(1, 2, width_ratios=(7, 4))
    for ax, shape, title in ((left, (6, 7), "X, with the window of Y[1, 2]"), (right, (4, 5), "Y")):
        ax.imshow(np.zeros(shape), "gray_r", vmin=0, vmax=1)
        ax.set(xticks=np.arange(shape[1]) - 0.5, yticks=np.arange(shape[0]) - 0.5, title=title)
        ax.set(xticklabels=[], yticklabels=[])
        ax.grid(color="0.6")
    left.fill_between([1.5, 4.5], 0.5, 3.5, color="C0", alpha=0.4)
    right.fill_between([1.5, 2.5], 0.5, 1.5, color="C0", alpha=0.8)
    left.text(3, 2, "W", ha="center", va="center", fontsize=16)
    return figure


def flow() -> Figure:
    """A displacement field, and its inverse."""
    G = stnref.target_grid((12, 12))
    x, y = np.moveaxis(G, -1, 0)
    u = 0.12 * np.stack([np.sin(2 * y), -np.sin(2 * x)], axis=-1)[None] * (1 - x**2)[..., None]
    inverse = stnref.fields.invert_flow_forward(u)[0]
    figure = viz.new_figure(7, 3.5)
    for ax, field, title in zip(
        figure.subplots(1, 2), (u, inverse), ("u", "its inverse"), strict=True
    ):
        ax.quiver(x, y, *np.moveaxis(field[0], -1, 0), color="C0", angles="xy", scale=1)
        ax.set(title=title, aspect="equal", xlabel="x (normalised)", ylim=(1.15, -1.15))
    return figure


def pairs() -> Figure:
    """Four pairs of points, and the grid of the homography through them."""
    target = np.array([[[-1.0, -1], [1, -1], [1, 1], [-1, 1]]])
    source = np.array([[[-0.7, -0.5], [0.5, -0.8], [0.8, 0.7], [-0.5, 0.5]]])
    theta = transforms.fit_homography_forward(target, source)[0]
    grid, _ = stnref.projective_grid_forward(theta, stnref.target_grid((9, 9)))
    figure = viz.new_figure(4, 4)
    ax = figure.add_subplot()
    for lines in (grid[0], grid[0].swapaxes(0, 1)):
        ax.plot(*np.moveaxis(lines, -1, 0).swapaxes(1, 2), "0.7", lw=0.8)
    for a, b in zip(target[0], source[0], strict=True):
        ax.annotate("", b, a, arrowprops={"arrowstyle": "->", "color": "C1"})
    ax.plot(*target[0].T, "C0s", label="target points")
    ax.plot(*source[0].T, "C1o", label="their sources")
    ax.set(aspect="equal", xlabel="x (normalised)", ylabel="y, down", ylim=(1.3, -1.3))
    ax.legend(loc="upper center", ncols=2)
    return figure


FIGURES = (cell, kernel, corners, paddings, families, convolution, flow, pairs)


def main() -> None:
    """Write docs/figures/*.png; that of the README only where there is a run."""
    FOLDER.mkdir(exist_ok=True)
    for draw in (*FIGURES, *([digits] if (ROOT / "runs" / "st-cnn").exists() else [])):
        target = FOLDER / f"{draw.__name__}.png"
        viz.save_figure(draw(), target, dpi=100)
        print(f"wrote {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
