r"""Padding: how the input map U is extended to the infinite lattice.

Derivation: ``docs/derivations/sampler.md``, section "Padding".

A padding is a map on integer indices. For an axis with n pixels it sends every lattice
index m to a pixel in [0, n - 1], and says whether U_ext[m] is that pixel's value or zero.
Sampling is then the same sum everywhere: V = sum_m U_ext[m] k(x - m).

Indices are whole-numbered floats, so that one as large as 1e30 is brought into range before it
becomes an integer. All paddings have the same form, that of a `Padding`: the indices m, any shape,
and the number n of pixels go in; the pixels, whole-numbered too, and whether U_ext[m] is their
value, as bool, come out, in the shape of m.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from stnref.validation import Array, expect_choice, expect_count, expect_flag

Padding: TypeAlias = Callable[[Array, int], tuple[Array, NDArray[np.bool_]]]

PaddingLike: TypeAlias = str | Padding | Sequence[str | Padding]
"""A name, a padding of one's own, or one of these for each axis, in the order x, y(, z)."""


def zeros(m: Array, n: int) -> tuple[Array, NDArray[np.bool_]]:
    """U_ext[m] = 0 outside [0, n - 1].

    Parameters
    ----------
    m : float array
        Lattice indices, whole numbers.
    n : int
        Pixels along the axis.

    Returns
    -------
    index : float array, shape of m
        Whole numbers from 0 to n - 1.
    inside : bool array, shape of m
        False where U_ext[m] is 0.

    Examples
    --------
    >>> index, inside = zeros(np.array([-1.0, 0.0, 2.0, 1e30]), 3)
    >>> index.tolist(), inside.tolist()
    ([0.0, 0.0, 2.0, 2.0], [False, True, True, False])
    """
    index = np.clip(m, 0, n - 1)
    return index, index == m


def border(m: Array, n: int) -> tuple[Array, NDArray[np.bool_]]:
    """U_ext[m] is the nearest pixel's value: a a | a b c | c c.

    Parameters
    ----------
    m, n
        See `zeros`.

    Returns
    -------
    index : float array, shape of m
    inside : bool array, shape of m
        True everywhere.

    Examples
    --------
    >>> border(np.array([-2.0, 1.0, 1e30]), 3)[0].tolist()
    [0.0, 1.0, 2.0]
    """
    return np.clip(m, 0, n - 1), np.ones(m.shape, dtype=bool)


def reflection_centres(m: Array, n: int) -> tuple[Array, NDArray[np.bool_]]:
    """Reflect about the centres of the outer pixels, which stand once: c b | a b c | b a.

    The period is 2 (n - 1); a single pixel is repeated.

    Parameters
    ----------
    m, n
        See `zeros`.

    Returns
    -------
    index : float array, shape of m
    inside : bool array, shape of m
        True everywhere.

    Examples
    --------
    >>> reflection_centres(np.arange(-3.0, 6.0), 3)[0].astype(int).tolist()
    [1, 2, 1, 0, 1, 2, 1, 0, 1]
    """
    index = np.mod(m, max(2 * (n - 1), 1))  # from 0 to 2n - 3
    return np.minimum(index, 2 * (n - 1) - index), np.ones(m.shape, dtype=bool)


def reflection_edges(m: Array, n: int) -> tuple[Array, NDArray[np.bool_]]:
    """Reflect about the outer edges of the outer pixels, which stand twice: b a | a b c | c b.

    The period is 2 n.

    Parameters
    ----------
    m, n
        See `zeros`.

    Returns
    -------
    index : float array, shape of m
    inside : bool array, shape of m
        True everywhere.

    Examples
    --------
    >>> reflection_edges(np.arange(-3.0, 6.0), 3)[0].astype(int).tolist()
    [2, 1, 0, 0, 1, 2, 2, 1, 0]
    """
    index = np.mod(m, 2 * n)  # from 0 to 2n - 1
    return np.minimum(index, 2 * n - 1 - index), np.ones(m.shape, dtype=bool)


def wrap(m: Array, n: int) -> tuple[Array, NDArray[np.bool_]]:
    """Repeat the picture, as round a panorama: b c | a b c | a b.

    The period is n.

    Parameters
    ----------
    m, n
        See `zeros`.

    Returns
    -------
    index : float array, shape of m
    inside : bool array, shape of m
        True everywhere.

    Examples
    --------
    >>> wrap(np.arange(-3.0, 6.0), 3)[0].astype(int).tolist()
    [0, 1, 2, 0, 1, 2, 0, 1, 2]
    """
    return np.mod(m, n), np.ones(m.shape, dtype=bool)


PADDINGS: dict[str, Padding] = {
    "zeros": zeros,
    "border": border,
    "reflection_centres": reflection_centres,
    "reflection_edges": reflection_edges,
    "wrap": wrap,
}
"""Paddings by name."""


def padding_modes(align_corners: bool) -> dict[str, Padding]:
    """Return the paddings by the field's names: a reflection is about -1 and 1.

    Parameters
    ----------
    align_corners : bool
        True: -1 and 1 are the centres of the outer pixels; False: their outer edges.

    Returns
    -------
    paddings : dict of str to Padding

    Raises
    ------
    TypeError
        `align_corners` is neither True nor False.

    Examples
    --------
    >>> padding_modes(align_corners=False)["reflection"].__name__
    'reflection_edges'
    """
    about_centres = expect_flag("align_corners", align_corners)
    reflection = reflection_centres if about_centres else reflection_edges
    return {"zeros": zeros, "border": border, "reflection": reflection, "wrap": wrap}


def get_paddings(
    padding: PaddingLike,
    d: int,
    name: str = "padding",
    known: Mapping[str, Padding] = PADDINGS,
) -> tuple[Padding, ...]:
    """Return the padding of each axis x, y(, z).

    Parameters
    ----------
    padding : str, Padding, or a sequence of d of these
        One for all axes, or one for each: a panorama that wraps in x alone is
        ``("wrap", "border")``.
    d : int
        Number of axes: 2 or 3.
    name : str
        What the caller calls it.
    known : mapping of str to Padding
        The names, and what they mean.

    Returns
    -------
    paddings : tuple of d Paddings

    Raises
    ------
    TypeError, ValueError
        A name is none of the known, or there are not d of them.

    Examples
    --------
    >>> [one.__name__ for one in get_paddings(("wrap", "border"), 2)]
    ['wrap', 'border']
    """
    d = expect_count("d", d, least=2, most=3)
    if isinstance(padding, str) or callable(padding):
        padding = [padding] * d
    if not isinstance(padding, Sequence):
        raise TypeError(
            f"{name}: expected a name, a Padding or a sequence of them, got {padding!r}"
        )
    each = list(padding)
    if len(each) != d:
        raise ValueError(f"{name}: expected one, or one for each of {'xyz'[:d]}, got {len(each)}")
    for one in each:
        if not callable(one):
            expect_choice(name, one, known)
    return tuple(one if callable(one) else known[one] for one in each)
