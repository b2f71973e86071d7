"""Shrink: a smaller input of the same kind on which the gradient is wrong too.

As property-based testing does with a failing example: axes are cut, one length after the other, and
a cut is kept if both functions still run and the gradient is still wrong. What the axes mean is not
asked. All axes of one length are cut together, as the axes of several arrays that belong to one
another have the same; axes whose length is a multiple of it go along where that is needed, as
those of a flattened map do; and if forward has the length bound, as that of a target grid, only
some of its outputs are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from stnref.gradcheck import limits
from stnref.gradcheck.problem import Problem, UseError, direction
from stnref.validation import Array

SIZES = (3, 5, 6, 7, 8, 9, 10, 11, 13)
"""What an axis is cut to: a size that no other axis has, and neither 2 nor 4, so that a factor
tells which axis it comes from."""
LAST_RESORT = (6, 5, 4, 3, 2)
"""Where that is not small enough: a size that no other axis of the same array has."""
WRONG = {True: 1e-9, False: 1e-6}
"""A gradient is wrong beyond this, relative; True: differentiated by the complex step."""
Cut = Callable[[Problem, int, int], Iterator[Callable[[], Problem]]]
LIVELY = 0.5
"""The share of outputs that depend on the input may fall to this by one cut."""


def is_small(problem: Problem) -> bool:
    """Say whether both Jacobians of the problem are complete.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    bool
    """
    return not _large(problem)


def _large(problem: Problem) -> list[tuple[int, ...]]:
    """Return the shapes that are too large."""
    n_out = problem.out.size
    most = min(limits.MOST_ELEMENTS, limits.MOST_ENTRIES // n_out)
    large = [a.shape for a in problem.inputs if a.size > most]
    return large + ([problem.out.shape] if n_out > limits.MOST_ROWS else [])


def shrink(problem: Problem, which: int, rng: np.random.Generator) -> Problem | None:
    """Return a small problem whose gradient to that input is wrong too, None if none is found.

    Parameters
    ----------
    problem : Problem
        One whose gradient is wrong, off the kinks; itself if it is small.
    which : int
        The input.
    rng : Generator
        Draws the directions along which cuts are tried.

    Returns
    -------
    Problem or None
    """
    passes = ((_cut_inputs, SIZES), (_cut_inputs, LAST_RESORT), (_look_at_part, LAST_RESORT))
    for cut, sizes in passes:
        while not is_small(problem):
            smaller = _one_cut(problem, which, cut, sizes, rng)
            if smaller is None:
                break
            problem = smaller
    return problem if is_small(problem) else None


def _one_cut(
    problem: Problem, which: int, cut: Cut, sizes: Sequence[int], rng: np.random.Generator
) -> Problem | None:
    """Cut the axes of one length, those first that most arrays share; None if no cut works."""
    shapes = [problem.out.shape, *(a.shape for a in problem.inputs)]
    for n in _lengths(problem):
        others = [s for s in shapes if sizes is SIZES or n in s]
        for m in sizes:
            if m < n and not any(m in s for s in others) and any(n in s for s in _large(problem)):
                smaller = _first_that_is_wrong(cut(problem, n, m), problem, which, rng)
                if smaller is not None:
                    return smaller
    return None


def _lengths(problem: Problem) -> list[int]:
    """Return the lengths of all axes, those first that most arrays share."""
    shapes = [problem.out.shape, *(a.shape for a in problem.inputs)]
    lengths = {n for shape in shapes for n in shape}
    return sorted(lengths, key=lambda n: (-sum(n in shape for shape in shapes), n))


def _first_that_is_wrong(
    attempts: Iterator[Callable[[], Problem]],
    problem: Problem,
    which: int,
    rng: np.random.Generator,
) -> Problem | None:
    """Return the first attempt that runs, is wrong too, and has not lost most of its outputs."""
    share, zero = _alive(problem, which, rng)
    for attempt in attempts:
        try:
            smaller = attempt()
            alive = _alive(smaller, which, rng)
            if is_wrong(smaller, which, rng) and alive[0] >= LIVELY * share and alive[1] == zero:
                return smaller
        except UseError:  # the two functions do not take it
            continue
    return None


def _cut_inputs(problem: Problem, n: int, m: int) -> Iterator[Callable[[], Problem]]:
    """Cut all axes of length n to m: these alone, values too, and axes of multiples of n."""
    inputs = problem.inputs
    if any(n in a.shape for a in inputs):
        alone = [_sliced(a, n, m, False) for a in inputs]
        # Positions along an axis that is cut are brought into its range.
        in_range = [a if n in b.shape else a * (m / n) for a, b in zip(alone, inputs, strict=True)]
        multiples = [_sliced(a, n, m, True) for a in inputs]
        for changed in (alone, in_range, multiples):
            yield partial(problem.with_inputs, changed)


def _sliced(a: Array, n: int, m: int, multiples: bool) -> Array:
    for axis, length in enumerate(a.shape):
        if length == n or (multiples and length % n == 0):
            a = a.take(range(length // n * m), axis=axis)
    return a


def _look_at_part(problem: Problem, n: int, m: int) -> Iterator[Callable[[], Problem]]:
    """Look at m of the n outputs along an axis, and elements of inputs: forward has it bound."""
    if any(n in a.shape for a in (problem.out, *problem.inputs)):
        own = [i for i, a in enumerate(problem.inputs) if n in a.shape]
        for start in ((n - m) // 2, n - m, 0):
            for inputs in (own, []):
                yield partial(_part, problem, n, slice(start, start + m), inputs)


def _part(problem: Problem, n: int, kept: slice, inputs: Sequence[int]) -> Problem:
    """Return the problem of some outputs and some elements of some inputs, the others constant."""

    def here(shape: tuple[int, ...]) -> tuple[Any, ...]:
        return (slice(None),) * shape.index(n) + (kept,) if n in shape else ()

    def forward(*parts: Array) -> tuple[Array, Any]:
        whole = [*parts]
        for i in inputs:
            whole[i] = problem.inputs[i].astype(np.result_type(parts[i], problem.inputs[i]))
            whole[i][here(whole[i].shape)] = parts[i]
        out, cache = problem.forward(*whole)
        return out[here(out.shape)], (cache, out.shape)

    def backward(dout: Array, cache: Any) -> Any:
        inner, shape = cache
        whole = np.zeros(shape, dtype=dout.dtype)
        whole[here(shape)] = dout
        gradients = problem.backward(whole, inner)
        listed = list(gradients) if isinstance(gradients, (tuple, list)) else [gradients]
        for i in inputs:
            listed[i] = None if listed[i] is None else listed[i][here(problem.inputs[i].shape)]
        return listed

    parts = [a[here(a.shape)] if i in inputs else a for i, a in enumerate(problem.inputs)]
    part = Problem(forward, backward, parts, problem.names)
    return part.knowing(analytic=problem.analytic, repeatable=problem.repeatable)


def _alive(problem: Problem, which: int, rng: np.random.Generator) -> tuple[float, bool]:
    """Return the share of outputs that depend on the input, and whether its gradient is zero."""
    v = direction(rng, problem.inputs[which].shape)
    gradient = problem.gradients(rng.standard_normal(problem.out.shape))[which]
    return float((problem.tangent(which, v) != 0).mean()), not gradient.any()


def is_wrong(problem: Problem, which: int, rng: np.random.Generator) -> bool:
    """Compare <dout, J v> with <J^T dout, v> for one direction each.

    Parameters
    ----------
    problem : Problem
        Off its kinks.
    which : int
        The input.
    rng : Generator

    Returns
    -------
    bool
        Whether they differ by more than the derivative may be off.
    """
    v = direction(rng, problem.inputs[which].shape)
    dout = rng.standard_normal(problem.out.shape)
    out_dot = problem.tangent(which, v)
    gradient = problem.gradients(dout)[which]
    off = abs(float(np.vdot(gradient, v)) - float(dout.ravel() @ out_dot))
    scale = max(np.linalg.norm(dout) * np.linalg.norm(out_dot), np.linalg.norm(gradient))
    return bool(off > WRONG[problem.analytic[which]] * scale)
