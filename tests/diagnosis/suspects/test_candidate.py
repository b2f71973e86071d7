"""Candidates."""

import numpy as np

from stnref.diagnosis.suspects.candidate import as_text


def test_an_index_is_written_as_python_does() -> None:
    assert as_text(np.array([0, 12])) == "[0, 12]"
