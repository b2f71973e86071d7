r"""Affine transforms, and the smaller families that map into them.

Equation 1, in normalised coordinates, maps *target to source*:

.. math::  (x^s, y^s)^T = A_\theta \, (x^t, y^t, 1)^T

so a theta that shrinks coordinates zooms in. It is the basis (x, y, 1) with theta's
columns as coefficients. Translation, attention, rigid and similarity are maps from a few
parameters into the matrices; y points down, so a positive angle turns the grid clockwise on
the screen, and the picture the other way. On a non-square picture the rotation is one of
normalised coordinates, which are scaled differently along x and y: there it shears.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stnref.transforms.basis import (
    BasisGridCache,
    basis_grid_backward,
    basis_grid_forward,
    basis_grid_jvp,
)
from stnref.validation import Array, expect_array


def affine_grid_forward(theta: ArrayLike, G: ArrayLike) -> tuple[Array, BasisGridCache]:
    """Transform the target grid G by the matrices theta (equation 1).

    Parameters
    ----------
    theta : (B, 2, 3) or (B, 3, 4)
        Matrices A_theta, target to source.
    G : (H', W', 2) or (D', H', W', 3)
        Target grid, normalised; see `target_grid`. It is cast to theta's precision.

    Returns
    -------
    grid : (B, H', W', 2) or (B, D', H', W', 3)
        Sampling grid, normalised, in theta's dtype.
    cache : BasisGridCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, or an axis is empty.

    Examples
    --------
    >>> from stnref.coordinates import target_grid
    >>> zoom = np.array([[[0.5, 0, 0], [0, 0.5, 0]]])
    >>> affine_grid_forward(zoom, target_grid((2, 2)))[0][0, 0].tolist()
    [[-0.5, -0.5], [0.5, -0.5]]
    """
    theta = expect_array("theta", theta, ("B", 2, 3), ("B", 3, 4))
    d = theta.shape[1]
    G = expect_array("G", G, (*"DHW"[3 - d :], d))
    one = np.ones_like(G[..., :1])
    basis = np.concatenate([G, one], axis=-1)  # (H', W', d + 1): (x, y, 1)
    return basis_grid_forward(theta.swapaxes(1, 2), basis)


def affine_grid_backward(dgrid: ArrayLike, cache: BasisGridCache) -> Array:
    """Return dtheta (B, 2, 3): the sum over target pixels of dgrid (x, y, 1)^T."""
    return basis_grid_backward(dgrid, cache).swapaxes(1, 2)


def affine_grid_jvp(theta_dot: ArrayLike, cache: BasisGridCache) -> Array:
    """Return grid_dot: the transform is linear in theta."""
    batch, K, d = cache.theta_shape
    theta_dot = expect_array("theta_dot", theta_dot, (batch, d, K))
    return basis_grid_jvp(theta_dot.swapaxes(1, 2), cache)


def affine_grid(theta: ArrayLike, G: ArrayLike) -> Array:
    """Transform the target grid; G's corner rule is align_corners=True unless chosen otherwise.

    `affine_grid_forward` without its cache; see there. Unlike PyTorch's function of this
    name it takes the target grid, not a size.

    Examples
    --------
    >>> from stnref.coordinates import target_grid
    >>> affine_grid(np.eye(2, 3)[None], target_grid((4, 5))).shape
    (1, 4, 5, 2)
    """
    return affine_grid_forward(theta, G)[0]


class MatrixCache(NamedTuple):
    """The parameters of the matrices, a reference."""

    params: Array  # (B, number of parameters)


def _matrix(rows: Sequence[Sequence[Array | int]]) -> Array:
    """Stack the entries, (B,) arrays or whole numbers, into matrices (B, 2, 3)."""
    arrays = [entry for row in rows for entry in row if not isinstance(entry, int)]
    dtype = np.result_type(*arrays)
    entries = [np.broadcast_to(e, arrays[0].shape).astype(dtype) for row in rows for e in row]
    return np.stack(entries, axis=-1).reshape(-1, 2, 3)


def _expect_dtheta(dtheta: ArrayLike, cache: MatrixCache) -> Array:
    return expect_array("dtheta", dtheta, (len(cache.params), 2, 3))


def _expect_params_dot(params_dot: ArrayLike, cache: MatrixCache) -> Array:
    return expect_array("params_dot", params_dot, cache.params.shape)


# ------------------------------------------------------------------------------ translation


def translation_matrix_forward(params: ArrayLike) -> tuple[Array, MatrixCache]:
    """theta = [[1, 0, tx], [0, 1, ty]].

    Parameters
    ----------
    params : (B, 2)
        tx, ty, in normalised units.

    Returns
    -------
    theta : (B, 2, 3)
    cache : MatrixCache

    Raises
    ------
    TypeError, ValueError
        The dtype or the shape of `params` does not fit.

    Examples
    --------
    >>> translation_matrix_forward(np.array([[0.5, -1.0]]))[0].tolist()
    [[[1.0, 0.0, 0.5], [0.0, 1.0, -1.0]]]
    """
    params = expect_array("params", params, ("B", 2))
    tx, ty = params.T
    return _matrix([[1, 0, tx], [0, 1, ty]]), MatrixCache(params)


def translation_matrix_backward(dtheta: ArrayLike, cache: MatrixCache) -> Array:
    """Return dparams (B, 2)."""
    return _expect_dtheta(dtheta, cache)[:, :, 2]


def translation_matrix_jvp(params_dot: ArrayLike, cache: MatrixCache) -> Array:
    """Return theta_dot (B, 2, 3)."""
    params_dot = _expect_params_dot(params_dot, cache)
    tx, ty = params_dot.T
    return _matrix([[0, 0, tx], [0, 0, ty]])


# -------------------------------------------------------------------------------- attention


def attention_matrix_forward(params: ArrayLike) -> tuple[Array, MatrixCache]:
    """theta = [[s, 0, tx], [0, s, ty]] (equation 2).

    Parameters
    ----------
    params : (B, 3)
        Scale s, and tx, ty in normalised units.

    Returns
    -------
    theta : (B, 2, 3)
    cache : MatrixCache

    Raises
    ------
    TypeError, ValueError
        The dtype or the shape of `params` does not fit.

    Examples
    --------
    >>> attention_matrix_forward(np.array([[0.5, 0.25, -1.0]]))[0].tolist()
    [[[0.5, 0.0, 0.25], [0.0, 0.5, -1.0]]]
    """
    params = expect_array("params", params, ("B", 3))
    s, tx, ty = params.T
    return _matrix([[s, 0, tx], [0, s, ty]]), MatrixCache(params)


def attention_matrix_backward(dtheta: ArrayLike, cache: MatrixCache) -> Array:
    """Return dparams (B, 3); s stands twice in theta, so ds is a sum."""
    dtheta = _expect_dtheta(dtheta, cache)
    ds = dtheta[:, 0, 0] + dtheta[:, 1, 1]
    return np.stack([ds, dtheta[:, 0, 2], dtheta[:, 1, 2]], axis=-1)


def attention_matrix_jvp(params_dot: ArrayLike, cache: MatrixCache) -> Array:
    """Return theta_dot (B, 2, 3)."""
    params_dot = _expect_params_dot(params_dot, cache)
    s, tx, ty = params_dot.T
    return _matrix([[s, 0, tx], [0, s, ty]])


# ------------------------------------------------------------------------------------ rigid


def rigid_matrix_forward(params: ArrayLike) -> tuple[Array, MatrixCache]:
    """theta = [[cos a, -sin a, tx], [sin a, cos a, ty]].

    Parameters
    ----------
    params : (B, 3)
        Angle a in radians, and tx, ty in normalised units.

    Returns
    -------
    theta : (B, 2, 3)
        On the screen, y down, a positive angle turns the grid clockwise and thereby the
        picture counter-clockwise.
    cache : MatrixCache

    Raises
    ------
    TypeError, ValueError
        The dtype or the shape of `params` does not fit.

    Examples
    --------
    >>> theta, _ = rigid_matrix_forward(np.array([[np.pi / 2, 0.0, 0.0]]))
    >>> theta.round(3).tolist()
    [[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]]
    """
    params = expect_array("params", params, ("B", 3))
    a, tx, ty = params.T
    cos, sin = np.cos(a), np.sin(a)
    return _matrix([[cos, -sin, tx], [sin, cos, ty]]), MatrixCache(params)


def rigid_matrix_backward(dtheta: ArrayLike, cache: MatrixCache) -> Array:
    """Return dparams (B, 3)."""
    dtheta = _expect_dtheta(dtheta, cache)
    a = cache.params[:, 0]
    dcos, dsin = dtheta[:, 0, 0] + dtheta[:, 1, 1], dtheta[:, 1, 0] - dtheta[:, 0, 1]
    da = -np.sin(a) * dcos + np.cos(a) * dsin
    return np.stack([da, dtheta[:, 0, 2], dtheta[:, 1, 2]], axis=-1)


def rigid_matrix_jvp(params_dot: ArrayLike, cache: MatrixCache) -> Array:
    """Return theta_dot (B, 2, 3)."""
    params_dot = _expect_params_dot(params_dot, cache)
    a = cache.params[:, 0]
    a_dot, tx, ty = params_dot.T
    cos_dot, sin_dot = -np.sin(a) * a_dot, np.cos(a) * a_dot
    return _matrix([[cos_dot, -sin_dot, tx], [sin_dot, cos_dot, ty]])


# ------------------------------------------------------------------------------- similarity


def similarity_matrix_forward(params: ArrayLike) -> tuple[Array, MatrixCache]:
    """theta = [[s cos a, -s sin a, tx], [s sin a, s cos a, ty]].

    Parameters
    ----------
    params : (B, 4)
        Scale s, angle a in radians (its sense as in `rigid_matrix_forward`), and tx, ty in
        normalised units.

    Returns
    -------
    theta : (B, 2, 3)
    cache : MatrixCache

    Raises
    ------
    TypeError, ValueError
        The dtype or the shape of `params` does not fit.

    Examples
    --------
    >>> theta, _ = similarity_matrix_forward(np.array([[2.0, np.pi / 2, 0.0, 1.0]]))
    >>> theta.round(3).tolist()
    [[[0.0, -2.0, 0.0], [2.0, 0.0, 1.0]]]
    """
    params = expect_array("params", params, ("B", 4))
    s, a, tx, ty = params.T
    s_cos, s_sin = s * np.cos(a), s * np.sin(a)
    return _matrix([[s_cos, -s_sin, tx], [s_sin, s_cos, ty]]), MatrixCache(params)


def similarity_matrix_backward(dtheta: ArrayLike, cache: MatrixCache) -> Array:
    """Return dparams (B, 4)."""
    dtheta = _expect_dtheta(dtheta, cache)
    s, a = cache.params[:, 0], cache.params[:, 1]
    dcos, dsin = dtheta[:, 0, 0] + dtheta[:, 1, 1], dtheta[:, 1, 0] - dtheta[:, 0, 1]
    ds = np.cos(a) * dcos + np.sin(a) * dsin
    da = s * (-np.sin(a) * dcos + np.cos(a) * dsin)
    return np.stack([ds, da, dtheta[:, 0, 2], dtheta[:, 1, 2]], axis=-1)


def similarity_matrix_jvp(params_dot: ArrayLike, cache: MatrixCache) -> Array:
    """Return theta_dot (B, 2, 3)."""
    params_dot = _expect_params_dot(params_dot, cache)
    s, a = cache.params[:, 0], cache.params[:, 1]
    s_dot, a_dot, tx, ty = params_dot.T
    cos_dot = s_dot * np.cos(a) - s * np.sin(a) * a_dot
    sin_dot = s_dot * np.sin(a) + s * np.cos(a) * a_dot
    return _matrix([[cos_dot, -sin_dot, tx], [sin_dot, cos_dot, ty]])
