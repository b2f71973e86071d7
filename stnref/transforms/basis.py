r"""Transforms that are linear in theta: a fixed basis, one row for each target pixel.

The structured form of the paper, section 3.2, T_theta = M_theta B. Each target pixel i has
K basis values B_i, and each of them one control vector in theta:

.. math::  grid_i = \sum_k B_{ik} \, \theta_k

With the basis (x, y, 1) it is the affine transform. With the thin-plate spline, or with
cubic B-splines on a lattice, theta holds the positions of the control points in the source.
Everything is in normalised coordinates. Derivation: ``docs/derivations/grid_generator.md``,
equation G7, and ``docs/derivations/transforms.md``, equations T7 to T17.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnref.coordinates import target_grid
from stnref.kernels import bspline3
from stnref.validation import (
    TARGET_AXES,
    Array,
    expect_array,
    expect_cache,
    expect_finite,
    expect_number,
    expect_sizes,
)


class BasisGridCache(NamedTuple):
    """The basis B, and the shape of theta."""

    B: Array  # (H', W', K) or (D', H', W', K)
    theta_shape: tuple[int, ...]


def basis_grid_forward(theta: ArrayLike, B: ArrayLike) -> tuple[Array, BasisGridCache]:
    """grid = B theta (G7).

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
        A dtype or a shape does not fit.

    Examples
    --------
    >>> grid, _ = basis_grid_forward(np.ones((1, 3, 2)), np.full((4, 5, 3), 0.5))
    >>> grid.shape, grid[0, 0, 0].tolist()
    ((1, 4, 5, 2), [1.5, 1.5])
    """
    theta = expect_array("theta", theta, ("B", "K", 2), ("B", "K", 3))
    _, K, d = theta.shape
    B = expect_array("B", B, (*TARGET_AXES[d], K), real=True)
    B = B.astype(theta.real.dtype)
    grid = B.reshape(-1, K) @ theta  # (B, P, d), G7
    return grid.reshape(len(theta), *B.shape[:-1], d), BasisGridCache(B, theta.shape)


def basis_grid_backward(dgrid: ArrayLike, cache: BasisGridCache) -> Array:
    """dtheta = B^T dgrid, the sum over all target pixels (G7).

    dgrid : shape of grid -> dtheta : (B, K, d). dtype: result_type of dgrid and B.
    Raises ValueError if dgrid does not have the shape of grid, TypeError on its dtype.

    >>> grid, cache = basis_grid_forward(np.ones((1, 3, 2)), np.full((4, 5, 3), 0.5))
    >>> basis_grid_backward(np.ones((1, 4, 5, 2)), cache).tolist()
    [[[10.0, 10.0], [10.0, 10.0], [10.0, 10.0]]]
    """
    B, (batch, K, d) = expect_cache(cache, BasisGridCache, "basis_grid_forward")
    dgrid = expect_array("dgrid", dgrid, (batch, *B.shape[:-1], d))
    B = B.reshape(-1, K)  # (P, K)
    return B.T @ dgrid.reshape(batch, len(B), d)  # (B, K, d), G7


def basis_grid_jvp(theta_dot: ArrayLike, cache: BasisGridCache) -> Array:
    """grid_dot = B theta_dot (G7).

    theta_dot : (B, K, d) -> grid_dot : shape of grid, normalised. dtype: that of theta_dot.
    Raises ValueError if theta_dot does not have the shape of theta, TypeError on its dtype.

    >>> grid, cache = basis_grid_forward(np.ones((1, 3, 2)), np.full((4, 5, 3), 0.5))
    >>> basis_grid_jvp(np.full((1, 3, 2), 2.0), cache)[0, 0, 0].tolist()
    [3.0, 3.0]
    """
    cache = expect_cache(cache, BasisGridCache, "basis_grid_forward")
    theta_dot = expect_array("theta_dot", theta_dot, cache.theta_shape)
    return basis_grid_forward(theta_dot, cache.B)[0]  # G7


# ------------------------------------------------------------------------ thin-plate spline

LARGEST_CONDITION = 1e10
"""A spline whose linear system is worse than this has lost ten of its sixteen digits."""


def regular_points(shape: Sequence[int]) -> Array:
    """Return a regular lattice of points that covers [-1, 1]^2; the paper takes 4 x 4.

    Parameters
    ----------
    shape : (rows, columns)

    Returns
    -------
    control_points : (rows * columns, 2)
        (x, y), row by row; the outer ones lie on -1 and 1.

    Raises
    ------
    ValueError
        `shape` is not two positive integers.

    Examples
    --------
    >>> regular_points((2, 2)).tolist()
    [[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]
    """
    return target_grid(expect_sizes("shape", shape, (2,))).reshape(-1, 2)


def thin_plate_basis(
    control_points: ArrayLike, G: ArrayLike, *, stiffness: float = 0.0
) -> NDArray[np.float64]:
    r"""Return the basis of the thin-plate spline: the smoothest map through K points.

    ``grid = B theta``, where theta (K, 2) says where in the source the control points of
    the target lie. Put it into `basis_grid_forward`.

    Parameters
    ----------
    control_points : (K, 2)
        Control points c_k in the target, (x, y), normalised; see `regular_points`. At least
        three, not all on one line.
    G : (H', W', 2)
        Target grid, normalised; see `target_grid`.
    stiffness : float
        0: the spline goes through the points. The larger it is, the less it bends to reach
        them; at infinity it is the affine map that comes closest to them.

    Returns
    -------
    B : (H', W', K)
        In float64. For every stiffness B sums to 1, and theta = c gives the identity grid.

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, the stiffness is negative, or the control points
        determine no spline: they are fewer than three, on a line, or repeated (a positive
        stiffness makes do with repeated ones).

    Notes
    -----
    With U(r) = r^2 log r^2 (T7), the matrix K_kl = U(|c_k - c_l|) and the rows (1, c_k) of P (T13),

    .. math::
        \begin{pmatrix} \Phi + \lambda I & P \\ P^T & 0 \end{pmatrix}
        \begin{pmatrix} w \\ a \end{pmatrix} = \begin{pmatrix} \theta \\ 0 \end{pmatrix},
        \qquad grid(x, y) = \sum_k w_k U(|(x, y) - c_k|) + a^T (1, x, y)

    Lengths are counted in rms distances of the control points from their centre, so that
    lambda = `stiffness` is a number without a unit.

    Examples
    --------
    >>> G = target_grid((3, 5))
    >>> points = regular_points((4, 4))
    >>> grid, _ = basis_grid_forward(points[None], thin_plate_basis(points, G))
    >>> bool(abs(grid[0] - G).max() < 1e-12)
    True
    """
    c = _expect_real("control_points", control_points, ("K", 2))
    G = _expect_real("G", G, ("H'", "W'", 2))
    stiffness = expect_number("stiffness", stiffness, least=0)
    K = len(c)
    centre = c.mean(axis=0)
    rms = np.sqrt(((c - centre) ** 2).sum(axis=1).mean()) or 1.0
    c, g = (c - centre) / rms, (G.reshape(-1, 2) - centre) / rms
    # P times a factor is the same spline with other units of a; this one suits all stiffnesses.
    P, P_g = (np.insert(p, 0, 1, axis=1) * (1 + stiffness) for p in (c, g))  # (K, 3), (P, 3)
    bending = _thin_plate(c, c) + stiffness * np.eye(K)  # (K, K)
    system = np.block([[bending, P], [P.T, np.zeros((3, 3))]])  # (K + 3, K + 3), T13
    condition = np.linalg.cond(system)
    if not condition < LARGEST_CONDITION:
        raise ValueError(
            "control_points: expected at least three distinct points that are not all on one "
            f"line, got {K} points with condition number {condition:.1e}"
        )
    rows = np.concatenate([_thin_plate(g, c), P_g], axis=1)  # (P, K + 3), T9: what w and a meet
    # The system is symmetric; theta meets the first K columns of its inverse.
    B = np.linalg.solve(system, rows.T)[:K].T  # T14
    return B.reshape(*G.shape[:2], K)


def _thin_plate(p: NDArray[np.float64], c: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return U(|p_i - c_k|) (P, K), with U(r) = r^2 log r^2 and U(0) = 0."""
    r2 = ((p[:, None] - c) ** 2).sum(axis=-1)
    return r2 * np.log(np.where(r2 > 0, r2, 1))  # T7


# --------------------------------------------------------------------------- cubic B-spline


def bspline_points(control_shape: Sequence[int]) -> NDArray[np.float64]:
    """Return the control lattice of the cubic B-spline: the theta of the identity.

    Parameters
    ----------
    control_shape : (rows, columns)
        At least four each.

    Returns
    -------
    control_points : (rows * columns, 2)
        (x, y), row by row. Along an axis of n points their distance is 2 / (n - 3) and the
        first lies at -1 - 2 / (n - 3): one point on each side is outside of [-1, 1].

    Raises
    ------
    ValueError
        `control_shape` is not two integers from 4 on.

    Examples
    --------
    >>> bspline_points((4, 5))[:5].tolist()
    [[-2.0, -3.0], [-1.0, -3.0], [0.0, -3.0], [1.0, -3.0], [2.0, -3.0]]
    """
    rows, columns = _expect_lattice(control_shape)
    y, x = (-1 + (np.arange(n) - 1) * 2 / (n - 3) for n in (rows, columns))  # T17
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def bspline_basis(control_shape: Sequence[int], G: ArrayLike) -> NDArray[np.float64]:
    r"""Return the basis of cubic B-spline free-form deformation (Rueckert et al. 1999).

    ``grid = B theta``, where theta (K, 2) are the positions of the control points of a lattice.
    Unlike the thin-plate spline each has an influence only on its surroundings, two lattice
    spacings to each side, and the grid does not go through the control points.

    Parameters
    ----------
    control_shape : (rows, columns)
        Size of the control lattice, at least four each; K = rows * columns, row by row.
    G : (H', W', 2)
        Target grid, normalised, in [-1, 1]: there the lattice ends.

    Returns
    -------
    B : (H', W', K)
        In float64, never negative. It sums to 1, and theta = `bspline_points` gives the
        identity grid.

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, there are less than four rows or columns, or G
        leaves [-1, 1].

    Notes
    -----
    With the cubic B-spline beta, and s_x and s_y the distances of (x, y) from the control
    point in row r, column c, counted in lattice spacings (T15, T16),

    .. math::  B_{(x, y), rc} = \beta(s_y) \, \beta(s_x)

    Examples
    --------
    >>> G = target_grid((3, 5))
    >>> grid, _ = basis_grid_forward(bspline_points((4, 6))[None], bspline_basis((4, 6), G))
    >>> bool(abs(grid[0] - G).max() < 1e-12)
    True
    """
    rows, columns = _expect_lattice(control_shape)
    G = _expect_real("G", G, ("H'", "W'", 2))
    if (np.abs(G) > 1).any():
        raise ValueError(f"G: expected values from -1 to 1, got {G.min()} to {G.max()}")
    b_x, b_y = _lattice_weights(G[..., 0], columns), _lattice_weights(G[..., 1], rows)
    B = b_y[..., :, None] * b_x[..., None, :]  # (H', W', rows, columns), T16
    return B.reshape(*G.shape[:2], rows * columns)


def _lattice_weights(g: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return what each of n control points of an axis weighs at g: (H', W', n)."""
    position = (g + 1) * (n - 3) / 2 + 1  # in spacings, from the first control point: T17
    s = np.abs(position[..., None] - np.arange(n))  # (H', W', n)
    return np.where(s < 2, bspline3().k(s), 0)  # T15


def _expect_lattice(control_shape: Sequence[int]) -> tuple[int, ...]:
    sizes = expect_sizes("control_shape", control_shape, (2,))
    if min(sizes) < 4:
        raise ValueError(f"control_shape: expected at least 4 rows and columns, got {sizes}")
    return sizes


def _expect_real(name: str, value: ArrayLike, shape: Sequence[int | str]) -> NDArray[np.float64]:
    """Return a constant of a basis in float64: real and finite."""
    array = expect_array(name, value, shape, real=True)
    expect_finite(name, array)
    return array.astype(np.float64)
