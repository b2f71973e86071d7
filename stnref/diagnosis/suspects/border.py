"""At and beyond the border, and other places where the output does not depend on the input."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stnref.diagnosis.evidence import Evidence, Mask
from stnref.diagnosis.suspects.candidate import CERTAIN, LIKELY, Candidate, places

VALUES = 4
"""So many different values are no mask of zeros and ones."""


def edge_gets_nothing(e: Evidence) -> Iterator[Candidate]:
    """The first or last row or column of the map receives no gradient."""
    if not e.is_map or not e.has_grid:
        return
    at, last = e.k[:, e.spatial], np.array(e.shape)[e.spatial] - 1
    names = ("slice", "row", "column")[-len(last) :]
    ends = {"first": at == 0, "last": at == last, "first and last": (at == 0) | (at == last)}
    edges = {f"{end} {' and '.join(names)}": mask.any(axis=1) for end, mask in ends.items()}
    edges |= {f"{end} {n}": mask[:, a] for end, mask in ends.items() for a, n in enumerate(names)}
    for name, edge in edges.items():
        text = f"the pixels of the {name} get nothing, all others are right"
        yield Candidate("border-gradient", text, np.where(edge, 0, e.N))


def cut_windows_wrong(e: Evidence) -> Iterator[Candidate]:
    """Only outputs are wrong that do not read all their taps inside: those at the border."""
    if not e.has_grid or e.map is None or (e.is_splat and e.is_coordinates):
        return
    arrays = e.N, e.A, e.wrong, e.given, e.depends
    N, A, wrong, given, depends = (a.T for a in arrays) if e.is_splat else arrays
    count = (depends if e.is_splat else e.J[e.map] != 0).sum(axis=1)
    cut, off = count < count.max(), np.any(wrong, axis=1)
    if cut.all() or (off & ~cut).any():
        return
    text = f"{int(off.sum())} outputs are wrong, all of them samples that read fewer than "
    text += f"{int(count.max())} pixels; those inside are right"
    cause, why, certainty = "border-gradient", "of their weights a part is lost", LIKELY
    if not given[off].any():
        why, certainty = "they get no gradient", CERTAIN
    elif _before_the_first(e, off):
        cause, certainty = "off-by-one", CERTAIN
        why = "they are at the first row or column: below zero, truncation is not floor"
    elif (given & ~depends)[off].any() or e.is_coordinates:
        cause, certainty = "outside-gradient", CERTAIN
        why = f"{int((off & (count == 0)).sum())} of them read none"
    elif np.allclose(A[off].sum(axis=1), 1) or (np.abs(A) > np.abs(N))[off].any(axis=1).all():
        cause, why, certainty = (
            "outside-gradient",
            "their weights sum to more than forward's",
            CERTAIN,
        )
    yield Candidate(cause, f"{text}; {why}", e.A, "", certainty)


def _before_the_first(e: Evidence, wrong: Mask) -> bool:
    """Whether samples across the first row or column are wrong, those across the last right."""
    w = e.windows
    if w is None or e.is_splat:
        return False
    inside = w.columns.reshape(-1, *w.size) >= 0
    taps = tuple(range(1, inside.ndim - 1))
    first, last = (
        np.array([np.any(inside.take(i, a + 1), axis=taps) for a in w.axes]) for i in (0, -1)
    )
    low = np.any(last & ~first, axis=0)
    high = np.any(first & ~last, axis=0) & ~low
    return bool(low.any() and high.any() and wrong[low].all() and not wrong[high].any())


def gradient_where_none_is_due(e: Evidence) -> Iterator[Candidate]:
    """Samples outside give or receive gradient; all else is right."""
    extra = e.wrong & ~e.depends
    if not extra.any() or (e.wrong & e.depends).any() or not e.has_grid:
        return
    if e.is_coordinates or e.is_map:
        n = int(extra.any(axis=0).sum())
        text = f"{n} elements get gradient that no output depends on"
        yield Candidate("outside-gradient", text, e.A, "", LIKELY)


def flat_units_get_gradient(e: Evidence) -> Iterator[Candidate]:
    """No output depends on some elements, as behind a unit that is off, and they get gradient."""
    extra, dead = e.wrong & ~e.depends, ~e.depends.any(axis=0)
    if not e.has_grid and len(e.out_shape) <= 2 and not (e.wrong & e.depends).any() and extra.any():
        text = f"forward is flat at {int(dead.sum())} elements, as {places(e.k[dead])}"
        yield Candidate("relu-mask", f"{text}, and gradient passes where it is flat", e.A)


def mask_of_relu(e: Evidence) -> Iterator[Candidate]:
    """Of an elementwise function whose slope is 0 or 1 here and there, the mask is another."""
    if e.shape != e.out_shape or ((e.depends | e.given) & ~np.eye(len(e.k), dtype=bool)).any():
        return
    n, a = np.diag(e.N), np.diag(e.A)
    flat, wrong = ~e.differs(n, 0), e.differs(a, n)
    where = f"{int(flat.sum())} elements, as {places(e.k[flat])}"
    text = ""
    if not wrong[~flat].any():
        text = f"forward is flat at {where}, and they get gradient"
    elif flat.any() and not e.differs(n, ~flat * 1.0).any():
        if not e.differs(a, 1 - n).any():
            text = f"gradient passes where forward is flat, at {where}, and nowhere else"
        elif not e.differs(a, np.round(np.clip(a, 0, 1))).any():
            text = f"the mask agrees with forward's in {(~wrong).mean():.0%} of the units"
        elif not wrong[flat].any() and len(np.unique(a)) >= VALUES:
            text = "where the unit is on stands a number that varies, not one: another array"
    if text:
        yield Candidate("relu-mask", text, e.A)
