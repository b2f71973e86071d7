"""Write golden.npz: what PyTorch gives for the cases of cases.py, in float64.

Run ``python tests/golden/make_golden.py`` where torch is installed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.golden.cases import affine_cases, sample_cases
from tests.peers.torch_peer import torch_affine_grid, torch_grid_sample


def main() -> None:
    """Write the file beside this one."""
    arrays = {}
    for name, case in sample_cases().items():
        outputs = torch_grid_sample(case)
        inputs = {"U": case.U, "grid": case.grid, "dV": case.dV}
        for key, value in {
            **inputs,
            **dict(zip(("V", "dU", "dgrid"), outputs, strict=True)),
        }.items():
            arrays[f"sample/{name}/{key}"] = value
    for name, case in affine_cases().items():
        outputs = torch_affine_grid(case)
        inputs = {"theta": case.theta, "dgrid": case.dgrid}
        for key, value in {**inputs, **dict(zip(("grid", "dtheta"), outputs, strict=True))}.items():
            arrays[f"affine/{name}/{key}"] = value
    np.savez_compressed(Path(__file__).with_name("golden.npz"), **arrays)


if __name__ == "__main__":
    main()
