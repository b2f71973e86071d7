"""The literal loops themselves: every kind of number, and the lattice."""

from fractions import Fraction

import numpy as np
import pytest
import sympy

from stnref import loops, sample_backward, sample_forward

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
    """A 2-channel map of 2 x 3 pixels and one sample, all of them symbols with a place to be."""

    def __init__(self, x: Fraction, y: Fraction) -> None:
        self.U = np.array(sympy.symbols("u0:12")).reshape(1, 2, 3, 2)
        self.x, self.y = sympy.symbols("x y")
        self.dV = np.array(sympy.symbols("g0:2")).reshape(1, 1, 1, 2)
        self.where = {self.x: sympy.Rational(x), self.y: sympy.Rational(y)}

    def shadow(self, value: object) -> sympy.Expr:
        return sympy.sympify(value).subs(self.where)


CELLS = [
    (Fraction(1, 3), Fraction(2, 7)),
    (Fraction(5, 4), Fraction(1, 2)),
    (Fraction(-1, 2), Fraction(1, 3)),
    (Fraction(9, 4), Fraction(4, 3)),
    (Fraction(-7, 2), Fraction(1, 2)),
]


@pytest.mark.parametrize(("x", "y"), CELLS, ids=str)
def test_backward_is_the_symbolic_derivative_inside_every_kind_of_cell(
    x: Fraction, y: Fraction
) -> None:
    s = Symbolic(x, y)
    points = _at(s.x, s.y)
    V = loops.sample(s.U, points, s.shadow)
    L = sympy.sympify((s.dV * V).sum())
    dU, dpoints = loops.sample_backward(s.dV, s.U, points, shadow=s.shadow)
    for u, du in zip(s.U.ravel(), dU.ravel(), strict=True):
        assert sympy.expand(sympy.diff(L, u) - du) == 0
    for coordinate, d in zip((s.x, s.y), dpoints.ravel(), strict=True):
        assert sympy.expand(sympy.diff(L, coordinate) - d) == 0


def test_affine_backward_is_the_symbolic_derivative() -> None:
    theta = np.array(sympy.symbols("t0:6")).reshape(1, 2, 3)
    G = np.array(sympy.symbols("x0:4")).reshape(1, 2, 2)
    dgrid = np.array(sympy.symbols("g0:4")).reshape(1, 1, 2, 2)
    L = (dgrid * loops.affine_grid(theta, G)).sum()
    dtheta = loops.affine_grid_backward(dgrid, G)
    for t, dt in zip(theta.ravel(), dtheta.ravel(), strict=True):
        assert sympy.expand(sympy.diff(L, t) - dt) == 0


def test_the_sampler_equals_the_loops_on_and_off_the_lattice() -> None:
    rng = np.random.default_rng(1)
    U = rng.standard_normal((2, 3, 4, 2))
    points = rng.uniform(-2, 5, (2, 3, 2, 2))
    points[:, 0] = rng.integers(-2, 6, (2, 2, 2))
    dV = rng.standard_normal((2, 3, 2, 2))
    V, cache = sample_forward(U, points)
    dU, dpoints = sample_backward(dV, cache)
    expected_dU, expected_dpoints = loops.sample_backward(dV, U, points)
    np.testing.assert_allclose(V, loops.sample(U, points), atol=1e-14)
    np.testing.assert_allclose(dU, expected_dU, atol=1e-14)
    np.testing.assert_allclose(dpoints, expected_dpoints, atol=1e-14)
