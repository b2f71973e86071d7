"""The zoo of mistakes: small patches to correct implementations, each with its cause.

A gradient checker that names mistakes is judged by these labels. Each bug is one mistake that
people make; those of `implementations/layers.py` stand in `bugs/layers.zoo`, in this form::

    == conv-crop in conv2d(padding=1): off-by-one
    The padding was cut off one row too early.
    - top, left = padding, padding
    + top, left = padding - 1, padding

The headline names the operation, with options that are bound to forward, and the cause: the first
thing that a teacher would say, "unexplained" if no cause of the checker says it; such a mistake
is to be caught, but cannot be named. Causes that no test could tell from the first one on these
inputs follow behind "or". Before the colon "on kinks" gives the kind of inputs, see
`make_inputs`. "(unseen)" at the end marks the second half of the zoo, in another hand: what was
developed on the first half is judged by these.

Below the story stand replacements, as in a diff: behind two characters, the text that goes
("- "), the text that comes ("+ "), and lines before them that stay ("  "). The text, which occurs
once, is a part of a line or a few lines. Without a "+" the lines are deleted, with a bare "+" the
part of a line.
"""

from __future__ import annotations

import linecache
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stnref.diagnosis import CAUSES
from tests.bug_zoo.inputs import OPERATIONS

__all__ = ["BUGS", "CAUSES", "Bug", "load", "parse"]

HERE = Path(__file__).parent
IMPLEMENTATIONS = HERE / "implementations"
HEADLINE = re.compile(
    r"== (\S+) in (\w+)(?:\((.*?)\))?(?: on (\w+))?: (\S+(?: or \S+)*?)( \(unseen\))?"
)
REPLACEMENT = r" *-+\+*| +\++"  # the marks of lines that stay, go and come

Patch = tuple[tuple[str, str], ...]  # (old, new) source text, old occurs exactly once


@dataclass(frozen=True)
class Bug:
    """A mistake, and the cause that a checker is to name first."""

    name: str
    operation: str
    patch: Patch
    cause: str
    story: str
    also: tuple[str, ...]  # causes that no test could tell from it on these inputs
    options: Mapping[str, Any]  # bound to forward
    inputs: str  # the `which` of `make_inputs`
    half: str  # "seen" or "unseen"

    @property
    def module(self) -> str:
        """Name of the file in `implementations`, without its ending."""
        return OPERATIONS[self.operation].module


def load(module: str, patch: Patch = ()) -> types.ModuleType:
    """Return an implementation, executed afresh with its source text patched.

    >>> load("layers", (("db = dY.sum(axis=0)", "db = dY[0]"),))
    <module 'zoo_layers'>
    """
    source = (IMPLEMENTATIONS / f"{module}.py").read_text(encoding="utf-8")
    for old, new in patch:
        if source.count(old) != 1:
            raise ValueError(f"patch: expected once in {module}.py, got {source.count(old)}: {old}")
        source = source.replace(old, new)
    changed = "; ".join(new.strip().split("\n")[0] for _, new in patch)
    filename = f"<{module}.py with {changed}>" if patch else f"<{module}.py>"
    # With the text in linecache a traceback shows the patched lines.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    namespace = types.ModuleType(f"zoo_{module}")
    exec(compile(source, filename, "exec"), namespace.__dict__)
    return namespace


def parse(text: str) -> list[Bug]:
    """Return the bugs of the text of a file.

    >>> [bug] = parse("== less in tanh: sign (unseen)\\nA minus.\\n- (1 - Y**2)\\n+ (Y**2 - 1)")
    >>> bug.cause, bug.story, bug.patch, bug.half
    ('sign', 'A minus.', (('(1 - Y**2)', '(Y**2 - 1)'),), 'unseen')
    """
    return [_bug(*entry.splitlines()) for entry in re.split(r"\n+(?=== )", text.strip("\n"))]


def _bug(headline: str, *lines: str) -> Bug:
    match = HEADLINE.fullmatch(headline)
    if not match:
        raise ValueError(f"headline: expected '== name in operation: cause', got {headline!r}")
    name, operation, options, inputs, causes, unseen = match.groups()
    if operation not in OPERATIONS:
        raise ValueError(f"{name}: expected an operation of OPERATIONS, got {operation!r}")
    changes = [line for line in lines if line[:2] in ("- ", "+ ", "  ", "-", "+")]
    story = [line for line in lines if line and line not in changes]
    if not story:
        raise ValueError(f"{name}: expected a story below the headline, got {list(lines)}")
    cause, *also = causes.split(" or ")
    return Bug(
        name=name,
        operation=operation,
        patch=_patch(name, changes),
        cause=cause,
        story=" ".join(story),
        also=tuple(also),
        options=eval(f"dict({options or ''})"),  # as patches, text of our own
        inputs=inputs or "default",
        half="unseen" if unseen else "seen",
    )


def _patch(name: str, changes: list[str]) -> Patch:
    marks = "".join(line[0] for line in changes)
    if not re.fullmatch(f"({REPLACEMENT})+", marks):
        raise ValueError(f"{name}: expected lines that stay, go and come, got marks {marks!r}")
    patch = []
    for match in re.finditer(REPLACEMENT, marks):
        lines = changes[slice(*match.span())]
        old, new = ("".join(f"{x[2:]}\n" for x in lines if x[0] in kept) for kept in (" -", " +"))
        patch.append((old[:-1], new[:-1]) if "+" in match.group() else (old, new))
    return tuple(patch)


def _read() -> dict[str, Bug]:
    bugs: dict[str, Bug] = {}
    for path in sorted(HERE.glob("bugs/*.zoo")):
        for bug in parse(path.read_text(encoding="utf-8")):
            if bug.name in bugs or bug.module != path.stem:
                raise ValueError(f"{bug.name}: expected once, in {bug.module}.zoo, got {path.name}")
            bugs[bug.name] = bug
    return bugs


BUGS = _read()
"""All bugs by name."""
