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
    yield from _last_axes_exchanged(e)
    for cause, what, target in _moves(e):
        if _explains_move(e.block, target):
            yield Match(cause, "", f"it is right after {what}")


def _moves(e: Evidence) -> Iterator[tuple[str, str, Array]]:
    """Yield cause, description, and for every element the flat index that its gradient went to."""
    shape = e.shape
    flat = np.arange(int(np.prod(shape))).reshape(shape)
    is_map = e.map_input == e.which
    spatial = e.spatial_axes(e.which) if is_map else []
    for order in permutations(range(len(shape))):
        if order == tuple(range(len(shape))) or len(shape) > 5:
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
        if n > 1:
            cause = "xy-swapped" if n == 2 and not is_map and axis > 0 else "off-by-one"
            what = f"reversing axis {axis}" if n > 2 else f"exchanging the two along axis {axis}"
            yield cause, what, np.flip(flat, axis).ravel()
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


def _last_axes_exchanged(e: Evidence) -> Iterator[Match]:
    """A[(…, j), (…, i)] = N[(…, i), (…, j)]: a square matrix W stands there without transpose."""
    b = e.block
    if not b.out_shape or len(b.shape) < 2 or b.out_shape[-1] != b.shape[-1]:
        return
    P, known = np.zeros_like(b.N), np.zeros(b.N.shape, dtype=bool)
    rows, columns = np.nonzero(b.nonzero | b.given)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        o, k = b.o[row], b.k[column]
        r = b.row_of.get((*o[:-1].tolist(), int(k[-1])))
        c = b.column_of.get((*k[:-1].tolist(), int(o[-1])))
        if r is not None and c is not None:
            P[row, column], known[row, column] = b.N[r, c], True
    if (known & b.wrong).sum() >= 2 and b.explained_by(P, known):
        evidence = "the matrix from input to output stands there as its transpose"
        yield Match("transpose", "", evidence)


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
            r = float((b.A[:, mine] * N[:, mine]).sum() / square) if square else np.nan
            if b.differs(b.A[:, mine], r * N[:, mine]).any() or abs(r) < 1e-9:
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
    if not b.complete or e.map_input != e.which:
        return
    yield from _windows_transposed(e)
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
    examples = ", ".join(f"{list(s)}" for s in sorted(set(shifts))[:3])
    evidence = f"each output's entries are right, but displaced by {examples}"
    if len(axes) == 2 and (across.sum(axis=1) == 0).all() and len(shifts) > 2:
        yield Match(
            "hw-swapped", "", f"{evidence}: row and column in the window are exchanged", 0.98
        )
    yield Match("off-by-one", "", evidence, 0.97)


def _windows_transposed(e: Evidence) -> Iterator[Match]:
    """Every window's entries are transposed within the window."""
    b = e.block
    axes = e.spatial_axes(e.which)
    if len(axes) != 2 or not b.wrong.any():
        return
    seen, full = 0, max(2, b.nonzero.sum(axis=1).max(initial=0))
    for row in np.flatnonzero(b.wrong.any(axis=1) & (b.nonzero.sum(axis=1) == full)):
        columns = np.flatnonzero(b.nonzero[row])
        at = b.k[columns]
        start, end = at.min(axis=0), at.max(axis=0)
        if (end - start)[axes[0]] != (end - start)[axes[1]]:
            continue  # cut off at the border
        other = at.copy()
        other[:, axes[0]] = start[axes[0]] + at[:, axes[1]] - start[axes[1]]
        other[:, axes[1]] = start[axes[1]] + at[:, axes[0]] - start[axes[0]]
        there = [b.column_of.get(tuple(k)) for k in other.tolist()]
        if (
            any(c is None for c in there)
            or b.differs(b.A[row, np.array(there)], b.N[row, columns]).any()
        ):
            return
        seen += 1
    if seen >= 2:
        yield Match("hw-swapped", "", "every window's entries stand transposed within the window")


def _shifted(e: Evidence) -> Iterator[Match]:
    """A[:, k] = N[:, k + d] for a step d along one axis, or the same along two."""
    b = e.block
    if e.is_coordinates or len(b.shape) < 3:
        return
    start = 1 if len(b.shape) > 2 else 0
    axes = range(start, len(b.shape) - (len(b.shape) > 2))
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
    """A[o] = N[o'] for other outputs: backward reads another window than forward."""
    b = e.block
    wrong = np.flatnonzero(b.wrong.any(axis=1))
    if len(b.out_shape) < 3 or len(wrong) < 3:
        return
    found = []
    for row in wrong:
        if not b.given[row].any():
            continue
        off = b.differs(b.N, b.A[row]).sum(axis=1)
        match = int(np.argmin(off))
        if off[match] == 0 and match != row:
            found.append((b.o[row].tolist(), b.o[match].tolist()))
    if len(found) >= max(3, 0.2 * len(wrong)):
        (o, other), share = found[-1], len(found) / len(wrong)
        yield Match(
            "off-by-one",
            "",
            f"output {o} has the entries of output {other}; so have {share:.0%} of those wrong",
            0.9,
        )
