"""Factors: A = r N, with one r, or one for each component of the input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from stnref.diagnosis.evidence import Evidence
from stnref.diagnosis.suspects.candidate import AXES, LIKELY, POSSIBLE, Candidate, as_text
from stnref.validation import Array

SAME = 1e-6
"""Two factors are the same within this, relative."""


class Factors(NamedTuple):
    """The factors by which components of the gradient are off.

    Attributes
    ----------
    off : dict
        Component -> r, of those where it is not 1; (a,) is a coordinate, () all of the input.
    P : (n_out, n)
        N with these factors.
    where : str
        The components in words.
    one : bool
        Whether the same r holds for the whole input.
    """

    off: dict[tuple[int, ...], float]
    P: Array
    where: str
    one: bool

    @property
    def values(self) -> list[float]:
        """The different factors."""
        return list(dict.fromkeys(np.round(list(self.off.values()), 9).tolist()))

    @property
    def seen(self) -> str:
        """The factors in words."""
        shown = ", ".join(f"{r:.6g}" for r in self.values)
        place = f"for {self.where}, else 1" if self.where else "everywhere"
        return f"analytic / numeric = {shown} {place}"

    def candidate(self, cause: str, evidence: str = "", certainty: float = 1.0) -> Candidate:
        """Return the candidate of these factors."""
        text = self.seen + (f": {evidence}" if evidence else "")
        return Candidate(cause, text, self.P, self.where, certainty)


def factors_of(e: Evidence) -> Factors | None:
    """Find the factors: of the whole, of the last axis, of all axes but the batch."""
    whole = _ratio(e, np.ones(len(e.k), dtype=bool))
    if whole is not None and not np.isnan(whole):
        keys = {(a,): whole for a in range(e.shape[-1])} if e.is_coordinates else {(): whole}
        return Factors(keys, whole * e.N, "", True)
    ndim = len(e.shape)
    for axes in [(ndim - 1,), tuple(range(min(1, ndim - 1), ndim))] if ndim else ():
        ratios: dict[tuple[int, ...], float] = {}
        P = e.N.copy()
        for key in np.unique(e.k[:, axes], axis=0).tolist():
            own = (e.k[:, axes] == key).all(axis=1)
            r = _ratio(e, own)
            if r is None or (e.depends[:, own].sum() == 1 and not np.isclose(r, 1)):
                break  # a single entry has a ratio anyhow
            ratios[tuple(key)] = 1.0 if np.isnan(r) else r
            P[:, own] *= ratios[tuple(key)]
        else:
            off = {key: r for key, r in ratios.items() if not np.isclose(r, 1, rtol=SAME)}
            return Factors(off, P, _components(e, off, len(ratios)), False) if off else None
    return None


def _ratio(e: Evidence, own: Array) -> float | None:
    """Return r if A = r N in these columns, else None; NaN where both are zero."""
    A, N = e.A[:, own], e.N[:, own]
    square = (N * N).sum()
    if square <= (e.tolerance * e.scale) ** 2:
        return np.nan if not e.given[:, own].any() else None
    r = float((A * N).sum() / square)
    return None if e.differs(A, r * N).any() else r


def _components(e: Evidence, off: dict[tuple[int, ...], float], of: int) -> str:
    if len(off) == of or len(off) > 6:
        return ""
    if e.is_coordinates:
        return " and ".join(AXES[key[-1]] for key in off)
    dots = ["..."] if len(next(iter(off))) < len(e.shape) else []
    return " and ".join(f"[{', '.join(dots + list(map(str, key)))}]" for key in off)


# ------------------------------------------------------------------------------ the suspects


def nothing_comes_back(e: Evidence) -> Iterator[Candidate]:
    """The gradient is zero everywhere: forgotten, detached, None."""
    n = int(e.depends.any(axis=1).sum())
    evidence = f"it is zero everywhere, and {n} of {len(e.o)} outputs depend on the input"
    yield Candidate("no-gradient", evidence, np.zeros_like(e.A))


def component_forgotten(e: Evidence) -> Iterator[Candidate]:
    """Some components of the input get nothing, the others are right."""
    f = factors_of(e)
    if f and not f.one and all(abs(r) < SAME for r in f.off.values()):
        evidence = f"{f.where or 'what is wrong'} gets zero, and outputs depend on it"
        yield Candidate("path-missing", f"{evidence}; all else is right", f.P, f.where, POSSIBLE)


def sign_flipped(e: Evidence) -> Iterator[Candidate]:
    """All of it, or a component, has the other sign, and perhaps a factor besides."""
    f = factors_of(e)
    if f and all(np.isclose(r, -1, rtol=SAME) for r in f.values):
        yield f.candidate("sign")
    elif f and any(r < -SAME for r in f.values):
        yield f.candidate("sign", "a sign, and a factor", LIKELY)


def _may_be_pixel_factors(e: Evidence, f: Factors) -> bool:
    """One factor for all of several parameters is none of an axis: x and y have their own."""
    several = e.is_coordinates or not f.one or len(f.values) > 1
    return several and not e.is_map and all(abs(r) > SAME for r in f.values)


def _pixel_slopes(e: Evidence) -> list[tuple[float, float]]:
    """Return dx/dg of x, y(, z) by both corner rules; if only one is known, it twice."""
    if e.sizes:
        return [((n - 1) / 2, n / 2) for n in e.sizes]
    if not e.is_coordinates:
        return []
    slopes = []
    for a in range(e.shape[-1]):
        own = e.N[:, e.k[:, -1] == a]
        values = np.unique(np.round(own[e.depends[:, e.k[:, -1] == a]], 9))
        if len(values) != 1 or not float(4 * values[0]).is_integer():  # a half, or rounded to 4ths
            return []
        slopes.append((float(values[0]), float(values[0])))
    return slopes if any(s != 1 for s, _ in slopes) else []


Ratios = Callable[[Sequence[tuple[float, float]], int], list[float]]


def _axis_factors(e: Evidence, cause: str, what: str, ratios: Ratios) -> Iterator[Candidate]:
    """Compare every factor with those that an axis could have: its own if it is a coordinate."""
    f, slopes = factors_of(e), _pixel_slopes(e)
    if f is None or not slopes or not _may_be_pixel_factors(e, f):
        return

    def fits(key: tuple[int, ...], r: float) -> bool:
        axes = [key[-1]] if e.is_coordinates else range(len(slopes))
        return any(np.isclose(r, ratio, rtol=SAME) for a in axes for ratio in ratios(slopes, a))

    if all(fits(key, r) for key, r in f.off.items()):
        text = ", ".join(f"{AXES[a]}: {s[0]:g}" for a, s in enumerate(slopes))
        yield f.candidate(cause, f"{what} (dx/dg is {text})")


def axes_have_each_others_factor(e: Evidence) -> Iterator[Candidate]:
    """dx/dg of x stands at y, that of y at x."""
    yield from _axis_factors(
        e,
        "hw-swapped",
        "the factor of one axis over that of the other",
        lambda s, a: [
            s[c][rule] / s[a][rule]
            for c in range(len(s))
            for rule in (0, 1)
            if c != a and s[a][rule]
        ],
    )


def other_corner_rule(e: Evidence) -> Iterator[Candidate]:
    """The factor is W/2 where (W - 1)/2 is due, or the other way round."""

    def ratios(s: Sequence[tuple[float, float]], a: int) -> list[float]:
        here, there = s[a]
        if here == there:  # only the slope in force is known: the other rule's is half a pixel off
            return [(here + 0.5) / here, (here - 0.5) / here]
        return [here / there, there / here] if here else []

    what = "the factor of one corner rule over that of the other"
    yield from _axis_factors(e, "corner-factor", what, ratios)


def pixel_factor_wrong(e: Evidence) -> Iterator[Candidate]:
    """dx/dg is missing, there twice, or divided by."""
    for powers, what in (
        ((-1,), "one over the factor from normalised to pixel coordinates"),
        ((1, 2, -2), "that factor too often, or divided by"),
    ):
        yield from _axis_factors(
            e, "pixel-factor", what, lambda s, a, p=powers: [x**n for x in s[a] if x for n in p]
        )


def factors_of_two_sizes(e: Evidence) -> Iterator[Candidate]:
    """Where no input tells the sizes, two factors of two sizes give themselves away."""
    f = factors_of(e)
    if f is None or not _may_be_pixel_factors(e, f) or _pixel_slopes(e):
        return
    r = np.unique(np.abs(f.values))

    def whole(x: Array) -> bool:
        return bool((np.abs(x - np.round(x)) < SAME * np.abs(x)).all() and (np.round(x) > 0).all())

    if len(r) < 2:
        return
    if len(r) == 2 and np.isclose(r[0] * r[1], 1, rtol=SAME):
        yield f.candidate("hw-swapped", "one is the other's inverse, as when H stands for W")
    elif whole(1 / np.abs(r - 1)) or whole(1 / np.abs(1 / r - 1)):
        yield f.candidate("corner-factor", "of the form n / (n - 1)")
    elif any(whole(2 * x) for x in (r, 1 / r, np.sqrt(r), 1 / np.sqrt(r))):
        what = "halves of whole numbers, their squares or inverses, as (W - 1)/2 and (H - 1)/2"
        yield f.candidate("pixel-factor", what)


def _is_size(r: float, n: int) -> str:
    """Say "n" or "1 / n" if r is that, else nothing."""
    if n > 1 and np.isclose(r, n, rtol=SAME):
        return str(n)
    return f"1 / {n}" if n > 1 and np.isclose(r * n, 1, rtol=SAME) else ""


def mean_over_batch(e: Evidence) -> Iterator[Candidate]:
    """A mean in place of a sum, or the reverse: over the batch, by itself or with other axes."""
    f = factors_of(e)
    if f is None or len(f.values) != 1:
        return
    # The only axis of a vector that is mapped element by element is no batch.
    vector = len(e.shape) == 1 and e.shape == e.out_shape
    first = e.problem.inputs[0]
    counts = {first.shape[0] if first.ndim and not vector else 1: "the batch size"}
    for end in range(2, len(e.out_shape) + 1):
        part = e.out_shape[:end]
        counts.setdefault(int(np.prod(part)), f"the number of outputs, {as_text(part)}")
    for n, what in counts.items():
        if size := _is_size(f.values[0], n):
            yield f.candidate("batch-mean", f"{size}, {what}")
            return


def mean_over_channels(e: Evidence) -> Iterator[Candidate]:
    """A mean over the channels in place of a sum."""
    f = factors_of(e)
    if f is None or len(f.values) != 1 or not e.is_coordinates or e.map is None:
        return
    shape = e.problem.inputs[e.map].shape
    channels = [shape[a] for a in range(min(1, len(shape) - 1), len(shape)) if a not in e.spatial]
    if channels and np.isclose(f.values[0] * channels[0], 1, rtol=SAME) and channels[0] > 1:
        yield f.candidate("channel-sum", f"1 / {channels[0]}, the number of channels")


def constant_factor(e: Evidence) -> Iterator[Candidate]:
    """Any other factor."""
    f = factors_of(e)
    if f is not None and all(abs(r) > SAME for r in f.values):
        named = [mean_over_batch, mean_over_channels, sign_flipped, factors_of_two_sizes]
        named += [axes_have_each_others_factor, other_corner_rule, pixel_factor_wrong]
        other = not any(True for suspect in named for _ in suspect(e))
        power_of_two = len(f.values) == 1 and np.log2(abs(f.values[0])) % 1 == 0
        if other or (power_of_two and f.values[0] > 0):
            yield f.candidate("constant-factor")


SUSPECTS = (
    nothing_comes_back,
    sign_flipped,
    component_forgotten,
    axes_have_each_others_factor,
    other_corner_rule,
    pixel_factor_wrong,
    factors_of_two_sizes,
    mean_over_batch,
    mean_over_channels,
    constant_factor,
)
