"""On a kink: no derivative exists there, only slopes to both sides, and pieces that meet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stnref.gradcheck.case import Case
from stnref.gradcheck.limits import AROUND, MOST_PIECES, NEAR, PIECES
from stnref.gradcheck.problem import Problem, direction
from stnref.gradcheck.report import Comparison, compare
from stnref.gradcheck.shrink import Shows
from stnref.validation import Array


def compare_jacobians(case: Case, rng: np.random.Generator) -> list[Comparison]:
    """Compare the Jacobian that backward stands for, output by output.

    Parameters
    ----------
    case : Case
    rng : Generator

    Returns
    -------
    list of Comparison
        One of the elements on no kink, and one of those that are: with the slopes to both sides.
        None of an input without a complete Jacobian.
    """
    A, N = case.A, case.N
    if A is None or N is None:
        return []
    on_kink = N.kinked.any(axis=0)  # (n,)
    below, above, tolerance = N.below.copy(), N.above.copy(), case.tolerance("differences")
    margin = tolerance * np.abs(N.value).max(initial=0)
    outside = ((A < below - margin) | (A > above + margin)).any(axis=0)
    for column in np.flatnonzero(on_kink & outside)[:MOST_PIECES].tolist():
        # Where several kinks meet an output may change with others alone: ask all pieces.
        v = case.problem.unit(case.seen.which, column)
        bounds = below[:, column], above[:, column]
        below[:, column], above[:, column] = _widened(case, v, *bounds, rng)
    shape = (*case.problem.out.shape, *case.gradient.shape)
    found = []
    for witness, own, allowed, most in (
        ("Jacobian", ~on_kink, N.value, case.tolerance(case.method)),
        ("one-sided slopes", on_kink, np.clip(A, below, above), tolerance),
    ):
        numeric = np.where(own, allowed, np.nan).reshape(shape)
        found += compare(case.name, witness, A.reshape(shape), numeric, most, case.floor)
    if on_kink.any():
        found[-1] = replace(found[-1], error=max(found[-1].error, _together(case, rng)))
    return found


def _together(case: Case, rng: np.random.Generator) -> float:
    """Move all elements upwards together, which single ones do not tell of.

    A maximum of two equal numbers has slopes from 0 to 1 by each of them, but 1 by both: a
    gradient of 1 to each is right for either alone. All signs are positive, so that
    what several outputs have too much adds up.
    """
    problem, which = case.problem, case.seen.which
    v = rng.uniform(0.5, 1, case.gradient.shape)
    d = rng.uniform(0.5, 1, case.dout.size)
    slopes = problem.slopes(which, v, *NEAR)
    found = float(np.vdot(problem.gradients(d.reshape(case.dout.shape))[which], v))

    def outside(below: Array, above: Array) -> float:
        scale = float(d @ np.maximum(np.abs(below), np.abs(above))) or 1.0
        off = max(d @ below - found, found - d @ above) / scale
        return float(off) if off > case.tolerance("differences") else 0.0

    below, above = slopes.below, slopes.above
    return outside(below, above) and outside(*_widened(case, v, below, above, rng))


def _widened(
    case: Case, v: Array, below: Array, above: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Widen the bounds of the slopes along v by those of the pieces that meet at x."""
    x, which = case.problem.point[case.seen.which], case.seen.which
    for _ in range(PIECES):  # each at a point near x, off the kinks
        nearby = case.problem.at(which, x + AROUND * direction(rng, x.shape))
        slope = nearby.slopes(which, v).value
        below, above = np.minimum(below, slope), np.maximum(above, slope)
    return below, above


def share_on_kinks(which: int, rng: np.random.Generator) -> Shows:
    """Return a function of a problem: the share of its outputs that lie on kinks.

    Parameters
    ----------
    which : int
        The input that is moved.
    rng : Generator

    Returns
    -------
    callable
        As `shrink` wants it. 0 where an output jumps: that is no kink.
    """

    def share(problem: Problem) -> float:
        problem.gradients(problem.out)  # backward takes it, too
        s = problem.slopes(which, direction(rng, problem.point[which].shape), *NEAR)
        return 0.0 if s.broken.any() else float(s.kinked.mean())

    return share
