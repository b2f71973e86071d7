"""How a pair behaves, before any value is looked at: bits, mutation, caches, linearity, dtype."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stnref.gradcheck.causes import CAUSES
from stnref.gradcheck.limits import FORWARDS, LINEARITY, SAME_GRADIENT
from stnref.gradcheck.problem import Problem, UseError, call
from stnref.gradcheck.report import Finding
from stnref.validation import Array


def check_behaviour(problem: Problem, dout: Array, rng: np.random.Generator) -> list[Finding]:
    """Return what is wrong with how the two functions behave; raise UseError if all is in vain."""
    dout = dout.astype(problem.out.dtype)
    findings = [*_forward_repeats(problem), *_mutations(problem, dout)]
    findings += _caches(problem, dout, rng)
    findings += _linearity(problem, dout, rng)
    return findings + _dtypes(problem, dout)


def _forward_repeats(problem: Problem) -> list[Finding]:
    for _ in range(FORWARDS):
        again, _ = problem.run(problem.inputs)
        if not same_bits([again], [problem.out]):
            break
    else:
        return []
    changed = int((again != problem.out).sum())
    raise UseError(
        "random-forward",
        "forward",
        f"calls with the same inputs differ in {changed} of {again.size} outputs, "
        f"by up to {np.abs(again - problem.out).max():.1e}",
    )


def _mutations(problem: Problem, dout: Array) -> list[Finding]:
    """Run both functions on arrays of ours, and look at these afterwards."""
    findings = []
    arrays = [a.copy() for a in problem.inputs]
    cache = call("forward", problem.forward, *arrays)[1]
    for name, array, before in zip(problem.names, arrays, problem.inputs, strict=True):
        if not same_bits([array], [before]):
            findings.append(_mutated("forward", name, array, before))
    arrays = [a.copy() for a in problem.inputs] if findings else arrays
    cache = call("forward", problem.forward, *arrays)[1] if findings else cache
    mine = dout.copy()
    middle = [a.copy() for a in arrays]
    call("backward", problem.backward, mine, cache)
    for name, array, before in [
        *zip(problem.names, arrays, middle, strict=True),
        ("dout", mine, dout),
    ]:
        if not same_bits([array], [before]):
            findings.append(_mutated("backward", name, array, before))
    return findings


def _mutated(function: str, name: str, after: Array, before: Array) -> Finding:
    changed = np.argwhere(np.atleast_1d(after != before))
    return Finding(
        CAUSES["input-mutated"],
        f"{function} changes {name}",
        f"{len(changed)} of {after.size} elements of {name} changed, the first at "
        f"{changed[0].tolist() if len(changed) else []}",
    )


def _caches(problem: Problem, dout: Array, rng: np.random.Generator) -> list[Finding]:
    """A forward elsewhere between a forward and its backward must change nothing."""
    _, cache = problem.run(problem.inputs)
    first = problem.pull(dout, cache)
    second = problem.pull(dout, cache)
    if not same_bits(first, second):
        which = _first_difference(first, second)
        return [
            Finding(
                CAUSES["not-repeatable"],
                f"gradient of {problem.names[which]}",
                f"two calls of backward with the same arguments differ by up to "
                f"{np.abs(first[which] - second[which]).max():.1e}",
            )
        ]
    if not _ran_elsewhere(problem, rng):
        return []
    late = problem.pull(dout, cache)
    if same_bits(first, late):
        return []
    which = _first_difference(first, late)
    return [
        Finding(
            CAUSES["stale-cache"],
            f"gradient of {problem.names[which]}",
            "the gradient changes when forward runs at other inputs before backward is given "
            f"the first call's cache (by up to {np.abs(first[which] - late[which]).max():.1e})",
        )
    ]


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


def _first_difference(a: Sequence[Array], b: Sequence[Array]) -> int:
    return next(i for i, (x, y) in enumerate(zip(a, b, strict=True)) if not same_bits([x], [y]))


def _linearity(problem: Problem, dout: Array, rng: np.random.Generator) -> list[Finding]:
    """backward(a d1 + b d2) = a backward(d1) + b backward(d2), for each gradient by itself."""
    other = rng.standard_normal(dout.shape)
    a, b = 1.7, -0.6
    one, two, both = (problem.gradients(d) for d in (dout, other, a * dout + b * other))
    findings = []
    for name, g1, g2, g12 in zip(problem.names, one, two, both, strict=True):
        bad = ~np.isfinite(g1)
        if bad.any():
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            evidence = f"{int(bad.sum())} of {bad.size} elements, the first {g1[first]} at {first}"
            findings.append(Finding(CAUSES["non-finite"], f"gradient of {name}", evidence))
            continue
        scale = max(np.abs(g1).max(initial=0), np.abs(g2).max(initial=0))
        with np.errstate(all="ignore"):
            off = np.abs(g12 - (a * g1 + b * g2)).max(initial=0)
        if off <= LINEARITY[problem.single] * scale:
            continue
        where = f"gradient of {name}"
        against = problem.gradients(-dout)[problem.names.index(name)]
        if all(np.abs(g1 - g).max() <= SAME_GRADIENT * scale for g in (g2, against)):
            evidence = "three random upstream gradients give the same result"
            findings.append(Finding(CAUSES["upstream-ignored"], where, evidence))
        else:
            findings.append(_not_linear(problem, name, where, dout, off / (scale or 1.0)))
    return findings


def _not_linear(problem: Problem, name: str, where: str, dout: Array, off: float) -> Finding:
    """Tell a mask of the upstream gradient's sign from other things that are not linear."""
    which = problem.names.index(name)
    up, down = problem.gradients(np.abs(dout))[which], problem.gradients(-np.abs(dout))[which]
    if up.any() and not down.any():
        return Finding(
            CAUSES["relu-mask"],
            where,
            "a positive upstream gradient passes, a negative one gives zero everywhere: the mask "
            "is one of the upstream gradient",
        )
    try:
        with np.errstate(all="ignore"):  # that this divides by zero is our doing
            zero = problem.gradients(np.zeros_like(dout))[which]
        more = "; it is not zero for an upstream gradient of zero" if zero.any() else ""
    except UseError as error:
        more = f"; for an upstream gradient of zero it {error.evidence}"
    return Finding(
        CAUSES["not-linear"],
        where,
        f"backward(a d1 + b d2) is off a backward(d1) + b backward(d2) by {off:.1e}{more}",
    )


def _dtypes(problem: Problem, dout: Array) -> list[Finding]:
    """float64 in, float64 out; a dtype that says float64 may hold values of float32."""
    if problem.single:
        return []
    if problem.out.dtype == np.float32:
        return [Finding(CAUSES["float32"], "out", "float64 inputs give a float32 output")]
    _, cache = problem.run(problem.inputs)
    findings = []
    for name, gradient in zip(problem.names, problem.pull(dout, cache), strict=True):
        if gradient.dtype == np.float32:
            evidence = f"the gradient is float32, {name} is float64"
            findings.append(Finding(CAUSES["float32"], f"gradient of {name}", evidence))
    return findings


def same_bits(a: Sequence[Array], b: Sequence[Array]) -> bool:
    """Whether two lists of arrays are equal to the last bit, NaN included."""
    return all(x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))
