"""The kinks: where bilinear interpolation has no derivative, only a rule.

Derivation: ``docs/derivations/sampler.md``, section "At a whole number".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnref.padding import Padding, PaddingLike, border, get_paddings, zeros
from stnref.validation import TARGET_AXES, Array, expect_array, expect_sizes


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
    if tol is None:
        tol = float(4 * np.finfo(x.dtype).eps * n.max())
    reach = np.array([LINES.get(one, np.inf) for one in get_paddings(padding, d)])  # (d,)
    line = np.rint(x).clip(-reach, n - 1 + reach)
    distance = np.abs(x - line).astype(x.dtype)
    on_kink = distance <= tol
    return KinkReport(int(on_kink.any(axis=-1).sum()), on_kink[..., 0].size, on_kink, distance, tol)
