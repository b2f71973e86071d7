"""The notebooks: source and .ipynb are in step, and the source runs from top to bottom."""

import json
import warnings
from pathlib import Path

import jupytext
import matplotlib
import matplotlib.pyplot as plt
import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SOURCES = sorted(NOTEBOOKS.glob("[0-9]*.py"))
NAMES = [source.stem for source in SOURCES]


def test_there_are_notebooks() -> None:
    assert len(SOURCES) >= 5


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_source_and_notebook_are_in_step(source: Path) -> None:
    """Cell by cell the same text; if not: make notebooks."""
    notebook = json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))
    there = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]
    here = [(cell.cell_type, cell.source) for cell in jupytext.read(source).cells]
    assert there == here


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_the_notebook_was_executed_from_top_to_bottom_without_error(source: Path) -> None:
    notebook = json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
    assert "error" not in kinds
    assert "display_data" in kinds  # it has figures


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_cells_are_short(source: Path) -> None:
    for cell in jupytext.read(source).cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 15, cell.source


@pytest.mark.long
@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_the_source_runs_from_top_to_bottom(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every assertion in it holds, and nothing warns."""
    monkeypatch.chdir(NOTEBOOKS)
    before = matplotlib.get_backend()
    plt.switch_backend("Agg")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(source.read_text(encoding="utf-8"), str(source), "exec"), {})
    finally:
        plt.close("all")
        plt.switch_backend(before)


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_links_lead_somewhere(source: Path) -> None:
    for cell in jupytext.read(source).cells:
        if cell.cell_type == "markdown":
            for part in cell.source.split("](")[1:]:
                link = part.split(")")[0]
                assert "://" in link or (NOTEBOOKS / link.split("#")[0]).exists(), link
