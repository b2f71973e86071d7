"""The problem: a forward and a backward at one point, run on copies and differentiated."""

from __future__ import annotations

import contextlib
import copy
import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import inf
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stnref.gradcheck import limits
from stnref.gradcheck.causes import CAUSES
from stnref.gradcheck.numeric import Slopes, complex_step, slopes_along
from stnref.gradcheck.report import Finding
from stnref.validation import Array

Function: TypeAlias = Callable[..., Any]
Mask: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.intp]


class UseError(Exception):
    """The pair cannot be checked: `cause` is a slug of `CAUSES`."""

    def __init__(self, cause: str, where: str, evidence: str) -> None:
        super().__init__(f"{where}: {evidence}")
        self.cause, self.where, self.evidence = cause, where, evidence

    @property
    def finding(self) -> Finding:
        """What a report says of it."""
        return Finding(CAUSES[self.cause], self.where, self.evidence)


class Problem:
    """A forward and a backward at one point.

    It is never changed: what is found out of it gives another one, see `knowing`.

    Parameters
    ----------
    forward, backward : callable
        As for `check_gradients`.
    inputs : sequence of array_like
    names : sequence of str
        One for each input.

    Attributes
    ----------
    forward, backward : callable
        The two as they came: no copies, no checks.
    names : list of str
    inputs : list of arrays
        In the dtype that the pair computes in: float32 only if all came so, else float64.
    point : list of arrays
        The inputs where forward is differentiated: in float64, unless it does not take that.
    out : Array
        What forward gives there.
    single : bool
        Whether the pair computes in float32.
    precision : float
        Relative round-off of forward at `point`.
    analytic : list of bool
        For each input whether forward takes complex values and is analytic in them.
    repeatable : bool
        Whether backward may be called again with the same cache.
    distances : list of arrays or None
        The caller's kink map: for each input the distances of its elements to their nearest kinks.

    Raises
    ------
    UseError
        Forward raises, or does not return a pair of a finite floating array and a cache.
    """

    def __init__(
        self, forward: Function, backward: Function, inputs: Sequence[Any], names: Sequence[str]
    ) -> None:
        self.forward, self.backward, self.names = forward, backward, list(names)
        self.analytic = [False] * len(self.names)
        self.repeatable = False
        arrays = [np.asarray(value) for value in inputs]
        self.single = all(a.dtype == np.float32 for a in arrays)
        self._put_at(arrays)

    def _put_at(self, inputs: Sequence[Array]) -> None:
        self.inputs = [np.array(a, dtype=np.float32 if self.single else float) for a in inputs]
        self.point = [a.astype(float) for a in self.inputs]
        self.out = self.out_at_point = self.run(self.inputs)[0].copy()  # a buffer of theirs
        if self.single:
            with contextlib.suppress(UseError):
                self.out_at_point, _ = self.run(self.point)
            if self.out_at_point.dtype != np.float64:
                self.point, self.out_at_point = self.inputs, self.out
        self.precision = float(np.finfo(self.point[0].dtype).eps)
        self.distances: list[Array | None] = [None] * len(inputs)

    # --------------------------------------------------------------------------- other problems

    def with_inputs(self, inputs: Sequence[Array]) -> Problem:
        """Return the same pair, and what is known of it, at other inputs, of any shapes."""
        other = copy.copy(self)
        other._put_at(inputs)
        return other

    def at(self, which: int, value: Array) -> Problem:
        """Return the same pair at another value of one input."""
        return self.with_inputs([*self.inputs[:which], value, *self.inputs[which + 1 :]])

    def knowing(self, **facts: Any) -> Problem:
        """Return the same problem, with new `analytic`, `repeatable`, `distances`."""
        other = copy.copy(self)
        vars(other).update(facts)
        return other

    # ------------------------------------------------------------------------------- running

    def run(self, inputs: Sequence[Array]) -> tuple[Array, Any]:
        """Run forward on copies; the output and the cache."""
        result = call("forward", self.forward, *(np.array(a) for a in inputs))
        if not isinstance(result, tuple) or len(result) != 2:
            got = f"expected a pair (out, cache), got {type(result).__name__}"
            raise UseError("shape", "forward", got)
        try:
            out = np.asarray(result[0])
        except ValueError as error:
            raise UseError("shape", "forward", f"out: expected an array, got {error}") from error
        if out.dtype.kind != "f" or not out.size:
            got = f"{out.dtype}, {out.shape}"
            raise UseError("shape", "forward", f"expected a floating output, got {got}")
        if not np.isfinite(out).all():
            first = tuple(int(i) for i in np.argwhere(~np.isfinite(out))[0])
            raise UseError("non-finite", "forward", f"out is {out[first]} at index {first}")
        return out, result[1]

    def pull(self, dout: Array, cache: Any) -> list[Array]:
        """Run backward on a copy of dout; one gradient for each input, in its shape."""
        result = call("backward", self.backward, np.array(dout), cache)
        gradients = list(result) if isinstance(result, (tuple, list)) else [result]
        if len(gradients) != len(self.inputs):
            got = f"expected {len(self.inputs)} gradients, got {len(gradients)}"
            raise UseError("shape", "backward", got)
        arrays = []
        for name, array, gradient in zip(self.names, self.inputs, gradients, strict=True):
            # A copy: a buffer of theirs may change with the next call.
            value = np.zeros_like(array) if gradient is None else np.array(gradient)
            where = f"gradient of {name}"
            if value.dtype.kind not in "iuf":
                raise UseError("shape", where, f"got dtype {value.dtype}")
            if value.shape != array.shape:
                got = f"expected shape {array.shape}, got {value.shape}"
                raise UseError("shape", where, got)
            arrays.append(value)
        return arrays

    def gradients(self, dout: Array) -> list[Array]:
        """Return J^T dout for each input, in float64."""
        return next(self.all_gradients([dout]))

    def all_gradients(self, douts: Iterable[Array]) -> Iterator[list[Array]]:
        """Return J^T dout for each input, one dout after the other.

        Forward runs first, so that whatever a pair keeps between calls is its own; one cache serves
        all, unless backward is not `repeatable`.
        """
        _, cache = self.run(self.inputs)
        for dout in douts:
            yield [g.astype(float) for g in self.pull(dout.astype(self.out.dtype), cache)]
            if not self.repeatable:
                _, cache = self.run(self.inputs)

    # ----------------------------------------------------------------------- differentiating

    def size(self, which: int) -> float:
        """Return the largest absolute value in an input."""
        return float(np.abs(self.point[which]).max())

    def unit(self, which: int, elements: int | Indices) -> Array:
        """Return the direction of one element, by its flat index, or of several together."""
        v = np.zeros(self.point[which].shape)
        v.ravel()[elements] = 1
        return v

    def line(self, which: int, v: Array, outputs: Any = ...) -> Callable[[float], Array]:
        """Return t -> the outputs at x + t v in that input: all (n_out,), or a mask's."""

        def along(t: float) -> Array:
            shifted = [*self.point]
            shifted[which] = (shifted[which] + t * v).astype(shifted[which].dtype)
            out = self.run(shifted)[0]
            if out.shape != self.out.shape:
                got = f"its shape changes from {self.out.shape} to {out.shape} with the values"
                raise UseError("shape", "forward", got)
            return np.ravel(out)[outputs]

        return along

    def slopes(
        self, which: int, v: Array, longest: float = inf, shortest: float = 0, outputs: Any = ...
    ) -> Slopes:
        """Differentiate outputs along v by differences, with steps in units of the input.

        Of all, or of those of a mask. Where a step leaves the set on which forward is defined,
        shorter ones are tried.
        """
        unit, line = self.step_unit(which), self.line(which, v, outputs)
        scales = {"unit": unit, "precision": self.precision, "size": self.size(which)}
        shorter = ((h * unit, 0.0) for h in limits.LADDER[2::3] if h * unit < longest)
        for most, least in ((longest, shortest), *shorter):
            try:
                return slopes_along(line, longest=most, shortest=least, **scales)
            except UseError as error:
                last = error
        text = f"{last.evidence} where {self.names[which]} is moved by {most:.0e}: it is too"
        raise UseError("untrusted", last.where, f"{text} near the end of where it is defined")

    def step_unit(self, which: int) -> float:
        """Return 1 where that is the order of an input, else a power of two."""
        largest, (least, most) = self.size(which), limits.UNIT
        if largest == 0 or least <= largest <= most:
            return 1.0
        return float(2.0 ** np.round(np.log2(largest)))

    def tangent(self, which: int, v: Array) -> Array:
        """Return J v (n_out,), by the complex step where forward is analytic."""
        if self.analytic[which]:
            return self.complex_tangent(which, v)
        return self.slopes(which, v).value

    def complex_tangent(self, which: int, v: Array) -> Array:
        """Return what the complex step gives for J v (n_out,), analytic or not."""
        copies = [a.copy() for a in self.point]
        return np.ravel(complex_step(self.forward, copies, which, v))


def call(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call code of others.

    Parameters
    ----------
    what : str
        Its name, for the error.
    function : callable
    *arguments

    Returns
    -------
    object
        What it returns.

    Raises
    ------
    UseError
        It raises something: that is told.
    """
    try:
        with np.errstate(all="ignore"):  # what is not finite will be seen
            return function(*arguments)
    except (Exception, SystemExit) as error:  # code of others: its error is what there is to say
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(frame.filename)}, line {frame.lineno}"
        text = f"raised {type(error).__name__}: {error} ({place})"
        raise UseError("error", what, text) from error


def direction(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return a random direction, normal, its largest entry 1.

    Parameters
    ----------
    rng : Generator
    shape : tuple of int

    Returns
    -------
    array of that shape

    Examples
    --------
    >>> v = direction(np.random.default_rng(0), (2, 3))
    >>> v.shape, float(np.abs(v).max())
    ((2, 3), 1.0)
    """
    v = rng.standard_normal(shape)
    return v / np.abs(v).max(initial=1e-300)
