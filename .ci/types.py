"""Check the types of what users write: the README, the recipes, a script; mypy and pyright.

``types.py PYTHON`` does so as they are found by that Python, where the wheel is installed.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from blocks import blocks

ROOT = Path(__file__).parents[1]
SCRIPTS = {
    "readme.py": blocks(ROOT / "README.md"),
    "recipes.py": blocks(ROOT / "docs" / "recipes.md"),
    "user_script.py": (ROOT / "tests" / "typing" / "user_script.py").read_text(encoding="utf-8"),
}
# A page defines functions without hints, and uses a name again, as people do.
RELAXED = [
    *("--allow-untyped-defs", "--allow-untyped-calls", "--allow-incomplete-defs"),
    *("--ignore-missing-imports", "--allow-redefinition"),
]


def main(python: str) -> int:
    """Return 0 if both checkers find nothing."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        # What a library without types returns is not guessed from its sources; a loop that a page
        # writes out does run.
        options = {"useLibraryCodeForTypes": False, "reportPossiblyUnboundVariable": False}
        config = Path(folder) / "pyrightconfig.json"
        config.write_text(json.dumps(options), encoding="utf-8")
        for name, text in SCRIPTS.items():
            path = Path(folder) / name
            path.write_text(text, encoding="utf-8")
            relaxed = [] if name == "user_script.py" else RELAXED
            tools = Path(sys.executable).parent
            for command in (
                [tools / "mypy", "--python-executable", python, "--strict", *relaxed, path],
                [tools / "pyright", "--pythonpath", python, path],
            ):
                done = subprocess.run(
                    list(map(str, command)), cwd=folder, capture_output=True, text=True
                )
                if done.returncode:
                    print(name, done.stdout, done.stderr, sep="\n")
                failed |= done.returncode
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
