r"""Forward mapping: push pixels to points, the transpose of sampling.

Derivation: ``docs/derivations/sampler.md``, equations S16 and S17.

    canvas = S^T image,        dimage = S dcanvas,        dx = sum_c image (S_x dcanvas)

with the matrix S of `stnref.taps`. It leaves holes where nothing lands and adds up where much
does; with ``normalize`` it divides by the weight that landed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike

from stnref.kernels import Kernel, get_kernel
from stnref.padding import PaddingLike, get_paddings
from stnref.sampler import expect_known, points_gradient
from stnref.taps import SamplingMatrix, locate
from stnref.validation import (
    TARGET_AXES,
    Array,
    expect_array,
    expect_cache,
    expect_needs,
    expect_sizes,
)


class SplatCache(NamedTuple):
    """What the gradients of a splat want, and the weight that tells the holes.

    Attributes
    ----------
    image : (B, H', W', C)
        A reference, not a copy.
    S : SamplingMatrix
        Where its pixels land.
    canvas : (B, H, W, C)
        What came out.
    weight : (B, H, W)
        Sum of the weights that each pixel of the canvas got: zero in a hole.
    normalize : bool
    """

    image: Array
    S: SamplingMatrix
    canvas: Array
    weight: Array
    normalize: bool


def splat_forward(
    image: ArrayLike,
    points: ArrayLike,
    shape: Sequence[int],
    *,
    kernel: str | Kernel = "linear",
    padding: PaddingLike = "zeros",
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
    image = expect_array("image", image, *(("B", *axes, "C") for axes in TARGET_AXES.values()))
    d = image.ndim - 2
    sizes = expect_sizes("shape", shape, (d,))
    points = expect_array("points", points, (*image.shape[:-1], d))
    expect_known("points", points, nonfinite)
    S = locate((len(image), *sizes), points, get_kernel(kernel), get_paddings(padding, d))
    weight = (S.T @ np.ones_like(image[..., :1]))[..., 0]
    canvas = S.T @ image
    if normalize:
        canvas = _per_weight(canvas, weight)
    return canvas, SplatCache(image, S, canvas, weight, normalize)


def _per_weight(sums: Array, weight: Array) -> Array:
    """Divide by the weight that landed; 0 in a hole, where it is 0."""
    hole = (weight == 0)[..., None]
    return np.where(hole, 0, sums / np.where(hole, 1, weight[..., None]))


@overload
def splat_backward(dcanvas: ArrayLike, cache: SplatCache) -> tuple[Array, Array]: ...
@overload
def splat_backward(
    dcanvas: ArrayLike, cache: SplatCache, *, needs: Collection[str]
) -> tuple[Any, Any]: ...  # one that is declined is None
def splat_backward(
    dcanvas: ArrayLike, cache: SplatCache, *, needs: Collection[str] = ("image", "points")
) -> tuple[Array | None, Array | None]:
    """dimage = S dcanvas and dx = sum_c image (S_x dcanvas), likewise for y (S16).

    With ``normalize``, of dN = dcanvas / w and dw = -sum_c dN canvas instead; 0 in a hole (S17).

    dcanvas : shape of canvas -> dimage : shape of image, dpoints : shape of points, per pixel.
    `needs` names the gradients to compute, a subset of {"image", "points"}; the other is None.
    Raises ValueError if dcanvas does not have the shape of the canvas or `needs` names something
    else, TypeError on the dtype of dcanvas.

    >>> points = np.array([[0.25, 0], [0.25, 0]]).reshape(1, 1, 2, 2)
    >>> _, cache = splat_forward(np.array([8.0, 4.0]).reshape(1, 1, 2, 1), points, (1, 3))
    >>> dimage, dpoints = splat_backward(np.array([1.0, 3.0, 0.0]).reshape(1, 1, 3, 1), cache)
    >>> dimage.ravel().tolist(), dpoints[..., 0].ravel().tolist()
    ([1.5, 1.5], [16.0, 8.0])
    """
    image, S, canvas, weight, normalize = expect_cache(cache, SplatCache, "splat_forward")
    dcanvas = expect_array("dcanvas", dcanvas, canvas.shape)
    expect_needs(needs, ("image", "points"))
    dN = _per_weight(dcanvas, weight) if normalize else dcanvas  # S17
    dimage = S @ dN if "image" in needs else None  # S16
    if "points" not in needs:
        return dimage, None
    dpoints = points_gradient(image, S, dN)  # S16
    if normalize:
        dw = -(dN * canvas).sum(axis=-1, keepdims=True)  # S17
        dpoints = dpoints + points_gradient(np.ones_like(image[..., :1]), S, dw)  # S16
    return dimage, dpoints


def splat_jvp(
    image_dot: ArrayLike | None, points_dot: ArrayLike | None, cache: SplatCache
) -> Array:
    """canvas_dot = S^T image_dot + S_x^T (x_dot image) + S_y^T (y_dot image) (S16); None is zero.

    With ``normalize`` it is (N_dot - w_dot canvas) / w, 0 in a hole (S17).

    image_dot : shape of image, points_dot : shape of points, pixels -> canvas_dot : shape of
    canvas.
    Raises ValueError if a tangent does not have the shape of its input, TypeError on its dtype.

    >>> points = np.array([[0.25, 0], [0.25, 0]]).reshape(1, 1, 2, 2)
    >>> _, cache = splat_forward(np.array([8.0, 4.0]).reshape(1, 1, 2, 1), points, (1, 3))
    >>> splat_jvp(np.array([4.0, 0.0]).reshape(1, 1, 2, 1), None, cache).ravel().tolist()
    [3.0, 1.0, 0.0]
    """
    image, S, canvas, weight, normalize = expect_cache(cache, SplatCache, "splat_forward")
    canvas_dot = np.zeros_like(canvas)
    weight_dot = np.zeros_like(weight)[..., None]  # (B, H, W, 1)
    if image_dot is not None:
        canvas_dot = canvas_dot + S.T @ expect_array("image_dot", image_dot, image.shape)  # S16
    if points_dot is not None:
        shape = (*image.shape[:-1], len(S.cell))
        S_dot = S.along(expect_array("points_dot", points_dot, shape))
        canvas_dot = canvas_dot + S_dot.T @ image  # S16
        if normalize:
            weight_dot = S_dot.T @ np.ones_like(image[..., :1])
    if not normalize:
        return canvas_dot
    return _per_weight(canvas_dot - weight_dot * canvas, weight)  # S17
