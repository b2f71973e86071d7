"""Evidence: the two Jacobians of the outputs by one input, side by side, and what the inputs are.

A has a row for each output, from backward of a unit upstream gradient; N a column for each element,
from a numerical derivative along its unit vector. Both are complete. What an input is, is
read off N: coordinates are an array whose last axis is (x, y) or (x, y, z) of positions that no two
outputs share, but for their channels; a map is read through windows that move along some axes.
"""

from __future__ import annotations

from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from stnref.diagnosis.windows import Windows, moving_axes, pools_of, windows_of
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
    J : list of (n_out, n) arrays
        The numerical Jacobians by all inputs, round-off set to zero.
    A, N : (n_out, n)
        The analytic Jacobian by the input in question, and the numerical one.
    shape, out_shape : tuple of int
    o, k : (n_out, out.ndim), (n, in.ndim)
        Multi-indices of outputs and elements.
    numbers : array of int
        The flat indices of the elements, in the input's shape.
    scale : float
        The largest entry of both.
    wrong, depends, given : (n_out, n) of bool
        Where they differ; where the output does depend on the element; where A is not zero.
    """

    def __init__(
        self, problem: Problem, which: int, jacobians: Jacobians, rng: np.random.Generator
    ) -> None:
        self.problem, self.which, self.rng = problem, which, rng
        self.shape, self.out_shape = problem.inputs[which].shape, problem.out.shape
        method = "complex step" if problem.analytic[which] else "differences"
        self.tolerance = TOLERANCES["single" if problem.single else method]
        values = [derivatives.value for derivatives in jacobians.N if derivatives is not None]
        self.J = [np.where(np.abs(N) > self.tolerance * np.abs(N).max(), N, 0) for N in values]
        self.N, self.A = self.J[which], np.asarray(jacobians.A[which])
        self.scale = float(max(np.abs(self.N).max(), np.abs(self.A).max())) or 1.0
        self.wrong = self.differs(self.A, self.N)
        self.depends, self.given = self.differs(self.N, 0), self.differs(self.A, 0)
        self.numbers = np.arange(self.N.shape[1]).reshape(self.shape)
        self.o, self.k = indices(self.out_shape), indices(self.shape)
        self._slopes: dict[int, Array] = {}

    def differs(self, a: Array, b: Array | float) -> Mask:
        """Where two arrays differ by more than the tolerance; NaN does not."""
        return np.asarray(np.abs(a - b) > self.tolerance * self.scale)

    # ------------------------------------------------------------------- what the inputs are

    @cached_property
    def coordinates(self) -> list[bool]:
        """For each input whether it is coordinates, of a sampler or of pixels that are splatted."""
        return [self._one_position_each(i) or s for i, s in enumerate(self._splatted)]

    def _one_position_each(self, i: int) -> bool:
        """Whether each output needs one position, shared by the channels of one place at most."""
        shape = self.problem.inputs[i].shape
        if len(shape) < 2 or shape[-1] not in (2, 3):
            return False
        J = self.J[i].reshape(len(self.o), -1, shape[-1])  # (n_out, positions, 2 or 3)
        together = (J != 0).sum(axis=-1).max(initial=0) > 1
        # Without a map x and y are apart, each with one slope; not so of what is elementwise.
        slopes = [np.unique(np.round(J[..., a][J[..., a] != 0], 9)) for a in range(shape[-1])]
        alone = (J != 0).any(axis=-1).sum(axis=1).max(initial=0) <= 1
        channels = len(self.o) / J.shape[1] in (1, *self.out_shape)
        return bool(alone and channels and (together or max(map(len, slopes)) == 1))

    @cached_property
    def _splatted(self) -> list[bool]:
        """For each input whether it says where another one's values land: in windows."""
        inputs, ndim = self.problem.inputs, len(self.out_shape)
        values = [
            self._scales(i) and bool(moving_axes(N.T, self.out_shape)) for i, N in enumerate(self.J)
        ]
        return [
            a.ndim == ndim
            and a.shape[:-1] != self.out_shape[:-1]
            and not self._scales(i)
            and any(v and b.shape[:-1] == a.shape[:-1] for v, b in zip(values, inputs, strict=True))
            for i, a in enumerate(inputs)
        ]

    def _scales(self, i: int) -> bool:
        """Whether twice the input gives twice the output, as twice an image does."""
        twice = self.problem.at(i, 2 * self.problem.inputs[i]).out
        return bool(np.allclose(twice, 2 * self.problem.out))

    @cached_property
    def map(self) -> int | None:
        """The input that is read through windows; else one with as many axes as the output."""
        ndim, inputs = len(self.out_shape), self.problem.inputs
        others = [i for i in range(len(inputs)) if not self.coordinates[i]]
        others.sort(key=lambda i: i != self.which)
        moving = [i for i in others if moving_axes(self.J[i], inputs[i].shape)]
        return next(iter(moving + [i for i in others if inputs[i].ndim == ndim >= 4]), None)

    @property
    def is_coordinates(self) -> bool:
        """Whether the input in question is coordinates."""
        return self.coordinates[self.which]

    @property
    def is_splat(self) -> bool:
        """Whether pixels are pushed to places: the windows are those of the output."""
        return any(self._splatted)

    @property
    def is_map(self) -> bool:
        """Whether the input in question is the map."""
        return self.map == self.which

    @property
    def has_grid(self) -> bool:
        """Whether coordinates say where the outputs read the map."""
        return len(self.coordinates) > 1 and any(self.coordinates)

    @cached_property
    def spatial(self) -> list[int]:
        """The axes of rows and columns of the map: windows move along them; else the inner ones."""
        if self.map is None:
            return []
        shape = self.problem.inputs[self.map].shape
        pools = self.windows.axes if self.windows else []
        return moving_axes(self.J[self.map], shape) or pools or list(range(1, len(shape) - 1))

    @cached_property
    def sizes(self) -> list[int]:
        """(W, H) of the map, or of the canvas, in the order of (x, y)."""
        shape = self.out_shape if self.is_splat else self.problem.inputs[self.map or 0].shape
        return [shape[a] for a in reversed(self.spatial)]

    @cached_property
    def windows(self) -> Windows | None:
        """The windows through which outputs read the map; of a max pool too, which reads one."""
        if self.map is None:
            return None
        J, shape = self.J[self.map], self.problem.inputs[self.map].shape
        if moving_axes(J, shape):
            return windows_of(J, shape)
        return pools_of(J, shape, self.out_shape) if len(shape) == len(self.out_shape) else None

    @cached_property
    def reads(self) -> Mask:
        """Which outputs need which positions of the coordinates, (n_out, positions)."""
        return np.asarray(self.depends.reshape(len(self.o), -1, self.shape[-1]).any(axis=-1))

    def slopes(self, w: Windows, a: int) -> Array:
        """Return the slope along coordinate a tap by tap, (n_out, *size): V_x = sum of slope U.

        The output is linear in the map: as many random maps as twice the taps tell.
        """
        if a not in self._slopes:
            assert self.map is not None
            taps, v = w.columns.shape[1], np.zeros(self.shape)
            v[..., a] = 1
            maps = self.rng.standard_normal((2 * taps, *self.problem.inputs[self.map].shape))
            V_x = [self.problem.at(self.map, U).tangent(self.which, v) for U in maps]
            read = np.stack(
                [np.nan_to_num(w.read(U)) for U in maps], axis=1
            )  # (n_out, 2 taps, taps)
            slopes = np.linalg.pinv(read) @ np.array(V_x).T[:, :, None]
            self._slopes[a] = slopes.reshape(-1, *w.size)
        return self._slopes[a]


def indices(shape: tuple[int, ...]) -> Indices:
    """Return the multi-indices of an array's elements, (n, ndim).

    Parameters
    ----------
    shape : tuple of int

    Returns
    -------
    (n, ndim) int
    """
    return np.array(list(np.ndindex(shape)), dtype=np.intp).reshape(prod(shape), len(shape))
