"""Single entries and terms."""

import numpy as np
import pytest

from stnref.diagnosis.suspects import entries
from tests.diagnosis.made_up import LABELS, Array, Case, Mistake, normal

SOME = normal((18, 12)) > 0
Y = np.eye(4)[LABELS]


def _signs(*outputs: int) -> Mistake:
    """Flip the sign for some outputs; what is wrong with the others is another thing."""
    return lambda e: np.where(np.isin(e.o[:, 1:], outputs), -1, 0.5) * e.N


def _labels(subtracted: Array) -> Mistake:
    """Subtract something else from p / B than y / B."""
    return lambda e: e.N + (Y - subtracted).ravel() / len(Y)


CASES = [
    Case(entries.rounded, "dense W", lambda e: e.N.astype(np.float32), "float32", "is 6e-8"),
    Case(entries.rounded, "dense W", lambda e: e.N.astype(np.float16), "float32", "float16"),
    Case(entries.rounded, "dense W", lambda e: e.N * (1 + 1e-6), ""),  # an epsilon, all one way
    Case(entries.signs_of_entries, "dense X", lambda e: np.where(SOME, -e.N, e.N), "sign"),
    Case(entries.signs_of_entries, "dense X", _signs(1, 2, 3, 4, 5), "sign", "one of several"),
    Case(entries.sign_of_one_term, "tanh X", lambda e: 2 * np.eye(len(e.k)) - e.N, "sign", "1 - t"),
    Case(entries.sign_of_one_term, "relu X", lambda e: np.eye(len(e.k)) - e.N, ""),
    Case(entries.labels, "loss logits", _labels(0 * Y), "one-hot", "not subtracted"),
    Case(entries.labels, "loss logits", _labels(-Y), "sign", "added"),
    Case(entries.labels, "loss logits", _labels(np.roll(Y, 1, 1)), "one-hot", "the label"),
    Case(entries.labels, "loss logits", _labels(np.c_[LABELS]), "one-hot", "label's number"),
    Case(entries.labels, "loss logits", lambda e: e.N * Y.ravel(), "path-missing", "but at"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_mistake_is_named(case: Case) -> None:
    assert case.named == case.cause
