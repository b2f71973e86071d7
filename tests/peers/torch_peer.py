"""PyTorch's functions with our layout: channels last in and out, gradients included."""

import numpy as np
import torch

from tests.golden.cases import AffineCase, SampleCase


def _first(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, -1, 1)


def _last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 1, -1)


def torch_grid_sample(
    case: SampleCase, mode: str = "bilinear", padding_mode: str = "zeros"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return V, dU, dgrid."""
    U = torch.tensor(_first(case.U), requires_grad=True)
    grid = torch.tensor(case.grid, requires_grad=True)
    V = torch.nn.functional.grid_sample(
        U, grid, mode=mode, padding_mode=padding_mode, align_corners=case.align_corners
    )
    V.backward(torch.tensor(_first(case.dV)))
    return _last(V.detach().numpy()), _last(U.grad.numpy()), grid.grad.numpy()


def torch_affine_grid(case: AffineCase) -> tuple[np.ndarray, np.ndarray]:
    """Return grid, dtheta."""
    theta = torch.tensor(case.theta, requires_grad=True)
    size = (len(case.theta), 1, *case.out_shape)
    grid = torch.nn.functional.affine_grid(theta, size, align_corners=case.align_corners)
    grid.backward(torch.tensor(case.dgrid))
    return grid.detach().numpy(), theta.grad.numpy()
