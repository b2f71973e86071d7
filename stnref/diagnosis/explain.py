"""Explain: which mistake gives exactly what backward gave?

Every suspect makes its mistake on purpose in the numerical Jacobian N; if the analytic one, A,
comes out, in all entries to round-off, it is a finding. How certain it is, is decided here for all
of them: few or equal entries say little, and where two mistakes give the same on these inputs no
test can tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from stnref.diagnosis.causes import CAUSES
from stnref.diagnosis.evidence import Evidence
from stnref.diagnosis.suspects import COSTLY, SUSPECTS, Candidate, Suspect
from stnref.diagnosis.suspects.candidate import CERTAIN, as_text
from stnref.diagnosis.suspects.factors import nothing_comes_back
from stnref.gradcheck import Finding, Jacobians, Problem, UseError, jacobians
from stnref.gradcheck.shrink import share_wrong, shrink

COUNTS = ((8, 0.99), (4, 0.95), (2, 0.85), (1, 0.7))
"""With so many different wrong entries explained, at most so certain."""
AMBIGUOUS = 0.9
"""At most so certain where another mistake gives the same, or where some entries are open."""
UNEXPLAINED, UNSEEN = 0.5, 0.3
"""Certainty of "unexplained": with an entry that is wrong to begin with, and without one."""
OFF_THE_KINKS = 0.1, 0.2
"""By how much elements are moved to get off kinks: far compared with the steps."""


def explain(
    problem: Problem,
    which: int,
    whole: Jacobians | None,
    kinked: bool,
    rng: np.random.Generator,
    shrunk: list[tuple[Problem, Jacobians]] | None = None,
) -> list[Finding]:
    """Name the mistake in the gradient to one input, which is known to be wrong.

    Parameters
    ----------
    problem : Problem
    which : int
        The input.
    whole : Jacobians
        Of the problem, if it is small; else a smaller one is looked for.
    kinked : bool
        Whether elements lie on kinks: the point is then moved off them first. If the gradient is
        right there, the kinks are all that is wrong.
    rng : Generator
    shrunk : list, optional
        What was found for other inputs of the same problem, which is added to: one mistake often
        shows in several gradients.

    Returns
    -------
    list of Finding
        One, of cause "unexplained" if no suspect fits.
    """
    where = f"gradient of {problem.names[which]}"
    try:
        if kinked:
            problem, whole = _off_the_kinks(problem, which, rng), None
        wrong = share_wrong(problem, which, rng)
        if kinked and not wrong(problem):
            text = "moved off the kinks by a little it is right; on them it is not between"
            return [Finding(CAUSES["kink"], where, f"{text} the slopes", COUNTS[0][1])]
        known = [] if kinked or shrunk is None else shrunk
        small, both = next((found for found in known if wrong(found[0])), (None, None))
        if small is None or both is None:
            small = shrink(problem, wrong)
            if small is None:
                text = "wrong, but on no smaller input that was tried; repeat it on one for a name"
                return [Finding(CAUSES["unexplained"], where, text, UNSEEN)]
            both = whole if whole is not None and small is problem else jacobians(small, rng)
            known.append((small, both))
        e = Evidence(small, which, both, rng)
        if not e.wrong.any():
            return [Finding(CAUSES["unexplained"], where, "no entry was found wrong again", UNSEEN)]
        return [_finding(e, where)]
    except UseError as error:  # forward is not defined there
        text = f"at other inputs than these {error.where} {error.evidence}"
        return [Finding(CAUSES["unexplained"], where, text, UNSEEN)]


def _off_the_kinks(problem: Problem, which: int, rng: np.random.Generator) -> Problem:
    x = problem.inputs[which]
    step = rng.uniform(*OFF_THE_KINKS, x.shape) * rng.choice([-1, 1], x.shape)
    return problem.at(which, x + step)


def _finding(e: Evidence, where: str) -> Finding:
    found = matches(e)
    if not found:
        row, column = np.unravel_index(np.argmax(np.abs(e.A - e.N)), e.A.shape)
        share = e.wrong.sum() / (e.depends | e.given).sum()
        entry = f"d out{as_text(e.o[row])} / d {e.problem.names[e.which]}{as_text(e.k[column])}"
        text = f"{entry} is {e.N[row, column]:.6g}, backward says {e.A[row, column]:.6g}"
        text += f"; {share:.0%} of the entries are wrong"
        where = f"{where}, worst at {as_text(e.k[column])}"
        return Finding(CAUSES["unexplained"], where, text, UNEXPLAINED)
    best = found[0]
    sure = certainty(e, best)
    same = [c.cause for c in found if certainty(e, c) == sure and c.cause != best.cause]
    others = tuple(CAUSES[cause] for cause in dict.fromkeys(same))
    where = f"{where}, {best.where}" if best.where else where
    sure = min(sure, AMBIGUOUS) if others else sure
    return Finding(CAUSES[best.cause], where, best.evidence, sure, others)


def matches(e: Evidence) -> list[Candidate]:
    """Return the candidates that explain A, the likeliest first.

    Parameters
    ----------
    e : Evidence

    Returns
    -------
    list of Candidate
        Of equally certain ones the simplest first. A gradient that is zero everywhere has one
        name: it would fit whatever takes values away.
    """
    found = list(_fitting(e, SUSPECTS if e.given.any() else [nothing_comes_back]))
    if all(c.certainty < CERTAIN or np.isnan(c.P[e.wrong]).any() for c in found):
        found += _fitting(e, COSTLY)
    return sorted(found, key=lambda c: -certainty(e, c))


def _fitting(e: Evidence, suspects: Iterable[Suspect]) -> Iterator[Candidate]:
    for suspect in suspects:
        for candidate in suspect(e):
            if fits(e, candidate):
                yield candidate


def fits(e: Evidence, c: Candidate) -> bool:
    """Whether A is what the mistake would give, and N is not, wherever it says something.

    Parameters
    ----------
    e : Evidence
    c : Candidate

    Returns
    -------
    bool
    """
    said = ~np.isnan(c.P)
    off = np.abs(e.A - c.P) > max(e.tolerance, c.rounding) * e.scale
    return bool((e.wrong & said).any() and not (off & said).any())


def certainty(e: Evidence, c: Candidate) -> float:
    """Return how certain a candidate is that fits, by how many different entries say so.

    Parameters
    ----------
    e : Evidence
    c : Candidate

    Returns
    -------
    float
        From 0 to 1.
    """
    said = e.wrong & ~np.isnan(c.P)
    entries = np.round(np.stack([e.A[said], e.N[said]]) / e.scale, 6)
    different = np.unique(entries, axis=1).shape[1]
    most = next(p for n, p in COUNTS if different >= n)
    whole = said.sum() == e.wrong.sum()
    return round(min(c.certainty, most) * (1.0 if whole else AMBIGUOUS), 2)
