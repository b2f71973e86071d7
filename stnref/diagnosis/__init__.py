"""Diagnosis: which mistake makes a wrong gradient what it is?

`stnref.gradcheck` measures, this room names; `check_gradients` here does both.
"""

from stnref.diagnosis.causes import CAUSES as CAUSES
from stnref.diagnosis.check import assert_gradients as assert_gradients
from stnref.diagnosis.check import check_gradients as check_gradients
from stnref.diagnosis.explain import explain as explain
