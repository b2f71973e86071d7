"""Single entries and terms: signs, labels, round-off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stnref.gradcheck.evidence import Evidence
from stnref.gradcheck.suspects.match import Match, tail


def signs(e: Evidence) -> Iterator[Match]:
    """Some entries of the Jacobian have the other sign, or one term in each of them."""
    b = e.block
    opposite = b.wrong & ~b.differs(b.A, -b.N)
    share = opposite.sum() / b.wrong.sum()
    if share == 1:
        rows = sorted({tuple(o[1:]) for o in b.o[b.wrong.any(axis=1)].tolist()})
        columns = sorted({tuple(k[1:]) for k in b.k[b.wrong.any(axis=0)].tolist()})
        outs = ", ".join(tail(row) for row in rows[:3])
        ins = ", ".join(tail(column) for column in columns[:3])
        evidence = f"the share of outputs {outs} in {ins} has the other sign"
        yield Match("sign", f", {ins}", evidence, 0.97)
    elif share > 0.7:
        evidence = f"{share:.0%} of the wrong entries have the other sign: one of several terms"
        yield Match("sign", "", evidence, 0.8)
    else:
        sums, slopes = (b.A + b.N)[b.wrong], b.N[b.wrong]
        if len(np.unique(np.round(slopes, 9))) < 4 or abs(sums[0]) < 1e-9:
            return
        if not b.differs(sums, sums[0]).any():
            evidence = f"the slope is {sums[0] / 2:.4g} - t, backward has {sums[0] / 2:.4g} + t"
            yield Match("sign", "", f"{evidence}: analytic + numeric is the same everywhere", 0.97)


def one_hot(e: Evidence) -> Iterator[Match]:
    """N's rows sum to zero, and A - N are whole multiples of 1 / B: labels, subtracted wrongly."""
    b = e.block
    if len(b.shape) != 2 or len(b.outputs) != 1 or b.A.shape[1] != np.prod(b.shape):
        return
    N, off = b.N.reshape(b.shape), (b.A - b.N).reshape(b.shape)
    if np.abs(N.sum(axis=1)).max() > 1e-6 * b.scale:
        return
    steps = off * b.shape[0]
    wrong = b.wrong.reshape(b.shape)
    if not np.allclose(steps, np.round(steps), atol=1e-5):
        return
    single = (wrong.sum(axis=1) == 1).all() and np.allclose(off[wrong], off[wrong][0], rtol=1e-6)
    times = round(float(steps[wrong][0]))
    if single and times == 2:
        evidence = f"in each row one element is off by {off[wrong][0]:.6g} = 2/{b.shape[0]}"
        yield Match("sign", "", f"{evidence}: the label is added, not subtracted")
    elif single and times == 1:
        evidence = f"in each row one element is {off[wrong][0]:.6g} = 1/{b.shape[0]} too large"
        yield Match("one-hot", "", f"{evidence}, and nothing else is wrong")
    else:
        evidence = f"the errors are whole multiples of 1/{b.shape[0]}, as labels are"
        yield Match("one-hot", "", f"{evidence}: not one at the label is what is subtracted", 0.95)


def single_precision(e: Evidence) -> Iterator[Match]:
    """The error is noise of the size that float32 has, or float16."""
    b = e.block
    error = np.abs(b.A - b.N).max() / b.scale
    if b.tolerance < error < 3e-6:
        # Rounding goes either way; a systematic error, as of a forgotten epsilon, goes one.
        relative = (b.A[b.nonzero] / b.N[b.nonzero] - 1)[np.abs(b.A - b.N)[b.nonzero] > 0]
        up = (relative > 0).mean() if len(relative) else 0.5
        if len(relative) < 6 or 0.1 < up < 0.9:
            text = f"errors of up to {error:.1e} of the largest entry, of either sign"
            yield Match("float32", "", f"{text}; the round-off of float32 is 6e-8", 0.95)
        return
    off = (b.A - b.N)[b.wrong]
    if error < 2e-3 and len(off) >= 8 and off.min() < 0 < off.max():
        evidence = f"errors of either sign, of up to {error:.0e} of the largest entry"
        yield Match("float32", "", f"{evidence}, as the rounding of float16 makes", 0.75)
