"""The sections of every public docstring: functions, and methods of public classes.

Everything has the sections of numpydoc:

- Parameters, if there are any;
- Returns (or Yields), if something comes back;
- Raises, if the source raises or checks an argument (``expect_…``);
- an example. A method may have it in its class. Rooms whose functions draw, write files or need a
  run, a class or a report to show anything are free of this one: `WITHOUT_EXAMPLES`.

One sentence is enough where the rest stands elsewhere:

- a derivative, whose name ends in backward or jvp, may have the short form: what it computes, as
  an equation or a tag; ``input -> output``, with shapes; what it raises; an example;
- a method that a protocol documents, `Layer` or `Optimizer`, says there what it takes;
- a method of a record (a dataclass, a NamedTuple, or what the checker's functions hand on:
  `Problem`, `Evidence`) is a word about its fields;
- a suspect of the diagnosis, which returns ``Iterator[Candidate]``, says the mistake; all suspects
  take the same evidence.

A docstring may be inherited. Names that begin with an underscore are nobody's business.
"""

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import stnref
from stnref.diagnosis.evidence import Evidence
from stnref.gradcheck import Problem
from stnref.nn import Layer, Optimizer

WITHOUT_EXAMPLES = "checks cli course data diagnosis experiments files gradcheck training viz"
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(stnref.__path__, "stnref.")
    if "._" not in module.name
)


def _public(name: str) -> Iterator[tuple[str, Callable[..., Any], type | None]]:
    """Yield name, function and class of all public functions that a module defines."""
    module = importlib.import_module(name)
    owners = [(None, module)]
    owners += [(c, c) for _, c in inspect.getmembers(module, inspect.isclass)]
    for cls, owner in owners:
        if cls is not None and (cls.__module__ != name or cls.__name__.startswith("_")):
            continue
        for member in vars(owner):
            function = inspect.unwrap(getattr(owner, member))
            inside = inspect.isfunction(function) and function.__module__ == name
            if inside and not member.startswith("_") and function.__name__ != "<lambda>":
                yield f"{owner.__name__}.{member}", getattr(owner, member), cls


def _raises(function: Callable[..., Any]) -> bool:
    """Say whether the source raises or checks an argument."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    return any(
        isinstance(node, ast.Raise)
        or (isinstance(node, ast.Call) and ast.unparse(node.func).lstrip("_").startswith("expect_"))
        for node in ast.walk(tree)
    )


def _one_sentence(function: Callable[..., Any], cls: type | None) -> bool:
    """Say whether one sentence is enough."""
    if cls is None:
        return "Iterator[Candidate]" in inspect.signature(function).return_annotation
    protocols = (Layer, Optimizer)
    by_protocol = cls not in protocols and any(function.__name__ in vars(p) for p in protocols)
    record = issubclass(cls, (tuple, Problem, Evidence)) or dataclasses.is_dataclass(cls)
    return by_protocol or record


def _missing(function: Callable[..., Any], cls: type | None) -> Iterator[str]:
    """Yield what the docstring lacks."""
    doc = inspect.getdoc(function) or ""
    signature = inspect.signature(function)
    if not doc:
        yield "a docstring"
    if _one_sentence(function, cls):
        return
    in_class = inspect.getdoc(cls) or "" if cls else ""
    free = function.__module__.split(".")[1] in WITHOUT_EXAMPLES.split()
    if not free and ">>>" not in doc + in_class:
        yield "an example"
    derivative = function.__name__.endswith(("backward", "jvp"))
    if derivative and "->" in doc and "Raises" in doc and "=" in doc:
        return
    if set(signature.parameters) - {"self", "cls"} and "Parameters\n---" not in doc:
        yield "Parameters"
    something = signature.return_annotation not in ("None", None, "NoReturn")
    if something and not ("Returns\n---" in doc or "Yields\n---" in doc):
        yield "Returns"
    if _raises(function) and "Raises\n---" not in doc:
        yield "Raises"


@pytest.mark.parametrize("module", MODULES)
def test_every_public_function_has_its_sections(module: str) -> None:
    missing = {name: list(_missing(f, cls)) for name, f, cls in _public(module)}
    lacking = [f"{name}: {', '.join(sections)}" for name, sections in missing.items() if sections]
    assert not lacking, "\n".join(lacking)
