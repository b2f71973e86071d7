"""Evidence: the two Jacobians of the outputs by one input, side by side, and what the inputs are.

A has a row for each output, from backward of a unit upstream gradient; N a column for each element,
from a numerical derivative along its unit vector. Both are complete. What an input is, is
read off N: coordinates are an array whose last axis is (x, y) or (x, y, z) of positions that no two
outputs share, but for their channels; a map is read through windows that move along some axes.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stnref.diagnosis.windows import Windows, windows_of
from stnref.gradcheck.jacobians import Jacobians
from stnref.gradcheck.problem import Problem
from stnref.validation import Array

Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]

TOLERANCES = {"single": 1e-3, "complex step": 1e-9, "differences": 1e-8}
"""How far two entries may differ, in units of the largest; float32 has rounding of its own."""


class Evidence:
    """Both Jacobians of the outputs by one input.

    Attributes
    ----------
    A, N : (n_out, n)
        The analytic Jacobian and the numerical one.
    shape, out_shape : tuple of int
    o, k : (n_out, out.ndim), (n, in.ndim)
        Multi-indices of outputs and elements.
    scale : float
        The largest entry of both.
    wrong, depends, given : (n_out, n) of bool
        Where they differ; where the output does depend on the element; where A is not zero.
    """

    def __init__(
        self, problem: Problem, which: int, jacobians: Jacobians, rng: np.random.Generator
    ) -> None:
        self.rng = rng
        self._jacobians: dict[int, Array] = {}
        self._slopes: dict[int, Array] = {}
        self.problem, self.which, self.jacobians = problem, which, jacobians
        self.shape, self.out_shape = problem.inputs[which].shape, problem.out.shape
        self.o, self.k = indices(self.out_shape), indices(self.shape)
        method = "complex step" if problem.analytic[which] else "differences"
        self.tolerance = TOLERANCES["single" if problem.single else method]
        self.N, self.A = self.jacobian(which), np.array(jacobians.A[which])
        self.scale = float(max(np.abs(self.N).max(), np.abs(self.A).max())) or 1.0
        self.wrong = self.differs(self.A, self.N)
        self.depends = self.differs(self.N, 0)
        self.given = self.differs(self.A, 0)

    def differs(self, a: Array, b: Array | float) -> Mask:
        """Where two arrays differ by more than the tolerance."""
        return np.asarray(np.abs(a - b) > self.tolerance * self.scale)

    def jacobian(self, i: int) -> Array:
        """Return the numerical Jacobian of the outputs by input i, (n_out, n); round-off is 0."""
        if i not in self._jacobians:
            N = np.array(self.jacobians.N[i].value)
            N[np.abs(N) <= self.tolerance * np.abs(N).max()] = 0
            self._jacobians[i] = N
        return self._jacobians[i]

    @cached_property
    def windows(self) -> Windows | None:
        """The windows through which outputs read the map; of a pool as large as it shrinks."""
        if self.map is None:
            return None
        J, shape = self.jacobian(self.map), self.problem.inputs[self.map].shape
        if self.window_axes(self.map):
            return windows_of(J, shape)
        if len(shape) != len(self.out_shape):
            return None
        inner = range(len(shape))
        size = tuple(
            shape[a] // self.out_shape[a] if a in self.spatial and self.out_shape[a] else 1
            for a in inner
        )
        return windows_of(J, shape, size) if max(size) > 1 and min(size) > 0 else None

    @cached_property
    def reads(self) -> Mask:
        """Which outputs need which positions of the coordinates, (n_out, positions)."""
        return np.asarray(self.depends.reshape(len(self.o), -1, self.shape[-1]).any(axis=-1))

    def slopes(self, w: Windows, a: int) -> Array:
        """Return the slope along coordinate a tap by tap, (n_out, *size): V_x = sum of slope U.

        The output is linear in the map: as many random maps as twice the taps tell.
        """
        assert self.map is not None
        shape, taps = self.problem.inputs[self.map].shape, int(np.prod(w.size))
        if a in self._slopes:
            return self._slopes[a]
        v = np.zeros(self.shape)
        v[..., a] = 1
        maps = self.rng.standard_normal((2 * taps, *shape))
        V_x = [self.problem.at(self.map, U).tangent(self.which, v) for U in maps]
        rows = [
            np.nan_to_num(w.of(np.broadcast_to(U.ravel(), (len(self.o), U.size)))) for U in maps
        ]
        read = np.array(rows).reshape(2 * taps, len(self.o), taps).swapaxes(0, 1)
        slopes = np.linalg.pinv(read) @ np.array(V_x).T[:, :, None]  # (n_out, taps, 1)
        self._slopes[a] = slopes.reshape(len(self.o), *w.size)
        return self._slopes[a]

    # ------------------------------------------------------------------- what the inputs are

    @cached_property
    def is_coordinates(self) -> bool:
        """Whether the input is coordinates, of which each output needs those of one position."""
        return self.are_coordinates(self.which)

    def are_coordinates(self, i: int) -> bool:
        """Whether input i is coordinates: of a sampler, or of pixels that are splatted."""
        shape, n_out = self.problem.inputs[i].shape, self.problem.out.size
        if len(shape) < 2 or shape[-1] not in (2, 3):
            return False
        reads = (self.jacobian(i) != 0).reshape(n_out, -1, shape[-1]).any(axis=-1)  # by position
        positions = reads.shape[1]
        # The same position has at most one output a channel, or a coordinate, and the reverse.
        alone = reads.sum(axis=1).max() <= 1 and n_out / positions in (1, *self.out_shape)
        return bool(alone) or self._is_splatted(i)

    def _is_splatted(self, i: int) -> bool:
        """Whether other inputs have a value for each of its positions, and move to windows."""
        inputs, shape = self.problem.inputs, self.problem.inputs[i].shape
        if len(shape) != len(self.out_shape) or shape[:-1] == self.out_shape[:-1]:
            return False
        others = [j for j, a in enumerate(inputs) if j != i and a.shape[:-1] == shape[:-1]]
        return not self._scales(i) and any(
            self._scales(j) and _moving(self.jacobian(j).T, self.out_shape) for j in others
        )

    def _scales(self, i: int) -> bool:
        """Whether twice the input gives twice the output, as twice an image does."""
        twice = self.problem.at(i, 2 * self.problem.inputs[i]).out
        return bool(np.allclose(twice, 2 * self.problem.out))

    @cached_property
    def is_splat(self) -> bool:
        """Whether pixels are pushed to places: the windows are those of the output."""
        return any(self._is_splatted(i) for i in range(len(self.problem.inputs)))

    def window_axes(self, i: int) -> list[int]:
        """Return the axes along which outputs read moving windows of input i, in its order."""
        return _moving(self.jacobian(i), self.problem.inputs[i].shape)

    @cached_property
    def spatial(self) -> list[int]:
        """The axes of rows and columns of the map, its inner ones if there are no windows."""
        if self.map is None:
            return []
        inner = list(range(1, self.problem.inputs[self.map].ndim - 1))
        return self.window_axes(self.map) or inner

    @cached_property
    def map(self) -> int | None:
        """The input that is read through windows; else one with as many axes as the output."""
        inputs = range(len(self.problem.inputs))
        others = [i for i in inputs if not self.are_coordinates(i)]
        others.sort(key=lambda i: i != self.which)
        ndim = len(self.out_shape)
        alike = [i for i in others if self.problem.inputs[i].ndim == ndim >= 4]
        return next((i for i in others if self.window_axes(i)), next(iter(alike), None))

    @property
    def is_map(self) -> bool:
        """Whether the input itself is the map."""
        return self.map == self.which

    @cached_property
    def has_grid(self) -> bool:
        """Whether coordinates say where the outputs read the map."""
        return len(self.problem.inputs) > 1 and any(
            self.are_coordinates(i) for i in range(len(self.problem.inputs))
        )

    @cached_property
    def sizes(self) -> list[int]:
        """(W, H) of the map, in the order of (x, y)."""
        if self.map is None:
            return []
        return [self.problem.inputs[self.map].shape[a] for a in reversed(self.spatial)]


def indices(shape: tuple[int, ...]) -> Indices:
    """Return the multi-indices of an array's elements, (n, ndim)."""
    return np.indices(shape).reshape(len(shape), -1).T if shape else np.zeros((1, 0), dtype=np.intp)


def _moving(J: Array, shape: tuple[int, ...]) -> list[int]:
    """Return the axes along which the rows of J have a window that moves, cut at the border."""
    reads = (J != 0).reshape(len(J), *shape)
    axes = []
    for axis, n in enumerate(shape):
        along = reads.any(axis=tuple(a + 1 for a in range(len(shape)) if a != axis))  # (n_out, n)
        along = along[along.any(axis=1)]
        start, end = along.argmax(axis=1), n - along[:, ::-1].argmax(axis=1)
        extent = end - start
        cut = extent < extent.max(initial=0)
        moves = len(np.unique(start)) > 1 and len(np.unique(end)) > 1 and extent.max(initial=0) > 1
        if moves and ((start == 0) | (end == n))[cut].all():
            axes.append(axis)
    return axes
