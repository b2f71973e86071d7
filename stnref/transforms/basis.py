r"""Transforms that are linear in theta: a fixed basis, one row for each target pixel.

The structured form of the paper, section 3.2, T_theta = M_theta B. Each target pixel i has
K basis values B_i, and each of them one control vector in theta:

.. math::  grid_i = \sum_k B_{ik} \, \theta_k

With the basis (x, y, 1) it is the affine transform. Everything is in normalised
coordinates.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy.typing import ArrayLike

from stnref.validation import Array, expect_array


class BasisGridCache(NamedTuple):
    """The basis B, and the shape of theta."""

    B: Array  # (H', W', K) or (D', H', W', K)
    theta_shape: tuple[int, ...]


def basis_grid_forward(theta: ArrayLike, B: ArrayLike) -> tuple[Array, BasisGridCache]:
    """Combine the basis: grid = B theta.

    Parameters
    ----------
    theta : (B, K, d)
        Coefficients: for each basis function a vector (x, y) or (x, y, z).
    B : (H', W', K) or (D', H', W', K)
        The basis, real; it is cast to theta's precision.

    Returns
    -------
    grid : (B, H', W', 2) or (B, D', H', W', 3)
        Normalised coordinates, in theta's dtype.
    cache : BasisGridCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, or an axis is empty.

    Examples
    --------
    >>> import numpy as np
    >>> grid, _ = basis_grid_forward(np.ones((1, 3, 2)), np.full((4, 5, 3), 0.5))
    >>> grid.shape, grid[0, 0, 0].tolist()
    ((1, 4, 5, 2), [1.5, 1.5])
    """
    theta = expect_array("theta", theta, ("B", "K", 2), ("B", "K", 3))
    _, K, d = theta.shape
    B = expect_array("B", B, (*"DHW"[3 - d :], K)).astype(theta.real.dtype)
    grid = B.reshape(-1, K) @ theta  # (B, P, d)
    return grid.reshape(len(theta), *B.shape[:-1], d), BasisGridCache(B, theta.shape)


def basis_grid_backward(dgrid: ArrayLike, cache: BasisGridCache) -> Array:
    """Return dtheta = B^T dgrid, the sum over all target pixels; the basis is constant."""
    B, (batch, K, d) = cache
    dgrid = expect_array("dgrid", dgrid, (batch, *B.shape[:-1], d))
    return B.reshape(-1, K).T @ dgrid.reshape(batch, -1, d)  # (B, K, d)


def basis_grid_jvp(theta_dot: ArrayLike, cache: BasisGridCache) -> Array:
    """Return grid_dot = B theta_dot."""
    theta_dot = expect_array("theta_dot", theta_dot, cache.theta_shape)
    return basis_grid_forward(theta_dot, cache.B)[0]
