"""The checker on the zoo: every mistake is caught, nearly all are named, what is right passes."""

import numpy as np
import pytest

from stnref.gradcheck import CAUSES, check_gradients
from tests.bug_zoo.bugs import OPERATIONS, load
from tests.bug_zoo.inputs import bind, function_names, make_inputs
from tests.bug_zoo.score import ALL_BUGS, PAGE, SIZES, page, scores
from tests.bug_zoo.variants import VARIANTS

EVERY_SIZE = pytest.mark.parametrize("size", SIZES)


@EVERY_SIZE
@pytest.mark.parametrize("name", ALL_BUGS)
def test_every_mistake_is_caught(name: str, size: str) -> None:
    assert scores()[name, size].caught


def test_nearly_all_are_named_by_the_first_finding() -> None:
    """In each size by itself, of the mistakes that have a name."""
    for size in SIZES:
        bugs = {name: bug for name, bug in ALL_BUGS.items() if bug.cause != "unexplained"}
        named = [scores()[name, size].names(bug) for name, bug in bugs.items()]
        assert len(named) >= 40
        assert np.mean(named) >= 0.95


def test_every_cause_is_known_to_the_checker() -> None:
    assert {bug.cause for bug in ALL_BUGS.values()} <= set(CAUSES)


def test_the_page_shows_this_result() -> None:
    """If not: python -m tests.bug_zoo.score."""
    text = PAGE.read_text(encoding="utf-8")
    assert page(text) == text


@EVERY_SIZE
@pytest.mark.parametrize("which", ["default", "kinks"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_unpatched_implementations_give_no_finding(
    operation: str, which: str, size: str
) -> None:
    functions = load(OPERATIONS[operation].module)
    forward_name, backward_name = function_names(operation)
    inputs = make_inputs(operation, size, np.random.default_rng(11), which)
    forward, arrays = bind(getattr(functions, forward_name), operation, inputs, {})
    report = check_gradients(forward, getattr(functions, backward_name), arrays)
    assert report.ok, f"\n{report}"
    assert not report.findings


def test_there_are_ten_variants() -> None:
    assert len(VARIANTS) >= 10


@EVERY_SIZE
@pytest.mark.parametrize("name", VARIANTS)
def test_other_correct_implementations_give_no_finding(name: str, size: str) -> None:
    variant = VARIANTS[name]()
    inputs = variant.make_inputs(size, np.random.default_rng(5))
    forward, arrays = bind(variant.forward, variant.operation, inputs, {})
    report = check_gradients(forward, variant.backward, arrays)
    assert report.ok, f"\n{report}"
    assert not report.findings
