"""SymPy differentiates the forward and finds the backward: exactly, or to the last digit."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import sympy

from stnref import loops, target_grid, transforms
from stnref.pairs import Pair, pair_of
from stnref.transforms import (
    bounded,
    compose_backward,
    compose_forward,
    fit_affine_backward,
    fit_affine_forward,
    fit_homography_backward,
    fit_homography_forward,
    invert_backward,
    invert_forward,
    positive,
    projective_grid_backward,
    projective_grid_forward,
)


def _symbols(letter: str, *shape: int) -> np.ndarray:
    return np.array(sympy.symbols(f"{letter}0:{np.prod(shape)}")).reshape(shape)


def _is_zero(expression: sympy.Expr) -> bool:
    return sympy.cancel(sympy.together(expression)) == 0


# ------------------------------------------------------------------------------- projective


@pytest.mark.parametrize("hidden", [False, True], ids=["in front", "behind"])
def test_projective_backward_is_the_symbolic_derivative(hidden: bool) -> None:
    """All nine entries, two points, everything a symbol; only the sign of Z is given."""
    theta, G = _symbols("t", 1, 3, 3), _symbols("x", 1, 2, 2)
    dgrid = _symbols("g", 1, 1, 2, 2)
    third_row = [0, 0, -1 if hidden else 1]
    where = {**dict(zip(theta[0, 2], third_row, strict=True)), **dict.fromkeys(G.ravel(), 1)}

    def shadow(value: object) -> sympy.Expr:
        return sympy.sympify(value).subs(where)

    L = sympy.sympify((dgrid * loops.projective_grid(theta, G, shadow)).sum())
    dtheta = loops.projective_grid_backward(dgrid, theta, G, shadow)
    for t, dt in zip(theta.ravel(), dtheta.ravel(), strict=True):
        assert _is_zero(sympy.diff(L, t) - dt)
        assert hidden == (sympy.sympify(dt) == 0)


@pytest.mark.parametrize("slope", [0.3, 2.5], ids=["in front", "with a horizon"])
def test_the_homography_is_the_loops(slope: float) -> None:
    rng = np.random.default_rng(0)
    theta, G = np.eye(3) + 0.2 * rng.standard_normal((2, 3, 3)), target_grid((3, 4))
    theta[:, 2, 1] += slope
    grid, cache = projective_grid_forward(theta, G)
    dgrid = rng.standard_normal(grid.shape)
    dtheta = projective_grid_backward(dgrid, cache)
    np.testing.assert_allclose(grid, loops.projective_grid(theta, G), rtol=1e-13)
    expected = loops.projective_grid_backward(dgrid, theta, G)
    np.testing.assert_allclose(dtheta, expected, rtol=1e-12, atol=1e-12)


# ------------------------------------------------------------------------ matrix parameters

Formula = Callable[..., Sequence[sympy.Expr]]
cos, sin = sympy.cos, sympy.sin

MATRICES: dict[str, tuple[Formula, list[str]]] = {
    "translation": (lambda tx, ty: (1, 0, tx, 0, 1, ty), ["1/3", "-2/7"]),
    "attention": (lambda s, tx, ty: (s, 0, tx, 0, s, ty), ["5/4", "1/3", "-2/7"]),
    "rigid": (
        lambda a, tx, ty: (cos(a), -sin(a), tx, sin(a), cos(a), ty),
        ["3/5", "1/3", "-2/7"],
    ),
    "similarity": (
        lambda s, a, tx, ty: (s * cos(a), -s * sin(a), tx, s * sin(a), s * cos(a), ty),
        ["5/4", "3/5", "1/3", "-2/7"],
    ),
}
"""The matrix as it stands in the paper, and a place to compare at."""


def _compare(formula: Formula, place: Sequence[str], pair: Pair) -> None:
    """Compare values and gradients with SymPy's, worked out to thirty digits."""
    p = sympy.symbols(f"p0:{len(place)}")
    at = [sympy.Rational(value) for value in place]
    out = [sympy.sympify(entry) for entry in formula(*p)]
    dout = [sympy.Rational(k + 2, 7) for k in range(len(out))]
    L = sum(d * entry for d, entry in zip(dout, out, strict=True))
    where = dict(zip(p, at, strict=True))

    def number(expression: sympy.Expr) -> float:
        return float(expression.subs(where).evalf(30))

    value, cache = pair.forward(np.array([at], dtype=float))
    np.testing.assert_allclose(value.ravel(), [number(entry) for entry in out], rtol=1e-14)
    gradient = pair.backward(np.array(dout, dtype=float).reshape(value.shape), cache)
    np.testing.assert_allclose(
        gradient[0], [number(sympy.diff(L, q)) for q in p], rtol=1e-14, atol=1e-14
    )


@pytest.mark.parametrize("name", MATRICES)
def test_matrix_entries(name: str) -> None:
    _compare(*MATRICES[name], pair_of(vars(transforms), f"{name}_matrix"))


def test_constraints() -> None:
    def formula(r: sympy.Expr, q: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
        return -sympy.Rational(1, 2) + sympy.Rational(5, 4) * (1 + sympy.tanh(r)), 3 * sympy.exp(q)

    constraints = [bounded(-0.5, 2.0), positive(3.0)]
    pair = pair_of(vars(transforms), "constrain", constraints=constraints)
    _compare(formula, ["2/3", "-5/4"], pair)


# ------------------------------------------------------------------------------ the algebra

PLACE = ["5/4", "1/3", "-2/7", "-3/8", "6/5", "1/9"]


def _homogeneous(entries: Sequence[sympy.Expr]) -> sympy.Matrix:
    return sympy.Matrix([entries[:3], entries[3:], [0, 0, 1]])


def _entries(matrix: sympy.Matrix) -> list[sympy.Expr]:
    return list(matrix[:2, :])


def _affine(params: np.ndarray) -> np.ndarray:
    return params.reshape(-1, 2, 3)


def _flat(*gradients: np.ndarray) -> np.ndarray:
    return np.concatenate([gradient.reshape(1, -1) for gradient in gradients], axis=1)


def test_compose() -> None:
    _compare(
        lambda *p: _entries(_homogeneous(p[:6]) * _homogeneous(p[6:])),
        [*PLACE, *PLACE[::-1]],
        Pair(
            lambda p: compose_forward(_affine(p[:, :6]), _affine(p[:, 6:])),
            lambda dC, cache: _flat(*compose_backward(dC, cache)),
        ),
    )


def test_invert() -> None:
    _compare(
        lambda *p: _entries(_homogeneous(p).inv()),
        PLACE,
        Pair(
            lambda p: invert_forward(_affine(p)),
            lambda dN, cache: _flat(invert_backward(dN, cache)),
        ),
    )


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("direction", ["to", "from"])
def test_pixel_matrices(direction: str, align_corners: bool) -> None:
    """M = N_in A N_out^-1, where N takes normalised coordinates to pixels."""
    in_shape, out_shape = (4, 5), (3, 6)

    def to_pixels(shape: tuple[int, int]) -> sympy.Matrix:
        (H, W), less = shape, 1 if align_corners else 0
        half = sympy.Rational(1, 2)
        return sympy.Matrix(
            [
                [(W - less) * half, 0, (W - 1) * half],
                [0, (H - less) * half, (H - 1) * half],
                [0, 0, 1],
            ]
        )

    N_in, N_out = to_pixels(in_shape), to_pixels(out_shape)
    name, shapes = f"{direction}_pixel_matrix", {"in_shape": in_shape, "out_shape": out_shape}
    ours = pair_of(vars(transforms), name, align_corners=align_corners, **shapes)

    def formula(*p: sympy.Expr) -> list[sympy.Expr]:
        A = _homogeneous(p)
        return _entries(N_in * A * N_out.inv() if direction == "to" else N_in.inv() * A * N_out)

    pair = Pair(
        lambda p: ours.forward(_affine(p)), lambda dM, cache: _flat(ours.backward(dM, cache))
    )
    _compare(formula, PLACE, pair)


# -------------------------------------------------------------------------------- from points


def _halves(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first half of the entries are points of the target, the rest those of the source."""
    target, source = np.split(p.reshape(1, -1, 2), 2, axis=1)
    return target, source


def test_an_affine_map_through_three_points() -> None:
    """Cramer's rule, with all twelve coordinates as symbols."""

    def formula(*p: sympy.Expr) -> list[sympy.Expr]:
        points = sympy.Matrix(3, 3, lambda k, c: p[2 * k + c] if c < 2 else 1)
        source = sympy.Matrix(3, 2, p[6:])
        return list((points.adjugate() * source / points.det()).T)

    pair = Pair(
        lambda p: fit_affine_forward(*_halves(p)),
        lambda dtheta, cache: _flat(*fit_affine_backward(dtheta, cache)),
    )
    _compare(formula, ["-1", "-5/4", "3/4", "-2/3", "1/5", "7/8", *PLACE], pair)


def test_a_homography_of_the_unit_square() -> None:
    """Heckbert's formula (1989), with the eight coordinates of the source as symbols."""
    square = np.array([[[0.0, 0], [1, 0], [1, 1], [0, 1]]])

    def formula(*p: sympy.Expr) -> list[sympy.Expr]:
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = zip(p[::2], p[1::2], strict=True)
        sx, sy = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
        ax, ay, bx, by = x1 - x2, y1 - y2, x3 - x2, y3 - y2
        det = ax * by - bx * ay
        g, h = (sx * by - bx * sy) / det, (ax * sy - sx * ay) / det
        first = [x1 - x0 + g * x1, x3 - x0 + h * x3, x0]
        return [*first, y1 - y0 + g * y1, y3 - y0 + h * y3, y0, g, h, 1]

    pair = Pair(
        lambda p: fit_homography_forward(square, p.reshape(1, 4, 2)),
        lambda dtheta, cache: _flat(fit_homography_backward(dtheta, cache)[1]),
    )
    place = ["-1", "-5/4", "3/4", "-2/3", "7/8", "6/5", "-3/4", "5/6"]
    _compare(formula, place, pair)
