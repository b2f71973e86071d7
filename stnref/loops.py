r"""The paper's equations as literal loops: slow, obvious, and the oracle of the tests.

Equation 1 for the grid; 3 with the kernel of 5, or another, for the sampler; 6 and 7 for its
gradients. Points are in pixels. Nothing here is shared with the fast code. Nothing is checked here
but names. The tags beside the lines are those of ``grid_generator.md``, ``sampler.md`` and
``transforms.md`` in ``docs/derivations``.

The loops run on any kind of number: floats, complex numbers, `fractions.Fraction`, SymPy
expressions. The arithmetic runs on the values; only the question *which cell* needs an
order, and is asked of a real shadow of the value. For SymPy expressions pass the shadow
yourself, as ``shadow=lambda v: sympy.sympify(v).subs(where)``.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from math import floor
from typing import Any

import numpy as np

from stnref.validation import expect_choice

Number = Any
Objects = np.ndarray[Any, np.dtype[Any]]
Shadow = Callable[[Number], Number]


def real(value: Number) -> Number:
    """The default shadow: the real part of a number, exact for integers and fractions.

    Parameters
    ----------
    value : number

    Returns
    -------
    shadow : real number

    Examples
    --------
    >>> real(Fraction(1, 3)), real(2 + 1j)
    (Fraction(1, 3), 2.0)
    """
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
    for b, i, j in np.ndindex(B, H, W):
        x, y = G[i, j]
        for a in range(2):
            grid[b, i, j, a] = theta[b, a, 0] * x + theta[b, a, 1] * y + theta[b, a, 2]  # G4
    return _unboxed(grid)


def affine_grid_backward(dgrid: Objects, G: Objects) -> Objects:
    """dtheta = sum_ij dgrid_ij (x^t, y^t, 1)^T, of equation 1 (G6).

    dgrid : (B, H', W', 2), G : (H', W', 2) -> dtheta : (B, 2, 3). Raises nothing.

    >>> affine_grid_backward(np.array([[[[5.0, 7]]]]), np.array([[[2.0, 3]]]))[0].tolist()
    [[10.0, 15.0, 5.0], [14.0, 21.0, 7.0]]
    """
    B, H, W, _ = dgrid.shape
    dtheta = np.zeros((B, 2, 3), dtype=object)
    for b, i, j in np.ndindex(B, H, W):
        x, y = G[i, j]
        for a in range(2):
            for k, basis in enumerate((x, y, 1)):
                dtheta[b, a, k] += dgrid[b, i, j, a] * basis  # G6
    return _unboxed(dtheta)


def basis_grid(theta: Objects, B: Objects) -> Objects:
    """T_theta = M_theta B, section 3.2: grid_ij = sum_k B_ijk theta_k (G7).

    Parameters
    ----------
    theta : (B, K, 2)
    B : (H', W', K)

    Returns
    -------
    grid : (B, H', W', 2)

    Examples
    --------
    >>> basis_grid(np.array([[[1.0, 2], [3, 4]]]), np.array([[[10, 1]]])).ravel().tolist()
    [13.0, 24.0]
    """
    batch, (H, W, K) = len(theta), B.shape
    grid = np.zeros((batch, H, W, 2), dtype=object)
    for b, i, j in np.ndindex(batch, H, W):
        for k in range(K):
            for a in range(2):
                grid[b, i, j, a] += B[i, j, k] * theta[b, k, a]  # G7
    return _unboxed(grid)


def basis_grid_backward(dgrid: Objects, B: Objects) -> Objects:
    """dtheta_k = sum_ij B_ijk dgrid_ij (G7).

    dgrid : (B, H', W', 2), B : (H', W', K) -> dtheta : (B, K, 2). Raises nothing.

    >>> basis_grid_backward(np.array([[[[5.0, 7]]]]), np.array([[[10, 1]]]))[0].tolist()
    [[50.0, 70.0], [5.0, 7.0]]
    """
    batch, (H, W, K) = len(dgrid), B.shape
    dtheta = np.zeros((batch, K, 2), dtype=object)
    for b, i, j in np.ndindex(batch, H, W):
        for k in range(K):
            for a in range(2):
                dtheta[b, k, a] += B[i, j, k] * dgrid[b, i, j, a]  # G7
    return _unboxed(dtheta)


def bilinear(t: Number, shadow: Shadow = real) -> Number:
    """One factor of equation 5: max(0, 1 - |t|) for the distance t = x - m (S2).

    Parameters
    ----------
    t : number
        x - m, in pixels.
    shadow : callable
        See `sample`.

    Returns
    -------
    k : number

    Examples
    --------
    >>> bilinear(0.25), bilinear(-0.25), bilinear(1.5), bilinear(0.25 + 1e-20j)
    (0.75, 0.75, 0, (0.75-1e-20j))
    """
    if not -1 < shadow(t) < 1:
        return 0
    return 1 - t if shadow(t) >= 0 else 1 + t  # S2


def bilinear_slope(t: Number, lattice: str = "right", shadow: Shadow = real) -> int:
    """The slope of equation 5, dk/dx for t = x - m; at the kinks t = -1, 0, 1 by rule (S10).

    Parameters
    ----------
    t : number
        x - m, in pixels.
    lattice : "right" or "paper"
        The slope to the right of the kink, or equation 7 read literally, with t = x - m in place
        of x and m: 0 if |t| >= 1, 1 if t <= 0, -1 if t > 0.
    shadow : callable
        See `sample`.

    Returns
    -------
    dk : int

    Raises
    ------
    ValueError
        `lattice` is neither.

    Examples
    --------
    >>> [[bilinear_slope(t, rule) for t in (-1, -0.5, 0, 0.5, 1)] for rule in ("right", "paper")]
    [[1, 1, -1, -1, 0], [0, 1, 1, -1, 0]]
    """
    expect_choice("lattice", lattice, ("right", "paper"))
    if lattice == "paper":
        return 0 if not -1 < shadow(t) < 1 else 1 if shadow(t) <= 0 else -1
    return 1 if -1 <= shadow(t) < 0 else -1 if 0 <= shadow(t) < 1 else 0  # S10


KEYS = Fraction(-3, 4)
"""The parameter of Keys' kernel that PyTorch and ONNX use."""


def cubic(t: Number, shadow: Shadow = real, a: Number = KEYS) -> Number:
    """Keys' kernel with its parameter a, in four pieces (S13).

    Parameters
    ----------
    t : number
        x - m, in pixels.
    shadow : callable
        See `sample`.
    a : number
        The parameter.

    Returns
    -------
    k : number

    Examples
    --------
    >>> cubic(Fraction(1, 2)), cubic(1), cubic(2)
    (Fraction(19, 32), Fraction(0, 1), 0)
    """
    s = t if shadow(t) >= 0 else -t
    if shadow(s) <= 1:
        return (a + 2) * s**3 - (a + 3) * s**2 + 1  # S13
    return a * s**3 - 5 * a * s**2 + 8 * a * s - 4 * a if shadow(s) < 2 else 0


def cubic_slope(t: Number, shadow: Shadow = real, a: Number = KEYS) -> Number:
    """The slope of `cubic` (S13).

    Parameters
    ----------
    t : number
        x - m, in pixels.
    shadow : callable
        See `sample`.
    a : number
        The parameter.

    Returns
    -------
    dk : number

    Examples
    --------
    >>> cubic_slope(Fraction(1)), cubic_slope(Fraction(-1))
    (Fraction(-3, 4), Fraction(3, 4))
    """
    s, sign = (t, 1) if shadow(t) >= 0 else (-t, -1)
    if shadow(s) <= 1:
        return sign * (3 * (a + 2) * s**2 - 2 * (a + 3) * s)  # S13
    return sign * (3 * a * s**2 - 10 * a * s + 8 * a) if shadow(s) < 2 else 0


SIXTH = Fraction(1, 6)


def bspline(t: Number, shadow: Shadow = real) -> Number:
    """The cubic B-spline, in four pieces (T15).

    Parameters
    ----------
    t : number
        x - m, in pixels.
    shadow : callable
        See `sample`.

    Returns
    -------
    k : number

    Examples
    --------
    >>> bspline(0), bspline(1), bspline(2)
    (Fraction(2, 3), Fraction(1, 6), 0)
    """
    s = t if shadow(t) >= 0 else -t
    if shadow(s) <= 1:
        return SIXTH * (4 - 6 * s**2 + 3 * s**3)  # T15
    return SIXTH * (2 - s) ** 3 if shadow(s) < 2 else 0  # T15


def bspline_slope(t: Number, shadow: Shadow = real) -> Number:
    """The slope of `bspline`.

    Parameters
    ----------
    t : number
        x - m, in pixels.
    shadow : callable
        See `sample`.

    Returns
    -------
    dk : number

    Examples
    --------
    >>> bspline_slope(0), bspline_slope(1), bspline_slope(-1)
    (Fraction(0, 1), Fraction(-1, 2), Fraction(1, 2))
    """
    s, sign = (t, 1) if shadow(t) >= 0 else (-t, -1)
    if shadow(s) <= 1:
        return sign * SIXTH * (9 * s**2 - 12 * s)
    return -sign * SIXTH * 3 * (2 - s) ** 2 if shadow(s) < 2 else 0


def nearest(t: Number, shadow: Shadow = real) -> int:
    """Equation 4: 1 for the pixel floor(x + 1/2), else 0.

    Parameters
    ----------
    t : number
        x - m, in pixels.
    shadow : callable
        See `sample`.

    Returns
    -------
    k : number

    Examples
    --------
    >>> nearest(-0.5), nearest(0.5)
    (1, 0)
    """
    return 1 if -1 <= 2 * shadow(t) < 1 else 0


def flat(t: Number, shadow: Shadow = real) -> int:
    """The slope of `nearest`: 0.

    Parameters
    ----------
    t : number
        x - m, in pixels.
    shadow : callable
        See `sample`.

    Returns
    -------
    dk : number

    Examples
    --------
    >>> flat(0.25)
    0
    """
    return 0


def extend(m: int, n: int, padding: str = "zeros") -> int | None:
    """The pixel that lattice point m shows on an axis with n pixels; None is a zero.

    Parameters
    ----------
    m, n : int
    padding : "zeros", "border", "reflection_centres", "reflection_edges" or "wrap"

    Returns
    -------
    pixel : int or None

    Raises
    ------
    ValueError
        `padding` is none of these.

    Examples
    --------
    >>> [extend(m, 3, "reflection_edges") for m in range(-4, 7)]
    [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]
    >>> [extend(m, 3, "reflection_centres") for m in range(-4, 7)]
    [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]
    """
    expect_choice("padding", padding, PADDINGS)
    if 0 <= m < n:
        return m
    if padding == "zeros":
        return None
    if padding == "wrap":
        return m % n
    if padding == "border" or n == 1:
        return 0 if m < 0 else n - 1
    between = FOLDS[padding]  # 1 if the outer pixel's reflection comes right after it, else 0
    period = 2 * (n - 1 + between)
    m = m % period
    return m if m < n else period - between - m


FOLDS = {"reflection_centres": 0, "reflection_edges": 1}
PADDINGS = ("zeros", "border", *FOLDS, "wrap")

KERNELS: dict[str, tuple[int, Callable[..., Number], Callable[..., Number]]] = {
    "nearest": (1, nearest, flat),
    "linear": (2, bilinear, bilinear_slope),
    "cubic": (4, cubic, cubic_slope),
    "bspline3": (4, bspline, bspline_slope),
}
"""Name -> number of lattice points that it reaches, k, k'."""


def lattice_points(x: Number, count: int, shadow: Shadow = real) -> range:
    """The m of equation 3's sum over m for which k(x - m) or its slope may differ from zero.

    They are those with x - count/2 < m <= x + count/2.

    Parameters
    ----------
    x : number
        In pixels.
    count : int
        How many there are.
    shadow : callable
        See `sample`.

    Returns
    -------
    range of int

    Examples
    --------
    >>> list(lattice_points(2.25, 2)), list(lattice_points(2.75, 1))
    ([2, 3], [3])
    """
    cell = floor(shadow(x))
    if count % 2 and 2 * (shadow(x) - cell) >= 1:
        cell += 1
    first = cell + 1 - (count + 1) // 2
    return range(first, first + count)


def _terms(
    point: Objects,
    sizes: tuple[int, ...],
    kernel: str,
    padding: str,
    shadow: Shadow,
    lattice: str = "right",
) -> list[list[tuple[int, Number, Number]]]:
    """For x, y(, z) the terms of the sum over m: the pixel that m shows, k(x - m), k'(x - m)."""
    count, k, dk = KERNELS[kernel]
    options = (lattice, shadow) if kernel == "linear" else (shadow,)
    terms: list[list[tuple[int, Number, Number]]] = []
    for x, size in zip(point, sizes, strict=True):
        terms.append([])
        for m in lattice_points(x, count, shadow):
            pixel = extend(m, size, padding)
            if pixel is not None:
                terms[-1].append((pixel, k(x - m, shadow), dk(x - m, *options)))
    return terms


def sample(
    U: Objects,
    points: Objects,
    shadow: Shadow = real,
    *,
    kernel: str = "linear",
    padding: str = "zeros",
) -> Objects:
    """Equation 3: V_i^c = sum_nm U_nm^c k(x_i - m) k(y_i - n), unless told with the k of 5 (S1).

    Parameters
    ----------
    U : (B, H, W, C)
    points : (B, H', W', 2)
        (x, y) in pixels.
    shadow : callable
        The real number that decides in which cell a value lies.
    kernel : "nearest", "linear", "cubic" or "bspline3"
    padding : "zeros", "border", "reflection_centres", "reflection_edges" or "wrap"
        How U goes on outside, see `extend`.

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
    for b, i, j in np.ndindex(B, H_out, W_out):
        along_x, along_y = _terms(points[b, i, j], (W, H), kernel, padding, shadow)
        for (n, k_y, _), (m, k_x, _) in product(along_y, along_x):
            weight = k_x * k_y
            for c in range(C):
                V[b, i, j, c] += U[b, n, m, c] * weight  # S1
    return _unboxed(V)


def sample_backward(
    dV: Objects,
    U: Objects,
    points: Objects,
    lattice: str = "right",
    shadow: Shadow = real,
    *,
    kernel: str = "linear",
    padding: str = "zeros",
) -> tuple[Objects, Objects]:
    """Equations 6 and 7: the gradients to U and to the points (S8, S9).

    Parameters
    ----------
    dV : (B, H', W', C)
    U : (B, H, W, C)
    points : (B, H', W', 2)
        (x, y) in pixels.
    lattice : "right" or "paper"
        The slope of the linear kernel on a kink, see `bilinear_slope`.
    shadow : callable
        The real number that decides in which cell a value lies.
    kernel, padding : str
        See `sample`.

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
    for b, i, j in np.ndindex(B, H_out, W_out):
        along_x, along_y = _terms(points[b, i, j], (W, H), kernel, padding, shadow, lattice)
        for (n, k_y, dk_y), (m, k_x, dk_x) in product(along_y, along_x):
            for c in range(C):
                dU[b, n, m, c] += dV[b, i, j, c] * k_x * k_y  # S8
                value = dV[b, i, j, c] * U[b, n, m, c]
                dpoints[b, i, j, 0] += value * dk_x * k_y  # S9
                dpoints[b, i, j, 1] += value * k_x * dk_y  # S9
    return _unboxed(dU), _unboxed(dpoints)


def splat(
    image: Objects, points: Objects, shape: tuple[int, int], shadow: Shadow = real
) -> Objects:
    """Forward mapping: every pixel of the image is shared out among those around its point.

    Parameters
    ----------
    image : (B, H', W', C)
    points : (B, H', W', 2)
        (x, y) in pixels of the canvas.
    shape : (H, W)
    shadow : callable
        See `sample`.

    Returns
    -------
    canvas : (B, H, W, C)

    Examples
    --------
    >>> points = np.array([0.25, 0]).reshape(1, 1, 1, 2)
    >>> splat(np.array([8.0]).reshape(1, 1, 1, 1), points, (1, 3)).ravel().tolist()
    [6.0, 2.0, 0.0]
    """
    (B, H_out, W_out, C), (H, W) = image.shape, shape
    canvas = np.zeros((B, H, W, C), dtype=object)
    for b, i, j in np.ndindex(B, H_out, W_out):
        x, y = points[b, i, j]
        for n in range(H):
            for m in range(W):
                weight = bilinear(x - m, shadow) * bilinear(y - n, shadow)
                for c in range(C):
                    canvas[b, n, m, c] += weight * image[b, i, j, c]  # S8
    return _unboxed(canvas)


def splat_backward(
    dcanvas: Objects, image: Objects, points: Objects, shadow: Shadow = real
) -> tuple[Objects, Objects]:
    """dimage = S dcanvas and dx = sum_c image (S_x dcanvas), likewise for y (S16).

    dcanvas : (B, H, W, C), image : (B, H', W', C), points : (B, H', W', 2), pixels -> dimage,
    dpoints : shapes of image and points. Raises nothing.

    >>> dcanvas, image = np.array([1.0, 3]).reshape(1, 1, 2, 1), np.full((1, 1, 1, 1), 8.0)
    >>> dimage, dpoints = splat_backward(dcanvas, image, np.array([0.25, 0]).reshape(1, 1, 1, 2))
    >>> dimage.item(), dpoints[..., 0].item()
    (1.5, 16.0)
    """
    (B, H_out, W_out, C), (_, H, W, _) = image.shape, dcanvas.shape
    dimage = np.zeros(image.shape, dtype=object)
    dpoints = np.zeros(points.shape, dtype=object)
    for b, i, j in np.ndindex(B, H_out, W_out):
        x, y = points[b, i, j]
        for n in range(H):
            for m in range(W):
                k_x, k_y = bilinear(x - m, shadow), bilinear(y - n, shadow)
                dk_x = bilinear_slope(x - m, "right", shadow)
                dk_y = bilinear_slope(y - n, "right", shadow)
                for c in range(C):
                    dimage[b, i, j, c] += dcanvas[b, n, m, c] * k_x * k_y  # S16
                    value = dcanvas[b, n, m, c] * image[b, i, j, c]
                    dpoints[b, i, j, 0] += value * dk_x * k_y  # S16
                    dpoints[b, i, j, 1] += value * k_x * dk_y  # S16
    return _unboxed(dimage), _unboxed(dpoints)


def sample_volume(
    U: Objects,
    points: Objects,
    shadow: Shadow = real,
    *,
    kernel: str = "linear",
    padding: str = "zeros",
) -> Objects:
    """Equation 3 with one more factor: V_i^c = sum_onm U_onm^c k(x_i-m) k(y_i-n) k(z_i-o).

    Parameters
    ----------
    U : (B, D, H, W, C)
    points : (B, D', H', W', 3)
        (x, y, z) in pixels.
    shadow, kernel, padding
        See `sample`.

    Returns
    -------
    V : (B, D', H', W', C)

    Examples
    --------
    >>> U = np.arange(8).reshape(1, 2, 2, 2, 1)
    >>> sample_volume(U, np.array([Fraction(1, 2), 0, 1]).reshape(1, 1, 1, 1, 3)).item()
    Fraction(9, 2)
    """
    (_, D, H, W, C), sizes = U.shape, points.shape[:-1]
    V = np.zeros((*sizes, C), dtype=object)
    for index in np.ndindex(sizes):
        along_x, along_y, along_z = _terms(points[index], (W, H, D), kernel, padding, shadow)
        for (o, k_z, _), (n, k_y, _), (m, k_x, _) in product(along_z, along_y, along_x):
            weight = k_x * k_y * k_z
            for c in range(C):
                V[index][c] += U[index[0], o, n, m, c] * weight  # S1
    return _unboxed(V)


def sample_volume_backward(
    dV: Objects,
    U: Objects,
    points: Objects,
    shadow: Shadow = real,
    *,
    kernel: str = "linear",
    padding: str = "zeros",
) -> tuple[Objects, Objects]:
    """Equations 6 and 7 with one more factor: dU = S^T dV, dx = sum_c dV (S_x U) (S8, S9).

    dV : (B, D', H', W', C), U : (B, D, H, W, C), points : (B, D', H', W', 3), pixels -> dU,
    dpoints : shapes of U and points. Options: see `sample`. Raises nothing of its own.

    >>> U, middle = np.arange(8).reshape(1, 2, 2, 2, 1), np.full((1, 1, 1, 1, 3), Fraction(1, 2))
    >>> dU, dpoints = sample_volume_backward(np.ones((1, 1, 1, 1, 1), dtype=int), U, middle)
    >>> dU.sum(), dpoints.ravel().tolist()
    (Fraction(1, 1), [Fraction(1, 1), Fraction(2, 1), Fraction(4, 1)])
    """
    (_, D, H, W, C), sizes = U.shape, points.shape[:-1]
    dU = np.zeros(U.shape, dtype=object)
    dpoints = np.zeros(points.shape, dtype=object)
    for index in np.ndindex(sizes):
        along_x, along_y, along_z = _terms(points[index], (W, H, D), kernel, padding, shadow)
        for (o, k_z, dk_z), (n, k_y, dk_y), (m, k_x, dk_x) in product(along_z, along_y, along_x):
            for c in range(C):
                pixel = (index[0], o, n, m, c)
                dU[pixel] += dV[index][c] * k_x * k_y * k_z  # S8
                value = dV[index][c] * U[pixel]
                dpoints[index][0] += value * dk_x * k_y * k_z  # S9
                dpoints[index][1] += value * k_x * dk_y * k_z  # S9
                dpoints[index][2] += value * k_x * k_y * dk_z  # S9
    return _unboxed(dU), _unboxed(dpoints)


def projective_grid(theta: Objects, G: Objects, shadow: Shadow = real) -> Objects:
    """The homography: (X, Y, Z) = theta (x^t, y^t, 1), then x^s = X / Z and y^s = Y / Z (T1).

    Parameters
    ----------
    theta : (B, 3, 3)
    G : (H', W', 2)
    shadow : callable
        The real number that decides whether a point is hidden, see `is_hidden`.

    Returns
    -------
    grid : (B, H', W', 2)
        Hidden points are at (1000, 1000).

    Examples
    --------
    >>> from fractions import Fraction as F
    >>> tilt = np.array([[[1, 0, 0], [0, 1, 0], [0, F(1, 2), 1]]])
    >>> projective_grid(tilt, np.array([[[F(1), F(-1)], [F(1), F(-2)]]]))[0, 0].tolist()
    [[Fraction(2, 1), Fraction(-2, 1)], [1000, 1000]]
    """
    B, (H, W, _) = len(theta), G.shape
    grid = np.empty((B, H, W, 2), dtype=object)
    for b, i, j in np.ndindex(B, H, W):
        x, y = G[i, j]
        X, Y, Z = (t[0] * x + t[1] * y + t[2] for t in theta[b])  # T1
        grid[b, i, j] = (1000, 1000) if is_hidden(Z, theta[b], shadow) else (X / Z, Y / Z)
    return _unboxed(grid)


def projective_grid_backward(
    dgrid: Objects, theta: Objects, G: Objects, shadow: Shadow = real
) -> Objects:
    """dtheta_1k = sum_ij dx basis_k / Z, … of the homography (T4); hidden points have no part.

    dgrid : (B, H', W', 2), theta : (B, 3, 3), G : (H', W', 2) -> dtheta : (B, 3, 3), where
    basis = (x^t, y^t, 1). Raises nothing.

    >>> G, identity = np.array([[[2, 3]]]), np.eye(3, dtype=int)[None]
    >>> projective_grid_backward(np.array([[[[1, 0]]]]), identity, G)[0].tolist()
    [[2.0, 3.0, 1.0], [0.0, 0.0, 0.0], [-4.0, -6.0, -2.0]]
    """
    B, H, W, _ = dgrid.shape
    dtheta = np.zeros((B, 3, 3), dtype=object)
    for b, i, j in np.ndindex(B, H, W):
        x, y = G[i, j]
        X, Y, Z = (t[0] * x + t[1] * y + t[2] for t in theta[b])
        if is_hidden(Z, theta[b], shadow):
            continue
        dx, dy = dgrid[b, i, j]
        for k, basis in enumerate((x, y, 1)):
            dtheta[b, 0, k] += dx * basis / Z  # T4
            dtheta[b, 1, k] += dy * basis / Z  # T4
            dtheta[b, 2, k] -= (dx * X + dy * Y) / Z**2 * basis  # T4
    return _unboxed(dtheta)


def is_hidden(Z: Number, theta: Objects, shadow: Shadow = real) -> bool:
    """Whether Z is at most 1/10000 of the largest entry of theta's third row, by amount (T5).

    Parameters
    ----------
    Z : number
    theta : (3, 3)
    shadow : callable
        See `sample`.

    Returns
    -------
    hidden : bool

    Examples
    --------
    >>> [is_hidden(Z, np.array([[1, 0, 0], [0, 1, 0], [0, -2, 1]])) for Z in (-1, 2e-4, 3e-4)]
    [True, True, False]
    """
    return bool(shadow(Z) * 10_000 <= max(abs(shadow(t)) for t in theta[2]))  # T5


def _unboxed(array: Objects) -> Objects:
    """Return floats and complex numbers in an array of their own dtype, others as objects."""
    values = array.ravel().tolist()
    if all(isinstance(v, (int, float, complex)) for v in values):
        return np.array(values).reshape(array.shape)
    return array
