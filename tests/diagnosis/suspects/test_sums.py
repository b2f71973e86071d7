"""Sums: terms left out, written over, or never made."""

import numpy as np
import pytest

from stnref.diagnosis.evidence import Evidence
from stnref.diagnosis.suspects import sums
from tests.diagnosis.made_up import Array, Case, Mistake, in_windows, right


def _only(axis: int, i: int) -> Mistake:
    return lambda e: e.N * (e.o[:, [axis]] == i)


def _all_but(axis: int, i: int) -> Mistake:
    return lambda e: e.N * (e.o[:, [axis]] != i)


def _sum_along(axis: int) -> Mistake:
    def mistake(e: Evidence) -> Array:
        N = e.N.reshape(*e.out_shape, -1)
        return np.broadcast_to(N.sum(axis=axis, keepdims=True), N.shape)

    return mistake


def _x_of_one_channel(e: Evidence) -> Array:
    return np.where((e.k[:, -1] == 0) & (e.o[:, 3:] > 0), 0, e.N)


def _last_reader(e: Evidence) -> Array:
    """dU[index] += … with an index that repeats: the last one is left."""
    last = len(e.o) - 1 - (e.N != 0)[::-1].argmax(axis=0)
    return e.N * (np.arange(len(e.o))[:, None] == last)


def _one_less(taps: Array) -> Array:
    return taps * np.array([1, 1, 0])[:, None]


def _one_is_lost(taps: Array) -> Array:
    return taps * (np.arange(9) > 0).reshape(3, 3, 1)


def _the_sampler(e: Evidence) -> Array:
    return right("sample U").N


CASES = [
    Case(sums.only_one_counts, "dense b", _only(0, 1), "bias-sum", "number 1 along axis 0"),
    Case(sums.only_one_counts, "sample points", _only(3, 0), "channel-sum", "along axis 3"),
    Case(sums.every_one_is_the_sum, "dense W", _sum_along(0), "bias-sum"),
    Case(sums.every_one_is_the_sum, "sample points", _sum_along(3), "channel-sum"),
    Case(sums.only_one_counts, "sample points", _x_of_one_channel, "channel-sum", "x: of"),
    Case(sums.written_over, "sample U", _last_reader, "accumulation-lost"),
    Case(sums.window_ends_early, "strided X", in_windows(_one_less), "off-by-one", "axes [2]"),
    Case(sums.direct_path_forgotten, "square X", lambda e: e.N - np.eye(25), "path-missing"),
    Case(sums.direct_path_forgotten, "square X", lambda e: e.N * np.eye(25), "path-missing"),
    Case(sums.term_forgotten, "dense X", _all_but(1, 2), "path-missing", "outputs [..., 2]"),
    Case(sums.branch_forgotten, "moved U", _the_sampler, "path-missing"),
    Case(sums.sampled_part_lost, "moved U", lambda e: e.N - _the_sampler(e), "path-missing"),
    Case(sums.sampled_part_lost, "strided X", in_windows(_one_is_lost), ""),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_mistake_is_named(case: Case) -> None:
    assert case.named == case.cause
