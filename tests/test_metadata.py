"""What the package's metadata says, against what is there."""

import configparser
import re
from pathlib import Path

import stnref

ROOT = Path(__file__).parents[1]
METADATA = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_setup_cfg_lists_every_package() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    found = {
        ".".join(init.parent.relative_to(ROOT).parts) for init in ROOT.glob("stnref/**/__init__.py")
    }
    assert set(config["options"]["packages"].split()) == {*found, "stnref.notebooks"}


def test_the_licence_is_an_spdx_expression_and_lies_there() -> None:
    assert 'license = "BSD-3-Clause"' in METADATA
    assert (ROOT / "LICENSE").exists()


def test_the_version_stands_once() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", stnref.__version__)
    assert 'attr = "stnref._version.__version__"' in METADATA
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {stnref.__version__}" in citation


def test_the_readme_reads_the_same_on_a_package_index() -> None:
    """Links and pictures there are not relative to the repository."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]+)\)", readme):
        assert link.startswith(("https://", "#")), link
