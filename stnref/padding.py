r"""Padding: how the input map U is extended to the infinite lattice.

Derivation: ``docs/derivations/sampler.md``, section "Padding".

A padding is a map on integer indices. For an axis with n pixels it sends every lattice
index m to a pixel in [0, n - 1], and says whether U_ext[m] is that pixel's value or zero.
Sampling is then the same sum everywhere: V = sum_m U_ext[m] k(x - m).

Indices come as whole-numbered floats, so that one as large as 1e30 is brought into range
before it becomes an integer. All paddings have the same form, that of a `Padding`: the indices m
as floats, any shape, and the number n of pixels go in; the pixels, as intp, and whether U_ext[m]
is their value, as bool, come out, in the shape of m.
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

    Parameters
    ----------
    m : float array
        Lattice indices, whole numbers.
    n : int
        Pixels along the axis.

    Returns
    -------
    index : intp array, shape of m
        From 0 to n - 1.
    inside : bool array, shape of m
        False where U_ext[m] is 0.

    Examples
    --------
    >>> index, inside = zeros(np.array([-1.0, 0.0, 2.0, 1e30]), 3)
    >>> index.tolist(), inside.tolist()
    ([0, 0, 2, 2], [False, True, True, False])
    """
    return np.clip(m, 0, n - 1).astype(np.intp), (m >= 0) & (m <= n - 1)


def border(m: Array, n: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """U_ext[m] is the nearest pixel's value: a a | a b c | c c.

    Parameters
    ----------
    m, n
        See `zeros`.

    Returns
    -------
    index : intp array, shape of m
    inside : bool array, shape of m
        True everywhere.

    Examples
    --------
    >>> border(np.array([-2.0, 1.0, 1e30]), 3)[0].tolist()
    [0, 1, 2]
    """
    return np.clip(m, 0, n - 1).astype(np.intp), np.ones(m.shape, dtype=bool)


def reflection_centres(m: Array, n: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Reflect about the centres of the outer pixels, which stand once: c b | a b c | b a.

    The period is 2 (n - 1); a single pixel is repeated.

    Parameters
    ----------
    m, n
        See `zeros`.

    Returns
    -------
    index : intp array, shape of m
    inside : bool array, shape of m
        True everywhere.

    Examples
    --------
    >>> reflection_centres(np.arange(-3.0, 6.0), 3)[0].tolist()
    [1, 2, 1, 0, 1, 2, 1, 0, 1]
    """
    index = np.mod(m, max(2 * (n - 1), 1))  # from 0 to 2n - 3
    return np.minimum(index, 2 * (n - 1) - index).astype(np.intp), np.ones(m.shape, dtype=bool)


def reflection_edges(m: Array, n: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Reflect about the outer edges of the outer pixels, which stand twice: b a | a b c | c b.

    The period is 2 n.

    Parameters
    ----------
    m, n
        See `zeros`.

    Returns
    -------
    index : intp array, shape of m
    inside : bool array, shape of m
        True everywhere.

    Examples
    --------
    >>> reflection_edges(np.arange(-3.0, 6.0), 3)[0].tolist()
    [2, 1, 0, 0, 1, 2, 2, 1, 0]
    """
    index = np.mod(m, 2 * n)  # from 0 to 2n - 1
    return np.minimum(index, 2 * n - 1 - index).astype(np.intp), np.ones(m.shape, dtype=bool)


PADDINGS: dict[str, Padding] = {
    "zeros": zeros,
    "border": border,
    "reflection_centres": reflection_centres,
    "reflection_edges": reflection_edges,
}
"""Paddings by name."""


def get_padding(padding: str | Padding) -> Padding:
    """Return the padding of that name, or `padding` itself if it is one already.

    Parameters
    ----------
    padding : "zeros", "border", "reflection_centres", "reflection_edges", or a Padding

    Returns
    -------
    padding : Padding

    Raises
    ------
    ValueError
        The name is none of these.

    Examples
    --------
    >>> get_padding("border").__name__
    'border'
    """
    if callable(padding):
        return padding
    expect_choice("padding", padding, PADDINGS)
    return PADDINGS[padding]
