"""Threads: the same bits for any number of them, in order, and no error is lost."""

import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from stnref import sample_backward, sample_forward, set_num_threads
from stnref.fast import sparse, threads
from tests.signatures import expect_names


@pytest.fixture(autouse=True)
def _one_thread_afterwards() -> Iterator[None]:
    yield
    set_num_threads(1)


def _gradients(B: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    U = rng.standard_normal((B, 40, 50, 3), dtype=np.float32)
    points = rng.uniform(-2, 52, (B, 45, 45, 2)).astype(np.float32)
    V, cache = sample_forward(U, points)
    return [V, *sample_backward(V, cache)]


@pytest.mark.parametrize("B", [1, 40])
def test_the_same_bits_for_any_number(B: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one picture several parts add to the same pixels."""
    monkeypatch.setattr(sparse, "ENTRIES", 400)
    monkeypatch.setattr(sparse, "LEAST", 0)
    expected = _gradients(B)
    for n in (2, 3, 8):
        set_num_threads(n)
        for actual, alone in zip(_gradients(B), expected, strict=True):
            np.testing.assert_array_equal(actual, alone)


def test_pieces_come_in_their_order_from_several_threads() -> None:
    set_num_threads(2)
    both = threading.Barrier(2, timeout=10)
    seen = set()

    def work(n: int) -> int:
        if n < 2:
            both.wait()  # passes only if two are at work at a time
        seen.add(threading.current_thread().name)
        return n

    assert list(threads.in_turn(work, range(100))) == list(range(100))
    assert len(seen) == 2


def test_few_pieces_stay_on_this_thread() -> None:
    set_num_threads(2)
    names = threads.in_turn(lambda _: threading.current_thread(), range(threads.LEAST - 1))
    assert set(names) == {threading.current_thread()}


def test_an_error_comes_out_and_ends_the_work() -> None:
    set_num_threads(2)
    done = []

    def work(n: int) -> None:
        if n == 3:
            raise KeyError("three")
        done.append(n)

    with pytest.raises(KeyError, match="three"):
        threads.for_each(work, range(1000))
    assert len(done) < 20
    assert list(threads.in_turn(abs, range(20))) == list(range(20))  # and the next one begins


def test_floating_point_errors_are_treated_as_on_this_thread() -> None:
    set_num_threads(2)
    zeros = np.zeros(3)
    with np.errstate(invalid="ignore"):
        threads.for_each(lambda _: zeros / zeros, range(20))  # a warning is an error here
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
        threads.for_each(lambda _: zeros / zeros, range(20))


def test_a_forked_process_has_threads_of_its_own() -> None:
    code = """
import multiprocessing, stnref
from stnref.fast import threads
stnref.set_num_threads(2)
list(threads.in_turn(abs, range(20)))
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.apply_async(threads.for_each, (abs, range(20))).get(20)
"""
    if hasattr(os, "fork"):
        subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("n", [0, -1, 1.5, "2"])
def test_another_number_is_refused(n: object) -> None:
    with pytest.raises((TypeError, ValueError), match="n: expected"):
        set_num_threads(n)  # type: ignore[arg-type]


@pytest.mark.parametrize(("said", "number"), [("3", "3"), ("", None), ("none", "expected")])
def test_the_environment_says_how_many(said: str, number: str | None) -> None:
    code = "import stnref; print(stnref.get_num_threads())"
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, threads.VARIABLE: said},
    )
    expected = number or str(len(os.sched_getaffinity(0)))
    assert expected in out.stdout + out.stderr
    assert (out.returncode == 0) == (number != "expected")


def test_every_argument_has_a_name() -> None:
    expect_names(importlib.import_module("stnref.fast.threads"))
