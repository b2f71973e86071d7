"""The taps of a window: weights that are missing, exchanged, of another sign.

In the gradient to the map they stand in the Jacobian itself. The gradient to a coordinate is
a sum over them, dx = sum_nm (S_x)_nm U_nm: there a mistake is made in S_x, and the sum taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations, permutations
from typing import Any, NamedTuple, TypeVar

import numpy as np

from stnref.diagnosis.evidence import Evidence
from stnref.diagnosis.suspects.candidate import AXES, Candidate
from stnref.diagnosis.windows import Windows, windows_of
from stnref.validation import Array

SIDES = {2: ("left", "right"), 1: ("upper", "lower"), 0: ("front", "back")}
"""Names of the two ends along x, y, z, by the axis counted from the last of three."""
FEW = 4
"""Of so many taps any order and any set of signs is tried."""

Weights = Array
"""What the taps of all windows weigh: (n, *size of a window)."""
Corner = tuple[int, ...]
T = TypeVar("T")


class Taps(NamedTuple):
    """The taps in one gradient, and the Jacobian of other ones.

    Attributes
    ----------
    windows : Windows
    weights : (n, *size)
        By N; slopes where `where` is a coordinate.
    jacobian : callable
        From other weights to (n_out, n).
    where : str
        "x", "y" or "z"; "" in the gradient to the map.
    """

    windows: Windows
    weights: Weights
    jacobian: Callable[[Weights], Array]
    where: str

    @property
    def corners(self) -> list[Corner]:
        """The taps of a window."""
        return list(np.ndindex(*self.windows.size))

    @property
    def sides(self) -> list[list[Corner]]:
        """The taps of some, not all, rows or columns of a window."""
        size = self.windows.size
        rows = [(a, some) for a in self.windows.axes for some in _subsets(range(size[a]))[:-1]]
        return [[c for c in self.corners if c[a] in some] for a, some in rows]

    def times(self, corners: Sequence[Corner], factor: float) -> Weights:
        """Return the weights with a factor on some taps."""
        factors = np.ones(self.windows.size)
        factors[tuple(np.array(corners).T)] = factor
        return self.weights * factors

    def candidates(self, cause: str, text: str, weights: Weights) -> Iterator[Candidate]:
        """Yield the candidate in which the taps have these weights, and that of full windows."""
        yield Candidate(cause, text, self.jacobian(weights), self.where)
        cut = ~(self.windows.full | self.windows.empty)
        if cut.any():  # what a border pixel weighs there is the padding's doing
            weights = np.where(cut.reshape(-1, *(1,) * (weights.ndim - 1)), np.nan, weights)
            yield Candidate(cause, text, self.jacobian(weights), self.where)

    def named(self, corners: Sequence[Corner]) -> str:
        """Say which corners of the cell, or which taps of a larger window, these are."""
        axes = self.windows.axes
        small, first = max(self.windows.size) == 2, 3 - len(axes)
        inner = [
            [SIDES[first + n][c[a]] if small else str(c[a]) for n, a in enumerate(axes)]
            for c in corners
        ]
        of = f" of d{self.where}" if self.where else ""
        return " and ".join(" ".join(words) for words in inner) + of


def _taps_of(e: Evidence) -> Iterator[Taps]:
    """Yield the taps in the gradient to the map, or those of each coordinate that is wrong."""
    w = e.windows
    if e.is_splat and not e.is_coordinates:
        w = windows_of(e.N.T, e.out_shape)
        yield Taps(w, w.of(e.N.T), lambda taps: w.jacobian(taps, len(e.o)).T, "")
    elif w is not None and e.has_grid and e.is_map:
        yield Taps(w, w.of(e.N), lambda taps: w.jacobian(taps, len(e.k)), "")
    elif w is not None and e.map is not None and e.is_coordinates and not e.is_splat:
        U = e.problem.inputs[e.map]
        for a in range(e.shape[-1]):
            if e.wrong[:, e.k[:, -1] == a].any():
                yield Taps(w, e.slopes(w, a), partial(_sum_over, e, w, a, U), AXES[a])


def _sum_over(e: Evidence, w: Windows, a: int, U: Array, slopes: Weights) -> Array:
    """Return the Jacobian by coordinate a: the slopes times the map, summed over each window.

    The other coordinates are not judged with it.
    """
    there = w.columns >= 0
    dx = np.where(there, slopes.reshape(there.shape) * w.read(U), 0).sum(axis=1)
    P = np.where(e.k[:, -1] == a, e.N, np.nan)
    rows, positions = np.nonzero(e.reads)
    P[rows, positions * e.shape[-1] + a] = dx[rows]
    return P


# ------------------------------------------------------------------------------ the suspects


def corner_missing(e: Evidence) -> Iterator[Candidate]:
    """A tap is not there, or all but one, or those of some rows or columns, or the outer ones."""
    for t in _taps_of(e):
        ends = [(a, i) for a in t.windows.axes for i in (0, t.windows.size[a] - 1)]
        outer = [c for c in t.corners if any(c[a] == i for a, i in ends)]
        others = [[c for c in t.corners if c != corner] for corner in t.corners]
        for gone in [*([c] for c in t.corners), *t.sides, outer, *others]:
            if len(gone) < len(t.corners):
                text, P = f"not there: {t.named(gone)}", t.times(gone, 0)
                if gone in others:
                    why = f"{text}: the one that is left may have replaced them"
                    yield from t.candidates("accumulation-lost", why, P)
                yield from t.candidates("corner-missing", text, P)


def corner_sign(e: Evidence) -> Iterator[Candidate]:
    """A tap, or those of some rows or columns of the window, have the other sign."""
    for t in _taps_of(e):
        some = _subsets(t.corners) if len(t.corners) <= FEW else [[c] for c in t.corners]
        for flipped in [*some, *t.sides]:
            text = f"the sign is flipped: {t.named(flipped)}"
            yield from t.candidates("sign", text, t.times(flipped, -1))


def sides_exchanged(e: Evidence) -> Iterator[Candidate]:
    """The weights of left and right, or of upper and lower, are exchanged."""
    for t in _taps_of(e):
        axes = t.windows.axes
        for flip in _subsets(axes):
            sides = [" and ".join(SIDES[3 - len(axes) + axes.index(a)]) for a in flip]
            text = f"the weights of {' and of '.join(sides)} are exchanged"
            flipped = np.flip(t.weights, tuple(a + 1 for a in flip))
            for sign in (1, -1) if t.where else (1,):  # slopes have two signs
                yield from t.candidates("corners-swapped", text, sign * flipped)


def corners_permuted(e: Evidence) -> Iterator[Candidate]:
    """The weights belong to other axes, or, of four, stand in any other order."""
    for t in _taps_of(e):
        axes, n = t.windows.axes, len(t.corners)
        cause = "hw-swapped" if max(t.windows.size) > 2 else "corners-swapped"
        for order in permutations(axes) if len({t.windows.size[a] for a in axes}) == 1 else ():
            text = f"the weights belong to the axes {order}"
            turned = np.moveaxis(t.weights, [a + 1 for a in axes], [a + 1 for a in order])
            yield from t.candidates(cause, text, turned)
            yield from t.candidates(cause, text, np.flip(turned, tuple(a + 1 for a in axes)))
        for places in permutations(range(n)) if n <= FEW else ():
            P = t.weights.reshape(-1, n)[:, places].reshape(t.weights.shape)
            yield from t.candidates("corners-swapped", f"the weights stand as {places}", P)


def corner_at_another(e: Evidence) -> Iterator[Candidate]:
    """What is due to one tap is given to another one."""
    for t in _taps_of(e):
        for here, there in permutations(t.corners, 2) if len(t.corners) <= 2 * FEW else ():
            P = t.times([here], 0)
            moved = t.weights.reshape(len(P), -1)[:, t.corners.index(here)]
            P.reshape(len(P), -1)[:, t.corners.index(there)] += moved
            text = f"the weight of {t.named([here])} stands at {t.named([there])}"
            yield from t.candidates("off-by-one", text, P)


def corner_factor(e: Evidence) -> Iterator[Candidate]:
    """One tap of the weights has a factor."""
    for t in _taps_of(e) if not e.is_coordinates else ():
        full = t.windows.full
        A, N = (t.windows.of(J.T if e.is_splat else J)[full] for J in (e.A, e.N))
        for c in t.corners:
            here: tuple[Any, ...] = (slice(None), *c)
            r = np.median(A[here] / np.where(N[here] == 0, np.nan, N[here])) if full.any() else 0
            if np.isfinite(r) and r != 0:
                text = f"{t.named([c])} has a factor {r:.4g}"
                yield from t.candidates("constant-factor", text, t.times([c], r))


def slope_weighed_by_its_own_fraction(e: Evidence) -> Iterator[Candidate]:
    """The slope along x is weighed by fx in place of fy, or the other way round."""
    for t in _taps_of(e) if e.is_coordinates and len(e.spatial) == 2 else ():
        if max(t.windows.size) == 2 and e.map is not None:
            along, across = 2 - AXES.index(t.where), 1 + AXES.index(t.where)  # axes of windows
            weights = t.windows.of(e.J[e.map]).reshape(-1, 2, 2)
            f = weights.sum(axis=across, keepdims=True)  # 1 - fx, fx along x
            size = np.abs(t.weights).reshape(weights.shape).sum(axis=(1, 2), keepdims=True) / 2
            sign = np.array([-1, 1]).reshape((1, 2) if along == 2 else (2, 1))
            own, other = ("fx", "fy") if t.where == "x" else ("fy", "fx")
            text = f"the slope along {t.where} is weighed by {own}, not by {other}"
            by_own = (f.swapaxes(1, 2) * sign * size).reshape(t.weights.shape)
            for P in (by_own, np.flip(by_own, tuple(a + 1 for a in t.windows.axes))):
                yield from t.candidates("xy-swapped", text, P)


def slope_of_the_transposed_map(e: Evidence) -> Iterator[Candidate]:
    """The slope is one of pixels (m, n) where (n, m) is due."""
    for t in _taps_of(e) if e.is_coordinates and len(e.spatial) == 2 else ():
        assert e.map is not None
        U = e.problem.inputs[e.map]
        n = min(U.shape[a] for a in e.spatial)
        square = tuple(slice(n) if a in e.spatial else slice(None) for a in range(U.ndim))
        turned = np.full(U.shape, np.nan)
        turned[square] = U[square].swapaxes(*e.spatial)
        P = _sum_over(e, t.windows, AXES.index(t.where), turned, t.weights)
        text = "the slope is one of pixels whose row and column are exchanged"
        yield Candidate("hw-swapped", text, P, t.where)


def _subsets(items: Sequence[T]) -> list[tuple[T, ...]]:
    return [c for r in range(1, len(items) + 1) for c in combinations(items, r)]
