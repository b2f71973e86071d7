"""Check the types of what users write: the README, the recipes, a script; mypy and pyright."""

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
# A page defines functions without hints, as people do; its data are its own business.
RELAXED = ["--allow-untyped-defs", "--allow-untyped-calls", "--ignore-missing-imports"]


def main() -> int:
    """Return 0 if both checkers find nothing."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, text in SCRIPTS.items():
            path = Path(folder) / name
            path.write_text(text, encoding="utf-8")
            relaxed = [] if name == "user_script.py" else RELAXED
            tools = Path(sys.executable).parent
            for command in (
                [tools / "mypy", "--strict", *relaxed, path],
                [tools / "pyright", "--pythonpath", sys.executable, path],
            ):
                done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
                if done.returncode:
                    print(name, done.stdout, done.stderr, sep="\n")
                failed |= done.returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
