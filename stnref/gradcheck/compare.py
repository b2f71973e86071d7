"""Compare: by each witness, what backward gives for one input with what numbers allow."""

from __future__ import annotations

import numpy as np

from stnref.gradcheck.case import Case
from stnref.gradcheck.kinks import compare_on_kinks, pieces
from stnref.gradcheck.limits import MOST_PIECES, RELEVANT
from stnref.gradcheck.report import Comparison, compare
from stnref.validation import Array


def compare_input(case: Case, rng: np.random.Generator) -> list[Comparison]:
    """Compare element by element, on kinks, and along the random directions."""
    found = [compare_elements(case)]
    if case.result.kinked.any():
        found.append(compare_on_kinks(case, rng))
    return [c for c in (*found, case.along) if c is not None]


def compare_elements(case: Case) -> Comparison | None:
    """Compare the elements that lie on no kink, if there are any."""
    r = case.result
    smooth = np.where(r.kinked, np.nan, r.numeric)
    if np.isnan(smooth).all():
        return None
    tolerance = case.tolerance(case.method)
    return compare(case.name, case.method, r.gradient, smooth, tolerance, case.floor)


def compare_jacobians(case: Case, A: Array, rng: np.random.Generator) -> Comparison:
    """Compare the Jacobian that backward stands for, output by output."""
    N = case.derivatives
    below, above = N.below.copy(), N.above.copy()
    margin = case.tolerance("differences") * np.abs(N.value).max(initial=0)
    for column in np.flatnonzero(N.kinked.any(axis=0))[:MOST_PIECES]:
        # Where several kinks meet an output may change with others alone: ask all pieces.
        low, high = below[:, column] - margin, above[:, column] + margin
        if ((A[:, column] < low) | (A[:, column] > high)).any():
            below[:, column], above[:, column] = pieces(case, int(column), rng)
    nearest = np.clip(A, below, above)  # of what is allowed: the value, but on kinks
    shape = (*case.problem.out.shape, *case.gradient.shape)
    numeric = np.where(below < above, nearest, N.value).reshape(shape)
    tolerance = case.tolerance("differences" if N.kinked.any() else case.method)
    return compare(case.name, "Jacobian", A.reshape(shape), numeric, tolerance, case.floor)


def reach(case: Case) -> list[str]:
    """Say what a passed check means: kinks, and the chance to have missed something."""
    r, notes = case.result, []
    if r.kinked.any():
        if not case.whole:
            kinked = case.seen.kinked
            notes.append(
                f"{case.name}: {int(kinked.sum())} of {kinked.size} outputs lie on a kink; "
                "the random directions leave them out"
            )
        notes.append(
            f"{case.name}: {int(r.kinked.sum())} of {r.asked} elements lie on a kink; no "
            "derivative exists there, they are judged by the slopes to both sides"
        )
    if not case.whole and case.along is not None:
        # |<e, v>| <= t for a normal v happens with a chance of less than 0.8 t / |e|.
        chance = (0.8 / RELEVANT) ** r.directions
        notes.append(
            f"{case.name}: {r.directions} random directions through all {r.gradient.size} "
            f"elements, {r.asked} one by one; an error of {RELEVANT * case.along.tolerance:.0e} "
            f"of the gradient's norm goes unseen with a chance of {chance:.0e}"
        )
    return notes
