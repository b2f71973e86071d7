"""Explain: which candidates fit, how certain they are, and what is said where none does."""

from typing import Any

import numpy as np
import pytest

from stnref.diagnosis.evidence import Evidence
from stnref.diagnosis.explain import certainty, explain, fits, matches
from stnref.diagnosis.suspects import Candidate
from stnref.gradcheck import Finding, Problem
from tests.diagnosis.made_up import BASES, Array, Mistake, of_matrix, times, wrong

N, NAN = np.arange(1.0, 13).reshape(3, 4), np.nan


def _is(P: Array) -> Candidate:
    return Candidate("sign", "", P)


@pytest.mark.parametrize(("n", "sure"), [(1, 0.7), (2, 0.85), (4, 0.95), (7, 0.95), (8, 0.99)])
def test_the_more_different_entries_say_so_the_more_certain(n: int, sure: float) -> None:
    A = np.where(n >= N, -N, N)
    assert certainty(of_matrix(N, A), _is(A)) == sure


def test_equal_entries_and_open_ones_make_less_certain() -> None:
    assert certainty(of_matrix(N, -N), _is(np.where(N > 9, NAN, -N))) == 0.89
    assert certainty(of_matrix(N**0, -(N**0)), _is(-(N**0))) == 0.7


@pytest.mark.parametrize("P", [N, 2 * N, NAN * N, np.where(N == 7, -N, NAN)])
def test_what_is_right_or_wrong_in_another_way_or_open_does_not_fit(P: Array) -> None:
    assert not fits(of_matrix(N, np.where(N == 5, -N, N)), _is(P))


@pytest.mark.parametrize("base", BASES)
def test_a_gradient_that_is_zero_has_one_name(base: str) -> None:
    assert [c.cause for c in matches(wrong(base, times(0)))] == ["no-gradient"]


def _lost(e: Evidence) -> Array:
    return e.N * (np.random.default_rng(1).random(e.N.shape) > 0.4)


def _noise(e: Evidence) -> Array:
    return e.N * np.random.default_rng(1).standard_normal(e.N.shape)


# To a relu any zeros are another mask.
@pytest.mark.parametrize("base", [b for b in BASES if b != "relu X"])
@pytest.mark.parametrize("mistake", [_noise, _lost])
def test_what_is_random_or_zero_in_places_is_not_explained(base: str, mistake: Mistake) -> None:
    assert matches(wrong(base, mistake)) == []


def _explained(f: Any, slope: Any, x: Array, kinked: bool = False) -> Finding:
    problem = Problem(lambda x: (f(x), x), lambda d, x: d * slope(x), [x], ["x"])
    return explain(problem, 0, None, kinked, np.random.default_rng(0))[0]


def test_what_two_mistakes_give_alike_is_at_most_90_percent_certain() -> None:
    finding = _explained(np.sin, lambda x: 2 * np.cos(x), N[:2])  # a factor, or the batch size
    assert (finding.cause, finding.certainty) == ("batch-mean", 0.9)
    assert [cause.slug for cause in finding.alternatives] == ["constant-factor"]


def test_what_is_right_off_the_kinks_is_wrong_on_them() -> None:
    finding = _explained(np.abs, lambda x: np.where(x == 0, 3, np.sign(x)), N - 5, kinked=True)
    assert (finding.cause, finding.certainty) == ("kink", 0.99)


def test_where_no_smaller_input_is_wrong_there_is_no_name() -> None:
    finding = _explained(np.sin, np.cos, np.ones(1500))
    assert (finding.cause, finding.certainty) == ("unexplained", 0.3)
    assert "repeat it" in finding.evidence
