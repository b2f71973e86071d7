"""Fields and fitted matrices against SimpleITK, SciPy, OpenCV, scikit-image, where installed."""

from typing import Any

import numpy as np
import pytest

from stnref import target_grid
from stnref.coordinates import normalize, unnormalize_forward
from stnref.fields import compose_flows_forward, integrate_velocity_forward, invert_flow_forward
from stnref.transforms import fit_affine_forward, fit_homography_forward, to_pixel_matrix

SHAPES = pytest.mark.parametrize("shape", [(9, 12), (5, 6, 7)], ids=["2-D", "3-D"])
TARGET, SOURCE = (24, 32), (12, 20)


def _flow(seed: int, shape: tuple[int, ...], size: float) -> np.ndarray:
    return size * np.random.default_rng(seed).uniform(-1, 1, (1, *shape, len(shape)))


# ---------------------------------------------------------------------------------- SimpleITK


def _itk(flow: np.ndarray) -> Any:
    """The flow as ITK's transform between pixels: its vectors are (x, y) as ours."""
    sitk = pytest.importorskip("SimpleITK")
    half = (np.array(flow.shape[-2:0:-1]) - 1) / 2
    image = sitk.GetImageFromArray(flow[0] * half, isVector=True)
    return sitk.DisplacementFieldTransform(sitk.Cast(image, sitk.sitkVectorFloat64))


@SHAPES
def test_composition_against_itk(shape: tuple[int, ...]) -> None:
    """Its last transform meets a point first. Beyond the border it has no displacement."""
    sitk = pytest.importorskip("SimpleITK")
    u, v = _flow(0, shape, 0.2), _flow(1, shape, 0.2)
    w, _ = compose_flows_forward(u, v)
    theirs = sitk.CompositeTransform([_itk(u), _itk(v)])
    G = target_grid(shape)
    pixels, ours = (unnormalize_forward(g, shape)[0] for g in (G, (G + w[0])))
    inside = (np.abs(G + v[0]) < 1).all(axis=-1)
    assert inside.sum() > 50
    for pixel, expected in zip(pixels[inside], ours[inside], strict=True):
        np.testing.assert_allclose(theirs.TransformPoint(pixel.tolist()), expected, atol=1e-10)


@SHAPES
def test_inverse_against_itk(shape: tuple[int, ...]) -> None:
    """Its transform takes what we say comes from a pixel back to that pixel."""
    flow = _flow(2, shape, 0.1)
    inverse, _ = invert_flow_forward(flow)
    G = target_grid(shape)
    theirs, places = _itk(flow), unnormalize_forward(G + inverse[0], shape)[0]
    pixels = unnormalize_forward(G, shape)[0]
    inside = (np.abs(G + inverse[0]) < 1).all(axis=-1)
    assert inside.sum() > 50
    for place, pixel in zip(places[inside], pixels[inside], strict=True):
        np.testing.assert_allclose(theirs.TransformPoint(place.tolist()), pixel, atol=1e-10)


# -------------------------------------------------------------------------------------- SciPy


def test_a_linear_velocity_against_the_matrix_exponential() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    A, G = np.array([[-0.9, 0.4], [-0.3, -0.7]]), target_grid((6, 9))
    flow, _ = integrate_velocity_forward((G @ A.T)[None], steps=24)
    np.testing.assert_allclose(G + flow[0], G @ linalg.expm(A).T, atol=1e-7)


def _velocity(at: np.ndarray) -> np.ndarray:
    """A whirl that is zero at the border, which no path crosses."""
    x, y = at[..., 0], at[..., 1]
    bump = (1 - x**2) * (1 - y**2)
    return np.stack([bump * np.sin(2 * y), -bump * np.cos(2 * x)], axis=-1)


def test_a_velocity_against_an_ode_solver() -> None:
    """The paths end where exp(v) sends them. Half the pixel: less than a third of the error."""
    integrate = pytest.importorskip("scipy.integrate")
    starts = target_grid((5, 5))[1:-1, 1:-1].reshape(-1, 2)
    ends = [
        integrate.solve_ivp(lambda t, at: _velocity(at), (0, 1), start, rtol=1e-9, atol=1e-9)
        for start in starts
    ]
    moves = np.array([path.y[:, -1] for path in ends]) - starts
    assert np.abs(moves).max() > 0.5
    errors = []
    for n in (8, 16, 32):  # pixels between two of the starts
        flow, _ = integrate_velocity_forward(
            _velocity(target_grid((4 * n + 1,) * 2))[None], steps=16
        )
        errors.append(np.abs(flow[0, n:-1:n, n:-1:n].reshape(-1, 2) - moves).max())
    assert errors[0] / errors[1] > 3
    assert errors[1] / errors[2] > 3
    assert errors[2] < 1e-3


# ------------------------------------------------------------------- OpenCV and scikit-image


def _points(seed: int, K: int) -> tuple[np.ndarray, np.ndarray]:
    """Points in pixels near the corners of a lattice.

    In eighths: OpenCV takes single precision, and multiplies in it, so that this is exact.
    """
    rng = np.random.default_rng(seed)
    lattice = target_grid((2, 2)).reshape(4, 2)[:K]
    places = [0.8 * lattice + 0.15 * rng.normal(size=(K, 2)) for _ in range(2)]
    pixels = [unnormalize_forward(p, s)[0] for p, s in zip(places, (TARGET, SOURCE), strict=True)]
    return np.rint(8 * pixels[0]) / 8, np.rint(8 * pixels[1]) / 8


def _ours(fit: Any, target: np.ndarray, source: np.ndarray) -> np.ndarray:
    theta, _ = fit(normalize(target, TARGET)[None], normalize(source, SOURCE)[None])
    M = to_pixel_matrix(theta, SOURCE, TARGET)[0]
    return M / M[2, 2] if len(M) == 3 else M


@pytest.mark.parametrize("seed", range(5))
def test_a_homography_against_opencv(seed: int) -> None:
    cv2 = pytest.importorskip("cv2")
    target, source = _points(seed, 4)
    theirs = cv2.getPerspectiveTransform(*(p.astype(np.float32) for p in (target, source)))
    np.testing.assert_allclose(
        _ours(fit_homography_forward, target, source), theirs, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("seed", range(5))
def test_an_affine_map_against_opencv(seed: int) -> None:
    cv2 = pytest.importorskip("cv2")
    target, source = _points(seed, 3)
    theirs = cv2.getAffineTransform(*(p.astype(np.float32) for p in (target, source)))
    np.testing.assert_allclose(
        _ours(fit_affine_forward, target, source), theirs, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_homography_against_scikit_image(seed: int) -> None:
    """More points of one homography; with noise it minimises something else."""
    pytest.importorskip("skimage", minversion="0.26")
    transform = pytest.importorskip("skimage.transform")
    target, source = _points(seed, 4)
    M = _ours(fit_homography_forward, target, source)
    more = np.concatenate([target, target + [2.5, 1.25]])
    XYZ = np.insert(more, 2, 1, axis=-1) @ M.T
    theirs = transform.ProjectiveTransform.from_estimate(more, XYZ[:, :2] / XYZ[:, 2:]).params
    both = _ours(fit_homography_forward, more, XYZ[:, :2] / XYZ[:, 2:])
    np.testing.assert_allclose(both, theirs / theirs[2, 2], rtol=1e-9, atol=1e-9)
