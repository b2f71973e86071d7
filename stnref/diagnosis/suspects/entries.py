"""Single entries and terms: signs, labels, round-off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stnref.diagnosis.evidence import Evidence
from stnref.diagnosis.suspects.candidate import LIKELY, POSSIBLE, Candidate

FLOAT32, FLOAT16 = 3e-6, 2e-3
"""Round-off of a few operations in single and in half precision, relative to the largest entry."""
FEWEST = 6
"""Errors of which some ought to go up and some down."""
MOST_OF_THEM = 0.7
"""The share of wrong entries with the other sign that says so of one of several terms."""


def rounded(e: Evidence) -> Iterator[Candidate]:
    """The error is noise, of the size that float32 has, or float16."""
    off, some = e.A - e.N, (e.A != e.N) & e.depends
    error = np.abs(off).max() / e.scale
    up = (off * e.N > 0)[some].sum() / max(1, some.sum())  # as of an epsilon, all one way
    if error < FLOAT32 and (some.sum() < FEWEST or 0.1 < up < 0.9):
        text = f"errors of up to {error:.1e} of the largest entry, of either sign"
        text += "; the round-off of float32 is 6e-8"
        yield Candidate("float32", text, e.N, "", LIKELY, FLOAT32)
    elif FLOAT32 < error < FLOAT16 and e.wrong.sum() >= FEWEST and 0 < up < 1:
        text = f"errors of either sign, of up to {error:.0e} of the largest entry"
        yield Candidate("float32", f"{text}, as float16 makes", e.N, "", POSSIBLE, FLOAT16)


def signs_of_entries(e: Evidence) -> Iterator[Candidate]:
    """Some entries have the other sign, or most of those that are wrong."""
    opposite = e.wrong & ~e.differs(e.A, -e.N)
    share = opposite.sum() / e.wrong.sum()
    if share == 1:
        ins, outs = _tails(e.k[e.wrong.any(axis=0)]), _tails(e.o[e.wrong.any(axis=1)])
        text = f"the share of outputs {outs} in {ins} has the other sign"
        yield Candidate("sign", text, np.where(opposite, -e.N, e.N), ins, LIKELY)
    elif share > MOST_OF_THEM:
        text = f"{share:.0%} of the wrong entries have the other sign: one of several terms"
        yield Candidate("sign", text, e.A, "", POSSIBLE)


def _tails(at: np.ndarray) -> str:
    """Write a few indices without their first axis, the batch."""
    tails = np.unique(at[:, 1:], axis=0).tolist()[:3]
    return ", ".join(f"[{', '.join(['...', *map(str, t)])}]" for t in tails)


def sign_of_one_term(e: Evidence) -> Iterator[Candidate]:
    """The slope is c - t, backward has c + t: A + N is the same everywhere."""
    sums = (e.A + e.N)[e.wrong]
    if len(np.unique(np.round(e.N[e.wrong], 9))) > 3 and abs(sums[0]) > 1e-9:
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
    if np.abs(N.sum(axis=1)).max() > 1e-6 * e.scale or (y.sum(axis=1) != 1).any():
        return
    for s in (1, B):
        p = s * N + y
        guess = (p == p.max(axis=1, keepdims=True)) * 1.0
        mistakes = [
            ("one-hot", "the label is not subtracted", p),
            ("sign", "the label is added, not subtracted", p + y),
            ("one-hot", "one is subtracted at the largest probability", p - guess),
            *(
                ("one-hot", "one is subtracted beside the label", p - np.roll(y, r, 1))
                for r in (1, -1)
            ),
            ("one-hot", "one is subtracted in whole columns", p - y.any(axis=0)),
            ("one-hot", "the label's number is subtracted", p - y.argmax(axis=1)[:, None]),
            ("path-missing", "it is zero but at the label", (p - y) * y),
        ]
        for cause, text, P in mistakes if (p > 0).all() else ():
            yield Candidate(cause, f"{text}; all else is right", P.reshape(1, -1) / s)
