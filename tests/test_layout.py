"""The rooms of the package: imports go down the list and never up, and tests mirror modules."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From what a user asks for down to what everything stands on; each says in its first lines what it
# is for.
DOWNWARDS = """
    __main__ cli experiments checks testing viz training data spatial_transformer presets
    filled splat fields sampler kinks taps transforms kernels padding coordinates nn
    fast loops diagnosis gradcheck pairs validation files _version
"""
ROOMS = DOWNWARDS.split()
# The checker is general: who wants it alone copies its folder and validation.py.
NEEDS_ONLY = {"gradcheck": {"validation"}, "diagnosis": {"gradcheck", "validation"}}


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in (ROOT / "stnref").rglob("*.py")}


def _room(module: str) -> str:
    return module.removeprefix("stnref.").split(".")[0]


@cache
def _imports(path: Path) -> set[str]:
    """Return the modules of the package that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & set(MODULES) or {node.module}
    return found & set(MODULES)


def test_every_room_has_its_place_in_the_list() -> None:
    assert {_room(module) for module in MODULES} == {*ROOMS, "stnref"}


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_down_the_list_and_never_up(room: str) -> None:
    files = [path for module, path in MODULES.items() if _room(module) == room]
    imported = {_room(name) for file in files for name in _imports(file)} - {room}
    assert imported <= NEEDS_ONLY.get(room, set(ROOMS[ROOMS.index(room) + 1 :]))


def test_no_modules_import_each_other() -> None:
    graph = {module: _imports(path) for module, path in MODULES.items()}
    assert list(TopologicalSorter(graph).static_order())


def _does_something(path: Path) -> bool:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in body)


def test_every_module_has_its_test_file() -> None:
    for module, path in MODULES.items():
        if path.stem != "__init__" and _does_something(path):
            _, *room, name = module.split(".")  # tests of suspects may stand in tests/diagnosis
            pattern = f"{room[0]}/**/test_{name}.py" if room else f"test_{name}.py"
            assert list((ROOT / "tests").glob(pattern)), f"{module} has no test file"
