"""The checker on the zoo: every mistake is caught, nearly all are named, what is right passes."""

from typing import Any

import numpy as np
import pytest

from stnref import check_gradients
from tests.bug_zoo.inputs import OPERATIONS, bind, make_inputs
from tests.bug_zoo.score import PAGE, certainty, page, right, shown, verdict
from tests.bug_zoo.variants import VARIANTS
from tests.bug_zoo.zoo import BUGS, CAUSES, load

TEXT = PAGE.read_text(encoding="utf-8")
VERDICTS = shown(TEXT)
REALISTIC = pytest.param("realistic", marks=pytest.mark.long)
EVERY_SIZE = pytest.mark.parametrize("size", ["tiny", REALISTIC])
# Of the mistakes one after the other every second is looked at each time, all now and then.
EACH_TIME = [
    pytest.param(name, "tiny", marks=[pytest.mark.long] if k % 2 else [])
    for k, name in enumerate(BUGS)
]
NOW_AND_THEN = [pytest.param(name, "realistic", marks=pytest.mark.long) for name in BUGS]


@pytest.mark.parametrize(("name", "size"), [*EACH_TIME, *NOW_AND_THEN])
def test_the_verdict_is_the_one_that_the_page_shows(name: str, size: str) -> None:
    """If it is not, and is right: make zoo."""
    assert verdict(name, size) == VERDICTS.get((name, size), "no row")


def test_the_page_sums_up_its_verdicts() -> None:
    assert page(TEXT, VERDICTS) == TEXT


def test_every_mistake_is_caught() -> None:
    assert list(VERDICTS) == [(name, size) for name in BUGS for size in ("tiny", "realistic")]
    assert "**missed**" not in VERDICTS.values()


def test_nearly_all_are_named_by_the_first_finding() -> None:
    named = [right(v) for (name, _), v in VERDICTS.items() if BUGS[name].cause != "unexplained"]
    assert np.mean(named) >= 0.987


def test_what_has_no_name_is_given_none() -> None:
    nameless = [key for key in VERDICTS if BUGS[key[0]].cause == "unexplained"]
    assert not [key for key in nameless if not right(VERDICTS[key])]


def test_no_wrong_name_is_certain() -> None:
    assert not [key for key, text in VERDICTS.items() if certainty(text) > 90]


def test_every_cause_has_a_mistake_and_every_mistake_a_cause() -> None:
    of_use = {"error", "untrusted", "jvp"}  # what no backward alone can bring about
    causes = {cause for bug in BUGS.values() for cause in (bug.cause, *bug.also)}
    assert causes | of_use == set(CAUSES)


def assert_no_finding(owner: Any, operation: str, inputs: Any) -> None:
    report = check_gradients(*bind(owner, operation, inputs))
    assert report.ok, f"\n{report}"
    assert not report.findings


CASES = {(operation, "default"): None for operation in OPERATIONS}
CASES |= {(bug.operation, bug.inputs): None for bug in BUGS.values()}


@EVERY_SIZE
@pytest.mark.parametrize(("operation", "which"), CASES)
def test_unpatched_implementations_give_no_finding(operation: str, which: str, size: str) -> None:
    inputs = make_inputs(operation, size, np.random.default_rng(11), which)
    assert_no_finding(load(OPERATIONS[operation].module), operation, inputs)


@EVERY_SIZE
@pytest.mark.parametrize("name", VARIANTS)
def test_other_correct_implementations_give_no_finding(name: str, size: str) -> None:
    variant = VARIANTS[name]()
    inputs = variant.make_inputs(size, np.random.default_rng(5))
    assert_no_finding(variant.functions(), variant.operation, inputs)
