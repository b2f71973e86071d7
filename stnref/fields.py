r"""Displacement fields: compose two, invert one, integrate a velocity.

A flow u, as `flow_grid_forward` takes it, is the map phi_u(x) = x + u(x), *target to source*, in
normalised coordinates. Between its pixels it is interpolated linearly; beyond the border it goes on
with the displacement of the nearest pixel (padding "border"), for zeros would tear the map there.

.. math::
    \phi_w = \phi_u \circ \phi_v, \qquad \phi_u \circ \phi_v = 1, \qquad
    \phi = \exp(v) = \left(1 + v / 2^n\right)^{2^n}

Everything goes through `grid_sample_forward` and its derivatives. Derivation:
``docs/derivations/fields.md``, equations F1 to F11.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stnref.coordinates import target_grid
from stnref.sampler import (
    GridSampleCache,
    grid_sample_backward,
    grid_sample_forward,
    grid_sample_jvp,
)
from stnref.transforms.flow import flow_grid_forward
from stnref.validation import (
    AXES,
    Array,
    expect_array,
    expect_cache,
    expect_count,
    expect_finite,
    expect_number,
)

FLOWS = (("B", "H", "W", 2), ("B", "D", "H", "W", 3))
"""Shapes of flows and of velocities: of pictures, of volumes."""

ROUND_OFF = 100
"""A residual of so many eps is round-off."""


# ---------------------------------------------------------------------------------- compose


def compose_flows_forward(
    outer: ArrayLike, inner: ArrayLike, *, align_corners: bool = True
) -> tuple[Array, GridSampleCache]:
    """w(x) = v(x) + u(x + v(x)), u the outer flow and v the inner: a point meets v first (F1).

    Parameters
    ----------
    outer : (B, H, W, 2) or (B, D, H, W, 3)
        The flow u, normalised displacements (x, y) or (x, y, z). It is sampled.
    inner : (B, H', W', 2) or (B, D', H', W', 3)
        The flow v, on the target grid of its own size.
    align_corners : bool
        Corner rule of both, see `target_grid`.

    Returns
    -------
    flow : as `inner`
        The order is that of `compose` for matrices, and the *pictures* come in the other one: to
        sample with the result is to sample with `outer`, and then that picture with `inner`.
    cache : GridSampleCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, or a displacement of `inner` is not finite.

    Examples
    --------
    >>> right, grow = np.full((1, 1, 3, 2), [0.5, 0.0]), np.zeros((1, 1, 3, 2))
    >>> grow[..., 0] = -0.5, 0, 0.5
    >>> compose_flows_forward(grow, right)[0][0, 0, :, 0].tolist()  # at the end it goes on as 0.5
    [0.25, 0.75, 1.0]
    >>> compose_flows_forward(right, grow)[0][0, 0, :, 0].tolist()
    [0.0, 0.5, 1.0]
    """
    outer = expect_array("outer", outer, *FLOWS)
    d = outer.shape[-1]
    inner = expect_array("inner", inner, (len(outer), *AXES[d], d))
    expect_finite("inner", inner)
    G = target_grid(inner.shape[1:-1], align_corners=align_corners)
    grid, _ = flow_grid_forward(inner, G)
    sampled, cache = grid_sample_forward(
        outer, grid, padding_mode="border", align_corners=align_corners
    )
    return inner + sampled, cache  # F1


def compose_flows_backward(dflow: ArrayLike, cache: GridSampleCache) -> tuple[Array, Array]:
    """d_outer = S^T dw, d_inner = dw + J^T dw with J the slope of u at x + v(x) (F3).

    dflow : shape of inner -> d_outer : shape of outer, d_inner : shape of inner. dtype:
    result_type of all. At a whole pixel the slope is the right one, as the sampler's.
    Raises ValueError if dflow does not have the shape of inner, TypeError on its dtype.

    >>> flow = np.array([-0.5, 0, 0, 0, 0.5, 0]).reshape(1, 1, 3, 2)
    >>> _, cache = compose_flows_forward(flow, np.full((1, 1, 3, 2), [0.25, 0.0]))
    >>> d_outer, d_inner = compose_flows_backward(np.full((1, 1, 3, 2), [1.0, 0.0]), cache)
    >>> d_outer[0, 0, :, 0].tolist(), d_inner[0, 0, :, 0].tolist()
    ([0.75, 1.0, 1.25], [1.5, 1.5, 1.0])
    """
    cache = expect_cache(cache, GridSampleCache, "compose_flows_forward")
    dflow = expect_array("dflow", dflow, cache.sample.V_shape)
    d_outer, dgrid = grid_sample_backward(dflow, cache)
    assert d_outer is not None
    return d_outer, dflow + dgrid  # F3


def compose_flows_jvp(
    outer_dot: ArrayLike | None, inner_dot: ArrayLike | None, cache: GridSampleCache
) -> Array:
    """w_dot = v_dot + S u_dot + J v_dot (F2); a tangent None is zero.

    outer_dot : shape of outer, inner_dot : shape of inner, or None -> flow_dot : shape of inner.
    dtype: result_type of all.
    Raises ValueError if a tangent does not have the shape of its input, TypeError on its dtype.

    >>> flow = np.array([-0.5, 0, 0, 0, 0.5, 0]).reshape(1, 1, 3, 2)
    >>> _, cache = compose_flows_forward(flow, np.full((1, 1, 3, 2), [0.25, 0.0]))
    >>> compose_flows_jvp(flow, None, cache)[0, 0, :, 0].tolist()
    [-0.375, 0.125, 0.5]
    """
    cache = expect_cache(cache, GridSampleCache, "compose_flows_forward")
    if inner_dot is None:
        return grid_sample_jvp(outer_dot, None, cache)  # F2
    inner_dot = expect_array("inner_dot", inner_dot, cache.sample.points_shape)
    return inner_dot + grid_sample_jvp(outer_dot, inner_dot, cache)  # F2


# ----------------------------------------------------------------------------------- invert


class InvertFlowCache(NamedTuple):
    """What the derivative of the inverse wants, and how well it was found."""

    sampled: GridSampleCache
    """The flow u, and S at the points x + v(x)."""
    slope: Array
    """1 + J, J the slope of u there: (B, H, W, 2, 2) or (B, D, H, W, 3, 3)."""
    residual: Array
    """v(x) + u(x + v(x)), normalised, in the shape of the flow: zero where v is the inverse."""


def invert_flow_forward(
    flow: ArrayLike, *, iterations: int = 50, tol: float = 1e-5, align_corners: bool = True
) -> tuple[Array, InvertFlowCache]:
    """Find v with v(x) + u(x + v(x)) = 0: the flow u after v leaves every pixel in place (F4).

    Parameters
    ----------
    flow : (B, H, W, 2) or (B, D, H, W, 3)
        The flow u, normalised displacements.
    iterations : int
        The most that are made. They end when the residual is round-off, after five or so.
    tol : float
        The largest residual that is accepted, normalised. ``numpy.inf`` accepts each: then see
        the cache's `residual` for where there is no inverse.
    align_corners : bool
        Corner rule, see `target_grid`.

    Returns
    -------
    inverse : as `flow`
        The flow v, source to target. It is exact at the pixels; between them it is interpolated,
        so that `inverse` after `flow` is zero only up to that.
    cache : InvertFlowCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, a displacement is not finite, or the residual is larger
        than `tol`: the flow folds, or stretches by so much that the iteration leaps about.

    Notes
    -----
    Two steps are tried: v - r, the fixed point's (F5), and v - (1 + J)^-1 r, Newton's (F6), with r
    the residual. Each pixel takes the one that leaves less. So r shrinks at least by the factor
    |J| where that is below 1, and often where it is not; in the end every step is Newton's.

    Examples
    --------
    >>> grow = np.array([-0.5, 0, 0, 0, 0.5, 0]).reshape(1, 1, 3, 2)  # x + u(x) = 1.5 x
    >>> invert_flow_forward(grow)[0][0, 0, :, 0].round(4).tolist()
    [0.3333, 0.0, -0.3333]
    """
    flow = expect_array("flow", flow, *FLOWS)
    expect_finite("flow", flow)
    if tol != np.inf:
        tol = expect_number("tol", tol, least=0)
    round_off = ROUND_OFF * np.finfo(flow.dtype).eps

    def at(v: Array) -> tuple[Array, Array, GridSampleCache]:
        residual, sampled = compose_flows_forward(flow, v, align_corners=align_corners)  # F4
        return residual, np.abs(residual.real).max(axis=-1, keepdims=True), sampled

    v = np.zeros_like(flow)
    r, size, sampled = at(v)
    for _ in range(expect_count("iterations", iterations, most=10_000)):
        settled = size.max(initial=0) <= round_off
        plain, newton = v - r, v - _solve(_slope(sampled), r)  # F5, F6
        v = np.where(at(newton)[1] <= at(plain)[1] + round_off, newton, plain)
        r, size, sampled = at(v)
        if settled:  # the step after that is for a complex step: it lags behind by one
            break
    if not size.max(initial=0) <= tol:
        b, *pixel = (int(i) for i in np.unravel_index(size.argmax(), size.shape[:-1]))
        raise ValueError(
            f"flow: expected one that is inverted in {iterations} iterations, got the residual "
            f"{size.max():.1e} at pixel {tuple(pixel)} of sample {b}"
        )
    return v, InvertFlowCache(sampled, _slope(sampled), r)


def invert_flow_backward(dinverse: ArrayLike, cache: InvertFlowCache) -> Array:
    """d_flow = -S^T (1 + J)^-T dv: by the implicit function theorem, pixel by pixel (F8).

    dinverse : shape of flow -> dflow : shape of flow. dtype: result_type of both.
    Raises ValueError if dinverse does not have the shape of flow, TypeError on its dtype.

    >>> grow = np.array([-0.5, 0, 0, 0, 0.5, 0]).reshape(1, 1, 3, 2)
    >>> _, cache = invert_flow_forward(grow)
    >>> dv = np.array([0, 0, 0, 0, 1.0, 0]).reshape(1, 1, 3, 2)  # v(1) is read at 1 - 1/3
    >>> invert_flow_backward(dv, cache)[0, 0, :, 0].round(4).tolist()
    [0.0, -0.2222, -0.4444]
    """
    cache = expect_cache(cache, InvertFlowCache, "invert_flow_forward")
    dinverse = expect_array("dinverse", dinverse, cache.residual.shape)
    adjoint = _solve(cache.slope.swapaxes(-1, -2), dinverse)  # F8
    dflow, _ = grid_sample_backward(-adjoint, cache.sampled, needs=["U"])  # F8
    assert dflow is not None
    return dflow


def invert_flow_jvp(flow_dot: ArrayLike, cache: InvertFlowCache) -> Array:
    """v_dot = -(1 + J)^-1 S u_dot, the derivative of v + u(x + v) = 0 (F7).

    flow_dot : shape of flow -> inverse_dot : shape of flow. dtype: result_type of both.
    Raises ValueError if flow_dot does not have the shape of flow, TypeError on its dtype.

    >>> grow = np.array([-0.5, 0, 0, 0, 0.5, 0]).reshape(1, 1, 3, 2)
    >>> _, cache = invert_flow_forward(grow)
    >>> invert_flow_jvp(grow, cache)[0, 0, :, 0].round(4).tolist()
    [0.2222, -0.0, -0.2222]
    """
    cache = expect_cache(cache, InvertFlowCache, "invert_flow_forward")
    flow_dot = expect_array("flow_dot", flow_dot, cache.residual.shape)
    return -_solve(cache.slope, grid_sample_jvp(flow_dot, None, cache.sampled))  # F7


def _slope(sampled: GridSampleCache) -> Array:
    """Return 1 + J, J = du/dx at the sampled points (F2), or 1 where that is singular."""
    shape = sampled.sample.points_shape
    one = np.eye(shape[-1], dtype=sampled.slope.dtype)
    columns = [grid_sample_jvp(None, np.broadcast_to(e, shape), sampled) for e in one]  # F2
    slope = one + np.stack(columns, axis=-1)  # (B, H, W, d, d)
    singular = np.abs(np.linalg.det(slope.real)) < np.finfo(slope.dtype).eps
    return np.where(singular[..., None, None], one, slope)


def _solve(matrix: Array, vector: Array) -> Array:
    """Solve a small system at each pixel."""
    return np.linalg.solve(matrix, vector[..., None])[..., 0]


# -------------------------------------------------------------------------------- integrate


class IntegrateVelocityCache(NamedTuple):
    """The shape of the velocity, and the compositions of the flow with itself."""

    shape: tuple[int, ...]
    squarings: list[GridSampleCache]


def integrate_velocity_forward(
    velocity: ArrayLike, *, steps: int = 7, align_corners: bool = True
) -> tuple[Array, IntegrateVelocityCache]:
    """exp(v), where the velocity v leads in one unit of time, by scaling and squaring (F9).

    Parameters
    ----------
    velocity : (B, H, W, 2) or (B, D, H, W, 3)
        A stationary velocity, normalised displacements per unit of time.
    steps : int
        How often the flow is squared: 2^steps steps of Euler's method. The error halves with
        each more; 7 is usual.
    align_corners : bool
        Corner rule, see `target_grid`.

    Returns
    -------
    flow : as `velocity`
        exp(v)(x) - x. The inverse is about the flow of -v.
    cache : IntegrateVelocityCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, a velocity is not finite, or `steps` is negative.

    Examples
    --------
    >>> shrink = np.array([0.5, 0, 0, 0, -0.5, 0]).reshape(1, 1, 3, 2)  # dx/dt = -x / 2
    >>> flow, _ = integrate_velocity_forward(shrink, steps=12)
    >>> flow[0, 0, :, 0].round(4).tolist()  # exp(-1/2) - 1 = -0.3935
    [0.3935, 0.0, -0.3935]
    """
    velocity = expect_array("velocity", velocity, *FLOWS)
    expect_finite("velocity", velocity)
    steps = expect_count("steps", steps, least=0, most=50)
    flow, squarings = velocity / 2**steps, []  # F9
    for _ in range(steps):
        flow, cache = compose_flows_forward(flow, flow, align_corners=align_corners)  # F9
        squarings.append(cache)
    return flow, IntegrateVelocityCache(velocity.shape, squarings)


def integrate_velocity_backward(dflow: ArrayLike, cache: IntegrateVelocityCache) -> Array:
    """dv = du_0 / 2^n, du_k-1 = d_outer + d_inner of the k-th squaring: u stands twice (F11).

    dflow : shape of velocity -> dvelocity : shape of velocity. dtype: result_type of both.
    Raises ValueError if dflow does not have the shape of velocity, TypeError on its dtype.

    >>> shrink = np.array([0.5, 0, 0, 0, -0.5, 0]).reshape(1, 1, 3, 2)
    >>> flow, cache = integrate_velocity_forward(shrink, steps=1)
    >>> dflow = np.array([0, 0, 0, 0, 1.0, 0]).reshape(1, 1, 3, 2)
    >>> integrate_velocity_backward(dflow, cache)[0, 0, :, 0].tolist()
    [0.0, 0.125, 0.75]
    """
    cache = expect_cache(cache, IntegrateVelocityCache, "integrate_velocity_forward")
    dflow = expect_array("dflow", dflow, cache.shape)
    for squaring in reversed(cache.squarings):
        d_outer, d_inner = compose_flows_backward(dflow, squaring)
        dflow = d_outer + d_inner  # F11
    return dflow / 2 ** len(cache.squarings)  # F11


def integrate_velocity_jvp(velocity_dot: ArrayLike, cache: IntegrateVelocityCache) -> Array:
    """u_0_dot = v_dot / 2^n, then each squaring's jvp with that tangent for both its flows (F10).

    velocity_dot : shape of velocity -> flow_dot : shape of velocity. dtype: result_type of both.
    Raises ValueError if velocity_dot does not have the shape of velocity, TypeError on its dtype.

    >>> shrink = np.array([0.5, 0, 0, 0, -0.5, 0]).reshape(1, 1, 3, 2)
    >>> flow, cache = integrate_velocity_forward(shrink, steps=1)
    >>> integrate_velocity_jvp(shrink, cache)[0, 0, :, 0].tolist()  # d/ds (1 - s/4)^2 at s = 1
    [0.375, 0.0, -0.375]
    """
    cache = expect_cache(cache, IntegrateVelocityCache, "integrate_velocity_forward")
    flow_dot = expect_array("velocity_dot", velocity_dot, cache.shape)
    flow_dot = flow_dot / 2 ** len(cache.squarings)  # F10
    for squaring in cache.squarings:
        flow_dot = compose_flows_jvp(flow_dot, flow_dot, squaring)  # F10
    return flow_dot
