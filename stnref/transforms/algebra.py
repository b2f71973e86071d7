r"""Algebra of matrices: compose, invert, and between normalised and pixel coordinates.

A matrix maps *target to source*. Affine ones are (2, 3) or (3, 4); the rows 0 0 1 (0 0 0 1)
that make them square are implied. Homographies are (3, 3). In square form

.. math::  A B, \qquad A^{-1}, \qquad M = N_{in} A N_{out}^{-1}

with N of a map's size taking its normalised coordinates to its pixels. The matrices of
OpenCV's ``warpAffine(..., flags=WARP_INVERSE_MAP)`` and of scikit-image's
``warp(image, AffineTransform(...))`` map output pixels (x, y, 1) to input pixels, as M does:
`from_pixel_matrix` takes them as they are, with an axis for the batch. The affine ones of
scikit-image are (3, 3); their first two rows are the affine form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stnref.coordinates import normalize, unnormalize_forward
from stnref.validation import Array, expect_array, expect_finite, expect_sizes

MATRICES = (("B", 2, 3), ("B", 3, 4), ("B", 3, 3))
"""Shapes of matrices: affine 2-D, affine 3-D, projective 2-D."""


def _square(A: Array, corner: int = 1) -> Array:
    """Add the implied row 0 … 0 `corner` to affine matrices; it is 0 for tangents and gradients."""
    _, rows, columns = A.shape
    if rows == columns:
        return A
    last = np.zeros((len(A), 1, columns), A.dtype)
    last[..., -1] = corner
    return np.concatenate([A, last], axis=1)  # (B, columns, columns)


# ---------------------------------------------------------------------------------- compose


class ComposeCache(NamedTuple):
    """The two matrices, references to the inputs."""

    A: Array  # (B, 2, 3), (B, 3, 4) or (B, 3, 3)
    B: Array  # as A


def compose_forward(A: ArrayLike, B: ArrayLike) -> tuple[Array, ComposeCache]:
    """Return the product A B: a target point meets B first, then A.

    Parameters
    ----------
    A, B : (B, 2, 3), (B, 3, 4) or (B, 3, 3)
        Matrices, target to source, both of one shape.

    Returns
    -------
    C : as `A` and `B`
        As matrices map target to source, the *pictures* come in the other order: sampling
        with C is to sample with A, and then the result with B.
    cache : ComposeCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit.

    Examples
    --------
    >>> zoom, shift = np.eye(2, 3)[None] / 2, np.array([[[1.0, 0, 0.5], [0, 1, 0]]])
    >>> compose(zoom, shift).tolist()
    [[[0.5, 0.0, 0.25], [0.0, 0.5, 0.0]]]
    """
    A = expect_array("A", A, *MATRICES)
    B = expect_array("B", B, A.shape)
    return (_square(A) @ _square(B))[:, : A.shape[1]], ComposeCache(A, B)


def compose_backward(dC: ArrayLike, cache: ComposeCache) -> tuple[Array, Array]:
    """Return dA = dC B^T and dB = A^T dC."""
    A, B = cache
    rows = A.shape[1]
    dC = _square(expect_array("dC", dC, A.shape), corner=0)
    dA, dB = dC @ _square(B).swapaxes(1, 2), _square(A).swapaxes(1, 2) @ dC
    return dA[:, :rows], dB[:, :rows]


def compose_jvp(A_dot: ArrayLike | None, B_dot: ArrayLike | None, cache: ComposeCache) -> Array:
    """Return C_dot = A_dot B + A B_dot; a tangent None is zero."""
    A, B = cache
    A_dot = np.zeros_like(A) if A_dot is None else expect_array("A_dot", A_dot, A.shape)
    B_dot = np.zeros_like(B) if B_dot is None else expect_array("B_dot", B_dot, B.shape)
    C_dot = _square(A_dot, corner=0) @ _square(B) + _square(A) @ _square(B_dot, corner=0)
    return C_dot[:, : A.shape[1]]


def compose(A: ArrayLike, B: ArrayLike) -> Array:
    """Return A B: `compose_forward` without its cache."""
    return compose_forward(A, B)[0]


# ----------------------------------------------------------------------------------- invert


class InvertCache(NamedTuple):
    """The inverse, in the form of the input."""

    N: Array  # (B, 2, 3), (B, 3, 4) or (B, 3, 3)


def invert_forward(A: ArrayLike) -> tuple[Array, InvertCache]:
    """Return the inverse of A: source to target.

    Parameters
    ----------
    A : (B, 2, 3), (B, 3, 4) or (B, 3, 3)

    Returns
    -------
    N : as `A`
    cache : InvertCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit, an entry is not finite, or a matrix is singular: the
        condition number of its real part, of an affine one without the translation, is not
        below 1 / eps.

    Examples
    --------
    >>> invert(np.array([[[0.5, 0, 0], [0, 0.25, 1]]])).tolist()
    [[[2.0, 0.0, 0.0], [0.0, 4.0, -4.0]]]
    """
    A = expect_array("A", A, *MATRICES)
    expect_finite("A", A)
    rows = A.shape[1]
    condition = np.linalg.cond(A[:, :, :rows].real)
    singular = ~(condition < 1 / np.finfo(A.dtype).eps)
    if singular.any():
        index = int(np.argmax(singular))
        raise ValueError(
            "A: expected invertible matrices, got one with condition number "
            f"{condition[index]:.1e} at index {index}"
        )
    N = np.linalg.inv(_square(A))[:, :rows]
    return N, InvertCache(N)


def invert_backward(dN: ArrayLike, cache: InvertCache) -> Array:
    """Return dA = -N^T dN N^T."""
    (N,) = cache
    dN = _square(expect_array("dN", dN, N.shape), corner=0)
    transposed = _square(N).swapaxes(1, 2)
    return -(transposed @ dN @ transposed)[:, : N.shape[1]]


def invert_jvp(A_dot: ArrayLike, cache: InvertCache) -> Array:
    """Return N_dot = -N A_dot N."""
    (N,) = cache
    A_dot = _square(expect_array("A_dot", A_dot, N.shape), corner=0)
    return -(_square(N) @ A_dot @ _square(N))[:, : N.shape[1]]


def invert(A: ArrayLike) -> Array:
    """Return the inverse of A: `invert_forward` without its cache."""
    return invert_forward(A)[0]


# ------------------------------------------------------------- normalised <-> pixel matrices


class PixelMatrixCache(NamedTuple):
    """The constant matrices on both sides, and the form of the one between them."""

    left: Array  # (d + 1, d + 1)
    right: Array  # (d + 1, d + 1)
    shape: tuple[int, ...]


def to_pixel_matrix_forward(
    A: ArrayLike, in_shape: Sequence[int], out_shape: Sequence[int], *, align_corners: bool = True
) -> tuple[Array, PixelMatrixCache]:
    """Return the matrix that maps target pixels to source pixels, M = N_in A N_out^-1.

    Parameters
    ----------
    A : (B, 2, 3), (B, 3, 4) or (B, 3, 3)
        Matrices between normalised coordinates, target to source.
    in_shape : (H, W) or (D, H, W)
        Size of the input map, the source.
    out_shape : (H', W') or (D', H', W')
        Size of the output, the target.
    align_corners : bool
        Corner rule of both, see `target_grid`.

    Returns
    -------
    M : as `A`
        M (x, y, 1) is the source pixel of target pixel (x, y): what OpenCV's
        ``warpAffine`` takes with the flag ``WARP_INVERSE_MAP``, for each matrix by itself.
    cache : PixelMatrixCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit.

    Notes
    -----
    On an axis of size one with aligned corners no scale is defined: the target's only pixel is
    at 0, as in `target_grid` (d = 1), and every source coordinate means pixel 0, as in
    `unnormalize_forward` (d = 0).

    Examples
    --------
    >>> to_pixel_matrix(np.eye(2, 3)[None], (4, 9), (4, 5)).tolist()
    [[[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]
    """
    A = expect_array("A", A, *MATRICES)
    left = _to_pixels(A, "in_shape", in_shape, align_corners)
    right = _to_normalised(A, "out_shape", out_shape, align_corners)
    return _sandwich(left, A, right), PixelMatrixCache(left, right, A.shape)


def to_pixel_matrix_backward(dM: ArrayLike, cache: PixelMatrixCache) -> Array:
    """Return dA: what stands on both sides of A comes to dM transposed."""
    left, right, shape = cache
    return _sandwich(left.T, expect_array("dM", dM, shape), right.T, corner=0)


def to_pixel_matrix_jvp(A_dot: ArrayLike, cache: PixelMatrixCache) -> Array:
    """Return M_dot = N_in A_dot N_out^-1."""
    left, right, shape = cache
    return _sandwich(left, expect_array("A_dot", A_dot, shape), right, corner=0)


def to_pixel_matrix(
    A: ArrayLike, in_shape: Sequence[int], out_shape: Sequence[int], *, align_corners: bool = True
) -> Array:
    """Return the pixel matrix of A: `to_pixel_matrix_forward` without its cache."""
    return to_pixel_matrix_forward(A, in_shape, out_shape, align_corners=align_corners)[0]


def from_pixel_matrix_forward(
    M: ArrayLike, in_shape: Sequence[int], out_shape: Sequence[int], *, align_corners: bool = True
) -> tuple[Array, PixelMatrixCache]:
    """Return the normalised matrix of a pixel matrix, A = N_in^-1 M N_out.

    Parameters
    ----------
    M : (B, 2, 3), (B, 3, 4) or (B, 3, 3)
        Matrices from target pixels (x, y, 1) to source pixels: those of OpenCV's
        ``warpAffine`` with the flag ``WARP_INVERSE_MAP`` and of scikit-image's ``warp``, as
        ``M[None]``.
    in_shape, out_shape, align_corners
        See `to_pixel_matrix_forward`.

    Returns
    -------
    A : as `M`
        What `affine_grid_forward` (`projective_grid_forward`) takes.
    cache : PixelMatrixCache

    Raises
    ------
    TypeError, ValueError
        A dtype or a shape does not fit.

    Notes
    -----
    The inverse of `to_pixel_matrix_forward`, except on an axis of size one with aligned
    corners: there a source coordinate is normalised with d = 1, as in `normalize`, and
    `unnormalize_forward` takes it back to pixel 0 whatever it was. For a source with such
    an axis take ``align_corners=False``.

    Examples
    --------
    >>> one_to_the_right = np.array([[1.0, 0, 1], [0, 1, 0]])
    >>> from_pixel_matrix(one_to_the_right[None], (3, 5), (3, 5)).tolist()
    [[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]]
    """
    M = expect_array("M", M, *MATRICES)
    left = _to_normalised(M, "in_shape", in_shape, align_corners)
    right = _to_pixels(M, "out_shape", out_shape, align_corners)
    return _sandwich(left, M, right), PixelMatrixCache(left, right, M.shape)


def from_pixel_matrix_backward(dA: ArrayLike, cache: PixelMatrixCache) -> Array:
    """Return dM: what stands on both sides of M comes to dA transposed."""
    left, right, shape = cache
    return _sandwich(left.T, expect_array("dA", dA, shape), right.T, corner=0)


def from_pixel_matrix_jvp(M_dot: ArrayLike, cache: PixelMatrixCache) -> Array:
    """Return A_dot = N_in^-1 M_dot N_out."""
    left, right, shape = cache
    return _sandwich(left, expect_array("M_dot", M_dot, shape), right, corner=0)


def from_pixel_matrix(
    M: ArrayLike, in_shape: Sequence[int], out_shape: Sequence[int], *, align_corners: bool = True
) -> Array:
    """Return the normalised matrix of M: `from_pixel_matrix_forward` without its cache."""
    return from_pixel_matrix_forward(M, in_shape, out_shape, align_corners=align_corners)[0]


def _sandwich(left: Array, A: Array, right: Array, corner: int = 1) -> Array:
    return (left @ _square(A, corner) @ right)[:, : A.shape[1]]


def _to_pixels(A: Array, name: str, shape: Sequence[int], align_corners: bool) -> Array:
    """Return N, from normalised coordinates to pixels: x = g d / 2 + (n - 1) / 2."""
    origin = np.zeros(A.shape[2] - 1)
    sizes = expect_sizes(name, shape, (len(origin),))
    shift, (slope, _) = unnormalize_forward(origin, sizes, align_corners=align_corners)
    return _scale_and_shift(slope, shift).astype(A.real.dtype)


def _to_normalised(A: Array, name: str, shape: Sequence[int], align_corners: bool) -> Array:
    """Return N^-1, from pixels to normalised coordinates: g = 2 x / d - (n - 1) / d."""
    origin = np.zeros(A.shape[2] - 1)
    sizes = expect_sizes(name, shape, (len(origin),))
    shift = normalize(origin, sizes, align_corners=align_corners)
    _, (slope, _) = unnormalize_forward(origin, sizes, align_corners=align_corners)
    scale = 1 / np.where(slope > 0, slope, 0.5)  # d = 1 where aligned corners have d = 0
    return _scale_and_shift(scale, shift).astype(A.real.dtype)


def _scale_and_shift(scale: Array, shift: Array) -> Array:
    """Return the square matrix of x -> scale x + shift, (d + 1, d + 1)."""
    matrix = np.diag(np.append(scale, 1.0))
    matrix[:-1, -1] = shift
    return matrix
