"""Right values in the wrong places: exchanged, transposed, reversed, a step away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, permutations, product

import numpy as np
from numpy.typing import NDArray

from stnref.diagnosis.evidence import Evidence
from stnref.diagnosis.suspects.candidate import AXES, LIKELY, Candidate
from stnref.validation import Array

Target = NDArray[np.intp]
"""For every element the flat index at which its gradient was put; -1 for nowhere."""
MANY_AXES = 5
"""Arrays with more axes are not transposed in every way."""
THETA = range(3, 9)
"""Sizes of a last axis that may hold parameters, any two of which may be exchanged."""
STEPS = (1, -1, 2, -2)
STRIDES = (2, 3, 4)
FEWEST, SHARE = 4, 0.4
"""So many wrong entries, and this share of them, say that a matrix is not transposed."""


def _moved(e: Evidence, cause: str, what: str, target: Target) -> Iterator[Candidate]:
    """Yield N with its columns moved, if the first wrong output agrees."""
    there = target.ravel() >= 0
    at = target.ravel()[there]

    def moved(N: Array) -> Array:
        P = np.zeros_like(N)
        np.add.at(P.T, at, N[:, there].T)
        return P

    row = [int(e.wrong.any(axis=1).argmax())]
    if not e.differs(moved(e.N[row]), e.A[row]).any():
        yield from _elsewhere(e, cause, f"it is right after {what}", moved(e.N))


def _elsewhere(e: Evidence, cause: str, text: str, P: Array) -> Iterator[Candidate]:
    """Yield a candidate, unless it says nothing but that what is wrong is zero."""
    if (e.wrong & e.differs(P, 0)).any():
        yield Candidate(cause, text, P)


def gradient_of_another_input(e: Evidence) -> Iterator[Candidate]:
    """Two gradients are returned in the other's place."""
    for i, array in enumerate(e.problem.inputs):
        if i != e.which and array.shape == e.shape:
            text = f"it is the gradient of {e.problem.names[i]}, returned in its place"
            yield Candidate("wrong-place", text, e.J[i])


def coordinates_exchanged(e: Evidence) -> Iterator[Candidate]:
    """dx holds dy and so on, with a factor for each."""
    d = e.shape[-1] if e.is_coordinates else 0
    for order in list(permutations(range(d)))[1:]:
        P, words = e.N.copy(), []
        for a in range(d):
            theirs, own = e.N[:, e.k[:, -1] == order[a]], e.A[:, e.k[:, -1] == a]
            r = float((own * theirs).sum() / ((theirs**2).sum() or 1))
            P[:, e.k[:, -1] == a] = r * theirs
            words.append(f"{AXES[a]} holds {r:.4g} times d{AXES[order[a]]}")
        yield from _elsewhere(e, "xy-swapped", f"the gradient's {', '.join(words)}", P)


def axes_transposed(e: Evidence) -> Iterator[Candidate]:
    """The array was transposed once too often, or read in the order of its transpose."""
    ndim = len(e.shape)
    for order in list(permutations(range(ndim)))[1:] if ndim <= MANY_AXES else ():
        moved = {a for a in range(ndim) if order[a] != a}
        cause = "hw-swapped" if e.is_map and moved <= set(e.spatial) else "transpose"
        forth = e.numbers.transpose(order).ravel()
        yield from _moved(e, cause, f"undoing a transposition to the axes {order}", forth.argsort())
        yield from _moved(e, cause, f"transposing its axes to {order}", forth)


def rows_and_columns_exchanged(e: Evidence) -> Iterator[Candidate]:
    """The map is read at (m, n), or at number n H + m of its pixels."""
    if not e.is_map or len(e.spatial) != 2:
        return
    H, W = (e.shape[a] for a in e.spatial)
    n, m = (e.k[:, a] for a in e.spatial)
    number = n * H + m
    for what, place in (("(m, n)", (m, n)), ("n H + m for n W + m", divmod(number, W))):
        inside = (place[0] < H) & (place[1] < W)
        at = e.k.copy()
        at[:, e.spatial] = np.where(inside, place, 0).T
        target = np.where(inside, np.ravel_multi_index(tuple(at.T), e.shape), -1)
        yield from _moved(e, "hw-swapped", f"reading the pixel at {what}", target)


def two_components_exchanged(e: Evidence) -> Iterator[Candidate]:
    """Two entries of a last axis, the two of an axis of length two, or two rows of theta."""
    if e.is_map or not e.shape:
        return
    for axis in range(1, len(e.shape)):
        if e.shape[axis] == 2:
            what = f"exchanging the two along axis {axis}"
            yield from _moved(e, "xy-swapped", what, np.flip(e.numbers, axis))
    n = e.shape[-1]
    for i, j in combinations(range(n), 2) if len(e.shape) > 1 and n in THETA else ():
        two = np.arange(n)
        two[[i, j]] = j, i
        what = f"exchanging [..., {i}] and [..., {j}]"
        yield from _moved(e, "xy-swapped", what, e.numbers[..., two])
        if n % 2 == 0 and j < n // 2:  # columns of a matrix of two rows, flat
            both = np.concatenate([two[: n // 2], two[: n // 2] + n // 2])
            yield from _moved(e, "xy-swapped", f"{what}, in both rows", e.numbers[..., both])
    if n % 2 == 0 and len(e.shape) < 3:
        halves = np.roll(e.numbers, n // 2, axis=-1)
        yield from _moved(e, "xy-swapped", "exchanging its two halves along the last axis", halves)


def axis_reversed(e: Evidence) -> Iterator[Candidate]:
    """An axis, or both axes of square filters, in reverse order; or the samples moved by one."""
    for axis, n in enumerate(e.shape):
        if n > 2 or (n == 2 and (e.is_map or axis == 0)):
            yield from _moved(e, "wrong-place", f"reversing axis {axis}", np.flip(e.numbers, axis))
    if len(e.shape) == 4 and e.shape[0] == e.shape[1]:
        what = "turning the filters by half a turn"
        yield from _moved(e, "wrong-place", what, e.numbers[::-1, ::-1])
    for step in (1, -1) if len(e.shape) > 1 and e.shape[0] > 2 else ():
        yield from _moved(e, "wrong-place", "moving it by one sample", np.roll(e.numbers, step, 0))


def all_into_one_sample(e: Evidence) -> Iterator[Candidate]:
    """The batch index is always the same: one sample collects the gradients of all."""
    for b in (0, -1) if len(e.shape) > 2 and e.shape[0] > 1 else ():
        one = np.broadcast_to(e.numbers[b], e.shape)
        yield from _moved(e, "wrong-place", f"putting all into sample {b % e.shape[0]}", one)


def matrix_flattened_by_columns(e: Evidence) -> Iterator[Candidate]:
    """The last axis holds two rows of a matrix, taken column by column."""
    n = e.shape[-1] if e.shape and not e.is_map else 0
    if n > 2 and n % 2 == 0:
        by_columns = e.numbers.reshape(-1, 2, n // 2).swapaxes(1, 2).ravel()
        what = "a matrix that was flattened by columns"
        yield from _moved(e, "transpose", f"undoing {what}", by_columns)
        yield from _moved(e, "transpose", f"making {what}", by_columns.argsort())


def matrix_not_transposed(e: Evidence) -> Iterator[Candidate]:
    """A[(i, k), (j, l)] = N[(j, k), (i, l)]: a square matrix stands there without transpose.

    So for any set of axes that output and input have in common, but the batch; where a translation
    stands beside the matrix, it may be right.
    """
    n = min(len(e.out_shape), len(e.shape))
    shared = [a for a in range(1, n) if e.out_shape[-a] == e.shape[-a] > 1]  # from the last one
    for axes in [c for r in (1, 2) for c in combinations(shared, r)]:
        P = e.N.reshape(*e.out_shape, *e.shape)
        for a in axes:
            P = P.swapaxes(-a, len(e.out_shape) - a)
        P = P.reshape(e.N.shape)
        yield from _elsewhere(e, "transpose", "the matrix stands there without its transpose", P)
        right = e.wrong & ~e.differs(e.A, P) & e.differs(P, 0)
        if right.sum() >= max(FEWEST, SHARE * e.wrong.sum()):
            text = f"{int(right.sum())} of {int(e.wrong.sum())} wrong entries are the transpose's"
            P = np.where(right, P, np.where(e.wrong, np.nan, e.N))
            yield Candidate("transpose", text, P, "", LIKELY)


# ------------------------------------------------------------------------------- a step away


def elements_a_step_away(e: Evidence) -> Iterator[Candidate]:
    """A[:, k] = N[:, k + d] for a step d along one axis, or the same along two."""
    axes = range(1, len(e.shape)) if len(e.shape) > 2 and not e.is_coordinates else ()
    for moved in [c for r in (1, 2) for c in combinations(axes, r)]:
        for s in STEPS:
            P = _shifted(e.N.T, e.k, e.shape, moved, s).T
            text = f"every element holds the gradient of the one {s:+d} along axes {list(moved)}"
            yield from _elsewhere(e, "off-by-one", text, P)


def outputs_a_step_away(e: Evidence) -> Iterator[Candidate]:
    """A[o] = N[o'] for other outputs, a step away: backward reads another window."""
    for axis in range(1, len(e.out_shape)):
        for s in STEPS[:2]:
            P = _shifted(e.N, e.o, e.out_shape, (axis,), s)
            P = np.where(e.wrong.any(axis=0), P, e.N)
            text = f"what is wrong has the entries of the output {s:+d} along axis {axis}"
            yield from _elsewhere(e, "off-by-one", text, P)


def _shifted(rows: Array, at: Array, shape: Sequence[int], axes: Sequence[int], step: int) -> Array:
    """Return the rows a step away along some axes, NaN where that is outside."""
    other = at.copy()
    other[:, axes] += step
    inside = ((other >= 0) & (other < shape)).all(axis=1)
    flat = np.ravel_multi_index(tuple(np.where(inside[:, None], other, 0).T), tuple(shape))
    return np.where(inside[:, None], rows[flat], np.nan)


def stride_ignored(e: Evidence) -> Iterator[Candidate]:
    """Forward's windows begin at stride times (i, j), backward's at (i, j)."""
    layouts = (slice(1, -1), slice(2, None)) if len(e.out_shape) > 2 else ()  # channels last, first
    for inner, stride in product(layouts, STRIDES) if not e.is_coordinates else ():
        other = e.o.copy()
        other[:, inner] //= stride
        P = e.N[np.ravel_multi_index(tuple(other.T), e.out_shape)]
        P[(e.o[:, inner] % stride).any(axis=1)] = np.nan  # between two of forward's windows
        text = f"output [.., i, j, ..] has the entries of output [.., i/{stride}, j/{stride}, ..]"
        yield from _elsewhere(e, "off-by-one", text, P)
        if e.is_map and e.spatial == list(range(len(e.shape)))[inner]:
            rows, columns = np.nonzero(e.N)
            at = e.k[columns]
            at[:, e.spatial] -= e.o[rows, inner] * (stride - 1)
            inside = (at >= 0).all(axis=1)
            there = np.ravel_multi_index(tuple(np.where(inside, at.T, 0)), e.shape)
            P = np.zeros_like(e.N)
            np.add.at(P, (rows, there), np.where(inside, e.N[rows, columns], 0))
            text = f"every window begins at i, j in place of {stride} i, {stride} j"
            yield from _elsewhere(e, "off-by-one", text, P)


# ---------------------------------------------------------------------------- in the window


def moved_within_the_window(e: Evidence) -> Iterator[Candidate]:
    """Every window's entries are transposed, reversed, a step away, or all at its first pixel."""
    w = e.windows
    if w is None or not e.is_map or e.has_grid or len(e.spatial) != 2:
        return
    taps = w.of(e.N)
    rows, columns = (a + 1 for a in e.spatial)
    flat = taps.reshape(len(taps), -1)
    changes = [
        ("wrong-place", "reversed", np.flip(taps, (rows, columns))),
        ("off-by-one", "a row away", np.roll(taps, 1, rows)),
        ("off-by-one", "a column away", np.roll(taps, 1, columns)),
        ("off-by-one", "a pixel away", np.roll(flat, 1, 1)),
    ]
    if taps.shape[rows] == taps.shape[columns]:
        changes.insert(0, ("hw-swapped", "transposed", taps.swapaxes(rows, columns)))
    if w.full.all() and (flat != 0).sum(axis=1).max() == 1:  # as in max pooling
        first = np.eye(flat.shape[1])[0] * flat.sum(axis=1, keepdims=True)
        changes.append(("wrong-place", "all at the first pixel", first))
    for cause, what, moved in changes:
        text = f"every window's entries are right, but {what} within the window"
        yield from _elsewhere(e, cause, text, w.jacobian(moved, len(e.k)))
