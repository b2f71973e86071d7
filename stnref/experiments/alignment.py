r"""Does the transformer turn the digits upright? A measure per class.

The content of a picture is turned by a known angle. A sampling grid turned by some angle
turns the content back by as much, so what is left is their difference. If the transformer
brings the digits of a class to one common pose, these differences scatter little, whatever
pose that is: their circular standard deviation sqrt(-2 ln R), with R the length of the mean of
the unit vectors exp(i angle), is small against that of the known angles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stnref.coordinates import target_grid
from stnref.validation import Array, expect_array, expect_labels

Angles = NDArray[np.float64]


def grid_angle(grid: Array) -> Angles:
    """Return the angle by which each sampling grid is turned.

    The best rotation in the sense of least squares from the target grid, whatever the
    transform; for an affine theta on a square grid it is
    ``atan2(theta_21 - theta_12, theta_11 + theta_22)``.

    Parameters
    ----------
    grid : (B, H', W', 2)
        Normalised coordinates.

    Returns
    -------
    angle : (B,)
        Radians; positive is clockwise on the screen.

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit.

    Examples
    --------
    >>> from stnref.transforms import affine_grid
    >>> quarter = np.array([[[0.0, -2, 0.3], [2, 0, 0]]])
    >>> grid_angle(affine_grid(quarter, target_grid((4, 4)))).round(4).tolist()
    [1.5708]
    """
    grid = expect_array("grid", grid, ("B", "H", "W", 2), real=True)
    x, y = np.moveaxis(target_grid(grid.shape[1:3]), -1, 0)  # (H', W') each, centred
    x_s, y_s = np.moveaxis(grid.astype(float), -1, 0)  # (B, H', W') each
    sin, cos = (y_s * x - x_s * y).sum(axis=(1, 2)), (x_s * x + y_s * y).sum(axis=(1, 2))
    return np.asarray(np.arctan2(sin, cos))


def circular_std(angles: Angles) -> float:
    """Return the circular standard deviation sqrt(-2 ln R).

    Parameters
    ----------
    angles : (N,)
        Radians.

    Returns
    -------
    float
        Radians.

    Raises
    ------
    TypeError, ValueError
        They are no row of real numbers.

    Examples
    --------
    >>> circular_std(np.array([3.1, -3.1])) < 0.05
    True
    """
    angles = expect_array("angles", angles, ("N",), real=True)
    R = min(abs(np.exp(1j * angles).mean()), 1.0)
    return float(np.sqrt(np.abs(2 * np.log(R))))  # of R = 1 no negative zero


class ClassAlignment(NamedTuple):
    """Scatter of one class, in degrees: of the known angles, and of what is left of them."""

    label: int
    known: float
    left: float


def alignment(labels: NDArray[np.intp], known: Angles, turned: Angles) -> list[ClassAlignment]:
    """Return the scatter of each class before and after the transformer.

    Parameters
    ----------
    labels : (N,)
    known : (N,)
        Angle by which the content of each picture is turned, radians.
    turned : (N,)
        Angle by which its sampling grid is turned, radians.

    Returns
    -------
    list of ClassAlignment
        In the order of the labels.

    Raises
    ------
    TypeError, ValueError
        A dtype does not fit, or there are not as many of each.
    """
    known = expect_array("known", known, ("N",), real=True)
    turned = expect_array("turned", turned, known.shape, real=True)
    labels = expect_labels("labels", labels, len(known), np.iinfo(np.intp).max)
    rows = []
    for label in np.unique(labels):
        own = labels == label
        before, after = circular_std(known[own]), circular_std((known - turned)[own])
        rows.append(ClassAlignment(int(label), np.degrees(before).item(), np.degrees(after).item()))
    return rows
