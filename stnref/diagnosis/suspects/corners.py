"""The taps of a window: weights that are missing, exchanged, of another sign.

In the gradient to the map they stand in the Jacobian itself. The gradient to a coordinate is
a sum over them, dx = sum_nm (S_x)_nm U_nm: there a mistake is made in S_x, and the sum taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, permutations
from typing import NamedTuple

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


class Taps(NamedTuple):
    """The taps in one gradient, and the Jacobian of other ones."""

    windows: Windows
    weights: Weights
    jacobian: Callable[[Weights], Array]
    of: str  # "", or the coordinate: " of dx"
    where: str
    signed: bool  # slopes have two signs, weights one

    def candidates(self, cause: str, evidence: str, weights: Weights) -> Iterator[Candidate]:
        """Yield the candidate in which the taps have these weights, and that of full windows."""
        yield Candidate(cause, evidence, self.jacobian(weights), self.where)
        cut = ~(self.windows.full | self.windows.empty)
        if cut.any():  # what a border pixel weighs there is the padding's doing
            weights = weights.copy()
            weights[cut] = np.nan
            yield Candidate(cause, evidence, self.jacobian(weights), self.where)


def taps_of(e: Evidence) -> Iterator[Taps]:
    """Yield the taps in the gradient to the map, or those of each coordinate that is wrong."""
    if e.is_splat and not e.is_coordinates:
        w = windows_of(e.N.T, e.out_shape)
        yield Taps(w, w.of(e.N.T), lambda taps: w.jacobian(taps, len(e.o)).T, "", "", False)
    elif e.has_grid and (w := e.windows) is not None:
        if e.is_map:
            yield Taps(w, w.of(e.N), lambda taps: w.jacobian(taps, len(e.k)), "", "", False)
        elif e.is_coordinates and not e.is_splat:
            wrong = [a for a in range(e.shape[-1]) if e.wrong[:, e.k[:, -1] == a].any()]
            yield from (_slope_taps(e, w, a) for a in wrong)


def _slope_taps(e: Evidence, w: Windows, a: int) -> Taps:
    """Return the slopes along coordinate a; the other coordinates are not judged with it."""
    assert e.map is not None
    U = e.problem.inputs[e.map]
    return Taps(
        w, e.slopes(w, a), lambda s: _sum_over(e, w, a, s, U), f" of d{AXES[a]}", AXES[a], True
    )


def _sum_over(e: Evidence, w: Windows, a: int, slopes: Weights, U: Array) -> Array:
    """Return the Jacobian by coordinate a: the slopes times the map, summed over each window."""
    read = w.read(U).reshape(slopes.shape)
    terms = np.where(w.columns.reshape(read.shape) < 0, 0, slopes * read)
    dx = terms.reshape(len(e.o), -1).sum(axis=1)
    P = e.N.copy()
    P[:, e.k[:, -1] != a] = np.nan
    rows, positions = np.nonzero(e.reads)
    P[rows, positions * e.shape[-1] + a] = dx[rows]
    return P


# ------------------------------------------------------------------------------ the suspects


def corner_missing(e: Evidence) -> Iterator[Candidate]:
    """A tap is not there, or all but one, or those of some rows or columns, or the outer ones."""
    for t in taps_of(e):
        corners, last = _corners(t.windows), np.array(t.windows.size) - 1
        outer = [c for c in corners if any(c[a] in (0, last[a]) for a in t.windows.axes)]
        others = [[c for c in corners if c != corner] for corner in corners]
        for gone in [*([c] for c in corners), *_sides(t.windows), outer, *others]:
            if len(gone) == len(corners):
                continue
            names = " and ".join(_name(c, t) for c in gone)
            P = t.weights * _signs(t.windows, gone, 0)
            yield from t.candidates("corner-missing", f"not there{t.of}: {names}", P)


def corner_sign(e: Evidence) -> Iterator[Candidate]:
    """A tap, or those of some rows or columns of the window, have the other sign."""
    for t in taps_of(e):
        corners = _corners(t.windows)
        some = _subsets(corners) if len(corners) <= FEW else [[c] for c in corners]
        for flipped in [*some, *_sides(t.windows)]:
            names = " and ".join(_name(c, t) for c in flipped)
            P = t.weights * _signs(t.windows, flipped, -1)
            yield from t.candidates("sign", f"the sign{t.of} is flipped: {names}", P)


def corners_exchanged(e: Evidence) -> Iterator[Candidate]:
    """The weights of two sides, or of two axes, are exchanged, or all stand in another order."""
    for t in taps_of(e):
        axes = t.windows.axes
        for flip in _subsets(axes):
            names = " and of ".join(
                " and ".join(SIDES[3 - len(axes) + axes.index(a)]) for a in flip
            )
            P = np.flip(t.weights, [a + 1 for a in flip])
            text = f"the weights of {names} are exchanged{t.of}"
            yield from t.candidates("corners-swapped", text, P)
            if t.signed:
                yield from t.candidates("corners-swapped", text, -P)
        for order in permutations(axes):
            if list(order) != axes and len({t.windows.size[a] for a in axes}) == 1:
                places = dict(zip(axes, order, strict=True))
                turned = t.weights.transpose(
                    0, *(places.get(a, a) + 1 for a in range(len(t.windows.size)))
                )
                text = f"the weights{t.of} belong to other axes: {order}"
                cause = "hw-swapped" if max(t.windows.size) > 2 else "corners-swapped"
                yield from t.candidates(cause, text, turned)
                yield from t.candidates(cause, text, np.flip(turned, [a + 1 for a in axes]))
        n = int(np.prod(t.windows.size))
        for places in permutations(range(n)) if n <= FEW else ():
            P = t.weights.reshape(-1, n)[:, places].reshape(t.weights.shape)
            yield from t.candidates("corners-swapped", f"the weights{t.of} stand as {places}", P)


def corner_factor(e: Evidence) -> Iterator[Candidate]:
    """One tap of the weights has a factor."""
    for t in taps_of(e):
        if t.signed:
            return
        A = t.windows.of(e.A.T if e.is_splat else e.A)
        for corner in _corners(t.windows):
            at = (slice(None), *corner)
            ratio = np.median(
                (A[at] / np.where(t.weights[at] == 0, np.nan, t.weights[at]))[t.windows.full]
            )
            if np.isfinite(ratio) and ratio != 0:
                P = t.weights.copy()
                P[at] *= ratio
                yield from t.candidates(
                    "constant-factor", f"{_name(corner, t)} has a factor {ratio:.4g}", P
                )


def slope_weighed_by_its_own_fraction(e: Evidence) -> Iterator[Candidate]:
    """The slope along x is weighed by fx in place of fy, or the other way round."""
    for t in taps_of(e):
        if t.signed and [t.windows.size[a] for a in t.windows.axes] == [2, 2]:
            assert e.map is not None
            weights = t.windows.of(e.J[e.map]).reshape(-1, 2, 2)
            f = weights[:, 1].sum(axis=1), weights[:, :, 1].sum(axis=1)  # fy, fx
            axis = 1 - AXES.index(t.where)  # in the window: rows first
            by_own = np.stack([1 - f[axis], f[axis]], axis=1)  # (n, 2)
            factor = np.abs(t.weights).reshape(len(f[0]), -1).sum(axis=1) / 2  # to normalised units
            P = by_own[:, :, None] * [-1, 1] if axis else by_own[:, None, :] * np.array([[-1], [1]])
            P = (P * factor[:, None, None]).reshape(t.weights.shape)
            own, other = ("fx", "fy") if axis else ("fy", "fx")
            text = f"the slope along {t.where} is weighed by {own}, not by {other}"
            for candidate in (P, np.flip(P, [a + 1 for a in t.windows.axes])):
                yield from t.candidates("xy-swapped", text, candidate)


def slope_of_the_transposed_map(e: Evidence) -> Iterator[Candidate]:
    """The slope is one of pixels (m, n) where (n, m) is due."""
    for t in taps_of(e):
        if t.signed and len(e.spatial) == 2:
            assert e.map is not None
            U = e.problem.inputs[e.map]
            n = min(U.shape[a] for a in e.spatial)
            square = tuple(slice(n) if a in e.spatial else slice(None) for a in range(U.ndim))
            turned = np.full(U.shape, np.nan)
            turned[square] = U[square].swapaxes(*e.spatial)
            P = _sum_over(e, t.windows, AXES.index(t.where), t.weights, turned)
            text = "the slope is one of pixels whose row and column are exchanged"
            yield Candidate("hw-swapped", text, P, t.where)


Corner = tuple[int, ...]


def _corners(w: Windows) -> list[Corner]:
    return list(np.ndindex(*w.size))


def _sides(w: Windows) -> Iterator[list[Corner]]:
    """Yield the taps of some, not all, rows or columns of a window."""
    for axis in w.axes:
        for rows in _subsets(range(w.size[axis]))[:-1]:
            yield [corner for corner in _corners(w) if corner[axis] in rows]


def _signs(w: Windows, corners: Sequence[Corner], sign: float) -> Array:
    signs = np.ones(w.size)
    for corner in corners:
        signs[corner] = sign
    return signs


def _subsets(items: Sequence[int] | Sequence[Corner]) -> list[Sequence[int]]:
    sizes = range(1, len(items) + 1)
    return [c for r in sizes for c in combinations(items, r)]


def _name(corner: Corner, t: Taps) -> str:
    """Say which corner of the cell, or which tap of a larger window, that is."""
    axes = t.windows.axes
    inner = [corner[a] for a in axes]
    if max(t.windows.size) > 2:
        return str(inner)
    return " ".join(SIDES[3 - len(axes) + n][i] for n, i in enumerate(inner))


SUSPECTS = (
    corner_missing,
    corner_sign,
    corners_exchanged,
    slope_weighed_by_its_own_fraction,
    slope_of_the_transposed_map,
    corner_factor,
)
