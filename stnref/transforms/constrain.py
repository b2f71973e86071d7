r"""Constraints on parameters: what a net predicts is *raw*, what a transform takes is bounded.

For each parameter p a constraint says how it comes from a raw number z on the whole line:

====================  ====================================  =====================
`FREE`                p = z                                 dp/dz = 1
`bounded(low, high)`  p = low + (high - low)(1 + tanh z)/2  (high - low)/2 / cosh^2 z
`positive(scale)`     p = scale e^z                         p
`fixed(value)`        p = value, without a z
====================  ====================================  =====================

`constrained` puts them in front of a transform of the registry. Derivation:
``docs/derivations/transforms.md``, equations T25 to T27.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from stnref.pairs import Pair, pair_of
from stnref.transforms.registry import Transform, chain
from stnref.validation import Array, expect_array, expect_cache, expect_choice, expect_number


class Learnt(NamedTuple):
    """A parameter that is learnt, through a raw one.

    Attributes
    ----------
    text : str
        The constraint in words.
    value, slope : callable
        The parameter and its derivative, from an array of raw values.
    raw : callable
        The inverse of `value`, NaN or infinite where there is none.
    """

    text: str
    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    raw: Callable[[float], float]


class Fixed(NamedTuple):
    """A parameter that is not learnt."""

    value: float


Constraint: TypeAlias = Learnt | Fixed

FREE = Learnt("free", value=lambda r: r, slope=np.ones_like, raw=lambda p: p)
"""The parameter is the raw one."""


def fixed(value: float) -> Constraint:
    """p = value: the parameter is held there; the raw parameters do not have it (T25).

    Parameters
    ----------
    value : float
        In the unit of the parameter.

    Returns
    -------
    Constraint

    Raises
    ------
    ValueError
        `value` is not finite.

    Examples
    --------
    >>> constrain_forward(np.array([[3.0, 4.0]]), [FREE, fixed(0.5), FREE])[0].tolist()
    [[3.0, 0.5, 4.0]]
    """
    return Fixed(expect_number("value", value))


def bounded(low: float, high: float) -> Constraint:
    """p = low + (high - low)(1 + tanh r) / 2: between two bounds; raw 0 is the middle (T25).

    Parameters
    ----------
    low, high : float
        In the unit of the parameter.

    Returns
    -------
    Constraint

    Raises
    ------
    ValueError
        The bounds are not finite, or `high` is not above `low`.

    Examples
    --------
    >>> constrain_forward(np.array([[0.0], [100.0]]), [bounded(0, 3)])[0].tolist()
    [[1.5], [3.0]]
    """
    low = expect_number("low", low)
    high = expect_number("high", high, above=low)
    half = (high - low) / 2
    return Learnt(
        f"bounded({low}, {high})",
        value=lambda r: low + half * (1 + np.tanh(r)),  # T25
        slope=lambda r: half * (1 - np.tanh(r) ** 2),  # T25
        raw=lambda p: float(np.arctanh((p - low) / half - 1)) if low < p < high else np.nan,  # T27
    )


def positive(scale: float = 1.0) -> Constraint:
    """p = scale e^r: above 0; raw 0 is `scale` (T25).

    Parameters
    ----------
    scale : float
        In the unit of the parameter.

    Returns
    -------
    Constraint

    Raises
    ------
    ValueError
        `scale` is not finite and above 0.

    Examples
    --------
    >>> constrain_forward(np.array([[0.0], [np.log(2)]]), [positive(0.5)])[0].tolist()
    [[0.5], [1.0]]
    """
    scale = expect_number("scale", scale, above=0)
    return Learnt(
        f"positive({scale})",
        value=lambda r: scale * np.exp(r),  # T25
        slope=lambda r: scale * np.exp(r),  # T25
        raw=lambda p: float(np.log(p / scale)) if p > 0 else np.nan,  # T27
    )


class ConstrainCache(NamedTuple):
    """The slope of each learnt parameter, and which ones these are."""

    slope: Array  # (B, number of raw parameters)
    learnt: tuple[int, ...]
    n_params: int


def constrain_forward(
    raw: ArrayLike, constraints: Sequence[Constraint]
) -> tuple[Array, ConstrainCache]:
    """params_k = p_k(raw_k), by the constraint of each parameter (T25).

    Parameters
    ----------
    raw : (B, number of constraints that are not fixed)
    constraints : sequence of constraints
        One for each parameter.

    Returns
    -------
    params : (B, number of constraints)
        In raw's dtype.
    cache : ConstrainCache

    Raises
    ------
    TypeError, ValueError
        The dtype or the shape of `raw` does not fit, or all parameters are fixed.

    Examples
    --------
    >>> constraints = [positive(), fixed(0.25), bounded(-1, 1)]
    >>> constrain_forward(np.zeros((1, 2)), constraints)[0].tolist()
    [[1.0, 0.25, 0.0]]
    """
    learnt = _learnt(constraints)
    raw = expect_array("raw", raw, ("B", len(learnt)))
    params = np.empty((len(raw), len(constraints)), raw.dtype)
    slope = np.empty_like(raw)
    columns = iter(range(len(learnt)))
    for k, constraint in enumerate(constraints):
        if isinstance(constraint, Fixed):
            params[:, k] = constraint.value
        else:
            column = next(columns)
            params[:, k] = constraint.value(raw[:, column])
            slope[:, column] = constraint.slope(raw[:, column])
    return params, ConstrainCache(slope, learnt, len(constraints))


def constrain_backward(dparams: ArrayLike, cache: ConstrainCache) -> Array:
    """draw = dparams dp/dr; the gradients to fixed parameters are dropped (T26).

    dparams : shape of params -> draw : shape of raw. dtype: result_type of both.
    Raises ValueError if dparams does not have the shape of params, TypeError on its dtype.

    >>> params, cache = constrain_forward(np.zeros((1, 2)), [positive(2), fixed(7), FREE])
    >>> constrain_backward(np.array([[10.0, 20.0, 30.0]]), cache).tolist()
    [[20.0, 30.0]]
    """
    slope, learnt, n_params = expect_cache(cache, ConstrainCache, "constrain_forward")
    dparams = expect_array("dparams", dparams, (len(slope), n_params))
    return dparams[:, learnt] * slope  # T26


def constrain_jvp(raw_dot: ArrayLike, cache: ConstrainCache) -> Array:
    """params_dot = raw_dot dp/dr, and 0 for fixed parameters (T25).

    raw_dot : shape of raw -> params_dot : shape of params. dtype: result_type of both.
    Raises ValueError if raw_dot does not have the shape of raw, TypeError on its dtype.

    >>> params, cache = constrain_forward(np.zeros((1, 2)), [positive(2), fixed(7), FREE])
    >>> constrain_jvp(np.array([[10.0, 30.0]]), cache).tolist()
    [[20.0, 0.0, 30.0]]
    """
    slope, learnt, n_params = expect_cache(cache, ConstrainCache, "constrain_forward")
    learnt_dot = expect_array("raw_dot", raw_dot, slope.shape) * slope  # T25
    params_dot = np.zeros((len(slope), n_params), learnt_dot.dtype)
    params_dot[:, learnt] = learnt_dot
    return params_dot


def constrained(transform: Transform, constraints: Mapping[int, Constraint]) -> Transform:
    """Put constraints in front of a transform: the net then predicts the raw parameters.

    Parameters
    ----------
    transform : Transform
    constraints : mapping
        From the index of a parameter to its constraint; the others are free.

    Returns
    -------
    Transform
        Its `identity` is the raw parameters at which the learnt ones are those of the
        transform's identity; a fixed one holds its value, whatever the identity has there.

    Raises
    ------
    ValueError
        There is no parameter of an index, all are fixed, or the identity's parameter lies
        outside of its bounds.

    Examples
    --------
    Attention with the scale fixed, the translation learnt:

    >>> from stnref.transforms.registry import get_transform
    >>> window = constrained(get_transform("attention", (4, 5)), {0: fixed(0.5)})
    >>> window.n_params, window.identity.tolist()
    (2, [0.0, 0.0])
    >>> window.forward(np.array([[0.25, 0.0]]))[0][0, 0, 0].tolist()
    [-0.25, -0.5]
    """
    if not isinstance(transform, Transform):
        raise TypeError(f"transform: expected a Transform, got {transform!r}")
    if not isinstance(constraints, Mapping):
        raise TypeError(f"constraints: expected a mapping from indices, got {constraints!r}")
    n = transform.n_params
    for index in constraints:
        expect_choice("constraints", index, range(n))
    each = [constraints.get(k, FREE) for k in range(n)]
    identity = [_raw(k, each[k], float(transform.identity[k])) for k in _learnt(each)]
    return chain(
        identity,
        pair_of(globals(), "constrain", constraints=each),
        Pair(transform.forward, transform.backward, transform.jvp),
    )


def _raw(k: int, constraint: Constraint, value: float) -> float:
    """Return the raw parameter at which parameter k is `value`."""
    assert isinstance(constraint, Learnt)
    raw = constraint.raw(value)
    if not np.isfinite(raw):
        raise ValueError(
            f"constraints[{k}]: expected the identity's {value} within, got {constraint.text}"
        )
    return raw


def _learnt(constraints: Sequence[Constraint]) -> tuple[int, ...]:
    """Return the indices of the parameters that are not fixed."""
    if not isinstance(constraints, Sequence):
        raise TypeError(f"constraints: expected one for each parameter, got {constraints!r}")
    for k, c in enumerate(constraints):
        if not isinstance(c, (Fixed, Learnt)):
            raise TypeError(f"constraints[{k}]: expected fixed, bounded or positive, got {c!r}")
    learnt = tuple(k for k, c in enumerate(constraints) if not isinstance(c, Fixed))
    if not learnt:
        raise ValueError("constraints: expected at least one that is not fixed, got none")
    return learnt
