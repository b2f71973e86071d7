"""Constraints in front of a transform."""

import importlib

import numpy as np
import pytest

from stnref import SpatialTransformer, check_gradients, get_transform, nn, target_grid
from stnref.transforms import (
    FREE,
    bounded,
    constrain_backward,
    constrain_forward,
    constrain_jvp,
    constrained,
    fixed,
    positive,
)
from tests.signatures import expect_names

MIXED = [bounded(-0.5, 2.0), fixed(0.25), FREE, positive(3.0)]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_values_by_hand() -> None:
    """tanh(log 2) = 3/5: bounded gives -0.5 + 2.5 * 0.8 = 1.5."""
    raw = np.array([[np.log(2), 7.0, np.log(2)]])
    np.testing.assert_allclose(constrain_forward(raw, MIXED)[0], [[1.5, 0.25, 7, 6]], atol=1e-15)


def test_slopes_by_hand() -> None:
    """bounded: 1.25 (1 - 9/25) = 0.8; positive: its own value; the fixed one is dropped."""
    _, cache = constrain_forward(np.array([[np.log(2), 7.0, np.log(2)]]), MIXED)
    draw = constrain_backward(np.array([[10.0, 99.0, 10.0, 10.0]]), cache)
    np.testing.assert_allclose(draw, [[8, 10, 60]], rtol=1e-15)
    np.testing.assert_allclose(constrain_jvp(np.ones((1, 3)), cache), [[0.8, 0, 1, 6]], rtol=1e-15)


def test_gradients(rng: np.random.Generator) -> None:
    report = check_gradients(
        lambda raw: constrain_forward(raw, MIXED),
        constrain_backward,
        [rng.standard_normal((4, 3))],
        jvp=constrain_jvp,
    )
    assert report.ok, str(report)


@pytest.mark.parametrize("raw", [-1e3, -30.0, 0.0, 30.0, 1e3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_hold_wherever_the_raw_parameter_goes(raw: float, dtype: type) -> None:
    params, cache = constrain_forward(np.full((1, 1), raw, dtype), [bounded(-0.25, 1.5)])
    assert -0.25 <= params.item() <= 1.5
    assert np.isfinite(constrain_backward(params, cache)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision_stays(dtype: type) -> None:
    raw = np.ones((2, 3), dtype)
    params, cache = constrain_forward(raw, MIXED)
    draw, params_dot = constrain_backward(params, cache), constrain_jvp(raw, cache)
    assert params.dtype == draw.dtype == params_dot.dtype == dtype


def test_inputs_are_not_changed_and_views_do(rng: np.random.Generator) -> None:
    raw, dparams = rng.standard_normal((2, 3)), rng.standard_normal((2, 4))
    before = raw.copy(), dparams.copy()
    params, cache = constrain_forward(raw, MIXED)
    draw = constrain_backward(dparams, cache)
    np.testing.assert_array_equal(raw, before[0])
    np.testing.assert_array_equal(dparams, before[1])
    view, view_cache = constrain_forward(np.asfortranarray(raw), MIXED)
    np.testing.assert_array_equal(view, params)
    np.testing.assert_array_equal(
        constrain_backward(np.repeat(dparams, 2, axis=0)[::2], view_cache), draw
    )


# ----------------------------------------------------------------------- in front of transforms


def test_attention_with_the_scale_fixed_and_the_translation_learnt() -> None:
    window = constrained(get_transform("attention", (3, 5)), {0: fixed(0.5)})
    grid, cache = window.forward(np.array([[0.25, -0.5]]))
    np.testing.assert_array_equal(grid[0], 0.5 * target_grid((3, 5)) + [0.25, -0.5])
    np.testing.assert_array_equal(window.backward(np.ones_like(grid), cache), [[15, 15]])


@pytest.mark.parametrize(
    ("name", "constraints"),
    [
        ("rigid", {0: bounded(-1, 1.5)}),
        ("similarity", {0: positive(0.5), 1: bounded(-np.pi / 2, np.pi / 2)}),
        ("affine", {k: bounded(-2, 3) for k in range(6)}),
        ("projective", {6: bounded(-0.4, 0.4), 7: bounded(-0.4, 0.4)}),
        ("tps", {0: bounded(-2, 0), 5: fixed(-1.0)}),
    ],
    ids=["rigid", "similarity", "affine", "projective", "tps"],
)
def test_the_raw_identity_gives_the_identity_and_gradients_are_right(
    name: str, constraints: dict, rng: np.random.Generator
) -> None:
    transform = constrained(get_transform(name, (3, 5)), constraints)
    grid, _ = transform.forward(transform.identity[None])
    np.testing.assert_allclose(grid[0], target_grid((3, 5)), atol=1e-12)
    raw = transform.identity + 0.2 * rng.standard_normal((2, transform.n_params))
    report = check_gradients(transform.forward, transform.backward, [raw], jvp=transform.jvp)
    assert report.ok, str(report)


def test_a_fixed_value_that_is_not_the_identitys_holds() -> None:
    zoomed = constrained(get_transform("similarity", (3, 5)), {0: fixed(0.5)})
    np.testing.assert_array_equal(zoomed.identity, [0, 0, 0])
    grid, _ = zoomed.forward(zoomed.identity[None])
    np.testing.assert_array_equal(grid[0], 0.5 * target_grid((3, 5)))


def test_constraints_on_constraints() -> None:
    """What comes out is a transform like others; indices count the raw parameters."""
    window = constrained(get_transform("attention", (3, 5)), {0: fixed(0.5)})
    held = constrained(window, {1: fixed(0.25)})
    grid, _ = held.forward(np.array([[0.75]]))
    np.testing.assert_array_equal(grid[0], 0.5 * target_grid((3, 5)) + [0.75, 0.25])


def test_in_a_spatial_transformer(rng: np.random.Generator) -> None:
    window = constrained(get_transform("attention", (2, 3)), {0: bounded(0.2, 1.2)})
    module = SpatialTransformer(nn.Flatten(), 40, (2, 3), transform=window)
    U, params = rng.standard_normal((2, 4, 5, 2)).astype(np.float32), module.init(rng)
    V, cache = module.forward(U, params)
    assert V.dtype == np.float32
    np.testing.assert_allclose(cache.grid[0], target_grid((2, 3)), atol=1e-6)
    _, dparams = module.backward(V, cache)
    assert dparams["regression.b"].shape == (3,)


BAD = {
    "bounds turned round": (lambda: bounded(2, 1), "high: expected a finite number above 2, got 1"),
    "an infinite bound": (lambda: bounded(-np.inf, 1), "low: expected a finite number, got -inf"),
    "a scale of zero": (lambda: positive(0), "scale: expected a finite number above 0, got 0"),
    "fixed at NaN": (lambda: fixed(np.nan), "value: expected a finite number, got nan"),
    "no such parameter": (
        lambda: constrained(get_transform("rigid", (3, 5)), {3: FREE}),
        "constraints: expected one of 0, 1, 2, got 3",
    ),
    "identity out of bounds": (
        lambda: constrained(get_transform("attention", (3, 5)), {0: bounded(0.2, 0.9)}),
        r"constraints\[0\]: expected the identity's 1.0 within, got bounded\(0.2, 0.9\)",
    ),
    "identity on a bound": (
        lambda: constrained(get_transform("attention", (3, 5)), {0: bounded(0.2, 1)}),
        r"constraints\[0\]: expected the identity's 1.0 within, got bounded\(0.2, 1.0\)",
    ),
    "identity not positive": (
        lambda: constrained(get_transform("rigid", (3, 5)), {1: positive()}),
        r"constraints\[1\]: expected the identity's 0.0 within, got positive\(1.0\)",
    ),
    "all fixed": (
        lambda: constrained(get_transform("translation", (3, 5)), {0: fixed(0), 1: fixed(0)}),
        "constraints: expected at least one that is not fixed, got none",
    ),
    "no constraint": (
        lambda: constrained(get_transform("rigid", (3, 5)), {0: None}),  # type: ignore[dict-item]
        r"constraints\[0\]: expected fixed, bounded or positive, got None",
    ),
    "a raw parameter too many": (
        lambda: constrain_forward(np.ones((2, 4)), MIXED),
        r"raw: expected shape \(B, 3\), got \(2, 4\)",
    ),
    "gradient": (
        lambda: constrain_backward(np.ones((2, 3)), constrain_forward(np.ones((2, 3)), MIXED)[1]),
        r"dparams: expected shape \(2, 4\), got \(2, 3\)",
    ),
    "tangent": (
        lambda: constrain_jvp(np.ones((2, 4)), constrain_forward(np.ones((2, 3)), MIXED)[1]),
        r"raw_dot: expected shape \(2, 3\), got \(2, 4\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    call, expected = BAD[case]
    with pytest.raises((TypeError, ValueError), match=expected):
        call()


@pytest.mark.parametrize("value", [-0.6, -0.5, 2.0, 2.1, np.inf, -np.inf])
def test_what_is_out_of_bounds_has_no_raw_value(value: float) -> None:
    assert np.isnan(bounded(-0.5, 2.0).raw(value))


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.transforms.constrain"))
