"""What sampling costs, as a ratio to peers: ``python -m benchmarks.sampler``.

Against the better of PyTorch's two layouts in memory, on one thread and on two; against SciPy,
OpenCV, ONNX Runtime, the ONNX reference and our own loops on one; what the derivatives cost beside
each other, what a size costs, and how much memory is held. See `turns`. Written to
docs/performance.md between its marks, to benchmarks/results/sampler.json, and as a plot.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from benchmarks.turns import ROOT, Tasks, bandwidth, measure, seconds, serve, table, write


class Case(NamedTuple):
    """Pictures or volumes, sampled by affine grids near the identity at as many points."""

    B: int
    sizes: tuple[int, ...]
    C: int
    mode: str = "bilinear"

    def __str__(self) -> str:
        shape = " x ".join(map(str, (self.B, *self.sizes, self.C)))
        return (
            shape if self.mode == "bilinear" and len(self.sizes) == 2 else f"{shape}, {self.name}"
        )

    @property
    def name(self) -> str:
        """That of the interpolation."""
        return self.mode if len(self.sizes) == 2 else self.mode.replace("bi", "tri")


CASES = (
    *(Case(256, (28, 28), 1), Case(4, (224, 224), 3), Case(64, (28, 28), 16)),
    *(Case(32, (28, 28), 32), Case(16, (56, 56), 64), Case(16, (28, 28), 256)),
    *(Case(1, (1024, 1024), 3), Case(32, (28, 28), 32, "bicubic"), Case(8, (16, 16, 16), 32)),
)
TWO_THREADS = (4, 5, 6)
"""Of these cases on two threads too."""

OTHERS = (Case(1, (64, 64), 3), Case(16, (28, 28), 1), Case(4, (224, 224), 3))
"""For what else there is; the first for those that are loops in Python."""

SIZES = tuple(Case(1, (n, n), 1) for n in (1000, 3162, 10_000))
MEMORY = (CASES[0], CASES[1], CASES[4], Case(1, (3162, 3162), 1))


def arrays(case: Case) -> tuple[Any, Any, Any]:
    """Return U, grid and dV in float32."""
    import stnref

    B, sizes, C, _ = case
    d = len(sizes)
    rng = np.random.default_rng(0)
    U, dV = rng.standard_normal((2, B, *sizes, C), dtype=np.float32)
    theta = np.eye(d, d + 1) + rng.normal(scale=0.1, size=(B, d, d + 1))
    G = stnref.target_grid(sizes, dtype=np.float32)
    return U, stnref.affine_grid(theta.astype(np.float32), G), dV


def ours(case: Case) -> Tasks:
    """Return forward, forward with backward, and the derivatives by themselves."""
    import stnref

    U, grid, dV = arrays(case)
    _, cache = stnref.grid_sample_forward(U, grid, mode=case.mode)

    def forward() -> Any:
        return stnref.grid_sample_forward(U, grid, mode=case.mode)

    return {
        "forward": forward,
        "both": lambda: stnref.grid_sample_backward(dV, forward()[1]),
        "backward": lambda: stnref.grid_sample_backward(dV, cache),
        "jvp": lambda: stnref.grid_sample_jvp(U, grid, cache),
        "double backward": lambda: stnref.grid_sample_double_backward(U, grid, dV, cache),
    }


def pytorch(case: Case, layout: str) -> Tasks:
    """Return PyTorch's, channels first in the given layout in memory."""
    import torch

    if len(case.sizes) == 3 and layout == "channels_last":
        layout = "channels_last_3d"
    U, grid, dV = (torch.from_numpy(a) for a in arrays(case))
    U, dV = (a.movedim(-1, 1).contiguous(memory_format=getattr(torch, layout)) for a in (U, dV))

    def sample() -> Any:
        return torch.nn.functional.grid_sample(U, grid, mode=case.mode, align_corners=True)

    def forward() -> Any:
        with torch.no_grad():
            return sample()

    def both() -> Any:
        U.requires_grad_().grad = grid.requires_grad_().grad = None
        sample().backward(dV)

    return {"forward": forward, "both": both}


def forwards(case: Case) -> dict[str, Callable[[], Tasks]]:
    """Return the other peers: forward only, bilinear, each in its own layout."""
    import stnref

    U, grid, _ = arrays(case)
    points = stnref.unnormalize_forward(grid, case.sizes)[0]
    first = np.ascontiguousarray(np.moveaxis(U, -1, 1))  # (B, C, H, W)

    def onnx_options() -> dict[str, Any]:
        return {"mode": "linear", "padding_mode": "zeros", "align_corners": 1}

    def scipy() -> Tasks:
        from scipy.ndimage import map_coordinates

        at = np.moveaxis(points[..., ::-1], -1, 1)  # (B, 2, H', W')
        return {
            "forward": lambda: [
                map_coordinates(channel, at[b], order=1, mode="grid-constant")
                for b, picture in enumerate(first)
                for channel in picture
            ]
        }

    def opencv() -> Tasks:
        import cv2

        cv2.setNumThreads(1)
        x, y = np.moveaxis(points, -1, 0)
        return {
            "forward": lambda: [
                cv2.remap(U[b], x[b], y[b], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
                for b in range(len(U))
            ]
        }

    def onnxruntime() -> Tasks:
        import onnxruntime
        from onnx import TensorProto, helper

        node = helper.make_node("GridSample", ["X", "grid"], ["Y"], **onnx_options())
        given = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("X", "grid")]
        made = [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)]
        graph = helper.make_graph([node], "one node", given, made)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9
        ).SerializeToString()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
        return {"forward": lambda: session.run(None, {"X": first, "grid": grid})}

    def onnx() -> Tasks:
        from onnx.reference.ops.op_grid_sample import GridSample

        reference = GridSample.__new__(GridSample)  # its options come with the call
        reference.mode, reference.padding_mode, reference.align_corners = "linear", "zeros", 0
        return {"forward": lambda: reference._run(first, grid, **onnx_options())}

    def loops() -> Tasks:
        return {"forward": lambda: stnref.loops.sample(U, points)}

    return {
        "SciPy, map_coordinates": scipy,
        "OpenCV, remap": opencv,
        "ONNX Runtime": onnxruntime,
        "ONNX reference": onnx,
        "stnref.loops": loops,
    }


IN_PYTHON = ("ONNX reference", "stnref.loops")
LIBRARIES: dict[str, Callable[[Case], Tasks]] = {
    "stnref": ours,
    "PyTorch": lambda case: pytorch(case, "contiguous_format"),
    "PyTorch, channels last": lambda case: pytorch(case, "channels_last"),
}
OTHER_LIBRARIES = ("SciPy, map_coordinates", "OpenCV, remap", "ONNX Runtime", *IN_PYTHON)
ALL = (*CASES, *OTHERS)


def prepare(library: str, number: int) -> Tasks:
    """Return what is measured of a library for a case."""
    if library in LIBRARIES:
        return LIBRARIES[library](ALL[number])
    return forwards(ALL[number])[library]()


def beside_pytorch(results: dict[str, Any]) -> str:
    """Measure, and return the table."""
    rows = []
    for threads, numbers in ((1, tuple(range(len(CASES)))), (2, TWO_THREADS)):
        times = measure("benchmarks.sampler", list(LIBRARIES), numbers, threads)
        for number, found in zip(numbers, times, strict=True):
            results[f"{CASES[number]}, threads: {threads}"] = found
            own = found["stnref"]
            best = {
                task: min(found[peer][task] for peer in LIBRARIES if peer != "stnref")
                for task in ("forward", "both")
            }
            ratios = [f"{own[task] / best[task]:.2f}" for task in best]
            ms = f"{own['forward']:.2f}, {own['both']:.2f}"
            rows.append([CASES[number], threads, *ratios, ms])
            print(*rows[-1], flush=True)
    return table(["B x sizes x C", "threads", "forward", "and backward", "ms"], rows)


def beside_others(results: dict[str, Any]) -> str:
    """Measure, and return the table: how many times as long they take."""
    rows = []
    for k, case in enumerate(OTHERS):
        peers = [p for p in OTHER_LIBRARIES if k == 0 or p not in IN_PYTHON]
        number = len(CASES) + k
        turns = 3 if k == 0 else 7
        (found,) = measure("benchmarks.sampler", ["stnref", *peers], [number], 1, turns)
        results[f"others: {case}"] = found
        own = found["stnref"]["forward"]
        ratios = [f"{found[p]['forward'] / own:.3g}" if p in found else "" for p in OTHER_LIBRARIES]
        rows.append([case, *ratios])
        print(*rows[-1], flush=True)
    return table(["B x sizes x C", *OTHER_LIBRARIES], rows)


def derivatives(results: dict[str, Any]) -> str:
    """Return the table of what the derivatives cost beside backward, of what was measured."""
    rows = []
    for case in CASES:
        own = results[f"{case}, threads: 1"]["stnref"]
        row = [f"{own[task] / own['backward']:.2f}" for task in ("jvp", "double backward")]
        rows.append([case, *row])
    return table(["B x sizes x C", "jvp / backward", "double backward / backward"], rows)


def one(what: str, number: int) -> None:
    """Print what one case costs, as JSON: time per element, or memory beyond U and V."""
    case = (SIZES if what == "size" else MEMORY)[number]
    both = ours_once(case)
    if what == "size":
        both()
        print(json.dumps(median(seconds(both)) / (case.B * np.prod(case.sizes) * case.C) * 1e9))
        return
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    both()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    tracemalloc.start()
    made = sum(a.nbytes for a in both())
    beyond = tracemalloc.get_traced_memory()[1] - made
    U_and_V = 2 * 4 * case.B * np.prod(case.sizes) * case.C
    print(json.dumps([float(beyond / U_and_V), float(grown / U_and_V)]))


def ours_once(case: Case) -> Callable[[], list[Any]]:
    """Return forward with backward, which returns V, dU and dgrid."""
    import stnref

    U, grid, dV = arrays(case)

    def both() -> list[Any]:
        V, cache = stnref.grid_sample_forward(U, grid, mode=case.mode)
        return [V, *stnref.grid_sample_backward(dV, cache)]

    return both


def alone(what: str, number: int) -> Any:
    """Return what `one` prints in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.sampler", what, str(number)]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(found.stdout)


def sizes_and_memory(results: dict[str, Any]) -> str:
    """Measure, and return two tables."""
    results["ns per element"] = {str(c): alone("size", k) for k, c in enumerate(SIZES)}
    results["memory"] = {str(c): alone("memory", k) for k, c in enumerate(MEMORY)}
    sizes = [[case, f"{ns:.1f}"] for case, ns in results["ns per element"].items()]
    memory = [[case, *(f"{r:.2f}" for r in pair)] for case, pair in results["memory"].items()]
    print(sizes, memory)
    return (
        table(["B x sizes x C", "ns per element, forward and backward"], sizes)
        + "\n"
        + table(["B x sizes x C", "arrays beyond / (U + V)", "resident set / (U + V)"], memory)
    )


def plot(results: dict[str, Any]) -> None:
    """Draw the cost of an element against the channels, beside that of copying it."""
    from stnref.viz.figure import new_figure

    figure = new_figure(7, 3.5)
    ax = figure.subplots()
    cases = CASES[:6]
    for library, marker in zip(LIBRARIES, "osd", strict=True):
        for task, line in (("forward", "-"), ("both", "--")):
            ns = [
                results[f"{case}, threads: 1"][library][task]
                / (case.B * np.prod(case.sizes) * case.C)
                * 1e6
                for case in cases
            ]
            label = f"{library}: {'forward' if task == 'forward' else 'and backward'}"
            ax.loglog(
                [c.C for c in cases],
                ns,
                marker + line,
                color=f"C{'osd'.index(marker)}",
                label=label,
            )
    ax.axhline(8 / bandwidth(), color="0.5", ls=":", label="to copy an element")
    ax.set(xlabel="channels", ylabel="ns per element")
    ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.set_layout_engine("constrained")
    figure.savefig(ROOT / "docs" / "figures" / "performance.png", dpi=120)


def main() -> None:
    """Measure, print, and write the tables into the page."""
    results: dict[str, Any] = {}
    text = "\n".join(
        [
            beside_pytorch(results),
            "How many times as long others take, forward:\n",
            beside_others(results),
            "The derivatives beside backward:\n",
            derivatives(results),
            "A large picture, and memory:\n",
            sizes_and_memory(results),
            "![Cost of an element over the number of channels, for three libraries, and of a copy.]"
            "(figures/performance.png)\n",
        ]
    )
    plot(results)
    write("sampler", text, results)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        one(sys.argv[1], int(sys.argv[2]))
    elif len(sys.argv) > 1:
        serve(lambda number: prepare(sys.argv[1], number))
    else:
        main()
