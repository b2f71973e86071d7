"""Values and gradients against PyTorch on random cases, where torch is installed."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

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

import torch

from tests.peers.torch_peer import torch_affine_grid, torch_grid_sample

TOLERANCE = 1e-10
CAPABILITY = torch.backends.cpu.get_cpu_capability()
FUSED = CAPABILITY in ("AVX2", "AVX512")
"""Whether PyTorch's kernels for pictures fuse multiply and add on this processor."""
KNOWN_ROUNDING = pytest.mark.skipif(
    not FUSED and CAPABILITY != "DEFAULT", reason=f"how {CAPABILITY} rounds is not known"
)
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
    case: SampleCase,
    mode: str,
    padding_mode: str,
    tolerance: float,
    *,
    preset: bool = False,
    fused: bool = False,
) -> None:
    """V, dU and dgrid of ours, or of the preset, against PyTorch's."""
    preset_forward = partial(pytorch_grid_sample_forward, fused=fused)
    forward = preset_forward if preset else grid_sample_forward
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


def _any_size_case(
    rng: np.random.Generator, d: int, align_corners: bool, dtype: type[np.floating]
) -> SampleCase:
    """Draw whole and half pixels of a map of any size: few are dyadic, round-off decides."""
    in_shape = tuple(rng.integers(1, 130 if d == 2 else 20, d).tolist())
    case = sample_case(rng, in_shape, (9, 9) if d == 2 else (4, 4, 4), align_corners)
    sizes = np.array(in_shape[::-1])
    extent = np.maximum(sizes - 1, 1) if align_corners else sizes
    x = rng.integers(-8, 2 * (sizes + 4), case.grid.shape) / 2
    case = case._replace(grid=(2 * x - (sizes - 1)) / extent)
    return SampleCase(*(a.astype(dtype) for a in case[:3]), align_corners)


@KNOWN_ROUNDING
@RULES
@COMBINATIONS
def test_the_preset_on_the_lattice_of_any_size(
    d: int, mode: str, padding_mode: str, align_corners: bool
) -> None:
    """With the rounding of this processor every sample is in PyTorch's cell: no allowance."""
    rng = np.random.default_rng([10, d, align_corners])
    for _ in range(20):
        for dtype, tolerance in ((np.float64, 1e-11), (np.float32, 2e-5)):
            case = _any_size_case(rng, d, align_corners, dtype)
            _compare(case, mode, padding_mode, tolerance, preset=True, fused=FUSED)


@RULES
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@DIMENSIONS
def test_the_preset_has_one_of_both_slopes_on_any_processor(
    d: int, padding_mode: str, align_corners: bool
) -> None:
    """However PyTorch rounds, x is within a few ulp: on the lattice that may be the other cell.

    So its slope is the preset's a few ulp below, here, or a few ulp above. Off the lattice the
    three are one, and everywhere V and dU, which are continuous, agree to round-off.
    """
    options = {"padding_mode": padding_mode, "align_corners": align_corners}
    rng = np.random.default_rng([11, d, align_corners])
    for _ in range(20):
        case = _any_size_case(rng, d, align_corners, np.float64)
        ulps = 8 * np.finfo(np.float64).eps * np.maximum(np.abs(case.grid), 1)
        slopes = []
        for grid in (case.grid - ulps, case.grid, case.grid + ulps):
            V, cache = pytorch_grid_sample_forward(case.U, grid, **options)
            dU, dgrid = pytorch_grid_sample_backward(case.dV, cache)
            slopes.append(dgrid)
        theirs = torch_grid_sample(case, "bilinear", padding_mode)
        scale = np.abs(theirs[2]).max(initial=1)
        np.testing.assert_allclose(V, theirs[0], atol=1e-11)
        np.testing.assert_allclose(dU, theirs[1], atol=1e-11)
        assert (np.abs(slopes - theirs[2]).min(axis=0) < 1e-10 * scale).all()


def _slope(U: list[float], g: float, dtype: type[np.floating], d: int, fused: bool) -> list[float]:
    """dV/dg of a row of pixels at outer edges, by PyTorch and by the preset."""
    rows = np.array(U, dtype).reshape((1,) * d + (-1, 1))
    grid = np.zeros((1,) * (d + 1) + (d,), dtype)
    grid[..., 0] = g
    case = SampleCase(rows, grid, np.ones_like(grid[..., :1]), False)
    _, cache = pytorch_grid_sample_forward(case.U, case.grid, fused=fused)
    ours = pytorch_grid_sample_backward(case.dV, cache)[1]
    return [dgrid.flat[0] for dgrid in (torch_grid_sample(case)[2], ours)]


@KNOWN_ROUNDING
def test_the_numbers_of_the_conventions_on_any_size() -> None:
    sevenths = ([0, 1, 3, 6, 10, 15, 21], 2 / 7, np.float64)
    elevenths = ([m * m for m in range(11)], -0.54545456, np.float32)
    assert _slope(*sevenths, 2, FUSED) == [14, 14] if FUSED else [17.5, 17.5]
    assert _slope(*elevenths, 2, FUSED) == [16.5, 16.5] if FUSED else [27.5, 27.5]
    for fused in (True, False):  # volumes know no fused kernel
        assert _slope(*sevenths, 3, fused) == [17.5, 17.5]
        assert _slope(*elevenths, 3, fused) == [27.5, 27.5]


@KNOWN_ROUNDING
def test_on_pytorchs_own_identity_grid() -> None:
    """Unfused, slopes differ at 63 of the sizes from 2 to 128 where PyTorch fuses."""
    differing = {True: 0, False: 0}
    for n in range(2, 129):
        theta = torch.eye(2, 3, dtype=torch.float64)[None]
        grid = torch.nn.functional.affine_grid(theta, (1, 1, n, n), align_corners=False).numpy()
        U = np.tile(np.arange(n)[:, None] ** 2.0, (1, n, 1, 1))
        case = SampleCase(U, grid, np.ones((1, n, n, 1)), False)
        _, _, theirs = torch_grid_sample(case)
        for fused in differing:
            _, cache = pytorch_grid_sample_forward(U, grid, fused=fused)
            ours = pytorch_grid_sample_backward(case.dV, cache)[1]
            differing[fused] += not np.allclose(ours, theirs, rtol=1e-9, atol=1e-6)
    assert differing[FUSED] == 0
    if FUSED:
        assert differing[False] == 63


def test_on_the_plainest_processor() -> None:
    """The tests above once more, without the kernels for AVX2 and AVX-512."""
    names = "any_size or numbers_of or own_identity"
    if os.environ.get("ATEN_CPU_CAPABILITY") == "default":
        assert CAPABILITY == "DEFAULT"
        pytest.skip("these are the tests once more")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", __file__]
        + ["-k", f"{names} or plainest"],
        env={**os.environ, "ATEN_CPU_CAPABILITY": "default"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed, 1 skipped" in run.stdout


NOT_FINITE = {
    ("nearest", "zeros"): (0, 0, 0),
    ("nearest", "border"): (10, 50, 10),
    ("nearest", "reflection"): (10, 10, 10),
    ("bilinear", "zeros"): (np.nan, np.nan, np.nan),
    ("bilinear", "border"): (10, 50, 10),
    ("bilinear", "reflection"): (10, 10, 10),
    ("bicubic", "zeros"): (np.nan, np.nan, np.nan),
    ("bicubic", "border"): (np.nan, np.nan, np.nan),
    ("bicubic", "reflection"): (np.nan, np.nan, np.nan),
}
"""What PyTorch samples from 10, 20, 30, 40, 50 where g is NaN, +inf, -inf, in pictures."""
IN_VOLUMES = {"zeros": (0, 0, 0), "border": (50, 50, 10), "reflection": (50, 50, 50)}


@KNOWN_ROUNDING
@RULES
@COMBINATIONS
def test_the_table_of_what_pytorch_does_when_g_is_not_finite(
    d: int, mode: str, padding_mode: str, align_corners: bool
) -> None:
    """Forwards alone: backwards, bilinear with border or reflection kills the process."""
    U = torch.tensor([10.0, 20, 30, 40, 50]).reshape((1, 1) + (1,) * (d - 1) + (5,))
    grid = torch.zeros((1,) * d + (3, d))
    grid[..., 0] = torch.tensor([np.nan, np.inf, -np.inf])
    V = torch.nn.functional.grid_sample(
        U, grid, mode=mode, padding_mode=padding_mode, align_corners=align_corners
    )
    expected = NOT_FINITE[mode, padding_mode] if d == 2 else IN_VOLUMES[padding_mode]
    np.testing.assert_array_equal(V.ravel(), expected)


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
