"""The tricky cases: our sampler solves them, in both precisions, and they are what they say."""

import numpy as np
import pytest

from stnref import grid_sample, kink_report, sample_backward, sample_forward
from stnref.kernels import KERNELS
from stnref.padding import PADDINGS
from stnref.testing import cases

EVERY = pytest.mark.parametrize("padding", PADDINGS)
KERNEL = pytest.mark.parametrize("kernel", KERNELS)


@EVERY
@KERNEL
def test_our_sampler_solves_them(kernel: str, padding: str) -> None:
    """In both precisions: the loops, which are slow, solve the cases once for the two."""
    options = {"kernel": kernel, "padding": padding}
    for dtype, tolerance in ((np.float64, 1e-13), (np.float32, 3e-6)):
        for name, case in cases(**options, dtype=dtype).items():
            V, cache = sample_forward(case.U, case.points, **options)
            ours = (V, *sample_backward(case.dV, cache))
            for actual, expected in zip(ours, (case.V, case.dU, case.dpoints), strict=True):
                assert actual.dtype == expected.dtype == dtype
                scale = max(np.abs(expected).max(), 1)
                np.testing.assert_allclose(actual, expected, atol=tolerance * scale, err_msg=name)


def test_the_cases_are_what_they_say() -> None:
    every = cases()
    for name, share in {"identity": 1, "on the lattice": 1, "inside": 0}.items():
        report = kink_report(every[name].points, every[name].U.shape[1:3])
        assert report.n_kinks == share * report.n_samples, name
    assert not np.any(every["far outside"].V)
    np.testing.assert_array_equal(every["identity"].V[0], every["identity"].U[0])
    colliding = every["colliding samples"]
    assert np.unique(colliding.points.reshape(-1, 2), axis=0).shape == (1, 2)
    np.testing.assert_allclose(colliding.dU.sum(axis=(1, 2)), colliding.dV.sum(axis=(1, 2)))


def test_the_same_at_every_call() -> None:
    for first, second in zip(cases().values(), cases().values(), strict=True):
        for a, b in zip(first[1:], second[1:], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("align_corners", [True, False])
def test_in_normalised_coordinates(align_corners: bool) -> None:
    case = cases()["inside"]
    V = grid_sample(case.U, case.grid(align_corners=align_corners), align_corners=align_corners)
    np.testing.assert_allclose(V, case.V, atol=1e-13)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "lanczos"}, "kernel: expected one of 'nearest', 'linear', 'cubic', 'bsp"),
        ({"padding": "mirror"}, "padding: expected one of 'zeros', 'border', 'reflection_cent"),
    ],
)
def test_bad_input(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cases(**options)
