"""An ITK transform as a theta, as the recipe has it, against SimpleITK, where it is installed."""

import numpy as np
import pytest

from stnref import affine_grid, grid_sample, target_grid, unnormalize_forward
from stnref.transforms import from_pixel_matrix

sitk = pytest.importorskip("SimpleITK", reason="the optional extra 'peers' is missing")


def _matrix(linear: np.ndarray, shift: np.ndarray) -> np.ndarray:
    square = np.eye(len(shift) + 1)
    square[:-1, :-1], square[:-1, -1] = linear, shift
    return square


@pytest.mark.parametrize("d", [2, 3], ids=["2-D", "3-D"])
def test_an_affine_transform_in_millimetres(d: int) -> None:
    rng = np.random.default_rng(d)
    in_shape, out_shape = ((12, 20), (15, 18)) if d == 2 else ((6, 8, 7), (5, 7, 9))
    U = rng.random(in_shape)
    direction = np.linalg.qr(rng.standard_normal((d, d)))[0]
    direction[:, 0] *= np.linalg.det(direction)
    spacing, centre = rng.uniform(0.6, 1.4, d), np.array(out_shape[::-1]) / 2
    origin = centre - direction * spacing @ np.array(in_shape[::-1]) / 2  # the middles meet
    A = np.eye(d) + 0.1 * rng.standard_normal((d, d))
    t = rng.standard_normal(d)

    image = sitk.GetImageFromArray(U)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(origin.tolist())
    image.SetDirection(direction.ravel().tolist())
    transform = sitk.AffineTransform(d)
    transform.SetMatrix(A.ravel().tolist())
    transform.SetTranslation(t.tolist())
    transform.SetCenter(centre.tolist())
    reference = sitk.Image(list(out_shape[::-1]), sitk.sitkFloat64)  # spacing 1, origin 0
    theirs = sitk.GetArrayFromImage(sitk.Resample(image, reference, transform, sitk.sitkLinear))

    to_input = np.linalg.inv(_matrix(direction * spacing, origin))
    M = (to_input @ _matrix(A, t + centre - A @ centre))[None, :d]
    grid = affine_grid(from_pixel_matrix(M, in_shape, out_shape), target_grid(out_shape))
    V = grid_sample(U[None, ..., None], grid)[0, ..., 0]
    points, _ = unnormalize_forward(grid, in_shape)
    inside = ((points >= 0) & (points <= np.array(in_shape[::-1]) - 1)).all(axis=-1)[0]
    assert inside.sum() > 20  # ITK cuts at the outer pixels' centres
    np.testing.assert_allclose(V[inside], theirs[inside], atol=1e-12)
