r"""The paper's equations as literal loops: slow, obvious, and the oracle of the tests.

Equation 1 for the grid; 3 with the kernel of 5 for the sampler; 6 and 7 for its gradients.
Points are in pixels. Nothing here is shared with the fast code.

The loops run on any kind of number: floats, complex numbers, `fractions.Fraction`, SymPy
expressions. The arithmetic runs on the values; only the question *which cell* needs an
order, and is asked of a real shadow of the value. For SymPy expressions pass the shadow
yourself, as ``shadow=lambda v: sympy.sympify(v).subs(where)``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from stnref.validation import expect_choice

Number = Any
Objects = np.ndarray[Any, np.dtype[Any]]
Shadow = Callable[[Number], Number]


def real(value: Number) -> Number:
    """The default shadow: the real part of a number, exact for integers and fractions."""
    return value.real


def affine_grid(theta: Objects, G: Objects) -> Objects:
    """Equation 1: (x^s, y^s) = A_theta (x^t, y^t, 1).

    Parameters
    ----------
    theta : (B, 2, 3)
    G : (H', W', 2)

    Returns
    -------
    grid : (B, H', W', 2)

    Examples
    --------
    >>> from fractions import Fraction as F
    >>> half = np.array([[[F(1, 2), 0, 0], [0, F(1, 2), F(1, 3)]]])
    >>> affine_grid(half, np.array([[[1, -1]]]))[0, 0, 0].tolist()
    [Fraction(1, 2), Fraction(-1, 6)]
    """
    B, (H, W, _) = len(theta), G.shape
    grid = np.empty((B, H, W, 2), dtype=object)
    for b in range(B):
        for i in range(H):
            for j in range(W):
                x, y = G[i, j]
                for a in range(2):
                    grid[b, i, j, a] = theta[b, a, 0] * x + theta[b, a, 1] * y + theta[b, a, 2]
    return _unboxed(grid)


def affine_grid_backward(dgrid: Objects, G: Objects) -> Objects:
    """dL/dtheta of equation 1: the sum of dgrid (x^t, y^t, 1) over the grid; (B, 2, 3)."""
    B, H, W, _ = dgrid.shape
    dtheta = np.zeros((B, 2, 3), dtype=object)
    for b in range(B):
        for i in range(H):
            for j in range(W):
                x, y = G[i, j]
                for a in range(2):
                    for k, basis in enumerate((x, y, 1)):
                        dtheta[b, a, k] += dgrid[b, i, j, a] * basis
    return _unboxed(dtheta)


def bilinear(t: Number, shadow: Shadow = real) -> Number:
    """One factor of equation 5: max(0, 1 - |t|) for the distance t = x - m.

    Examples
    --------
    >>> bilinear(0.25), bilinear(-0.25), bilinear(1.5), bilinear(0.25 + 1e-20j)
    (0.75, 0.75, 0, (0.75-1e-20j))
    """
    if not -1 < shadow(t) < 1:
        return 0
    return 1 - t if shadow(t) >= 0 else 1 + t


def bilinear_slope(t: Number, lattice: str = "right", shadow: Shadow = real) -> int:
    """The slope of equation 5, dk/dx for t = x - m; at the kinks t = -1, 0, 1 by rule.

    "right" is the slope to the right of the kink. "paper" is equation 7 read literally,
    with t = x - m in place of x and m: 0 if |t| >= 1, 1 if t <= 0, -1 if t > 0.

    Examples
    --------
    >>> [[bilinear_slope(t, rule) for t in (-1, -0.5, 0, 0.5, 1)] for rule in ("right", "paper")]
    [[1, 1, -1, -1, 0], [0, 1, 1, -1, 0]]
    """
    expect_choice("lattice", lattice, ("right", "paper"))
    if lattice == "paper":
        return 0 if not -1 < shadow(t) < 1 else 1 if shadow(t) <= 0 else -1
    return 1 if -1 <= shadow(t) < 0 else -1 if 0 <= shadow(t) < 1 else 0


def sample(U: Objects, points: Objects, shadow: Shadow = real) -> Objects:
    """Equation 3 with the kernel of equation 5: V_i^c = sum_nm U_nm^c k(x_i - m) k(y_i - n).

    Parameters
    ----------
    U : (B, H, W, C)
        Pixels outside do not stand in the sum: zeros padding.
    points : (B, H', W', 2)
        (x, y) in pixels.
    shadow : callable
        The real number that decides in which cell a value lies.

    Returns
    -------
    V : (B, H', W', C)

    Examples
    --------
    >>> from fractions import Fraction as F
    >>> U = np.array([[3, 5, 4, 9]]).reshape(1, 1, 4, 1)
    >>> sample(U, np.array([F(9, 4), 0]).reshape(1, 1, 1, 2)).item()
    Fraction(21, 4)
    """
    (B, H, W, C), (_, H_out, W_out, _) = U.shape, points.shape
    V = np.zeros((B, H_out, W_out, C), dtype=object)
    for b in range(B):
        for i in range(H_out):
            for j in range(W_out):
                x, y = points[b, i, j]
                for c in range(C):
                    for n in range(H):
                        for m in range(W):
                            k_x, k_y = bilinear(x - m, shadow), bilinear(y - n, shadow)
                            V[b, i, j, c] += U[b, n, m, c] * k_x * k_y
    return _unboxed(V)


def sample_backward(
    dV: Objects, U: Objects, points: Objects, lattice: str = "right", shadow: Shadow = real
) -> tuple[Objects, Objects]:
    """Equations 6 and 7: the gradients to U and to the points.

    Parameters
    ----------
    dV : (B, H', W', C)
    U : (B, H, W, C)
    points : (B, H', W', 2)
        (x, y) in pixels.
    lattice : "right" or "paper"
        The slope on a kink, see `bilinear_slope`.
    shadow : callable
        The real number that decides in which cell a value lies.

    Returns
    -------
    dU : (B, H, W, C)
    dpoints : (B, H', W', 2)

    Examples
    --------
    >>> U, at_2 = np.array([3, 5, 4, 9]).reshape(1, 1, 4, 1), np.array([2, 0]).reshape(1, 1, 1, 2)
    >>> dV = np.ones((1, 1, 1, 1), dtype=int)
    >>> [int(sample_backward(dV, U, at_2, rule)[1][0, 0, 0, 0]) for rule in ("right", "paper")]
    [5, 4]
    """
    (B, H, W, C), (_, H_out, W_out, _) = U.shape, points.shape
    dU = np.zeros((B, H, W, C), dtype=object)
    dpoints = np.zeros((B, H_out, W_out, 2), dtype=object)
    for b in range(B):
        for i in range(H_out):
            for j in range(W_out):
                x, y = points[b, i, j]
                for c in range(C):
                    for n in range(H):
                        for m in range(W):
                            k_x, k_y = bilinear(x - m, shadow), bilinear(y - n, shadow)
                            dk_x = bilinear_slope(x - m, lattice, shadow)
                            dk_y = bilinear_slope(y - n, lattice, shadow)
                            dU[b, n, m, c] += dV[b, i, j, c] * k_x * k_y
                            dpoints[b, i, j, 0] += dV[b, i, j, c] * U[b, n, m, c] * dk_x * k_y
                            dpoints[b, i, j, 1] += dV[b, i, j, c] * U[b, n, m, c] * k_x * dk_y
    return _unboxed(dU), _unboxed(dpoints)


def _unboxed(array: Objects) -> Objects:
    """Return floats and complex numbers in an array of their own dtype, others as objects."""
    values = array.ravel().tolist()
    if all(isinstance(v, (int, float, complex)) for v in values):
        return np.array(values).reshape(array.shape)
    return array
