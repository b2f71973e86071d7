"""Sums: terms that were left out, overwritten, or never made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from stnref.diagnosis.evidence import Evidence, Mask
from stnref.diagnosis.suspects.candidate import LIKELY, POSSIBLE, Candidate, as_text

FEW_OF_A_ROW = 0.2
"""What a sampler reads is at most this share of what a dense layer reads."""
A_BRANCH = 0.3
"""A branch that is forgotten leaves at least this share of the entries at zero."""


def _cause(e: Evidence, axis: int) -> str:
    """Say which sum was left out, by the axis of the output that it runs along."""
    sampled = e.map is not None and not e.is_map and e.has_grid
    return "channel-sum" if (e.is_coordinates and sampled) or _is_channel(e, axis) else "bias-sum"


def _is_channel(e: Evidence, axis: int) -> bool:
    """Whether the output's axis is one that a sampled map has too, and that it does not move."""
    if e.map is None or e.is_map or axis == 0:
        return False
    ndim = e.problem.inputs[e.map].ndim
    return ndim == len(e.out_shape) and axis not in e.spatial and len(e.spatial) == ndim - 2 > 1


def only_one_counts(e: Evidence) -> Iterator[Candidate]:
    """Of the outputs only one along an axis, or along several, counts."""
    kept = np.ones(len(e.o), dtype=bool)
    counted, there = e.given.any(axis=1), e.depends.any(axis=1)
    axes = []
    for axis in range(len(e.out_shape)):
        some, every = (np.unique(e.o[rows, axis]) for rows in (counted, there))
        if len(some) == 1 and len(every) > 1 and _is_summed(e, axis):
            kept &= e.o[:, axis] == some[0]
            axes.append((axis, int(some[0])))
    if not axes:
        return
    text = " and ".join(f"number {i} along axis {axis}" for axis, i in axes)
    cause, P = _cause(e, axes[-1][0]), e.N * kept[:, None]
    if (
        all(i == e.out_shape[axis] - 1 for axis, i in axes)
        and len(e.shape) > 1
        and cause == "bias-sum"
    ):
        yield Candidate("accumulation-lost", f"of the outputs only the last, {text}, is left", P)
    yield Candidate(cause, f"of the outputs only {text} counts", P)


def _is_summed(e: Evidence, axis: int) -> bool:
    """Whether an element is read by several outputs along the axis."""
    others = tuple(a for a in range(len(e.out_shape)) if a != axis)
    read = e.depends.reshape(*e.out_shape, -1).any(axis=others)  # (n along the axis, elements)
    return bool(read.sum(axis=0).max() > 1)


def every_one_is_the_sum(e: Evidence) -> Iterator[Candidate]:
    """Every output counts as if it were the sum along an axis."""
    tensor = e.N.reshape(*e.out_shape, -1)
    for axis, n in enumerate(e.out_shape):
        own_batch = axis == 0 and e.shape[:1] == e.out_shape[:1]  # each has its own elements
        terms = (tensor != 0).sum(axis=axis).max()
        if n > 1 and not own_batch and terms > 1:
            sums = np.broadcast_to(tensor.sum(axis=axis, keepdims=True), tensor.shape)
            P = sums.reshape(e.N.shape) * e.given.any(axis=1)[:, None]
            text = f"every output counts as if it were the sum along axis {axis} of the output"
            yield Candidate(_cause(e, axis), text, P)


def component_not_summed(e: Evidence) -> Iterator[Candidate]:
    """The same for one coordinate, where the others are right."""
    if not e.is_coordinates:
        return
    for axis, n in enumerate(e.out_shape):
        for i in {0, n - 1} if n > 1 else ():
            for a in range(e.shape[-1]):
                own = e.k[:, -1] == a
                P = e.N.copy()
                P[np.ix_(e.o[:, axis] != i, own)] = 0
                if e.wrong[:, own].any() and not e.wrong[:, ~own].any():
                    text = f"of the outputs only number {i} along axis {axis} counts"
                    yield Candidate(_cause(e, axis), text, P, "xyz"[a])


# -------------------------------------------------------------------------- entries lost


def _lost(e: Evidence) -> Mask | None:
    """Return which entries are lost, wholly or in part, if that is all that is wrong."""
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.where(e.depends, e.A / e.N, 0)
    only = e.given.any() and not (e.wrong & ((part < -1e-9) | (part > 1) | ~e.depends)).any()
    return e.wrong if only else None


def written_over(e: Evidence) -> Iterator[Candidate]:
    """Elements that several outputs read keep a part of their sum, those with one reader all.

    At the border of a map the zeros of samples outside, whose index was clipped, may be what is
    left: there one reader is enough.
    """
    lost = _lost(e)
    if lost is None or not (e.is_map or e.is_splat) or e.is_coordinates:
        return
    readers, lossy = e.depends.sum(axis=0), lost.any(axis=0)
    border = _at_border(e) if e.has_grid else np.zeros(len(e.k), dtype=bool)
    inner = lossy & ~border
    alone = int(((readers == 1) & ~lossy).sum())
    kept = (e.given & e.depends).sum(axis=0)
    if not (lossy & (readers > 1)).any() or (readers[inner] < 2).any() or (kept[inner] < 1).any():
        return
    pixels = ", ".join(as_text(k) for k in e.k[lossy & (readers > 1)][:4])
    text = (
        f"{int(lossy.sum())} elements that several outputs read have a part of their sum only, "
        f"the first at {pixels}; the {alone} with one reader are right"
    )
    yield Candidate("accumulation-lost", text, np.where(lost, e.A, e.N), "", LIKELY)


def _at_border(e: Evidence) -> Mask:
    at, sizes = e.k[:, e.spatial], np.array(e.shape)[e.spatial]
    return np.asarray(((at == 0) | (at == sizes - 1)).any(axis=1))


def window_ends_early(e: Evidence) -> Iterator[Candidate]:
    """The last row, column, or both, of every window is not there: a range ends one early."""
    w = e.windows
    if w is None or not e.is_map or (e.has_grid and max(w.size) == 2):
        return
    axes = [a for a in e.spatial if w.size[a] > 1]
    for cut in [c for r in range(1, len(axes) + 1) for c in combinations(axes, r)]:
        taps = w.of(e.N)
        for axis in cut:
            taps.swapaxes(1, axis + 1)[:, -1] = 0
        text = f"the last of every window along axes {list(cut)} is not there"
        yield Candidate("off-by-one", text, w.jacobian(taps, len(e.k)))


def only_the_diagonal(e: Evidence) -> Iterator[Candidate]:
    """Of a dense Jacobian only the elements' own outputs are there."""
    if e.shape == e.out_shape and e.depends.sum() > len(e.o):
        P = np.diag(np.diag(e.N))
        yield Candidate("path-missing", "only the diagonal of the Jacobian is there", P)


def term_forgotten(e: Evidence) -> Iterator[Candidate]:
    """Of an element's sum some terms are lost, the same in every sample; the others are right."""
    lost = _lost(e)
    if lost is None or (lost & e.given).any() or e.is_map:
        return
    B = e.out_shape[0] if e.out_shape else 1
    samples = (
        B,
        -1,
        B if e.shape[:1] == (B,) else 1,
        max(1, len(e.k) // (B if e.shape[:1] == (B,) else 1)),
    )
    n_lost, n = (mask.reshape(samples).sum(axis=(0, 2)) for mask in (lost, e.depends))
    always = np.broadcast_to((n_lost == n) & (n > 1), lost.reshape(samples).swapaxes(1, 2).shape)
    always = always.swapaxes(1, 2).reshape(lost.shape)
    if (e.given.any(axis=0) | ~lost.any(axis=0)).all():
        outputs = np.unique(e.o[lost.any(axis=1)][:, 1:], axis=0).tolist()[:3]
        shown = ", ".join(f"[{', '.join(['...', *map(str, o)])}]" for o in outputs)
        text = f"outputs {shown} depend on it, their share is lost; all else is right"
        yield Candidate("path-missing", text, np.where(always, 0, e.N), "", POSSIBLE)


def branch_forgotten(e: Evidence) -> Iterator[Candidate]:
    """Most of what an output depends on gets nothing: a whole branch is not there."""
    share = (e.depends & ~e.given).sum() / max(1, e.depends.sum())
    if e.is_map and len(e.problem.inputs) > 1 and share > A_BRANCH and (e.wrong & e.given).any():
        text = (
            f"{share:.0%} of the entries that outputs depend on are zero: a branch has no backward"
        )
        yield Candidate("path-missing", text, e.A, "", POSSIBLE)


def sampled_part_lost(e: Evidence) -> Iterator[Candidate]:
    """Dense rows are right but for the pixels around one point: what the sampler reads is lost."""
    wrong = e.wrong.any(axis=1)
    if not e.is_map or len(e.problem.inputs) < 2 or not wrong.any():
        return
    few = e.wrong.sum(axis=1) <= FEW_OF_A_ROW * np.maximum(12, e.depends.sum(axis=1))
    reads = e.wrong.reshape(len(e.o), *e.shape)
    for axis in e.spatial:
        along = reads.any(axis=tuple(a + 1 for a in range(len(e.shape)) if a != axis))
        extent = along.shape[1] - along[:, ::-1].argmax(axis=1) - along.argmax(axis=1)
        few &= extent <= 2
    if not few[wrong].all() or (e.given.sum(axis=1) < 12)[wrong].any():
        return
    text = "all is right but for pixels around one point in a row, where a part is lost"
    right = int((~wrong & e.depends.any(axis=1)).sum())
    if right:
        text += f"; {right} outputs have all of theirs: collisions"
        yield Candidate("accumulation-lost", text, e.A, "", POSSIBLE)
    else:
        yield Candidate("path-missing", f"{text}: the sampler's part of the sum", e.A, "", POSSIBLE)


SUSPECTS = (
    only_one_counts,
    every_one_is_the_sum,
    component_not_summed,
    window_ends_early,
    written_over,
    only_the_diagonal,
    term_forgotten,
    branch_forgotten,
    sampled_part_lost,
)
