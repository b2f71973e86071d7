"""Causes: every name that a suspect gives stands there, and every one has a suspect."""

from stnref.diagnosis import CAUSES
from tests.diagnosis.suspects.test_suspects import CASES


def test_every_wrong_gradient_has_a_suspect_that_names_it() -> None:
    wrong = {slug for slug, cause in CAUSES.items() if cause.kind == "wrong gradient"}
    assert {case.cause for case in CASES} - {""} == wrong - {"kink", "unexplained"} | {"float32"}
