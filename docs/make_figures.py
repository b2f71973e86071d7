"""Draw the figures of the pages, and that of the README from the run that ``make train`` leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure, FigureBase

import stnref
from stnref import SpatialTransformer, kernels, nn, transforms, viz
from stnref.data import draw_digits, rotate
from stnref.experiments.networks import build_network
from stnref.experiments.run import load_run
from stnref.gradcheck import taylor_test
from stnref.nn.sequential import under
from stnref.training.tiny import train
from stnref.validation import Array

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


def corners() -> FigureBase:
    """What -1 and 1 are, under either rule, for a row of four pixels."""
    return viz.plot_corner_rules(4)


def paddings() -> FigureBase:
    """How a row of four pixels goes on."""
    return viz.plot_paddings()


def borders() -> FigureBase:
    """Corner rules and paddings on one page."""
    figure = viz.new_figure(7, 6.2)
    above, below = figure.subfigures(2, 1, height_ratios=(2.4, 4))
    viz.plot_corner_rules(4, figure=above)
    viz.plot_paddings(figure=below)
    return figure


def data_flow() -> FigureBase:
    """The module with both terms of dU, from a run of it."""
    rng = np.random.default_rng(0)
    net = nn.Sequential(flat=nn.Flatten(), fc=nn.Linear(28 * 28, 20), tanh=nn.Tanh())
    module = SpatialTransformer(net, 20, (14, 14), transform="affine")
    params = module.init(rng, np.float64)
    params["regression.W"] += rng.normal(scale=0.05, size=params["regression.W"].shape)
    figure = viz.new_figure(9, 4)
    images = draw_digits(4, rng).images.astype(float)
    viz.plot_data_flow(module, images, params, ax=figure.add_subplot())
    return figure


def contributions() -> FigureBase:
    """Which pixels are read, where the grid looks away and where it zooms out."""
    figure = viz.new_figure(9, 3.2)
    similarity = transforms.get_transform("similarity", (9, 9))
    thetas = {
        "turned": [1.0, 0.5, 0, 0],
        "zoomed in": [0.4, 0.3, 0.1, 0],
        "zoomed out": [2.0, 0, 0, 0],
    }
    for ax, (title, theta) in zip(figure.subplots(1, 3), thetas.items(), strict=True):
        grid, _ = similarity.forward(np.array([theta]))
        points, _ = stnref.unnormalize_forward(grid, (9, 9))
        viz.plot_contributions(points[0], (9, 9), ax=ax)
        ax.set(title=title, xlim=(-3, 11), ylim=(11, -3), facecolor="0.85")
    return figure


def kink_map() -> FigureBase:
    """Samples that lie on a kink: all of the identity, few of a turned grid."""
    figure = viz.new_figure(8, 3.2)
    rigid = transforms.get_transform("rigid", (9, 9))
    thetas = {"the identity": [0.0, 0, 0], "turned": [0.4, 0, 0]}
    for ax, (title, theta) in zip(figure.subplots(1, 2), thetas.items(), strict=True):
        points, _ = stnref.unnormalize_forward(rigid.forward(np.array([theta]))[0], (9, 9))
        viz.plot_kinks(stnref.kink_report(points, (9, 9)), ax=ax)
        ax.set(title=f"{title}: {ax.get_title()}")
    return figure


def taylor() -> FigureBase:
    """A right gradient, and one with half of dy."""
    rng = np.random.default_rng(0)
    U = rng.normal(size=(1, 5, 6, 2))
    points = rng.integers(0, 4, (1, 3, 4, 2)) + rng.uniform(0.2, 0.8, (1, 3, 4, 2))

    def halved(dV: Array, cache: stnref.sampler.SampleCache) -> tuple[Array, Array]:
        dU, dpoints = stnref.sample_backward(dV, cache)
        return dU, dpoints * [1, 0.5]

    figure = viz.new_figure(9, 3.6)
    for ax, (title, backward) in zip(
        figure.subplots(1, 2, sharey=True),
        {"right": stnref.sample_backward, "dy halved": halved}.items(),
        strict=True,
    ):
        test = taylor_test(stnref.sample_forward, backward, [U, points])
        viz.plot_taylor_test(test, ax=ax)
        ax.set_title(title)
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
    return viz.plot_families(image[0], params, figure=viz.new_figure(11, 3.2))


def family_frames() -> Iterator[Figure]:
    """Yield the frames of an animation: one parameter after the other, there and back."""
    image = draw_digits(1, np.random.default_rng(4), labels=[5]).images.astype(float)
    affine = transforms.get_transform("affine", (28, 28))
    for k, name in enumerate(("t11", "t12", "tx", "t21", "t22", "ty")):
        for phase in np.linspace(0, 2 * np.pi, 12, endpoint=False):
            theta = affine.identity.copy()
            theta[k] += 0.4 * np.sin(phase)
            grid, _ = affine.forward(theta[None])
            figure = viz.new_figure(5, 2.7)
            left, right = figure.subplots(1, 2)
            viz.plot_image(image[0], ax=left)
            viz.plot_grid(grid[0], (28, 28), ax=left)
            left.set(title=f"{name} = {theta[k]:.2f}", facecolor="0.4")
            left.set(xlim=(-12, 39), ylim=(39, -12))
            viz.plot_image(stnref.grid_sample(image, grid)[0], ax=right)
            right.set_title("what the grid shows")
            yield figure


def training_frames() -> Iterator[Figure]:
    """Yield the frames of an animation: grids of a small network, epoch by epoch."""
    rng = np.random.default_rng(0)
    digits = draw_digits(2000, rng)
    images, _ = rotate(digits.images, rng)
    network = build_network("st-fcn", (28, 28, 1), hidden=16, transform="rigid")
    shown = images[[int(np.flatnonzero(digits.labels == k)[0]) for k in range(2, 8)]]
    params, losses = network.init(rng), []
    epochs = train(network, params, images, digits.labels, rng, rate=0.1)
    for epoch in range(16):
        figure = viz.new_figure(8, 3.2)
        above, below = figure.subfigures(2, 1, height_ratios=(2, 1.2))
        transformer = network.layers["st"]
        V, cache = transformer.forward(shown, under("st", params))
        viz.plot_sheet(shown, cache.grid, V, columns=6, figure=above)
        ax = below.add_subplot()
        ax.plot(range(1, epoch + 1), losses, "C0-o", ms=3)
        ax.set(xlim=(0, 16), ylim=(0, 2.5), xlabel="epoch", ylabel="loss")
        yield figure
        params, loss, _ = next(epochs)
        losses.append(loss)


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


FIGURES: tuple[Callable[[], FigureBase], ...] = (
    *(cell, kernel, corners, paddings, borders, families, convolution, flow, pairs),
    *(data_flow, contributions, kink_map, taylor),
)
ANIMATIONS = {"family": (family_frames, 0.1), "training": (training_frames, 0.5)}


def main() -> None:
    """Write docs/figures/*.png; that of the README only where there is a run."""
    FOLDER.mkdir(exist_ok=True)
    for draw in (*FIGURES, *([digits] if (ROOT / "runs" / "st-cnn").exists() else [])):
        target = FOLDER / f"{draw.__name__}.png"
        viz.save_figure(draw(), target, dpi=100)
        print(f"wrote {target.relative_to(ROOT)}")
    for name, (frames, seconds) in ANIMATIONS.items():
        target = FOLDER / f"{name}.gif"
        viz.save_animation(frames(), target, seconds=seconds, dpi=70)
        print(f"wrote {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
