"""Every public function with valid and with invalid arguments.

Valid ones give what the docstring says: shapes, dtypes, finite numbers, the same from any memory
layout, with nothing written into. Invalid ones raise the one form of error: ``name: expected …``.
How many seeds there are is set by FUZZ, for each function; `make fuzz` sets more.
"""

import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.fuzz.draw import EXEMPT, FUNCTIONS, Draw, mutations

SEEDS = range(int(os.environ.get("FUZZ", 2)))
SCALE = 100
"""No number that comes out is much larger; sums may add in another order."""
ONE_FORM = re.compile(r"[\w '\"\[\].,-]+: expected .+", re.DOTALL)


def _arrays(result: Any) -> list[np.ndarray]:
    """Return the arrays of a result; caches and records are left alone."""
    results = result if type(result) is tuple else (result,)
    return [array for array in results if isinstance(array, np.ndarray)]


def _other_layout(value: Any) -> Any:
    """The same numbers with strides the other way round, and gaps between them."""
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return value
    wide = np.zeros((2 * value.shape[-1] + 1, *value.shape[:-1]), value.dtype)
    view = np.moveaxis(wide[1::2], 0, -1)[..., : value.shape[-1]]
    view[...] = value
    return view


def test_few_functions_are_exempt() -> None:
    assert len(EXEMPT) <= 5
    assert len(FUNCTIONS) > 100


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_valid_arguments(name: str, seed: int) -> None:
    draw = Draw(name, seed)
    arguments = draw.arguments()
    for value in arguments.values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    result = FUNCTIONS[name](**arguments)
    for array in _arrays(result):
        if array.dtype.kind == "f":
            assert np.isfinite(array).all()
    if name.endswith(("_forward", "_backward", "_jvp")):
        for array in _arrays(result):
            assert array.dtype == draw.dtype
    if name.endswith("_forward") or "rng" in arguments:
        return  # a cache holds references, a generator goes on
    again = FUNCTIONS[name](**{key: _other_layout(value) for key, value in arguments.items()})
    for one, other in zip(_arrays(result), _arrays(again), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=8 * np.finfo(one.dtype).eps * SCALE)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_invalid_arguments(name: str, seed: int) -> None:
    valid = Draw(name, seed).arguments()
    escaped = []
    for key, value in valid.items():
        for what, wrong in mutations(value):
            error = _error_of(FUNCTIONS[name], {**valid, key: wrong})
            if not (error is None or _of_the_one_form(error)):
                escaped.append(f"{key} = {what}: {error!r}")
    assert not escaped, "\n".join(escaped)


def _error_of(function: Callable[..., Any], arguments: dict[str, Any]) -> Exception | None:
    try:
        with np.errstate(all="ignore"):
            function(**arguments)
    except Exception as error:
        return error
    return None


def _of_the_one_form(error: Exception) -> bool:
    known = isinstance(error, (TypeError, ValueError, KeyError))
    return known and ONE_FORM.match(str(error.args[0])) is not None
