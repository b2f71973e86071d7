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
from stnref.gradcheck.explore import Exploration, explore_all
from stnref.gradcheck.halving import find_by_halving
from stnref.gradcheck.numeric import Slopes
from stnref.gradcheck.problem import Indices, Mask, Problem, UseError, direction
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
    problem: Problem, rng: np.random.Generator, explorations: Sequence[Exploration] | None = None
) -> Jacobians:
    """Differentiate by every element, and run backward for every output.

    Parameters
    ----------
    problem : Problem
    rng : Generator
        For the explorations, if there are none.
    explorations : sequence of Exploration, optional
        One for each input; else they are made.

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
    seen = explore_all(problem, rng) if explorations is None else explorations
    A = _analytic(problem)
    numeric = (
        _numeric(own, J) if is_whole(problem, own.which) else None
        for own, J in zip(seen, A, strict=True)
    )
    return Jacobians(A, list(numeric))


def is_whole(problem: Problem, which: int) -> bool:
    """Whether an input is small enough to be differentiated by each of its elements."""
    n = problem.point[which].size
    return n <= limits.MOST_ELEMENTS and n * problem.out.size <= limits.MOST_ENTRIES


def _analytic(problem: Problem) -> list[Array | None]:
    """Collect the rows that backward gives, of the inputs that are whole."""
    n_out, n = problem.out.size, len(problem.point)
    wanted = [which for which in range(n) if is_whole(problem, which)]
    if n_out > limits.MOST_ROWS or not wanted:
        return [None] * n
    units = np.eye(n_out).reshape(n_out, *problem.out.shape)
    rows = [[g[which].ravel() for which in wanted] for g in problem.all_gradients(units)]
    A = dict(zip(wanted, map(np.array, zip(*rows, strict=True)), strict=True))
    return [A.get(which) for which in range(n)]


def _numeric(seen: Exploration, A: Array | None) -> Derivatives:
    """Differentiate by all elements, by several at once where no output reads two of them."""
    reads = _reads(seen, A)
    if reads is not None:
        groups = _groups(reads)
        if 2 * len(groups) <= seen.x.size:
            N = _columns(seen, groups, reads)
            if seen.on_kink or _agrees(N, seen):
                return N
    return _columns(seen, _alone(np.arange(seen.x.size)))


def _reads(seen: Exploration, A: Array | None) -> Mask | None:
    """Say which outputs read which elements (n_out, n); None where that costs too much."""
    if not seen.on_kink and (A is not None or seen.analytic):
        return None if A is None else A != 0
    step = limits.LADDER[0] * seen.problem.step_unit(seen.which)
    try:
        changing = [_changing(seen, seen.unit(k), step) for k in range(seen.x.size)]
    except UseError:  # forward is not defined there
        return None
    return np.stack(changing, axis=1)


def _changing(seen: Exploration, v: Array, step: float) -> Mask:
    """Say which outputs change where the input is moved along v, to either side."""
    line, middle = seen.problem.line(seen.which, v), seen.problem.out_at_point
    return np.any([np.ravel(line(t) != middle) for t in (step, -step)], axis=0)


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
    seen: Exploration, groups: Sequence[Indices], reads: Mask | None = None
) -> Derivatives:
    """Differentiate by groups of elements, and give each of these the outputs that read it.

    Without `reads` a group is one element.
    """
    elements = np.concatenate(groups)
    order = np.argsort(elements)
    group = np.repeat(np.arange(len(groups)), [len(g) for g in groups])[order]
    elements = elements[order]

    def spread(rows: Sequence[Array]) -> Array:
        columns = np.stack(rows).T  # (n_out, groups)
        return columns if reads is None else columns[:, group] * reads[:, elements]

    if seen.analytic and not seen.on_kink:
        value = spread([seen.tangent(seen.unit(own)) for own in groups])
        nothing = np.broadcast_to(0.0, value.shape)
        return Derivatives(elements, value, value, value, nothing.astype(bool), nothing)
    s = Slopes(*map(spread, zip(*(_slopes(seen, own) for own in groups), strict=True)))
    below, above = (np.where(s.kinked, slope, s.value) for slope in (s.below, s.above))
    least, greatest = np.minimum(below, above), np.maximum(below, above)
    return Derivatives(elements, s.value, least, greatest, s.kinked, s.error)


def _slopes(seen: Exploration, own: Indices) -> Slopes:
    """Differentiate along some elements by differences; a step crosses no kink of the map.

    On kinks of a large input: with short steps only, and only the outputs that change at all.
    """
    v, n_out = seen.unit(own), seen.problem.out.size
    if seen.on_kink and not is_whole(seen.problem, seen.which):
        outputs = np.flatnonzero(_changing(seen, v, limits.NEAR[0]))
        zero, no = np.zeros(n_out), np.zeros(n_out, dtype=bool)
        nothing = Slopes(zero, zero, zero, zero, no, no, zero)
        s = nothing.put(outputs, seen.slopes_at(outputs, v))
    else:
        far = np.array(np.inf) if seen.distance is None else seen.distance.flat[own]
        s = seen.problem.slopes(seen.which, v, float(far[far != 0].min(initial=np.inf)))
    if not seen.analytic:
        return s
    value = np.where(s.kinked, s.value, seen.tangent(v))  # off its kinks known exactly
    return s._replace(value=value, error=s.error * s.kinked)


def sample(seen: Exploration, rng: np.random.Generator) -> Derivatives:
    """Differentiate by a few elements of an input that is too large for all.

    If there are kinks, some of these elements are on one: rare ones are looked for.
    """
    n, some = seen.x.size, limits.SAMPLED
    if seen.on_kink:
        some = limits.MOST_ENTRIES // seen.problem.out.size
        some = int(np.clip(some, limits.SAMPLED, limits.MOST_ON_KINKS))
    few = np.sort(rng.choice(n, min(n, some), replace=False))
    found = _columns(seen, _alone(few))
    if seen.on_kink and not found.kinked.any():
        found = _columns(seen, _alone(np.union1d(few, _elements_on_kinks(seen, rng))))
    return found


def _elements_on_kinks(seen: Exploration, rng: np.random.Generator) -> Indices:
    outputs, signs = np.flatnonzero(seen.kinked), np.sign(direction(rng, seen.x.shape))

    def on_kink(part: Indices) -> bool:
        return bool(seen.slopes_at(outputs, signs * seen.unit(part)).kinked.any())

    everything, enough = [np.arange(signs.size)], limits.SAMPLED // 2
    found, _ = find_by_halving(everything, on_kink, budget=limits.MOST_HALVINGS, enough=enough)
    return found
