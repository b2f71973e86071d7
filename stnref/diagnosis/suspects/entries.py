"""Single entries and terms: signs, labels, round-off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stnref.diagnosis.evidence import Evidence
from stnref.diagnosis.suspects.candidate import LIKELY, POSSIBLE, Candidate, places

FLOAT32, FLOAT16 = 3e-6, 2e-3
"""Round-off of a few operations in single and in half precision, relative to the largest entry."""
FEWEST, ONE_WAY = 6, 0.1
"""Of so many rounding errors more than this share goes up, and down; those of an epsilon do not."""
SLOPES = 4
"""So many different slopes with the same A + N are no chance."""
MOST_OF_THEM = 0.7
"""The share of wrong entries with the other sign that says so of one of several terms."""


def rounded(e: Evidence) -> Iterator[Candidate]:
    """The error is noise, of the size that float32 has, or float16."""
    off, some = e.A - e.N, (e.A != e.N) & e.depends
    error = np.abs(off).max() / e.scale
    up = (off * e.N > 0)[some].sum() / max(1, some.sum())
    if error < FLOAT32 and (some.sum() < FEWEST or ONE_WAY < up < 1 - ONE_WAY):
        text = f"errors of up to {error:.1e} of the largest entry, of either sign"
        text += "; the round-off of float32 is 6e-8"
        yield Candidate("float32", text, e.N, "", LIKELY, FLOAT32)
    elif FLOAT32 < error < FLOAT16 and e.wrong.sum() >= FEWEST and _is_relative(e):
        text = f"errors of either sign, of up to {error:.0e} of the largest entry"
        yield Candidate("float32", f"{text}, as float16 makes", e.N, "", POSSIBLE, FLOAT16)


def _is_relative(e: Evidence) -> bool:
    """Whether the errors are of either sign, and of each entry's own size."""
    relative = (e.A / np.where(e.depends, e.N, 1) - 1)[e.wrong & e.depends]
    return bool(relative.min() < 0 < relative.max() and np.median(np.abs(relative)) < FLOAT16)


def signs_of_entries(e: Evidence) -> Iterator[Candidate]:
    """Some entries have the other sign, or most of those that are wrong."""
    opposite = e.wrong & ~e.differs(e.A, -e.N)
    share = opposite.sum() / max(1, e.wrong.sum())
    if share == 1:
        ins, outs = places(e.k[e.wrong.any(axis=0)]), places(e.o[e.wrong.any(axis=1)])
        text = f"the share of outputs {outs} in {ins} has the other sign"
        yield Candidate("sign", text, np.where(opposite, -e.N, e.N), ins, LIKELY)
    elif share > MOST_OF_THEM:
        text = f"{share:.0%} of the wrong entries have the other sign: one of several terms"
        yield Candidate("sign", text, e.A, "", POSSIBLE)


def sign_of_one_term(e: Evidence) -> Iterator[Candidate]:
    """The slope is c - t, backward has c + t: A + N is the same everywhere."""
    sums, slopes = (e.A + e.N)[e.wrong], np.unique(np.round(e.N[e.wrong], 9))
    if len(slopes) >= SLOPES and e.differs(sums[0], 0):
        c = sums[0] / 2
        text = f"the slope is {c:.4g} - t, backward has {c:.4g} + t"
        text += ": analytic + numeric is the same everywhere"
        yield Candidate("sign", text, np.where(e.wrong, sums[0] - e.N, e.N), "", LIKELY)


def labels(e: Evidence) -> Iterator[Candidate]:
    """Of softmax and cross-entropy N is (p - y) / B: y is not subtracted, added, or another."""
    if len(e.shape) != 2 or len(e.o) != 1:
        return
    N, B = e.N.reshape(e.shape), e.shape[0]
    y = (N < 0) * 1.0
    if e.differs(N.sum(axis=1), 0).any() or (y.sum(axis=1) != 1).any():
        return
    for s in (1, B):
        p = s * N + y
        guess = (p == p.max(axis=1, keepdims=True)) * 1.0
        mistakes = [
            ("one-hot", "the label is not subtracted", p),
            ("sign", "the label is added, not subtracted", p + y),
            ("one-hot", "one is subtracted at the largest probability", p - guess),
            ("one-hot", "one is subtracted behind the label", p - np.roll(y, 1, 1)),
            ("one-hot", "one is subtracted before the label", p - np.roll(y, -1, 1)),
            ("one-hot", "one is subtracted in whole columns", p - y.any(axis=0)),
            ("one-hot", "the label's number is subtracted", p - y.argmax(axis=1)[:, None]),
            ("path-missing", "it is zero but at the label", (p - y) * y),
        ]
        for cause, text, P in mistakes if (p > 0).all() else ():
            yield Candidate(cause, f"{text}; all else is right", P.reshape(1, -1) / s)
