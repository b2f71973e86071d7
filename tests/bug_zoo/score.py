"""Run the checker on the whole zoo and write the result into ``docs/gradcheck.md``.

``python -m tests.bug_zoo.score`` from the project's root; the tests see to it that the page is what
this would write.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stnref.files import write_atomic
from stnref.gradcheck import CAUSES, GradientReport, check_gradients
from tests.bug_zoo.bugs import BUGS, OPERATIONS, Bug, load
from tests.bug_zoo.inputs import bind, function_names, make_inputs
from tests.bug_zoo.more_bugs import MORE_BUGS

ALL_BUGS = {bug.name: bug for bug in (*BUGS, *MORE_BUGS)}
SIZES = ("tiny", "realistic")
PAGE = Path(__file__).parents[2] / "docs" / "gradcheck.md"
START, END = "<!-- zoo: made by tests/bug_zoo/score.py -->\n", "<!-- end of zoo -->\n"


class Score(NamedTuple):
    """What the checker says of one bug at one size."""

    caught: bool
    first: str  # the first finding's cause, "" without one
    alternatives: tuple[str, ...]

    def names(self, bug: Bug) -> bool:
        """Whether the first finding is the bug's cause, or one that comes to the same."""
        return self.first in (bug.cause, *bug.also) or bug.cause in self.alternatives


def check(bug: Bug, size: str) -> GradientReport:
    """Check one bug."""
    functions = load(bug.module, bug.patch)
    forward_name, backward_name = function_names(bug.operation)
    inputs = make_inputs(bug.operation, size, np.random.default_rng(7), bug.inputs)
    forward, arrays = bind(getattr(functions, forward_name), bug.operation, inputs, bug.options)
    with np.errstate(all="ignore"):  # the bug's own divisions by zero
        return check_gradients(
            forward,
            getattr(functions, backward_name),
            arrays,
            names=OPERATIONS[bug.operation].differentiable,
        )


def score(key: tuple[str, str]) -> Score:
    """Check one bug at one size."""
    name, size = key
    report = check(ALL_BUGS[name], size)
    if not report.findings:
        return Score(not report.ok, "", ())
    first = report.findings[0]
    return Score(not report.ok, first.cause, first.alternatives)


@cache
def scores() -> dict[tuple[str, str], Score]:
    """Check the whole zoo, once, on all processors."""
    keys = [(name, size) for size in reversed(SIZES) for name in ALL_BUGS]  # the long ones first
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        return dict(zip(keys, pool.map(score, keys, chunksize=4), strict=True))


def table() -> str:
    """Return the result as Markdown: by cause, and bug by bug."""
    found = scores()
    named = {key: s.names(ALL_BUGS[key[0]]) for key, s in found.items()}
    caught = sum(s.caught for s in found.values())
    n = len(found)
    known = [ok for (name, _), ok in named.items() if ALL_BUGS[name].cause != "unexplained"]
    unknown = [ok for (name, _), ok in named.items() if ALL_BUGS[name].cause == "unexplained"]
    right = sum(known)
    operations = len({bug.operation for bug in ALL_BUGS.values()})
    lines = [
        f"{len(ALL_BUGS)} mistakes in {operations} operations, each at two sizes: {n} checks. "
        f"**Caught: {caught} of {n}. Named by the first finding: {right} of the {len(known)} whose "
        f"mistake has a name here ({100 * right / len(known):.1f} %).** Of the other "
        f"{len(unknown)}, {len(unknown) - sum(unknown)} are given a name that is not theirs.",
        "",
        "| cause | mistakes | caught | named, tiny | named, realistic |",
        "|---|---|---|---|---|",
    ]
    for cause, count in sorted(Counter(b.cause for b in ALL_BUGS.values()).items()):
        own = [bug.name for bug in ALL_BUGS.values() if bug.cause == cause]
        cells = [
            f"`{cause}`: {CAUSES[cause].title}",
            str(count),
            f"{sum(found[name, size].caught for name in own for size in SIZES)} of {2 * count}",
            *(f"{sum(named[name, size] for name in own)} of {count}" for size in SIZES),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "<details><summary>Mistake by mistake</summary>", ""]
    lines += ["| mistake | in | cause | first finding, tiny | realistic |", "|---|---|---|---|---|"]
    for bug in ALL_BUGS.values():
        cells = [_cell(found[bug.name, size], named[bug.name, size]) for size in SIZES]
        cause = " or ".join(f"`{c}`" for c in (bug.cause, *bug.also))
        story = bug.story.replace("|", "\\|")
        lines.append(f"| {story} | {bug.operation} | {cause} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", "</details>", ""])


def _cell(score: Score, named: bool) -> str:
    text = f"`{score.first}`" if score.first else "-"
    if score.alternatives:
        text += " or " + " or ".join(f"`{cause}`" for cause in score.alternatives)
    return text if named else f"**{text}**"


def page(text: str) -> str:
    """Return the documentation page with the table in its place."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    write_atomic(PAGE, page(PAGE.read_text(encoding="utf-8")).encode())
    print(f"wrote {PAGE.name}")
