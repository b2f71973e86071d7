"""Factors: A = r N, with one r, or one for each component of the input."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from stnref.diagnosis.evidence import Evidence
from stnref.diagnosis.suspects.candidate import AXES, CERTAIN, LIKELY, POSSIBLE, Candidate, as_text
from stnref.validation import Array

SAME = 1e-6
"""Two factors are the same within this, relative."""
MOST_NAMED = 6
"""More components than these are not listed."""


class Factors(NamedTuple):
    """The factors by which components of the gradient are off.

    Attributes
    ----------
    off : dict
        Component -> r, of those where it is not 1; (a,) is a coordinate, () all of the input.
    P : (n_out, n)
        N with these factors.
    where : str
        The components in words, "" for all.
    """

    off: dict[tuple[int, ...], float]
    P: Array
    where: str

    @property
    def values(self) -> list[float]:
        """The different factors."""
        return list(dict.fromkeys(np.round(list(self.off.values()), 9).tolist()))

    def candidate(self, cause: str, why: str = "", certainty: float = 1.0) -> Candidate:
        """Return the candidate of these factors."""
        shown = ", ".join(f"{r:.6g}" for r in self.values)
        text = f"analytic / numeric = {shown} for {self.where or 'all of it'}"
        text += (", else 1" if self.where else "") + (f": {why}" if why else "")
        return Candidate(cause, text, self.P, self.where, certainty)


@lru_cache(maxsize=1)
def _factors_of(e: Evidence) -> Factors | None:
    """Find the factors: of the whole, of the last axis, of all axes but the batch."""
    last = len(e.shape) - 1
    for axes in [(), (last,), tuple(range(min(1, last), last + 1))] if e.shape else [()]:
        ratios: dict[tuple[int, ...], float] = {}
        P = e.N.copy()
        for key in np.unique(e.k[:, axes], axis=0).tolist() if axes else [[]]:
            own = (e.k[:, axes] == key).all(axis=1)
            r = _ratio(e, own)
            alone = bool(axes) and e.depends[:, own].sum() == 1  # one entry has a ratio anyhow
            if r is None or (alone and abs(r - 1) > SAME):
                break
            ratios[tuple(key)] = r
            P[:, own] *= r
        else:
            if not axes and e.is_coordinates:
                ratios = {(a,): ratios[()] for a in range(e.shape[-1])}
            off = {key: r for key, r in ratios.items() if abs(r - 1) > SAME}
            if len(off) > len(AXES) and len(set(np.round(list(off.values()), 9))) == len(off):
                return None  # as many factors as components explain nothing
            return Factors(off, P, _words(e, off, len(ratios))) if off else None
    return None


def _ratio(e: Evidence, own: Array) -> float | None:
    """Return r if A = r N in these columns, else None; 1 where both are zero."""
    A, N = e.A[:, own], e.N[:, own]
    if not e.depends[:, own].any():
        return None if e.given[:, own].any() else 1.0
    r = float((A * N).sum() / (N * N).sum())
    return None if e.differs(A, r * N).any() else r


def _words(e: Evidence, off: dict[tuple[int, ...], float], of: int) -> str:
    if len(off) == of or len(off) > MOST_NAMED:
        return ""
    if e.is_coordinates:
        return " and ".join(AXES[key[-1]] for key in off)
    dots = ["..."] if len(next(iter(off))) < len(e.shape) else []
    return " and ".join(f"[{', '.join(dots + list(map(str, key)))}]" for key in off)


# ------------------------------------------------------------------------------ the suspects


def nothing_comes_back(e: Evidence) -> Iterator[Candidate]:
    """The gradient is zero everywhere: forgotten, detached, None."""
    n = int(e.depends.any(axis=1).sum())
    text = f"it is zero everywhere, and {n} of {len(e.o)} outputs depend on the input"
    yield Candidate("no-gradient", text, np.zeros_like(e.A))


def component_forgotten(e: Evidence) -> Iterator[Candidate]:
    """Some components of the input get nothing, the others are right."""
    f = _factors_of(e)
    if f and f.where and all(abs(r) < SAME for r in f.values):
        text = f"{f.where} gets zero, and outputs depend on it; all else is right"
        yield Candidate("path-missing", text, f.P, f.where, POSSIBLE)


def sign_flipped(e: Evidence) -> Iterator[Candidate]:
    """All of it, or a component, has the other sign, and perhaps a factor besides."""
    f = _factors_of(e)
    if f and all(abs(r + 1) < SAME for r in f.values):
        yield f.candidate("sign")
    elif f and any(r < -SAME for r in f.values):
        yield f.candidate("sign", "a sign, and a factor", LIKELY)


PixelSlopes = list[list[float]]
"""∂x/∂g of x, y(, z): by both corner rules where the sizes are known, else the one in force."""


def _other_axis(s: PixelSlopes, a: int) -> list[float]:
    """The factor of one axis over that of the other."""
    pairs = [pair for c in range(len(s)) if c != a for pair in zip(s[c], s[a], strict=True)]
    return [there / here for there, here in pairs if here]


def _other_corner_rule(s: PixelSlopes, a: int) -> list[float]:
    """The factor of one corner rule over that of the other."""
    if len(s[a]) == 1:  # the other rule's is half a pixel off
        return [(s[a][0] + 0.5) / s[a][0], (s[a][0] - 0.5) / s[a][0]]
    return [s[a][0] / s[a][1], s[a][1] / s[a][0]] if s[a][0] else []


def _pixel_factor_missing(s: PixelSlopes, a: int) -> list[float]:
    """One over the factor from normalised to pixel coordinates."""
    return [1 / slope for slope in s[a] if slope]


def _pixel_factor_again(s: PixelSlopes, a: int) -> list[float]:
    """The factor from normalised to pixel coordinates too often, or divided by."""
    return [slope**n for slope in s[a] if slope for n in (1, 2, -2)]


OF_AXES = {
    _other_axis: "hw-swapped",
    _other_corner_rule: "corner-factor",
    _pixel_factor_missing: "pixel-factor",
    _pixel_factor_again: "pixel-factor",
}
"""The factors that an axis may have by mistake."""


def factor_of_an_axis(e: Evidence) -> Iterator[Candidate]:
    """A factor between normalised and pixel coordinates is missing, or another axis's or rule's."""
    f, slopes = _factors_of_axes(e), _pixel_slopes(e)
    if f is None or not slopes:
        return
    for ratios, cause in OF_AXES.items():
        possible = [ratios(slopes, a) for a in range(len(slopes))]
        everywhere = [r for some in possible for r in some]
        of = {key: possible[key[-1]] if e.is_coordinates else everywhere for key in f.off}
        if all(np.isclose(r, of[key], rtol=SAME).any() for key, r in f.off.items()):
            text = ", ".join(f"{AXES[a]}: {s[0]:g}" for a, s in enumerate(slopes))
            yield f.candidate(cause, f"{(ratios.__doc__ or '')[:-1].lower()} (∂x/∂g is {text})")


def _factors_of_axes(e: Evidence) -> Factors | None:
    """One factor for all of several parameters is none of an axis: x and y have their own."""
    f = _factors_of(e)
    several = f and (e.is_coordinates or f.where or len(f.values) > 1)
    return f if f and several and not e.is_map and all(abs(r) > SAME for r in f.values) else None


def _pixel_slopes(e: Evidence) -> PixelSlopes:
    if e.sizes or not e.is_coordinates:
        return [[(n - 1) / 2, n / 2] for n in e.sizes]
    slopes: PixelSlopes = []
    for a in range(e.shape[-1]):
        own = e.k[:, -1] == a
        slopes.append(np.unique(np.round(e.N[:, own][e.depends[:, own]], 9)).tolist())
    constant = all(len(s) == 1 and (4 * s[0]).is_integer() for s in slopes)
    return slopes if constant and slopes != [[1.0]] * len(slopes) else []


def factors_of_two_sizes(e: Evidence) -> Iterator[Candidate]:
    """Where no input tells the sizes, two factors of two sizes give themselves away."""
    f = _factors_of_axes(e)
    r = np.unique(np.abs(f.values)) if f and not _pixel_slopes(e) else np.ones(1)

    def whole(x: Array) -> bool:
        return bool((np.abs(x - np.round(x)) < SAME * np.abs(x)).all() and (np.round(x) > 0).all())

    if f is None or len(r) < 2:
        return
    if len(r) == 2 and abs(r[0] * r[1] - 1) < SAME:
        yield f.candidate("hw-swapped", "one is the other's inverse, as when H stands for W")
        return
    if whole(1 / np.abs(r - 1)) or whole(1 / np.abs(1 / r - 1)):
        yield f.candidate("corner-factor", "of the form n / (n - 1)")
    if any(whole(2 * x) for x in (r, 1 / r, np.sqrt(r), 1 / np.sqrt(r))):
        what = "halves of whole numbers, their squares or inverses, as (W - 1)/2 and (H - 1)/2"
        yield f.candidate("pixel-factor", what)


def mean_over_batch(e: Evidence) -> Iterator[Candidate]:
    """A mean in place of a sum, or the reverse: over the batch, by itself or with other axes."""
    f = _factors_of(e)
    if f is None or len(f.values) != 1 or f.where:
        return
    vector = len(e.shape) == 1 and e.shape == e.out_shape  # its only axis is no batch
    first = e.problem.inputs[0].shape
    counts = {first[0] if first and not vector else 1: "the batch size"}
    for part in (e.out_shape[:end] for end in range(2, len(e.out_shape) + 1)):
        counts.setdefault(int(np.prod(part)), f"the number of outputs, {as_text(part)}")
    for n, what in counts.items():
        for power, size in ((1, f"{n}"), (-1, f"1 / {n}")):
            if n > 1 and np.isclose(f.values[0], float(n) ** power, rtol=SAME):
                yield f.candidate("batch-mean", f"{size}, {what}")
                return


def mean_over_channels(e: Evidence) -> Iterator[Candidate]:
    """A mean over the channels in place of a sum."""
    f = _factors_of(e)
    if f and len(f.values) == 1 and e.is_coordinates and e.map is not None:
        shape = e.problem.inputs[e.map].shape
        C = next((shape[a] for a in range(1, len(shape)) if a not in e.spatial), 1)
        if C > 1 and np.isclose(f.values[0] * C, 1, rtol=SAME):
            yield f.candidate("channel-sum", f"1 / {C}, the number of channels")


def constant_factor(e: Evidence) -> Iterator[Candidate]:
    """Any other factor; a power of two may be that of a sum or an axis, or just a two."""
    f = _factors_of(e)
    if f and all(abs(r) > SAME for r in f.values):
        two = len(f.values) == 1 and f.values[0] > 0 and np.log2(f.values[0]) % 1 == 0
        yield f.candidate("constant-factor", "", CERTAIN if two else LIKELY)
