"""The corners of a sample's cell: weights that are missing, exchanged, or of another sign.

A sample reads a window of 2 x 2 pixels, in a volume 2 x 2 x 2, with a cubic kernel 4 x 4. In the
gradient to the map these weights stand in the Jacobian itself. In the gradient to a coordinate they
are its mixed derivative by the coordinate and by the pixels of the window. Splatting has the
windows in the columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations, product
from typing import NamedTuple

import numpy as np

from stnref.gradcheck.evidence import Block, Evidence, Indices
from stnref.gradcheck.pair import Pair
from stnref.gradcheck.suspects.match import AXES, Match
from stnref.validation import Array

SIDES = {2: ("left", "right"), 1: ("upper", "lower"), 0: ("front", "back")}
"""Names of the two ends along x, y, z, by the axis counted from the last of three."""
ENOUGH = 8
"""Windows that are looked at in the gradient to coordinates."""
STEPS = 2.0**-7, 2.0**-11
"""Longest and shortest step of the differences, where many of them are asked."""


def weights(e: Evidence) -> Iterator[Match]:
    """The weights of a sample in the gradient to the map: one missing, two exchanged, a sign."""
    if e.is_coordinates:
        return
    b = e.block.transposed() if e.is_splat else e.block
    if not (e.is_splat or (e.map_input == e.which and b.complete)):
        return
    windows = [w for w in _windows(e, b) if b.wrong[w.row].any()]
    pairs = [(b.N[w.row, w.columns], b.A[w.row, w.columns]) for w in windows]
    elsewhere = [set(np.flatnonzero(b.given[w.row])) - set(w.columns.ravel()) for w in windows]
    if pairs and not any(elsewhere):
        yield from _pattern(pairs, None)


class _Window(NamedTuple):
    """A row of the Jacobian whose entries are the corners of a cell."""

    row: int
    columns: Indices  # (w, w) or (w, w, w): where they stand in the block


def _windows(e: Evidence, b: Block) -> Iterator[_Window]:
    """Find the samples that read a full window: as many pixels as any reads, in a square."""
    axes = e.spatial_axes(b.which)
    d = len(axes)
    most = int(b.nonzero.sum(axis=1).max(initial=0))
    w = round(most ** (1 / d))
    if w < 2 or w**d != most:
        return
    for row in np.flatnonzero(b.nonzero.sum(axis=1) == most):
        columns = np.flatnonzero(b.nonzero[row])
        at = b.k[columns][:, axes]
        if all(len(np.unique(at[:, a])) == w for a in range(d)):
            order = np.lexsort(tuple(at[:, a] for a in reversed(range(d))))
            yield _Window(int(row), columns[order].reshape((w,) * d))


def _name(corner: tuple[int, ...], w: int) -> str:
    """Say which corner of the cell, or which tap of a larger window, that is."""
    if w > 2:
        return str(list(corner))
    d = len(corner)
    return " ".join(SIDES[3 - d + a][i] for a, i in enumerate(corner))


def _pattern(pairs: Sequence[tuple[Array, Array]], axis: int | None) -> Iterator[Match]:
    """Find what turns the numerical weights into the analytic ones, the same in all windows."""
    N, A = (np.array(side) for side in zip(*pairs, strict=True))  # (n, w, w)
    scale = np.abs(N).max()
    where = "" if axis is None else f", {AXES[axis]}"
    of = "" if axis is None else f" of d{AXES[axis]}"
    w, d = N.shape[1], N.ndim - 1
    there = list(product(range(w), repeat=d))

    def same(P: Array) -> bool:
        return bool((np.abs(A - P) <= 1e-5 * scale).all())

    def names(mask: Array) -> str:
        return " and ".join(_name(corner, w) for corner in there if mask[corner])

    if same(N):  # what differs is less than these weights can show
        return
    gone = (np.abs(A) <= 1e-7 * scale).all(axis=0) & (np.abs(N) > 1e-7 * scale).any(axis=0)
    if gone.any() and not gone.all() and same(np.where(gone, 0, N)):
        last = all(any(i == w - 1 for i in corner) for corner in there if gone[corner])
        if w > 2 and axis is None and last:
            evidence = "the last row or column of every window is not there: a range ends one early"
            yield Match("off-by-one", where, evidence)
        else:
            yield Match("corner-missing", where, f"not there{of}: {names(gone)}")
        return
    flipped = (np.sign(A) != np.sign(N)).any(axis=0)
    if flipped.any() and same(np.where(flipped, -N, N)):
        yield Match("sign", where, f"the sign{of} is flipped: {names(flipped)}")
        return
    sides = ("front and back", "upper and lower", "left and right")[-d:]
    for flip in [c for r in range(1, d + 1) for c in _subsets(d, r)]:
        P = np.flip(N, tuple(a + 1 for a in flip))
        if same(P) or (axis is not None and same(-P)):
            what = " and of ".join(sides[a] for a in flip)
            yield Match("corners-swapped", where, f"the weights of {what} are exchanged{of}")
            return
    for order in permutations(range(d)):
        P = N.transpose(0, *(a + 1 for a in order))
        if order != tuple(range(d)) and any(
            same(Q) for Q in (P, np.flip(P, tuple(range(1, d + 1))))
        ):
            yield Match("corners-swapped", where, f"the weights{of} belong to other axes: {order}")
            return
    if w**d <= 4:
        for places in permutations(range(w**d)):
            if places != (0, 1, 2, 3) and same(N.reshape(-1, w**d)[:, places].reshape(N.shape)):
                yield Match("corners-swapped", where, f"the weights{of} stand as {places}")
                return
    ratio = A / np.where(N == 0, 1, N)
    for corner in there:
        others = np.ones((w,) * d, dtype=bool)
        others[corner] = False
        here: tuple[slice | int, ...] = (slice(None), *corner)
        r = ratio[here]
        right = np.allclose(A[:, others], N[:, others], atol=1e-6 * scale)
        if right and len(r) > 1 and np.allclose(r, r[0]) and abs(r[0]) > 1e-6:
            yield Match("constant-factor", where, f"{_name(corner, w)}{of} has a factor {r[0]:.4g}")


def _subsets(d: int, size: int) -> list[tuple[int, ...]]:
    return [c for c in product(range(d), repeat=size) if list(c) == sorted(set(c))]


# ----------------------------------------------------------------- in the gradient to coordinates


def slopes(e: Evidence) -> Iterator[Match]:
    """How dx depends on each of the pixels that its sample reads: a mixed derivative."""
    if not e.is_coordinates or e.map_input is None or e.is_splat:
        return
    m = e.block_of(e.map_input)
    b = e.block.rows(m.outputs)
    for axis in range(e.shape[-1]):
        pairs: list[tuple[Array, Array]] = []
        own: list[Array] = []
        transposed: list[bool] = []
        for window in _windows(e, m):
            wrong = np.flatnonzero(b.wrong[window.row] & (b.k[:, -1] == axis))
            if len(wrong) != 1:
                continue
            element, output = int(b.elements[wrong[0]]), int(m.outputs[window.row])
            pixels = m.elements[window.columns]
            pairs.append(_mixed(e, output, element, pixels))
            own.append(m.N[window.row, window.columns])
            small = pixels.shape == (2, 2)
            if small and not np.abs(pairs[-1][1]).any():
                transposed += _at_transposed(e, output, element, pixels, pairs[-1][0])
            if len(pairs) >= (ENOUGH if small else 2):
                break
        if len(pairs) < 2:
            continue
        matches = list(_pattern(pairs, axis))
        yield from matches
        if not matches and own[0].shape == (2, 2):
            yield from _wrong_fraction(pairs, np.array(own), axis)
        if len(transposed) >= 2 and all(transposed):
            text = "the slope is one of pixels whose row and column are exchanged"
            yield Match("hw-swapped", f", {AXES[axis]}", text)


def _mixed(e: Evidence, output: int, element: int, pixels: Indices) -> tuple[Array, Array]:
    """Return d/dU of d out / dx, numerically and as backward has it, for a window of pixels."""
    which, u = e.which, e.map_input
    assert u is not None
    unit = np.zeros(e.out_shape)
    unit.flat[output] = 1

    def both(pair: Pair) -> tuple[float, float]:
        v = pair.unit(which, element)
        analytic = pair.analytic[which]
        J_v = pair.tangent(which, v) if analytic else pair.slopes(which, v, *STEPS).value
        return float(J_v[output]), float(pair.gradients(unit)[which].flat[element])

    start = both(e.pair)
    N, A = np.zeros(pixels.shape), np.zeros(pixels.shape)
    for corner in np.ndindex(pixels.shape):
        moved = e.pair.inputs[u].copy()
        moved.flat[pixels[corner]] += 1
        there = both(e.pair.at(u, moved))
        N[corner], A[corner] = there[0] - start[0], there[1] - start[1]
    return N, A


def _at_transposed(
    e: Evidence, output: int, element: int, pixels: Indices, N: Array
) -> Iterator[bool]:
    """Whether backward has the weights of a window at the pixels (m, n) in place of (n, m)."""
    assert e.map_input is not None
    shape, axes = e.pair.inputs[e.map_input].shape, e.spatial_axes(e.map_input)
    index = list(np.unravel_index(pixels, shape))
    index[axes[-1]], index[axes[-2]] = index[axes[-2]], index[axes[-1]]
    if all((i < n).all() for i, n in zip(index, shape, strict=True)):
        other = np.ravel_multi_index(tuple(index), shape)
        A = _mixed(e, output, element, other)[1]
        yield any(np.allclose(A, P, atol=1e-5) for P in (N, N.T, -N, -N.T))


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
            yield Match("xy-swapped", f", {AXES[axis]}", text)
            return
