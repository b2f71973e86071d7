"""Factors: the gradient is right but for a sign, a size, or the slope of a coordinate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from stnref.gradcheck.evidence import Block, Evidence, as_text
from stnref.gradcheck.suspects.match import AXES, Match
from stnref.validation import Array


def _ratio(b: Block, columns: Array | slice = slice(None)) -> float | None:
    """Return r if A = r N in these columns, else None; NaN where both are zero."""
    A, N = b.A[:, columns], b.N[:, columns]
    square = (N * N).sum()
    if square <= (b.tolerance * b.scale) ** 2:
        return np.nan if not b.differs(A, 0 * A).any() else None
    r = float((A * N).sum() / square)
    return None if b.differs(A, r * N).any() else r


def factors(e: Evidence) -> Iterator[Match]:
    """A = r N, with one r, or one for each component of the input."""
    b = e.block
    r = _ratio(b)
    if r is not None and not np.isnan(r):
        components: dict[tuple[int, ...], float] = {(): r}
        if e.is_coordinates:
            components = {(a,): r for a in range(e.shape[-1])}
        yield from _name_factors(e, components)
        return
    if not e.shape:
        return
    start = 0 if len(e.shape) < 2 else 1  # the first axis is the batch
    for axes in [(len(e.shape) - 1,), tuple(range(start, len(e.shape)))]:
        components = {}
        for key in np.unique(b.k[:, axes], axis=0):
            own = (b.k[:, axes] == key).all(axis=1)
            ratio = _ratio(b, own)
            if ratio is None or b.nonzero[:, own].sum() == 1:  # one entry has a ratio anyhow
                break
            if not np.isnan(ratio):
                components[tuple(int(i) for i in key)] = ratio
        else:
            if len(components) > 1 or e.is_coordinates:
                yield from _name_factors(e, components)
                return


def _name_factors(e: Evidence, components: dict[tuple[int, ...], float]) -> Iterator[Match]:
    """Say what the factors are: a sign, a size, one of the two corner rules, a constant."""
    off = {key: r for key, r in components.items() if not np.isclose(r, 1, rtol=1e-6)}
    if not off:
        return
    where = _component_text(e, off, components)
    values = list(off.values())
    if all(np.isclose(r, -1, rtol=1e-6) for r in values):
        yield Match("sign", where, f"analytic / numeric = -1 {_for(where)}, else 1")
        return
    if all(abs(r) < 1e-9 for r in values):
        if len(off) == len(components):
            evidence = "it is zero everywhere, and the output depends on the input"
        else:
            evidence = "it is zero there, and the output depends on it; all else is right"
        yield Match("path-missing", where, evidence, 0.8)
        return
    if any(abs(r) < 1e-9 for r in values):
        return
    shown = ", ".join(f"{r:.6g}" for r in dict.fromkeys(np.round(values, 9)))
    seen = f"analytic / numeric = {shown} {_for(where)}"
    one = len(set(np.round(values, 9))) == 1
    # One factor for all of several parameters is none of an axis: x and y would have their own.
    named = []
    if e.which != e.map_input and (e.is_coordinates or not one or len(off) < len(components)):
        named += list(_pixel_factors(e, off, seen, where))
        if not named:
            named += list(_half_integers(e, values, seen, where))
    if one:
        named += list(_size_factors(e, values[0], where, seen))
    if any(r < 0 for r in values) and not named:
        yield Match("sign", where, f"{seen}: a sign, and a factor", 0.95)
    yield from named
    if not named or (one and np.isclose(np.log2(abs(values[0])) % 1, 0)):
        yield Match("constant-factor", where, f"{seen}, else 1")


def _for(where: str) -> str:
    return f"for{where.removeprefix(',')}" if where else "everywhere"


def _component_text(
    e: Evidence, off: dict[tuple[int, ...], float], all_: Mapping[tuple[int, ...], float]
) -> str:
    """Name the components of the input that are wrong."""
    if len(off) == len(all_) or len(off) > 6:
        return ""
    if e.is_coordinates:
        return ", " + " and ".join(AXES[key[-1]] for key in off)
    missing = len(e.shape) - len(next(iter(off)))
    dots = "..., " if missing else ""
    return ", " + " and ".join(f"[{dots}{', '.join(map(str, key))}]" for key in off)


def _slope_candidates(e: Evidence) -> list[tuple[float, float]]:
    """Return for x, y(, z) the slopes dx/dg by both corner rules: (aligned, edges)."""
    if e.sizes:
        return [((n - 1) / 2, n / 2) for n in e.sizes]
    if not e.is_coordinates:
        return []
    b = e.block
    slopes = []
    for a in range(e.shape[-1]):
        values = np.unique(np.round(b.N[:, b.k[:, -1] == a][b.nonzero[:, b.k[:, -1] == a]], 9))
        if len(values) != 1 or not float(4 * values[0]).is_integer():
            return []
        slopes.append((float(values[0]), float(values[0])))
    return slopes if any(s != 1 for s, _ in slopes) else []


def _pixel_factors(
    e: Evidence, off: dict[tuple[int, ...], float], seen: str, where: str
) -> Iterator[Match]:
    """Compare the factors with those between normalised and pixel coordinates."""
    slopes = _slope_candidates(e)
    if not slopes:
        return
    own = e.is_coordinates  # then the component says which axis; else any will do

    def fits(r: float, key: tuple[int, ...], ratios: Callable[[int], list[float]]) -> bool:
        axes = [key[-1]] if own else range(len(slopes))
        return any(np.isclose(r, ratio, rtol=1e-6) for a in axes for ratio in ratios(a))

    def missing(a: int) -> list[float]:
        return [1 / s for s in slopes[a] if s]

    def twice(a: int) -> list[float]:
        return [s**power for s in slopes[a] if s for power in (1, 2, -2)]

    def other(a: int) -> list[float]:
        s, t = slopes[a]
        if s == t:  # only the slope in force is known: the other rule's is half a pixel off
            return [(s + 0.5) / s, (s - 0.5) / s]
        return [s / t, t / s]

    def swapped(a: int) -> list[float]:
        return [
            slopes[c][rule] / slopes[a][rule]
            for c in range(len(slopes))
            for rule in (0, 1)
            if c != a and slopes[a][rule]
        ]

    def sizes(a: int, rule: int) -> str:
        n = e.sizes[a] if e.sizes else None
        return f"{slopes[a][rule]:g}" + (f" = ({n} - 1)/2" if n and rule == 0 else "")

    text = ", ".join(f"{AXES[a]}: {sizes(a, 0)}" for a in range(len(slopes)))
    tests: list[tuple[str, Callable[[int], list[float]], str]] = [
        ("hw-swapped", swapped, "the factor of one axis over that of the other"),
        ("corner-factor", other, "the factor of one corner rule over that of the other"),
        ("pixel-factor", missing, "one over the factor from normalised to pixel coordinates"),
        ("pixel-factor", twice, "that factor too often, or divided by"),
    ]
    for cause, ratios, what in tests:
        if all(fits(r, key, ratios) for key, r in off.items()):
            yield Match(cause, where, f"{seen}: {what} (dx/dg is {text})")


def _half_integers(e: Evidence, values: Sequence[float], seen: str, where: str) -> Iterator[Match]:
    """Where no input tells the sizes, two factors of two sizes give themselves away."""
    r = np.unique(np.round(np.abs(values), 9))
    if len(r) < 2:
        return

    def whole(x: Array) -> bool:
        return bool((np.abs(x - np.round(x)) < 1e-6 * np.abs(x)).all() and (np.round(x) > 0).all())

    if len(r) == 2 and np.isclose(r[0] * r[1], 1, rtol=1e-6):
        evidence = "one is the other's inverse, as when H stands for W and W for H"
        yield Match("hw-swapped", where, f"{seen}: {evidence}")
    elif whole(1 / np.abs(r - 1)) or whole(1 / np.abs(1 / r - 1)):
        yield Match("corner-factor", where, f"{seen}: of the form n / (n - 1)")
    elif any(whole(2 * x) for x in (r, 1 / r, np.sqrt(r), 1 / np.sqrt(r))):
        evidence = "halves of whole numbers, their squares or inverses, as (W - 1)/2 and (H - 1)/2"
        yield Match("pixel-factor", where, f"{seen}: {evidence}")


def _size_factors(e: Evidence, r: float, where: str, seen: str) -> Iterator[Match]:
    """Compare one factor with the sizes of axes: a mean in place of a sum, or the reverse."""
    # The only axis of a vector that is mapped element by element is no batch.
    vector = len(e.shape) == 1 and e.shape == e.out_shape
    batch = e.pair.inputs[0].shape[0] if e.pair.inputs[0].ndim and not vector else 1
    size = 1 / r if abs(r) < 1 else r
    per = "1 / " if abs(r) < 1 else ""

    def is_(n: float) -> bool:
        return n > 1 and bool(np.isclose(abs(size), n, rtol=1e-6))

    # The batch, by itself or with the positions and channels that the output has.
    products = {batch: "the batch size"}
    for last in range(1, len(e.out_shape)):
        n = int(np.prod(e.out_shape[: last + 1]))
        products.setdefault(n, f"the number of outputs, {as_text(e.out_shape[: last + 1])}")
    if r <= 0:
        return
    for n, what in products.items():
        if is_(n):
            yield Match("batch-mean", where, f"{seen} = {per}{n}, {what}")
            break
    if e.is_coordinates and e.map_input is not None and r < 1:
        channels = e.pair.inputs[e.map_input].shape
        n = channels[1] if e.spatial_axes(e.map_input)[0] == 2 else channels[-1]
        if is_(n) and n != batch:
            yield Match("channel-sum", where, f"{seen} = 1 / {n}, the number of channels")
