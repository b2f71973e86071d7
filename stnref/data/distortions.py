"""The paper's distortions of digits, made with our own transforms and sampler.

A distortion takes pictures and a generator, and gives distorted pictures together with what
it did to them, so that fresh ones can be drawn for every batch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stnref.coordinates import target_grid
from stnref.sampler import grid_sample
from stnref.transforms import affine_grid, rigid_matrix_forward
from stnref.validation import Array, expect_array, expect_generator, expect_number


class Distorted(NamedTuple):
    """Distorted pictures, and the angle by which each one's content was turned.

    Attributes
    ----------
    images : (B, H, W, C)
    angle : (B,)
        Radians; positive is clockwise on the screen, where y points down.
    """

    images: Array
    angle: NDArray[np.float64]


def undistorted(images: Array, rng: np.random.Generator) -> Distorted:
    """Return the pictures as they are.

    Parameters
    ----------
    images : (B, H, W, C)
    rng : numpy.random.Generator
        It is not asked.

    Returns
    -------
    Distorted
        Their angle is 0.

    Raises
    ------
    TypeError, ValueError
        `images` has no floating dtype, or is not (B, H, W, C).
    """
    images = expect_array("images", images, ("B", "H", "W", "C"))
    return Distorted(images, np.zeros(len(images)))


def rotate(images: Array, rng: np.random.Generator, *, limit: float = np.pi / 2) -> Distorted:
    """Turn each picture about its centre by a random angle: the paper's distortion R.

    Parameters
    ----------
    images : (B, H, H, C)
        Square pictures.
    rng : numpy.random.Generator
    limit : float
        Angles are uniform in [-limit, limit], radians.

    Returns
    -------
    Distorted

    Raises
    ------
    TypeError, ValueError
        `images` has no floating dtype, or is not (B, H, H, C).

    Examples
    --------
    >>> turned = rotate(np.ones((2, 5, 5, 1)), np.random.default_rng(0))
    >>> turned.images.shape, turned.angle.round(2).tolist()
    ((2, 5, 5, 1), [0.43, -0.72])
    """
    images = expect_array("images", images, ("B", "H", "W", "C"))
    if images.shape[1] != images.shape[2]:
        raise ValueError(f"images: expected shape (B, H, H, C), got {images.shape}")
    limit = expect_number("limit", limit, least=0)
    angle = expect_generator("rng", rng).uniform(-limit, limit, size=len(images))
    # The grid turns by minus the angle, so that the content turns by the angle.
    params = np.stack([-angle, 0 * angle, 0 * angle], axis=-1).astype(images.dtype)
    theta, _ = rigid_matrix_forward(params)
    return Distorted(grid_sample(images, affine_grid(theta, target_grid(images.shape[1:3]))), angle)


DISTORTIONS = {"none": undistorted, "R": rotate}
"""Distortions by the paper's letters."""
