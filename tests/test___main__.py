"""``python -m stnref`` and the script: the command, and an interrupt while it is still imported."""

import subprocess
import sys
from pathlib import Path

import pytest

import stnref


def test_python_m_is_the_command() -> None:
    root = Path(__file__).parents[1]
    call = [sys.executable, "-m", "stnref", "--version"]
    done = subprocess.run(call, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == f"stnref {stnref.__version__}\n"


@pytest.mark.parametrize("module", ["numpy", "stnref.cli", "stnref.transforms.basis"])
def test_an_interrupt_of_the_imports_is_one_line(module: str) -> None:
    code = f"""
import sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupting())
from stnref.__main__ import main
sys.exit(main())
"""
    call = [sys.executable, "-c", code]
    done = subprocess.run(call, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert (done.returncode, done.stderr) == (130, "stnref: interrupted\n")
