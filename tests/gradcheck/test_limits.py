"""The limits: each is used."""

import re
from pathlib import Path

import pytest

from stnref.gradcheck import limits

ROOM = Path(limits.__file__).parent
CODE = "".join(p.read_text(encoding="utf-8") for p in ROOM.glob("*.py") if p.stem != "limits")


@pytest.mark.parametrize("name", [name for name in vars(limits) if name.isupper()])
def test_every_limit_is_used(name: str) -> None:
    assert re.search(rf"\b{name}\b", CODE)
