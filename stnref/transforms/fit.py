r"""Matrices from pairs of points: an affine map, a homography, exact or by least squares.

Points of the *target* and where in the *source* each of them comes from, normalised; the matrix is
theta, target to source. With as many pairs as it takes the map goes through all; with more it comes
nearest to them, by the least sum of squares:

.. math::  h = \arg\min_h |A h - b|^2 = A^+ b

A and b hold the points, so they have gradients too. Derivation: ``docs/derivations/fit.md``,
equations P1 to P7.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stnref.validation import Array, expect_array, expect_cache, expect_finite

ROOM = 100
"""A matrix whose condition number is not below 1 / (ROOM eps) counts as singular."""


# ---------------------------------------------------------------------------- least squares


class LeastSquaresCache(NamedTuple):
    """The solution, and what its derivative wants."""

    A: Array  # (B, M, N)
    pseudoinverse: Array  # (B, N, M): (A^T A)^-1 A^T
    h: Array  # (B, N, d)
    residual: Array  # (B, M, d): b - A h; zero where all is met


def least_squares_forward(A: ArrayLike, b: ArrayLike) -> tuple[Array, LeastSquaresCache]:
    """h = A^+ b: what minimises |A h - b|^2, with A^+ = (A^T A)^-1 A^T (P1).

    Parameters
    ----------
    A : (B, M, N)
        At least as many rows as columns.
    b : (B, M, d)
        Right-hand sides, each column by itself.

    Returns
    -------
    h : (B, N, d)
    cache : LeastSquaresCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, an entry is not finite, or the columns of A are
        dependent: its condition number is above 1 / (100 eps).

    Examples
    --------
    >>> ones = np.ones((1, 4, 1))
    >>> least_squares_forward(ones, np.array([1.0, 2, 3, 6]).reshape(1, 4, 1))[0].item()  # mean
    3.0
    """
    A = expect_array("A", A, ("B", "M", "N"))
    b = expect_array("b", b, (*A.shape[:2], "d"))
    expect_finite("A", A)
    _expect_condition("A: expected independent columns", A)
    return _least_squares(A, b)


def _least_squares(A: Array, b: Array) -> tuple[Array, LeastSquaresCache]:
    # With A = Q R the system of Q is well-conditioned. R is that of the real part, so that a
    # complex step passes: whatever R is, it cancels.
    _, R = np.linalg.qr(A.real)  # (B, N, N)
    Q_T = np.linalg.solve(R.swapaxes(1, 2), A.swapaxes(1, 2))  # (B, N, M)
    pseudoinverse = np.linalg.solve(R, np.linalg.solve(Q_T @ Q_T.swapaxes(1, 2), Q_T))  # P1
    h = pseudoinverse @ b  # P1
    return h, LeastSquaresCache(A, pseudoinverse, h, b - A @ h)


def least_squares_backward(dh: ArrayLike, cache: LeastSquaresCache) -> tuple[Array, Array]:
    """db = A^+T dh, dA = r (A^+ db)^T - db h^T, r the residual (P3).

    dh : (B, N, d) -> dA : (B, M, N), db : (B, M, d). dtype: result_type of all.
    Raises ValueError if dh does not have the shape of h, TypeError on its dtype.

    >>> A, b = np.ones((1, 2, 1)), np.array([[[1.0], [3.0]]])
    >>> dA, db = least_squares_backward(np.ones((1, 1, 1)), least_squares_forward(A, b)[1])
    >>> dA.ravel().round(12).tolist(), db.ravel().round(12).tolist()  # h = sum A b / sum A^2
    ([-1.5, -0.5], [0.5, 0.5])
    """
    _, pseudoinverse, h, residual = expect_cache(cache, LeastSquaresCache, "least_squares_forward")
    db = pseudoinverse.swapaxes(1, 2) @ expect_array("dh", dh, h.shape)  # P3
    dA = residual @ (pseudoinverse @ db).swapaxes(1, 2) - db @ h.swapaxes(1, 2)  # P3
    return dA, db


def least_squares_jvp(
    A_dot: ArrayLike | None, b_dot: ArrayLike | None, cache: LeastSquaresCache
) -> Array:
    """h_dot = A^+ (b_dot - A_dot h + A^+T A_dot^T r) (P2); a tangent None is zero.

    A_dot : (B, M, N), b_dot : (B, M, d), or None -> h_dot : (B, N, d). dtype: result_type of all.
    Raises ValueError if a tangent does not have the shape of its input, TypeError on its dtype.

    >>> A, b = np.ones((1, 2, 1)), np.array([[[1.0], [3.0]]])
    >>> cache = least_squares_forward(A, b)[1]
    >>> round(least_squares_jvp(np.array([[[1.0], [0.0]]]), None, cache).item(), 12)
    -1.5
    """
    A, pseudoinverse, h, residual = expect_cache(cache, LeastSquaresCache, "least_squares_forward")
    change = np.zeros_like(residual)
    if b_dot is not None:
        change = change + expect_array("b_dot", b_dot, residual.shape)
    if A_dot is not None:
        A_dot = expect_array("A_dot", A_dot, A.shape)
        change = change - A_dot @ h  # P2
        change = change + pseudoinverse.swapaxes(1, 2) @ (A_dot.swapaxes(1, 2) @ residual)  # P2
    return pseudoinverse @ change  # P2


# ----------------------------------------------------------------------------------- affine


def fit_affine_forward(target: ArrayLike, source: ArrayLike) -> tuple[Array, LeastSquaresCache]:
    """Theta with theta (x^t, y^t, 1) = (x^s, y^s) for each pair, or nearest to that (P4).

    Parameters
    ----------
    target : (B, K, 2) or (B, K, 3)
        Points of the target, (x, y) or (x, y, z), normalised. At least three that are not on a
        line; in a volume at least four that are not in a plane.
    source : as `target`
        Where each comes from.

    Returns
    -------
    theta : (B, 2, 3) or (B, 3, 4)
        Target to source. With more points than it takes, the one with the least sum of squared
        distances in the source, in normalised units.
    cache : LeastSquaresCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, a coordinate is not finite, or the points of the target
        determine no map; the message has the condition number.

    Examples
    --------
    >>> target = np.array([[[0.0, 0], [1, 0], [0, 1]]])
    >>> source = np.array([[[0.5, 0], [1.5, 0], [0.5, 2]]])
    >>> fit_affine_forward(target, source)[0].round(12).tolist()
    [[[1.0, 0.0, 0.5], [0.0, 2.0, 0.0]]]
    """
    target, source = _expect_points(target, source, 2, 3)
    d = target.shape[-1]
    A = np.concatenate([target, np.ones_like(target[..., :1])], axis=-1)  # (B, K, d + 1), P4
    _expect_condition(f"target: expected {d + 1} points or more that span the space", A)
    h, cache = _least_squares(A, source)
    return h.swapaxes(1, 2), cache  # P4


def fit_affine_backward(dtheta: ArrayLike, cache: LeastSquaresCache) -> tuple[Array, Array]:
    """dsource = db, dtarget = dA without the column of ones, of the least squares (P3, P4).

    dtheta : shape of theta -> dtarget, dsource : (B, K, d). dtype: result_type of all.
    Raises ValueError if dtheta does not have the shape of theta, TypeError on its dtype.

    >>> points = np.array([[[0.0, 0], [1, 0], [0, 1]]])
    >>> dtheta = np.array([[[0.0, 0, 1], [0, 0, 0]]])  # tx
    >>> _, dsource = fit_affine_backward(dtheta, fit_affine_forward(points, points)[1])
    >>> dsource.round(12).tolist()
    [[[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]]
    """
    cache = expect_cache(cache, LeastSquaresCache, "fit_affine_forward")
    batch, n, d = cache.h.shape
    dtheta = expect_array("dtheta", dtheta, (batch, d, n))
    dA, dsource = least_squares_backward(dtheta.swapaxes(1, 2), cache)
    return dA[..., :-1], dsource  # P4


def fit_affine_jvp(
    target_dot: ArrayLike | None, source_dot: ArrayLike | None, cache: LeastSquaresCache
) -> Array:
    """theta_dot = h_dot^T, with the tangent (x_dot, y_dot, 0) of each row of A (P2, P4).

    target_dot, source_dot : (B, K, d), or None for zero -> theta_dot : shape of theta. dtype:
    result_type of all.
    Raises ValueError if a tangent does not have the shape of the points, TypeError on its dtype.

    >>> points = np.array([[[0.0, 0], [1, 0], [0, 1]]])
    >>> _, cache = fit_affine_forward(points, points)
    >>> fit_affine_jvp(None, np.ones((1, 3, 2)), cache).round(12).tolist()
    [[[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]]
    """
    cache = expect_cache(cache, LeastSquaresCache, "fit_affine_forward")
    target_dot, source_dot = _expect_tangents(target_dot, source_dot, cache.residual)
    A_dot = np.concatenate([target_dot, np.zeros_like(target_dot[..., :1])], axis=-1)  # P4
    return least_squares_jvp(A_dot, source_dot, cache).swapaxes(1, 2)


# ------------------------------------------------------------------------------- homography


class FitHomographyCache(NamedTuple):
    """The points, references to the inputs, and the least squares."""

    target: Array  # (B, K, 2)
    source: Array  # (B, K, 2)
    solved: LeastSquaresCache


def fit_homography_forward(
    target: ArrayLike, source: ArrayLike
) -> tuple[Array, FitHomographyCache]:
    """Theta with theta (x^t, y^t, 1) along (x^s, y^s, 1) for each pair, or nearest (P5).

    Parameters
    ----------
    target : (B, K, 2)
        Points of the target, (x, y), normalised: four or more, no three of four on a line.
    source : (B, K, 2)
        Where each comes from.

    Returns
    -------
    theta : (B, 3, 3)
        Target to source, the last entry 1: as `get_transform("projective")` has it. With more than
        four points, the one with the least sum of squares of Z x^s - X and Z y^s - Y.
    cache : FitHomographyCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, a coordinate is not finite, or the points determine no
        homography, or one that is singular; the message has the condition number.

    Notes
    -----
    The last entry is 1 because the centre of the target, (0, 0), is to be in front of the viewer;
    one that puts it on the horizon is refused. A point in the wrong order may end up behind the
    viewer, Z < 0: theta meets it, but `projective_grid_forward` hides it. Normalised coordinates
    are of size one, so that the system is well-conditioned as it is; take points in pixels through
    `normalize`, and theta back through `to_pixel_matrix`.

    Examples
    --------
    >>> target = np.array([[[-1.0, -1], [1, -1], [-1, 1], [1, 1]]])
    >>> source = np.array([[[-2.0, -2], [2, -2], [-1, 1], [1, 1]]])  # the upper edge is wide
    >>> (fit_homography_forward(target, source)[0].round(4) + 0).tolist()
    [[[1.3333, 0.0, 0.0], [0.0, 1.3333, 0.0], [0.0, 0.3333, 1.0]]]
    """
    target, source = _expect_points(target, source, 2)
    A = _rows(np.insert(target, 2, 1, axis=-1), _products(target, source))  # (B, 2K, 8), P5
    _expect_condition(
        "target, source: expected four pairs or more, no three of four on a line, and the "
        "target's centre not on the horizon",
        A,
    )
    h, solved = _least_squares(A, source.reshape(*A.shape[:2], 1))  # P5
    theta = np.insert(h[..., 0], 8, 1, axis=1).reshape(-1, 3, 3)
    _expect_condition(
        "target, source: expected an invertible map, no three of four points on a line", theta
    )
    return theta, FitHomographyCache(target, source, solved)


def fit_homography_backward(dtheta: ArrayLike, cache: FitHomographyCache) -> tuple[Array, Array]:
    """Dtarget and dsource from the dA and db of the least squares (P3, P7).

    dtheta : (B, 3, 3) -> dtarget, dsource : (B, K, 2); the last entry of dtheta meets a constant.
    dtype: result_type of all. With dP = -dA to the products x^s x^t, …: dsource = db + dP target.
    Raises ValueError if dtheta does not have the shape of theta, TypeError on its dtype.

    >>> corners = np.array([[[-1.0, -1], [1, -1], [-1, 1], [1, 1]]])
    >>> dtheta = np.zeros((1, 3, 3))
    >>> dtheta[0, 0, 2] = 1  # tx: a quarter of each corner's x
    >>> _, dsource = fit_homography_backward(dtheta, fit_homography_forward(corners, corners)[1])
    >>> dsource[0, :, 0].round(12).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    target, source, solved = expect_cache(cache, FitHomographyCache, "fit_homography_forward")
    batch, K, _ = target.shape
    dtheta = expect_array("dtheta", dtheta, (batch, 3, 3))
    dA, db = least_squares_backward(dtheta.reshape(batch, 9, 1)[:, :8], solved)
    dA = dA.reshape(batch, K, 2, 8)
    dP = -dA[..., 6:]  # (B, K, 2, 2): of x^s or y^s, times x^t or y^t
    dtarget = dA[:, :, 0, 0:2] + dA[:, :, 1, 3:5] + (dP * source[..., :, None]).sum(axis=-2)  # P7
    dsource = db.reshape(batch, K, 2) + (dP * target[..., None, :]).sum(axis=-1)  # P7
    return dtarget, dsource


def fit_homography_jvp(
    target_dot: ArrayLike | None, source_dot: ArrayLike | None, cache: FitHomographyCache
) -> Array:
    """theta_dot = (h_dot, 0), with the tangents of A and b by the product rule (P2, P6).

    target_dot, source_dot : (B, K, 2), or None for zero -> theta_dot : (B, 3, 3). dtype:
    result_type of all.
    Raises ValueError if a tangent does not have the shape of the points, TypeError on its dtype.

    >>> corners = np.array([[[-1.0, -1], [1, -1], [-1, 1], [1, 1]]])
    >>> _, cache = fit_homography_forward(corners, corners)
    >>> fit_homography_jvp(None, np.ones((1, 4, 2)), cache).round(12)[0, :, 2].tolist()
    [1.0, 1.0, 0.0]
    """
    target, source, solved = expect_cache(cache, FitHomographyCache, "fit_homography_forward")
    target_dot, source_dot = _expect_tangents(target_dot, source_dot, source)
    products_dot = _products(target_dot, source) + _products(target, source_dot)  # P6
    A_dot = _rows(np.insert(target_dot, 2, 0, axis=-1), products_dot)  # P6
    h_dot = least_squares_jvp(A_dot, source_dot.reshape(*A_dot.shape[:2], 1), solved)
    return np.insert(h_dot[..., 0], 8, 0, axis=1).reshape(-1, 3, 3)


def _products(target: Array, source: Array) -> Array:
    """Return x^s x^t, x^s y^t; y^s x^t, y^s y^t of each pair: (B, K, 2, 2)."""
    return source[..., :, None] * target[..., None, :]


def _rows(beta: Array, products: Array) -> Array:
    """Return the two rows of each pair, (beta, 0, -x^s x^t, -x^s y^t) and so for y: (B, 2K, 8)."""
    batch, K, _ = beta.shape
    A = np.zeros((batch, K, 2, 8), np.result_type(beta, products))
    A[:, :, 0, 0:3] = A[:, :, 1, 3:6] = beta  # P5
    A[..., 6:] = -products  # P5
    return A.reshape(batch, 2 * K, 8)


# ------------------------------------------------------------------------------------ checks


def _expect_points(target: ArrayLike, source: ArrayLike, *axes: int) -> tuple[Array, Array]:
    target = expect_array("target", target, *(("B", "K", d) for d in axes))
    source = expect_array("source", source, target.shape)
    expect_finite("target", target)
    expect_finite("source", source)
    return target, source


def _expect_tangents(
    target_dot: ArrayLike | None, source_dot: ArrayLike | None, points: Array
) -> tuple[Array, Array]:
    zero = np.zeros_like(points)
    return (
        zero if target_dot is None else expect_array("target_dot", target_dot, points.shape),
        zero if source_dot is None else expect_array("source_dot", source_dot, points.shape),
    )


def _expect_condition(expected: str, A: Array) -> None:
    """Raise ValueError unless the real part of each matrix has full rank by its columns."""
    rows, columns = A.shape[1:]
    condition = np.linalg.cond(A.real) if rows >= columns else np.full(len(A), np.inf)
    bad = ~(condition < 1 / (ROOM * np.finfo(A.dtype).eps))
    if bad.any():
        b = int(np.argmax(bad))
        raise ValueError(f"{expected}, got the condition number {condition[b]:.1e} in sample {b}")
