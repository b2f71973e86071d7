"""The zoo's own tests: correct where it claims to be, and truly wrong where it claims that."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import stnref
from stnref import nn
from tests.bug_zoo.bugs import BUGS, CAUSES, IMPLEMENTATIONS, OPERATIONS, Bug, load
from tests.bug_zoo.inputs import bind, function_names, make_inputs
from tests.bug_zoo.more_bugs import MORE_BUGS, UNEXPLAINED
from tests.bug_zoo.variants import VARIANTS

SIZES = ("tiny", "realistic")
BY_BEHAVIOUR = {
    "input-mutated",
    "stale-cache",
    "float32",
    "not-repeatable",
    "shape",
    "non-finite",
    "random-forward",
}
"""Causes that are not, or not only, a wrong gradient."""

ALL_BUGS = [*BUGS, *MORE_BUGS]
named = pytest.mark.parametrize("bug", ALL_BUGS, ids=lambda bug: bug.name)
GRADIENT_BUGS = [bug for bug in ALL_BUGS if bug.cause not in BY_BEHAVIOUR]


def pair(namespace: Any, operation: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return (getattr(namespace, name) for name in function_names(operation))


def listed(gradients: Any) -> list[np.ndarray]:
    return list(gradients) if isinstance(gradients, tuple | list) else [gradients]


def inputs_of(bug: Bug, size: str, seed: int = 0, which: str | None = None) -> dict[str, Any]:
    return make_inputs(bug.operation, size, np.random.default_rng(seed), which or bug.inputs)


def run(namespace: Any, bug: Bug, inputs: dict[str, Any]) -> tuple[Any, Any, Any, list[np.ndarray]]:
    """Return forward's output, its cache, an upstream gradient and the gradients."""
    forward, backward = pair(namespace, bug.operation)
    bound, arrays = bind(forward, bug.operation, inputs, bug.options)
    out, cache = bound(*arrays)
    d_out = np.random.default_rng(1).normal(size=np.shape(out))
    return out, cache, d_out, listed(backward(d_out.copy(), cache))


def copies(inputs: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: a.copy() for name, a in inputs.items() if isinstance(a, np.ndarray)}


def error(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    """Return the largest difference, in units of the largest entry of its array."""
    tiny = np.finfo(float).tiny
    pairs = zip(ours, theirs, strict=True)
    return max(np.abs(a - b).max() / (np.abs(b).max() + tiny) for a, b in pairs)


def both(bug: Bug, size: str, which: str | None = None) -> tuple[Any, Any]:
    inputs = inputs_of(bug, size, which=which)
    return run(load(bug.module, bug.patch), bug, inputs), run(load(bug.module), bug, inputs)


# ------------------------------------------------------------------ correct implementations


def reference(operation: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    if operation == "spatial_transformer":
        return module_forward, module_backward
    if operation == "constrain":
        return constrain_forward, stnref.transforms.constrain_backward
    name = function_names(operation)[0]
    owner = next(o for o in (stnref, nn, stnref.transforms) if hasattr(o, name))
    return pair(owner, operation)


def module_forward(U, W, b, G):
    out_shape = G.shape[:2]
    st = stnref.SpatialTransformer(nn.Flatten(), len(W), out_shape)
    V, cache = st.forward(U, {"regression.W": W, "regression.b": b})
    return V, (st, cache)


def module_backward(dV, cache):
    st, cache = cache
    dU, grads = st.backward(dV, cache)
    return dU, grads["regression.W"], grads["regression.b"]


def constrain_forward(raw, constraints):
    kinds = stnref.transforms
    make = {"fixed": kinds.fixed, "bounded": kinds.bounded, "positive": kinds.positive}
    ours = [make[kind](*numbers) if numbers else kinds.FREE for kind, *numbers in constraints]
    return kinds.constrain_forward(raw, ours)


CASES = [
    *((operation, "default", {}) for operation in OPERATIONS),
    *((operation, "kinks", {}) for operation in ("sample", "grid_sample", "relu", "max_pool2d")),
    ("sample", "default", {"padding": "border"}),
    ("grid_sample", "default", {"padding_mode": "border"}),
    ("sample", "kinks", {"padding": "border"}),
    ("grid_sample", "edges", {"align_corners": False}),
    ("unnormalize", "default", {"align_corners": False}),
    ("conv2d", "default", {"stride": 2, "padding": 1}),
    ("conv2d", "square", {"padding": 2}),
    ("linear", "square", {}),
    ("splat", "default", {"padding": "border"}),
    ("sample_volume", "default", {"padding": "border"}),
    ("to_pixel_matrix", "default", {"align_corners": False}),
    ("from_pixel_matrix", "default", {"align_corners": False}),
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("operation", "which", "options"), CASES)
def test_implementations_equal_stnref(operation, which, options, size):
    inputs = make_inputs(operation, size, np.random.default_rng(0), which)
    results = []
    for functions in (pair(load(OPERATIONS[operation].module), operation), reference(operation)):
        forward, backward = functions
        bound, arrays = bind(forward, operation, inputs, options)
        out, cache = bound(*arrays)
        d_out = np.random.default_rng(1).normal(size=np.shape(out))
        results.append([np.asarray(out), *listed(backward(d_out, cache))])
    for ours, theirs in zip(*results, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12 * np.abs(theirs).max())


@pytest.mark.parametrize("path", sorted(IMPLEMENTATIONS.glob("*.py")), ids=lambda path: path.stem)
def test_implementations_know_nothing_of_stnref(path):
    assert "stnref" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("size", SIZES)
def test_the_samples_are_of_all_kinds(size):
    inputs = make_inputs("sample", size, np.random.default_rng(0))
    _, H, W, _ = inputs["U"].shape
    x, y = inputs["points"][..., 0], inputs["points"][..., 1]
    assert np.abs(inputs["points"] - inputs["points"].round()).min() > 0.09
    for t, n in ((x, W), (y, H)):
        assert ((t > -1) & (t < 0)).any()
        assert ((t > n - 1) & (t < n)).any()
    assert ((x < -1) | (x > W) | (y < -1) | (y > H)).any()
    cells = Counter(zip(np.floor(x).ravel(), np.floor(y).ravel(), strict=True))
    assert max(cells.values()) >= x.size / 5


# ------------------------------------------------------------------------------- the bugs


def test_there_are_enough_of_every_cause():
    causes = Counter(bug.cause for bug in BUGS)
    more = Counter(bug.cause for bug in MORE_BUGS)
    assert set(causes) | set(more) - {UNEXPLAINED} == set(CAUSES)
    assert len(BUGS) >= 55
    classical = (
        "sign xy-swapped pixel-factor accumulation-lost corner-missing corners-swapped "
        "channel-sum off-by-one transpose"
    )
    assert all(causes[cause] >= 3 for cause in classical.split())
    assert {bug.operation for bug in BUGS} == set(OPERATIONS) - NEW
    assert all(set(bug.also) <= set(CAUSES) - {bug.cause} for bug in ALL_BUGS)
    assert all(bug.module == OPERATIONS[bug.operation].module for bug in ALL_BUGS)
    assert len({bug.name for bug in ALL_BUGS}) == len(ALL_BUGS)


NEW = {
    "splat",
    "sample_volume",
    "sample_cubic",
    "compose",
    "invert",
    "to_pixel_matrix",
    "from_pixel_matrix",
    "constrain",
}
"""Operations of which the first set has no mistake."""


def test_the_second_set_has_enough_of_both():
    new = [bug for bug in MORE_BUGS if bug.operation in NEW]
    assert min(len(new), len(MORE_BUGS) - len(new)) >= 30
    assert {bug.operation for bug in MORE_BUGS} == set(OPERATIONS)
    assert {bug.cause for bug in MORE_BUGS} <= {*CAUSES, UNEXPLAINED}
    patches = {(bug.operation, bug.patch) for bug in BUGS}
    assert not any((bug.operation, bug.patch) in patches for bug in MORE_BUGS)


@named
def test_every_patch_applies_once(bug):
    source = (IMPLEMENTATIONS / f"{bug.module}.py").read_text(encoding="utf-8")
    assert [source.count(old) for old, _ in bug.patch] == [1] * len(bug.patch)
    load(bug.module, bug.patch)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bug", GRADIENT_BUGS, ids=lambda bug: bug.name)
def test_the_gradient_is_wrong_and_the_value_right(bug, size):
    (out, _, _, wrong), (expected, _, _, right) = both(bug, size)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)
    assert [d.shape for d in wrong] == [d.shape for d in right]
    assert error(wrong, right) > 1e-6


def test_a_cause_of_a_wrong_gradient_leaves_everything_else_in_order():
    """Neither are inputs changed, nor does a second call differ: there is one mistake each."""
    for bug in GRADIENT_BUGS:
        namespace, inputs = load(bug.module, bug.patch), inputs_of(bug, "tiny")
        before = copies(inputs)
        _, cache, d_out, gradients = run(namespace, bug, inputs)
        d_before = d_out.copy()
        again = listed(pair_backward(namespace, bug)(d_out, cache))
        assert error(again, gradients) == 0, bug.name
        assert (d_out == d_before).all(), bug.name
        assert all((inputs[name] == before[name]).all() for name in before), bug.name
        assert all(d.dtype == np.float64 for d in gradients), bug.name


def pair_backward(namespace: Any, bug: Bug) -> Callable[..., Any]:
    return getattr(namespace, function_names(bug.operation)[1])


@pytest.mark.parametrize("bug", GRADIENT_BUGS, ids=lambda bug: bug.name)
def test_only_what_is_called_not_linear_is_not_linear(bug):
    namespace = load(bug.module, bug.patch)
    _, cache, d_out, gradients = run(namespace, bug, inputs_of(bug, "tiny"))
    other = np.random.default_rng(3).normal(size=d_out.shape)
    parts = listed(pair_backward(namespace, bug)(other, cache))
    whole = listed(pair_backward(namespace, bug)(d_out + other, cache))
    linear = error(whole, [a + b for a, b in zip(gradients, parts, strict=True)]) < 1e-9
    # A mask of the upstream gradient's sign, and ones in its place, are not linear either.
    bent = ("not-linear", "upstream-ignored")
    assert linear == (bug.cause not in bent and bug.name != "relu-mask-of-upstream")


KINKS = [bug for bug in ALL_BUGS if bug.cause == "kink"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bug", KINKS, ids=lambda bug: bug.name)
def test_off_the_kinks_a_kink_bug_is_right(bug, size):
    (_, _, _, wrong), (_, _, _, right) = both(bug, size, which="default")
    assert error(wrong, right) < 1e-12


def one_sided(bound: Any, arrays: list, i: int, v: np.ndarray, d_out: np.ndarray) -> list[float]:
    """Return the derivatives of <d_out, out> along v to both sides, smaller one first.

    All functions with kinks here are linear between them, so one long step is exact; 1/16 is.
    """
    values = []
    for step in (-0.0625, 0.0, 0.0625):
        moved = [a + step * v if n == i else a for n, a in enumerate(arrays)]
        values.append((d_out * bound(*moved)[0]).sum())
    return sorted([(values[1] - values[0]) / 0.0625, (values[2] - values[1]) / 0.0625])


def share_outside(bug_or_variant: Any, bound: Any, arrays: list, gradient: Any, d_out: Any) -> int:
    """Count the coordinates of which the slope lies outside of the one-sided ones."""
    i = len(arrays) - 1
    outside = 0
    scale = arrays[0].shape[2] - 1 if bug_or_variant.operation == "grid_sample" else 1
    for index in np.ndindex(arrays[i].shape):
        v = np.zeros(arrays[i].shape)
        v[index] = 1 / scale
        low, high = one_sided(bound, arrays, i, v, d_out)
        outside += not low - 1e-9 <= gradient[index] / scale <= high + 1e-9
    return outside


@pytest.mark.parametrize("bug", KINKS, ids=lambda bug: bug.name)
def test_on_the_kinks_a_kink_bug_is_outside_of_the_one_sided_slopes(bug):
    namespace, inputs = load(bug.module, bug.patch), inputs_of(bug, "tiny")
    bound, arrays = bind(pair(namespace, bug.operation).__next__(), bug.operation, inputs, {})
    _, _, d_out, gradients = run(namespace, bug, inputs)
    if bug.operation == "max_pool2d":  # entry by entry it is one of both; along ones it is not
        d_out, v = np.ones_like(d_out), np.ones(arrays[0].shape)
        dX = pair_backward(namespace, bug)(d_out, bound(*arrays)[1])
        _, high = one_sided(bound, arrays, 0, v, d_out)
        assert (dX * v).sum() > high + 1
    else:
        assert share_outside(bug, bound, arrays, gradients[-1], d_out) > 3


# --------------------------------------------------------------- the bugs of behaviour


def of_cause(cause: str) -> Any:
    bugs = [bug for bug in ALL_BUGS if bug.cause == cause]
    return pytest.mark.parametrize("bug", bugs, ids=lambda bug: bug.name)


@pytest.mark.parametrize("size", SIZES)
@of_cause("input-mutated")
def test_input_mutated(bug, size):
    namespace, inputs = load(bug.module, bug.patch), inputs_of(bug, size)
    before = copies(inputs)
    forward, backward = pair(namespace, bug.operation)
    bound, arrays = bind(forward, bug.operation, inputs, bug.options)
    out, cache = bound(*arrays)
    changed = any((inputs[name] != before[name]).any() for name in before)
    d_out = np.random.default_rng(1).normal(size=np.shape(out))
    d_before = d_out.copy()
    gradients = listed(backward(d_out, cache))
    assert changed or (d_out != d_before).any()
    right = run(load(bug.module), bug, inputs_of(bug, size))
    np.testing.assert_allclose(out, right[0], rtol=1e-12, atol=1e-12)
    assert error(gradients, right[3]) < 1e-12


@pytest.mark.parametrize("size", SIZES)
@of_cause("stale-cache")
def test_stale_cache(bug, size):
    namespace = load(bug.module, bug.patch)
    inputs = inputs_of(bug, size)
    _, cache, d_out, gradients = run(namespace, bug, inputs)
    assert error(gradients, run(load(bug.module), bug, inputs)[3]) == 0
    run(namespace, bug, inputs_of(bug, size, seed=5))
    later = listed(pair_backward(namespace, bug)(d_out, cache))
    assert error(later, gradients) > 1e-6


@pytest.mark.parametrize("size", SIZES)
@of_cause("float32")
def test_float32(bug, size):
    (out, _, _, wrong), (expected, _, _, right) = both(bug, size)
    off = max(error(wrong, right), error([np.asarray(out)], [np.asarray(expected)]))
    assert 1e-9 < off < (1e-2 if "half-precision" in bug.name else 1e-4)


@pytest.mark.parametrize("size", SIZES)
@of_cause("not-repeatable")
def test_not_repeatable(bug, size):
    namespace, inputs = load(bug.module, bug.patch), inputs_of(bug, size)
    _, cache, d_out, gradients = run(namespace, bug, inputs)
    first = [d.copy() for d in gradients]
    assert error(first, run(load(bug.module), bug, inputs)[3]) < 1e-12
    assert error(listed(pair_backward(namespace, bug)(d_out, cache)), first) > 1e-6


@pytest.mark.parametrize("size", SIZES)
@of_cause("shape")
def test_shape(bug, size):
    (_, _, _, wrong), (_, _, _, right) = both(bug, size)
    assert [d.shape for d in wrong] != [d.shape for d in right]


@pytest.mark.parametrize("size", SIZES)
@of_cause("non-finite")
def test_non_finite(bug, size):
    inputs = inputs_of(bug, size)
    forward, _ = pair(load(bug.module, bug.patch), bug.operation)
    bound, arrays = bind(forward, bug.operation, inputs, bug.options)
    assert np.isnan(bound(*arrays)[0])
    assert np.isfinite(run(load(bug.module), bug, inputs)[0])


@pytest.mark.parametrize("size", SIZES)
@of_cause("random-forward")
def test_random_forward(bug, size):
    namespace, inputs = load(bug.module, bug.patch), inputs_of(bug, size)
    assert (run(namespace, bug, inputs)[0] != run(namespace, bug, inputs)[0]).any()


# ----------------------------------------------------------------------------- variants


def bound_variant(variant: Any) -> tuple[Any, list[np.ndarray]]:
    inputs = variant.make_inputs("tiny", np.random.default_rng(0))
    names = OPERATIONS[variant.operation].differentiable
    rest = {name: value for name, value in inputs.items() if name not in names}

    def bound(*arrays):
        return variant.forward(**dict(zip(names, arrays, strict=True)), **rest)

    return bound, [inputs[name] for name in names]


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_are_right(name):
    """Along random directions and, on kinks, within the one-sided slopes entry by entry."""
    variant, rng = VARIANTS[name](), np.random.default_rng(2)
    bound, arrays = bound_variant(variant)
    out, cache = bound(*arrays)
    d_out = rng.normal(size=np.shape(out)).astype(np.asarray(out).dtype)
    gradients = listed(variant.backward(d_out, cache))
    assert [d.shape for d in gradients] == [a.shape for a in arrays]
    if name in ("left-rule", "central-rule", "relu-half-at-zero", "max-pool-shares-ties"):
        assert share_outside(variant, bound, arrays, gradients[-1], d_out) == 0
        arrays_with_slope = range(len(arrays) - 1)
    else:
        arrays_with_slope = range(len(arrays))
    exact = arrays[0].dtype == np.float64
    h, tolerance = (1e-6, 1e-6) if exact else (1e-2, 1e-3)
    for i in arrays_with_slope:
        v = rng.normal(size=arrays[i].shape).astype(arrays[i].dtype)
        ends = []
        for step in (h, -h):
            moved = (a + step * v if n == i else a for n, a in enumerate(arrays))
            ends.append(np.asarray(bound(*moved)[0]))
        numeric = (d_out * (ends[0] - ends[1])).sum() / (2 * h)
        size = np.linalg.norm(gradients[i]) * np.linalg.norm(v) / np.sqrt(v.size)
        assert abs((gradients[i] * v).sum() - numeric) < tolerance * size


def test_variants_that_share_inputs_have_the_implementations_gradients():
    for name, make in VARIANTS.items():
        if name in ("channels-first", "float32", "reverse-order") or "rule" in name:
            continue
        variant = make()
        if variant.make_inputs("tiny", np.random.default_rng(0)).keys() >= {"X"} and (
            name in ("relu-half-at-zero", "max-pool-shares-ties")
        ):
            continue
        inputs = variant.make_inputs("realistic", np.random.default_rng(0))
        out, cache = variant.forward(**inputs)
        d_out = np.random.default_rng(1).normal(size=np.shape(out))
        forward, backward = pair(load(OPERATIONS[variant.operation].module), variant.operation)
        bound, arrays = bind(forward, variant.operation, inputs, {})
        expected, right_cache = bound(*arrays)
        np.testing.assert_allclose(out, expected, atol=1e-12)
        right = listed(backward(d_out, right_cache))
        assert error(listed(variant.backward(d_out, cache)), right) < 1e-12, name
