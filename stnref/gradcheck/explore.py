"""Explore: what random directions, through all elements at once, tell of one input.

Is forward analytic there, which outputs lie on a kink, and can the differences be trusted at all?
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from stnref.gradcheck import limits
from stnref.gradcheck.causes import CAUSES
from stnref.gradcheck.numeric import Slopes
from stnref.gradcheck.problem import Mask, Problem, direction
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
    vs = [direction(rng, problem.point[which].shape) for _ in range(limits.DIRECTIONS)]
    first = problem.slopes(which, vs[0])
    analytic = _is_analytic(problem, which, vs[0], first)
    findings = [] if analytic or problem.single else _mistrust(problem, which, first, rng)
    if analytic:  # kinks are where they were
        slopes = [first._replace(value=problem.complex_tangent(which, v)) for v in vs]
        if first.doubt <= limits.DIFFERENCE_TOLERANCES[problem.single][1]:
            slopes[0] = first  # another witness
    else:
        slopes = [first, *(_of_smooth(problem, which, v, first) for v in vs[1:])]
    known = [analytic if i == which else own for i, own in enumerate(problem.analytic)]
    kinked = np.logical_or.reduce([s.kinked for s in slopes])
    problem = problem.knowing(analytic=known)
    return Exploration(problem, which, kinked, vs, slopes, first.doubt, findings)


def _of_smooth(problem: Problem, which: int, v: Array, first: Slopes) -> Slopes:
    """Differentiate along another direction the outputs that are not known to lie on kinks."""
    smooth, slopes = ~first.kinked, [a.copy() for a in first]
    for array, own in zip(slopes, problem.slopes(which, v, outputs=smooth), strict=True):
        array[smooth] = own
    return Slopes(*slopes)


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
    points = np.array([line(k * h) for k in range(1, limits.ROUGH_POINTS + 1)])
    sixth = np.abs(np.diff(points, n=6, axis=0)).max(axis=0)  # of what is smooth, of order h^6
    alive = slopes.value != 0
    if not alive.any():
        return 0.0
    return float(np.median(sixth[alive]) / 30 / np.abs(points).max())  # binomials add up to 30
