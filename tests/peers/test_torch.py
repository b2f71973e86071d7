"""Values and gradients against PyTorch on random cases, where torch is installed."""

import numpy as np
import pytest

from stnref import (
    affine_grid_backward,
    affine_grid_forward,
    grid_sample_backward,
    grid_sample_forward,
    target_grid,
)
from tests.golden.cases import AffineCase, SampleCase, lattice_case, sample_case

pytest.importorskip("torch", reason="the optional extra 'peers' is not installed")

from tests.peers.torch_peer import torch_affine_grid, torch_grid_sample

TOLERANCE = 1e-10
RULES = pytest.mark.parametrize("align_corners", [True, False], ids=["aligned", "edges"])
DIMENSIONS = pytest.mark.parametrize("d", [2, 3], ids=["2-D", "3-D"])


def _compare_sample(case: SampleCase) -> None:
    V, cache = grid_sample_forward(case.U, case.grid, align_corners=case.align_corners)
    ours = (V, *grid_sample_backward(case.dV, cache))
    for actual, expected in zip(ours, torch_grid_sample(case), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE)


@RULES
@DIMENSIONS
def test_grid_sample_on_random_shapes(d: int, align_corners: bool) -> None:
    rng = np.random.default_rng([d, align_corners])
    for _ in range(100):
        in_shape, out_shape = (tuple(rng.integers(1, 8, d).tolist()) for _ in range(2))
        _compare_sample(sample_case(rng, in_shape, out_shape, align_corners, reach=2.5))


@RULES
@DIMENSIONS
def test_grid_sample_on_the_lattice(d: int, align_corners: bool) -> None:
    rng = np.random.default_rng([d, align_corners])
    for _ in range(20):
        _compare_sample(lattice_case(rng, d, align_corners))


# It warns of every axis of size one; what it does there is what we do.
@pytest.mark.filterwarnings("ignore:Since version 1.3.0, affine_grid behavior has changed")
@RULES
@DIMENSIONS
def test_affine_grid_on_random_shapes(d: int, align_corners: bool) -> None:
    rng = np.random.default_rng([d, align_corners])
    for _ in range(100):
        out_shape = tuple(rng.integers(1, 8, d).tolist())
        case = AffineCase(
            rng.standard_normal((2, d, d + 1)),
            out_shape,
            rng.standard_normal((2, *out_shape, d)),
            align_corners,
        )
        G = target_grid(out_shape, align_corners=align_corners)
        grid, cache = affine_grid_forward(case.theta, G)
        ours = (grid, affine_grid_backward(case.dgrid, cache))
        for actual, expected in zip(ours, torch_affine_grid(case), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE)
