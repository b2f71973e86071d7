r"""Forward mapping: push pixels to points, the transpose of sampling.

    canvas = S^T image,        dimage = S dcanvas,        dx = sum_c image (S_x dcanvas)

with the matrix S of `stnref.taps`. It leaves holes where nothing lands and adds up where much
does; with ``normalize`` it divides by the weight that landed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stnref.kernels import Kernel, get_kernel
from stnref.padding import Padding, get_padding
from stnref.taps import SampleCache, axes_of, factors, gather, locate, scatter
from stnref.validation import (
    Array,
    expect_array,
    expect_choice,
    expect_finite,
    expect_needs,
    expect_sizes,
)


class SplatCache(NamedTuple):
    """What `splat_backward` wants, and the weight that tells the holes.

    Attributes
    ----------
    image : (B, H', W', C + 1)
        The image with a channel of ones.
    sample : SampleCache
        Where its pixels land.
    canvas : (B, H, W, C + 1)
        What landed: S^T image, before a normalisation.
    normalize : bool
    """

    image: Array
    sample: SampleCache
    canvas: Array
    normalize: bool

    @property
    def weight(self) -> Array:
        """Sum of the weights that each pixel of the canvas got, (B, H, W): zero in a hole."""
        return self.canvas[..., -1]


def splat_forward(
    image: ArrayLike,
    points: ArrayLike,
    shape: Sequence[int],
    *,
    kernel: str | Kernel = "linear",
    padding: str | Padding = "zeros",
    normalize: bool = False,
    nonfinite: str = "raise",
) -> tuple[Array, SplatCache]:
    """Push every pixel of an image to a point of a canvas: canvas = S^T image.

    Forward mapping, the transpose of sampling: where sampling reads with a weight, this writes
    with it. It leaves holes where nothing lands and adds up where much does.

    Parameters
    ----------
    image : (B, H', W', C) or (B, D', H', W', C)
    points : (B, H', W', 2) or (B, D', H', W', 3)
        Where each pixel lands, in pixels of the canvas: last axis (x, y) or (x, y, z).
    shape : (H, W) or (D, H, W)
        Size of the canvas.
    kernel, padding, nonfinite
        See `sample_forward`.
    normalize : bool
        Divide by the sum of the weights that landed: the weighted mean in place of the sum; 0
        in a hole.

    Returns
    -------
    canvas : (B, H, W, C) or (B, D, H, W, C)
    cache : SplatCache
        ``cache.weight`` is zero in the holes.

    Raises
    ------
    TypeError, ValueError
        As `sample_forward`.

    Examples
    --------
    >>> points = np.array([[0.25, 0], [0.25, 0]]).reshape(1, 1, 2, 2)
    >>> canvas, cache = splat_forward(np.array([8.0, 4.0]).reshape(1, 1, 2, 1), points, (1, 3))
    >>> canvas.ravel().tolist(), cache.weight.ravel().tolist()
    ([9.0, 3.0, 0.0], [1.5, 0.5, 0.0])
    """
    image = expect_array("image", image, ("B", "H", "W", "C"), ("B", "D", "H", "W", "C"))
    d = image.ndim - 2
    sizes = expect_sizes("shape", shape, (d,))
    points = expect_array("points", points, (*image.shape[:-1], d))
    expect_choice("nonfinite", nonfinite, ("raise", "outside"))
    if nonfinite == "raise":
        expect_finite("points", points)
    image = np.concatenate([image, np.ones_like(image[..., :1])], axis=-1)
    blank = np.zeros((len(image), *sizes, image.shape[-1]), dtype=image.dtype)
    sample = locate(blank, points, get_kernel(kernel), get_padding(padding))
    canvas = scatter(image, sample, factors(sample))  # (B, H, W, C + 1)
    cache = SplatCache(image, sample, canvas, normalize)
    return _mean(canvas) if normalize else canvas[..., :-1], cache


def _mean(canvas: Array) -> Array:
    """Divide the sums by the last channel, the sum of the weights; 0 where that is 0."""
    weight = canvas[..., -1:]
    return np.where(weight == 0, 0, canvas[..., :-1] / np.where(weight == 0, 1, weight))


def splat_backward(
    dcanvas: ArrayLike, cache: SplatCache, *, needs: Collection[str] = ("image", "points")
) -> tuple[Array | None, Array | None]:
    """Return dimage = S dcanvas and dx = sum_c image (S_x dcanvas), likewise for y.

    With ``normalize`` the canvas is N / w, N = S^T image and w = S^T 1: then these are of
    dN = dcanvas / w and dw = -sum_c dcanvas N / w^2 in its place; both are 0 in a hole.

    Raises
    ------
    ValueError
        dcanvas does not have the shape of the canvas, or `needs` names something else.
    """
    image, sample, canvas, normalize = cache
    dcanvas = expect_array("dcanvas", dcanvas, (*canvas.shape[:-1], canvas.shape[-1] - 1))
    expect_needs(needs, ("image", "points"))
    dweight = np.zeros_like(dcanvas[..., :1])
    if normalize:
        hole, weight = canvas[..., -1:] == 0, canvas[..., -1:]
        dcanvas = np.where(hole, 0, dcanvas / np.where(hole, 1, weight))
        dweight = -(dcanvas * _mean(canvas)).sum(axis=-1, keepdims=True)
    dsums = np.concatenate([dcanvas, dweight], axis=-1)  # (B, H, W, C + 1)
    dimage = dpoints = None
    if "image" in needs:
        dimage = gather(dsums, sample, factors(sample))[..., :-1]
    if "points" in needs:
        slopes = [
            (image * gather(dsums, sample, factors(sample, axis))).sum(axis=-1)
            for axis in range(len(sample.indices))
        ]
        dpoints = np.stack(slopes[::-1], axis=-1)
    return dimage, dpoints


def splat_jvp(
    image_dot: ArrayLike | None, points_dot: ArrayLike | None, cache: SplatCache
) -> Array:
    """Return canvas_dot = S^T image_dot + S_x^T (x_dot image) + …; None is zero.

    With ``normalize`` it is (N_dot - w_dot N / w) / w.
    """
    image, sample, canvas, normalize = cache
    sums_dot = np.zeros(canvas.shape, dtype=canvas.dtype)
    if image_dot is not None:
        shape = (*image.shape[:-1], image.shape[-1] - 1)
        image_dot = expect_array("image_dot", image_dot, shape)
        image_dot = np.concatenate([image_dot, np.zeros_like(image_dot[..., :1])], axis=-1)
        sums_dot = sums_dot + scatter(image_dot, sample, factors(sample))
    if points_dot is not None:
        d = len(sample.indices)
        points_dot = expect_array("points_dot", points_dot, (*image.shape[:-1], d))
        for axis, x_dot in enumerate(axes_of(points_dot)):
            moved = x_dot[..., None] * image
            sums_dot = sums_dot + scatter(moved, sample, factors(sample, axis))
    if not normalize:
        return sums_dot[..., :-1]
    hole, weight = canvas[..., -1:] == 0, canvas[..., -1:]
    canvas_dot = sums_dot[..., :-1] - sums_dot[..., -1:] * _mean(canvas)
    return np.where(hole, 0, canvas_dot / np.where(hole, 1, weight))
