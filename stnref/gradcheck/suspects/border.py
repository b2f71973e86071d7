"""At and beyond the border, and other places where the output does not depend on the input."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stnref.gradcheck.evidence import Block, Evidence, as_text
from stnref.gradcheck.pair import Mask
from stnref.gradcheck.suspects.match import Match, diagonal
from stnref.validation import Array


def beyond_the_border(e: Evidence) -> Iterator[Match]:
    """Only samples are wrong that do not read all their corners inside."""
    if e.is_splat:
        if not e.is_coordinates:
            b = e.block.transposed()
            yield from _only_incomplete(e, b, b)
        return
    if e.map_input is None or not e.has_grid:
        return
    m = e.block_of(e.map_input)
    if m.complete:
        yield from _only_incomplete(e, e.block.rows(m.outputs), m)


def _only_incomplete(e: Evidence, b: Block, m: Block) -> Iterator[Match]:
    """Look at the rows of b; m has the weights of the same samples."""
    reads = m.nonzero.sum(axis=1)
    partly = reads < reads.max(initial=0)
    wrong: Mask = np.asarray(b.wrong.any(axis=1))
    if not wrong.any() or not partly.any() or (wrong & ~partly).any() or partly.all():
        return
    number = f"{int(wrong.sum())} outputs are wrong, all of them samples that read fewer than "
    number += f"{int(reads.max())} pixels; those inside are right"
    if not b.given[wrong].any():
        yield Match("border-gradient", "", f"{number}; they get no gradient")
    elif _only_before_the_first(e, m, wrong, partly):
        evidence = f"{number}, and at the first row or column; at the last all is right"
        text = f"{evidence}: below zero, truncation is not floor"
        yield Match("off-by-one", "", text)
    elif (b.given[wrong] & ~b.nonzero[wrong]).any() or e.is_coordinates:
        outside = int((wrong & (reads == 0)).sum())
        more = f", {outside} of which read none" if outside else ""
        yield Match("outside-gradient", "", f"{number}{more}")
    elif np.allclose(b.A[wrong].sum(axis=1), 1, atol=1e-5) or _grow(b.A[wrong], b.N[wrong]):
        yield Match("outside-gradient", "", f"{number}; their weights sum to more than forward's")
    else:  # where collisions are lost, some of those samples would be right
        all_ = not (partly & b.nonzero.any(axis=1) & ~wrong).any()
        text = f"{number}; of their weights a part is lost"
        yield Match("border-gradient", "", text, 1.0 if all_ else 0.9)


def _grow(A: Array, N: Array) -> bool:
    return bool((np.abs(A).sum(axis=1) > np.abs(N).sum(axis=1)).all())


def _only_before_the_first(e: Evidence, m: Block, wrong: Mask, partly: Mask) -> bool:
    """Whether samples across the first row or column are wrong, and those across the last right."""
    if e.is_splat or e.map_input is None or m.which != e.map_input:
        return False
    axes = e.spatial_axes(m.which)
    sizes = np.array(m.shape)[axes]
    lows: list[bool] = []
    highs: list[bool] = []
    for row in np.flatnonzero(partly & m.nonzero.any(axis=1)):
        at = m.k[m.nonzero[row]][:, axes]
        cut = at.max(axis=0) == at.min(axis=0)  # one of two pixels is inside
        low, high = (cut & (at[0] == 0)).any(), (cut & (at[0] == sizes - 1)).any()
        (lows if low else highs if high else []).append(bool(wrong[row]))
    return bool(lows) and bool(highs) and all(lows) and not any(highs)


def spurious(e: Evidence) -> Iterator[Match]:
    """Gradient where the output does not depend on the element, and right elsewhere."""
    b = e.block
    extra = b.wrong & ~b.nonzero
    if not extra.any() or (b.wrong & b.nonzero).any():
        yield from _inverted_mask(e)
        return
    n = int(extra.any(axis=0).sum())
    if e.has_grid and (e.is_coordinates or e.map_input == e.which):
        yield Match(
            "outside-gradient", "", f"{n} elements get gradient that no output depends on", 0.95
        )
        return
    elementwise = b.out_shape == b.shape and not (b.nonzero & ~diagonal(b)).any()
    if b.out_shape[:1] == b.shape[:1] and (b.o[:, None, 0] != b.k[None, :, 0])[extra].any():
        return  # one sample gets another's: no unit that is off
    share = extra.any(axis=0)
    examples = ", ".join(as_text(k) for k in b.k[share][:3])
    if elementwise or len(b.out_shape) <= 2:
        evidence = f"forward is flat at {n} elements, as {examples}, and they get gradient"
        yield Match("relu-mask", "", f"{evidence}; all else is right")


def _inverted_mask(e: Evidence) -> Iterator[Match]:
    """Of an elementwise 0/1 slope: passes where it should not, blocks where it should."""
    b = e.block
    if b.out_shape != b.shape:
        return
    own = diagonal(b)
    if ((b.nonzero | b.given) & ~own).any():
        return
    n, a = b.N[own], b.A[own]
    zero_or_one = ~b.differs(n, 0 * n) | ~b.differs(n, 0 * n + 1)
    if not zero_or_one.all() or not b.differs(n, 0 * n).any():
        return
    if not b.differs(a, 1 - n).any():
        yield Match("relu-mask", "", "gradient passes where forward is flat and nowhere else")
    elif (~b.differs(a, 0 * a) | ~b.differs(a, 0 * a + 1)).all():
        share = (~b.differs(a, n)).mean()
        yield Match("relu-mask", "", f"the mask agrees with forward's in {share:.0%} of the units")
    elif not (b.differs(a, 0 * a) & ~b.differs(n, 0 * n)).any() and len(np.unique(a)) > 3:
        evidence = "where the unit is off it is zero, where it is on a number that varies, not one"
        yield Match("relu-mask", "", f"{evidence}: another array than the mask stands there")
