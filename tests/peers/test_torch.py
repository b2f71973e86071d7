"""Values and gradients against PyTorch on random cases, where torch is installed."""

import numpy as np
import pytest

from stnref import (
    affine_grid_backward,
    affine_grid_forward,
    grid_sample,
    grid_sample_backward,
    grid_sample_forward,
    target_grid,
)
from stnref.presets import pytorch_grid_sample_backward, pytorch_grid_sample_forward
from tests.golden.cases import AffineCase, SampleCase, half_case, lattice_case, sample_case

pytest.importorskip("torch", reason="the optional extra 'peers' is not installed")

from tests.peers.torch_peer import torch_affine_grid, torch_grid_sample

TOLERANCE = 1e-10
RULES = pytest.mark.parametrize("align_corners", [True, False], ids=["aligned", "edges"])
DIMENSIONS = pytest.mark.parametrize("d", [2, 3], ids=["2-D", "3-D"])


MODES = [
    (d, mode, padding_mode)
    for d in (2, 3)
    for mode in ("nearest", "bilinear", "bicubic")
    for padding_mode in ("zeros", "border", "reflection")
    if (d, mode) != (3, "bicubic")  # PyTorch has none
]
COMBINATIONS = pytest.mark.parametrize(
    ("d", "mode", "padding_mode"), MODES, ids=[f"{d}-D-{m}-{p}" for d, m, p in MODES]
)


def _compare(
    case: SampleCase, mode: str, padding_mode: str, tolerance: float, *, preset: bool = False
) -> None:
    """V, dU and dgrid of ours, or of the preset, against PyTorch's."""
    forward = pytorch_grid_sample_forward if preset else grid_sample_forward
    backward = pytorch_grid_sample_backward if preset else grid_sample_backward
    V, cache = forward(
        case.U,
        case.grid,
        mode=mode,
        padding_mode=padding_mode,
        align_corners=case.align_corners,
    )
    ours = (V, *backward(case.dV, cache))
    theirs = torch_grid_sample(case, mode, padding_mode)
    for name, actual, expected in zip(("V", "dU", "dgrid"), ours, theirs, strict=True):
        np.testing.assert_allclose(
            actual, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max(initial=1)
        )
        assert actual.dtype == expected.dtype, name


def _shapes(rng: np.random.Generator, d: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Draw an input and an output size; every other case has an axis of size one."""
    sizes = rng.integers(1, 8, (2, d))
    if rng.random() < 0.5:
        sizes[0, rng.integers(d)] = 1
    return tuple(sizes[0].tolist()), tuple(sizes[1].tolist())


@RULES
@COMBINATIONS
def test_grid_sample_on_random_shapes(
    d: int, mode: str, padding_mode: str, align_corners: bool
) -> None:
    """200 shapes, a few of the coordinates far outside; none on a kink, but on axes of size one."""
    rng = np.random.default_rng([d, align_corners])
    for _ in range(200):
        case = sample_case(rng, *_shapes(rng, d), align_corners, reach=2.5)
        far = rng.random(case.grid.shape) < 0.05
        case = case._replace(grid=np.where(far, 40 * case.grid, case.grid))
        for preset in (False, True):
            _compare(case, mode, padding_mode, 1e-9, preset=preset)


@RULES
@COMBINATIONS
def test_grid_sample_in_float32(d: int, mode: str, padding_mode: str, align_corners: bool) -> None:
    rng = np.random.default_rng([32, d, align_corners])
    for _ in range(200):
        case = sample_case(rng, *_shapes(rng, d), align_corners, reach=10)
        case = SampleCase(*(a.astype(np.float32) for a in case[:3]), align_corners)
        _compare(_off_the_kinks(case), mode, padding_mode, 1e-4, preset=True)
        _compare(_off_the_kinks(case), mode, padding_mode, 1e-4)


def _off_the_kinks(case: SampleCase) -> SampleCase:
    """Put every coordinate at 0.3 of its half cell: in float32 a point near a kink may cross it."""
    sizes = np.array(case.U.shape[-2:0:-1])
    d = np.maximum(sizes - 1, 1) if case.align_corners else sizes
    x = (case.grid * d + (sizes - 1)) / 2
    x = np.floor(2 * x) / 2 + 0.15
    return case._replace(grid=((2 * x - (sizes - 1)) / d).astype(case.grid.dtype))


@RULES
@COMBINATIONS
def test_the_preset_on_the_lattice_and_on_the_folds(
    d: int, mode: str, padding_mode: str, align_corners: bool
) -> None:
    """Dyadic coordinates, which both sides represent exactly: half pixels, whole pixels, folds."""
    rng = np.random.default_rng([8, d, align_corners])
    for _ in range(40):
        _compare(lattice_case(rng, d, align_corners), mode, padding_mode, 1e-10, preset=True)
        case = half_case(rng, d, align_corners)
        _compare(case, mode, padding_mode, 1e-10, preset=True)


@RULES
@COMBINATIONS
def test_values_agree_on_the_lattice_without_the_preset(
    d: int, mode: str, padding_mode: str, align_corners: bool
) -> None:
    """There only slopes differ by rule; and nearest, where it rounds a half."""
    rng = np.random.default_rng([9, d, align_corners])
    for _ in range(20):
        case = lattice_case(rng, d, align_corners)
        V = grid_sample(
            case.U,
            case.grid,
            mode=mode,
            padding_mode=padding_mode,
            align_corners=align_corners,
        )
        np.testing.assert_allclose(
            V, torch_grid_sample(case, mode, padding_mode)[0], rtol=1e-12, atol=1e-12
        )


@RULES
@DIMENSIONS
def test_with_zeros_our_slopes_on_the_lattice_are_pytorchs(d: int, align_corners: bool) -> None:
    rng = np.random.default_rng([d, align_corners])
    for _ in range(20):
        _compare(lattice_case(rng, d, align_corners), "bilinear", "zeros", 1e-10)


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
