"""Sparse matrices: the same numbers as the taps one by one, however the samples are divided."""

import importlib
import platform
import subprocess
import sys
from itertools import product

import numpy as np
import pytest

from stnref import sample_backward, sample_double_backward, sample_forward, sample_jvp
from stnref.fast import sparse
from stnref.kernels import KERNELS
from stnref.padding import PADDINGS
from stnref.splat import splat_forward
from tests.signatures import expect_names

SHAPES = {
    "pictures": ((5, 6, 7), (5, 8, 9)),
    "one large picture": ((1, 13, 11), (1, 40, 30)),
    "volumes": ((2, 4, 5, 6), (2, 5, 6, 7)),
    "small targets": ((3, 30, 40), (3, 2, 2)),
}


@pytest.fixture(params=["sparse", "gather"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One of the two forms, whatever the size."""
    monkeypatch.setattr(sparse, "LEAST", 0 if request.param == "sparse" else 2**62)
    return request.param


def _everything(
    shapes: str, kernel: str, padding: str, C: int, dtype: type = np.float64
) -> list[np.ndarray]:
    """All that is computed with S: values and derivatives, first and second."""
    in_shape, out_shape = SHAPES[shapes]
    rng = np.random.default_rng(C)
    sizes = in_shape[:0:-1]
    points = rng.uniform(-3, np.add(sizes, 3), (*out_shape, len(sizes))).astype(dtype)
    U, ddU, U_dot = (rng.standard_normal((*in_shape, C)).astype(dtype) for _ in range(3))
    dpoints, dV = (rng.standard_normal(s).astype(dtype) for s in (points.shape, (*out_shape, C)))
    V, cache = sample_forward(U, points, kernel=kernel, padding=padding)
    canvas, _ = splat_forward(dV, points, in_shape[1:], kernel=kernel, padding=padding)
    return [
        *(V, canvas),
        *sample_backward(dV, cache),
        sample_jvp(U_dot, dpoints, cache),
        *sample_double_backward(ddU, dpoints, dV, cache),
    ]


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_both_forms_agree(
    kernel: str, padding: str, shapes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse, "LEAST", 2**62)
    expected = _everything(shapes, kernel, padding, 3)
    monkeypatch.setattr(sparse, "LEAST", 0)
    for actual, by_taps in zip(_everything(shapes, kernel, padding, 3), expected, strict=True):
        np.testing.assert_allclose(actual, by_taps, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("C", [1, 8, 9])
def test_both_forms_agree_for_any_number_of_channels(
    C: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row dots are formed in another way from nine on."""
    monkeypatch.setattr(sparse, "LEAST", 2**62)
    expected = _everything("pictures", "linear", "zeros", C, np.float32)
    monkeypatch.setattr(sparse, "LEAST", 0)
    for actual, by_taps in zip(
        _everything("pictures", "linear", "zeros", C, np.float32), expected, strict=True
    ):
        assert actual.dtype == np.float32
        np.testing.assert_allclose(actual, by_taps, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("entries", [1, 500, 2000])
@pytest.mark.parametrize("shapes", SHAPES)
def test_tiles_are_the_whole(
    form: str, shapes: str, entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _everything(shapes, "cubic", "border", 2)
    monkeypatch.setattr(sparse, "ENTRIES", entries)
    for actual, whole in zip(_everything(shapes, "cubic", "border", 2), expected, strict=True):
        np.testing.assert_allclose(actual, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("B", [0, 1, 3])
def test_tiles_hold_each_sample_once(B: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And are whole pictures, or a part of a single one."""
    monkeypatch.setattr(sparse, "ENTRIES", 300)
    for Q, n_pixels, taps in product((0, 1, 7, 100, 5000), (1, 200, 10**6), (1, 4, 64)):
        tiles = sparse.tiles((B, Q), n_pixels, taps)
        assert [i for tile in tiles for i in range(B * Q)[tile]] == list(range(B * Q))
        for tile in tiles:
            whole = tile.start % Q == tile.stop % Q == 0
            assert whole or tile.start // Q == (tile.stop - 1) // Q
        assert len(tiles) <= B * max(sparse.MOST_TILES, 1)


def test_a_nan_in_the_map_stays_where_it_is(form: str) -> None:
    """Taps outside weigh nothing, but nothing times NaN is NaN: so they are not read."""
    U = np.zeros((1, 3, 4, 2))
    U[0, 0, 0] = np.nan
    points = np.array([[-1.5, 0.0], [-0.5, 0.0], [2.5, 2.5]]).reshape(1, 1, 3, 2)
    V, cache = sample_forward(U, points)
    assert np.isnan(V[0, 0, :, 0]).tolist() == [False, True, False]
    dV = np.array([np.inf, 1, 1]).reshape(1, 1, 3, 1).repeat(2, axis=-1)
    dU, _ = sample_backward(dV, cache, needs=["U"])
    assert np.isfinite(dU).all()  # the first sample reads nothing


def test_a_sum_that_overflows_is_left_to_the_other_form() -> None:
    large = np.full((1, 40, 40, 1), np.finfo(np.float32).max / 2)
    assert not sparse.is_apt(large.astype(np.float32), [np.float32], 2**30)
    assert sparse.is_apt(np.ones((4, 4), np.float32), [np.float32], 2**30)
    assert not sparse.is_apt(np.ones((4, 4), np.float32), [np.float32, np.float64], 2**30)
    assert not sparse.is_apt(np.ones((4, 4), complex), [complex], 2**30)


def test_a_sample_that_is_not_finite_reads_nothing(form: str) -> None:
    points = np.array([[0.5, np.nan], [np.inf, 0.5], [0.5, 0.5]]).reshape(1, 1, 3, 2)
    U = np.ones((1, 3, 4, 2))
    for padding in PADDINGS:
        V, cache = sample_forward(U, points, padding=padding, nonfinite="outside")
        assert V[0, 0, :, 0].tolist() == [0, 0, 1]
        dU, dpoints = sample_backward(np.ones_like(V), cache)
        assert dU.sum() == 2
        assert np.isfinite(dpoints).all()


def test_scipy_is_imported_when_it_is_used_first() -> None:
    code = """
import sys, numpy as np, stnref
stnref.sample_forward(np.ones((1, 3, 4, 2)), np.ones((1, 2, 2, 2)))
assert not any(name.startswith("scipy") for name in sys.modules)
stnref.sample_forward(np.ones((1, 90, 90, 2)), np.ones((1, 90, 90, 2)))
assert "scipy.sparse" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what is counted is glibc's")
def test_memory_is_used_again() -> None:
    """Once warm, a sampling asks the system for no pages, or every array would fault them in."""
    code = """
import resource, numpy as np, stnref
U, grid = np.ones((256, 28, 28, 1), np.float32), np.zeros((256, 28, 28, 2), np.float32)
def faults():
    V, cache = stnref.grid_sample_forward(U, grid)
    stnref.grid_sample_backward(V, cache)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
warm = [faults() for _ in range(13)]
assert warm[12] - warm[2] < 1000, warm
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.fast.sparse"))
