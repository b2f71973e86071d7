r"""Diagnosis: which mistake gives exactly what backward gave?

Every suspect below makes its mistake on purpose in the numerical Jacobian N, and looks whether the
analytic one, A, comes out. What fits to round-off in all entries is a finding. If several fit,
the first in the order of `SUSPECTS` is reported, the others are its alternatives: no
test on these inputs can tell them apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stnref.gradcheck.evidence import Evidence, as_text
from stnref.gradcheck.pair import Pair, UseError
from stnref.gradcheck.report import Finding
from stnref.gradcheck.suspects import COSTLY, SUSPECTS, Match


def diagnose(
    pair: Pair, which: int, suspects: Sequence[int], kinked: bool, rng: np.random.Generator
) -> list[Finding]:
    """Name the mistake in the gradient to one input, which is known to be wrong.

    Where elements lie on kinks the point is moved off them first; if the gradient is right there,
    the kinks are all that is wrong.
    """
    where = f"gradient of {pair.names[which]}"
    if kinked:
        try:
            pair = off_the_kinks(pair, which, rng)
        except UseError as error:  # forward is not defined there
            text = f"on a kink, and moved off it {error.where} {error.evidence}"
            return [Finding("unexplained", where, text, 0.3)]
        suspects = []
    evidence = Evidence(pair, which, suspects, rng)
    block = evidence.block
    if not block.wrong.any():
        if kinked:
            return [
                Finding(
                    "kink",
                    where,
                    f"moved off the kinks by a little, all {block.A.size} entries that were "
                    "looked at are right; on them the gradient is not between the slopes",
                )
            ]
        return [Finding("unexplained", where, "only in elements that were not found again", 0.3)]
    matches: list[Match] = []
    for suspect in SUSPECTS:
        if suspect not in COSTLY or all(match.certainty < 1 for match in matches):
            matches += suspect(evidence)
    if not matches:
        return [_unexplained(evidence, where)]
    best = max(matches, key=lambda match: match.certainty)  # the first of the most certain
    causes = [m.cause for m in matches if m.certainty == best.certainty and m.cause != best.cause]
    wrong = int(block.wrong.sum())
    confidence = best.certainty * (0.99 if wrong >= 4 else 0.9 if wrong >= 2 else 0.8)
    return [
        Finding(
            best.cause,
            f"{where}{best.where}",
            best.evidence,
            round(confidence, 2),
            tuple(dict.fromkeys(causes)),
        )
    ]


def off_the_kinks(pair: Pair, which: int, rng: np.random.Generator) -> Pair:
    """Return the pair at a point nearby, far from any kink compared with the steps."""
    x = pair.inputs[which]
    return pair.at(which, x + 0.2 * rng.uniform(0.5, 1, x.shape) * rng.choice([-1, 1], x.shape))


def _unexplained(e: Evidence, where: str) -> Finding:
    b = e.block
    row, column = np.unravel_index(np.argmax(np.abs(b.A - b.N)), b.A.shape)
    share = b.wrong.sum() / max(1, (b.nonzero | b.given).sum())
    return Finding(
        "unexplained",
        f"{where}, worst at {as_text(b.k[column])}",
        f"d out{as_text(b.o[row])} / d {e.name}{as_text(b.k[column])} is {b.N[row, column]:.6g}, "
        f"backward says {b.A[row, column]:.6g}; {share:.0%} of the entries are wrong",
        0.5,
    )
