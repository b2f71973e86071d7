"""Every pair of the project passes the gradient check."""

import pytest

from stnref.checks.catalogue import all_operations, table

OPERATIONS = [all_operations(seed) for seed in (0, 1)]
WITNESSES = {"complex step", "differences", "Jacobian", "dot test"}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", OPERATIONS[0])
def test_gradients_by_all_four_witnesses(name: str, seed: int) -> None:
    report = OPERATIONS[seed][name].check(seed)
    assert report.ok, f"\n{report}"
    assert {comparison.witness for comparison in report.comparisons} == WITNESSES


def test_the_table_has_a_line_for_each_operation() -> None:
    names = ("tanh", "splat", "compose, affine")
    lines = table({name: OPERATIONS[0][name].check() for name in names}).splitlines()
    assert len(lines) == 1 + len(names)
    assert all(line.endswith("ok") for line in lines[1:])
