"""Which samples lie on a kink of bilinear interpolation, and which outside of the map.

On a kink there is no derivative, only a rule (``docs/derivations/sampler.md``, section "At a whole
number"). Outside, under zeros padding, there is neither value nor gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnref.padding import Padding, PaddingLike, border, get_paddings, zeros
from stnref.validation import TARGET_AXES, Array, expect_array, expect_number, expect_sizes


class KinkReport(NamedTuple):
    """Which samples lie on a kink of the bilinear interpolation.

    Attributes
    ----------
    n_kinks, n_samples : int
        Samples on a kink, and in all.
    on_kink : (B, H', W', 2)
        For each coordinate (x, y) whether it lies on a line of the lattice, or within `tol`.
    distance : (B, H', W', 2)
        Distance in pixels to the nearest line of the lattice at which the padded map can bend:
        with reflections all are, folds among them; with zeros those from -1 to n, with border those
        from 0 to n - 1.
    tol : float
        In pixels.
    """

    n_kinks: int
    n_samples: int
    on_kink: NDArray[np.bool_]
    distance: Array
    tol: float

    def __str__(self) -> str:
        text = f"{self.n_kinks} of {self.n_samples} samples lie on a kink"
        text += f" (within {self.tol:.1e} pixels)"
        if self.n_kinks:
            places = np.argwhere(self.on_kink.any(axis=-1))[:3].tolist()
            text += ", the first at " + ", ".join(str(place) for place in places)
        return text


LINES: dict[Padding, float] = {zeros: 1, border: 0}
"""How many pixels beyond the outer ones the last line lies at which the padded map bends."""


def kink_report(
    points: ArrayLike,
    shape: Sequence[int],
    *,
    padding: PaddingLike = "zeros",
    tol: float | None = None,
) -> KinkReport:
    """Say how many samples lie where bilinear interpolation has a kink, and where.

    There no derivative exists, only the kernel's rule, and numerical derivatives mislead.

    Parameters
    ----------
    points : (B, H', W', 2) or (B, D', H', W', 3)
        Pixel coordinates.
    shape : (H, W) or (D, H, W)
        Size of the map.
    padding : str or Padding, or a sequence of these
        See `sample_forward`.
    tol : float, optional
        In pixels. The default is the round-off of `unnormalize_forward`, 4 eps n.

    Returns
    -------
    KinkReport

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit.

    Examples
    --------
    >>> print(kink_report(np.array([[0.5, 2.0], [0.5, 1.5]]).reshape(1, 1, 2, 2), (4, 4)))
    1 of 2 samples lie on a kink (within 3.6e-15 pixels), the first at [0, 0, 0]
    """
    sizes = expect_sizes("shape", shape, (2, 3))
    d = len(sizes)
    x = expect_array("points", points, ("B", *TARGET_AXES[d], d)).real
    n = np.asarray(sizes[::-1])  # (d,), order (x, y)
    tol = (
        float(4 * np.finfo(x.dtype).eps * n.max())
        if tol is None
        else expect_number("tol", tol, least=0)
    )
    reach = np.array([LINES.get(one, np.inf) for one in get_paddings(padding, d)])  # (d,)
    line = np.rint(x).clip(-reach, n - 1 + reach)
    distance = np.abs(x - line).astype(x.dtype)
    on_kink = distance <= tol
    return KinkReport(int(on_kink.any(axis=-1).sum()), on_kink[..., 0].size, on_kink, distance, tol)


class OutsideReport(NamedTuple):
    """Which samples lie outside of the map, and how far.

    Attributes
    ----------
    n_outside, n_samples : int
        Samples outside, and in all.
    share : (B,)
        Of each picture's samples, how many are outside: from 0 to 1.
    distance : (B, H', W')
        In pixels, from the nearest outer pixel's centre, along the axis where it is largest; 0
        inside, infinite for a coordinate that is not finite.
    margin : float
        From which distance on a sample counts as outside.
    pixels_for_normalised : bool
        Whether the grid seems to have been one of pixels, where a normalised one is due.
    """

    n_outside: int
    n_samples: int
    share: Array
    distance: Array
    margin: float
    pixels_for_normalised: bool

    def __str__(self) -> str:
        text = f"{self.n_outside} of {self.n_samples} samples lie outside of the map"
        if self.n_outside:
            worst = int(self.share.argmax())
            text += f", up to {self.distance.max():.1f} pixels off"
            text += f"; the most, {self.share[worst]:.0%}, in picture {worst}"
        if self.pixels_for_normalised:
            text += ". Was the grid in pixels? A normalised one lies in [-1, 1]: use `normalize`"
        return text


def outside_report(
    points: ArrayLike, shape: Sequence[int], *, margin: float = 1.0
) -> OutsideReport:
    """Say how many samples lie outside of the map, how far, and of which pictures.

    A sample outside reads nothing but zeros (or the border, or a reflection) and, under zeros
    padding, has no gradient: a transformer whose samples all lie there is dead.

    Parameters
    ----------
    points : (B, H', W', 2) or (B, D', H', W', 3)
        Pixel coordinates.
    shape : (H, W) or (D, H, W)
        Size of the map.
    margin : float
        Pixels beyond the outer pixels' centres from which on a sample counts as outside. From 1
        on bilinear interpolation reads no pixel; 1/2 is the outer pixels' edge.

    Returns
    -------
    OutsideReport

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit.

    Examples
    --------
    >>> points = np.array([[0.5, 2.0], [-3.5, 1.5]]).reshape(1, 1, 2, 2)
    >>> print(outside_report(points, (4, 4)))
    1 of 2 samples lie outside of the map, up to 3.5 pixels off; the most, 50%, in picture 0
    """
    sizes = expect_sizes("shape", shape, (2, 3))
    d = len(sizes)
    x = expect_array("points", points, ("B", *TARGET_AXES[d], d)).real
    n = np.asarray(sizes[::-1]).astype(x.dtype)  # (d,), order (x, y)
    beyond = np.maximum(-x, x - (n - 1)).max(axis=-1)  # (B, H', W')
    distance = np.where(np.isfinite(beyond), np.maximum(beyond, 0), np.inf).astype(x.dtype)
    margin = expect_number("margin", margin)
    outside = distance >= margin
    share = outside.sum(axis=tuple(range(1, d + 1))) / max(prod(x.shape[1:-1]), 1)  # (B,)
    doubtful = share.sum() > len(x) / 2 and _were_pixels(x.reshape(-1, d), n)
    return OutsideReport(int(outside.sum()), outside.size, share, distance, margin, doubtful)


def _were_pixels(x: Array, n: Array) -> bool:
    """Whether the normalised grid that gave the points x (P, d) spans the map as pixels do."""
    g = 2 * x / np.maximum(n - 1, 1) - 1  # (P, d)
    in_range = ((g >= -1) & (g <= n + 1)).all()  # room for the other corner rule
    span = g.max(axis=0) - g.min(axis=0)  # a normalised grid spans 2, one of pixels n - 1
    return bool(in_range and (span > np.maximum(2, (n - 1) / 2)).any())
