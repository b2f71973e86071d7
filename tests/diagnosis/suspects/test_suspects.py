"""The suspects together: each has a mistake that it names."""

from importlib import import_module

import pytest

from stnref.diagnosis.suspects import COSTLY, SUSPECTS, Suspect

FAMILIES = "factors", "entries", "moved", "sums", "border", "corners"
TESTS = [import_module(f"tests.diagnosis.suspects.test_{family}") for family in FAMILIES]
CASES = [case for test in TESTS for case in test.CASES]


@pytest.mark.parametrize("suspect", [*SUSPECTS, *COSTLY], ids=lambda suspect: suspect.__name__)
def test_every_suspect_names_a_mistake(suspect: Suspect) -> None:
    assert any(case.suspect is suspect and case.cause for case in CASES)
