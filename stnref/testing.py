"""The tricky cases by name, for people who test a sampling kernel of their own.

>>> from stnref import sample_backward, sample_forward
>>> for name, case in cases(kernel="cubic", padding="border").items():
...     V, cache = sample_forward(case.U, case.points, kernel="cubic", padding="border")
...     dU, dpoints = sample_backward(case.dV, cache)
...     np.testing.assert_allclose(V, case.V, atol=1e-12, err_msg=name)
...     np.testing.assert_allclose(dU, case.dU, atol=1e-12, err_msg=name)
...     np.testing.assert_allclose(dpoints, case.dpoints, atol=1e-12, err_msg=name)

Maps, coordinates and upstream gradients are dyadic numbers, which float32 holds exactly; the
expected values are the paper's equations as literal loops (`stnref.loops`) in rational numbers,
rounded once, at the end. On the lattice the slope is the right one.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from stnref import loops
from stnref.coordinates import normalize
from stnref.validation import Array, expect_choice, expect_dtype


class Case(NamedTuple):
    """A sampling problem and its solution.

    Attributes
    ----------
    note : str
        What is tricky.
    U : (B, H, W, C) or (B, D, H, W, C)
    points : (B, H', W', 2) or (B, D', H', W', 3)
        (x, y) or (x, y, z) in pixels.
    dV : (B, H', W', C) or (B, D', H', W', C)
        Upstream gradient.
    V, dU, dpoints : shapes of dV, U, points
        What is expected.
    """

    note: str
    U: Array
    points: Array
    dV: Array
    V: Array
    dU: Array
    dpoints: Array

    def grid(self, *, align_corners: bool = True) -> Array:
        """Return the points in normalised coordinates.

        Parameters
        ----------
        align_corners : bool
            See `target_grid`.

        Returns
        -------
        grid : shape of points
            The division rounds: what lay on the lattice may not lie there any more, but for
            sizes where n - 1 or n is a power of two. An axis of size one has no inverse with
            aligned corners.

        Examples
        --------
        >>> case = cases()["on the lattice"]  # of 4 x 5 pixels
        >>> case.points[0, 0, 0].tolist(), case.grid()[0, 0, 0].tolist()
        ([1.0, 0.0], [-0.5, -1.0])
        """
        return normalize(self.points, self.U.shape[1:-1], align_corners=align_corners)


def cases(
    *, kernel: str = "linear", padding: str = "zeros", dtype: DTypeLike = np.float64
) -> dict[str, Case]:
    """Return all cases for one kernel and padding.

    Parameters
    ----------
    kernel : "nearest", "linear", "cubic" or "bspline3"
    padding : "zeros", "border", "reflection_centres", "reflection_edges" or "wrap"
    dtype : float32 or float64

    Returns
    -------
    cases : dict of str to Case
        Name -> problem and solution.

    Raises
    ------
    TypeError, ValueError
        An option is none of these.

    Examples
    --------
    >>> case = cases()["one sample"]
    >>> case.note, case.V.shape
    ('an output of one pixel', (2, 1, 1, 2))
    """
    expect_choice("kernel", kernel, loops.KERNELS)
    expect_choice("padding", padding, loops.PADDINGS)
    dtype = expect_dtype("dtype", dtype)
    solved = _solve_all(kernel, padding)
    return {
        name: Case(case.note, *(array.astype(dtype) for array in case[1:]))
        for name, case in solved.items()
    }


@cache
def _solve_all(kernel: str, padding: str) -> dict[str, Case]:
    """Solve every problem once, in float64; the callers get copies."""
    solved = {}
    for name, (note, size, points) in _problems().items():
        if name == "huge coordinates" and padding not in ("zeros", "border"):
            continue  # two lattice points that far out are one float
        solved[name] = _solve(note, size, points, kernel, padding)
    return solved


def _problems() -> dict[str, tuple[str, tuple[int, ...], Array]]:
    """Name -> note, the shape of U, and points (B, H', W', 2) or (B, D', H', W', 3)."""
    rng = np.random.default_rng(1506)
    size = (2, 4, 5, 2)  # H is not W; two pictures, two channels

    def lattice(y: ArrayLike, x: ArrayLike) -> Array:
        """All points of the given rows and columns, for one picture: (1, H', W', 2)."""
        return np.stack(np.meshgrid(x, y), axis=-1)[None].astype(float)

    def both(points: Array) -> Array:
        return np.concatenate([points, points[:, ::-1, ::-1]])

    inside = rng.integers(0, 3, (2, 3, 2, 2)) + rng.integers(1, 8, (2, 3, 2, 2)) / 8
    volume = rng.integers(-1, 4, (2, 2, 1, 3, 3)) + rng.integers(1, 8, (2, 2, 1, 3, 3)) / 8
    far = 8.0 * rng.integers(-5, 6, (2, 2, 3, 2)) + 0.375
    folds = [-4.5, -4, -0.5, 0, 3.5, 4, 4.5, 8, 8.5]
    return {
        "inside": ("every point within a cell; at 1/2 nearest has to round", size, inside),
        "on the lattice": ("on a kink in x and in y", size, both(lattice([0, 1, 2], [1, 3]))),
        "on the lattice in x": ("in x alone", size, both(lattice([0.25, 2.5], [0, 1, 2, 3]))),
        "half pixels": ("nearest has to round", size, both(lattice([0.5, 1.5], [0.5, 1.5, 2.5]))),
        "on the border": ("outer pixels' centres", size, both(lattice([0, 3], [0, 2.25, 4]))),
        "on the edge": ("half a pixel out", size, both(lattice([-0.5, 3.5], [-0.5, 1.25, 4.5]))),
        "just outside": ("the last cells that see the map", size, both(lattice([-0.75], [4.75]))),
        "one pixel out": ("the last kink", size, both(lattice([-1, 4], [-1, 2, 5]))),
        "at every fold": ("where reflections turn", (2, 4, 5, 2), both(lattice([1.25], folds))),
        "far outside": ("periods away", size, far),
        "huge coordinates": (
            "no overflow, no read out of bounds",
            size,
            both(lattice([-(2.0**100), 1.5, 2.0**100], [-(2.0**60), 0.5, 2.0**100])),
        ),
        "identity": (
            "every sample on its own pixel: where training starts",
            size,
            both(lattice(range(4), range(5))),
        ),
        "colliding samples": (
            "all samples read one cell: the gradient to the map has to add up",
            size,
            np.broadcast_to([1.25, 2.75], (2, 3, 4, 2)).copy(),
        ),
        "one row": ("an axis of size one", (2, 1, 5, 2), both(lattice([-0.5, 0, 0.25], [1.5, 3]))),
        "one column": ("the other axis", (2, 4, 1, 2), both(lattice([1.5, 3], [-0.5, 0, 0.25]))),
        "one pixel": ("both", (2, 1, 1, 2), both(lattice([-0.25, 0], [0, 0.5, 1.25]))),
        "one sample": ("an output of one pixel", size, both(lattice([1.375], [2.625]))),
        "one channel": ("no axis of channels to hide in", (2, 4, 5, 1), inside),
        "volume": ("x, y, z against depth, row, column", (2, 2, 3, 4, 2), volume),
        "volume on the lattice": (
            "a kink in each of three axes",
            (2, 2, 3, 4, 2),
            np.floor(volume),
        ),
        "one slice": ("a volume with an axis of size one", (2, 1, 3, 4, 2), volume),
        "wide": ("H far from W, H' far from W'", (1, 2, 9, 3), lattice([0.5], np.arange(7) + 0.25)),
    }


def _solve(
    note: str,
    size: tuple[int, ...],
    points: Array,
    kernel: str,
    padding: str,
) -> Case:
    """Draw U and dV, and let the loops find V, dU and dpoints exactly."""
    rng = np.random.default_rng(size)
    U = rng.integers(-16, 17, size) / 8
    dV = rng.integers(-16, 17, (*points.shape[:-1], size[-1])) / 8
    exact_U, exact_points, exact_dV = (_fractions(array) for array in (U, points, dV))
    options: dict[str, Any] = {"kernel": kernel, "padding": padding}
    if len(size) == 4:
        V = loops.sample(exact_U, exact_points, **options)
        dU, dpoints = loops.sample_backward(exact_dV, exact_U, exact_points, "right", **options)
    else:
        V = loops.sample_volume(exact_U, exact_points, **options)
        dU, dpoints = loops.sample_volume_backward(exact_dV, exact_U, exact_points, **options)
    return Case(note, *(array.astype(float) for array in (U, points, dV, V, dU, dpoints)))


def _fractions(array: Array) -> Array:
    exact = [Fraction(value) for value in array.ravel().tolist()]
    return np.array(exact, dtype=object).reshape(array.shape)
