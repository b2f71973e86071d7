"""The ONNX preset: onnx's node cases, its reference, and ONNX Runtime where it is installed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stnref import affine_grid, target_grid
from stnref.presets import ONNX_MODES, onnx_grid_sample

pytest.importorskip("onnx", reason="the optional extra 'peers' is not installed")

SCRIPT = Path(__file__).with_name("onnx_cases.py")


def _cases(operator: str, folder: Path) -> list[dict[str, np.ndarray]]:
    subprocess.run([sys.executable, str(SCRIPT), operator, str(folder)], check=True)
    cases = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            cases.append({name: file[name] for name in file.files})
    return cases


def _first(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, -1, 1)


def _last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 1, -1)


def test_all_node_cases_of_grid_sample(tmp_path: Path) -> None:
    cases = _cases("GridSample", tmp_path)
    assert len(cases) >= 18
    for case in cases:
        options = json.loads(case["options"].item())
        options["align_corners"] = bool(options.get("align_corners", 0))
        V = onnx_grid_sample(_last(case["arr_0"]), case["arr_1"], **options)
        np.testing.assert_allclose(
            _first(V), case["expected"], rtol=case["rtol"], atol=case["atol"], err_msg=str(options)
        )


def test_all_node_cases_of_affine_grid(tmp_path: Path) -> None:
    cases = _cases("AffineGrid", tmp_path)
    assert len(cases) >= 4
    for case in cases:
        aligned = bool(json.loads(case["options"].item()).get("align_corners", 0))
        G = target_grid(case["arr_1"][2:], align_corners=aligned)
        grid = affine_grid(case["arr_0"], G)
        np.testing.assert_allclose(grid, case["expected"], rtol=case["rtol"], atol=1e-6)


def _reference(
    X: np.ndarray, grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool
) -> np.ndarray:
    from onnx.reference.ops.op_grid_sample import GridSample

    reference = GridSample.__new__(GridSample)  # its options come with the call
    reference.mode, reference.padding_mode, reference.align_corners = "linear", "zeros", 0
    (Y,) = reference._run(X, grid, mode, padding_mode, int(align_corners))
    return Y


def _runtime(
    X: np.ndarray, grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool
) -> np.ndarray:
    """What ONNX Runtime makes of a network of one GridSample."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra 'peers' is not installed")
    from onnx import helper

    dtype = helper.np_dtype_to_tensor_dtype(X.dtype)
    node = helper.make_node(
        "GridSample",
        ["X", "grid"],
        ["Y"],
        mode=mode,
        padding_mode=padding_mode,
        align_corners=int(align_corners),
    )
    inputs = [helper.make_tensor_value_info(name, dtype, None) for name in ("X", "grid")]
    outputs = [helper.make_tensor_value_info("Y", dtype, None)]
    model = helper.make_model(
        helper.make_graph([node], "one node", inputs, outputs),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=9,
    )
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"X": X, "grid": grid})[0]


COMBINATIONS = [
    pytest.mark.parametrize("mode", ONNX_MODES),
    pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"]),
    pytest.mark.parametrize("align_corners", [True, False], ids=["aligned", "edges"]),
]


def every_combination(test: Callable[..., None]) -> Callable[..., None]:
    for mark in COMBINATIONS:
        test = mark(test)
    return test


@every_combination
def test_against_the_reference(mode: str, padding_mode: str, align_corners: bool) -> None:
    """Random grids. Its coordinates are float32, so these are kept a little off the kinks."""
    rng = np.random.default_rng([*map(ord, mode + padding_mode), align_corners])
    U = rng.standard_normal((1, 4, 5, 2)).astype(np.float32)
    d = np.array([4, 3]) if align_corners else np.array([5, 4])
    x = np.floor(4 * rng.uniform(-6, 10, (1, 6, 7, 2))) / 4 + 0.1
    grid = ((2 * x - np.array([4, 3])) / d).astype(np.float32)
    expected = _reference(_first(U), grid, mode, padding_mode, align_corners)
    V = onnx_grid_sample(U, grid, mode=mode, padding_mode=padding_mode, align_corners=align_corners)
    np.testing.assert_allclose(_first(V), expected, rtol=1e-4, atol=1e-4)


@every_combination
@pytest.mark.parametrize("d", [2, 3], ids=["2-D", "3-D"])
def test_against_onnx_runtime(d: int, mode: str, padding_mode: str, align_corners: bool) -> None:
    """Random grids and half pixels, far outside too; both dtypes; sizes of which d is dyadic."""
    if (d, mode) == (3, "cubic"):
        pytest.skip("ONNX Runtime has no cubic volumes")
    options = {"mode": mode, "padding_mode": padding_mode, "align_corners": align_corners}
    rng = np.random.default_rng([*map(ord, mode + padding_mode), d, align_corners])
    extent = np.array([8, 4, 2][:d])
    sizes = extent + 1 if align_corners else extent
    x = rng.uniform(-9, 18, (2, *(5,) * d, d))
    for points in (x, np.round(2 * x) / 2):
        for dtype, tolerance in ((np.float32, 2e-5), (np.float64, 1e-13)):
            U = rng.standard_normal((2, *sizes[::-1], 3)).astype(dtype)
            grid = ((2 * points - (sizes - 1)) / extent).astype(dtype)
            V = onnx_grid_sample(U, grid, runtime=True, **options)
            expected = _runtime(_first(U), grid, **options)
            np.testing.assert_allclose(_first(V), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("sample", "runtime"), [(_reference, False), (_runtime, True)])
def test_the_number_of_the_conventions(sample: Callable[..., np.ndarray], runtime: bool) -> None:
    """Cubic with border at x = -0.2: the standard's reference 1.0, ONNX Runtime 0.904."""
    X = np.array([1.0, 2, 4, 8, 16], np.float32).reshape(1, 1, 1, 5)
    grid = np.array([-1.1, 0], np.float32).reshape(1, 1, 1, 2)
    expected = 0.904 if runtime else 1.0
    assert sample(X, grid, "cubic", "border", True).item() == pytest.approx(expected, abs=1e-6)
    V = onnx_grid_sample(
        _last(X), grid, mode="cubic", padding_mode="border", align_corners=True, runtime=runtime
    )
    assert V.item() == pytest.approx(expected, abs=1e-6)
