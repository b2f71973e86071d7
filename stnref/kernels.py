r"""One-dimensional sampling kernels: the k of equation 3, with its derivatives.

A sample at pixel coordinate x reads the lattice points m around it with weight
k(x - m). A kernel is a record: half its support in pixels, and k, k', k'' as functions
of the signed distance t = x - m. Between two lattice points every k used here is
analytic, so it passes complex numbers: the branch is taken on the real part of t, the
arithmetic runs on t itself.

On the lattice the slope of an interpolation may jump. The taps are those of the cell
floor(x) and k'(0) is the slope to the right, so the derivative there is the right one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from stnref.validation import Array, expect_choice


class Kernel(NamedTuple):
    """A sampling kernel with half-width `support`: k(t) = 0 for |t| > support.

    Attributes
    ----------
    support : int
        Half-width in pixels; ``2 * support`` lattice points contribute to a sample.
    k, dk, d2k : callable
        k(t), k'(t), k''(t) for the distances -support <= t <= support, array to array.
    """

    support: int
    k: Callable[[Array], Array]
    dk: Callable[[Array], Array]
    d2k: Callable[[Array], Array]


def linear() -> Kernel:
    """k(t) = max(0, 1 - |t|): (bi)linear interpolation, equation 5.

    Examples
    --------
    >>> linear().k(np.array([0.25, -0.75])).tolist()
    [0.75, 0.25]
    """
    return Kernel(
        support=1,
        k=lambda t: np.where(t.real >= 0, 1 - t, 1 + t),
        dk=lambda t: np.where(t.real >= 0, -1, 1).astype(t.real.dtype),
        d2k=lambda t: np.zeros_like(t.real),
    )


KERNELS = {"linear": linear}


def get_kernel(kernel: str | Kernel) -> Kernel:
    """Return the kernel of that name, or `kernel` itself if it is one already."""
    if isinstance(kernel, Kernel):
        return kernel
    expect_choice("kernel", kernel, KERNELS)
    return KERNELS[kernel]()
