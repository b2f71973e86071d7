"""Checks at the public edge: what was expected, what came.

Every public function checks its arguments here, once, and then computes on bare
arrays. All messages have one form, ``name: expected …, got …``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

T = TypeVar("T")

Array: TypeAlias = NDArray[Any]
"""An array whose dtype is one of `DTYPES`, unless a docstring says otherwise."""

DTYPES = tuple(np.dtype(name) for name in ("float32", "float64", "complex64", "complex128"))


AXES = {2: ("H", "W"), 3: ("D", "H", "W")}
"""Names of the axes of a picture, and of a volume, for `expect_array`."""

TARGET_AXES = {2: ("H'", "W'"), 3: ("D'", "H'", "W'")}
"""Names of the axes of the target pixels, of which there may be none."""


MOST_BYTES = 2**36
"""No size may ask for an array of more than this: 64 GiB, in float64."""


class NonFiniteError(ValueError):
    """A coordinate is NaN or infinite where a position is needed."""


def expect_array(
    name: str, value: ArrayLike, *shapes: Sequence[int | str], real: bool = False
) -> Array:
    """Return `value` as an array of a supported dtype and one of the given shapes.

    Parameters
    ----------
    name : str
        The argument's name, as the caller knows it.
    value : array_like
        What came.
    *shapes : sequence of int or str
        Accepted shapes: an integer must match, a letter accepts any size from 1 on, and
        ``"..."`` any number of axes of any size. "B" and letters with a prime accept zero
        too: a batch may be empty, and so may the target. No shape accepts every shape.
    real : bool
        Whether complex numbers are refused: of a constant, which has no derivative to check.

    Returns
    -------
    array : array
        `value` itself, if it is an array in the machine's byte order.

    Raises
    ------
    TypeError
        The dtype is not float32, float64, complex64 or complex128. The message says how to
        convert without loss: integers of 32 bits and more go to float64. Or it is a masked array,
        whose mask would be lost.
    ValueError
        No shape matches.

    Examples
    --------
    >>> expect_array("theta", np.zeros((2, 3)), ("B", 2, 3))
    Traceback (most recent call last):
        ...
    ValueError: theta: expected shape (B, 2, 3), got (2, 3)
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: expected an array, got a masked one; see {name}.filled")
    try:
        array = np.asarray(value)
    except ValueError:  # rows of unequal length
        raise ValueError(f"{name}: expected an array, got rows of unequal length") from None
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype not in DTYPES:
        raise TypeError(
            f"{name}: expected dtype float32, float64, complex64 or complex128, got "
            f"{array.dtype}{_advice(name, array.dtype)}"
        )
    if real and array.dtype.kind == "c":
        raise TypeError(f"{name}: expected a real dtype, got {array.dtype}")
    if shapes and not any(_matches(array.shape, shape) for shape in shapes):
        expected = " or ".join(_text(shape) for shape in shapes)
        empty = ", which has an empty axis" if 0 in array.shape else ""
        raise ValueError(f"{name}: expected shape {expected}, got {array.shape}{empty}")
    return array


def _advice(name: str, dtype: np.dtype[Any]) -> str:
    """Name the least dtype that holds what `dtype` does, or, failing that, the most of it."""
    if dtype.kind not in "biufc":
        return ""
    fitting = [d for d in DTYPES if np.can_cast(dtype, d)]
    widest = np.dtype("complex128" if dtype.kind == "c" else "float64")
    return f"; convert with {name}.astype(numpy.{(*fitting, widest)[0]})"


def _matches(shape: tuple[int, ...], pattern: Sequence[int | str]) -> bool:
    if "..." in pattern:
        k = pattern.index("...")
        tail = len(pattern) - k - 1
        if len(shape) < k + tail:
            return False
        shape = shape[:k] + shape[len(shape) - tail :]
        pattern = [*pattern[:k], *pattern[k + 1 :]]
    return len(shape) == len(pattern) and all(
        (n > 0 or p == "B" or p.endswith("'")) if isinstance(p, str) else p == n
        for p, n in zip(pattern, shape, strict=True)
    )


def _text(pattern: Sequence[int | str]) -> str:
    comma = "," if len(pattern) == 1 else ""
    return "(" + ", ".join(str(p) for p in pattern) + comma + ")"


def expect_finite(name: str, array: Array) -> None:
    """Raise `NonFiniteError`, naming the first index, unless all of `array` is finite.

    Parameters
    ----------
    name : str
        The argument's name, as the caller knows it.
    array : array

    Raises
    ------
    NonFiniteError
        An entry is NaN or infinite.

    Examples
    --------
    >>> expect_finite("points", np.array([0.0, np.inf]))
    Traceback (most recent call last):
        ...
    stnref.validation.NonFiniteError: points: expected finite values, got inf at index (1,)
    """
    bad = ~np.isfinite(array)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise NonFiniteError(f"{name}: expected finite values, got {array[index]} at index {index}")


def expect_sizes(name: str, value: Sequence[int], lengths: Iterable[int]) -> tuple[int, ...]:
    """Return `value` as a tuple of positive sizes, its length one of `lengths`.

    Parameters
    ----------
    name : str
        The argument's name, as the caller knows it.
    value : sequence of int
        What came.
    lengths : iterable of int
        How many sizes there may be.

    Returns
    -------
    sizes : tuple of int

    Raises
    ------
    ValueError
        They are not whole, not positive, or not as many, or an array of these sizes would not
        fit into any memory.

    Examples
    --------
    >>> expect_sizes("shape", [4, 5], (2, 3))
    (4, 5)
    """
    lengths = tuple(lengths)
    try:
        sizes = tuple(int(n) for n in value)
        integral = all(int(n) == n for n in value)
    except (TypeError, ValueError, OverflowError):
        sizes, integral = (), False
    if not integral or len(sizes) not in lengths or min(sizes) < 1:
        count = " or ".join(str(n) for n in lengths)
        raise ValueError(f"{name}: expected {count} positive integers, got {value!r}")
    needed = 8 * prod(sizes)
    if needed > MOST_BYTES:
        raise ValueError(
            f"{name}: expected sizes of at most {MOST_BYTES / 2**30:g} GiB in float64, got "
            f"{sizes}, which take {needed / 2**30:.3g} GiB"
        )
    return sizes


def expect_count(name: str, value: float, *, least: int = 1, most: float = np.inf) -> int:
    """Return `value` as an integer from `least` to `most`.

    Parameters
    ----------
    name : str
        The argument's name, as the caller knows it.
    value : int
        What came.
    least, most : int

    Returns
    -------
    count : int

    Raises
    ------
    ValueError
        It is not whole, or out of bounds.

    Examples
    --------
    >>> expect_count("stride", 2.0)
    2
    """
    try:
        count, integral = int(value), int(value) == value
    except (TypeError, ValueError, OverflowError):
        count, integral = least, False
    if not integral or not least <= count <= most:
        end = "on" if most == np.inf else f"to {most}"
        raise ValueError(f"{name}: expected an integer from {least} {end}, got {value!r}")
    return count


def expect_number(
    name: str,
    value: float,
    *,
    least: float = -np.inf,
    above: float = -np.inf,
    below: float = np.inf,
) -> float:
    """Return `value` as a finite number between the bounds.

    Parameters
    ----------
    name : str
        The argument's name, as the caller knows it.
    value : float
        What came.
    least, above, below : float
        The number is at least the first, and truly above and below the others.

    Returns
    -------
    number : float

    Raises
    ------
    ValueError
        It is no number, not finite, or out of bounds.

    Examples
    --------
    >>> expect_number("momentum", float("nan"), least=0, below=1)
    Traceback (most recent call last):
        ...
    ValueError: momentum: expected a finite number from 0 on and below 1, got nan
    """
    try:
        number = np.nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not (np.isfinite(number) and number >= least and above < number < below):
        bounds = [
            *([f"from {least:g} on"] if least > -np.inf else []),
            *([f"above {above:g}"] if above > -np.inf else []),
            *([f"below {below:g}"] if below < np.inf else []),
        ]
        expected = " ".join(["a finite number", " and ".join(bounds)]).rstrip()
        raise ValueError(f"{name}: expected {expected}, got {value!r}")
    return number


def expect_flag(name: str, value: bool) -> bool:
    """Return `value`, which is True or False, and not a text that would count as True.

    Parameters
    ----------
    name : str
        The argument's name, as the caller knows it.
    value : bool
        What came.

    Returns
    -------
    flag : bool

    Raises
    ------
    TypeError
        It is something else.

    Examples
    --------
    >>> expect_flag("align_corners", "False")
    Traceback (most recent call last):
        ...
    TypeError: align_corners: expected True or False, got 'False'
    """
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
    return bool(value)


def expect_dtype(name: str, value: DTypeLike) -> np.dtype[Any]:
    """Return `value` as the dtype of parameters and grids: float32 or float64.

    Parameters
    ----------
    name : str
        The argument's name, as the caller knows it.
    value : dtype
        What came.

    Returns
    -------
    dtype : numpy.dtype

    Raises
    ------
    TypeError
        It is another one, or none.

    Examples
    --------
    >>> expect_dtype("dtype", int)
    Traceback (most recent call last):
        ...
    TypeError: dtype: expected float32 or float64, got int64
    """
    try:
        dtype = np.dtype(value)
    except TypeError:
        raise TypeError(f"{name}: expected float32 or float64, got {value!r}") from None
    if dtype not in DTYPES or dtype.kind == "c":
        raise TypeError(f"{name}: expected float32 or float64, got {dtype}")
    return dtype


def expect_generator(name: str, value: np.random.Generator) -> np.random.Generator:
    """Return `value`, which is a source of randomness and no seed.

    Parameters
    ----------
    name : str
        The argument's name, as the caller knows it.
    value : numpy.random.Generator
        What came.

    Returns
    -------
    rng : numpy.random.Generator

    Raises
    ------
    TypeError
        It is something else.

    Examples
    --------
    >>> expect_generator("rng", 0)
    Traceback (most recent call last):
        ...
    TypeError: rng: expected a numpy.random.Generator, got 0; make one by numpy.random.default_rng
    """
    if not isinstance(value, np.random.Generator):
        raise TypeError(
            f"{name}: expected a numpy.random.Generator, got {value!r}; make one by "
            "numpy.random.default_rng"
        )
    return value


def expect_cache(value: object, kind: type[T], forward: str) -> T:
    """Return `value`, which is the cache that a forward made.

    Parameters
    ----------
    value : object
        What came.
    kind : type
        The class of the forward's cache.
    forward : str
        The forward's name.

    Returns
    -------
    cache : kind

    Raises
    ------
    TypeError
        It is something else, such as another forward's cache.

    Examples
    --------
    >>> expect_cache(None, tuple, "relu_forward")
    Traceback (most recent call last):
        ...
    TypeError: cache: expected the tuple that relu_forward returned, got NoneType
    """
    if not isinstance(value, kind):
        raise TypeError(
            f"cache: expected the {kind.__name__} that {forward} returned, "
            f"got {type(value).__name__}"
        )
    return value


def expect_arrays(name: str, value: Mapping[str, ArrayLike]) -> Mapping[str, Array]:
    """Return `value` as a mapping from names to arrays of a supported dtype.

    Parameters
    ----------
    name : str
        The argument's name, as the caller knows it.
    value : mapping of str to array
        What came.

    Returns
    -------
    arrays : mapping of str to array

    Raises
    ------
    TypeError
        It is no mapping, or a dtype is not supported.

    Examples
    --------
    >>> expect_arrays("params", [1.0])
    Traceback (most recent call last):
        ...
    TypeError: params: expected a mapping from names to arrays, got list
    """
    if not isinstance(value, Mapping):
        got = type(value).__name__
        raise TypeError(f"{name}: expected a mapping from names to arrays, got {got}")
    return {key: expect_array(f"{name}[{key!r}]", array) for key, array in value.items()}


def expect_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Raise ValueError unless `value` is one of `choices`.

    Parameters
    ----------
    name : str
        The argument's name, as the caller knows it.
    value : object
        What came.
    choices : iterable

    Raises
    ------
    ValueError
        `value` is none of them.

    Examples
    --------
    >>> expect_choice("mode", "lanczos", ["nearest", "bilinear"])
    Traceback (most recent call last):
        ...
    ValueError: mode: expected one of 'nearest', 'bilinear', got 'lanczos'
    """
    choices = tuple(choices)
    if value not in choices:
        expected = ", ".join(repr(c) for c in choices)
        raise ValueError(f"{name}: expected one of {expected}, got {value!r}")


def expect_needs(needs: Iterable[str], inputs: Iterable[str]) -> None:
    """Raise ValueError unless `needs` names only differentiable `inputs`.

    Parameters
    ----------
    needs : iterable of str
        The gradients that a caller of a backward asks for.
    inputs : iterable of str

    Raises
    ------
    ValueError
        One is none of the inputs.

    Examples
    --------
    >>> expect_needs(["U"], ["U", "points"])
    """
    inputs = tuple(inputs)
    for need in needs:
        expect_choice("needs", need, inputs)


def expect_labels(name: str, value: ArrayLike, size: int, classes: int) -> NDArray[np.intp]:
    """Return `value` as `size` integer labels in ``[0, classes)``.

    Parameters
    ----------
    name : str
        The argument's name, as the caller knows it.
    value : array_like
        What came.
    size, classes : int

    Returns
    -------
    labels : intp array, (size,)

    Raises
    ------
    TypeError
        The dtype is not one of integers.
    ValueError
        There are not as many, or one is out of range.

    Examples
    --------
    >>> expect_labels("labels", [2, 0], size=2, classes=3).tolist()
    [2, 0]
    """
    try:
        labels = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name}: expected an array, got rows of unequal length") from None
    if labels.dtype.kind not in "iu" or isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: expected an integer dtype, got {labels.dtype}")
    if labels.shape != (size,):
        raise ValueError(f"{name}: expected shape ({size},), got {labels.shape}")
    bad = (labels < 0) | (labels >= classes)
    if bad.any():
        index = int(np.argmax(bad))
        raise ValueError(
            f"{name}: expected values from 0 to {classes - 1}, got {labels[index]} at index {index}"
        )
    return labels.astype(np.intp)
