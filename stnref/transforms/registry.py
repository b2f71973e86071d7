"""Transforms by name: parameters (B, n_params) -> sampling grid, with its derivatives.

Each is a chain of pairs that end in a grid: a matrix from its parameters, then the grid of
that matrix; or the displacements of control points, spread by a basis, added to the target
grid. At the identity parameters both give the target grid bit by bit.

Derivation: ``docs/derivations/grid_generator.md``, equation G1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import getfullargspec
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnref.coordinates import target_grid
from stnref.pairs import Pair, pair_of
from stnref.transforms import affine, basis, flow, projective
from stnref.transforms.basis import bspline_basis, bspline_points, regular_points, thin_plate_basis
from stnref.validation import Array, expect_array, expect_choice, expect_sizes


class Transform(NamedTuple):
    """A transform onto a fixed output size.

    Attributes
    ----------
    n_params : int
        Number of parameters, the width of the regression layer.
    identity : (n_params,)
        The parameters that give the target grid itself.
    forward : callable
        ``params (B, n_params) -> grid (B, H', W', 2), cache``.
    backward : callable
        ``dgrid, cache -> dparams``.
    jvp : callable
        ``params_dot, cache -> grid_dot``.
    """

    n_params: int
    identity: NDArray[np.float64]
    forward: Callable[[ArrayLike], tuple[Array, Any]]
    backward: Callable[[ArrayLike, Any], Array]
    jvp: Callable[[ArrayLike, Any], Array]


def chain(identity: ArrayLike, *pairs: Pair) -> Transform:
    """Return the transform that applies the pairs one after the other.

    Parameters
    ----------
    identity : (n_params,)
        The parameters that give the target grid.
    *pairs : Pair
        The first takes the parameters, the last gives the grid; each has a jvp. The cache is
        the tuple of theirs.

    Returns
    -------
    Transform

    Notes
    -----
    The chain rule (G1): jvp = J_n … J_1 from right to left, backward = J_1^T … J_n^T.

    Examples
    --------
    >>> matrix = pair_of(vars(affine), "rigid_matrix")
    >>> grid = pair_of(vars(affine), "affine_grid", G=target_grid((4, 5)))
    >>> chain((0, 0, 0), matrix, grid).forward(np.zeros((2, 3)))[0].shape
    (2, 4, 5, 2)
    """

    def forward(params: ArrayLike) -> tuple[Array, tuple[Any, ...]]:
        value: Any = params
        caches = []
        for pair in pairs:
            value, cache = pair.forward(value)
            caches.append(cache)
        return value, tuple(caches)

    def backward(dgrid: ArrayLike, caches: tuple[Any, ...]) -> Array:
        gradient: Any = dgrid
        for pair, cache in zip(pairs[::-1], caches[::-1], strict=True):
            gradient = pair.backward(gradient, cache)  # G1
        return gradient

    def jvp(params_dot: ArrayLike, caches: tuple[Any, ...]) -> Array:
        tangent: Any = params_dot
        for pair, cache in zip(pairs, caches, strict=True):
            assert pair.jvp is not None
            tangent = pair.jvp(tangent, cache)  # G1
        return tangent

    start = np.array(identity, dtype=float)
    return Transform(len(start), start, forward, backward, jvp)


# ------------------------------------------------------------------- parameters to matrices


def _entries(*shape: int, last_is_one: bool = False) -> Pair:
    """The parameters are the entries of an array, row by row, or all but the last, which is 1."""
    size = prod(shape) - last_is_one

    def entries(name: str, params: ArrayLike, last: int) -> Array:
        params = expect_array(name, params, ("B", size))
        if last_is_one:
            params = np.insert(params, size, last, axis=1)
        return params.reshape(-1, *shape)

    def forward(params: ArrayLike) -> tuple[Array, None]:
        return entries("params", params, 1), None

    def backward(dtheta: Array, cache: None) -> Array:
        return dtheta.reshape(len(dtheta), prod(shape))[:, :size]

    def jvp(params_dot: ArrayLike, cache: None) -> Array:
        return entries("params_dot", params_dot, 0)

    return Pair(forward, backward, jvp)


_MATRICES: Mapping[str, tuple[tuple[int, ...], Pair]] = {
    "translation": ((0, 0), pair_of(vars(affine), "translation_matrix")),
    "attention": ((1, 0, 0), pair_of(vars(affine), "attention_matrix")),
    "rigid": ((0, 0, 0), pair_of(vars(affine), "rigid_matrix")),
    "similarity": ((1, 0, 0, 0), pair_of(vars(affine), "similarity_matrix")),
    "affine": ((1, 0, 0, 0, 1, 0), _entries(2, 3)),
    "affine3d": ((1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0), _entries(3, 4)),
    "projective": ((1, 0, 0, 0, 1, 0, 0, 0), _entries(3, 3, last_is_one=True)),
}
"""Of each family the identity parameters, and the pair that makes the matrix."""


def _matrix_transform(name: str, G: Array, **options: Any) -> Transform:
    """A matrix from the parameters, then its grid."""
    identity, matrix = _MATRICES[name]
    room, grid = (
        (projective, "projective_grid") if name == "projective" else (affine, "affine_grid")
    )
    return chain(identity, matrix, pair_of(vars(room), grid, G=G, **options))


# -------------------------------------------------------------------------- control points


def _tps(G: Array, *, control_shape: Sequence[int] = (4, 4), stiffness: float = 0.0) -> Transform:
    points = regular_points(expect_sizes("control_shape", control_shape, (2,)))
    return _control_point_transform(points, thin_plate_basis(points, G, stiffness=stiffness), G)


def _bspline(G: Array, *, control_shape: Sequence[int] = (4, 4)) -> Transform:
    points = bspline_points(control_shape)
    return _control_point_transform(points, bspline_basis(control_shape, G), G)


def _control_point_transform(points: Array, B: Array, G: Array) -> Transform:
    """grid = B theta, computed as G + B (theta - points): the same, as B points = G.

    So the round-off of the basis is one of the displacements, none at the identity.
    """
    reshape = _entries(*points.shape)

    def forward(params: ArrayLike) -> tuple[Array, None]:
        theta, cache = reshape.forward(params)
        return theta - points.astype(theta.real.dtype), cache

    return chain(
        points.ravel(),
        Pair(forward, reshape.backward, reshape.jvp),
        pair_of(vars(basis), "basis_grid", B=B),
        pair_of(vars(flow), "flow_grid", G=G),
    )


_SPLINES: Mapping[str, Callable[..., Transform]] = {"tps": _tps, "bspline": _bspline}

_TAKES_OPTIONS = {**_SPLINES, "projective": projective.projective_grid_forward}
"""The functions whose keyword-only arguments are the options of a transform."""

TRANSFORMS_3D = ("affine3d",)
"""Names that `get_transform` knows, of transforms onto volumes."""

TRANSFORMS = (*(name for name in _MATRICES if name not in TRANSFORMS_3D), *_SPLINES)
"""Names that `get_transform` knows, of transforms onto pictures."""


def get_transform(
    name: str, out_shape: Sequence[int], *, align_corners: bool = True, **options: Any
) -> Transform:
    """Return the transform of that name onto an output of size `out_shape`.

    Parameters
    ----------
    name : str
        One of `TRANSFORMS` or of `TRANSFORMS_3D`; the parameters are

        ==============  =================================================================
        "translation"   tx, ty
        "attention"     s, tx, ty
        "rigid"         angle, tx, ty
        "similarity"    s, angle, tx, ty
        "affine"        the six entries of theta (2, 3), row by row
        "affine3d"      the twelve entries of theta (3, 4), row by row
        "projective"    eight entries of theta (3, 3), row by row; the ninth is 1
        "tps"           x, y of each control point in the source, row by row
        "bspline"       x, y of each control point in the source, row by row
        ==============  =================================================================
    out_shape : (H', W'), or (D', H', W') for "affine3d"
        Size of the output, in pixels.
    align_corners : bool
        Corner rule of the target grid, see `target_grid`.
    **options
        "tps" takes ``control_shape=(4, 4)``, see `regular_points`, and ``stiffness=0.0``, see
        `thin_plate_basis`; "bspline" takes ``control_shape=(4, 4)``, see `bspline_points`;
        "projective" takes ``horizon="hide"``, see `projective_grid_forward`.

    Returns
    -------
    Transform

    Raises
    ------
    TypeError
        The transform has no option of that name.
    ValueError
        The name is unknown, the size is not two (three) positive integers, or the value of
        an option does not fit.

    Examples
    --------
    >>> rigid = get_transform("rigid", (4, 5))
    >>> rigid.n_params, rigid.identity.tolist(), rigid.forward(np.zeros((7, 3)))[0].shape
    (3, [0.0, 0.0, 0.0], (7, 4, 5, 2))
    >>> get_transform("tps", (4, 5), control_shape=(3, 2)).n_params
    12
    """
    expect_choice("name", name, (*TRANSFORMS, *TRANSFORMS_3D))
    known = getfullargspec(_TAKES_OPTIONS[name]).kwonlyargs if name in _TAKES_OPTIONS else []
    for option in options:
        if option not in known:
            expected = " or ".join(repr(k) for k in known) or "none"
            raise TypeError(f"options of {name!r}: expected {expected}, got {option!r}")
    axes = 3 if name in TRANSFORMS_3D else 2
    G = target_grid(expect_sizes("out_shape", out_shape, (axes,)), align_corners=align_corners)
    if name in _SPLINES:
        return _SPLINES[name](G, **options)
    return _matrix_transform(name, G, **options)
