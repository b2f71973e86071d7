"""Explore: what random directions, through all elements at once, tell of one input.

Is forward analytic there, which outputs lie on a kink, and can the differences be trusted at all?
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stnref.gradcheck import limits
from stnref.gradcheck.causes import CAUSES
from stnref.gradcheck.numeric import Slopes
from stnref.gradcheck.problem import Indices, Mask, Problem, UseError, direction
from stnref.gradcheck.report import Finding
from stnref.validation import Array


class Exploration(NamedTuple):
    """What was seen of one input along random directions.

    Attributes
    ----------
    problem : Problem
        With what was found of it.
    which : int
        Number of the input.
    distance : array or None
        The caller's kink map: from each element to its nearest kink.
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

    problem: Problem
    which: int
    distance: Array | None
    kinked: Mask
    directions: list[Array]
    slopes: list[Slopes]
    doubt: float
    findings: list[Finding]

    @property
    def analytic(self) -> bool:
        """Whether forward is analytic in this input."""
        return self.problem.analytic[self.which]

    @property
    def on_kink(self) -> bool:
        """Whether any output lies on a kink."""
        return bool(self.kinked.any())

    @property
    def x(self) -> Array:
        """The input."""
        return self.problem.point[self.which]

    def unit(self, elements: int | Indices) -> Array:
        """Return the direction of one element, or of several together."""
        return self.problem.unit(self.which, elements)

    def tangent(self, v: Array) -> Array:
        """Return J v (n_out,)."""
        return self.problem.tangent(self.which, v)

    def slopes_at(self, outputs: Array, v: Array) -> Slopes:
        """Differentiate some outputs along v, by steps that look for kinks at x alone."""
        return self.problem.slopes_of(outputs, self.which, v, *limits.NEAR)


def explore(
    problem: Problem, which: int, rng: np.random.Generator, distance: Array | None = None
) -> Exploration:
    """Differentiate by one input along random directions.

    Parameters
    ----------
    problem : Problem
    which : int
        Number of the input.
    rng : Generator
    distance : array, optional
        The caller's kink map.

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
    v, *others = (direction(rng, problem.point[which].shape) for _ in range(limits.DIRECTIONS))
    first = _closely(problem, which, v)
    analytic = _is_analytic(problem, which, v, first)

    def again(v: Array) -> Slopes:
        # Where forward is analytic that is enough; kinks are where they were.
        if not analytic:
            return _closely(problem, which, v)
        return first._replace(value=problem.complex_tangent(which, v))

    trusted = analytic or problem.single
    findings = [] if trusted else _mistrust(problem, which, first, rng)
    slopes = [first, *(again(v) for v in others)]
    if analytic and first.doubt > limits.DIFFERENCE_TOLERANCES[problem.single][1]:
        slopes[0] = again(v)  # only the complex step can tell
    kinked = np.logical_or.reduce([s.kinked for s in slopes])
    known = [*problem.analytic]
    known[which] = analytic
    problem = problem.knowing(analytic=known)
    vs = [v, *others]
    return Exploration(problem, which, distance, kinked, vs, slopes, first.doubt, findings)


def explore_all(
    problem: Problem, rng: np.random.Generator, distances: Sequence[Array | None] = ()
) -> list[Exploration]:
    """Explore every input; each exploration holds the problem with what was found of all."""
    seen: list[Exploration] = []
    for which, distance in enumerate(distances or [None] * len(problem.names)):
        seen.append(explore(problem, which, rng, distance))
        problem = seen[-1].problem
    return [own._replace(problem=problem) for own in seen]


def _is_analytic(problem: Problem, which: int, v: Array, slopes: Slopes) -> bool:
    """Try a complex step along v and compare it with the differences."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a discarded imaginary part is only a warning
            step = problem.complex_tangent(which, v)
    except Exception:  # whatever code of others may raise: then it is not analytic
        return False
    if step.shape != slopes.value.shape or not np.isfinite(step).all():
        return False
    smooth = ~slopes.kinked
    scale = np.abs(slopes.value[smooth]).max(initial=0.0)
    allowed = limits.ANALYTIC * scale + 10 * slopes.error[smooth]
    return bool(smooth.any() and (np.abs(step - slopes.value)[smooth] <= allowed).all())


def _closely(problem: Problem, which: int, v: Array) -> Slopes:
    """Differentiate all outputs along v; where few are in doubt, ask these more closely.

    Where many seem kinked, as with the identity, they are, and shorter steps add nothing.
    """
    slopes = problem.slopes(which, v, shortest=limits.NEAR[1])
    unsettled = slopes.error > limits.SETTLED * np.abs(slopes.value).max(initial=0)
    doubtful = np.flatnonzero(slopes.kinked | unsettled)
    few = len(doubtful) < max(limits.MANY_OUTPUTS, limits.FEW_OUTPUTS * slopes.kinked.size)
    if not len(doubtful) or not few:
        return slopes
    try:
        some = problem.slopes_of(doubtful, which, v, *limits.CLOSER)
    except UseError:  # so close to the end of where forward is defined
        return slopes
    before = Slopes(*(a[doubtful] for a in slopes))
    # A jump's slope of 1/h is most of the noise there: it stays one if it stays kinked.
    some = some._replace(broken=some.broken | (before.broken & some.kinked))
    better = before.kinked | some.kinked | (some.error < before.error)
    return slopes.put(doubtful[better], Slopes(*(a[better] for a in some)))


def _mistrust(
    problem: Problem, which: int, slopes: Slopes, rng: np.random.Generator
) -> list[Finding]:
    """Say why differences cannot be trusted."""
    where = f"forward, along {problem.names[which]}"
    noise, (least, most) = _roughness(problem, which, slopes, rng), limits.FLOAT32_NOISE
    if least < noise < most:
        evidence = f"its outputs scatter by {noise:.0e} of their size, float64's is 1e-16"
        return [Finding(CAUSES["float32"], where, evidence, limits.SCATTER_CERTAINTY)]
    if slopes.broken.any():
        n = int(slopes.broken.sum())
        evidence = f"{n} of {slopes.value.size} outputs jump here: their slopes have no limit"
        return [Finding(CAUSES["untrusted"], where, evidence)]
    if slopes.doubt > limits.UNTRUSTED:
        evidence = f"the best estimate of the slopes is off by {slopes.doubt:.0e} of their size"
        return [Finding(CAUSES["untrusted"], where, evidence, limits.DOUBT_CERTAINTY)]
    return []


def _roughness(problem: Problem, which: int, slopes: Slopes, rng: np.random.Generator) -> float:
    """How much the outputs scatter from point to point, relative to their size: the median."""
    v = direction(rng, problem.point[which].shape)
    line, h = problem.line(which, v), limits.ROUGH_STEP * problem.step_unit(which)
    # To one side of x, at which there may be a kink.
    points = np.array([np.ravel(line(k * h)) for k in range(1, limits.ROUGH_POINTS + 1)])
    sixth = np.abs(np.diff(points, n=6, axis=0)).max(axis=0)  # of what is smooth, of order h^6
    alive = slopes.value != 0
    if not alive.any():
        return 0.0
    return float(np.median(sixth[alive]) / 30 / np.abs(points).max())  # binomials add up to 30
