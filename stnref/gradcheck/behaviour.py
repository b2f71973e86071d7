"""How a pair behaves, before any value is looked at: bits, mutation, caches, linearity, dtype."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stnref.gradcheck.causes import CAUSES
from stnref.gradcheck.limits import FORWARDS, LINEARITY, ROUND_OFF, SAME_GRADIENT
from stnref.gradcheck.problem import Problem, UseError, call
from stnref.gradcheck.report import Finding
from stnref.validation import Array


def check_behaviour(problem: Problem, dout: Array, rng: np.random.Generator) -> list[Finding]:
    """Return what is wrong with how the two functions behave.

    Parameters
    ----------
    problem : Problem
    dout : Array
        An upstream gradient.
    rng : Generator

    Returns
    -------
    list of Finding

    Raises
    ------
    UseError
        All else is in vain: one of them raises, forward is random, backward returns other shapes.
    """
    dout = dout.astype(problem.out.dtype)
    _expect_the_same_again(problem)
    findings = [*_mutations(problem, dout), *_caches(problem, dout, rng)]
    return [*findings, *_linearity(problem, dout, rng), *_dtypes(problem, dout)]


def _expect_the_same_again(problem: Problem) -> None:
    out = problem.out
    for _ in range(FORWARDS):
        again, _ = problem.run(problem.inputs)
        if not _same_bits(again, out):
            changed, most = int((again != out).sum()), np.abs(again - out).max()
            text = f"calls with the same inputs differ in {changed} of {out.size} outputs"
            raise UseError("random-forward", "forward", f"{text}, by up to {most:.1e}")


def _mutations(problem: Problem, dout: Array) -> list[Finding]:
    """Run both functions on arrays of ours, and look at these afterwards."""
    arrays, mine = [a.copy() for a in problem.inputs], dout.copy()
    _, cache = call("forward", problem.forward, *arrays)
    between = [a.copy() for a in arrays]
    call("backward", problem.backward, mine, cache)
    first = _changed("forward", problem.names, between, problem.inputs)
    return first + _changed("backward", [*problem.names, "dout"], [*arrays, mine], [*between, dout])


def _changed(
    function: str, names: Sequence[str], after: Sequence[Array], before: Sequence[Array]
) -> list[Finding]:
    findings = []
    for name, new, old in zip(names, after, before, strict=True):
        if not _same_bits(new, old):
            where = np.argwhere(np.atleast_1d(new != old)).tolist()
            text = f"{len(where)} of {new.size} elements of {name} changed, the first at "
            text += str(where[0] if where else [])
            findings.append(Finding(CAUSES["input-mutated"], f"{function} changes {name}", text))
    return findings


def _caches(problem: Problem, dout: Array, rng: np.random.Generator) -> list[Finding]:
    """A forward elsewhere between a forward and its backward must change nothing."""
    _, cache = problem.run(problem.inputs)
    first = problem.pull(dout, cache)
    cause, off = CAUSES["not-repeatable"], _difference(problem, first, problem.pull(dout, cache))
    text = "two calls of backward with the same arguments differ by up to {:.1e}"
    if off is None and _ran_elsewhere(problem, rng):
        cause, off = CAUSES["stale-cache"], _difference(problem, first, problem.pull(dout, cache))
        text = "the gradient changes when forward runs at other inputs before backward is given "
        text += "the first call's cache (by up to {:.1e})"
    return [] if off is None else [Finding(cause, off[0], text.format(off[1]))]


def _difference(
    problem: Problem, a: Sequence[Array], b: Sequence[Array]
) -> tuple[str, float] | None:
    """Return which gradient is the first that differs, and by how much."""
    for name, x, y in zip(problem.names, a, b, strict=True):
        if not _same_bits(x, y):
            return f"gradient of {name}", float(np.abs(x - y).max())
    return None


def _ran_elsewhere(problem: Problem, rng: np.random.Generator) -> bool:
    """Run forward at other inputs: the same values in another order, or a small step away."""
    shuffled = [rng.permutation(a.ravel()).reshape(a.shape) for a in problem.inputs]
    nearby = [a + (0.01 * rng.standard_normal(a.shape)).astype(a.dtype) for a in problem.inputs]
    for elsewhere in (shuffled, nearby):
        try:
            problem.run(elsewhere)
        except UseError:  # not defined there
            continue
        return True
    return False


def _linearity(problem: Problem, dout: Array, rng: np.random.Generator) -> list[Finding]:
    """backward(a d1 + b d2) = a backward(d1) + b backward(d2), for each gradient by itself."""
    other, findings, (a, b) = rng.standard_normal(dout.shape), [], (1.7, -0.6)
    other.flat[0] = -dout.flat[0]  # so that a mask of its sign shows, of a single output too
    triple = (problem.gradients(d) for d in (dout, other, a * dout + b * other))
    for which, (one, two, both) in enumerate(zip(*triple, strict=True)):
        where, bad = f"gradient of {problem.names[which]}", ~np.isfinite(one)
        if bad.any():
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            text = f"{int(bad.sum())} of {bad.size} elements, the first {one[first]} at {first}"
            findings.append(Finding(CAUSES["non-finite"], where, text))
            continue
        scale = max(np.abs(one).max(initial=0), np.abs(two).max(initial=0))
        with np.errstate(all="ignore"):
            off = np.abs(both - (a * one + b * two)).max(initial=0)
        # Of a gradient that cancels to zero round-off is left, of all outputs together.
        noise = ROUND_OFF * problem.precision * max(1.0, problem.size(which)) * np.abs(dout).sum()
        if off <= max(LINEARITY[problem.single] * scale, noise):
            continue
        against = problem.gradients(-dout)[which]
        if all(np.abs(one - g).max() <= SAME_GRADIENT * scale for g in (two, against)):
            text = "three random upstream gradients give the same result"
            findings.append(Finding(CAUSES["upstream-ignored"], where, text))
        else:
            findings.append(_not_linear(problem, which, where, dout, off / (scale or 1.0)))
    return findings


def _not_linear(problem: Problem, which: int, where: str, dout: Array, off: float) -> Finding:
    """Tell a mask of the upstream gradient's sign from other things that are not linear."""
    up, down = (problem.gradients(d)[which] for d in (np.abs(dout), -np.abs(dout)))
    if up.any() and not down.any():
        text = "a positive upstream gradient passes, a negative one gives zero everywhere: the mask"
        return Finding(CAUSES["relu-mask"], where, f"{text} is one of the upstream gradient")
    text = f"backward(a d1 + b d2) is off a backward(d1) + b backward(d2) by {off:.1e}"
    try:
        if problem.gradients(np.zeros_like(dout))[which].any():
            text += "; it is not zero for an upstream gradient of zero"
    except UseError as error:
        text += f"; for an upstream gradient of zero it {error.evidence}"
    return Finding(CAUSES["not-linear"], where, text)


def _dtypes(problem: Problem, dout: Array) -> list[Finding]:
    """float64 in, float64 out; a dtype that says float64 may hold values of float32."""
    if problem.single:
        return []
    if problem.out.dtype == np.float32:
        return [Finding(CAUSES["float32"], "out", "float64 inputs give a float32 output")]
    _, cache = problem.run(problem.inputs)
    text = "the gradient is float32, {} is float64"
    return [
        Finding(CAUSES["float32"], f"gradient of {name}", text.format(name))
        for name, gradient in zip(problem.names, problem.pull(dout, cache), strict=True)
        if gradient.dtype == np.float32
    ]


def _same_bits(a: Array, b: Array) -> bool:
    """Whether two arrays are equal to the last bit, NaN included."""
    return a.tobytes() == b.tobytes()
