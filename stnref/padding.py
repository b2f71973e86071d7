r"""Padding: how the input map U is extended to the infinite lattice.

A padding is a map on integer indices. For an axis with n pixels it sends every lattice
index m to a pixel in [0, n - 1], and says whether U_ext[m] is that pixel's value or zero.
Sampling is then the same sum everywhere: V = sum_m U_ext[m] k(x - m).

Indices come as whole-numbered floats, so that one as large as 1e30 is brought into range
before it becomes an integer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from stnref.validation import Array, expect_choice

Padding: TypeAlias = Callable[[Array, int], tuple[NDArray[np.intp], NDArray[np.bool_]]]


def zeros(m: Array, n: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """U_ext[m] = 0 outside [0, n - 1].

    Examples
    --------
    >>> index, inside = zeros(np.array([-1.0, 0.0, 2.0, 1e30]), 3)
    >>> index.tolist(), inside.tolist()
    ([0, 0, 2, 2], [False, True, True, False])
    """
    return np.clip(m, 0, n - 1).astype(np.intp), (m >= 0) & (m <= n - 1)


PADDINGS: dict[str, Padding] = {"zeros": zeros}


def get_padding(padding: str | Padding) -> Padding:
    """Return the padding of that name, or `padding` itself if it is one already."""
    if callable(padding):
        return padding
    expect_choice("padding", padding, PADDINGS)
    return PADDINGS[padding]
