"""Sums: terms that were left out, overwritten, or never made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from stnref.gradcheck.evidence import Block, Evidence, as_text
from stnref.gradcheck.suspects.match import AXES, Match, diagonal, tail
from stnref.validation import Array


def unsummed(e: Evidence) -> Iterator[Match]:
    """Only some outputs along an axis count, or each counts as if it were the sum."""
    if not e.is_coordinates:
        yield from _unsummed(e, e.block)
        return
    for a in range(e.shape[-1]):  # x may be right where y is not
        component = e.block.part(e.block.k[:, -1] == a)
        if component.wrong.any():
            for match in _unsummed(e, component):
                yield match._replace(where=f", {AXES[a]}{match.where}")


def _unsummed(e: Evidence, b: Block) -> Iterator[Match]:
    if not b.given.any() or b.readers.max(initial=0) < 2:  # nothing to sum
        return
    mine, all_ = np.flatnonzero(b.given.any(axis=1)), np.flatnonzero(b.nonzero.any(axis=1))
    kept = np.ones(len(b.outputs), dtype=bool)
    axes = []
    for axis in range(len(b.out_shape)):
        some, every = set(b.o[mine, axis].tolist()), set(b.o[all_, axis].tolist())
        if some < every and len(some) == 1:
            kept &= np.isin(b.o[:, axis], list(some))
            axes.append((axis, some.pop()))
    if axes and b.explained_by(b.N * kept[:, None]):
        text = " and ".join(f"number {i} along axis {a}" for a, i in axes)
        evidence = f"of the outputs only {text} counts"
        cause = _sum_cause(e, [a for a, _ in axes])
        last = all(i == b.out_shape[a] - 1 for a, i in axes)
        if cause == "bias-sum" and last and len(b.shape) > 1:
            yield Match("accumulation-lost", "", f"{evidence}: the last one, which is left")
        yield Match(cause, "", evidence)
        return
    for axis in range(len(b.out_shape)):
        P = _sums_along(b, axis)
        counted = np.asarray(b.given.any(axis=1))[:, None]
        if P is not None and b.explained_by(np.where(counted, P, 0)):
            evidence = f"every output counts as if it were the sum along axis {axis} of the output"
            yield Match(_sum_cause(e, [axis]), "", evidence)


def _sums_along(b: Block, axis: int) -> Array | None:
    """For each row the sum of N over the outputs that differ from it along this axis alone."""
    own_batch = axis == 0 and b.shape[:1] == b.out_shape[:1]  # each sample has its own elements
    if b.out_shape[axis] < 2 or own_batch:
        return None
    rest = np.delete(b.o, axis, axis=1)
    _, group = np.unique(rest, axis=0, return_inverse=True)
    group = group.ravel()
    full = np.bincount(group)[group] == b.out_shape[axis]
    if (full & b.wrong.any(axis=1)).sum() < 2 or (b.wrong.any(axis=1) & ~full).any():
        return None
    sums = np.zeros((group.max() + 1, b.N.shape[1]))
    np.add.at(sums, group, b.N)
    terms = np.zeros(sums.shape, dtype=int)
    np.add.at(terms, group, b.nonzero)
    if terms.max() < 2:  # no sum at all: one output stands for another
        return None
    return np.where(full[:, None], sums[group], b.A)


def _sum_cause(e: Evidence, axes: Sequence[int]) -> str:
    """Say which sum was left out, by the axes of the output that it runs along."""
    channel = len(e.out_shape) - 1
    if e.map_input is not None and e.map_input != e.which:
        u = e.pair.inputs[e.map_input].shape
        sampled = u[-1] == e.out_shape[-1] and len(u) == len(e.out_shape)
        if e.is_coordinates or (sampled and list(axes) == [channel]):
            return "channel-sum"
    return "bias-sum"


# -------------------------------------------------------------------------------- entries lost


def lost(e: Evidence) -> Iterator[Match]:
    """Entries that are zero, or only a part of what they should be; all others are right."""
    b = e.block
    part = np.divide(b.A, b.N, out=np.zeros_like(b.A), where=b.nonzero)
    if not b.wrong.any() or (b.wrong & ((part < -1e-9) | (part > 1) | ~b.nonzero)).any():
        return
    gone = b.wrong & ~b.given
    edge = _edge_only(e, gone)
    if edge and (gone == b.wrong).all():
        yield Match("border-gradient", "", edge)
    accumulation = _not_added_up(e)
    if accumulation and not edge:
        yield Match("accumulation-lost", "", accumulation)
    if (b.wrong & b.given).any():
        return
    if _windows_cut(e, gone):
        evidence = "the last row or column of every window is not there: a range ends one early"
        yield Match("off-by-one", "", evidence)
    elif b.out_shape == b.shape and not (b.given & ~diagonal(b)).any() and _is_dense(b):
        yield Match("path-missing", "", "only the diagonal of the Jacobian is there")
    elif not edge and not accumulation:
        rows = sorted({tuple(o[1:]) for o in b.o[gone.any(axis=1)].tolist()})
        shown = ", ".join(tail(row) for row in rows[:3])
        evidence = f"outputs {shown} depend on it, their share is lost; all else is right"
        yield Match("path-missing", "", evidence, 0.9)


def _is_dense(b: Block) -> bool:
    return bool(b.nonzero.sum() > len(b.outputs))


def _not_added_up(e: Evidence) -> str:
    """Return words if what is lost belongs to elements that several outputs read.

    At the border of a map the zeros of samples outside, whose index was clipped, may be what
    overwrites: there one reader is enough.
    """
    b = e.block
    if e.map_input != e.which:
        return ""
    lossy = b.wrong.any(axis=0)
    axes = e.spatial_axes(e.which)
    at, sizes = b.k[:, axes], np.array(b.shape)[axes]
    border = ((at == 0) | (at == sizes - 1)).any(axis=1) & e.has_grid
    if (b.readers[lossy & ~border] < 2).any() or not (lossy & (b.readers > 1)).any():
        return ""
    whole = b.readers == b.nonzero.sum(axis=0)  # all readers are among the rows
    if ((b.given & b.nonzero).sum(axis=0)[lossy & ~border & whole] < 1).any():
        return ""
    pixels = ", ".join(as_text(k) for k in b.k[lossy & (b.readers > 1)][:4])
    alone = int(((b.readers == 1) & ~lossy).sum())
    return (
        f"{int(lossy.sum())} elements that several outputs read have a part of their sum only, "
        f"the first at {pixels}; the {alone} with one reader are right"
    )


def _windows_cut(e: Evidence, gone: Array) -> bool:
    """Whether in every window the entries of its last row, or column, or both are lost."""
    b = e.block
    if e.map_input != e.which or e.has_grid or e.is_splat:
        return False
    for axes in [e.spatial_axes(e.which), *([a] for a in e.spatial_axes(e.which))]:
        fits = True
        for row in np.flatnonzero(gone.any(axis=1)):
            columns = np.flatnonzero(b.nonzero[row])
            at = b.k[columns][:, axes]
            last = (at == at.max(axis=0)).any(axis=1)
            fits = fits and bool((gone[row, columns] == last).all())
        if fits and gone.any():
            return True
    return False


def _edge_only(e: Evidence, gone: Array) -> str:
    """Return words if the lost entries are those of first or last rows or columns."""
    b = e.block
    if e.map_input != e.which or not b.nonzero.any() or not e.has_grid:
        return ""
    axes = e.spatial_axes(e.which)
    at, sizes = b.k[:, axes], np.array(b.shape)[axes]
    first, last = at == 0, at == sizes - 1
    edges = {"outer rows and columns": (first | last).any(axis=1)}
    edges |= {"first row and column": first.any(axis=1), "last row and column": last.any(axis=1)}
    for a, name in enumerate(("slice", "row", "column")[-len(axes) :]):
        edges |= {f"first {name}": first[:, a], f"last {name}": last[:, a]}
        edges |= {f"first and last {name}": first[:, a] | last[:, a]}
    for name, edge in edges.items():
        if edge.any() and not edge.all() and (gone == (b.nonzero & edge)).all():
            return f"the pixels of the {name} get nothing, all others are right"
    return ""


def path(e: Evidence) -> Iterator[Match]:
    """Most of what an output depends on gets nothing: a whole branch is not there."""
    b = e.block
    gone = b.nonzero & ~b.given
    share = gone.sum() / max(1, b.nonzero.sum())
    if e.map_input != e.which or len(e.pair.inputs) < 2:
        return
    if share > 0.3 and (b.wrong & b.given).any():
        evidence = (
            f"outputs depend on {int(b.nonzero.sum())} entries, {share:.0%} of which get exactly "
            "zero: a branch of the function has no backward"
        )
        yield Match("path-missing", "", evidence, 0.8)
    elif _sparse_residual(e):
        rows = np.searchsorted(e.outputs, b.outputs)
        right = int((~e.wrong_rows()[rows] & b.nonzero.any(axis=1)).sum())
        evidence = "all is right but for pixels around one point in a row, where a part is lost"
        if right:
            evidence += f"; {right} outputs have all of theirs: collisions"
            yield Match("accumulation-lost", "", evidence, 0.8)
        else:
            yield Match("path-missing", "", f"{evidence}: the sampler's part of the sum", 0.8)


def _sparse_residual(e: Evidence) -> bool:
    """Whether rows are dense, and wrong only at pixels next to each other, at most 2 x 2."""
    b = e.block
    axes = e.spatial_axes(e.which)
    for row in np.flatnonzero(b.wrong.any(axis=1)):
        at = b.k[b.wrong[row]][:, axes]
        few = b.wrong[row].sum() <= 0.2 * max(12, b.nonzero[row].sum())
        dense = few and np.count_nonzero(e.row(int(b.outputs[row]))[e.which]) >= 12
        if (at.max(axis=0) - at.min(axis=0) > 1).any() or not dense:
            return False
    return True
