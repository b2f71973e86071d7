"""Execute the notebooks' sources and write an .ipynb beside each.

``python docs/execute_notebooks.py`` does all of them, ``… 02_bilinear_interpolation`` those named.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

# One thread: the arrays are small, and the numbers do not depend on how many processors there are.
os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def execute(source: Path) -> None:
    """Run one source from top to bottom and write the notebook with its outputs."""
    notebook = jupytext.read(source)
    NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(NOTEBOOKS)}}
    ).execute()
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"  # the same at every run, so that a diff shows what changed
        cell.metadata.pop("execution", None)  # times
        if cell.cell_type == "code":  # what is to be seen is printed or drawn
            cell.outputs = [o for o in cell.outputs if o.output_type != "execute_result"]
    language = {"name": "python"}
    notebook.metadata = {
        "kernelspec": notebook.metadata["kernelspec"],
        "language_info": language,
    }
    nbformat.write(notebook, source.with_suffix(".ipynb"))
    print(f"wrote {source.with_suffix('.ipynb').name}")


def main(names: list[str]) -> None:
    """Execute the named notebooks, or all."""
    for source in sorted(NOTEBOOKS.glob("[0-9]*.py")):
        if not names or source.stem in names:
            execute(source)


if __name__ == "__main__":
    main(sys.argv[1:])
