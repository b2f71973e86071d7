"""Right values in the wrong places: exchanged, transposed, shifted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, permutations

import numpy as np

from stnref.gradcheck.evidence import Block, Evidence
from stnref.gradcheck.suspects.match import AXES, Match
from stnref.validation import Array


def exchanged(e: Evidence) -> Iterator[Match]:
    """x and y, rows and columns, a matrix and its transpose: right values, permuted."""
    if e.is_coordinates:
        yield from _components_exchanged(e)
        return
    yield from _of_another_input(e)
    yield from _matrix_transposed(e)
    for cause, what, target in _moves(e):
        if _explains_move(e.block, target):
            yield Match(cause, "", f"it is right after {what}")


def _moves(e: Evidence) -> Iterator[tuple[str, str, Array]]:
    """Yield cause, description, and for every element the flat index that its gradient went to."""
    shape = e.shape
    flat = np.arange(int(np.prod(shape))).reshape(shape)
    is_map = e.map_input == e.which
    spatial = e.spatial_axes(e.which) if is_map else []
    for order in permutations(range(len(shape))) if len(shape) <= 5 else ():
        if order == tuple(range(len(shape))):
            continue
        rows_and_columns = all(i == o or {i, o} <= set(spatial) for i, o in enumerate(order))
        cause = "hw-swapped" if is_map and rows_and_columns else "transpose"
        # As one takes the transpose, or reads transposed memory in the shape that is due.
        yield cause, f"undoing a transposition to the axes {order}", _inverse(flat, order)
        yield cause, f"transposing its axes to {order}", flat.transpose(order).ravel()
    if len(spatial) == 2:
        H, W = (shape[a] for a in spatial)
        index = list(np.indices(shape))
        n, m = index[spatial[0]], index[spatial[1]]
        for what, number in (("n H + m in place of n W + m", n * H + m), ("(m, n)", m * W + n)):
            moved = [*index]
            moved[spatial[0]], moved[spatial[1]] = number // W, number % W
            inside = number < H * W
            if what == "(m, n)":
                moved[spatial[0]], moved[spatial[1]] = m, n
                inside = (m < H) & (n < W)
            target = np.where(
                inside,
                np.ravel_multi_index(tuple(np.where(inside, x, 0) for x in moved), shape),
                -1,
            )
            yield "hw-swapped", f"reading the pixel at {what}", target.ravel()
    for axis, n in enumerate(shape):
        if n == 2 and not is_map and axis > 0:
            yield "xy-swapped", f"exchanging the two along axis {axis}", np.flip(flat, axis).ravel()
        elif n > 1:
            yield "wrong-place", f"reversing axis {axis}", np.flip(flat, axis).ravel()
    if len(shape) > 1 and shape[0] > 2:
        for step in (1, -1):
            yield "wrong-place", "moving it by one sample", np.roll(flat, step, axis=0).ravel()
    if not is_map and len(shape) >= 2 and 3 <= shape[-1] <= 8:
        for i, j in combinations(range(shape[-1]), 2):
            two = list(range(shape[-1]))
            two[i], two[j] = j, i
            yield "xy-swapped", f"exchanging [..., {i}] and [..., {j}]", flat[..., two].ravel()
    if not is_map and len(shape) == 4 and shape[0] == shape[1]:
        both = flat[::-1, ::-1].ravel()
        yield "wrong-place", "turning the filters by half a turn", both
    if not is_map and len(shape) == 2 and shape[1] % 2 == 0 and shape[1] > 2:
        # Two rows of a matrix that stand one after the other: theta, flattened.
        halves = np.roll(flat, shape[1] // 2, axis=1)
        yield "xy-swapped", "exchanging its two halves along axis 1", halves.ravel()
    if not is_map and len(shape) == 1 and shape[0] % 2 == 0:
        yield "xy-swapped", "exchanging its two halves", np.roll(flat, shape[0] // 2).ravel()
    if not is_map and shape and shape[-1] % 2 == 0 and shape[-1] > 2:
        columns = flat.reshape(-1, 2, shape[-1] // 2)
        by_columns = columns.swapaxes(1, 2).reshape(shape)
        yield "transpose", "undoing a matrix that was flattened by columns", by_columns.ravel()
        back = np.empty_like(flat.ravel())
        back[by_columns.ravel()] = flat.ravel()
        yield "transpose", "flattening its matrix by columns", back


def _inverse(flat: Array, order: Sequence[int]) -> Array:
    """Return the inverse of flat.transpose(order).ravel() as a permutation."""
    forth = flat.transpose(order).ravel()
    back = np.empty_like(forth)
    back[forth] = np.arange(len(forth))
    return back


def _explains_move(b: Block, target: Array) -> bool:
    """Whether A[:, target[k]] is the sum of N[:, k]; where not all columns are there, as far as."""
    place = np.full(int(np.prod(b.shape)), -1)
    place[b.elements] = np.arange(len(b.elements))
    goal = target[b.elements]
    column = np.where(goal >= 0, place[goal], -1)
    if b.complete and (b.nonzero[:, (goal >= 0) & (column < 0)]).any():
        return False  # it would have to stand where backward gives nothing
    P, known = np.zeros_like(b.N), np.zeros(b.N.shape[1], dtype=bool)
    np.add.at(P.T, column[column >= 0], b.N.T[column >= 0])
    known[column[column >= 0]] = True
    if b.complete:
        return b.explained_by(P)
    return (b.wrong & known).sum() >= 4 and b.explained_by(P, np.broadcast_to(known, P.shape))


def _of_another_input(e: Evidence) -> Iterator[Match]:
    """The gradient is that of another input of the same shape."""
    b = e.block
    for other, array in enumerate(e.pair.inputs):
        if other != e.which and array.shape == b.shape:
            m = e.block_of(other)
            same = np.array_equal(m.outputs, b.outputs) and np.array_equal(m.elements, b.elements)
            if same and b.explained_by(m.N):
                evidence = f"it is the gradient of {e.pair.names[other]}, returned in its place"
                yield Match("wrong-place", "", evidence)


def _matrix_transposed(e: Evidence) -> Iterator[Match]:
    """A[(i, k), (j, l)] = N[(j, k), (i, l)]: a square matrix W stands there without transpose.

    So for any set of axes that output and input have in common, but the batch.
    """
    b = e.block
    n = min(len(b.out_shape), len(b.shape))
    # The last axes of both, counted from the end.
    shared = [a for a in range(1, n) if b.out_shape[-a] == b.shape[-a] > 1]
    rows, columns = np.nonzero(b.wrong)
    for axes in [c for r in (1, 2) for c in combinations(shared, r)]:
        agree, known = 0, 0
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            o, k = b.o[row].tolist(), b.k[column].tolist()
            for a in axes:
                o[-a], k[-a] = k[-a], o[-a]
            r, c = b.row_of.get(tuple(o)), b.column_of.get(tuple(k))
            if r is not None and c is not None:
                known += 1
                agree += bool(b.nonzero[r, c] and not b.differs(b.A[row, column], b.N[r, c]))
        if agree >= 4 and agree >= 0.4 * known:  # a translation beside the matrix may not
            evidence = f"{agree} of {known} wrong entries are those of the transposed matrix"
            yield Match("transpose", "", evidence, 1.0 if agree == known else 0.9)
            return


def _components_exchanged(e: Evidence) -> Iterator[Match]:
    """A[:, x] = r N[:, y] and so on, with a factor for each component."""
    b = e.block
    d = e.shape[-1]
    for order in permutations(range(d)):
        if order == tuple(range(d)):
            continue
        there = [b.column_of.get((*k[:-1], order[k[-1]])) for k in map(tuple, b.k.tolist())]
        if any(column is None for column in there):
            continue
        N = b.N[:, np.array(there)]
        ratios = []
        for a in range(d):
            mine = b.k[:, -1] == a
            square = (N[:, mine] ** 2).sum()
            r = float((b.A[:, mine] * N[:, mine]).sum() / square) if square else 0.0
            if abs(r) < 1e-9 or b.differs(b.A[:, mine], r * N[:, mine]).any():
                break
            ratios.append(r)
        else:
            pairs = ", ".join(
                f"{AXES[a]} holds {r:.4g} times d{AXES[order[a]]}" for a, r in enumerate(ratios)
            )
            yield Match("xy-swapped", "", f"the gradient's {pairs}")


def displaced(e: Evidence) -> Iterator[Match]:
    """The right values in the wrong places."""
    b = e.block
    yield from _shifted(e)
    yield from _other_rows(e)
    yield from _columns_displaced(e)
    if not b.complete or e.map_input != e.which:
        return
    yield from _within_windows(e)
    shifts = []
    full = b.nonzero.sum(axis=1).max()
    for row in np.flatnonzero(b.wrong.any(axis=1) & (b.nonzero.sum(axis=1) == full)):
        n, a = np.flatnonzero(b.nonzero[row]), np.flatnonzero(b.given[row])
        if not len(a) or len(a) > len(n) or set(a.tolist()) <= set(n.tolist()):
            return
        if not all((~b.differs(b.N[row, n], value)).any() for value in b.A[row, a]):
            return
        shifts.append(tuple((b.k[a].min(axis=0) - b.k[n].min(axis=0)).tolist()))
    if not shifts:
        return
    axes = e.spatial_axes(e.which)
    across = np.array(shifts)[:, axes]
    along_batch = np.array(shifts)[:, 0].any()
    examples = ", ".join(f"{list(s)}" for s in sorted(set(shifts))[:3])
    evidence = f"each output's entries are right, but displaced by {examples}"
    if along_batch or _one_place_of_window(e, full):
        yield Match("wrong-place", "", evidence, 0.98)
        return
    if len(axes) == 2 and across.any() and (across.sum(axis=1) == 0).all() and len(shifts) > 2:
        yield Match(
            "hw-swapped", "", f"{evidence}: row and column in the window are exchanged", 0.98
        )
    yield Match("off-by-one", "", evidence, 0.97)


def _columns_displaced(e: Evidence) -> Iterator[Match]:
    """Each parameter's entries are right, but of a neighbouring output."""
    b = e.block
    if len(b.shape) != 2 or len(b.out_shape) != 2 or not b.wrong.any():
        return
    steps = set()
    for column in np.flatnonzero(b.wrong.any(axis=0)):
        n, a = np.flatnonzero(b.nonzero[:, column]), np.flatnonzero(b.given[:, column])
        if not len(a) or len(n) != len(a) or b.differs(b.N[n, column], b.A[a, column]).any():
            return
        steps |= {tuple(step) for step in (b.o[a] - b.o[n]).tolist()}
    if all(abs(step[1]) == 1 and step[0] == 0 for step in steps):
        evidence = f"the entries are right, but of outputs {[list(s) for s in sorted(steps)]} away"
        yield Match("off-by-one", "", evidence)


def _one_place_of_window(e: Evidence, entries: int) -> bool:
    """Whether it is always the first pixel of the window that gets what is due to another."""
    b = e.block
    if entries != 1:
        return False
    sizes = [b.shape[a] // b.out_shape[a] for a in e.spatial_axes(e.which)]
    rows = np.flatnonzero(b.given.any(axis=1))
    at = np.array([b.k[np.flatnonzero(b.given[row])[0]] for row in rows])[
        :, e.spatial_axes(e.which)
    ]
    return len(rows) > 2 and len({tuple(p) for p in (at % np.maximum(sizes, 1)).tolist()}) == 1


def _within_windows(e: Evidence) -> Iterator[Match]:
    """Every window's entries are transposed, or reversed, within the window."""
    b = e.block
    axes = e.spatial_axes(e.which)
    full = max(2, b.nonzero.sum(axis=1).max(initial=0))
    rows = np.flatnonzero(b.wrong.any(axis=1) & (b.nonzero.sum(axis=1) == full))
    if len(axes) != 2 or len(rows) < 2:
        return

    def moved(at: Array, reverse: bool) -> Array:
        start, end = at.min(axis=0), at.max(axis=0)
        other = at.copy()
        for a, c in zip(axes, axes if reverse else axes[::-1], strict=True):
            other[:, a] = (
                end[a] - (at[:, c] - start[c]) if reverse else start[a] + at[:, c] - start[c]
            )
        return other

    for reverse, cause, what in (
        (False, "hw-swapped", "transposed"),
        (True, "wrong-place", "reversed"),
    ):
        for row in rows:
            columns = np.flatnonzero(b.nonzero[row])
            there = [b.column_of.get(tuple(k)) for k in moved(b.k[columns], reverse).tolist()]
            if any(c is None for c in there):
                break
            if b.differs(b.A[row, np.array(there)], b.N[row, columns]).any():
                break
        else:
            yield Match(cause, "", f"every window's entries stand {what} within the window")


def _shifted(e: Evidence) -> Iterator[Match]:
    """A[:, k] = N[:, k + d] for a step d along one axis, or the same along two."""
    b = e.block
    if e.is_coordinates or len(b.shape) < 3:
        return
    axes = range(1, len(b.shape) - 1)
    steps = [{a: s} for a in axes for s in (1, -1, 2, -2)]
    steps += [{a: s, c: s} for a, c in combinations(axes, 2) for s in (1, -1, 2, -2)]
    for step in steps:
        there = []
        for k in b.k.tolist():
            for axis, s in step.items():
                k[axis] += s
            there.append(b.column_of.get(tuple(k), -1))
        index = np.array(there)
        known = index >= 0
        if (b.wrong & known).sum() < 2 or known.mean() < 0.4:
            continue
        P = np.where(known, b.N[:, index], 0)
        if b.explained_by(P, np.broadcast_to(known, P.shape)):
            text = ", ".join(f"{s:+d} along axis {a}" for a, s in step.items())
            yield Match("off-by-one", "", f"every element holds the gradient of the one {text}")
            return


def _other_rows(e: Evidence) -> Iterator[Match]:
    """A[o] = N[o'] for other outputs, a step or a stride away: backward reads another window."""
    b = e.block
    wrong = np.flatnonzero(b.wrong.any(axis=1))
    if len(b.out_shape) < 3 or len(wrong) < 3 or e.is_coordinates:
        return
    found = []
    for row in wrong:
        if not b.given[row].any():
            continue
        off = b.differs(b.N, b.A[row]).sum(axis=1)
        match = int(np.argmin(off))
        if off[match] == 0 and match != row:
            found.append((b.o[row], b.o[match]))
    if len(found) < max(3, 0.2 * len(wrong)):
        return
    here, there = (np.array(side) for side in zip(*found, strict=True))
    one_step = len(np.unique(there - here, axis=0)) == 1
    strides = [
        s for s in (2, 3, 4) for p, q in ((here, there), (there, here)) if _is_stride(p, q, s)
    ]
    if one_step or strides:
        share = len(found) / len(wrong)
        evidence = f"output {here[-1].tolist()} has the entries of output {there[-1].tolist()}"
        yield Match("off-by-one", "", f"{evidence}; so have {share:.0%} of those wrong", 0.9)


def _is_stride(p: Array, q: Array, stride: int) -> bool:
    """Whether q = stride * p along the axes where they differ."""
    return bool(((q == p) | (q == stride * p)).all())
