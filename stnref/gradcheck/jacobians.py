"""Differentiate: the Jacobian that backward stands for, A, and the numerical one, N.

A has a row for each output, from backward of its unit upstream gradient; N a column for each
element, from a derivative along its unit vector. Elements that no output reads together share one
derivative, so that a column for each group of them is enough. Which outputs read an element A
says, and a random direction tells whether that is the truth; if not, or if there are few such
groups, each element is asked by itself. On kinks backward may be silent of an output that does
change: there every element is moved by a step to see which do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stnref.gradcheck import limits
from stnref.gradcheck.explore import Exploration, explore
from stnref.gradcheck.halving import Indices, find_by_halving
from stnref.gradcheck.numeric import Slopes
from stnref.gradcheck.problem import Mask, Problem, UseError, direction
from stnref.validation import Array


class Derivatives(NamedTuple):
    """Derivatives of all outputs (rows) by some elements (columns) of an input, each (n_out, n).

    Attributes
    ----------
    elements : (n,) int
        Flat indices.
    value : float
        On a kink the mean of the slopes to both sides.
    below, above : float
        The lesser and the greater of these slopes; `value` elsewhere.
    kinked : bool
    error : float
        Estimate of the error of `value`.
    """

    elements: Indices
    value: Array
    below: Array
    above: Array
    kinked: Mask
    error: Array


class Jacobians(NamedTuple):
    """Both Jacobians, for each input.

    Attributes
    ----------
    A : list of (n_out, n) arrays or None
        What backward stands for; None where there are too many outputs or elements.
    N : list of Derivatives or None
        The numerical one, by all elements; None where they are too many.
    """

    A: list[Array | None]
    N: list[Derivatives | None]


def jacobians(
    problem: Problem,
    rng: np.random.Generator,
    explorations: Sequence[Exploration] | None = None,
    distances: Sequence[Array | None] | None = None,
) -> Jacobians:
    """Differentiate by every element, and run backward for every output.

    Parameters
    ----------
    problem : Problem
    rng : Generator
        For the explorations, if there are none.
    explorations : sequence of Exploration, optional
        One for each input; else they are made.
    distances : sequence of arrays or None, optional
        For each input the distances of its elements to their nearest kinks.

    Returns
    -------
    Jacobians

    Raises
    ------
    UseError
        A function raises, or forward is not defined around its point.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> problem = Problem(lambda x: (x[:2] * x[1:], x), lambda d, x: [1, 1, 1] * x, [x], ["x"])
    >>> J = jacobians(problem, np.random.default_rng(0))
    >>> J.N[0].value.tolist(), J.A[0].tolist()
    ([[2.0, 1.0, 0.0], [0.0, 3.0, 2.0]], [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    """
    n = len(problem.names)
    if explorations is None:
        explorations = [explore(problem, which, rng) for which in range(n)]
        problem = informed(problem, explorations)
    whole = [is_whole(problem, which) for which in range(n)]
    A = _analytic(problem, whole)
    N: list[Derivatives | None] = []
    for which, seen in enumerate(explorations):
        distance = None if distances is None else distances[which]
        N.append(_numeric(problem, which, seen, distance, A[which]) if whole[which] else None)
    return Jacobians(A, N)


def informed(problem: Problem, explorations: Sequence[Exploration]) -> Problem:
    """Return the problem with what the explorations found."""
    analytic, straight = zip(*((e.analytic, e.straight) for e in explorations), strict=True)
    return problem.knowing(analytic=list(analytic), straight=list(straight))


def is_whole(problem: Problem, which: int) -> bool:
    """Whether an input is small enough to be differentiated by each of its elements."""
    n = problem.point[which].size
    return n <= limits.MOST_ELEMENTS and n * problem.out.size <= limits.MOST_ENTRIES


def _analytic(problem: Problem, whole: Sequence[bool]) -> list[Array | None]:
    """Collect the rows that backward gives, of the inputs that are whole."""
    n_out = problem.out.size
    if n_out > limits.MOST_ROWS or not any(whole):
        return [None] * len(whole)
    inputs = zip(problem.point, whole, strict=True)
    A = [np.empty((n_out, x.size)) if asked else None for x, asked in inputs]
    units = np.eye(n_out).reshape(n_out, *problem.out.shape)
    for row, gradients in enumerate(problem.all_gradients(units)):
        for J, gradient in zip(A, gradients, strict=True):
            if J is not None:
                J[row] = gradient.ravel()
    return A


def _numeric(
    problem: Problem, which: int, seen: Exploration, distance: Array | None, A: Array | None
) -> Derivatives:
    """Differentiate by all elements, by several at once where no output reads two of them."""
    n = problem.point[which].size
    reads = _reads(problem, which, seen, A)
    if reads is not None:
        groups = _groups(reads)
        if 2 * len(groups) <= n:
            N = _columns(problem, which, groups, seen, distance, reads=reads)
            if seen.on_kink or _agrees(N, seen):
                return N
    return _columns(problem, which, _alone(np.arange(n)), seen, distance)


def _reads(problem: Problem, which: int, seen: Exploration, A: Array | None) -> Mask | None:
    """Say which outputs read which elements (n_out, n); None where that costs too much."""
    if not seen.on_kink and (A is not None or seen.analytic):
        return None if A is None else A != 0
    step = limits.LADDER[0] * problem.step_unit(which)
    elements = range(problem.point[which].size)
    try:
        changing = [_changing(problem, which, problem.unit(which, k), step) for k in elements]
        return np.stack(changing, axis=1)
    except UseError:  # forward is not defined there
        return None


def _changing(problem: Problem, which: int, v: Array, step: float) -> Mask:
    """Say which outputs change where the input is moved along v, to either side."""
    line, middle = problem.line(which, v), problem.out_at_point.ravel()
    up, down = (np.ravel(line(t)) != middle for t in (step, -step))
    return up | down


def _groups(reads: Mask) -> list[Indices]:
    """Part the elements so that no output reads two of a group."""
    n_out, n = reads.shape
    read = np.zeros((n, n_out), dtype=bool)  # by which outputs a group is read
    groups: list[list[int]] = []
    for element in range(n):
        outputs = np.flatnonzero(reads[:, element])
        free = int(read[: len(groups) + 1, outputs].any(axis=1).argmin())
        if free == len(groups):
            groups.append([])
        groups[free].append(element)
        read[free, outputs] = True
    return [np.array(group) for group in groups]


def _alone(elements: Indices) -> list[Indices]:
    return [elements[k : k + 1] for k in range(len(elements))]


def _agrees(N: Derivatives, seen: Exploration) -> bool:
    """Whether N, of smooth outputs, gives the slopes along a random direction."""
    v, along = seen.directions[-1].ravel(), seen.slopes[-1]
    allowed = limits.GROUPED[seen.analytic] * (np.abs(N.value) @ np.abs(v))
    if not seen.analytic:
        allowed = allowed + 3 * (along.error + N.error @ np.abs(v))
    return not (N.kinked.any() or (np.abs(N.value @ v - along.value) > allowed).any())


def _columns(
    problem: Problem,
    which: int,
    groups: Sequence[Indices],
    seen: Exploration,
    distance: Array | None,
    *,
    reads: Mask | None = None,
    near: bool = False,
) -> Derivatives:
    """Differentiate by groups of elements, and give each of these the outputs that read it.

    Without `reads` a group is one element; `near`: with steps that look for kinks at x alone.
    """
    elements = np.concatenate(groups)
    order = np.argsort(elements)
    group = np.repeat(np.arange(len(groups)), [len(g) for g in groups])[order]
    elements = elements[order]

    def spread(rows: Sequence[Array]) -> Array:
        columns = np.stack(rows).T  # (n_out, groups)
        return columns if reads is None else columns[:, group] * reads[:, elements]

    def slopes(v: Array, own: Indices) -> Slopes:
        if near:
            s = _slopes_at_point(problem, which, v)
        else:
            s = problem.slopes(which, v, _longest(distance, own))
        if not seen.analytic:
            return s
        value = np.where(s.kinked, s.value, problem.tangent(which, v))  # off its kinks: exact
        return s._replace(value=value, error=s.error * s.kinked)

    vs = [problem.unit(which, own) for own in groups]
    if seen.analytic and not seen.on_kink:
        value = spread([problem.tangent(which, v) for v in vs])
        nothing = np.broadcast_to(0.0, value.shape)
        return Derivatives(elements, value, value, value, nothing.astype(bool), nothing)
    several = zip(*(slopes(v, own) for v, own in zip(vs, groups, strict=True)), strict=True)
    s = Slopes(*(spread(rows) for rows in several))
    below, above = (np.where(s.kinked, slope, s.value) for slope in (s.below, s.above))
    least, greatest = np.minimum(below, above), np.maximum(below, above)
    return Derivatives(elements, s.value, least, greatest, s.kinked, s.error)


def _longest(distance: Array | None, elements: Indices) -> float:
    """Return the longest step that crosses no kink of the caller's map, but those at x."""
    if distance is None:
        return np.inf
    own = distance.flat[elements]
    return float(own[own != 0].min(initial=np.inf))


def _slopes_at_point(problem: Problem, which: int, v: Array) -> Slopes:
    """Differentiate with short steps only, and only the outputs that change at all."""
    outputs = np.flatnonzero(_changing(problem, which, v, limits.NEAR[0]))
    zero, no = np.zeros(problem.out.size), np.zeros(problem.out.size, dtype=bool)
    nothing = Slopes(zero, zero, zero, zero, no, no, zero)
    return nothing.put(outputs, problem.slopes_of(outputs, which, v, *limits.NEAR))


def sample(
    problem: Problem,
    which: int,
    seen: Exploration,
    distance: Array | None,
    rng: np.random.Generator,
) -> Derivatives:
    """Differentiate by a few elements of an input that is too large for all.

    If there are kinks, some of these elements are on one: rare ones are looked for.
    """
    n, some = problem.point[which].size, limits.SAMPLED
    if seen.on_kink:
        some = int(
            np.clip(limits.MOST_ENTRIES // problem.out.size, limits.SAMPLED, limits.MOST_ON_KINKS)
        )
    few = np.sort(rng.choice(n, min(n, some), replace=False))
    found = _columns(problem, which, _alone(few), seen, distance, near=seen.on_kink)
    if seen.on_kink and not found.kinked.any():
        few = np.union1d(few, _elements_on_kinks(problem, which, seen, rng))
        found = _columns(problem, which, _alone(few), seen, distance, near=True)
    return found


def _elements_on_kinks(
    problem: Problem, which: int, seen: Exploration, rng: np.random.Generator
) -> Indices:
    outputs = np.flatnonzero(seen.kinked)
    signs = np.sign(direction(rng, problem.point[which].shape))

    def on_kink(part: Indices) -> bool:
        v = signs * problem.unit(which, part)
        return bool(problem.slopes_of(outputs, which, v, *limits.NEAR).kinked.any())

    everything = [np.arange(signs.size)]
    found, _ = find_by_halving(
        everything, on_kink, budget=limits.MOST_HALVINGS, enough=limits.SAMPLED // 2
    )
    return found
