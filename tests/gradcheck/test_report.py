"""Reports: every line says what it means."""

import numpy as np
import pytest

from stnref import nn
from stnref.gradcheck import CAUSES, Comparison, Finding, check_gradients


@pytest.mark.parametrize(
    ("index", "analytic", "numeric", "text"),
    [
        ((1, 2), 3.0, 1.5, "worst [1, 2]: analytic 3, numeric 1.5, ratio 2"),
        ((), 3.0, 1.5, "analytic 3, numeric 1.5, ratio 2"),
        ((0,), 0.25, 0.0, "worst [0]: analytic 0.25 where it ought to be 0"),
        ((), 0.0, 0.0, "both 0"),
        ((0,), np.nan, 1.5, "worst [0]: analytic nan, numeric 1.5"),
    ],
)
def test_the_values_of_a_comparison(
    index: tuple[int, ...], analytic: float, numeric: float, text: str
) -> None:
    comparison = Comparison("x", "differences", 1.0, 1e-9, index, analytic, numeric)
    assert comparison.values == text
    assert str(comparison).endswith(text)


def test_a_finding_and_what_else_it_may_be() -> None:
    finding = Finding(CAUSES["jvp"], "here", "seen", 0.5, (CAUSES["kink"],))
    assert (finding.cause, finding.is_use) == ("jvp", False)
    assert str(finding).startswith("error[jvp]: the jvp is not the tangent of forward  (50%)")
    assert "or: right, but for the elements on a kink: on these inputs it comes" in str(finding)


def test_a_notebook_shows_the_same() -> None:
    report = check_gradients(nn.relu_forward, lambda d, cache: 0 * d, [np.eye(2)])
    shown = report._repr_html_()
    for text in ("FAIL", report.findings[0].title, report.notes[0], "one-sided slopes"):
        assert text in shown
