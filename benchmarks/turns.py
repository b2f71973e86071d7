"""Libraries side by side: each in a process of its own, in turn, medians.

Two libraries in one process slow each other down: the idle workers of one keep a processor busy
while the other computes. So each has its process, and is asked for a case at a time, in turn with
the others, several times over.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results"
VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "STNREF_NUM_THREADS")

Tasks = Mapping[str, Callable[[], object]]
"""What is measured of a case, by name."""


def serve(prepare: Callable[[int], Tasks]) -> None:
    """Answer each line, the number of a case, by the medians in milliseconds as JSON."""
    prepared: dict[int, Tasks] = {}
    for line in sys.stdin:
        number = int(line)
        if number not in prepared:
            prepared = {number: prepare(number)}
            for task in prepared[number].values():
                task()
        times = {name: median(seconds(task)) * 1e3 for name, task in prepared[number].items()}
        print(json.dumps(times), flush=True)


def seconds(task: Callable[[], object], least: float = 0.05) -> list[float]:
    """Time a task, three times and until it has taken `least` seconds in all."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < least:
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return times


def measure(
    module: str, libraries: Sequence[str], cases: Sequence[int], threads: int, turns: int = 7
) -> list[dict[str, dict[str, float]]]:
    """Return for each case, library and task the median of its turns, in milliseconds."""
    environment = {**os.environ, **dict.fromkeys(VARIABLES, str(threads))}
    workers = {
        library: subprocess.Popen(
            [sys.executable, "-m", module, library],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        for library in libraries
    }
    results = []
    for case in cases:
        answers: dict[str, list[dict[str, float]]] = {library: [] for library in libraries}
        for _ in range(turns):
            for library, worker in workers.items():
                print(case, file=worker.stdin, flush=True)
                answers[library].append(json.loads(worker.stdout.readline()))
        results.append(
            {
                library: {task: median(a[task] for a in given) for task in given[0]}
                for library, given in answers.items()
            }
        )
    for worker in workers.values():
        worker.communicate()
    return results


def bandwidth() -> float:
    """Return how fast this machine copies memory on one thread, in GB/s read and written."""
    a = np.ones(2**26, np.float32)
    b = np.empty_like(a)
    return 2 * a.nbytes / 1e9 / min(seconds(lambda: np.copyto(b, a), least=1))


def machine() -> dict[str, object]:
    """Return what the figures depend on."""
    found = {}
    for package in ("numpy", "scipy", "torch", "onnx", "onnxruntime", "opencv-python-headless"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return {
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "architecture": platform.machine(),
        "copy GB/s": round(bandwidth(), 1),
        **found,
    }


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def write(name: str, text: str, results: object) -> None:
    """Write the text into the page, between the marks of that name, and the results as JSON."""
    start = f"<!-- {name}: made by benchmarks/{name}.py -->\n"
    before, mark, rest = PAGE.read_text(encoding="utf-8").partition(start)
    end = f"<!-- end of {name} -->\n"
    if not mark or end not in rest:
        raise ValueError(f"{PAGE}: expected the marks of {name}")
    PAGE.write_text(before + start + text + end + rest.partition(end)[2], encoding="utf-8")
    RESULTS.mkdir(exist_ok=True)
    content = json.dumps({"machine": machine(), "results": results}, indent=1) + "\n"
    (RESULTS / f"{name}.json").write_text(content, encoding="utf-8")
