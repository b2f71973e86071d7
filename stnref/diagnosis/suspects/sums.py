"""Sums: terms that were left out, overwritten, or never made."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from stnref.diagnosis.evidence import Evidence, Mask
from stnref.diagnosis.suspects.candidate import AXES, LIKELY, POSSIBLE, Candidate, places
from stnref.diagnosis.windows import windows_of

FEW_OF_A_ROW = 0.2
"""What a sampler reads is at most this share of what a dense layer reads."""
DENSE = 12
"""A dense row gives gradient to at least so many elements."""
A_BRANCH = 0.3
"""A branch that is forgotten leaves at least this share of the entries at zero."""


def _cause(e: Evidence, axis: int) -> str:
    """Say which sum was left out, by the axis of the output that it runs along."""
    if e.map is None or e.is_map:
        return "bias-sum"
    ndim = e.problem.inputs[e.map].ndim
    sampled = ndim == len(e.out_shape) and len(e.spatial) == ndim - 2 > 1
    is_channel = sampled and axis not in (0, *e.spatial)
    return "channel-sum" if is_channel or (e.is_coordinates and e.has_grid) else "bias-sum"


def only_one_counts(e: Evidence) -> Iterator[Candidate]:
    """Of the outputs only one along an axis, or along several, counts, for some components."""
    own = np.ones(len(e.k), dtype=bool)
    if e.shape and not e.is_map:  # the components that are wrong: x may be right where y is not
        own = np.isin(e.k[:, -1], e.k[e.wrong.any(axis=0), -1])
    counted = e.o[e.given[:, own].any(axis=1)]
    right = own if own.all() else ~own  # if these are not summed, it is not a sum that was cut
    summed = [a for a in range(len(e.out_shape)) if _is_summed(e, a, right)]
    axes = [a for a in summed if len(counted) and np.ptp(counted[:, a]) == 0]
    if axes:
        only = counted[0, axes]
        text = " and ".join(f"number {i} along axis {a}" for a, i in zip(axes, only, strict=True))
        text = f"of the outputs only {text} counts"
        cause, lost = _cause(e, axes[-1]), (e.o[:, axes] != only).any(axis=1)[:, None]
        where = "" if own.all() else f"[..., {np.unique(e.k[own, -1]).tolist()}]"
        if e.is_coordinates and where:
            where = " and ".join(AXES[c] for c in np.unique(e.k[own, -1]))
        P = np.where(lost & own, 0, e.N)
        if (
            cause == "bias-sum"
            and len(e.shape) > 1
            and (only == np.array(e.out_shape)[axes] - 1).all()
        ):
            yield Candidate("accumulation-lost", f"{text}: the last, which is left", P, where)
        yield Candidate(cause, text, P, where)


def _is_summed(e: Evidence, axis: int, columns: Mask | slice = slice(None)) -> bool:
    """Whether one of these elements is read by several outputs along the axis."""
    others = tuple(a for a in range(len(e.out_shape)) if a != axis)
    read = e.depends[:, columns].reshape(*e.out_shape, -1).any(axis=others)  # (axis, elements)
    return bool(read.sum(axis=0).max() > 1)


def every_one_is_the_sum(e: Evidence) -> Iterator[Candidate]:
    """Every output counts as if it were the sum along an axis."""
    tensor = e.N.reshape(*e.out_shape, -1)
    for axis in range(len(e.out_shape)):
        own_batch = axis == 0 and e.shape[:1] == e.out_shape[:1]  # each has its own elements
        if not own_batch and _is_summed(e, axis):
            sums = np.broadcast_to(tensor.sum(axis=axis, keepdims=True), tensor.shape)
            P = sums.reshape(e.N.shape) * np.any(e.given, axis=1)[:, None]
            text = f"every output counts as if it were the sum along axis {axis} of the output"
            yield Candidate(_cause(e, axis), text, P)


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
    if lost is None or e.is_coordinates or not e.is_map or e.is_splat:
        return
    readers, lossy = e.depends.sum(axis=0), lost.any(axis=0)
    shared, alone = lossy & (readers > 1), (readers == 1) & ~lossy
    kept = e.given & e.depends
    if e.has_grid:
        at, end = e.k[:, e.spatial], np.array(e.shape)[e.spatial] - 1
        lossy = lossy & ~((at == 0) | (at == end)).any(axis=1)
    # A pass over the outputs leaves the last one that reads an element, one over taps the first.
    others = [np.cumsum(e.depends[::s], axis=0)[::s] > 1 for s in (1, -1)]
    in_turn = any((kept | ~e.depends | other)[:, lossy].all() for other in others)
    partly = shared.any() and (shared & kept.any(axis=0))[lossy].all()
    if partly and (alone.any() or in_turn):
        text = "elements that several outputs read have a part of their sum only, as "
        text += f"{places(e.k[shared])}; {int(alone.sum())} with one reader are right"
        yield Candidate("accumulation-lost", text, np.where(lost, e.A, e.N), "", LIKELY)


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


def direct_path_forgotten(e: Evidence) -> Iterator[Candidate]:
    """Of a sum x + f(x) the x is forgotten; or of a dense Jacobian all but the diagonal."""
    if e.shape == e.out_shape and e.depends.sum() > len(e.o):
        one = np.eye(len(e.o))
        yield Candidate("path-missing", "the input itself, added to the output, is lost", e.N - one)
        yield Candidate("path-missing", "only the diagonal of the Jacobian is there", e.N * one)


def term_forgotten(e: Evidence) -> Iterator[Candidate]:
    """Of an element's sum some terms are lost, the same in every sample; the others are right."""
    lost = _lost(e)
    if lost is None or e.is_map or (lost & e.given).any():
        return
    if (lost.any(axis=0) & ~e.given.any(axis=0)).any():  # a component, not a term
        return
    B = e.out_shape[0] if e.out_shape else 1
    own = B if e.shape[:1] == (B,) else 1  # samples of the input: parameters have none
    samples = (B, len(e.o) // B, own, len(e.k) // own)
    n_lost, n = (mask.reshape(samples).sum(axis=(0, 2)) for mask in (lost, e.depends))
    always = np.tile((n_lost == n) & (n > 1), (B, own))
    text = f"outputs {places(e.o[lost.any(axis=1)])} depend on it, their share is lost"
    yield Candidate("path-missing", text, np.where(always, 0, e.N), "", POSSIBLE)


def branch_forgotten(e: Evidence) -> Iterator[Candidate]:
    """Most of what an output depends on gets nothing: a whole branch is not there."""
    share = (e.depends & ~e.given).sum() / max(1, e.depends.sum())
    partly = (e.wrong & e.given).any() and not (e.given & ~e.depends).any()
    if e.is_map and len(e.J) > 1 and share > A_BRANCH and partly:
        text = f"{share:.0%} of what outputs depend on gets zero: a branch has no backward"
        yield Candidate("path-missing", text, e.A, "", POSSIBLE)


def sampled_part_lost(e: Evidence) -> Iterator[Candidate]:
    """Dense rows are right but for the pixels around one point: what the sampler reads is lost."""
    wrong = e.wrong.any(axis=1)
    if not e.is_map or len(e.J) < 2 or e.windows is not None:
        return
    extents = np.array(windows_of(e.wrong[wrong], e.shape).size)[e.spatial]
    dense = (e.given.sum(axis=1) >= DENSE)[wrong]
    few = (e.wrong.sum(axis=1) <= FEW_OF_A_ROW * np.maximum(DENSE, e.depends.sum(axis=1)))[wrong]
    if (extents <= 2).all() and dense.all() and few.all():
        text = "all is right but for pixels around one point in a row, where a part is lost"
        right = int((~wrong & e.depends.any(axis=1)).sum())
        cause, more = "path-missing", "the sampler's part of the sum"
        if right:
            cause, more = "accumulation-lost", f"{right} outputs have all of theirs, so collisions"
        yield Candidate(cause, f"{text}: {more}", e.A, "", POSSIBLE)
