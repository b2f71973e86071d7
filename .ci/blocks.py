"""Print the Python of a Markdown page, as it would be typed: ``blocks.py README.md``."""

import re
import sys
from pathlib import Path


def blocks(page: Path) -> str:
    """Return the page's blocks of Python, one after the other."""
    text = page.read_text(encoding="utf-8")
    return "\n\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


if __name__ == "__main__":
    print(blocks(Path(sys.argv[1])))
