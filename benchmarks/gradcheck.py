"""What a gradient check costs: seconds, and as a ratio to torch.autograd.gradcheck.

``python -m benchmarks.gradcheck``; the ratio wants PyTorch (``pip install -e ".[peers]"``). The two
run in turn, and the medians are compared. PyTorch's check differentiates by every element
by central differences and compares no Jacobian-vector products in its default mode; ours adds the
behaviour, the kinks and the dot test.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from stnref import check_gradients, sample_backward, sample_forward, target_grid
from stnref.gradcheck import from_torch_function
from stnref.nn import tanh_backward, tanh_forward

CASES = {
    "small, off the lattice": ((2, 9, 7, 3), (2, 6, 8), False),
    "large, off the lattice": ((8, 64, 64, 16), (8, 64, 64), False),
    "small, identity": ((2, 9, 7, 3), (2, 9, 7), True),
    "large, identity": ((8, 64, 64, 16), (8, 64, 64), True),
}
"""Shape of the map, positions of the samples, and whether these are the map's own pixels."""


def seconds(function: Callable[[], object], repeat: int) -> list[float]:
    """Time a function several times."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return times


def inputs(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a map and points in pixels."""
    shape, positions, identity = CASES[name]
    rng = np.random.default_rng(0)
    n, m = np.mgrid[: positions[1], : positions[2]]
    points = np.broadcast_to(np.stack([m, n], axis=-1).astype(float), (*positions, 2)).copy()
    if not identity:
        points = rng.uniform(-1, [shape[2], shape[1]], (*positions, 2))
    return rng.standard_normal(shape), points


def ratio_to_torch(repeat: int = 5) -> tuple[float, float]:
    """Return the medians, ours and PyTorch's, for torch's own sampler at a small size."""
    import torch

    rng = np.random.default_rng(0)
    U, grid = rng.standard_normal((2, 3, 9, 7)), 0.9 * target_grid((6, 8))[None].repeat(2, axis=0)
    grid = grid + rng.uniform(-0.05, 0.05, grid.shape)

    def sample(U: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.grid_sample(U, grid, align_corners=True)

    tensors = [torch.tensor(a, requires_grad=True) for a in (U, grid)]
    forward, backward = from_torch_function(sample)
    ours, theirs = [], []
    for _ in range(repeat):
        ours += seconds(lambda: check_gradients(forward, backward, [U, grid]), 1)
        theirs += seconds(lambda: torch.autograd.gradcheck(sample, tensors), 1)
    return median(ours), median(theirs)


def exchanged(dV: np.ndarray, cache: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of a sampler, wrong: x and y are exchanged."""
    dU, dpoints = sample_backward(dV, cache)
    return dU, dpoints[..., ::-1]


def main() -> None:
    """Print a line for each case."""
    for name in CASES:
        U, points = inputs(name)
        repeat = 5 if U.size < 10_000 else 3

        def check(U: np.ndarray = U, points: np.ndarray = points) -> None:
            assert check_gradients(sample_forward, sample_backward, [U, points]).ok

        print(f"{name:24s} {median(seconds(check, repeat)):6.3f} s")

    U, points = inputs("small, off the lattice")
    wrong = median(seconds(lambda: check_gradients(sample_forward, exchanged, [U, points]), 5))
    print(f"{'small, x and y exchanged':24s} {wrong:6.3f} s")
    X = U[0, :4, :3, 0]
    right = median(seconds(lambda: check_gradients(tanh_forward, tanh_backward, [X]), 20))
    print(f"{'tanh of 12 numbers':24s} {right:6.4f} s")
    if importlib.util.find_spec("torch"):
        ours, theirs = ratio_to_torch()
        print(f"torch's sampler, small: {ours:.2f} s, torch.autograd.gradcheck {theirs:.2f} s")
        print(f"ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
