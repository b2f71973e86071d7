"""Kernels: what they are, and that k' and k'' are their derivatives."""

import importlib
import math
from fractions import Fraction

import numpy as np
import pytest

from stnref import loops, sample_backward, sample_forward, splat_forward
from stnref.kernels import LATTICE, Kernel, bspline3, cubic, get_kernel, linear, nearest
from tests.signatures import expect_names

SMOOTH = {
    "linear": linear(),
    "left": linear("left"),
    "cubic": cubic(),
    "Catmull-Rom": cubic(-0.5),
    "bspline3": bspline3(),
}
ALL = {"nearest": nearest(), **SMOOTH}
H = 1e-100


def _inside_the_pieces(kernel: Kernel) -> np.ndarray:
    """Distances within the support, off the whole and half numbers where pieces meet."""
    t = np.linspace(-kernel.support, kernel.support, 41)[:-1] + 0.0123
    return t[np.abs(2 * t - np.rint(2 * t)) > 1e-3]


def _taps(kernel: Kernel) -> tuple[np.ndarray, np.ndarray]:
    """The lattice points that a sample at f reads, and such f."""
    odd = kernel.support % 1 != 0
    taps = np.arange(round(2 * kernel.support)) + 1 - math.ceil(kernel.support)
    return taps, np.linspace(0, 1, 33)[:-1] - odd / 2


@pytest.mark.parametrize("name", ALL)
def test_the_slopes_are_the_complex_step(name: str) -> None:
    kernel = ALL[name]
    t = _inside_the_pieces(kernel)
    np.testing.assert_allclose(kernel.dk(t), kernel.k(t + 1j * H).imag / H, atol=1e-14)
    np.testing.assert_allclose(kernel.d2k(t), kernel.dk(t + 1j * H).imag / H, atol=1e-14)


@pytest.mark.parametrize("name", ALL)
def test_the_weights_of_a_sample_sum_to_one(name: str) -> None:
    """A constant stays constant, so the slopes sum to zero; on the lattice too, but for "paper"."""
    kernel = ALL[name]
    taps, f = _taps(kernel)
    f = f[:, None]
    np.testing.assert_allclose(kernel.k(f - taps).sum(axis=1), 1, atol=1e-14)
    np.testing.assert_allclose(kernel.dk(f - taps).sum(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(kernel.d2k(f - taps).sum(axis=1), 0, atol=1e-13)


@pytest.mark.parametrize(("name", "power"), [("linear", 1), ("Catmull-Rom", 2), ("bspline3", 1)])
def test_polynomials_that_are_reproduced(name: str, power: int) -> None:
    kernel = ALL[name]
    taps, f = _taps(kernel)
    np.testing.assert_allclose(
        kernel.k(f[:, None] - taps) @ taps.astype(float) ** power, f**power, atol=1e-14
    )


@pytest.mark.parametrize("name", ["linear", "left", "cubic", "Catmull-Rom"])
def test_interpolating_kernels_are_one_on_their_pixel_and_zero_on_the_others(name: str) -> None:
    kernel = ALL[name]
    t = np.arange(-kernel.support, kernel.support)
    np.testing.assert_array_equal(kernel.k(t.astype(float)), t == 0)


def test_the_numbers_of_the_cubic_kernels() -> None:
    np.testing.assert_allclose(cubic().k(np.array([1.5, 0.5])), [-3 / 32, 19 / 32])
    np.testing.assert_allclose(cubic(-0.5).k(np.array([1.5, 0.5])), [-1 / 16, 9 / 16])
    np.testing.assert_allclose(cubic().dk(np.array([1.0, -1.0])), [-0.75, 0.75])
    assert cubic().d2k(np.array([1.0])) == pytest.approx(cubic().d2k(np.array([1 + 1e-12])))
    np.testing.assert_allclose(bspline3().k(np.array([0, 1.0])), [2 / 3, 1 / 6])


def test_nearest_is_equation_4() -> None:
    """floor(x + 1/2): halves go up."""
    U = np.arange(4.0).reshape(1, 1, 4, 1)
    x = np.array([-0.5, 0.49, 0.5, 1.5, 2.5, 3.49])
    V, cache = sample_forward(U, np.stack([x, 0 * x], axis=-1)[None, None], kernel="nearest")
    assert V.ravel().tolist() == [0, 0, 1, 2, 3, 3]
    assert not np.any(sample_backward(np.ones_like(V), cache)[1])


ROW = np.array([3.0, 5.0, 4.0, 9.0]).reshape(1, 1, 4, 1)


@pytest.mark.parametrize(
    ("rule", "expected"), [("right", 5), ("left", -1), ("central", 2), ("paper", 4)]
)
def test_the_rule_on_the_lattice(rule: str, expected: float) -> None:
    """At x = 2 of [3, 5, 4, 9]: left -1, right +5; equation 7 literally 4."""
    points = np.array([2.0, 0.0]).reshape(1, 1, 1, 2)
    V, cache = sample_forward(ROW, points, kernel=linear(rule))
    assert V.item() == 4
    one = np.ones((1, 1, 1, 1))
    assert sample_backward(one, cache)[1][0, 0, 0, 0] == expected


@pytest.mark.parametrize("rule", LATTICE)
def test_off_the_lattice_all_rules_are_one(rule: str) -> None:
    rng = np.random.default_rng(0)
    U, points = rng.random((2, 4, 5, 3)), rng.uniform(-2, 6, (2, 3, 7, 2))
    V, cache = sample_forward(U, points, kernel=linear(rule))
    expected, expected_cache = sample_forward(U, points)
    dV = rng.standard_normal(V.shape)
    np.testing.assert_allclose(V, expected, rtol=1e-13, atol=1e-13)
    for ours, theirs in zip(
        sample_backward(dV, cache), sample_backward(dV, expected_cache), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rule", ["right", "paper"])
def test_the_rule_on_the_lattice_is_that_of_the_loops(rule: str) -> None:
    rng = np.random.default_rng(1)
    U, points = rng.random((2, 4, 5, 2)), rng.integers(-2, 7, (2, 3, 4, 2)).astype(float)
    V, cache = sample_forward(U, points, kernel=linear(rule))
    dV = rng.standard_normal(V.shape)
    expected = loops.sample_backward(dV, U, points, rule)
    for ours, theirs in zip(sample_backward(dV, cache), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_the_precision_is_kept(name: str, dtype: type) -> None:
    t = np.linspace(-1, 0.9, 7).astype(dtype)
    for function in ALL[name][1:]:
        assert np.result_type(function(t), np.float32).itemsize <= np.dtype(dtype).itemsize
        assert function(t).real.dtype == t.real.dtype


def test_a_kernel_of_ones_own() -> None:
    """Equation 3 with a box of width two, by its definition and by ours."""
    box = Kernel(1, *(lambda t, c=c: np.full_like(t.real, c) for c in (0.5, 0, 0)))
    assert get_kernel(box) is box
    points = np.array([1.25, 0.0]).reshape(1, 1, 1, 2)
    V, _ = sample_forward(ROW, points, kernel=box, padding="border")
    assert Fraction(V.item()) == Fraction(1, 4) * (5 + 4 + 5 + 4)


@pytest.mark.parametrize("rule", ["left", "central", "paper"])
def test_the_ends_of_the_hat_are_flat(rule: str) -> None:
    """Where a kernel has more taps than the cell, those at its ends read nothing."""
    assert linear(rule).k(np.array([-1, 1]) + 1e-100j).tolist() == [0, 0]
    assert linear(rule).k(np.array([0 + 1e-100j])).tolist() == [1 - 1e-100j]  # to the right of x


NO_DATA = np.array([1.0, 2.0, np.nan, 4.0]).reshape(1, 1, 4, 1)
AT = np.array([[1.0, 0.0], [1.25, 0.0], [2.6, 0.0]]).reshape(1, 1, 3, 2)


def test_nearest_reads_one_pixel() -> None:
    """A hole of no data stays as large as it is: a pixel of weight zero is not read."""
    V, cache = sample_forward(NO_DATA, AT, kernel="nearest")
    assert V.ravel().tolist() == [2, 2, 4]
    dU, dpoints = sample_backward(np.ones_like(V), cache)
    assert dU.ravel().tolist() == [0, 2, 0, 1]
    assert not dpoints.any()
    canvas, _ = splat_forward(V * [[[[1], [np.nan], [1]]]], AT, (1, 4), kernel="nearest")
    assert np.isnan(canvas).ravel().tolist() == [False, True, False, False]  # two pixels land there
    assert loops.sample(NO_DATA, AT, kernel="nearest").ravel().tolist() == [2, 2, 4]


def test_bilinear_reads_pixels_of_weight_zero() -> None:
    """As its peers do: at x = 1 the second tap is the NaN, times zero."""
    V, _ = sample_forward(NO_DATA, AT)
    assert np.isnan(V).all()


def test_halves_and_their_neighbours() -> None:
    x = np.array([0.5, np.nextafter(0.5, 0), np.nextafter(-0.5, -1), 2**52 + 0.0])
    points = np.stack([x, 0 * x], axis=-1).reshape(1, 1, 4, 2)
    V, _ = sample_forward(NO_DATA[..., :2, :] + 1, points, kernel="nearest")
    assert V.ravel().tolist() == [3, 2, 0, 0]
    slow = loops.sample(NO_DATA[..., :2, :] + 1, points, kernel="nearest")
    assert slow.ravel().tolist() == [3, 2, 0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: linear("middle"), "lattice: expected one of 'right', 'left', 'central', 'paper'"),
        (lambda: get_kernel("lanczos"), "kernel: expected one of 'nearest', 'linear', 'cubic'"),
        (lambda: get_kernel(Kernel(0, *ALL["linear"][1:])), r"2 \* kernel\.support: expected an "),
        (lambda: get_kernel(Kernel(1 / 3, *ALL["linear"][1:])), r"support: expected an .*0\.66"),
        (lambda: get_kernel(Kernel(1 / 4, *ALL["linear"][1:])), r"support: expected an .*0\.5"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.kernels"))


@pytest.mark.parametrize("a", [-2.5, 0.5, 3.0])
def test_the_cubic_has_its_derivatives_for_any_a(a: float) -> None:
    kernel, t = cubic(a), np.linspace(-1.9, 1.9, 24)
    np.testing.assert_allclose(kernel.dk(t), kernel.k(t + 1e-100j).imag / 1e-100, atol=1e-13)
    np.testing.assert_allclose(kernel.d2k(t), kernel.dk(t + 1e-100j).imag / 1e-100, atol=1e-12)


@pytest.mark.parametrize("rule", LATTICE)
def test_the_table_of_the_rules_is_what_the_sampler_does(rule: str) -> None:
    """At x = 1: the factors of the pixels 0, 1 and 2."""
    points = np.array([1.0, 0.0]).reshape(1, 1, 1, 2)
    V, cache = sample_forward(ROW, points, kernel=linear(rule), padding="border")
    _, dpoints = sample_backward(np.ones_like(V), cache)
    assert dpoints[0, 0, 0, 0] == np.dot(LATTICE[rule], ROW.ravel()[:3])
