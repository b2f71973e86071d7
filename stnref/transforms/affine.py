r"""Affine transforms, and the smaller families that map into them.

Equation 1, in normalised coordinates, maps *target to source*:

.. math::  (x^s, y^s)^T = A_\theta \, (x^t, y^t, 1)^T

so a theta that shrinks coordinates zooms in. It is the basis (x, y, 1) with theta's
columns as coefficients. Translation, attention, rigid and similarity are maps from a few
parameters into the matrices; y points down, so a positive angle turns the grid clockwise on
the screen, and the picture the other way. On a non-square picture the rotation is one of
normalised coordinates, which are scaled differently along x and y: there it shears. Derivation:
``docs/derivations/grid_generator.md``, equations G4 to G12.
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
from stnref.validation import TARGET_AXES, Array, expect_array, expect_cache


def affine_grid_forward(theta: ArrayLike, G: ArrayLike) -> tuple[Array, BasisGridCache]:
    """Transform the target grid G by the matrices theta: equation 1 (G4).

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
        A dtype or a shape does not fit.

    Examples
    --------
    >>> from stnref.coordinates import target_grid
    >>> zoom = np.array([[[0.5, 0, 0], [0, 0.5, 0]]])
    >>> affine_grid_forward(zoom, target_grid((2, 2)))[0][0, 0].tolist()
    [[-0.5, -0.5], [0.5, -0.5]]
    """
    theta = expect_array("theta", theta, ("B", 2, 3), ("B", 3, 4))
    d = theta.shape[1]
    G = expect_array("G", G, (*TARGET_AXES[d], d), real=True)
    one = np.ones_like(G[..., :1])
    basis = np.concatenate([G, one], axis=-1)  # (H', W', d + 1): (x, y, 1)
    return basis_grid_forward(theta.swapaxes(1, 2), basis)  # G4


def affine_grid_backward(dgrid: ArrayLike, cache: BasisGridCache) -> Array:
    """dtheta = sum_ij dgrid_ij (x, y, 1)^T, the transpose of the forward (G6).

    dgrid : shape of grid -> dtheta : (B, 2, 3) or (B, 3, 4). dtype: result_type of both.
    Raises ValueError if dgrid does not have the shape of grid, TypeError on its dtype.

    >>> grid, cache = affine_grid_forward(np.eye(2, 3)[None], np.array([[[0.5, 1.0]]]))
    >>> affine_grid_backward(np.array([[[[2.0, 1.0]]]]), cache).tolist()
    [[[1.0, 2.0, 2.0], [0.5, 1.0, 1.0]]]
    """
    cache = expect_cache(cache, BasisGridCache, "affine_grid_forward")
    return basis_grid_backward(dgrid, cache).swapaxes(1, 2)  # G6


def affine_grid_jvp(theta_dot: ArrayLike, cache: BasisGridCache) -> Array:
    """grid_dot = theta_dot (x, y, 1)^T: the transform is linear in theta (G5).

    theta_dot : shape of theta -> grid_dot : shape of grid, normalised. dtype: that of theta_dot.
    Raises ValueError if theta_dot does not have the shape of theta, TypeError on its dtype.

    >>> grid, cache = affine_grid_forward(np.eye(2, 3)[None], np.array([[[0.5, 1.0]]]))
    >>> affine_grid_jvp(np.array([[[2.0, 0, 1], [0, 0, 1]]]), cache).tolist()
    [[[[2.0, 1.0]]]]
    """
    cache = expect_cache(cache, BasisGridCache, "affine_grid_forward")
    batch, K, d = cache.theta_shape
    theta_dot = expect_array("theta_dot", theta_dot, (batch, d, K))
    return basis_grid_jvp(theta_dot.swapaxes(1, 2), cache)  # G5


def affine_grid(theta: ArrayLike, G: ArrayLike) -> Array:
    """Transform the target grid; G's corner rule is align_corners=True unless chosen otherwise.

    Unlike PyTorch's function of this name it takes the target grid, not a size.

    Parameters
    ----------
    theta, G
        See `affine_grid_forward`.

    Returns
    -------
    grid : (B, H', W', 2) or (B, D', H', W', 3)
        Sampling grid, normalised, in theta's dtype.

    Raises
    ------
    TypeError, ValueError
        See `affine_grid_forward`.

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
    """theta = [[1, 0, tx], [0, 1, ty]] (G8).

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
    return _matrix([[1, 0, tx], [0, 1, ty]]), MatrixCache(params)  # G8


def translation_matrix_backward(dtheta: ArrayLike, cache: MatrixCache) -> Array:
    """dtx = dtheta_13, dty = dtheta_23 (G8).

    dtheta : (B, 2, 3) -> dparams : (B, 2), to tx, ty. dtype: that of dtheta.
    Raises ValueError if dtheta does not have the shape of theta, TypeError on its dtype.

    >>> theta, cache = translation_matrix_forward(np.array([[0.5, -1.0]]))
    >>> translation_matrix_backward(np.arange(6.0).reshape(1, 2, 3), cache).tolist()
    [[2.0, 5.0]]
    """
    cache = expect_cache(cache, MatrixCache, "translation_matrix_forward")
    return _expect_dtheta(dtheta, cache)[:, :, 2].copy()  # G8


def translation_matrix_jvp(params_dot: ArrayLike, cache: MatrixCache) -> Array:
    """theta_dot = [[0, 0, tx_dot], [0, 0, ty_dot]] (G8).

    params_dot : (B, 2) -> theta_dot : (B, 2, 3). dtype: that of params_dot.
    Raises ValueError if params_dot does not have the shape of params, TypeError on its dtype.

    >>> theta, cache = translation_matrix_forward(np.array([[0.5, -1.0]]))
    >>> translation_matrix_jvp(np.array([[1.0, 2.0]]), cache).tolist()
    [[[0.0, 0.0, 1.0], [0.0, 0.0, 2.0]]]
    """
    cache = expect_cache(cache, MatrixCache, "translation_matrix_forward")
    tx, ty = _expect_params_dot(params_dot, cache).T
    return _matrix([[0, 0, tx], [0, 0, ty]])  # G8


# -------------------------------------------------------------------------------- attention


def attention_matrix_forward(params: ArrayLike) -> tuple[Array, MatrixCache]:
    """theta = [[s, 0, tx], [0, s, ty]]: equation 2 (G9).

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
    return _matrix([[s, 0, tx], [0, s, ty]]), MatrixCache(params)  # G9


def attention_matrix_backward(dtheta: ArrayLike, cache: MatrixCache) -> Array:
    """ds = dtheta_11 + dtheta_22, for s stands twice; dtx = dtheta_13, dty = dtheta_23 (G9).

    dtheta : (B, 2, 3) -> dparams : (B, 3), to s, tx, ty. dtype: that of dtheta.
    Raises ValueError if dtheta does not have the shape of theta, TypeError on its dtype.

    >>> theta, cache = attention_matrix_forward(np.array([[0.5, 0.25, -1.0]]))
    >>> attention_matrix_backward(np.arange(6.0).reshape(1, 2, 3), cache).tolist()
    [[4.0, 2.0, 5.0]]
    """
    cache = expect_cache(cache, MatrixCache, "attention_matrix_forward")
    dtheta = _expect_dtheta(dtheta, cache)
    ds = dtheta[:, 0, 0] + dtheta[:, 1, 1]  # G9
    return np.stack([ds, dtheta[:, 0, 2], dtheta[:, 1, 2]], axis=-1)


def attention_matrix_jvp(params_dot: ArrayLike, cache: MatrixCache) -> Array:
    """theta_dot = [[s_dot, 0, tx_dot], [0, s_dot, ty_dot]] (G9).

    params_dot : (B, 3) -> theta_dot : (B, 2, 3). dtype: that of params_dot.
    Raises ValueError if params_dot does not have the shape of params, TypeError on its dtype.

    >>> theta, cache = attention_matrix_forward(np.array([[0.5, 0.25, -1.0]]))
    >>> attention_matrix_jvp(np.array([[3.0, 1.0, 2.0]]), cache).tolist()
    [[[3.0, 0.0, 1.0], [0.0, 3.0, 2.0]]]
    """
    cache = expect_cache(cache, MatrixCache, "attention_matrix_forward")
    s, tx, ty = _expect_params_dot(params_dot, cache).T
    return _matrix([[s, 0, tx], [0, s, ty]])  # G9


# ------------------------------------------------------------------------------------ rigid


def rigid_matrix_forward(params: ArrayLike) -> tuple[Array, MatrixCache]:
    """theta = [[cos a, -sin a, tx], [sin a, cos a, ty]] (G10).

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
    return _matrix([[cos, -sin, tx], [sin, cos, ty]]), MatrixCache(params)  # G10


def rigid_matrix_backward(dtheta: ArrayLike, cache: MatrixCache) -> Array:
    """da = -sin a dcos + cos a dsin, dcos and dsin the gradients to cos a and sin a (G11).

    dtheta : (B, 2, 3) -> dparams : (B, 3), to a, tx, ty. dtype: result_type of dtheta and params.
    Raises ValueError if dtheta does not have the shape of theta, TypeError on its dtype.

    >>> theta, cache = rigid_matrix_forward(np.zeros((1, 3)))
    >>> rigid_matrix_backward(np.arange(6.0).reshape(1, 2, 3), cache).tolist()
    [[2.0, 2.0, 5.0]]
    """
    cache = expect_cache(cache, MatrixCache, "rigid_matrix_forward")
    dtheta = _expect_dtheta(dtheta, cache)
    a = cache.params[:, 0]
    dcos, dsin = dtheta[:, 0, 0] + dtheta[:, 1, 1], dtheta[:, 1, 0] - dtheta[:, 0, 1]
    da = -np.sin(a) * dcos + np.cos(a) * dsin  # G11
    return np.stack([da, dtheta[:, 0, 2], dtheta[:, 1, 2]], axis=-1)


def rigid_matrix_jvp(params_dot: ArrayLike, cache: MatrixCache) -> Array:
    """theta_dot = [[cos_dot, -sin_dot, tx_dot], [sin_dot, cos_dot, ty_dot]] (G10).

    params_dot : (B, 3) -> theta_dot : (B, 2, 3). dtype: result_type of params_dot and params.
    Raises ValueError if params_dot does not have the shape of params, TypeError on its dtype.

    >>> theta, cache = rigid_matrix_forward(np.zeros((1, 3)))
    >>> rigid_matrix_jvp(np.array([[3.0, 1.0, 2.0]]), cache).tolist()
    [[[-0.0, -3.0, 1.0], [3.0, -0.0, 2.0]]]
    """
    cache = expect_cache(cache, MatrixCache, "rigid_matrix_forward")
    a = cache.params[:, 0]
    a_dot, tx, ty = _expect_params_dot(params_dot, cache).T
    cos_dot, sin_dot = -np.sin(a) * a_dot, np.cos(a) * a_dot  # G10
    return _matrix([[cos_dot, -sin_dot, tx], [sin_dot, cos_dot, ty]])


# ------------------------------------------------------------------------------- similarity


def similarity_matrix_forward(params: ArrayLike) -> tuple[Array, MatrixCache]:
    """theta = [[s cos a, -s sin a, tx], [s sin a, s cos a, ty]]: as G10, with a scale.

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
    """ds = cos a dcos + sin a dsin, da = s (-sin a dcos + cos a dsin) (G12).

    Here dcos and dsin are the gradients to s cos a and s sin a.

    dtheta : (B, 2, 3) -> dparams : (B, 4), to s, a, tx, ty. dtype: result_type of dtheta, params.
    Raises ValueError if dtheta does not have the shape of theta, TypeError on its dtype.

    >>> theta, cache = similarity_matrix_forward(np.array([[2.0, 0, 0, 0]]))
    >>> similarity_matrix_backward(np.arange(6.0).reshape(1, 2, 3), cache).tolist()
    [[4.0, 4.0, 2.0, 5.0]]
    """
    cache = expect_cache(cache, MatrixCache, "similarity_matrix_forward")
    dtheta = _expect_dtheta(dtheta, cache)
    s, a = cache.params[:, 0], cache.params[:, 1]
    dcos, dsin = dtheta[:, 0, 0] + dtheta[:, 1, 1], dtheta[:, 1, 0] - dtheta[:, 0, 1]
    ds = np.cos(a) * dcos + np.sin(a) * dsin  # G12
    da = s * (-np.sin(a) * dcos + np.cos(a) * dsin)  # G12
    return np.stack([ds, da, dtheta[:, 0, 2], dtheta[:, 1, 2]], axis=-1)


def similarity_matrix_jvp(params_dot: ArrayLike, cache: MatrixCache) -> Array:
    """theta_dot as in `rigid_matrix_jvp` (G10), with cos_dot = s_dot cos a - s sin a a_dot.

    And sin_dot = s_dot sin a + s cos a a_dot: the tangents of s cos a and s sin a.

    params_dot : (B, 4) -> theta_dot : (B, 2, 3). dtype: result_type of params_dot and params.
    Raises ValueError if params_dot does not have the shape of params, TypeError on its dtype.

    >>> theta, cache = similarity_matrix_forward(np.array([[2.0, 0, 0, 0]]))
    >>> similarity_matrix_jvp(np.array([[3.0, 0.5, 1.0, 2.0]]), cache).tolist()
    [[[3.0, -1.0, 1.0], [1.0, 3.0, 2.0]]]
    """
    cache = expect_cache(cache, MatrixCache, "similarity_matrix_forward")
    s, a = cache.params[:, 0], cache.params[:, 1]
    s_dot, a_dot, tx, ty = _expect_params_dot(params_dot, cache).T
    cos_dot = s_dot * np.cos(a) - s * np.sin(a) * a_dot
    sin_dot = s_dot * np.sin(a) + s * np.cos(a) * a_dot
    return _matrix([[cos_dot, -sin_dot, tx], [sin_dot, cos_dot, ty]])
