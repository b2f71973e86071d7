"""Lines of Python per room, without docstrings, comments and blanks: ``make lines``.

A file of the zoo, which is data (``*.zoo``), counts with all its lines that are not blank.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHECKER = ("gradcheck", "diagnosis", "checks")
SKIPPED = (
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
)


def lines(path: Path) -> int:
    """Count the lines of a file that hold code."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return sum(bool(line.strip()) for line in text.splitlines())
    code = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in SKIPPED:
            code |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):  # a string that stands alone documents something
        if isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str):
            code -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(code)


def rooms(top: str) -> Counter[str]:
    """Count the lines of each room: a folder below `top`, or a file in it."""
    count: Counter[str] = Counter()
    for path in sorted((ROOT / top).rglob("*")):
        if path.suffix in (".py", ".zoo"):
            count[path.relative_to(ROOT / top).parts[0]] += lines(path)
    return count


def main() -> None:
    """Print a line for each room, and the sums."""
    house = rooms("stnref")
    total = sum(house.values())
    for room, n in house.most_common():
        print(f"{room:28s}{n:6d}  {n / total:6.1%}")
    checker = sum(house[room] for room in CHECKER)
    print(f"{'stnref':28s}{total:6d}")
    print(f"{'  ' + ', '.join(CHECKER):28s}{checker:6d}  {checker / total:6.1%}")
    print(f"{'tests':28s}{sum(rooms('tests').values()):6d}")


if __name__ == "__main__":
    sys.exit(main())
