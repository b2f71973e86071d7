"""The transformer while it trains: where it looks, and the plain word when it ceases to learn.

A sample outside of the picture reads zero and has no gradient. A transformer that zooms out, or
moves off the picture, sends ever more samples there, until nothing comes back that could move it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stnref.coordinates import target_grid, unnormalize_forward
from stnref.kinks import outside_report
from stnref.nn import Params
from stnref.sampler import grid_sample_backward
from stnref.spatial_transformer import SpatialTransformer
from stnref.validation import Array

OUTSIDE, ZERO = 0.5, 0.99
"""Shares of samples outside, and without gradient, that call for a warning."""

POINT, AWAY = 0.1, 1.25
"""Scales below which a transformer zooms in on a point, and above which it zooms out."""


class TransformerState(NamedTuple):
    """Where a transformer looks, on the mean over some pictures.

    Attributes
    ----------
    outside : float
        Share of the samples that lie a pixel or more outside of their picture.
    zero_gradient : float
        Share of the samples at which V does not depend on the point: the picture is flat there, or
        the sample is outside. Pictures on black have many.
    scale : float
        Of the grid against the target grid, the root of the area's factor: above 1 the output shows
        more than the picture, smaller.
    determinant : float
        Of the linear part of theta; below 0 the picture is mirrored.
    """

    outside: float
    zero_gradient: float
    scale: float
    determinant: float

    @property
    def warning(self) -> str:
        """What is going wrong, or nothing."""
        figures = f"{self.outside:.0%} of the samples outside, scale {self.scale:.2g}"
        if self.outside >= OUTSIDE and self.scale > AWAY:
            return f"the transformer is zooming out: {figures}"
        if self.outside >= OUTSIDE:
            return f"the transformer looks beside the picture: {figures}"
        if self.scale < POINT:
            return f"the transformer is zooming in on a point: {figures}"
        if self.zero_gradient >= ZERO:
            return f"no gradient comes back from {self.zero_gradient:.0%} of the samples: {figures}"
        return ""


def watch(transformer: SpatialTransformer, images: Array, params: Params) -> TransformerState:
    """Look where a transformer looks.

    Parameters
    ----------
    transformer : SpatialTransformer
    images : (B, H, W, C)
    params : mapping of str to array
        The transformer's own.

    Returns
    -------
    TransformerState

    Examples
    --------
    >>> from stnref.nn import Flatten
    >>> st = SpatialTransformer(Flatten(), 36, (6, 6), transform="attention")
    >>> params = st.init(np.random.default_rng(0))
    >>> images = np.random.default_rng(0).random((2, 6, 6, 1), dtype=np.float32)
    >>> watch(st, images, params).warning
    ''
    >>> params["regression.b"][:] = 4, 0, 0  # s, tx, ty
    >>> watch(st, images, params).warning
    'the transformer is zooming out: 89% of the samples outside, scale 4'
    """
    V, cache = transformer.forward(images, params)
    corners, shape = transformer.sampling["align_corners"], images.shape[1:-1]
    points, _ = unnormalize_forward(cache.grid, shape, align_corners=corners)
    _, dgrid = grid_sample_backward(np.ones_like(V), cache.sample, needs=("grid",))
    d = points.shape[-1]
    G = target_grid(transformer.out_shape, align_corners=corners).reshape(-1, d)  # (P, d)
    grid = cache.grid.reshape(len(images), -1, d)  # (B, P, d)
    A = (np.linalg.pinv(G - G.mean(axis=0)) @ grid).swapaxes(1, 2)  # (B, d, d), least squares
    determinant = np.linalg.det(A)
    return TransformerState(
        outside=float(outside_report(points, shape).share.mean()),
        zero_gradient=float((dgrid == 0).all(axis=-1).mean()),
        scale=float((np.abs(determinant) ** (1 / d)).mean()),
        determinant=float(determinant.mean()),
    )
