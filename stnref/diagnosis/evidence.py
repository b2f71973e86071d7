"""Evidence: the two Jacobians of the outputs by one input, side by side, and what the inputs are.

A has a row for each output, from backward of a unit upstream gradient; N a column for each element,
from a numerical derivative along its unit vector. Both are complete. What an input is, is
read off N: coordinates are an array whose last axis is (x, y) or (x, y, z) of positions that no two
outputs share, but for their channels; a map is read through windows that move along some axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import prod
from typing import NamedTuple

import numpy as np

from stnref.diagnosis.windows import Windows, moving_axes, pools_of, windows_of
from stnref.gradcheck.jacobians import Jacobians
from stnref.gradcheck.problem import Indices as Indices
from stnref.gradcheck.problem import Mask as Mask
from stnref.gradcheck.problem import Problem, UseError
from stnref.validation import Array

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
    is_coordinates, is_map, is_splat, has_grid : bool
        Whether the input is coordinates, of a sampler or of pixels that are splatted; whether it
        is the map; whether pixels are splatted at all; whether coordinates say what is read.
    map : int or None
        The input that is read through windows; else one with as many axes as the output.
    windows : Windows or None
        Those; of a max pool too, which reads one pixel of each.
    spatial : list of int
        The axes of rows and columns of the map: windows move along them; else the inner ones.
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
        roles = find_roles(problem, which, self.J)
        self.is_coordinates, self.is_splat, self.has_grid, self.map = roles[:4]
        self.windows, self.spatial = roles.windows, roles.spatial
        self.is_map = self.map == which

    @property
    def sizes(self) -> list[int]:
        """(W, H) of the map, or of the canvas, in the order of (x, y)."""
        shape = self.out_shape if self.is_splat else self.problem.inputs[self.map or 0].shape
        return [shape[a] for a in reversed(self.spatial)]

    def differs(self, a: Array, b: Array | float) -> Mask:
        """Where two arrays differ by more than the tolerance; NaN does not."""
        return np.asarray(np.abs(a - b) > self.tolerance * self.scale)

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
            read = np.nan_to_num(np.stack([w.read(U) for U in maps], axis=1))
            slopes = np.linalg.pinv(read) @ np.array(V_x).T[:, :, None]
            self._slopes[a] = slopes.reshape(-1, *w.size)
        return self._slopes[a]


class Roles(NamedTuple):
    """What the inputs are, see `Evidence`."""

    is_coordinates: bool
    is_splat: bool
    has_grid: bool
    map: int | None
    windows: Windows | None
    spatial: list[int]


def find_roles(problem: Problem, which: int, J: Sequence[Array]) -> Roles:
    """Read off the numerical Jacobians what the inputs are.

    Parameters
    ----------
    problem : Problem
    which : int
        The input in question.
    J : sequence of (n_out, n) arrays
        By all inputs.

    Returns
    -------
    Roles
    """
    out, shapes = problem.out.shape, [a.shape for a in problem.inputs]
    scales = [_scales(problem, i) for i in range(len(J))]
    lands = [scales[i] and moving_axes(N.T, out) for i, N in enumerate(J)]
    values = [shape[:-1] for shape, moves in zip(shapes, lands, strict=True) if moves]
    places = [len(s) == len(out) and s[:-1] in values and s[:-1] != out[:-1] for s in shapes]
    splatted = [fits and not scaled for fits, scaled in zip(places, scales, strict=True)]
    positions = [_one_position_each(N, s, out) for N, s in zip(J, shapes, strict=True)]
    positions = [a or b for a, b in zip(positions, splatted, strict=True)]
    others = [i for i in sorted(range(len(J)), key=lambda i: i != which) if not positions[i]]
    moving = [i for i in others if moving_axes(J[i], shapes[i])]
    alike = [i for i in others if len(shapes[i]) == len(out) >= 4]
    map_ = next(iter(moving + alike), None)
    windows, spatial = None, []
    if map_ is not None:
        by_map, shape = J[map_], shapes[map_]
        windows = windows_of(by_map, shape) if moving else pools_of(by_map, shape, out)
        pools = windows.axes if windows else []
        spatial = moving_axes(by_map, shape) or pools or list(range(1, len(shape) - 1))
    has_grid = len(J) > 1 and any(positions)
    return Roles(positions[which], any(splatted), has_grid, map_, windows, spatial)


def _scales(problem: Problem, i: int) -> bool:
    """Whether twice the input gives twice the output, as twice an image does."""
    try:
        return bool(np.allclose(problem.at(i, 2 * problem.inputs[i]).out, 2 * problem.out))
    except UseError:  # forward is not defined there, as for points twice as far away
        return False


def _one_position_each(J: Array, shape: tuple[int, ...], out: tuple[int, ...]) -> bool:
    """Whether each output needs one position, shared by the channels of one place at most."""
    if len(shape) < 2 or shape[-1] not in (2, 3):
        return False
    J = J.reshape(len(J), -1, shape[-1])  # (n_out, positions, 2 or 3)
    alone = (J != 0).any(axis=-1).sum(axis=1).max(initial=0) <= 1
    channels = len(J) / J.shape[1] in (1, *out)
    # Without a map x and y are apart, each with one slope; not so of what is elementwise.
    slopes = [np.unique(np.round(own[own != 0], 9)) for own in np.moveaxis(J, -1, 0)]
    together = (J != 0).sum(axis=-1).max(initial=0) > 1
    return bool(alone and channels and (together or max(map(len, slopes)) == 1))


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
