"""At and beyond the border, and other places where the output does not depend on the input."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stnref.diagnosis.evidence import Evidence, Mask
from stnref.diagnosis.suspects.candidate import LIKELY, Candidate, as_text
from stnref.validation import Array


def edge_gets_nothing(e: Evidence) -> Iterator[Candidate]:
    """The first or last row or column of the map receives no gradient."""
    if not e.is_map or not e.has_grid:
        return
    at, sizes = e.k[:, e.spatial], np.array(e.shape)[e.spatial]
    first, last = at == 0, at == sizes - 1
    names = ("slice", "row", "column")[-len(sizes) :]
    edges = {"outer rows and columns": (first | last).any(axis=1)}
    edges |= {"first row and column": first.any(axis=1), "last row and column": last.any(axis=1)}
    for a, name in enumerate(names):
        edges |= {f"first {name}": first[:, a], f"last {name}": last[:, a]}
        edges |= {f"first and last {name}": first[:, a] | last[:, a]}
    for name, edge in edges.items():
        if edge.any() and not edge.all():
            text = f"the pixels of the {name} get nothing, all others are right"
            yield Candidate("border-gradient", text, np.where(edge, 0, e.N))


def cut_windows_wrong(e: Evidence) -> Iterator[Candidate]:
    """Only outputs are wrong that do not read all their taps inside: those at the border."""
    if not e.has_grid or e.map is None:
        return
    if e.is_splat:
        if not e.is_coordinates:
            yield from _only_cut(e, e.N.T, e.A.T, e.wrong.T, e.depends.T)
    else:
        yield from _only_cut(e, e.N, e.A, e.wrong, e.J[e.map] != 0)


def _only_cut(e: Evidence, N: Mask, A: Mask, wrong: Mask, reads: Mask) -> Iterator[Candidate]:
    count = reads.sum(axis=1)
    cut, off = count < count.max(), wrong.any(axis=1)
    if not off.any() or cut.all() or (off & ~cut).any():
        return
    text = f"{int(off.sum())} outputs are wrong, all of them samples that read fewer than "
    text += f"{int(count.max())} pixels; those inside are right"
    given, depends = (
        e.given.T if A is not e.A else e.given,
        e.depends.T if A is not e.A else e.depends,
    )
    if not given[off].any():
        yield Candidate("border-gradient", f"{text}; they get no gradient", e.A)
    elif _before_the_first(e, off, reads):
        text += ", and at the first row or column; at the last all is right"
        yield Candidate("off-by-one", f"{text}: below zero, truncation is not floor", e.A)
    elif (given & ~depends)[off].any() or e.is_coordinates:
        outside = int((off & (count == 0)).sum())
        more = f", {outside} of which read none" if outside else ""
        yield Candidate("outside-gradient", f"{text}{more}", e.A)
    elif np.allclose(A[off].sum(axis=1), 1) or _grow(A[off], N[off]):
        text += "; their weights sum to more than forward's"
        yield Candidate("outside-gradient", text, e.A)
    else:  # where collisions are lost, some of those samples would be right
        all_ = not (cut & depends.any(axis=1) & ~off).any()
        text += "; of their weights a part is lost"
        yield Candidate("border-gradient", text, e.A, "", 1.0 if all_ else LIKELY)


def _grow(A: Array, N: Array) -> bool:
    return bool((np.abs(A).sum(axis=1) > np.abs(N).sum(axis=1)).all())


def _before_the_first(e: Evidence, wrong: Mask, reads: Mask) -> bool:
    """Whether samples across the first row or column are wrong, those across the last right."""
    w = e.windows
    if w is None or e.is_splat:
        return False
    low, high = (np.zeros(len(e.o), dtype=bool) for _ in range(2))
    inside = w.columns.reshape(-1, *w.size) >= 0
    for axis in w.axes:
        others = tuple(a + 1 for a in range(len(w.size)) if a != axis)
        along = inside.any(axis=others)  # (n_out, size)
        low |= ~along[:, 0] & along[:, -1]
        high |= along[:, 0] & ~along[:, -1]
    only_high = high & ~low
    return bool(low.any() and only_high.any() and wrong[low].all() and not wrong[only_high].any())


def gradient_where_none_is_due(e: Evidence) -> Iterator[Candidate]:
    """Samples outside give or receive gradient; all else is right."""
    extra = e.wrong & ~e.depends
    if not extra.any() or (e.wrong & e.depends).any() or not e.has_grid:
        return
    if e.is_coordinates or e.is_map:
        n = int(extra.any(axis=0).sum())
        text = f"{n} elements get gradient that no output depends on"
        yield Candidate("outside-gradient", text, e.A, "", LIKELY)


def mask_of_relu(e: Evidence) -> Iterator[Candidate]:
    """Of an elementwise function whose slope is 0 or 1 here and there, the mask is another."""
    if e.shape != e.out_shape or ((e.depends | e.given) & ~np.eye(len(e.k), dtype=bool)).any():
        return
    n, a = np.diag(e.N), np.diag(e.A)
    flat = ~e.differs(n, 0)
    examples = ", ".join(as_text(k) for k in e.k[flat][:3])
    masks = {
        f"forward is flat at {int(flat.sum())} elements, as {examples}, and they get gradient": 1
        + 0 * n,
        "gradient passes where forward is flat and nowhere else": 1 - n,
    }
    if (e.wrong & ~e.depends).any() and not (e.wrong & e.depends).any():
        yield Candidate("relu-mask", next(iter(masks)), e.A)
    if flat.any() and not e.differs(n, ~flat * 1.0).any():
        for text, mask in masks.items():
            yield Candidate("relu-mask", text, np.diag(mask))
        if not e.differs(a, np.round(np.clip(a, 0, 1))).any():
            text = f"the mask agrees with forward's in {(~e.differs(a, n)).mean():.0%} of the units"
            yield Candidate("relu-mask", text, e.A)
        elif not e.differs(a[flat], 0).any() and len(np.unique(a)) > 3:
            text = "where the unit is off it is zero, where it is on a number that varies, not one"
            yield Candidate("relu-mask", f"{text}: another array than the mask stands there", e.A)


SUSPECTS = (
    cut_windows_wrong,
    gradient_where_none_is_due,
    mask_of_relu,
    edge_gets_nothing,
)
