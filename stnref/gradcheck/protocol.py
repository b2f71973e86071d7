"""How a pair behaves, before any value is looked at: bits, mutation, caches, linearity, dtype."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stnref.gradcheck.pair import Pair, UseError, same_bits
from stnref.gradcheck.report import Finding
from stnref.validation import Array

FORWARDS = 4
"""How often forward is run to see whether it is random: few bits may agree by chance."""
LINEARITY = {False: 1e-5, True: 1e-3}
"""Largest error of backward(a d1 + b d2) = a backward(d1) + b backward(d2), relative; True: where
the pair computes in float32. In float64 it lets the round-off of float32 pass, which has a
finding of its own."""


def check_behaviour(pair: Pair, dout: Array, rng: np.random.Generator) -> list[Finding]:
    """Return what is wrong with how the two functions behave; raise UseError if all is in vain."""
    dout = dout.astype(pair.out.dtype)
    findings = [*_forward_repeats(pair), *_mutations(pair, dout)]
    findings += _caches(pair, dout, rng)
    findings += _linearity(pair, dout, rng)
    return findings + _dtypes(pair, dout)


def _forward_repeats(pair: Pair) -> list[Finding]:
    for _ in range(FORWARDS):
        again, _ = pair.run(pair.given)
        if not same_bits([again], [pair.out]):
            break
    else:
        return []
    changed = int((again != pair.out).sum())
    raise UseError(
        "random-forward",
        "forward",
        f"calls with the same inputs differ in {changed} of {again.size} outputs, "
        f"by up to {np.abs(again - pair.out).max():.1e}",
    )


def _mutations(pair: Pair, dout: Array) -> list[Finding]:
    """Run both functions on arrays of ours, and look at these afterwards."""
    findings = []
    arrays = [a.copy() for a in pair.given]
    cache = pair.bare_run(arrays)
    for name, array, before in zip(pair.names, arrays, pair.given, strict=True):
        if not same_bits([array], [before]):
            findings.append(_mutated("forward", name, array, before))
    arrays = [a.copy() for a in pair.given] if findings else arrays
    cache = pair.bare_run(arrays) if findings else cache
    mine = dout.copy()
    middle = [a.copy() for a in arrays]
    pair.bare_pull(mine, cache)
    for name, array, before in [
        *zip(pair.names, arrays, middle, strict=True),
        ("dout", mine, dout),
    ]:
        if not same_bits([array], [before]):
            findings.append(_mutated("backward", name, array, before))
    return findings


def _mutated(function: str, name: str, after: Array, before: Array) -> Finding:
    changed = np.argwhere(np.atleast_1d(after != before))
    return Finding(
        "input-mutated",
        f"{function} changes {name}",
        f"{len(changed)} of {after.size} elements of {name} changed, the first at "
        f"{changed[0].tolist() if len(changed) else []}",
    )


def _caches(pair: Pair, dout: Array, rng: np.random.Generator) -> list[Finding]:
    """A forward elsewhere between a forward and its backward must change nothing."""
    _, cache = pair.run(pair.given)
    first = pair.pull(dout, cache)
    second = pair.pull(dout, cache)
    if not same_bits(first, second):
        which = _first_difference(first, second)
        return [
            Finding(
                "not-repeatable",
                f"gradient of {pair.names[which]}",
                f"two calls of backward with the same arguments differ by up to "
                f"{np.abs(first[which] - second[which]).max():.1e}",
            )
        ]
    if not _ran_elsewhere(pair, rng):
        return []
    late = pair.pull(dout, cache)
    if same_bits(first, late):
        return []
    which = _first_difference(first, late)
    return [
        Finding(
            "stale-cache",
            f"gradient of {pair.names[which]}",
            "the gradient changes when forward runs at other inputs before backward is given "
            f"the first call's cache (by up to {np.abs(first[which] - late[which]).max():.1e})",
        )
    ]


def _ran_elsewhere(pair: Pair, rng: np.random.Generator) -> bool:
    """Run forward at other inputs: the same values in another order, or a small step away."""
    shuffled = [rng.permutation(a.ravel()).reshape(a.shape) for a in pair.given]
    nearby = [a + (0.01 * rng.standard_normal(a.shape)).astype(a.dtype) for a in pair.given]
    for elsewhere in (shuffled, nearby):
        try:
            pair.run(elsewhere)
        except UseError:  # not defined there
            continue
        return True
    return False


def _first_difference(a: Sequence[Array], b: Sequence[Array]) -> int:
    return next(i for i, pair in enumerate(zip(a, b, strict=True)) if not same_bits(*zip(pair)))


def _linearity(pair: Pair, dout: Array, rng: np.random.Generator) -> list[Finding]:
    """backward(a d1 + b d2) = a backward(d1) + b backward(d2), for each gradient by itself."""
    other = rng.standard_normal(dout.shape)
    a, b = 1.7, -0.6
    one, two, both = (pair.gradients(d) for d in (dout, other, a * dout + b * other))
    findings = []
    for name, g1, g2, g12 in zip(pair.names, one, two, both, strict=True):
        bad = ~np.isfinite(g1)
        if bad.any():
            first = tuple(int(i) for i in np.argwhere(bad)[0])
            evidence = f"{int(bad.sum())} of {bad.size} elements, the first {g1[first]} at {first}"
            findings.append(Finding("non-finite", f"gradient of {name}", evidence))
            continue
        scale = max(np.abs(g1).max(initial=0), np.abs(g2).max(initial=0))
        with np.errstate(all="ignore"):
            off = np.abs(g12 - (a * g1 + b * g2)).max(initial=0)
        if off <= LINEARITY[pair.single] * scale:
            continue
        where = f"gradient of {name}"
        against = pair.gradients(-dout)[pair.names.index(name)]
        if all(np.abs(g1 - g).max() <= 1e-12 * scale for g in (g2, against)):
            evidence = "three random upstream gradients give the same result"
            findings.append(Finding("upstream-ignored", where, evidence))
        else:
            findings.append(_not_linear(pair, name, where, dout, off / (scale or 1.0)))
    return findings


def _not_linear(pair: Pair, name: str, where: str, dout: Array, off: float) -> Finding:
    """Tell a mask of the upstream gradient's sign from other things that are not linear."""
    which = pair.names.index(name)
    up, down = pair.gradients(np.abs(dout))[which], pair.gradients(-np.abs(dout))[which]
    if up.any() and not down.any():
        return Finding(
            "relu-mask",
            where,
            "a positive upstream gradient passes, a negative one gives zero everywhere: the mask "
            "is one of the upstream gradient",
        )
    try:
        with np.errstate(all="ignore"):  # that this divides by zero is our doing
            zero = pair.gradients(np.zeros_like(dout))[which]
        more = "; it is not zero for an upstream gradient of zero" if zero.any() else ""
    except UseError as error:
        more = f"; for an upstream gradient of zero it {error.evidence}"
    return Finding(
        "not-linear",
        where,
        f"backward(a d1 + b d2) is off a backward(d1) + b backward(d2) by {off:.1e}{more}",
    )


def _dtypes(pair: Pair, dout: Array) -> list[Finding]:
    """float64 in, float64 out; a dtype that says float64 may hold values of float32."""
    if pair.single:
        return []
    if pair.out.dtype == np.float32:
        return [Finding("float32", "out", "float64 inputs give a float32 output")]
    _, cache = pair.run(pair.given)
    findings = []
    for name, gradient in zip(pair.names, pair.pull(dout, cache), strict=True):
        if gradient.dtype == np.float32:
            evidence = f"the gradient is float32, {name} is float64"
            findings.append(Finding("float32", f"gradient of {name}", evidence))
    return findings
