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
from stnref.gradcheck.numeric import Slopes
from stnref.gradcheck.problem import Indices, Mask, Problem, UseError
from stnref.validation import Array


class Jacobians(NamedTuple):
    """Both Jacobians, for each input.

    Attributes
    ----------
    A : list of (n_out, n) arrays or None
        What backward stands for; None where there are too many outputs or elements.
    N : list of Slopes or None
        The numerical one, each array (n_out, n); None where there are too many elements.
    seen : list of Exploration
        What random directions tell of each input.
    """

    A: list[Array | None]
    N: list[Slopes | None]
    seen: list[Exploration]


def jacobians(problem: Problem, rng: np.random.Generator) -> Jacobians:
    """Differentiate by every element, and run backward for every output.

    Parameters
    ----------
    problem : Problem
    rng : Generator

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
    seen: list[Exploration] = []
    for which in range(len(problem.names)):
        seen.append(explore(problem, which, rng))
        problem = seen[-1].problem  # each holds what was found of all inputs
    seen = [own._replace(problem=problem) for own in seen]
    A = _analytic(problem)
    N = [_numeric(own, A[i]) if is_whole(problem, i) else None for i, own in enumerate(seen)]
    return Jacobians(A, N, seen)


def is_whole(problem: Problem, which: int) -> bool:
    """Say whether an input is small enough to be differentiated by each of its elements.

    Parameters
    ----------
    problem : Problem
    which : int
        Number of the input.

    Returns
    -------
    bool
    """
    n = problem.point[which].size
    return n <= limits.MOST_ELEMENTS and n * problem.out.size <= limits.MOST_ENTRIES


def _analytic(problem: Problem) -> list[Array | None]:
    """Collect the rows that backward gives, of the inputs that are whole."""
    n_out, inputs = problem.out.size, range(len(problem.point))
    wanted = [which for which in inputs if is_whole(problem, which)]
    if n_out > limits.MOST_ROWS or not wanted:
        return [None for _ in inputs]
    units = np.eye(n_out).reshape(n_out, *problem.out.shape)
    rows = [[g[which].ravel() for which in wanted] for g in problem.all_gradients(units)]
    A = dict(zip(wanted, map(np.array, zip(*rows, strict=True)), strict=True))
    return [A.get(which) for which in inputs]


def _numeric(seen: Exploration, A: Array | None) -> Slopes:
    """Differentiate by all elements, by several at once where no output reads two of them."""
    n = seen.problem.point[seen.which].size
    reads = _reads(seen, A)
    if reads is not None:
        group = _groups(reads)
        if 2 * (group.max() + 1) <= n:
            N = _columns(seen, group, reads)
            if seen.on_kink or _agrees(N, seen):
                return N
    return _columns(seen, np.arange(n), np.array(True))


def _reads(seen: Exploration, A: Array | None) -> Mask | None:
    """Say which outputs read which elements (n_out, n); None where that costs too much."""
    if not seen.on_kink and (A is not None or seen.analytic):
        return None if A is None else A != 0
    problem, which = seen.problem, seen.which
    step, middle = limits.LADDER[0] * problem.step_unit(which), problem.out_at_point.ravel()

    def changing(element: int) -> Mask:
        line = problem.line(which, problem.unit(which, element))
        return (line(step) != middle) | (line(-step) != middle)

    try:
        return np.stack([changing(k) for k in range(problem.point[which].size)], axis=1)
    except UseError:  # forward is not defined there
        return None


def _groups(reads: Mask) -> Indices:
    """Number the groups of elements of which no output reads two; (n,): each one's group."""
    n_out, n = reads.shape
    read = np.zeros((n, n_out), dtype=bool)  # by which outputs a group is read
    group = np.zeros(n, dtype=np.intp)
    for element in range(n):
        outputs = np.flatnonzero(reads[:, element])
        group[element] = read[: group.max() + 2, outputs].any(axis=1).argmin()
        read[group[element], outputs] = True
    return group


def _agrees(N: Slopes, seen: Exploration) -> bool:
    """Whether N, of smooth outputs, gives the slopes along a random direction."""
    v, along = seen.directions[-1].ravel(), seen.slopes[-1]
    allowed = limits.GROUPED[seen.analytic] * (np.abs(N.value) @ np.abs(v))
    if not seen.analytic:
        allowed = allowed + 3 * (along.error + N.error @ np.abs(v))
    return not (N.kinked.any() or (np.abs(N.value @ v - along.value) > allowed).any())


def _columns(seen: Exploration, group: Indices, reads: Mask) -> Slopes:
    """Differentiate by groups of elements, and give each of these the outputs that read it."""
    groups = [np.flatnonzero(group == k) for k in range(group.max() + 1)]

    def spread(columns: Sequence[Array]) -> Array:
        return np.stack(columns, axis=1)[:, group] * reads

    if seen.analytic and not seen.on_kink:
        problem, which = seen.problem, seen.which
        value = spread([problem.tangent(which, problem.unit(which, own)) for own in groups])
        zero, no = np.broadcast_to(0.0, value.shape), np.broadcast_to(False, value.shape)
        return Slopes(value, zero, value, value, no, no)
    return Slopes(*map(spread, zip(*(_slopes(seen, own) for own in groups), strict=True)))


def _slopes(seen: Exploration, own: Indices) -> Slopes:
    """Differentiate along some elements by differences; a step crosses no kink of the map."""
    problem, which = seen.problem, seen.which
    v, distance = problem.unit(which, own), problem.distances[which]
    far = np.array(np.inf) if distance is None else distance.flat[own]
    s = problem.slopes(which, v, float(far[far != 0].min(initial=np.inf)))
    if not seen.analytic:
        return s
    exact = problem.tangent(which, v)  # off the kinks
    value, below, above = (np.where(s.kinked, a, exact) for a in (s.value, s.below, s.above))
    return s._replace(value=value, below=below, above=above, error=s.error * s.kinked)
