"""The pair under test: runs it on copies, and differentiates its forward."""

from __future__ import annotations

import contextlib
import os
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnref.gradcheck.numeric import (
    LADDER,
    Slopes,
    complex_step,
    slopes_along,
    straight_slopes,
)
from stnref.validation import Array


class UseError(Exception):
    """The pair cannot be checked: `cause` says in which way, see `causes.USE`."""

    def __init__(self, cause: str, where: str, evidence: str) -> None:
        super().__init__(f"{where}: {evidence}")
        self.cause, self.where, self.evidence = cause, where, evidence


class Pair:
    """A forward and a backward at one point.

    Attributes
    ----------
    bare_forward, bare_backward : callable
        The two as they came: no copies, no checks.
    given : list of arrays
        The inputs in the dtype that the pair computes in: float32 only if all are.
    inputs : list of arrays
        Where forward is differentiated: in float64, unless it does not take that.
    names : list of str
    analytic : list of bool
        For each input whether forward takes complex values and is analytic in them.
    straight : list of bool
        For each input whether forward looks like a straight line along a random direction.
    precision : float
        Relative round-off of forward.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        backward: Callable[..., Any],
        inputs: Sequence[ArrayLike],
        names: Sequence[str],
    ) -> None:
        self.bare_forward, self.bare_backward = forward, backward
        arrays = [np.asarray(value) for value in inputs]
        self.single = bool(arrays) and all(a.dtype == np.float32 for a in arrays)
        self.given = [np.array(a, dtype=np.float32 if self.single else float) for a in arrays]
        self.inputs = [a.astype(float) for a in self.given]
        self.names = list(names)
        self.out, _ = self.run(self.given)
        if self.single and not self._takes_double():
            self.inputs = self.given
        self.precision = float(np.finfo(self.inputs[0].dtype).eps)
        self.analytic = [False] * len(arrays)
        self.straight = [False] * len(arrays)

    # ------------------------------------------------------------------------------- running

    def bare_run(self, inputs: Sequence[Array]) -> Any:
        """Run forward on these very arrays; the cache."""
        return call("forward", self.bare_forward, *inputs)[1]

    def bare_pull(self, dout: Array, cache: Any) -> None:
        """Run backward on this very array."""
        call("backward", self.bare_backward, dout, cache)

    def run(self, inputs: Sequence[Array]) -> tuple[Array, Any]:
        """Run forward on copies; the output and the cache."""
        result = call("forward", self.bare_forward, *(np.array(a) for a in inputs))
        if not isinstance(result, tuple) or len(result) != 2:
            raise UseError(
                "shape", "forward", f"expected a pair (out, cache), got {type(result).__name__}"
            )
        out = as_array(result[0], "forward", "out")
        if out.dtype.kind != "f" or not out.size:
            got = f"{out.dtype}, {out.shape}"
            raise UseError("shape", "forward", f"expected a floating output, got {got}")
        _expect_finite("forward", "out", out)
        return out, result[1]

    def pull(self, dout: Array, cache: Any) -> list[Array]:
        """Run backward on a copy of dout; one gradient for each input, in its shape."""
        result = call("backward", self.bare_backward, np.array(dout), cache)
        gradients = list(result) if isinstance(result, (tuple, list)) else [result]
        if len(gradients) != len(self.given):
            raise UseError(
                "shape",
                "backward",
                f"expected {len(self.given)} gradients, got {len(gradients)}",
            )
        arrays = []
        for name, array, gradient in zip(self.names, self.given, gradients, strict=True):
            # A copy: a buffer of theirs may change with the next call.
            value = np.zeros_like(array) if gradient is None else np.array(gradient)
            if value.dtype.kind not in "iuf":
                raise UseError("shape", f"gradient of {name}", f"got dtype {value.dtype}")
            if value.shape != array.shape:
                raise UseError(
                    "shape",
                    f"gradient of {name}",
                    f"expected shape {array.shape}, got {value.shape}",
                )
            arrays.append(value)
        return arrays

    def gradients(self, dout: Array) -> list[Array]:
        """Run forward, then backward: whatever a pair keeps between calls is then its own."""
        _, cache = self.run(self.given)
        return [g.astype(float) for g in self.pull(dout.astype(self.out.dtype), cache)]

    def at(self, which: int, value: Array) -> Pair:
        """Return the same pair at another value of one input."""
        inputs = [*self.given]
        inputs[which] = value.astype(inputs[which].dtype)
        moved = Pair(self.bare_forward, self.bare_backward, inputs, self.names)
        moved.analytic, moved.straight = self.analytic, self.straight
        return moved

    def _takes_double(self) -> bool:
        try:
            out, _ = self.run(self.inputs)
        except UseError:
            return False
        return out.dtype == np.float64

    # ----------------------------------------------------------------------- differentiating

    def line(self, which: int, v: Array) -> Callable[[float], Array]:
        """Return t -> forward at x + t v in that input."""

        def outputs(t: float) -> Array:
            shifted = [*self.inputs]
            shifted[which] = (shifted[which] + t * v).astype(shifted[which].dtype)
            out = self.run(shifted)[0]
            if out.shape != self.out.shape:
                got = f"its shape changes from {self.out.shape} to {out.shape} with the values"
                raise UseError("shape", "forward", got)
            return out

        return outputs

    def unit_of(self, which: int) -> float:
        """Return the unit of an input: 1 where that is its order, else a power of two."""
        largest = float(np.abs(self.inputs[which]).max())
        if largest == 0 or 1e-2 <= largest <= 1e2:
            return 1.0
        return float(2.0 ** np.round(np.log2(largest)))

    def slopes(
        self, which: int, v: Array, longest: float = np.inf, shortest: float = 0.0
    ) -> Slopes:
        """Differentiate all outputs along v by differences, with steps in units of the input.

        Where a step leaves the set on which forward is defined, shorter ones are tried.
        """
        unit = self.unit_of(which)
        line = self.line(which, v)
        options = {"precision": self.precision, "size": self.size_of(which) / unit}

        def scaled(t: float) -> Array:
            return line(t * unit)

        if self.straight[which]:
            with contextlib.suppress(UseError):
                slopes = straight_slopes(scaled, precision=self.precision)
                if slopes is not None:
                    return slopes.in_units(unit)
        limit = longest / unit
        for most, least in ((limit, shortest), *((h, 0.0) for h in LADDER[2::3] if h < limit)):
            try:
                return slopes_along(scaled, longest=most, shortest=least, **options).in_units(unit)
            except UseError as error:
                last = error
        text = f"{last.evidence} where {self.names[which]} is moved by {most * unit:.0e}: it is too"
        raise UseError("untrusted", last.where, f"{text} near the end of where it is defined")

    def size_of(self, which: int) -> float:
        """Return the largest element of an input."""
        return float(np.abs(self.inputs[which]).max())

    def tangent(self, which: int, v: Array) -> Array:
        """Return J v (n_out,), by the complex step where forward is analytic."""
        if not self.analytic[which]:
            return self.slopes(which, v).value
        copies = [a.copy() for a in self.inputs]
        return np.ravel(complex_step(self.bare_forward, copies, which, v))

    def column(self, which: int, element: int) -> Array:
        """Return the derivatives of all outputs by one element, (n_out,)."""
        return self.tangent(which, self.unit(which, element))

    def unit(self, which: int, element: int) -> Array:
        """Return the direction of one element."""
        v = np.zeros(self.inputs[which].shape)
        v.flat[element] = 1
        return v

    def is_analytic(self, which: int, v: Array, slopes: Slopes) -> bool:
        """Try a complex step along v and compare it with the differences."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # a discarded imaginary part is only a warning
                inputs = [a.copy() for a in self.inputs]
                step = np.ravel(complex_step(self.bare_forward, inputs, which, v))
        except Exception:  # whatever code of others may raise: then it is not analytic
            return False
        if step.shape != slopes.value.shape or not np.isfinite(step).all():
            return False
        smooth = ~slopes.kinked
        scale = np.abs(slopes.value[smooth]).max(initial=0.0)
        allowed = 1e-6 * scale + 10 * slopes.error[smooth]
        return bool(smooth.any() and (np.abs(step - slopes.value)[smooth] <= allowed).all())


def call(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call code of others; what it raises becomes a UseError."""
    try:
        with np.errstate(all="ignore"):  # what is not finite will be seen
            return function(*arguments)
    except (Exception, SystemExit) as error:  # code of others: its error is what there is to say
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(frame.filename)}, line {frame.lineno}"
        text = f"raised {type(error).__name__}: {error} ({place})"
        raise UseError("error", what, text) from error


def _expect_finite(where: str, what: str, array: Array) -> None:
    if not np.isfinite(array).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise UseError("non-finite", where, f"{what} is {array[first]} at index {first}")


def as_array(value: Any, where: str, what: str) -> Array:
    """Return what came as an array, or say that it is none."""
    try:
        return np.asarray(value)
    except ValueError as error:
        raise UseError("shape", where, f"{what}: expected an array, got {error}") from error


def direction(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return a random direction, normal, its largest entry 1."""
    v = rng.standard_normal(shape)
    return v / np.abs(v).max(initial=1e-300)


def same_bits(a: Sequence[Array], b: Sequence[Array]) -> bool:
    """Whether two lists of arrays are equal to the last bit, NaN included."""
    return all(x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]
