r"""Digits drawn from strokes: embedded, unlimited, seeded, and with the pose of each known.

A digit is a skeleton, control points joined by strokes, in a frame where x points right, y
points down and the digit fills about [-0.6, 0.6] x [-1, 1]. Its points are jittered, smooth
curves are laid through them (Catmull-Rom), a random affine pose places them in the picture, and
each pixel is inked by its distance to the nearest stroke, with an edge one pixel wide.

Coordinates of the picture are normalised, -1 and 1 the centres of the outer pixels
(align_corners=True). The digits keep clear of the border, so that they can be turned.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnref.coordinates import target_grid
from stnref.validation import (
    Array,
    expect_count,
    expect_generator,
    expect_labels,
    expect_sizes,
)

Skeleton = tuple[tuple[tuple[float, float], ...], tuple[tuple[int, ...], ...]]

_WRITTEN = """
0: 0.3,-0.6 0.02,-0.95 -0.42,-0.7 -0.6,0 -0.4,0.75 0,0.95 0.45,0.7 0.6,0 0.42,-0.72 -0.02,-0.95:
   0123456789
1: -0.4,-0.45 0.08,-0.95 0.08,0 0.08,0.95: 01 123
1: -0.6,-0.1 0.12,-0.95 0.12,0 0.12,0.95: 01 123
2: -0.55,-0.5 -0.3,-0.88 0.15,-0.95 0.48,-0.6 0.3,-0.1 -0.15,0.45 -0.58,0.9 0.6,0.88: 0123456 67
2: -0.55,-0.5 -0.3,-0.88 0.15,-0.95 0.48,-0.6 0.3,0 -0.2,0.75 -0.55,0.8 -0.4,0.5 0.05,0.75
   0.6,0.85: 0123456789
3: -0.5,-0.75 -0.05,-0.97 0.42,-0.72 0.35,-0.3 -0.1,-0.08 0.4,0.12 0.52,0.55 0.1,0.95 -0.55,0.75:
   01234 45678
4: -0.4,-0.92 -0.5,0.3 0.5,0.25 0.32,-0.92 0.25,0.95: 01 12 34
4: 0.2,-0.95 -0.55,0.45 0.5,0.45 0.2,0.95: 01 12 03
5: 0.5,-0.9 -0.35,-0.88 -0.42,-0.12 0.05,-0.25 0.5,0.1 0.48,0.6 0.05,0.93 -0.5,0.75: 01 12 234567
6: 0.45,-0.92 -0.1,-0.6 -0.45,0.15 -0.4,0.72 0.02,0.95 0.42,0.65 0.26,0.3 -0.1,0.26 -0.42,0.55:
   012345678
7: -0.55,-0.88 0.55,-0.88 0.1,0 -0.15,0.95: 01 123
7: -0.55,-0.88 0.55,-0.88 0.1,0 -0.15,0.95 -0.25,0 0.45,0: 01 123 45
8: 0.4,-0.72 0,-0.95 -0.4,-0.72 -0.3,-0.32 0,-0.03 0.36,0.35 0.36,0.72 0,0.95 -0.36,0.72
   -0.36,0.35 0.3,-0.32: 01234567894a0
9: 0.45,-0.5 0.15,-0.93 -0.38,-0.72 -0.42,-0.25 0.05,-0.1 0.42,0.2 0.3,0.95: 012340 056
9: 0.45,-0.5 0.15,-0.93 -0.38,-0.72 -0.42,-0.25 0.05,-0.1 0.45,0.2 0.2,0.85 -0.4,0.8: 012340 0567
"""
"""The ways of writing each digit: it, its control points x,y, and its strokes along them by number.

A point that two strokes share keeps them together when it is jittered.
"""


def _skeletons(text: str) -> tuple[tuple[Skeleton, ...], ...]:
    """Read the ways of writing each digit."""
    ways: list[list[Skeleton]] = [[] for _ in range(10)]
    for way in re.split(r"\n(?=\d)", text.strip()):
        digit, points, strokes = way.split(":")
        pairs = [point.split(",") for point in points.split()]
        numbers = tuple(tuple(int(i, 16) for i in stroke) for stroke in strokes.split())
        ways[int(digit)].append((tuple((float(x), float(y)) for x, y in pairs), numbers))
    return tuple(map(tuple, ways))


SKELETONS = _skeletons(_WRITTEN)
"""For each digit its ways of being written: control points, and strokes as indices into them."""

POINTS = max(len(points) for ways in SKELETONS for points, _ in ways)
"""Most control points that a skeleton has."""

BETWEEN = 4
"""Straight pieces between two control points of a curve."""

LIFT = 0.2
"""How far above the centre a digit stands, in normalised units.

A turn of the picture then moves the digit around the centre, so that even a 0 or an 8 shows
which way up it is, and every angle can be read from the picture.
"""

CHUNK = 64
"""Pictures inked at once: their distances to all pieces still fit into a cache."""


class Digits(NamedTuple):
    """Drawn digits.

    Attributes
    ----------
    images : (N, size, size, 1)
        Ink from 0 to 1, float32.
    labels : (N,)
        The digits 0 to 9.
    pose : (N, 2, 3)
        The matrix that maps a skeleton's (x, y, 1) to normalised coordinates of the picture.
    angle : (N,)
        The rotation in the pose, ``atan2(p_21 - p_12, p_11 + p_22)``, in radians; y points
        down, so positive is clockwise on the screen.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.intp]
    pose: NDArray[np.float64]
    angle: NDArray[np.float64]


def draw_digits(
    count: int, rng: np.random.Generator, *, size: int = 28, labels: ArrayLike | None = None
) -> Digits:
    """Draw digits by random hands.

    Parameters
    ----------
    count : int
        Number of digits, N.
    rng : numpy.random.Generator
    size : int
        Rows and columns of each picture.
    labels : (N,), optional
        Which digits; at random unless given.

    Returns
    -------
    Digits

    Raises
    ------
    TypeError, ValueError
        A count is not a positive integer, or the labels are not N integers from 0 to 9.

    Examples
    --------
    >>> digits = draw_digits(3, np.random.default_rng(0), labels=[4, 2, 2])
    >>> digits.images.shape, digits.images.dtype.name, digits.labels.tolist()
    ((3, 28, 28, 1), 'float32', [4, 2, 2])
    """
    count, size = expect_count("count", count), expect_count("size", size)
    expect_sizes("count, size, size", (count, size, size), (3,))
    expect_generator("rng", rng)
    if labels is None:
        labels = rng.integers(0, 10, count)
    labels = expect_labels("labels", labels, count, 10)
    way = rng.random(count)  # which way of writing, as a fraction
    pose = _random_pose(count, rng)
    radius = rng.uniform(0.055, 0.11, count)  # half the width of the stroke
    jitter = rng.normal(scale=0.05, size=(count, POINTS, 2))
    images = np.empty((count, size, size, 1), dtype=np.float32)
    for label, skeletons in enumerate(SKELETONS):
        ways = np.floor(way * len(skeletons)).astype(int)
        for number, (points, strokes) in enumerate(skeletons):
            chosen = np.flatnonzero((labels == label) & (ways == number))
            curves, starts = _curves(len(points), strokes)
            for part in np.array_split(chosen, -(-len(chosen) // CHUNK) or 1):
                control = np.array(points) + jitter[part, : len(points)]  # (n, points, 2)
                placed = (curves @ control) @ pose[part, :, :2].swapaxes(1, 2)
                placed = placed + pose[part, None, :, 2]  # (n, S, 2)
                images[part] = _ink(placed, starts, radius[part], size)
    angle = np.arctan2(pose[:, 1, 0] - pose[:, 0, 1], pose[:, 0, 0] + pose[:, 1, 1])
    return Digits(images, labels, pose, angle)


def _random_pose(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw rotation, scale, aspect, slant and place: (N, 2, 3)."""
    a = rng.normal(scale=np.radians(5), size=count)
    scale = rng.uniform(0.6, 0.72, count)
    aspect = np.exp(rng.normal(scale=0.12, size=count))
    slant = rng.normal(loc=0.1, scale=0.12, size=count)
    place = rng.normal(loc=(0, -LIFT), scale=0.03, size=(count, 2))
    turn = np.stack([np.cos(a), -np.sin(a), np.sin(a), np.cos(a)], axis=-1).reshape(-1, 2, 2)
    zero = np.zeros(count)
    form = np.stack([aspect, -slant, zero, 1 + zero], axis=-1).reshape(-1, 2, 2)
    return np.concatenate([scale[:, None, None] * (turn @ form), place[..., None]], axis=-1)


def _curves(
    count: int, strokes: Sequence[Sequence[int]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the matrix from control points to points on the strokes, and which begin a piece.

    The curve through p_0 … p_n has, between p_i and p_i+1, the slopes (p_i+1 - p_i-1) / 2 and
    (p_i+2 - p_i) / 2 at its ends (Catmull-Rom); beyond an open end the last point is repeated.
    A stroke of two points is straight.
    """
    identity = np.eye(count)
    rows, starts = [], []
    for stroke in strokes:
        closed = stroke[0] == stroke[-1] and len(stroke) > 2
        before, after = (stroke[-2], stroke[1]) if closed else (stroke[0], stroke[-1])
        padded = identity[[before, *stroke, after]]
        pieces = BETWEEN if len(stroke) > 2 else 1
        for p_before, p, q, q_after in zip(
            padded, padded[1:], padded[2:], padded[3:], strict=False
        ):
            for t in np.arange(pieces) / pieces:
                slope_p, slope_q = (q - p_before) / 2, (q_after - p) / 2
                hermite = (1 + 2 * t) * (1 - t) ** 2 * p + t**2 * (3 - 2 * t) * q
                rows.append(hermite + t * (1 - t) ** 2 * slope_p - t**2 * (1 - t) * slope_q)
                starts.append(True)
        rows.append(identity[stroke[-1]])
        starts.append(False)
    return np.array(rows), np.array(starts)


def _ink(
    points: NDArray[np.float64],
    starts: NDArray[np.bool_],
    radius: NDArray[np.float64],
    size: int,
) -> Array:
    """Ink the pixels near the pieces from each starting point to the next: (n, size, size, 1)."""
    pixels = target_grid((size, size), dtype=np.float32).reshape(-1, 2)
    first = points[:, :-1][:, starts[:-1]].astype(np.float32)  # (n, pieces, 2)
    piece = points[:, 1:][:, starts[:-1]].astype(np.float32) - first
    length2 = np.maximum((piece**2).sum(axis=-1), 1e-12)  # (n, pieces)
    # The foot of the perpendicular from pixel p onto first + t piece, cut to the piece.
    p_x, p_y = (pixels[:, axis, None] - first[:, None, :, axis] for axis in range(2))
    t = (p_x * piece[:, None, :, 0] + p_y * piece[:, None, :, 1]) / length2[:, None]
    t = np.clip(t, 0, 1)  # (n, size size, pieces)
    distance2 = (p_x - t * piece[:, None, :, 0]) ** 2 + (p_y - t * piece[:, None, :, 1]) ** 2
    distance = np.sqrt(distance2.min(axis=-1))  # (n, size size)
    pixel = 2 / max(size - 1, 1)
    ink = (radius[:, None] - distance) / pixel + 0.5
    return np.clip(ink, 0, 1).astype(np.float32).reshape(-1, size, size, 1)
