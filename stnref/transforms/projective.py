r"""Projective transforms: a plane seen in perspective, a homography.

With theta (3, 3), in normalised coordinates, *target to source* like the affine transform:

.. math::  (X, Y, Z)^T = \theta \, (x^t, y^t, 1)^T, \qquad x^s = X / Z, \quad y^s = Y / Z

A point with Z > 0 lies in front of the viewer. Z = 0 is the horizon, where the division fails;
beyond it lies what is behind the viewer, and the formula would show it upside down. Points
with Z <= ``HORIZON`` times the largest entry of theta's third row are *hidden*: they are sent
to (``FAR``, ``FAR``), so that zeros padding reads 0 there, and they have no gradient. A net
that tilts the plane too far thus goes on training on the points that are left. Who wants the
plain quotient, as others compute it, says ``horizon="ignore"``. Derivation:
``docs/derivations/transforms.md``, equations T1 to T5.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stnref.validation import Array, expect_array, expect_cache, expect_choice

HORIZON = 1e-4
"""A point is hidden if Z is at most this much of the largest entry of theta's third row."""

FAR = 1000.0
"""Both normalised coordinates of a hidden point: outside of all but a picture of one pixel."""


class ProjectiveGridCache(NamedTuple):
    """The target points, the grid, and 1 / Z."""

    basis: Array  # (H', W', 3): (x, y, 1)
    grid: Array  # (B, H', W', 2)
    inverse_Z: Array  # (B, H', W', 1); 0 where the point is hidden


def projective_grid_forward(
    theta: ArrayLike, G: ArrayLike, *, horizon: str = "hide"
) -> tuple[Array, ProjectiveGridCache]:
    """x = X / Z, y = Y / Z, with (X, Y, Z) = theta (x, y, 1) for each point of G (T1).

    Parameters
    ----------
    theta : (B, 3, 3)
        Homographies, target to source. A positive factor on theta changes nothing; a negative
        one turns front into back, so keep theta's last entry positive.
    G : (H', W', 2)
        Target grid, normalised; see `target_grid`. It is cast to theta's precision.
    horizon : "hide" or "ignore"
        Whether points on and behind the horizon are hidden, or shown upside down by the plain
        quotient, as OpenCV, Keras and kornia do; then theta and -theta are the same.

    Returns
    -------
    grid : (B, H', W', 2)
        Sampling grid, normalised, in theta's dtype; hidden points are at (FAR, FAR). Those with
        Z = 0 exactly always are: the quotient does not exist.
    cache : ProjectiveGridCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, or `horizon` is neither.

    Notes
    -----
    "hide" is the default because a net that tilts the plane too far would otherwise be trained on
    what lies behind the viewer. Which points are hidden (T5) is asked of the real part. Near the
    horizon the grid leaves every picture, so with zeros padding the rule changes the output
    smoothly; with the other paddings hidden points read a pixel of the border or of a reflection,
    without a gradient.

    Examples
    --------
    >>> from stnref.coordinates import target_grid
    >>> tilt = np.array([[[1.0, 0, 0], [0, 1, 0], [0, 0.5, 1]]])
    >>> projective_grid_forward(tilt, target_grid((2, 2)))[0][0, 0].tolist()
    [[-2.0, -2.0], [2.0, -2.0]]
    """
    expect_choice("horizon", horizon, ("hide", "ignore"))
    theta = expect_array("theta", theta, ("B", 3, 3))
    G = expect_array("G", G, ("H'", "W'", 2), real=True).astype(theta.real.dtype)
    basis = np.concatenate([G, np.ones_like(G[..., :1])], axis=-1)  # (H', W', 3): (x, y, 1)
    XYZ = _project(theta, basis)
    XY, Z = XYZ[..., :2], XYZ[..., 2:]
    if horizon == "hide":
        size = np.abs(theta[:, 2].real).max(axis=-1).reshape(-1, 1, 1, 1)
        hidden = Z.real <= HORIZON * size  # (B, H', W', 1), T5; a NaN is not, and is found later
    else:
        hidden = Z.real == 0
    inverse_Z = np.where(hidden, 0, 1 / np.where(hidden, 1, Z))
    grid = np.where(hidden, FAR, XY * inverse_Z)  # (B, H', W', 2), T1
    return grid, ProjectiveGridCache(basis, grid, inverse_Z)


def projective_grid_backward(dgrid: ArrayLike, cache: ProjectiveGridCache) -> Array:
    """dtheta = sum_ij (dX, dY, dZ)^T (x, y, 1), without the hidden points (T4).

    dX = dx / Z, dY = dy / Z, dZ = -(x dx + y dy) / Z (T3).

    dgrid : shape of grid -> dtheta : (B, 3, 3), all nine entries. dtype: result_type of both.
    Raises ValueError if dgrid does not have the shape of grid, TypeError on its dtype.

    >>> grid, cache = projective_grid_forward(np.eye(3)[None], np.array([[[0.5, 1.0]]]))
    >>> projective_grid_backward(np.array([[[[2.0, 1.0]]]]), cache).tolist()
    [[[1.0, 2.0, 2.0], [0.5, 1.0, 1.0], [-1.0, -2.0, -2.0]]]
    """
    basis, grid, inverse_Z = expect_cache(cache, ProjectiveGridCache, "projective_grid_forward")
    dgrid = expect_array("dgrid", dgrid, grid.shape)
    dXY = dgrid * inverse_Z  # T3
    dZ = -(dXY * grid).sum(axis=-1, keepdims=True)  # T3
    basis = basis.reshape(-1, 3)  # (P, 3)
    dXYZ = np.concatenate([dXY, dZ], axis=-1).reshape(len(grid), len(basis), 3)
    return dXYZ.swapaxes(1, 2) @ basis  # T4


def projective_grid_jvp(theta_dot: ArrayLike, cache: ProjectiveGridCache) -> Array:
    """x_dot = (X_dot - x Z_dot) / Z, y_dot = (Y_dot - y Z_dot) / Z, 0 where hidden (T2).

    theta_dot : (B, 3, 3) -> grid_dot : shape of grid, normalised. dtype: result_type of both.
    Raises ValueError if theta_dot does not have the shape of theta, TypeError on its dtype.

    >>> grid, cache = projective_grid_forward(np.eye(3)[None], np.array([[[0.5, 1.0]]]))
    >>> projective_grid_jvp(np.ones((1, 3, 3)), cache).tolist()
    [[[[1.25, 0.0]]]]
    """
    basis, grid, inverse_Z = expect_cache(cache, ProjectiveGridCache, "projective_grid_forward")
    theta_dot = expect_array("theta_dot", theta_dot, (len(grid), 3, 3))
    XYZ_dot = _project(theta_dot, basis)
    return (XYZ_dot[..., :2] - grid * XYZ_dot[..., 2:]) * inverse_Z  # T2


def _project(theta: Array, basis: Array) -> Array:
    """Return (X, Y, Z) (B, H', W', 3)."""
    XYZ = basis.reshape(-1, 3) @ theta.swapaxes(1, 2)  # T1
    return XYZ.reshape(len(theta), *basis.shape)
