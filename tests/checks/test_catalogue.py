"""Every pair of the project passes the gradient check."""

import pytest

from stnref.checks.catalogue import all_operations, check_all, table

OPERATIONS = all_operations()


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", OPERATIONS)
def test_gradients(name: str, seed: int) -> None:
    report = all_operations(seed)[name].check(seed)
    assert report.ok, f"\n{report}"


@pytest.mark.parametrize("name", OPERATIONS)
def test_all_four_comparisons_were_made(name: str) -> None:
    witnesses = {comparison.witness for comparison in OPERATIONS[name].check().comparisons}
    assert witnesses == {"complex step", "differences", "Jacobian", "dot test"}


def test_the_table_has_a_line_for_each_operation() -> None:
    lines = table(check_all()).splitlines()
    assert len(lines) == 1 + len(OPERATIONS)
    assert all(line.endswith("ok") for line in lines[1:])
