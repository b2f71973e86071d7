"""The literal loops themselves: every kind of number, and the lattice."""

from fractions import Fraction

import numpy as np
import pytest
import sympy

from stnref import (
    basis_grid_backward,
    basis_grid_forward,
    loops,
    sample_backward,
    sample_forward,
    splat_backward,
    splat_forward,
)
from stnref.padding import PADDINGS

U_ROW = np.array([3, 5, 4, 9]).reshape(1, 1, 4, 1)
ONE = np.ones((1, 1, 1, 1), dtype=int)


def _at(x: object, y: object = 0) -> np.ndarray:
    point = np.empty((1, 1, 1, 2), dtype=object)
    point[0, 0, 0] = [x, y]
    return point


@pytest.mark.parametrize(
    ("x", "right", "paper"),
    [(0, 2, 3), (1, -1, 5), (2, 5, 4), (3, -9, 9), (Fraction(5, 2), 5, 5), (-1, 3, 0), (4, 0, 0)],
    ids=str,
)
def test_the_slope_on_the_lattice_and_off_it(x: object, right: int, paper: int) -> None:
    """U = [3, 5, 4, 9]; equation 7 read literally gives U[x] on the lattice, which is no slope."""
    for rule, expected in (("right", right), ("paper", paper)):
        _, dpoints = loops.sample_backward(ONE, U_ROW, _at(x), rule)
        assert dpoints[0, 0, 0, 0] == expected


def test_equation_7_read_literally_gives_a_constant_picture_a_gradient() -> None:
    constant = np.ones((1, 1, 4, 1), dtype=int)
    for rule, expected in (("right", 0), ("paper", 1)):
        _, dpoints = loops.sample_backward(ONE, constant, _at(2), rule)
        assert dpoints[0, 0, 0, 0] == expected


def test_complex_numbers_take_a_complex_step() -> None:
    rng = np.random.default_rng(0)
    U, points = rng.standard_normal((1, 3, 4, 1)), rng.uniform(0.1, 1.9, (1, 1, 1, 2))
    _, dpoints = loops.sample_backward(np.ones((1, 1, 1, 1)), U, points)
    for axis in range(2):
        shifted = points.astype(complex)
        shifted[..., axis] += 1e-100j
        slope = loops.sample(U, shifted).imag / 1e-100
        np.testing.assert_allclose(slope, dpoints[..., axis : axis + 1], rtol=1e-14)


def test_fractions_stay_exact() -> None:
    V = loops.sample(U_ROW, _at(Fraction(7, 3)))
    assert V.item() == Fraction(17, 3)


def test_an_unknown_lattice_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="lattice: expected one of 'right', 'paper', got 'left'"):
        loops.sample_backward(ONE, U_ROW, _at(2), "left")


class Symbolic:
    """A 2-channel map of 2 x 3 pixels and one sample, all of them unknowns with a place to be.

    They are polynomials, which SymPy handles faster than expressions, and as exactly.
    """

    def __init__(self, x: Fraction, y: Fraction) -> None:
        self.ring, *unknowns = sympy.ring("u0:12 g0:2 x y", sympy.QQ)
        *values, self.x, self.y = unknowns
        self.U = np.array(values[:12], dtype=object).reshape(1, 2, 3, 2)
        self.dV = np.array(values[12:], dtype=object).reshape(1, 1, 1, 2)
        self.where = (*[0] * 14, x, y)

    def shadow(self, value: sympy.polys.rings.PolyElement) -> sympy.Rational:
        return value(*self.where)


def _check_derivative(ring: sympy.polys.rings.PolyRing, L: object, *pairs: tuple) -> None:
    """Check pairs (unknowns, gradients) of arrays."""
    for unknowns, gradients in pairs:
        for unknown, gradient in zip(np.ravel(unknowns), gradients.ravel(), strict=True):
            assert ring(L).diff(unknown) - gradient == 0


CELLS = [
    (Fraction(1, 3), Fraction(2, 7)),
    (Fraction(5, 4), Fraction(1, 2)),
    (Fraction(-1, 2), Fraction(1, 3)),
    (Fraction(9, 4), Fraction(4, 3)),
    (Fraction(-7, 2), Fraction(1, 2)),
]


def test_affine_backward_is_the_symbolic_derivative() -> None:
    theta = np.array(sympy.symbols("t0:6")).reshape(1, 2, 3)
    G = np.array(sympy.symbols("x0:4")).reshape(1, 2, 2)
    dgrid = np.array(sympy.symbols("g0:4")).reshape(1, 1, 2, 2)
    L = (dgrid * loops.affine_grid(theta, G)).sum()
    dtheta = loops.affine_grid_backward(dgrid, G)
    for t, dt in zip(theta.ravel(), dtheta.ravel(), strict=True):
        assert sympy.expand(sympy.diff(L, t) - dt) == 0


KERNELS = list(loops.KERNELS)
FAR_CELLS = [
    (Fraction(1, 3), Fraction(3, 7)),  # inside
    (Fraction(-1, 3), Fraction(5, 4)),  # between the border and one pixel beyond
    (Fraction(17, 3), Fraction(-23, 7)),  # periods away
]


LOOPS = {
    2: (loops.sample, loops.sample_backward, (2, 3, 4, 2), (2, 2, 5, 2)),
    3: (loops.sample_volume, loops.sample_volume_backward, (2, 2, 3, 4, 2), (2, 1, 2, 3, 3)),
}


@pytest.mark.parametrize("d", LOOPS, ids=["2-D", "3-D"])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_sampler_is_the_loops(kernel: str, padding: str, d: int) -> None:
    """On the lattice and off it, inside and periods away."""
    rng = np.random.default_rng(3)
    sample, backward, U_shape, points_shape = LOOPS[d]
    U = rng.standard_normal(U_shape)
    points = rng.integers(-6, 9, points_shape) + rng.choice([0, 0.3, 0.8], points_shape)
    options = {"kernel": kernel, "padding": padding}
    V, cache = sample_forward(U, points, **options)
    dV = rng.standard_normal(V.shape)
    ours = (V, *sample_backward(dV, cache))
    theirs = (sample(U, points, **options), *backward(dV, U, points, **options))
    for actual, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(actual, expected.astype(float), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("kernel", "padding", "x", "y"),
    [(k, p, *cell) for k in KERNELS for p in PADDINGS for cell in FAR_CELLS]
    + [("linear", "zeros", *cell) for cell in CELLS],
)
def test_every_kernel_and_padding_has_its_symbolic_derivative(
    kernel: str, padding: str, x: Fraction, y: Fraction
) -> None:
    """Exactly, in rational numbers: SymPy differentiates the forward and finds the backward."""
    s = Symbolic(x, y)
    points, options = _at(s.x, s.y), {"kernel": kernel, "padding": padding}
    L = (s.dV * loops.sample(s.U, points, s.shadow, **options)).sum()
    dU, dpoints = loops.sample_backward(s.dV, s.U, points, shadow=s.shadow, **options)
    _check_derivative(s.ring, L, (s.U, dU), (points, dpoints))


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_loops_of_volumes_have_their_symbolic_derivative(kernel: str, padding: str) -> None:
    """Coordinates are unknowns; the map is whole numbers, to keep the polynomials short."""
    U = np.arange(1, 9, dtype=object).reshape(1, 2, 2, 2, 1) ** 2
    ring, *xyz = sympy.ring("x y z", sympy.QQ)
    where = Fraction(1, 3), Fraction(-2, 7), Fraction(5, 4)
    points = np.array(xyz, dtype=object).reshape(1, 1, 1, 1, 3)
    options = {"shadow": lambda value: value(*where), "kernel": kernel, "padding": padding}
    L = loops.sample_volume(U, points, **options).item()
    one = np.ones((1, 1, 1, 1, 1), dtype=object)
    dU, dpoints = loops.sample_volume_backward(one, U, points, **options)
    _check_derivative(ring, L, (points, dpoints))
    assert (dU * U).sum() - L == 0  # linear in U


def test_basis_backward_is_the_symbolic_derivative() -> None:
    theta = np.array(sympy.symbols("t0:6")).reshape(1, 3, 2)
    B = np.array(sympy.symbols("b0:6")).reshape(1, 2, 3)
    dgrid = np.array(sympy.symbols("g0:4")).reshape(1, 1, 2, 2)
    L = (dgrid * loops.basis_grid(theta, B)).sum()
    for t, dt in zip(theta.ravel(), loops.basis_grid_backward(dgrid, B).ravel(), strict=True):
        assert sympy.expand(sympy.diff(L, t) - dt) == 0


def test_the_basis_is_the_loops() -> None:
    rng = np.random.default_rng(5)
    theta, B = rng.standard_normal((2, 4, 2)), rng.standard_normal((3, 5, 4))
    grid, cache = basis_grid_forward(theta, B)
    np.testing.assert_allclose(grid, loops.basis_grid(theta, B), atol=1e-13)
    dgrid = rng.standard_normal(grid.shape)
    expected = loops.basis_grid_backward(dgrid, B)
    np.testing.assert_allclose(basis_grid_backward(dgrid, cache), expected, atol=1e-13)


@pytest.mark.parametrize(("x", "y"), CELLS, ids=str)
def test_splat_backward_is_the_symbolic_derivative(x: Fraction, y: Fraction) -> None:
    s = Symbolic(x, y)
    points = _at(s.x, s.y)
    L = (s.U * loops.splat(s.dV, points, (2, 3), s.shadow)).sum()
    dimage, dpoints = loops.splat_backward(s.U, s.dV, points, s.shadow)
    _check_derivative(s.ring, L, (s.dV, dimage), (points, dpoints))


def test_the_splat_is_the_loops_on_and_off_the_lattice() -> None:
    rng = np.random.default_rng(6)
    image = rng.standard_normal((2, 3, 4, 2))
    points = rng.integers(-2, 7, (2, 3, 4, 2)) + rng.choice([0, 0.3, 0.8], (2, 3, 4, 2))
    canvas, cache = splat_forward(image, points, (4, 5))
    np.testing.assert_allclose(canvas, loops.splat(image, points, (4, 5)), atol=1e-13)
    dcanvas = rng.standard_normal(canvas.shape)
    expected = loops.splat_backward(dcanvas, image, points)
    for ours, by_loops in zip(splat_backward(dcanvas, cache), expected, strict=True):
        np.testing.assert_allclose(ours, by_loops.astype(float), atol=1e-13)
