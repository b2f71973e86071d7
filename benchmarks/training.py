"""What a step of training costs, as a ratio to PyTorch: ``python -m benchmarks.training``.

The paper's ST-CNN (affine, 28x28, 32 filters, batch 256): forward, backward, an update by Adam;
the same network with the same weights in PyTorch. On one thread and on two, see `turns`. Written
to docs/performance.md between its marks, and to benchmarks/results/training.json.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.turns import Tasks, measure, serve, table, write

BATCH, FILTERS = 256, 32
PICTURES = 10 * BATCH
"""Of an "epoch" here: ten steps, with rotations drawn anew."""


def data() -> tuple[Any, Any]:
    """Return pictures and labels."""
    from stnref.data import draw_digits

    digits = draw_digits(PICTURES, np.random.default_rng(0))
    return digits.images, digits.labels


def ours() -> Tasks:
    """Return a step, and ten with fresh rotations."""
    from stnref import nn
    from stnref.data.distortions import rotate
    from stnref.experiments.networks import build_network

    network = build_network("st-cnn", (28, 28, 1), filters=FILTERS)
    rng = np.random.default_rng(0)
    optimizer = nn.Adam()
    at: dict[str, Any] = {"params": network.init(rng)}
    at["state"] = optimizer.init(at["params"])
    images, labels = data()

    def step(X: Any = images[:BATCH], y: Any = labels[:BATCH]) -> None:
        logits, cache = network.forward(X, at["params"])
        _, loss = nn.softmax_cross_entropy_forward(logits, y)
        dlogits = nn.softmax_cross_entropy_backward(np.ones((), np.float32), loss)
        _, dparams = network.backward(dlogits, cache, needs=("params",))
        at["params"], at["state"] = optimizer.step(at["params"], dparams, at["state"], 1e-3)

    def epoch() -> None:
        turned = rotate(images, rng).images
        for i in range(0, PICTURES, BATCH):
            step(turned[i : i + BATCH], labels[i : i + BATCH])

    return {"step": step, "ten steps, fresh rotations": epoch}


def pytorch() -> Tasks:
    """Return the same in PyTorch, channels first; rotations with its own sampler."""
    import torch
    from torch.nn import functional

    def convolution(n_in: int, n_out: int, k: int) -> list[Any]:
        return [torch.nn.Conv2d(n_in, n_out, k), torch.nn.MaxPool2d(2), torch.nn.ReLU()]

    linear = torch.nn.Linear
    localisation = torch.nn.Sequential(
        torch.nn.AvgPool2d(2),
        *convolution(1, 20, 5),
        torch.nn.Conv2d(20, 20, 5),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        linear(20, 20),
        torch.nn.ReLU(),
        linear(20, 6),
    )
    with torch.no_grad():
        localisation[-1].weight.zero_()
        localisation[-1].bias.copy_(torch.tensor([1.0, 0, 0, 0, 1, 0]))
    classifier = torch.nn.Sequential(
        *convolution(1, FILTERS, 9),
        *convolution(FILTERS, FILTERS, 7),
        torch.nn.Flatten(),
        linear(4 * FILTERS, 10),
    )
    optimizer = torch.optim.Adam([*localisation.parameters(), *classifier.parameters()])
    rng = np.random.default_rng(0)
    images, labels = data()
    images = torch.from_numpy(images).movedim(-1, 1).contiguous()
    labels = torch.from_numpy(labels)

    def warp(X: Any, theta: Any) -> Any:
        grid = functional.affine_grid(theta, list(X.shape), align_corners=True)
        return functional.grid_sample(X, grid, align_corners=True)

    def step(X: Any = images[:BATCH], y: Any = labels[:BATCH]) -> None:
        optimizer.zero_grad()
        logits = classifier(warp(X, localisation(X).view(-1, 2, 3)))
        functional.cross_entropy(logits, y).backward()
        optimizer.step()

    def epoch() -> None:
        angle = rng.uniform(-np.pi / 2, np.pi / 2, PICTURES)
        cos, sin, zero = np.cos(angle), np.sin(angle), 0 * angle
        theta = np.stack([cos, sin, zero, -sin, cos, zero], axis=-1).reshape(-1, 2, 3)
        turned = warp(images, torch.from_numpy(theta.astype(np.float32)))
        for i in range(0, PICTURES, BATCH):
            step(turned[i : i + BATCH], labels[i : i + BATCH])

    return {"step": step, "ten steps, fresh rotations": epoch}


LIBRARIES: dict[str, Callable[[], Tasks]] = {"stnref": ours, "PyTorch": pytorch}


def main() -> None:
    """Measure, print, and write the table into the page."""
    rows, results = [], {}
    for threads in (1, 2):
        (times,) = measure("benchmarks.training", list(LIBRARIES), [0], threads)
        results[f"threads: {threads}"] = times
        for task, own in times["stnref"].items():
            peer = times["PyTorch"][task]
            rows.append([task, threads, f"{own / peer:.2f}", f"{own:.0f}, {peer:.0f}"])
            print(*rows[-1], flush=True)
    write("training", table(["", "threads", "ratio", "ms, ours and PyTorch's"], rows), results)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(lambda _: LIBRARIES[sys.argv[1]]())
    else:
        main()
