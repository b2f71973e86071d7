"""Values and gradients against the vectors that PyTorch gave; torch is not needed here."""

from pathlib import Path

import numpy as np
import pytest

from stnref import (
    affine_grid_backward,
    affine_grid_forward,
    grid_sample_backward,
    grid_sample_forward,
    target_grid,
)
from tests.golden.cases import affine_cases, sample_cases

TOLERANCE = 1e-10
GOLDEN = np.load(Path(__file__).with_name("golden.npz"))


def _close(actual: np.ndarray, key: str) -> None:
    np.testing.assert_allclose(actual, GOLDEN[key], rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("name", sample_cases())
def test_grid_sample(name: str) -> None:
    case = sample_cases()[name]
    np.testing.assert_array_equal(GOLDEN[f"sample/{name}/grid"], case.grid)
    V, cache = grid_sample_forward(case.U, case.grid, align_corners=case.align_corners)
    dU, dgrid = grid_sample_backward(case.dV, cache)
    _close(V, f"sample/{name}/V")
    _close(dU, f"sample/{name}/dU")
    _close(dgrid, f"sample/{name}/dgrid")


@pytest.mark.parametrize("name", affine_cases())
def test_affine_grid(name: str) -> None:
    case = affine_cases()[name]
    np.testing.assert_array_equal(GOLDEN[f"affine/{name}/theta"], case.theta)
    G = target_grid(case.out_shape, align_corners=case.align_corners)
    grid, cache = affine_grid_forward(case.theta, G)
    _close(grid, f"affine/{name}/grid")
    _close(affine_grid_backward(case.dgrid, cache), f"affine/{name}/dtheta")


def test_there_is_a_vector_for_every_case() -> None:
    names = {key.rsplit("/", 1)[0] for key in GOLDEN.files}
    expected = {f"sample/{n}" for n in sample_cases()} | {f"affine/{n}" for n in affine_cases()}
    assert names == expected
