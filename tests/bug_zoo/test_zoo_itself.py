"""The zoo's own tests: correct where it claims to be, and truly wrong where it claims that."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import stnref
from stnref import coordinates, nn, sampler, splat, transforms
from tests.bug_zoo.inputs import OPERATIONS, bind, function_names, make_inputs
from tests.bug_zoo.variants import VARIANTS
from tests.bug_zoo.zoo import BUGS, IMPLEMENTATIONS, Bug, load, parse

ALL = list(BUGS.values())
BEHAVIOURS = "input-mutated stale-cache float32 not-repeatable shape non-finite random-forward"
"""Causes that are not, or not only, a wrong gradient."""
EVERY_SIZE = pytest.mark.parametrize("size", ["tiny", "realistic"])


def every(*causes: str) -> pytest.MarkDecorator:
    """Parametrize a test with the bugs of some causes; of all that are wrong gradients if none."""
    bugs = [b for b in ALL if (b.cause in causes if causes else b.cause not in BEHAVIOURS.split())]
    return pytest.mark.parametrize("bug", bugs, ids=lambda bug: bug.name)


class Pair:
    """An implementation with inputs; forward takes the differentiable ones alone."""

    def __init__(self, owner: Any, operation: str, inputs: Any, options: Mapping[str, Any] = {}):
        self.forward, self.backward, self.arrays = bind(owner, operation, inputs, options)
        self.inputs = [a for a in inputs.values() if isinstance(a, np.ndarray)]

    def run(self) -> tuple[Any, Any, np.ndarray]:
        """Return forward's output, its cache and an upstream gradient."""
        out, cache = self.forward(*self.arrays)
        dtype = np.asarray(out).dtype
        return out, cache, np.random.default_rng(1).normal(size=np.shape(out)).astype(dtype)

    def gradients(self, d_out: np.ndarray, cache: Any) -> list[np.ndarray]:
        """Return copies of backward's gradients, zeros for None."""
        gradients = self.backward(d_out, cache)
        gradients = gradients if isinstance(gradients, tuple) else (gradients,)
        pairs = zip(gradients, self.arrays, strict=True)
        return [np.zeros_like(a) if d is None else np.array(d) for d, a in pairs]

    def results(self) -> list[np.ndarray]:
        """Return forward's output and backward's gradients."""
        out, cache, d_out = self.run()
        return [np.asarray(out), *self.gradients(d_out, cache)]


def original(bug: Bug, size: str, which: str = "", seed: int = 0, patch: Any = ()) -> Pair:
    """Return the implementation without the bug, with the bug's inputs."""
    inputs = make_inputs(bug.operation, size, np.random.default_rng(seed), which or bug.inputs)
    return Pair(load(bug.module, patch), bug.operation, inputs, bug.options)


def patched(bug: Bug, size: str, which: str = "", seed: int = 0) -> Pair:
    return original(bug, size, which, seed, bug.patch)


def error(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    """Return the largest difference, in units of the largest entry of its array."""
    tiny = np.finfo(float).tiny
    pairs = zip(ours, theirs, strict=True)
    return max(np.abs(a - b).max() / (np.abs(b).max() + tiny) for a, b in pairs)


# ---------------------------------------------------------------------------- the format


def test_the_text_of_a_bug() -> None:
    [bug] = parse(
        '== late in conv2d(stride=2, padding="no") on square: accumulation-lost or off-by-one\n'
        "Windows overlap: each one overwrites\nwhat was there.\n"
        "- = a\n+ =\n  if x:\n-     go\n+     come\n+\n-     last\n\n\n"
    )
    assert bug.story == "Windows overlap: each one overwrites what was there."
    assert (bug.cause, bug.also, bug.half) == ("accumulation-lost", ("off-by-one",), "seen")
    assert (bug.options, bug.inputs) == ({"stride": 2, "padding": "no"}, "square")
    replaced = ("if x:\n    go", "if x:\n    come\n")
    assert bug.patch == (("= a", "="), replaced, ("    last\n", ""))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("== a bug in tanh: sign\nA minus.\n- 1\n+ 2", "headline: expected '== name in operation"),
        ("== a in tan: sign\nA minus.\n- 1\n+ 2", "a: expected an operation of OPERATIONS, got"),
        ("== a in tanh: sign\n- 1\n+ 2", "a: expected a story below the headline, got"),
        ("== a in tanh: sign\nA minus.\n", "a: expected lines that stay, .*, got marks ''"),
        ("== a in tanh: sign\nA minus.\n+ 2", r"a: expected lines .*, got marks '\+'"),
        ("== a in tanh: sign\nA minus.\n- 1\n+ 2\n  3", r"a: expected lines .*, got marks '-\+ '"),
    ],
)
def test_a_text_that_is_no_bug(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


@pytest.mark.parametrize(("old", "count"), [("sigmoid", 0), ("return Y", 4)])
def test_a_patch_applies_once(old: str, count: int) -> None:
    with pytest.raises(ValueError, match=f"patch: expected once in layers.py, got {count}"):
        load("layers", ((old, ""),))


# ------------------------------------------------------------------ correct implementations


class SpatialTransformer:
    """The module of the package as a pair (U, W, b, G) -> V."""

    @staticmethod
    def spatial_transformer_forward(U, W, b, G):
        layer = stnref.SpatialTransformer(nn.Flatten(), len(W), G.shape[:2])
        V, cache = layer.forward(U, {"regression.W": W, "regression.b": b})
        return V, (layer, cache)

    @staticmethod
    def spatial_transformer_backward(dV, cache):
        layer, cache = cache
        dU, grads = layer.backward(dV, cache)
        return dU, grads["regression.W"], grads["regression.b"]


class Constrain:
    """The package's constraints, from those of the zoo."""

    constrain_backward = staticmethod(transforms.constrain_backward)

    @staticmethod
    def constrain_forward(raw, constraints):
        ours = [
            getattr(transforms, kind)(*numbers) if numbers else transforms.FREE
            for kind, *numbers in constraints
        ]
        return transforms.constrain_forward(raw, ours)


OWNERS = (Constrain, SpatialTransformer, coordinates, nn, sampler, splat, transforms)
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


@EVERY_SIZE
@pytest.mark.parametrize(("operation", "which", "options"), CASES)
def test_implementations_equal_stnref(operation, which, options, size):
    inputs = make_inputs(operation, size, np.random.default_rng(0), which)
    name = function_names(operation)[0]
    reference = next(owner for owner in OWNERS if hasattr(owner, name))
    ours = Pair(load(OPERATIONS[operation].module), operation, inputs, options).results()
    theirs = Pair(reference, operation, inputs, options).results()
    assert [a.shape for a in ours] == [a.shape for a in theirs]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * np.abs(b).max())


@pytest.mark.parametrize("path", sorted(IMPLEMENTATIONS.glob("*.py")), ids=lambda path: path.stem)
def test_implementations_know_nothing_of_stnref(path):
    assert "stnref" not in path.read_text(encoding="utf-8")


@EVERY_SIZE
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
    seen = Counter(bug.cause for bug in ALL if bug.half == "seen")
    classical = (
        "sign xy-swapped pixel-factor accumulation-lost corner-missing corners-swapped "
        "channel-sum off-by-one transpose"
    )
    assert all(seen[cause] >= 3 for cause in classical.split())
    assert seen["no-gradient"] >= 8
    assert all(bug.cause not in bug.also for bug in ALL)


def test_the_unseen_half_has_some_of_every_operation():
    unseen = Counter(bug.operation for bug in ALL if bug.half == "unseen")
    assert set(unseen) == set(OPERATIONS)
    assert unseen.total() >= 140


def test_no_bug_stands_twice():
    bugs = Counter((bug.operation, bug.patch, bug.inputs, str(bug.options)) for bug in ALL)
    assert [bug for bug, count in bugs.items() if count > 1] == []
    assert len({bug.story for bug in ALL}) == len(ALL)


@EVERY_SIZE
@every()
def test_the_gradient_is_wrong_and_the_value_right(bug, size):
    out, *wrong = patched(bug, size).results()
    expected, *right = original(bug, size).results()
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)
    assert [d.shape for d in wrong] == [d.shape for d in right]
    assert error(wrong, right) > 1e-6


@every()
def test_a_cause_of_a_wrong_gradient_leaves_everything_else_in_order(bug):
    """Inputs stay, a second call is like the first, backward is linear: there is one mistake."""
    pair = patched(bug, "tiny")
    before = [a.copy() for a in pair.inputs]
    _, cache, d_out = pair.run()
    d_before = d_out.copy()
    gradients = pair.gradients(d_out, cache)
    assert error(pair.gradients(d_out, cache), gradients) == 0
    assert (d_out == d_before).all()
    assert error(pair.inputs, before) == 0
    assert all(d.dtype == np.float64 for d in gradients)
    other = np.random.default_rng(3).normal(size=d_out.shape)
    parts = zip(gradients, pair.gradients(other, cache), strict=True)
    linear = error(pair.gradients(d_out + other, cache), [a + b for a, b in parts]) < 1e-9
    # A mask of the upstream gradient's sign, and ones in its place, are not linear either.
    bent = ("not-linear", "upstream-ignored")
    assert linear == (bug.cause not in bent and bug.name != "relu-mask-of-upstream")


@EVERY_SIZE
@every("no-gradient")
def test_no_gradient_comes_back_to_one_input(bug, size):
    _, *wrong = patched(bug, size).results()
    _, *right = original(bug, size).results()
    zero = [not d.any() for d in wrong]
    assert sum(zero) == 1
    assert right[zero.index(True)].any()


@EVERY_SIZE
@every("kink")
def test_off_the_kinks_a_kink_bug_is_right(bug, size):
    pairs = (make(bug, size, "default") for make in (patched, original))
    assert error(*(pair.results() for pair in pairs)) < 1e-12


def one_sided(pair: Pair, i: int, v: np.ndarray, d_out: np.ndarray) -> list[float]:
    """Return the derivatives of <d_out, out> along v to both sides, smaller one first.

    All functions with kinks here are linear between them, so one long step is exact; 1/16 is.
    """
    values = []
    for step in (-0.0625, 0.0, 0.0625):
        moved = [a + step * v if n == i else a for n, a in enumerate(pair.arrays)]
        values.append((d_out * pair.forward(*moved)[0]).sum())
    return sorted([(values[1] - values[0]) / 0.0625, (values[2] - values[1]) / 0.0625])


def count_outside(pair: Pair, gradient: np.ndarray, d_out: np.ndarray, scale: float = 1) -> int:
    """Count the elements of the last input of which the slope is outside of the one-sided ones."""
    outside = 0
    for index in np.ndindex(gradient.shape):
        v = np.zeros(gradient.shape)
        v[index] = 1 / scale
        low, high = one_sided(pair, len(pair.arrays) - 1, v, d_out)
        outside += not low - 1e-9 <= gradient[index] / scale <= high + 1e-9
    return outside


@every("kink")
def test_on_the_kinks_a_kink_bug_is_outside_of_the_one_sided_slopes(bug):
    pair = patched(bug, "tiny")
    _, cache, d_out = pair.run()
    if bug.operation == "max_pool2d":  # entry by entry it is one of both; along ones it is not
        d_out, v = np.ones_like(d_out), np.ones(pair.arrays[0].shape)
        [dX] = pair.gradients(d_out, cache)
        _, high = one_sided(pair, 0, v, d_out)
        assert (dX * v).sum() > high + 1
    else:
        scale = pair.arrays[0].shape[2] - 1 if bug.operation == "grid_sample" else 1
        assert count_outside(pair, pair.gradients(d_out, cache)[-1], d_out, scale) > 3


# --------------------------------------------------------------- the bugs of behaviour


@EVERY_SIZE
@every("input-mutated")
def test_input_mutated(bug, size):
    pair = patched(bug, size)
    before = [a.copy() for a in pair.inputs]
    out, cache, d_out = pair.run()
    before.append(d_out.copy())
    gradients = pair.gradients(d_out, cache)
    assert error([*pair.inputs, d_out], before) > 1e-6
    assert error([np.asarray(out), *gradients], original(bug, size).results()) < 1e-12


@EVERY_SIZE
@every("stale-cache")
def test_stale_cache(bug, size):
    pair = patched(bug, size)
    out, cache, d_out = pair.run()
    gradients = pair.gradients(d_out, cache)
    assert error([np.asarray(out), *gradients], original(bug, size).results()) == 0
    pair.forward(*patched(bug, size, seed=5).arrays)
    assert error(pair.gradients(d_out, cache), gradients) > 1e-6


@EVERY_SIZE
@every("float32")
def test_float32(bug, size):
    off = error(patched(bug, size).results(), original(bug, size).results())
    assert 1e-9 < off < (1e-2 if "half-precision" in bug.name else 1e-4)


@EVERY_SIZE
@every("not-repeatable")
def test_not_repeatable(bug, size):
    pair = patched(bug, size)
    _, cache, d_out = pair.run()
    first = pair.gradients(d_out, cache)
    assert error(first, original(bug, size).results()[1:]) < 1e-12
    assert error(pair.gradients(d_out, cache), first) > 1e-6


@EVERY_SIZE
@every("shape")
def test_shape(bug, size):
    wrong, right = (make(bug, size).results() for make in (patched, original))
    assert [d.shape for d in wrong] != [d.shape for d in right]


@EVERY_SIZE
@every("non-finite")
def test_non_finite(bug, size):
    assert np.isnan(patched(bug, size).run()[0])
    assert np.isfinite(original(bug, size).run()[0])


@EVERY_SIZE
@every("random-forward")
def test_random_forward(bug, size):
    pair = patched(bug, size)
    assert (pair.run()[0] != pair.run()[0]).any()


# ----------------------------------------------------------------------------- variants

ON_KINKS = ("left-rule", "central-rule", "relu-half-at-zero", "max-pool-shares-ties")


def variant_pair(name: str, size: str) -> Pair:
    variant = VARIANTS[name]()
    inputs = variant.make_inputs(size, np.random.default_rng(0))
    return Pair(variant.functions(), variant.operation, inputs)


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_are_right(name):
    """Along random directions and, on kinks, within the one-sided slopes entry by entry."""
    pair, rng = variant_pair(name, "tiny"), np.random.default_rng(2)
    _, cache, d_out = pair.run()
    gradients = pair.gradients(d_out, cache)
    assert [d.shape for d in gradients] == [a.shape for a in pair.arrays]
    if name in ON_KINKS:
        assert count_outside(pair, gradients.pop(), d_out) == 0
    exact = pair.arrays[0].dtype == np.float64
    h, tolerance = (1e-6, 1e-6) if exact else (1e-2, 1e-3)
    for i, gradient in enumerate(gradients):
        v = rng.normal(size=gradient.shape).astype(gradient.dtype)
        plus, minus = (
            np.asarray(pair.forward(*pair.arrays[:i], a, *pair.arrays[i + 1 :])[0])
            for a in (pair.arrays[i] + h * v, pair.arrays[i] - h * v)
        )
        numeric = (d_out * (plus - minus)).sum() / (2 * h)
        size = np.linalg.norm(gradient) * np.linalg.norm(v) / np.sqrt(v.size)
        assert abs((gradient * v).sum() - numeric) < tolerance * size


@pytest.mark.parametrize("name", sorted({*VARIANTS} - {"channels-first", "float32", *ON_KINKS}))
def test_a_variant_gives_what_the_implementation_gives(name):
    operation = VARIANTS[name]().operation
    inputs = VARIANTS[name]().make_inputs("realistic", np.random.default_rng(0))
    options = {"stride": 2, "padding": 1} if name == "reverse-order" else {}
    right = Pair(load(OPERATIONS[operation].module), operation, inputs, options)
    assert error(variant_pair(name, "realistic").results(), right.results()) < 1e-12
