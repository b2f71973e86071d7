"""The four corners of a sample: weights that are missing, exchanged, or of another sign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np

from stnref.gradcheck.evidence import Block, Evidence, Indices
from stnref.gradcheck.pair import Pair
from stnref.gradcheck.suspects.match import AXES, Match
from stnref.validation import Array

CORNERS = {(0, 0): "upper left", (0, 1): "upper right", (1, 0): "lower left", (1, 1): "lower right"}


def corners(e: Evidence) -> Iterator[Match]:
    """The four weights of a sample: one missing, two exchanged."""
    if e.map_input is None:
        return
    if e.map_input == e.which:
        b = e.block
        if not b.complete:
            return
        squares = [s for s in _squares(e, b) if b.wrong[s.row].any()]
        pairs = [(b.N[s.row, s.columns], b.A[s.row, s.columns]) for s in squares]
        elsewhere = [set(np.flatnonzero(b.given[s.row])) - set(s.columns.ravel()) for s in squares]
        if pairs and not any(elsewhere):
            yield from _corner_pattern(e, pairs, None)
    elif e.is_coordinates:
        yield from _coefficients(e)


class _Square(NamedTuple):
    """A row of the Jacobian whose entries are the four corners of a cell."""

    row: int
    columns: Indices  # (2, 2): where they stand in the block


def _squares(e: Evidence, b: Block) -> Iterator[_Square]:
    """Find the outputs that read four pixels in a square."""
    axes = e.spatial_axes(b.which)
    if len(axes) != 2:
        return
    for row in range(len(b.outputs)):
        columns = np.flatnonzero(b.nonzero[row])
        if len(columns) != 4:
            continue
        at = b.k[columns][:, axes]
        n, m = np.unique(at[:, 0]), np.unique(at[:, 1])
        if len(n) == len(m) == 2:
            yield _Square(row, columns[np.lexsort((at[:, 1], at[:, 0]))].reshape(2, 2))


def _corner_pattern(
    e: Evidence, pairs: Sequence[tuple[Array, Array]], axis: int | None
) -> Iterator[Match]:
    """Find what turns the four numerical weights into the analytic ones, the same in all pairs."""
    N, A = (np.array(side) for side in zip(*pairs, strict=True))  # (n, 2, 2)
    scale = np.abs(N).max()
    along = "" if axis is None else f", {AXES[axis]}"
    of = "" if axis is None else f" of d{AXES[axis]}"

    def same(P: Array) -> bool:
        return bool((np.abs(A - P) <= 1e-5 * scale).all())

    for corner, name in CORNERS.items():
        P, here = N.copy(), (slice(None), *corner)
        P[here] = 0
        if same(P):
            yield Match("corner-missing", along, f"the {name} corner{of} is not there")
    flipped = np.sign(A[0]) != np.sign(N[0])
    if flipped.any() and same(np.where(flipped, -N, N)):
        names = " and ".join(name for corner, name in CORNERS.items() if flipped[corner])
        yield Match("sign", along, f"the sign of the {names} corner{of} is flipped")
        return
    flips = {
        "of the upper and lower row": N[:, ::-1],
        "of the left and right column": N[:, :, ::-1],
        "of opposite corners": N[:, ::-1, ::-1],
        "of upper right and lower left": N.swapaxes(1, 2),
        "of upper left and lower right": N[:, ::-1, ::-1].swapaxes(1, 2),
    }
    for name, P in flips.items():
        if same(P) or (axis is not None and same(-P)):
            yield Match("corners-swapped", along, f"the weights {name} are exchanged{of}")
            return
    for order in permutations(range(4)):
        P = N.reshape(-1, 4)[:, order].reshape(N.shape)
        if order != (0, 1, 2, 3) and same(P):
            yield Match("corners-swapped", along, f"the weights{of} stand in the order {order}")
            return
    ratio = A / np.where(N == 0, 1, N)
    for corner, name in CORNERS.items():
        others = np.ones((2, 2), dtype=bool)
        others[corner] = False
        here = (slice(None), *corner)
        r = ratio[here]
        right = np.allclose(A[:, others], N[:, others], atol=1e-6 * scale)
        if right and np.allclose(r, r[0]) and abs(r[0]) > 1e-6:
            yield Match("constant-factor", along, f"the {name} corner{of} has a factor {r[0]:.4g}")


def _coefficients(e: Evidence) -> Iterator[Match]:
    """How dx depends on each of the four pixels that its sample reads: a mixed derivative."""
    b, m = e.block, e.block_of(e.map_input if e.map_input is not None else 0)
    if len(m.outputs) != len(b.outputs):
        return
    for axis in range(e.shape[-1]):
        pairs, own = [], []
        for square in _squares(e, m):
            wrong = np.flatnonzero(b.wrong[square.row] & (b.k[:, -1] == axis))
            if len(wrong) != 1:
                continue
            element = int(b.elements[wrong[0]])
            pairs.append(_mixed(e, int(m.outputs[square.row]), element, m.elements[square.columns]))
            own.append(m.N[square.row, square.columns])
            if len(pairs) >= 8:
                break
        if len(pairs) < 2:
            continue
        matches = list(_corner_pattern(e, pairs, axis))
        yield from matches
        if not matches:
            yield from _wrong_fraction(pairs, np.array(own), axis)


def _mixed(e: Evidence, output: int, element: int, pixels: Indices) -> tuple[Array, Array]:
    """Return d/dU of d out / dx, numerically and as backward has it, for a (2, 2) of pixels."""
    which, u = e.which, e.map_input
    assert u is not None
    unit = np.zeros(e.out_shape)
    unit.flat[output] = 1

    def both(pair: Pair) -> tuple[float, float]:
        return (
            float(pair.column(which, element)[output]),
            float(pair.gradients(unit)[which].flat[element]),
        )

    start = both(e.pair)
    N, A = np.zeros(pixels.shape), np.zeros(pixels.shape)
    for corner in np.ndindex(pixels.shape):
        moved = e.pair.inputs[u].copy()
        moved.flat[pixels[corner]] += 1
        there = both(e.pair.at(u, moved))
        N[corner], A[corner] = there[0] - start[0], there[1] - start[1]
    return N, A


def _wrong_fraction(
    pairs: Sequence[tuple[Array, Array]], weights: Array, axis: int
) -> Iterator[Match]:
    """The slope along x is weighed by fy; is it fx that stands there?"""
    A = np.array([a for _, a in pairs])
    fy, fx = weights[:, 1].sum(axis=1), weights[:, :, 1].sum(axis=1)
    sign = np.array([-1, 1])
    by_x, by_y = (np.stack([1 - f, f], axis=1) for f in (fx, fy))
    P = by_x[:, :, None] * sign if axis == 0 else sign[:, None] * by_y[:, None, :]
    for candidate in (P, P[:, ::-1], P[:, :, ::-1]):
        if np.allclose(A, candidate, atol=1e-5):
            f, g = ("fx", "fy") if axis == 0 else ("fy", "fx")
            text = f"the slope along {AXES[axis]} is weighed by {f}, not by {g}"
            yield Match("corners-swapped", f", {AXES[axis]}", text)
            return
