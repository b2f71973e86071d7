"""The ONNX preset on all node cases that the onnx package generates, and on its reference."""

import json
import subprocess
import sys
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


@pytest.mark.parametrize("mode", ONNX_MODES)
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align_corners", [True, False], ids=["aligned", "edges"])
def test_against_the_reference(mode: str, padding_mode: str, align_corners: bool) -> None:
    """Random grids. Its coordinates are float32, so these are kept a little off the kinks."""
    from onnx.reference.ops.op_grid_sample import GridSample

    rng = np.random.default_rng([*map(ord, mode + padding_mode), align_corners])
    U = rng.standard_normal((1, 4, 5, 2)).astype(np.float32)
    d = np.array([4, 3]) if align_corners else np.array([5, 4])
    x = np.floor(4 * rng.uniform(-6, 10, (1, 6, 7, 2))) / 4 + 0.1
    grid = ((2 * x - np.array([4, 3])) / d).astype(np.float32)
    reference = GridSample.__new__(GridSample)  # its options come with the call
    reference.mode, reference.padding_mode, reference.align_corners = "linear", "zeros", 0
    (expected,) = reference._run(_first(U), grid, mode, padding_mode, int(align_corners))
    V = onnx_grid_sample(U, grid, mode=mode, padding_mode=padding_mode, align_corners=align_corners)
    np.testing.assert_allclose(_first(V), expected, rtol=1e-4, atol=1e-4)
