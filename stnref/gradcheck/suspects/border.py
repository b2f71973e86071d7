"""At and beyond the border, and other places where the output does not depend on the input."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stnref.gradcheck.evidence import Evidence, as_text
from stnref.gradcheck.suspects.match import Match, diagonal


def beyond_the_border(e: Evidence) -> Iterator[Match]:
    """Only samples are wrong that do not read all their corners inside."""
    if e.map_input is None or not e.has_grid:
        return
    b, m = e.block, e.block_of(e.map_input)
    if not m.complete or len(m.outputs) != len(b.outputs):
        return
    reads = m.nonzero.sum(axis=1)
    partly = reads < reads.max(initial=0)
    wrong = b.wrong.any(axis=1)
    if not wrong.any() or not partly.any() or (wrong & ~partly).any() or partly.all():
        return
    number = f"{int(wrong.sum())} outputs are wrong, all of them samples that read fewer than "
    number += f"{int(reads.max())} pixels; those inside are right"
    if not b.given[wrong].any():
        yield Match("border-gradient", "", f"{number}; they get no gradient")
    elif (b.given[wrong] & ~b.nonzero[wrong]).any() or e.is_coordinates:
        outside = int((wrong & (reads == 0)).sum())
        more = f", {outside} of which read none" if outside else ""
        yield Match("outside-gradient", "", f"{number}{more}")
    elif (np.abs(b.A[wrong]).sum(axis=1) > np.abs(b.N[wrong]).sum(axis=1)).all():
        yield Match("outside-gradient", "", f"{number}; their weights sum to more than forward's")
    else:  # where collisions are lost, some of those samples would be right
        all_ = not (partly & b.nonzero.any(axis=1) & ~wrong).any()
        text = f"{number}; of their weights a part is lost"
        yield Match("border-gradient", "", text, 1.0 if all_ else 0.9)


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
    share = extra.any(axis=0)
    examples = ", ".join(as_text(k) for k in b.k[share][:3])
    if elementwise or len(b.out_shape) <= 2:
        evidence = f"forward is flat at {n} elements, as {examples}, and they get gradient"
        yield Match("relu-mask", "", f"{evidence}; all else is right")
    elif len(b.out_shape) == len(b.shape) == 4:
        evidence = f"{n} elements that no output depends on, as {examples}, get gradient"
        yield Match("off-by-one", "", evidence, 0.6)


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
