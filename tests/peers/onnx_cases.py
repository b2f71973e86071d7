"""Write the node cases that the onnx package generates for one operator into a folder.

``python onnx_cases.py GridSample FOLDER``: a process for each operator, since the package keeps
the cases it has collected.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")  # the package's own, of other operators

from onnx.backend.test.case.node import collect_testcases  # noqa: E402


def main(operator: str, folder: Path) -> None:
    for case in collect_testcases(operator):
        nodes = case.model.graph.node
        if len(nodes) != 1:
            continue  # the same case once more, spelled out in other operators
        options = {a.name: a.s.decode() if a.s else a.i for a in nodes[0].attribute}
        inputs, outputs = case.data_sets[0]
        np.savez(
            folder / f"{case.name}.npz",
            *inputs,
            expected=outputs[0],
            options=json.dumps(options),
            rtol=case.rtol,
            atol=case.atol,
        )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
