r"""Taps: which pixels each sample reads, and how much of each. The matrix S and its transpose.

A sample at (x, y) reads the lattice points around it with the weights k(x - m) k(y - n). Number
the pixels of a picture and its samples: the weights are a sparse matrix S, a row for each
sample. `locate` finds its pattern once; `factors` forms k, k' or k'' along each axis when they
are wanted; `gather` applies S and `scatter` its transpose, and they are the only places that
read or write pixels by index. What uses them need not know how they do it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from stnref.kernels import Kernel
from stnref.padding import Padding
from stnref.validation import Array


class SampleCache(NamedTuple):
    """Where the samples lie. P = H' W' samples a picture; axes in array order, rows first.

    Attributes
    ----------
    U : (B, H, W, C)
        The input map: a reference, not a copy.
    out_shape : tuple
        (B, H', W', C), the shape of V.
    kernel : Kernel
    indices : for each axis, (2 * support, B, P)
        The pixels that a sample reads, after padding; the tap comes first.
    inside : for each axis, (2 * support, B, P)
        False where the padding puts a zero in the pixel's place.
    fraction : for each axis, (B, P)
        Distance in pixels from the cell's first lattice point: x - floor(x).
    """

    U: Array
    out_shape: tuple[int, ...]
    kernel: Kernel
    indices: list[NDArray[np.intp]]
    inside: list[NDArray[np.bool_]]
    fraction: list[Array]


def offsets(kernel: Kernel, dtype: DTypeLike) -> Array:
    """Return the offsets of the taps from the cell, as floats: (2 * support, 1, 1)."""
    return np.arange(1 - kernel.support, kernel.support + 1, dtype=dtype)[:, None, None]


def locate(U: Array, points: Array, kernel: Kernel, padding: Padding) -> SampleCache:
    """Find, for each axis, the pixels that each sample reads. (x, y) becomes (row, column)."""
    B, *sizes, C = U.shape
    axes = [x.reshape(B, -1) for x in axes_of(points)]  # (B, P) each
    finite = np.logical_and.reduce([np.isfinite(x) for x in axes])  # (B, P)
    taps = offsets(kernel, points.real.dtype)
    indices, insides, fractions = [], [], []
    for x, n in zip(axes, sizes, strict=True):
        x = np.where(finite, x, 0)
        cell = np.floor(x.real)
        m, m_inside = padding(cell + taps, n)  # (taps, B, P)
        indices.append(m)
        insides.append(m_inside & finite)
        fractions.append(x - cell)
    return SampleCache(U, (*points.shape[:-1], C), kernel, indices, insides, fractions)


def factors(cache: SampleCache, *slopes: int) -> list[Array]:
    """Return k(x - m) for each axis and tap, differentiated once for each axis in `slopes`."""
    k = cache.kernel
    result = []
    for axis, fraction in enumerate(cache.fraction):
        t = fraction - offsets(k, fraction.real.dtype)  # (taps, B, P)
        result.append((k.k, k.dk, k.d2k)[slopes.count(axis)](t))
    return result


def axes_of(array: Array) -> list[Array]:
    """Split the last axis, (x, y), into its components, rows first: [y, x], each (B, H', W')."""
    return [array[..., a] for a in reversed(range(array.shape[-1]))]


def entries(
    cache: SampleCache, weights: Sequence[Array]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.bool_], Array]]:
    """Yield the entries of S tap by tap: pixel number, whether it is there, weight; each (B, P)."""
    B, *sizes, _ = cache.U.shape
    first = np.arange(B)[:, None] * prod(sizes)  # (B, 1), number of each picture's first pixel
    for tap in product(range(len(weights[0])), repeat=len(sizes)):
        position = [m[t] for m, t in zip(cache.indices, tap, strict=True)]
        inside = [m[t] for m, t in zip(cache.inside, tap, strict=True)]
        weight = [k[t] for k, t in zip(weights, tap, strict=True)]
        pixel = first + np.ravel_multi_index(position, sizes)
        yield pixel, np.logical_and.reduce(inside), prod(weight[1:], start=weight[0])


def gather(U: Array, cache: SampleCache, weights: Sequence[Array]) -> Array:
    """Apply S: V[b, i] = sum over the taps of weight * U[b, n, m]."""
    pixels = U.reshape(-1, U.shape[-1])  # (B H W, C)
    V: Array | int = 0
    for pixel, inside, weight in entries(cache, weights):
        V = V + np.where(inside[..., None], weight[..., None] * pixels.take(pixel, axis=0), 0)
    return np.reshape(V, (*cache.out_shape[:-1], U.shape[-1]))


def scatter(dV: Array, cache: SampleCache, weights: Sequence[Array]) -> Array:
    """Apply S transposed: dU[b, n, m] += weight * dV[b, i] over the taps."""
    C = dV.shape[-1]
    dV = dV.reshape(*cache.fraction[0].shape, C)  # (B, P, C)
    dU = np.zeros(cache.U.size, dtype=np.result_type(dV, weights[0]))
    for pixel, inside, weight in entries(cache, weights):
        entry = (weight[..., None] * dV)[inside]
        # One flat index: numpy adds single elements several times faster than rows.
        np.add.at(dU, (pixel[inside][:, None] * C + np.arange(C)).ravel(), entry.ravel())
    return dU.reshape(cache.U.shape)
