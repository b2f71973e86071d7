"""Inputs of the comparison with PyTorch, drawn from a seed; shared by the golden vectors and
the peer tests.

H is not W, H' is not H, two pictures and two channels, but for the cases that are about axes of
size one. Coordinates on the lattice are dyadic, so that both sides hit it exactly.
"""

from typing import NamedTuple

import numpy as np


class SampleCase(NamedTuple):
    """A map, a grid, an upstream gradient, channels last, and the corner rule."""

    U: np.ndarray
    grid: np.ndarray
    dV: np.ndarray
    align_corners: bool


class AffineCase(NamedTuple):
    """Matrices, an output size, an upstream gradient, and the corner rule."""

    theta: np.ndarray
    out_shape: tuple[int, ...]
    dgrid: np.ndarray
    align_corners: bool


SHAPES = {
    "2-D": ((4, 7), (3, 5)),
    "enlarging": ((3, 4), (6, 9)),
    "one row": ((1, 6), (2, 5)),
    "one column": ((5, 1), (3, 2)),
    "one pixel": ((1, 1), (3, 2)),
    "onto one row": ((4, 6), (1, 5)),
    "onto one pixel": ((4, 6), (1, 1)),
    "3-D": ((3, 4, 5), (2, 5, 3)),
    "3-D, one slice": ((1, 4, 5), (2, 3, 4)),
}


def sample_case(
    rng: np.random.Generator,
    in_shape: tuple[int, ...],
    out_shape: tuple[int, ...],
    align_corners: bool,
    *,
    reach: float = 1.6,
) -> SampleCase:
    """Draw a case with coordinates up to `reach`."""
    d = len(in_shape)
    return SampleCase(
        rng.standard_normal((2, *in_shape, 2)),
        rng.uniform(-reach, reach, (2, *out_shape, d)),
        rng.standard_normal((2, *out_shape, 2)),
        align_corners,
    )


def lattice_case(rng: np.random.Generator, d: int, align_corners: bool) -> SampleCase:
    """Draw a case with all coordinates on the lattice, a few of them outside the map."""
    in_shape = (5, 9) if d == 2 else (3, 5, 9)
    if not align_corners:
        in_shape = tuple(n - 1 for n in in_shape)  # d = n is a power of two either way
    case = sample_case(rng, in_shape, (4, 6) if d == 2 else (4, 3, 6), align_corners)
    sizes = np.array(in_shape[::-1])
    pixels = rng.integers(-2, sizes + 2, case.grid.shape)
    extent = sizes - 1 if align_corners else sizes
    return case._replace(grid=(2 * pixels - (sizes - 1)) / extent)


def half_case(rng: np.random.Generator, d: int, align_corners: bool) -> SampleCase:
    """Draw a case like `lattice_case` with all coordinates at whole and half pixels."""
    case = lattice_case(rng, d, align_corners)
    sizes = np.array(case.U.shape[-2:0:-1])
    extent = sizes - 1 if align_corners else sizes
    return case._replace(grid=case.grid + rng.integers(0, 2, case.grid.shape) / extent)


def sample_cases() -> dict[str, SampleCase]:
    """Return the cases of the golden vectors by name."""
    rng = np.random.default_rng(20150605)
    cases = {}
    for align_corners in (True, False):
        rule = "aligned" if align_corners else "edges"
        for name, (in_shape, out_shape) in SHAPES.items():
            cases[f"{name}, {rule}"] = sample_case(rng, in_shape, out_shape, align_corners)
        cases[f"far outside, {rule}"] = sample_case(rng, (4, 7), (3, 5), align_corners, reach=50)
        for d in (2, 3):
            cases[f"on the lattice, {d}-D, {rule}"] = lattice_case(rng, d, align_corners)
    return cases


def affine_cases() -> dict[str, AffineCase]:
    """Return the cases of the golden vectors by name."""
    rng = np.random.default_rng(20150606)
    return {
        f"{name}, {'aligned' if align_corners else 'edges'}": AffineCase(
            rng.standard_normal((2, len(out_shape), len(out_shape) + 1)),
            out_shape,
            rng.standard_normal((2, *out_shape, len(out_shape))),
            align_corners,
        )
        for align_corners in (True, False)
        for name, (_, out_shape) in SHAPES.items()
    }
