"""Run the checker on the whole zoo and write its verdicts into ``docs/gradcheck.md``: ``make zoo``.

The page is the record: the tests check bug by bug that the verdict is the one that the page shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from stnref import check_gradients
from stnref.files import write_atomic
from tests.bug_zoo.inputs import OPERATIONS, bind, make_inputs
from tests.bug_zoo.zoo import BUGS, CAUSES, load

SIZES = ("tiny", "realistic")
PAGE = Path(__file__).parents[2] / "docs" / "gradcheck.md"
START, END = "<!-- zoo: made by tests/bug_zoo/score.py -->\n", "<!-- end of zoo -->\n"

Verdicts = dict[tuple[str, str], str]  # of (name, size)


def verdict(name: str, size: str) -> str:
    """Check one bug; return its first finding as Markdown, in bold if that is not the bug's.

    A name that is wrong has its certainty beside it.
    """
    bug = BUGS[name]
    inputs = make_inputs(bug.operation, size, np.random.default_rng(7), bug.inputs)
    functions, names = load(bug.module, bug.patch), OPERATIONS[bug.operation].differentiable
    pair = bind(functions, bug.operation, inputs, bug.options)
    with np.errstate(all="ignore"):  # the bug's own divisions by zero
        report = check_gradients(*pair, names=names)
    if report.ok:
        return "**missed**"
    first = report.findings[0]
    others = [cause.slug for cause in first.alternatives]
    text = " or ".join(f"`{cause}`" for cause in (first.cause, *others))
    if first.cause in (bug.cause, *bug.also) or bug.cause in others:
        return text
    return f"**{text}**" if first.cause == "unexplained" else f"**{text} {first.certainty:.0%}**"


def caught(verdict: str) -> bool:
    """Whether the checker found that something is wrong."""
    return verdict != "**missed**"


def right(verdict: str) -> bool:
    """Whether the first finding is the bug's cause, or one that comes to the same."""
    return not verdict.startswith("**")


def certainty(verdict: str) -> int:
    """Return the certainty of a wrong name in percent, 0 if the verdict is none."""
    found = re.search(r"(\d+)%", verdict)
    return int(found[1]) if found else 0


def run() -> Verdicts:
    """Check the whole zoo on all processors, the long checks first."""
    keys = list(product(BUGS, reversed(SIZES)))
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        return dict(zip(keys, pool.map(verdict, *zip(*keys, strict=True)), strict=True))


def shown(text: str) -> Verdicts:
    """Return the verdicts that the page shows; a bug is known by its story."""
    rows = [line.strip("| ").split(" | ") for line in text.split(START)[1].splitlines()]
    cells = {row[0].replace("\\|", "|"): row[-2:] for row in rows if len(row) == 5}
    return {
        (name, size): cell
        for name, bug in BUGS.items()
        for size, cell in zip(SIZES, cells.get(bug.story, ()), strict=False)
    }


def table(verdicts: Verdicts) -> str:
    """Return the verdicts as Markdown: by half, by cause, and bug by bug."""
    named = [right(v) for (name, _), v in verdicts.items() if BUGS[name].cause != "unexplained"]
    other = [right(v) for (name, _), v in verdicts.items() if BUGS[name].cause == "unexplained"]
    n, operations = len(BUGS), len({bug.operation for bug in BUGS.values()})
    lines = [
        f"{n} mistakes in {operations} operations, each at two sizes: {len(verdicts)} checks. "
        f"**Caught: {_of(map(caught, verdicts.values()))}. Named by the first finding: "
        f"{sum(named)} of the {len(named)} whose mistake has a name here "
        f"({100 * np.mean(named):.1f} %).** Of the other "
        f"{len(other)}, {len(other) - sum(other)} are given a name that is not theirs.",
        "",
        "| half | mistakes | caught | right | highest certainty of a wrong name |",
        "|---|---|---|---|---|",
    ]
    for half in ("seen", "unseen"):
        own = [v for (name, _), v in verdicts.items() if BUGS[name].half == half]
        highest = max(map(certainty, own))
        counts = _of(map(caught, own)), _of(map(right, own)), f"{highest} %" if highest else "-"
        lines.append(_row(half, len(own) // 2, *counts))
    lines += ["", "| cause | mistakes | caught | named, tiny | named, realistic |"]
    lines += ["|---|---|---|---|---|"]
    for cause in sorted({bug.cause for bug in BUGS.values()}):
        own = [name for name, bug in BUGS.items() if bug.cause == cause]
        tiny, realistic = ([verdicts[name, size] for name in own] for size in SIZES)
        counts = (
            _of(map(caught, tiny + realistic)),
            _of(map(right, tiny)),
            _of(map(right, realistic)),
        )
        lines.append(_row(f"`{cause}`: {CAUSES[cause].title}", len(own), *counts))
    lines += ["", "<details><summary>Mistake by mistake</summary>", ""]
    lines += ["| mistake | in | cause | first finding, tiny | realistic |", "|---|---|---|---|---|"]
    for name, bug in BUGS.items():
        cause = " or ".join(f"`{cause}`" for cause in (bug.cause, *bug.also))
        story, own = bug.story.replace("|", "\\|"), (verdicts[name, size] for size in SIZES)
        lines.append(_row(story, bug.operation, cause, *own))
    return "\n".join([*lines, "", "</details>", ""])


def _of(good: Iterable[bool]) -> str:
    """Return "3 of 4": how many are good."""
    values = list(good)
    return f"{sum(values)} of {len(values)}"


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def page(text: str, verdicts: Verdicts) -> str:
    """Return the documentation page with the table in its place."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n{table(verdicts)}\n{END}{after}"


if __name__ == "__main__":
    write_atomic(PAGE, page(PAGE.read_text(encoding="utf-8"), run()).encode())
    print(f"wrote {PAGE.name}")
