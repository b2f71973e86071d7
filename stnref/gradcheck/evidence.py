r"""Evidence: a part of the two Jacobians, the analytic A and the numerical N, side by side.

A has a row for each output, from backward of a unit upstream gradient; N a column for each
element, from a derivative along its unit vector. Where both are small they are complete. Of large
ones the part is chosen that says most: the rows of outputs that read a wrong element, of outputs
in the corners of the output's array, and of a few others; and in them all entries that are not zero
in one of the two, which are found by halving the input until its parts are single elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from stnref.gradcheck.pair import Mask, Pair, direction
from stnref.validation import Array

Indices = NDArray[np.intp]

WHOLE_INPUT, WHOLE_OUTPUT, WHOLE = 1000, 400, 300_000
"""Sizes up to which the Jacobians are complete: elements, outputs, entries."""
MOST_ROWS, MOST_COLUMNS, MOST_HALVINGS = 48, 320, 1500


@dataclass(frozen=True)
class Block:
    """Entries of both Jacobians for some outputs and some elements of one input.

    Attributes
    ----------
    which : int
        The input.
    shape, out_shape : tuple of int
    outputs, elements : (n_o,), (n_k,)
        Flat indices.
    N, A : (n_o, n_k)
    readers : (n_k,)
        How many outputs, of all, depend on an element.
    complete : bool
        Whether what is not here is zero in these rows of both.
    tolerance : float
    """

    which: int
    shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    outputs: Indices
    elements: Indices
    N: Array
    A: Array
    readers: Indices
    complete: bool
    tolerance: float

    def rows(self, outputs: Indices) -> Block:
        """Return the block of some outputs alone."""
        here = np.searchsorted(self.outputs, outputs)
        return replace(self, outputs=outputs, N=self.N[here], A=self.A[here])

    def part(self, columns: Mask) -> Block:
        """Return the block of some elements alone."""
        return replace(
            self,
            elements=self.elements[columns],
            N=self.N[:, columns],
            A=self.A[:, columns],
            readers=self.readers[columns],
        )

    def transposed(self) -> Block:
        """Return elements as rows, outputs as columns; without rows of which not all is here."""
        known = self.readers == self.nonzero.sum(axis=0)
        return replace(
            self,
            shape=self.out_shape,
            out_shape=self.shape,
            outputs=self.elements[known],
            elements=self.outputs,
            N=self.N[:, known].T,
            A=self.A[:, known].T,
            readers=self.nonzero.sum(axis=1),
        )

    @cached_property
    def o(self) -> Indices:
        """Multi-indices of the outputs, (n_o, out.ndim)."""
        return _unravel(self.outputs, self.out_shape)

    @cached_property
    def k(self) -> Indices:
        """Multi-indices of the elements, (n_k, in.ndim)."""
        return _unravel(self.elements, self.shape)

    @cached_property
    def scale(self) -> float:
        """The largest entry of both."""
        return float(max(np.abs(self.N).max(initial=0), np.abs(self.A).max(initial=0))) or 1.0

    @cached_property
    def wrong(self) -> Mask:
        """Entries in which the two differ."""
        return self.differs(self.A, self.N)

    def differs(self, a: Array, b: Array) -> Mask:
        """Where two arrays differ by more than the tolerance."""
        return np.abs(a - b) > self.tolerance * self.scale

    def explained_by(self, P: Array, where: Mask | None = None) -> bool:
        """Whether P is what backward gives: in all entries, or in those of `where`."""
        off = self.differs(self.A, P)
        if where is not None:
            off = off & where
        return not off.any()

    @cached_property
    def nonzero(self) -> Mask:
        """Entries where the output does depend on the element."""
        return np.abs(self.N) > self.tolerance * self.scale

    @cached_property
    def given(self) -> Mask:
        """Entries where backward gives something."""
        return np.abs(self.A) > self.tolerance * self.scale

    @cached_property
    def row_of(self) -> dict[tuple[int, ...], int]:
        """Output's multi-index -> row."""
        return {tuple(index): row for row, index in enumerate(self.o.tolist())}

    @cached_property
    def column_of(self) -> dict[tuple[int, ...], int]:
        """Element's multi-index -> column."""
        return {tuple(index): column for column, index in enumerate(self.k.tolist())}


def _unravel(flat: Indices, shape: tuple[int, ...]) -> Indices:
    return np.stack(np.unravel_index(flat, shape), axis=-1) if shape else flat[:, None][:, :0]


class Evidence:
    """What can be asked about the gradient to one input."""

    def __init__(
        self, pair: Pair, which: int, suspects: Sequence[int], rng: np.random.Generator
    ) -> None:
        self.pair, self.which, self.rng = pair, which, rng
        self.name = pair.names[which]
        self.shape = pair.inputs[which].shape
        self.out_shape = pair.out.shape
        self._rows: dict[int, list[Array]] = {}
        self._columns: dict[tuple[int, int], tuple[Array, int]] = {}
        self._blocks: dict[int, Block] = {}
        self._wrong = [] if self.whole else self._wrong_elements(list(suspects[:3]))
        self.outputs = self._choose_outputs()

    @property
    def block(self) -> Block:
        """The entries for the input in question."""
        return self.block_of(self.which)

    def tolerance(self, which: int) -> float:
        """Return how far two entries may differ, in units of the largest."""
        if self.pair.single:
            return 1e-3
        return 1e-9 if self.pair.analytic[which] else 1e-8

    # ------------------------------------------------------------------------ rows and columns

    def row(self, output: int) -> list[Array]:
        """Return the analytic gradients to all inputs for a unit upstream gradient."""
        if output not in self._rows:
            unit = np.zeros(self.out_shape)
            unit.flat[output] = 1
            self._rows[output] = self.pair.gradients(unit)
        return self._rows[output]

    def column(self, which: int, element: int) -> tuple[Array, int]:
        """Return the chosen outputs' derivatives by one element, and how many outputs read it."""
        key = (which, element)
        if key not in self._columns:
            whole = self.pair.column(which, element)
            depend = np.abs(whole) > self.tolerance(which) * np.abs(whole).max(initial=0)
            self._columns[key] = whole[self.outputs], int(depend.sum())
        return self._columns[key]

    def block_of(self, which: int) -> Block:
        """Return the entries for the chosen outputs and one input."""
        if which not in self._blocks:
            self._blocks[which] = self._make_block(which)
        return self._blocks[which]

    def _make_block(self, which: int) -> Block:
        outputs = self.outputs
        A = np.array([self.row(int(o))[which].ravel() for o in outputs])
        size = self.pair.inputs[which].size
        complete = True
        if size <= MOST_COLUMNS or (self.whole and size <= WHOLE_INPUT):
            elements = np.arange(size)
        else:
            rows = self._rows_that_fit(A)
            outputs, A = outputs[rows], A[rows]
            elements = np.flatnonzero(A.any(axis=0))
            complete = len(elements) <= MOST_COLUMNS
            if complete:
                parts = self._apart(which, elements)
                reads = self._reads(which, outputs)
                found, complete = self._halve(parts, reads, MOST_HALVINGS)
                elements = np.union1d(elements, found)
            if not complete:  # dense rows
                known = self._wrong if which == self.which else []
                elements = np.union1d(self._some(which), np.array(known, dtype=np.intp))
        columns = [self.column(which, int(k)) for k in elements]
        N = np.array([values for values, _ in columns]).reshape(len(columns), len(self.outputs)).T
        N = N[np.searchsorted(self.outputs, outputs)]
        return Block(
            which,
            self.pair.inputs[which].shape,
            self.out_shape,
            outputs,
            elements,
            N,
            A[:, elements],
            np.array([count for _, count in columns], dtype=np.intp),
            complete,
            self.tolerance(which),
        )

    def _rows_that_fit(self, A: Array) -> Indices:
        """Choose rows, those first that were looked for, that have few enough elements together.

        Where three rows have too many already, as dense ones have, all stay.
        """
        if np.count_nonzero(A, axis=1).max(initial=0) > MOST_COLUMNS / 3:
            return np.arange(len(A))
        union = np.zeros(A.shape[1], dtype=bool)
        chosen: list[int] = []
        for output in self._priority:
            row = int(np.searchsorted(self.outputs, output))
            if row not in chosen and (union | (A[row] != 0)).sum() <= MOST_COLUMNS:
                union |= A[row] != 0
                chosen.append(row)
        return np.sort(chosen)

    def _apart(self, which: int, elements: Indices) -> list[Indices]:
        """Part the other elements into neighbours of these, one by one, and the rest."""
        shape = self.pair.inputs[which].shape
        at = _unravel(elements, shape)
        near = {int(k) for k in elements}
        for step in product(
            *((-1, 0, 1) if 0 < a < len(shape) - 1 else (0,) for a in range(len(shape)))
        ):
            moved = at + np.array(step)
            moved = moved[((moved >= 0) & (moved < shape)).all(axis=1)]
            near |= set(np.ravel_multi_index(tuple(moved.T), shape).tolist())
        neighbours = np.setdiff1d(np.array(sorted(near)), elements)
        rest = np.setdiff1d(np.arange(self.pair.inputs[which].size), np.array(sorted(near)))
        return [rest, *np.array_split(neighbours, max(1, len(neighbours) // 4))]

    def _some(self, which: int) -> Indices:
        """Choose elements of a large array that stay together when two axes are exchanged."""
        shape = self.pair.inputs[which].shape
        room = MOST_COLUMNS / 2
        keep: list[Indices] = []
        for axis, n in sorted(enumerate(shape), key=lambda pair: pair[1]):
            left = len(shape) - len(keep)
            most = max(2, int(room ** (1 / left)))
            keep.append(
                np.array([axis, *range(n)] if n <= most else [axis, *self._spread(n, most)])
            )
            room /= len(keep[-1]) - 1
        chosen = [k[1:] for k in sorted(keep, key=lambda k: k[0])]
        return np.sort(np.ravel_multi_index(np.meshgrid(*chosen, indexing="ij"), shape).ravel())

    @staticmethod
    def _spread(n: int, count: int) -> list[int]:
        """Choose `count` of n numbers: the first half in a row, the last in a row."""
        return [*range(count - count // 2), *range(n - count // 2, n)]

    def wrong_rows(self) -> Mask:
        """Say which of the chosen outputs have a wrong row, looking at all elements at once."""
        v = direction(self.rng, self.shape)
        numeric = self.pair.tangent(self.which, v)[self.outputs]
        analytic = np.array([np.vdot(self.row(int(o))[self.which], v) for o in self.outputs])
        scale = max(np.abs(numeric).max(initial=0), np.abs(analytic).max(initial=0))
        return np.abs(analytic - numeric) > 1e2 * self.tolerance(self.which) * scale

    # ----------------------------------------------------------------------- what to look at

    @cached_property
    def whole(self) -> bool:
        """Whether all outputs and all elements are looked at."""
        size, n_out = self.pair.inputs[self.which].size, self.pair.out.size
        return size <= WHOLE_INPUT and n_out <= WHOLE_OUTPUT and size * n_out <= WHOLE

    def _choose_outputs(self) -> Indices:
        n_out = self.pair.out.size
        chosen: list[int] = []
        self._priority = chosen
        if self.whole or n_out <= MOST_ROWS:
            chosen += range(n_out)
            return np.arange(n_out)
        for element in self._wrong:
            column = self.pair.column(self.which, element)
            readers = np.flatnonzero(column)
            if len(readers) > 8:
                readers = self.rng.choice(readers, 8, replace=False)
            wrong = self._wrong_outputs(element, column).tolist()
            chosen += [s for output in wrong[:2] for s in self._siblings(output)]
            chosen += [*wrong, *readers.tolist()]
        for corner in product(*({0, n - 1} for n in self.out_shape)):
            chosen.append(int(np.ravel_multi_index(corner, self.out_shape)))
        chosen += self.rng.choice(n_out, 8, replace=False).tolist()
        return np.unique(chosen)

    def _wrong_elements(self, known: list[int]) -> list[int]:
        """Return up to three wrong elements: those known, or those that halving finds."""
        dout = self.rng.standard_normal(self.out_shape)
        gradient = self.pair.gradients(dout)[self.which]
        everything = np.arange(gradient.size)
        for _ in range(3 - len(known)):
            v = direction(self.rng, self.shape)

            def off(part: Indices, v: Array = v) -> float:
                masked = np.zeros(self.shape)
                masked.flat[part] = v.flat[part]
                numeric = dout.ravel() @ self.pair.tangent(self.which, masked)
                return abs(float(np.vdot(gradient, masked) - numeric))

            part = everything
            if off(part) < 1e-8 * np.abs(gradient).max(initial=0):
                continue
            while len(part) > 1:
                halves = np.array_split(part, 2)
                part = max(halves, key=off)
            known.append(int(part[0]))
        return known

    def _siblings(self, output: int) -> list[int]:
        """Return the outputs that differ along the last axis alone, up to eight."""
        n = self.out_shape[-1]
        first = output - output % n
        return list(range(first, first + min(n, 8)))

    def _wrong_outputs(self, element: int, column: Array) -> Indices:
        """Return outputs whose gradient reaches the element with a wrong weight."""

        def is_off(part: Indices) -> bool:
            dout = np.zeros(self.out_shape)
            dout.flat[part] = self.rng.standard_normal(len(part))
            analytic = self.pair.gradients(dout)[self.which].flat[element]
            off = abs(analytic - dout.ravel() @ column)
            return bool(
                off > self.tolerance(self.which) * np.abs(column).max(initial=abs(analytic))
            )

        found, _ = self._halve([np.arange(self.pair.out.size)], is_off, 60)
        return found

    def _reads(self, which: int, outputs: Indices) -> Callable[[Indices], bool]:
        """Return whether any of the outputs depends on some elements: whether it changes."""
        here = np.ravel(self.pair.line(which, np.zeros(()))(0.0))[outputs]
        noise = 100 * self.pair.precision * np.abs(here).max(initial=0)

        def reads(part: Indices) -> bool:
            v = np.zeros(self.pair.inputs[which].shape)
            v.flat[part] = self.rng.uniform(0.5, 1, len(part))
            there = np.ravel(self.pair.line(which, v)(2.0**-6))[outputs]
            return bool((np.abs(there - here) > noise).any())

        return reads

    @staticmethod
    def _halve(
        parts: Sequence[Indices], holds: Callable[[Indices], bool], budget: int
    ) -> tuple[Indices, bool]:
        """Return the single elements of which `holds`, and whether all were found in time."""
        open_parts = [part for part in parts if len(part)]
        found: list[int] = []
        while open_parts:
            if budget <= 0:
                return np.array(found, dtype=np.intp), False
            part = open_parts.pop()
            budget -= 1
            if not holds(part):
                continue
            if len(part) == 1:
                found.append(int(part[0]))
            else:
                open_parts += np.array_split(part, 2)
        return np.array(found, dtype=np.intp), True

    # ------------------------------------------------------------- what the inputs are, by shape

    @cached_property
    def is_coordinates(self) -> bool:
        """Whether the input is a grid: (x, y) for each output position, and for no other."""
        return self._is_grid(self.which) or (self.is_splat and self._is_target(self.which))

    @cached_property
    def is_splat(self) -> bool:
        """Whether pixels of an input are pushed to points, (x, y) for each of these pixels."""
        return any(self._is_target(i) for i in range(len(self.pair.inputs)))

    def _is_target(self, which: int) -> bool:
        shape, out = self.pair.inputs[which].shape, self.out_shape
        if len(shape) < 4 or shape[-1] != len(shape) - 2 or len(out) != len(shape):
            return False
        if self._is_grid(which) or shape[1:-1] == out[1:-1] or self.pair.straight[which]:
            return False
        others = [a.shape for i, a in enumerate(self.pair.inputs) if i != which]
        return any(len(s) == len(shape) and s[:-1] == shape[:-1] for s in others)

    def _is_grid(self, which: int) -> bool:
        shape, out = self.pair.inputs[which].shape, self.out_shape
        if len(shape) < 3 or shape[-1] not in (2, 3):
            return False
        n = len(shape) - 1
        if n - shape[-1] not in (0, 1):  # as many axes as coordinates, and perhaps a batch
            return False
        if shape[:-1] == out[:n] and len(out) - n in (0, 1):  # channels last, or none
            position = list(range(n))
        elif len(out) == len(shape) and shape[:-1] == (out[0], *out[2:]):
            position = [0, *range(2, len(out))]
        else:
            return False
        b = self.block_of(which)
        same = (b.o[:, None, position] == b.k[None, :, :-1]).all(axis=-1)
        return not (b.nonzero & ~same).any()

    @cached_property
    def map_input(self) -> int | None:
        """The input that is sampled: of as many axes as the output, and no grid.

        With a batch it has that in common with the output; a single picture has none.
        """
        others = [i for i in range(len(self.pair.inputs)) if i != self.which]
        for i in [self.which, *others] if not self.is_coordinates else others:
            shape, out = self.pair.inputs[i].shape, self.out_shape
            single = self.batch_axes == 0
            if len(shape) != len(out) or not (single or (len(shape) >= 4 and shape[0] == out[0])):
                continue
            if not self._is_grid(i):
                return i
        return None

    @cached_property
    def batch_axes(self) -> int:
        """0 if there is a grid (H', W', 2) for a single picture, else 1."""
        grids = [a.shape for i, a in enumerate(self.pair.inputs) if self._is_grid(i)]
        alone = len(self.pair.inputs) > 1 and any(len(s) == s[-1] + 1 for s in grids)
        return 0 if alone else 1

    @cached_property
    def has_grid(self) -> bool:
        """Whether the input, or another one, is a grid at which a map is sampled."""
        several = len(self.pair.inputs) > 1
        return several and any(self._is_grid(i) for i in range(len(self.pair.inputs)))

    def spatial_axes(self, which: int) -> list[int]:
        """Return the axes of rows and columns of a map, in either layout."""
        shape, out = self.pair.inputs[which].shape, self.out_shape
        grids = [
            a.shape for i, a in enumerate(self.pair.inputs) if i != which and len(a.shape) >= 4
        ]
        if self.batch_axes == 0:
            d = next(a.shape[-1] for i, a in enumerate(self.pair.inputs) if self._is_grid(i))
            return list(range(d))
        first = any(g[1:-1] == out[2:] and g[1:-1] != out[1:-1] for g in grids)
        return list(range(2, len(shape))) if first else list(range(1, len(shape) - 1))

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """(W, H) of the map, in the order of (x, y); empty if no input is one."""
        if self.map_input is None:
            return ()
        shape = self.pair.inputs[self.map_input].shape
        return tuple(shape[axis] for axis in reversed(self.spatial_axes(self.map_input)))


def as_text(index: Iterable[int]) -> str:
    """Write an index as Python does."""
    return "[" + ", ".join(str(int(i)) for i in index) + "]"
