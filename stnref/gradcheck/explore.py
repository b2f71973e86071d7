"""Explore: what random directions, through all elements at once, tell of one input.

Is forward analytic there, is it a straight line, which outputs lie on a kink, and can the
differences be trusted at all?
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stnref.gradcheck.causes import CAUSES
from stnref.gradcheck.limits import (
    CLOSER,
    DIFFERENCE_TOLERANCES,
    DIRECTIONS,
    DOUBT_CERTAINTY,
    FEW_OUTPUTS,
    FLOAT32_NOISE,
    MANY_OUTPUTS,
    NEAR,
    ROUGH_POINTS,
    ROUGH_STEP,
    SCATTER_CERTAINTY,
    SETTLED,
    UNTRUSTED,
)
from stnref.gradcheck.numeric import Slopes
from stnref.gradcheck.problem import Mask, Problem, UseError, direction
from stnref.gradcheck.report import Finding
from stnref.validation import Array


class Exploration(NamedTuple):
    """What was seen along random directions.

    Attributes
    ----------
    analytic, straight : bool
        See `Problem`.
    kinked : (n_out,) bool
        Outputs that lie on a kink.
    directions : list of arrays
        In the input's shape.
    slopes : list of Slopes
        Of all outputs, along each direction.
    doubt : float
        Estimated relative error of the differences.
    findings : list of Finding
        Why they cannot be trusted.
    """

    analytic: bool
    straight: bool
    kinked: Mask
    directions: list[Array]
    slopes: list[Slopes]
    doubt: float
    findings: list[Finding]

    @property
    def on_kink(self) -> bool:
        """Whether any output lies on a kink."""
        return bool(self.kinked.any())


def explore(problem: Problem, which: int, rng: np.random.Generator) -> Exploration:
    """Differentiate by one input along random directions.

    Parameters
    ----------
    problem : Problem
    which : int
        Number of the input.
    rng : Generator

    Returns
    -------
    Exploration

    Raises
    ------
    UseError
        Forward is not defined around its point.

    Examples
    --------
    >>> problem = Problem(lambda x: (np.abs(x), x), lambda d, x: d, [np.array([0.0, 2.0])], ["x"])
    >>> seen = explore(problem, 0, np.random.default_rng(0))
    >>> seen.analytic, seen.kinked.tolist()
    (False, [True, False])
    """
    v = direction(rng, problem.point[which].shape)
    first = _closely(problem, which, v)
    analytic = problem.is_analytic(which, v, first)
    straight = first.straight and not first.kinked.any()
    problem = _knowing(problem, which, analytic, straight)

    def again(v: Array) -> Slopes:
        # Where forward is analytic that is enough; kinks are where they were.
        if not analytic:
            return _closely(problem, which, v)
        return first._replace(value=problem.tangent(which, v))

    doubt, findings = _trust(problem, which, first, rng)
    vs = [v, *(direction(rng, v.shape) for _ in range(DIRECTIONS - 1))]
    slopes = [first, *(again(v) for v in vs[1:])]
    if doubt > DIFFERENCE_TOLERANCES[problem.single][1]:
        slopes[0] = again(v)  # only the complex step can tell
    kinked = np.logical_or.reduce([s.kinked for s in slopes])
    return Exploration(analytic, straight, kinked, vs, slopes, doubt, findings)


def _knowing(problem: Problem, which: int, analytic: bool, straight: bool) -> Problem:
    both = [*problem.analytic], [*problem.straight]
    both[0][which], both[1][which] = analytic, straight
    return problem.knowing(*both)


def _closely(problem: Problem, which: int, v: Array) -> Slopes:
    """Differentiate all outputs along v; where few are in doubt, ask these more closely.

    Where many seem kinked, as with the identity, they are, and shorter steps add nothing.
    """
    slopes = problem.slopes(which, v, shortest=NEAR[1])
    unsettled = slopes.error > SETTLED * np.abs(slopes.value).max(initial=0)
    doubtful = np.flatnonzero(slopes.kinked | unsettled)
    few = len(doubtful) < max(MANY_OUTPUTS, FEW_OUTPUTS * slopes.kinked.size)
    if not len(doubtful) or not few:
        return slopes
    try:
        some = problem.slopes_of(doubtful, which, v, *CLOSER)
    except UseError:  # so close to the end of where forward is defined
        return slopes
    # A jump's slope of 1/h is most of the noise there: it stays one if it stays kinked.
    some = some._replace(broken=some.broken | (slopes.broken[doubtful] & some.kinked))
    kinked = slopes.kinked[doubtful] | some.kinked
    better = kinked | (some.error < slopes.error[doubtful])
    closer = slopes.put(doubtful[better], some.only(better))
    return closer._replace(straight=False)


def _trust(
    problem: Problem, which: int, slopes: Slopes, rng: np.random.Generator
) -> tuple[float, list[Finding]]:
    """Return the estimated relative error of the differences; say so if it is too large."""
    smooth = ~slopes.kinked
    size = float(np.linalg.norm(slopes.value[smooth]))
    doubt = 2 * float(np.linalg.norm(slopes.error[smooth])) / (size or 1.0)
    if problem.analytic[which] or problem.single:
        return doubt, []
    where = f"forward, along {problem.names[which]}"
    noise = _roughness(problem, which, slopes, rng)
    if FLOAT32_NOISE[0] < noise < FLOAT32_NOISE[1]:
        evidence = f"its outputs scatter by {noise:.0e} of their size, float64's is 1e-16"
        return doubt, [Finding(CAUSES["float32"], where, evidence, SCATTER_CERTAINTY)]
    if slopes.broken.any():
        n = int(slopes.broken.sum())
        evidence = f"{n} of {slopes.value.size} outputs jump here: their slopes have no limit"
        return doubt, [Finding(CAUSES["untrusted"], where, evidence)]
    if doubt > UNTRUSTED:
        evidence = f"the best estimate of the slopes is off by {doubt:.0e} of their size"
        return doubt, [Finding(CAUSES["untrusted"], where, evidence, DOUBT_CERTAINTY)]
    return doubt, []


def _roughness(problem: Problem, which: int, slopes: Slopes, rng: np.random.Generator) -> float:
    """How much the outputs scatter from point to point, relative to their size: the median."""
    v = direction(rng, problem.point[which].shape)
    line, h = problem.line(which, v), ROUGH_STEP * problem.step_unit(which)
    # To one side of x, at which there may be a kink.
    points = np.array([np.ravel(line(k * h)) for k in range(1, ROUGH_POINTS + 1)])
    sixth = np.abs(np.diff(points, n=6, axis=0)).max(axis=0)  # of what is smooth, of order h^6
    alive = slopes.value != 0
    if not alive.any():
        return 0.0
    return float(np.median(sixth[alive]) / 30 / np.abs(points).max())  # binomials add up to 30
