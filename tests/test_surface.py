"""The names at the top level, the rooms behind them, and what the pages write of both."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import stnref

ROOT = Path(__file__).parents[1]

TOP_LEVEL = """
    target_grid supersampled_grid unnormalize_forward unnormalize_backward unnormalize_jvp
    affine_grid affine_grid_forward affine_grid_backward affine_grid_jvp
    translation_matrix_forward translation_matrix_backward translation_matrix_jvp
    attention_matrix_forward attention_matrix_backward attention_matrix_jvp
    rigid_matrix_forward rigid_matrix_backward rigid_matrix_jvp
    similarity_matrix_forward similarity_matrix_backward similarity_matrix_jvp
    projective_grid_forward projective_grid_backward projective_grid_jvp
    basis_grid_forward basis_grid_backward basis_grid_jvp thin_plate_basis bspline_basis
    flow_grid_forward flow_grid_backward flow_grid_jvp get_transform Transform
    sample_forward sample_backward sample_jvp sample_double_backward
    grid_sample grid_sample_forward grid_sample_backward grid_sample_jvp
    grid_sample_double_backward splat_forward splat_backward splat_jvp
    SpatialTransformer kink_report KinkReport NonFiniteError
    check_gradients assert_gradients GradientReport hessian_vector_product
    set_num_threads get_num_threads
"""
ROOMS = [m.name for m in pkgutil.iter_modules(stnref.__path__) if not m.name.startswith("_")]


def test_the_names_at_the_top_level() -> None:
    names = {name for name in dir(stnref) if not name.startswith("_")}
    assert names - set(ROOMS) == set(TOP_LEVEL.split())
    assert names >= set(ROOMS)


def test_type_checkers_know_every_room() -> None:
    tree = ast.parse((ROOT / "stnref" / "__init__.pyi").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert [i.names[0].asname for i in imports if i.module == "stnref"] == ROOMS


def test_rooms_are_imported_when_they_are_asked_for() -> None:
    code = f"""
import sys, stnref
heavy = {{"numpy", "matplotlib", "scipy", "stnref.viz", "stnref.presets", "stnref.checks"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
dir(stnref)
assert "stnref.viz" not in sys.modules
for room in {ROOMS}:
    assert getattr(stnref, room) is sys.modules["stnref." + room]
stnref.viz.plot_grid, stnref.presets.pytorch_grid_sample, stnref.kernels.cubic
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'stnref' has no attribute 'linear'"):
        _ = stnref.linear


@pytest.mark.parametrize("pattern", ["*.md", "docs/**/*.md", "notebooks/*.py", "stnref/**/*.py"])
def test_names_that_are_written_somewhere_exist(pattern: str) -> None:
    written: set[str] = set()
    for page in ROOT.glob(pattern):
        written |= set(re.findall(r"(?<![\w/])stnref(?:\.[A-Za-z]\w*)+", page.read_text("utf-8")))
    assert written
    for name in written:
        pkgutil.resolve_name(name)


ENDINGS = ("_forward", "_backward", "_jvp", "_slope")


def _own_names(room: str) -> set[str]:
    """What a room defines, or, if it is a folder, what its `__init__` imports from below."""
    module = importlib.import_module(f"stnref.{room}")
    names = set()
    for name, value in vars(module).items():
        home = getattr(value, "__module__", None) or f"stnref.{room}"
        own = home == module.__name__ or (hasattr(module, "__path__") and "stnref." in home)
        if own and not name.startswith(("_", "expect_")) and not inspect.ismodule(value):
            names.add(name)
    return {n for n in names if callable(getattr(module, n)) and not n.endswith("Cache")}


def test_the_page_of_public_names_has_them_all() -> None:
    page = (ROOT / "docs" / "names.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE))
    top = set(re.findall(r"`(\w+)`", page.split("| room |")[0]))
    for room, row in rows.items():
        written = top | set(re.findall(r"`(\w+)`", row))
        for name in _own_names(room):
            stems = {name.removesuffix(ending) for ending in ENDINGS}
            assert stems & written, f"docs/names.md, `{room}`: expected {name}"
    internal = {
        "checks",
        "cli",
        "course",
        "experiments",
        "fast",
        "files",
        "validation",
        "coordinates",
    }
    assert set(ROOMS) - internal - {"spatial_transformer"} <= set(rows)


def test_the_names_on_that_page_exist() -> None:
    page = (ROOT / "docs" / "names.md").read_text(encoding="utf-8")
    for room, row in re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE):
        module = importlib.import_module(f"stnref.{room}")
        for name in set(re.findall(r"`(\w+)`", row)) - {"_backward", "_slope"}:
            assert hasattr(module, name) or hasattr(module, f"{name}_forward"), f"{room}.{name}"
