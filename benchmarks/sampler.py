"""What sampling costs, as a ratio to PyTorch: ``python -m benchmarks.sampler``.

Each library runs in a process of its own, one thread each, since the idle workers of one slow the
other down; the two take turns, and the medians are compared. PyTorch is asked in both of its
layouts, and the better one counts. Written to docs/performance.md between its marks.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
START, END = "<!-- sampler: made by benchmarks/sampler.py -->\n", "<!-- end of sampler -->\n"
CASES = ((256, 28, 1), (4, 224, 3), (64, 28, 16), (32, 28, 32), (16, 56, 64), (16, 28, 256))
"""B, H = W, C."""
REPEATS, TURNS = 3, 7
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def arrays(case: tuple[int, int, int]) -> tuple[Any, Any, Any]:
    """Return U, grid and dV in float32: affine grids near the identity."""
    import stnref

    B, n, C = case
    rng = np.random.default_rng(0)
    U, dV = rng.standard_normal((2, B, n, n, C), dtype=np.float32)
    theta = np.eye(2, 3) + rng.normal(scale=0.1, size=(B, 2, 3))
    return U, stnref.affine_grid(theta, stnref.target_grid((n, n))).astype(np.float32), dV


def ours(case: tuple[int, int, int]) -> list[Callable[[], Any]]:
    """Return forward, and forward with backward."""
    import stnref

    U, grid, dV = arrays(case)

    def both() -> Any:
        return stnref.grid_sample_backward(dV, stnref.grid_sample_forward(U, grid)[1])

    return [lambda: stnref.grid_sample_forward(U, grid), both]


def theirs(case: tuple[int, int, int], layout: str) -> list[Callable[[], Any]]:
    """Return PyTorch's, channels first in the given layout in memory."""
    import torch

    torch.set_num_threads(1)
    form = getattr(torch, layout)
    U, grid, dV = (torch.from_numpy(a) for a in arrays(case))
    U, dV = (a.movedim(-1, 1).contiguous(memory_format=form) for a in (U, dV))

    def sample() -> Any:
        return torch.nn.functional.grid_sample(U, grid, align_corners=True)

    def forward() -> Any:
        with torch.no_grad():
            return sample()

    def both() -> Any:
        U.requires_grad_().grad = grid.requires_grad_().grad = None
        sample().backward(dV)

    return [forward, both]


LIBRARIES = {
    "stnref": ours,
    "PyTorch": lambda case: theirs(case, "contiguous_format"),
    "PyTorch, channels last": lambda case: theirs(case, "channels_last"),
}


def work(library: str) -> None:
    """Answer each line, the number of a case, by two medians in milliseconds."""
    prepared = {}
    for line in sys.stdin:
        number = int(line)
        if number not in prepared:
            prepared = {number: LIBRARIES[library](CASES[number])}
            for function in prepared[number]:
                function()
        times = []
        for function in prepared[number]:
            runs = []
            for _ in range(REPEATS):
                start = time.perf_counter()
                function()
                runs.append(time.perf_counter() - start)
            times.append(f"{1000 * median(runs):.6f}")
        print(*times, flush=True)


def measure() -> list[dict[str, list[float]]]:
    """Return for each case and library the milliseconds of forward and of both."""
    call = [sys.executable, "-m", "benchmarks.sampler"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    workers = {
        library: subprocess.Popen([*call, library], env={**os.environ, **ONE_THREAD}, **pipes)
        for library in LIBRARIES
    }
    results = []
    for number in range(len(CASES)):
        times: dict[str, list[list[float]]] = {library: [] for library in LIBRARIES}
        for _ in range(TURNS):
            for library, worker in workers.items():
                worker.stdin.write(f"{number}\n")
                worker.stdin.flush()
                times[library].append([float(t) for t in worker.stdout.readline().split()])
        results.append({name: np.median(t, axis=0).tolist() for name, t in times.items()})
    for worker in workers.values():
        worker.communicate()
    return results


def main() -> None:
    """Measure, print, and write the table into the page."""
    rows = ["| B x H x W x C | forward | and backward | ms |", "|---|---|---|---|"]
    for (B, n, C), times in zip(CASES, measure(), strict=True):
        best = np.min([times[name] for name in LIBRARIES if name != "stnref"], axis=0)
        own = times["stnref"]
        f, fb = own / best
        row = f"| {B} x {n} x {n} x {C} | {f:.2f} | {fb:.2f} | {own[0]:.1f}, {own[1]:.1f} |"
        rows.append(row)
        print(row, flush=True)
    table = "\n".join(rows) + "\n"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    PAGE.write_text(before + START + table + END + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work(sys.argv[1])
    else:
        main()
