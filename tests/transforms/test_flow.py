"""Dense displacement."""

import importlib

import numpy as np
import pytest

from stnref import check_gradients, grid_sample, target_grid
from stnref.transforms import flow_grid_backward, flow_grid_forward, flow_grid_jvp
from tests.signatures import expect_names

SHAPES = pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)], ids=["2-D", "3-D"])


@SHAPES
def test_no_flow_gives_the_target_grid(shape: tuple[int, ...]) -> None:
    G = target_grid(shape)
    grid, _ = flow_grid_forward(np.zeros((2, *G.shape)), G)
    np.testing.assert_array_equal(grid, np.stack([G, G]))


@SHAPES
def test_gradients(shape: tuple[int, ...]) -> None:
    G = target_grid(shape)
    report = check_gradients(
        lambda flow: flow_grid_forward(flow, G),
        flow_grid_backward,
        [np.random.default_rng(0).standard_normal((2, *G.shape))],
        jvp=flow_grid_jvp,
    )
    assert report.ok, str(report)


def test_a_flow_of_one_pixel_reads_the_neighbour() -> None:
    """To the right by 2 / (W - 1): each pixel shows what stood at its right."""
    U = np.arange(15.0).reshape(1, 3, 5, 1)
    flow = np.zeros((1, 3, 5, 2))
    flow[..., 0] = 2 / 4
    V = grid_sample(U, flow_grid_forward(flow, target_grid((3, 5)))[0])
    np.testing.assert_array_equal(V[0, :, :4], U[0, :, 1:])
    np.testing.assert_array_equal(V[0, :, 4], 0)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision_stays(dtype: type) -> None:
    flow = np.ones((2, 3, 4, 2), dtype)
    grid, cache = flow_grid_forward(flow, target_grid((3, 4)))
    assert grid.dtype == flow_grid_backward(grid, cache).dtype == dtype
    assert flow_grid_jvp(flow, cache).dtype == dtype


def test_inputs_are_not_changed() -> None:
    flow, G = np.ones((1, 3, 4, 2)), target_grid((3, 4))
    flow_grid_forward(flow, G)
    np.testing.assert_array_equal(flow, 1)
    np.testing.assert_array_equal(G, target_grid((3, 4)))


def test_bad_shapes() -> None:
    flow, G = np.ones((1, 3, 4, 2)), target_grid((3, 4))
    _, cache = flow_grid_forward(flow, G)
    with pytest.raises(
        ValueError, match=r"flow: expected shape \(B, H', W', 2\) or \(B, D', H', W'"
    ):
        flow_grid_forward(flow[0], G)
    with pytest.raises(ValueError, match=r"G: expected shape \(3, 4, 2\), got \(4, 3, 2\)"):
        flow_grid_forward(flow, target_grid((4, 3)))
    with pytest.raises(ValueError, match=r"dgrid: expected shape \(1, 3, 4, 2\), got"):
        flow_grid_backward(G, cache)
    with pytest.raises(ValueError, match=r"flow_dot: expected shape \(1, 3, 4, 2\), got"):
        flow_grid_jvp(G, cache)


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.transforms.flow"))
