"""Transforms by name: parameters (B, n_params) -> sampling grid, with its derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnref.coordinates import target_grid
from stnref.transforms import affine
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


def _onto_affine(
    identity: Sequence[float], forward: Any, backward: Any, jvp: Any, G: Array
) -> Transform:
    """Chain a map from parameters to matrices with `affine_grid_forward`."""

    def chain_forward(params: ArrayLike) -> tuple[Array, Any]:
        theta, matrix_cache = forward(params)
        grid, grid_cache = affine.affine_grid_forward(theta, G)
        return grid, (matrix_cache, grid_cache)

    def chain_backward(dgrid: ArrayLike, cache: Any) -> Array:
        return backward(affine.affine_grid_backward(dgrid, cache[1]), cache[0])

    def chain_jvp(params_dot: ArrayLike, cache: Any) -> Array:
        return affine.affine_grid_jvp(jvp(params_dot, cache[0]), cache[1])

    return Transform(
        len(identity), np.array(identity, dtype=float), chain_forward, chain_backward, chain_jvp
    )


def _affine_matrix_forward(params: ArrayLike) -> tuple[Array, None]:
    """Take the six entries of theta, row by row."""
    return expect_array("params", params, ("B", 6)).reshape(-1, 2, 3), None


def _affine_matrix_backward(dtheta: Array, cache: None) -> Array:
    return dtheta.reshape(-1, 6)


def _affine_matrix_jvp(params_dot: ArrayLike, cache: None) -> Array:
    return _affine_matrix_forward(params_dot)[0]


_MATRICES = {
    "translation": (
        (0, 0),
        affine.translation_matrix_forward,
        affine.translation_matrix_backward,
        affine.translation_matrix_jvp,
    ),
    "attention": (
        (1, 0, 0),
        affine.attention_matrix_forward,
        affine.attention_matrix_backward,
        affine.attention_matrix_jvp,
    ),
    "rigid": (
        (0, 0, 0),
        affine.rigid_matrix_forward,
        affine.rigid_matrix_backward,
        affine.rigid_matrix_jvp,
    ),
    "similarity": (
        (1, 0, 0, 0),
        affine.similarity_matrix_forward,
        affine.similarity_matrix_backward,
        affine.similarity_matrix_jvp,
    ),
    "affine": (
        (1, 0, 0, 0, 1, 0),
        _affine_matrix_forward,
        _affine_matrix_backward,
        _affine_matrix_jvp,
    ),
}

TRANSFORMS = tuple(_MATRICES)
"""Names that `get_transform` knows."""


def get_transform(name: str, out_shape: Sequence[int], *, align_corners: bool = True) -> Transform:
    """Return the transform of that name onto an output of size `out_shape`.

    Parameters
    ----------
    name : "translation", "attention", "rigid", "similarity" or "affine"
        Their parameters are those of ``<name>_matrix_forward``; of the affine transform
        they are the six entries of theta, row by row.
    out_shape : (H', W')
        Size of the output, in pixels.
    align_corners : bool
        Corner rule of the target grid, see `target_grid`.

    Returns
    -------
    Transform

    Raises
    ------
    ValueError
        The name is unknown, or the size is not two positive integers.

    Examples
    --------
    >>> rigid = get_transform("rigid", (4, 5))
    >>> rigid.n_params, rigid.identity.tolist(), rigid.forward(np.zeros((7, 3)))[0].shape
    (3, [0.0, 0.0, 0.0], (7, 4, 5, 2))
    """
    expect_choice("name", name, TRANSFORMS)
    G = target_grid(expect_sizes("out_shape", out_shape, (2,)), align_corners=align_corners)
    return _onto_affine(*_MATRICES[name], G)
