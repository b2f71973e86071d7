r"""Algebra of matrices: compose, invert, and between normalised and pixel coordinates.

A matrix maps *target to source*. Affine ones are (2, 3) or (3, 4); the rows 0 0 1 (0 0 0 1)
that make them square are implied. Homographies, and affine 3-D ones with their last row, are
square as they come: (3, 3) and (4, 4). In square form

.. math::  A B, \qquad A^{-1}, \qquad M = Q_{in} A Q_{out}^{-1}

with Q of a map's size taking its normalised coordinates to its pixels. The matrices of
OpenCV's ``warpAffine(..., flags=WARP_INVERSE_MAP)`` and of scikit-image's
``warp(image, AffineTransform(...))`` map output pixels (x, y, 1) to input pixels, as M does:
`from_pixel_matrix` takes them as they are, with an axis for the batch. The affine ones of
scikit-image are (3, 3); their first two rows are the affine form. Derivation:
``docs/derivations/transforms.md``, equations T19 to T24.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from stnref.coordinates import normalize, unnormalize_forward
from stnref.validation import Array, expect_array, expect_cache, expect_finite, expect_sizes

MATRICES = (("B", 2, 3), ("B", 3, 4), ("B", 3, 3), ("B", 4, 4))
"""Shapes of matrices: affine 2-D and 3-D, projective 2-D and 3-D."""


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

    A: Array  # (B, 2, 3), (B, 3, 4), (B, 3, 3) or (B, 4, 4)
    B: Array  # as A


def compose_forward(A: ArrayLike, B: ArrayLike) -> tuple[Array, ComposeCache]:
    """C = A B: a target point meets B first, then A (T19).

    Parameters
    ----------
    A, B : (B, 2, 3), (B, 3, 4), (B, 3, 3) or (B, 4, 4)
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
    >>> compose_forward(zoom, shift)[0].tolist()
    [[[0.5, 0.0, 0.25], [0.0, 0.5, 0.0]]]
    """
    A = expect_array("A", A, *MATRICES)
    B = expect_array("B", B, A.shape)
    return (_square(A) @ _square(B))[:, : A.shape[1]], ComposeCache(A, B)  # T19


def compose_backward(dC: ArrayLike, cache: ComposeCache) -> tuple[Array, Array]:
    """dA = dC B^T, dB = A^T dC, without the implied rows (T20).

    dC : shape of C -> dA, dB : shape of A. dtype: result_type of dC, A and B.
    Raises ValueError if dC does not have the shape of C, TypeError on its dtype.

    >>> zoom, shift = np.eye(2, 3)[None] / 2, np.array([[[1.0, 0, 0.5], [0, 1, 0]]])
    >>> dzoom, dshift = compose_backward(np.ones((1, 2, 3)), compose_forward(zoom, shift)[1])
    >>> dzoom[0, 0].tolist(), dshift[0, 0].tolist()
    ([1.5, 1.0, 1.0], [0.5, 0.5, 0.5])
    """
    A, B = expect_cache(cache, ComposeCache, "compose_forward")
    rows = A.shape[1]
    dC = _square(expect_array("dC", dC, A.shape), corner=0)
    dA, dB = dC @ _square(B).swapaxes(1, 2), _square(A).swapaxes(1, 2) @ dC  # T20
    return dA[:, :rows], dB[:, :rows]


def compose_jvp(A_dot: ArrayLike | None, B_dot: ArrayLike | None, cache: ComposeCache) -> Array:
    """C_dot = A_dot B + A B_dot; a tangent None is zero (T19).

    A_dot, B_dot : shape of A, or None -> C_dot : shape of C. dtype: result_type of all four.
    Raises ValueError if a tangent does not have the shape of A, TypeError on its dtype.

    >>> zoom, shift = np.eye(2, 3)[None] / 2, np.array([[[1.0, 0, 0.5], [0, 1, 0]]])
    >>> compose_jvp(2 * zoom, None, compose_forward(zoom, shift)[1]).tolist()
    [[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]]
    """
    A, B = expect_cache(cache, ComposeCache, "compose_forward")
    A_dot = np.zeros_like(A) if A_dot is None else expect_array("A_dot", A_dot, A.shape)
    B_dot = np.zeros_like(B) if B_dot is None else expect_array("B_dot", B_dot, B.shape)
    C_dot = _square(A_dot, corner=0) @ _square(B) + _square(A) @ _square(B_dot, corner=0)  # T19
    return C_dot[:, : A.shape[1]]


def compose(A: ArrayLike, B: ArrayLike) -> Array:
    """C = A B: `compose_forward` without its cache.

    Parameters
    ----------
    A, B
        See `compose_forward`.

    Returns
    -------
    C : as `A` and `B`

    Raises
    ------
    TypeError, ValueError
        See `compose_forward`.

    Examples
    --------
    >>> zoom = np.array([[[0.5, 0, 0], [0, 0.25, 1]]])
    >>> compose(zoom, invert(zoom)).tolist()
    [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]
    """
    return compose_forward(A, B)[0]


# ----------------------------------------------------------------------------------- invert


class InvertCache(NamedTuple):
    """The inverse, in the form of the input."""

    N: Array  # (B, 2, 3), (B, 3, 4), (B, 3, 3) or (B, 4, 4)


def invert_forward(A: ArrayLike) -> tuple[Array, InvertCache]:
    """N = A^-1: source to target (T21).

    Parameters
    ----------
    A : (B, 2, 3), (B, 3, 4), (B, 3, 3) or (B, 4, 4)
        Matrices, target to source.

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
    >>> invert_forward(np.array([[[0.5, 0, 0], [0, 0.25, 1]]]))[0].tolist()
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
    N = np.linalg.inv(_square(A))[:, :rows]  # T21: A N = 1
    return N, InvertCache(N)


def invert_backward(dN: ArrayLike, cache: InvertCache) -> Array:
    """dA = -N^T dN N^T, without the implied row (T21).

    dN : shape of N -> dA : shape of A. dtype: result_type of both.
    Raises ValueError if dN does not have the shape of N, TypeError on its dtype.

    >>> N, cache = invert_forward(np.eye(2, 3)[None] / 2)
    >>> invert_backward(np.ones((1, 2, 3)), cache)[0, 0].tolist()
    [-4.0, -4.0, -2.0]
    """
    (N,) = expect_cache(cache, InvertCache, "invert_forward")
    dN = _square(expect_array("dN", dN, N.shape), corner=0)
    transposed = _square(N).swapaxes(1, 2)
    return -(transposed @ dN @ transposed)[:, : N.shape[1]]  # T21


def invert_jvp(A_dot: ArrayLike, cache: InvertCache) -> Array:
    """N_dot = -N A_dot N (T21).

    A_dot : shape of A -> N_dot : shape of N. dtype: result_type of both.
    Raises ValueError if A_dot does not have the shape of A, TypeError on its dtype.

    >>> N, cache = invert_forward(np.eye(2, 3)[None] / 2)
    >>> invert_jvp(np.ones((1, 2, 3)), cache)[0, 0].tolist()
    [-4.0, -4.0, -2.0]
    """
    (N,) = expect_cache(cache, InvertCache, "invert_forward")
    A_dot = _square(expect_array("A_dot", A_dot, N.shape), corner=0)
    return -(_square(N) @ A_dot @ _square(N))[:, : N.shape[1]]  # T21


def invert(A: ArrayLike) -> Array:
    """N = A^-1: `invert_forward` without its cache.

    Parameters
    ----------
    A
        See `invert_forward`.

    Returns
    -------
    N : as `A`

    Raises
    ------
    TypeError, ValueError
        See `invert_forward`.

    Examples
    --------
    >>> invert(np.array([[[1.0, 0, 0.5], [0, 1, 0]]])).tolist()
    [[[1.0, 0.0, -0.5], [0.0, 1.0, 0.0]]]
    """
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
    """M = Q_in A Q_out^-1: the matrix that maps target pixels to source pixels (T23).

    Parameters
    ----------
    A : (B, 2, 3), (B, 3, 4), (B, 3, 3) or (B, 4, 4)
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
    >>> to_pixel_matrix_forward(np.eye(2, 3)[None], (4, 9), (4, 5))[0].tolist()
    [[[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]
    """
    A = expect_array("A", A, *MATRICES)
    Q_in, _ = _to_pixels(A, "in_shape", in_shape, align_corners)
    _, Q_out_inverse = _to_pixels(A, "out_shape", out_shape, align_corners)
    return _between(Q_in, A, Q_out_inverse)


def to_pixel_matrix_backward(dM: ArrayLike, cache: PixelMatrixCache) -> Array:
    """dA = Q_in^T dM Q_out^-T, without the implied row (T24).

    dM : shape of M -> dA : shape of A. dtype: result_type of both.
    Raises ValueError if dM does not have the shape of M, TypeError on its dtype.

    >>> M, cache = to_pixel_matrix_forward(np.eye(2, 3)[None], (4, 9), (3, 5))
    >>> to_pixel_matrix_backward(np.ones((1, 2, 3)), cache)[0, 0].tolist()
    [-2.0, 0.0, 4.0]
    """
    cache = expect_cache(cache, PixelMatrixCache, "to_pixel_matrix_forward")
    return _between_backward("dM", dM, cache)


def to_pixel_matrix_jvp(A_dot: ArrayLike, cache: PixelMatrixCache) -> Array:
    """M_dot = Q_in A_dot Q_out^-1 (T23).

    A_dot : shape of A -> M_dot : shape of M. dtype: result_type of both.
    Raises ValueError if A_dot does not have the shape of A, TypeError on its dtype.

    >>> M, cache = to_pixel_matrix_forward(np.eye(2, 3)[None], (4, 9), (4, 5))
    >>> to_pixel_matrix_jvp(np.eye(2, 3)[None], cache).tolist()
    [[[2.0, 0.0, -4.0], [0.0, 1.0, -1.5]]]
    """
    cache = expect_cache(cache, PixelMatrixCache, "to_pixel_matrix_forward")
    return _between_jvp("A_dot", A_dot, cache)


def to_pixel_matrix(
    A: ArrayLike, in_shape: Sequence[int], out_shape: Sequence[int], *, align_corners: bool = True
) -> Array:
    """M = Q_in A Q_out^-1: `to_pixel_matrix_forward` without its cache.

    Parameters
    ----------
    A, in_shape, out_shape, align_corners
        See `to_pixel_matrix_forward`.

    Returns
    -------
    M : as `A`

    Raises
    ------
    TypeError, ValueError
        See `to_pixel_matrix_forward`.

    Examples
    --------
    >>> to_pixel_matrix(np.eye(3)[None], (4, 4), (4, 8), align_corners=False)[0, 0].tolist()
    [0.5, 0.0, -0.25]
    """
    return to_pixel_matrix_forward(A, in_shape, out_shape, align_corners=align_corners)[0]


def from_pixel_matrix_forward(
    M: ArrayLike, in_shape: Sequence[int], out_shape: Sequence[int], *, align_corners: bool = True
) -> tuple[Array, PixelMatrixCache]:
    """A = Q_in^-1 M Q_out: the normalised matrix of a pixel matrix (T23).

    Parameters
    ----------
    M : (B, 2, 3), (B, 3, 4), (B, 3, 3) or (B, 4, 4)
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
    >>> from_pixel_matrix_forward(one_to_the_right[None], (3, 5), (3, 5))[0].tolist()
    [[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]]
    """
    M = expect_array("M", M, *MATRICES)
    _, Q_in_inverse = _to_pixels(M, "in_shape", in_shape, align_corners)
    Q_out, _ = _to_pixels(M, "out_shape", out_shape, align_corners)
    return _between(Q_in_inverse, M, Q_out)


def from_pixel_matrix_backward(dA: ArrayLike, cache: PixelMatrixCache) -> Array:
    """dM = Q_in^-T dA Q_out^T, without the implied row (T24).

    dA : shape of A -> dM : shape of M. dtype: result_type of both.
    Raises ValueError if dA does not have the shape of A, TypeError on its dtype.

    >>> A, cache = from_pixel_matrix_forward(np.eye(2, 3)[None], (3, 5), (3, 5))
    >>> from_pixel_matrix_backward(np.ones((1, 2, 3)), cache)[0, 0].tolist()
    [2.0, 1.0, 0.5]
    """
    cache = expect_cache(cache, PixelMatrixCache, "from_pixel_matrix_forward")
    return _between_backward("dA", dA, cache)


def from_pixel_matrix_jvp(M_dot: ArrayLike, cache: PixelMatrixCache) -> Array:
    """A_dot = Q_in^-1 M_dot Q_out (T23).

    M_dot : shape of M -> A_dot : shape of A. dtype: result_type of both.
    Raises ValueError if M_dot does not have the shape of M, TypeError on its dtype.

    >>> A, cache = from_pixel_matrix_forward(np.eye(2, 3)[None], (3, 5), (3, 5))
    >>> from_pixel_matrix_jvp(np.ones((1, 2, 3)), cache)[0, 0].tolist()
    [1.0, 0.5, 2.0]
    """
    cache = expect_cache(cache, PixelMatrixCache, "from_pixel_matrix_forward")
    return _between_jvp("M_dot", M_dot, cache)


def from_pixel_matrix(
    M: ArrayLike, in_shape: Sequence[int], out_shape: Sequence[int], *, align_corners: bool = True
) -> Array:
    """A = Q_in^-1 M Q_out: `from_pixel_matrix_forward` without its cache.

    Parameters
    ----------
    M, in_shape, out_shape, align_corners
        See `from_pixel_matrix_forward`.

    Returns
    -------
    A : as `M`

    Raises
    ------
    TypeError, ValueError
        See `from_pixel_matrix_forward`.

    Examples
    --------
    >>> A = from_pixel_matrix(np.eye(2, 3)[None], (3, 5), (3, 9))
    >>> to_pixel_matrix(A, (3, 5), (3, 9)).tolist()
    [[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]
    """
    return from_pixel_matrix_forward(M, in_shape, out_shape, align_corners=align_corners)[0]


def _sandwich(left: Array, A: Array, right: Array, corner: int = 1) -> Array:
    return (left @ _square(A, corner) @ right)[:, : A.shape[1]]


def _between(left: Array, A: Array, right: Array) -> tuple[Array, PixelMatrixCache]:
    return _sandwich(left, A, right), PixelMatrixCache(left, right, A.shape)  # T23


def _between_backward(name: str, gradient: ArrayLike, cache: PixelMatrixCache) -> Array:
    left, right, shape = cache
    return _sandwich(left.T, expect_array(name, gradient, shape), right.T, corner=0)  # T24


def _between_jvp(name: str, tangent: ArrayLike, cache: PixelMatrixCache) -> Array:
    left, right, shape = cache
    return _sandwich(left, expect_array(name, tangent, shape), right, corner=0)  # T23


def _to_pixels(
    A: Array, name: str, shape: Sequence[int], align_corners: bool
) -> tuple[Array, Array]:
    """Return Q, from normalised coordinates to pixels, and its inverse, in the form of A."""
    origin = np.zeros(A.shape[2] - 1)
    sizes = expect_sizes(name, shape, (len(origin),))
    shift, (slope, _) = unnormalize_forward(origin, sizes, align_corners=align_corners)
    back = normalize(origin, sizes, align_corners=align_corners)
    scale = 1 / np.where(slope > 0, slope, 0.5)  # d = 1 where aligned corners have d = 0
    Q, Q_inverse = _scale_and_shift(slope, shift), _scale_and_shift(scale, back)  # T22
    return Q.astype(A.real.dtype), Q_inverse.astype(A.real.dtype)


def _scale_and_shift(scale: Array, shift: Array) -> Array:
    """Return the square matrix of x -> scale x + shift, (d + 1, d + 1)."""
    matrix = np.diag(np.append(scale, 1.0))
    matrix[:-1, -1] = shift
    return matrix
