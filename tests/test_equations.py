r"""Equations both ways: what a page of docs/derivations numbers stands in the code, and only that.

A line that computes an equation carries its tag as a comment, ``# S8``; the docstring of its
module names the page. An equation that no line computes is marked in the page, below its formula:
``(not computed: why)``.
"""

import ast
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {page.stem: page.read_text("utf-8") for page in ROOT.glob("docs/derivations/*.md")}
TAG = re.compile(r"\\tag\{(\w+)\}")
NOT_COMPUTED = re.compile(r"\\tag\{(\w+)\}\s*```\s*\(not computed: \w")
EVERY_PAGE = pytest.mark.parametrize("page", sorted(PAGES))


def _comments(module: Path) -> str:
    with module.open("rb") as file:
        tokens = tokenize.tokenize(file.readline)
        return " ".join(token.string for token in tokens if token.type == tokenize.COMMENT)


COMMENTS = {module: _comments(module) for module in ROOT.glob("stnref/**/*.py")}


def _modules(letter: str) -> dict[str, list[Path]]:
    """Tag -> the modules in which a comment has it, for the tags of a page's letter."""
    found: dict[str, list[Path]] = {}
    for module, comments in COMMENTS.items():
        for tag in set(re.findall(rf"\b{letter}\d+\b", comments)):
            found.setdefault(tag, []).append(module)
    return found


@EVERY_PAGE
def test_the_tags_of_the_page_are_those_of_the_code(page: str) -> None:
    tags = TAG.findall(PAGES[page])
    letter = tags[0][0]
    assert tags == [f"{letter}{number}" for number in range(1, len(tags) + 1)]
    computed = set(tags) - set(NOT_COMPUTED.findall(PAGES[page]))
    assert set(_modules(letter)) == computed


@EVERY_PAGE
def test_a_module_names_the_page_of_its_equations(page: str) -> None:
    for tag, modules in _modules(TAG.findall(PAGES[page])[0][0]).items():
        for module in modules:
            docstring = ast.get_docstring(ast.parse(module.read_text("utf-8"))) or ""
            assert f"{page}.md" in docstring, f"{module.name}: {tag}"


def test_few_equations_are_not_computed() -> None:
    assert len([tag for page in PAGES.values() for tag in NOT_COMPUTED.findall(page)]) <= 10
