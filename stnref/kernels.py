r"""One-dimensional sampling kernels: the k of equation 3, with its derivatives.

Derivation: ``docs/derivations/sampler.md``, equations S2, S10 and S13; of the B-spline
``docs/derivations/transforms.md``, T15.

A sample at pixel coordinate x reads the lattice points m around it with weight
k(x - m). A kernel is a record: half its support in pixels, and k, k', k'' as functions
of the signed distance t = x - m. Between two lattice points every k used here is
analytic, so it passes complex numbers: the branch is taken on the real part of t, the
arithmetic runs on t itself.

At a kink of k there is no derivative, only a rule: what k' returns there. A kernel with
the half-width s, a multiple of 1/2, is asked for -s <= t < s: at the 2 s lattice points m with
x - s < m <= x + s, and no other pixel is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

from stnref.validation import Array, expect_choice, expect_count, expect_number


class Kernel(NamedTuple):
    """A sampling kernel with half-width `support`: k(t) = 0 for |t| > support.

    Attributes
    ----------
    support : float
        Half-width in pixels, a multiple of 1/2; ``2 * support`` lattice points contribute to a
        sample.
    k, dk, d2k : callable
        k(t), k'(t), k''(t) for the distances -support <= t < support, array to array.

    Examples
    --------
    Equation 3 takes any kernel; a smooth one of your own, cos^2:

    >>> w = np.pi / 2
    >>> cos2 = Kernel(
    ...     support=1,
    ...     k=lambda t: np.cos(w * t) ** 2,
    ...     dk=lambda t: -w * np.sin(2 * w * t),
    ...     d2k=lambda t: -2 * w**2 * np.cos(2 * w * t),
    ... )
    >>> cos2.k(np.array([0.5, -0.5])).round(3).tolist()
    [0.5, 0.5]
    """

    support: float
    k: Callable[[Array], Array]
    dk: Callable[[Array], Array]
    d2k: Callable[[Array], Array]


def nearest() -> Kernel:
    """k(t) = 1 for -1/2 <= t < 1/2: the pixel floor(x + 1/2), equation 4. Its slope is zero.

    It has a single tap, so that a NaN in another pixel is not read.

    Returns
    -------
    kernel : Kernel

    Examples
    --------
    >>> nearest().support, nearest().k(np.array([-0.5, 0.25])).tolist()
    (0.5, [1.0, 1.0])
    """

    def one(t: Array) -> Array:
        return np.ones_like(t.real)

    return Kernel(0.5, one, _zero, _zero)


def _zero(t: Array) -> Array:
    return np.zeros_like(t.real)


def _size(t: Array) -> Array:
    """Return s = |t|; of a complex t, which is a step from its real part, t or -t."""
    return np.where(t.real < 0, -t, t) if np.iscomplexobj(t) else np.abs(t)


LATTICE = {
    "right": (0, -1, 1),
    "left": (-1, 1, 0),
    "central": (-0.5, 0, 0.5),
    "paper": (0, 1, 0),
}
"""For each rule, the factors of U[x-1], U[x], U[x+1] in dV/dx at a whole number x."""


def linear(lattice: str = "right") -> Kernel:
    """k(t) = max(0, 1 - |t|): (bi)linear interpolation, equation 5.

    Parameters
    ----------
    lattice : "right", "left", "central" or "paper"
        The slope where x is a whole number and the interpolation has a kink: the one to the
        right, to the left, the mean of both, or what equation 7 says literally, which is none
        of them. Only "right" finds all it needs in the two pixels of the cell floor(x); the
        others read four.

    Returns
    -------
    kernel : Kernel

    Raises
    ------
    ValueError
        `lattice` is none of these.

    Notes
    -----
    k is (S2); off the lattice k'(t) = -1 for 0 < t < 1 and 1 for -1 < t < 0 (S10).

    Examples
    --------
    >>> linear().k(np.array([0.25, -0.75])).tolist()
    [0.75, 0.25]
    >>> linear("central").dk(np.array([1.0, 0.0, -1.0])).tolist()
    [-0.5, 0.0, 0.5]
    """
    expect_choice("lattice", lattice, LATTICE)

    def hat(t: Array) -> Array:
        return 1 - _size(t)  # S2

    def right(t: Array) -> Array:
        return 1 - 2 * (t.real >= 0).astype(t.real.dtype)  # S10: -1 or 1

    if lattice == "right":  # -1 <= t < 1: the cell's two taps, and nothing to cut off
        return Kernel(1, hat, right, _zero)

    at = dict(zip((1, 0, -1), LATTICE[lattice], strict=True))  # t = x - m of the three factors

    def by_rule(t: Array) -> Array:
        slope = np.where(np.abs(t.real) < 1, right(t), 0)
        for kink, factor in at.items():
            slope = np.where(t.real == kink, factor, slope)
        return slope.astype(t.real.dtype)

    return Kernel(2, lambda t: np.where(np.abs(t.real) < 1, hat(t), 0), by_rule, _zero)


def cubic(a: float = -0.75) -> Kernel:
    """Keys' cubic convolution: interpolates, once continuously differentiable, four taps.

    Parameters
    ----------
    a : float
        Slope of k at t = 1. -3/4 is the choice of PyTorch and ONNX; with -1/2, Catmull-Rom, it
        reproduces parabolas.

    Returns
    -------
    kernel : Kernel

    Raises
    ------
    ValueError
        `a` is not finite.

    Notes
    -----
    k = (a+2)|t|^3 - (a+3)|t|^2 + 1 for |t| <= 1 and a(|t|^3 - 5|t|^2 + 8|t| - 4) for 1 < |t| < 2
    (Keys 1981; S13). k'' jumps at |t| = 2 and, but for a = -3/4, at |t| = 1; there it is the one to
    the right of x.

    Examples
    --------
    >>> cubic().k(np.array([1.5, 0.5, -0.5, -1.5])).tolist()
    [-0.09375, 0.59375, 0.59375, -0.09375]
    """
    a = expect_number("a", a)
    return _two_pieces(  # S13
        k=(
            lambda s: ((a + 2) * s - (a + 3)) * s * s + 1,
            lambda s: a * (((s - 5) * s + 8) * s - 4),
        ),
        dk=(lambda s: (3 * (a + 2) * s - 2 * (a + 3)) * s, lambda s: a * ((3 * s - 10) * s + 8)),
        d2k=(lambda s: 6 * (a + 2) * s - 2 * (a + 3), lambda s: a * (6 * s - 10)),
    )


def bspline3() -> Kernel:
    """The cubic B-spline: twice continuously differentiable, no kinks, four taps.

    It does not interpolate but blurs: at a pixel its weights are 1/6, 2/3, 1/6. To interpolate
    with it, filter U first (`scipy.ndimage.spline_filter`).

    Returns
    -------
    kernel : Kernel

    Notes
    -----
    k = 2/3 - |t|^2 + |t|^3 / 2 for |t| <= 1, (2 - |t|)^3 / 6 for 1 < |t| < 2
    (``docs/derivations/transforms.md``, T15).

    Examples
    --------
    >>> (6 * bspline3().k(np.array([1.0, 0.0, -1.0, -2.0]))).round(12).tolist()
    [1.0, 4.0, 1.0, 0.0]
    """
    return _two_pieces(  # T15
        k=(lambda s: 2 / 3 - s * s + s**3 / 2, lambda s: (2 - s) ** 3 / 6),
        dk=(lambda s: (1.5 * s - 2) * s, lambda s: -((2 - s) ** 2) / 2),
        d2k=(lambda s: 3 * s - 2, lambda s: 2 - s),
    )


Pieces: TypeAlias = tuple[Callable[[Array], Array], Callable[[Array], Array]]


def _two_pieces(k: Pieces, dk: Pieces, d2k: Pieces) -> Kernel:
    """Return the even kernel with one piece for s = |t| < 1 and one for 1 < s < 2.

    k'(t) = sign(t) k'(s) and k''(t) = k''(s). Where the pieces meet, t = 1 takes the outer and
    t = -1 the inner one: both are what x sees to its right.
    """

    def choose(pieces: Pieces) -> Callable[[Array], Array]:
        near, far = pieces

        def value(t: Array) -> Array:
            s = _size(t)
            return np.where((t.real >= -1) & (t.real < 1), near(s), far(s))

        return value

    slope = choose(dk)
    return Kernel(
        2,
        choose(k),
        lambda t: np.where(t.real < 0, -1, 1).astype(t.real.dtype) * slope(t),
        choose(d2k),
    )


KERNELS = {"nearest": nearest, "linear": linear, "cubic": cubic, "bspline3": bspline3}
"""Kernels by name."""

MODES = {"nearest": nearest, "bilinear": linear, "bicubic": cubic}
"""Kernels by the field's names of the interpolations."""


def get_kernel(
    kernel: str | Kernel,
    name: str = "kernel",
    known: Mapping[str, Callable[[], Kernel]] = KERNELS,
) -> Kernel:
    """Return the kernel of that name, or `kernel` itself if it is one already.

    Parameters
    ----------
    kernel : str or Kernel
    name : str
        What the caller calls it.
    known : mapping of str to callable
        The names, and what makes their kernels.

    Returns
    -------
    kernel : Kernel

    Raises
    ------
    ValueError
        The name is none of the known, or the support is no multiple of 1/2.

    Examples
    --------
    >>> get_kernel("cubic").support
    2
    """
    if isinstance(kernel, Kernel):
        expect_count("2 * kernel.support", 2 * kernel.support)
        return kernel
    expect_choice(name, kernel, known)
    return known[kernel]()
