"""Gradient checks: is the hand-written backward the derivative of its forward, and if not, why?"""

from stnref.gradcheck.adapters import (
    from_dout_cache,
    from_layer,
    from_pullback,
    from_torch_function,
    from_vjp,
)
from stnref.gradcheck.causes import CAUSES, Cause
from stnref.gradcheck.check import assert_gradients, check_gradients
from stnref.gradcheck.numeric import Slopes, hessian_vector_product, slopes_along
from stnref.gradcheck.report import Comparison, Finding, GradientReport, InputResult

__all__ = [
    "CAUSES",
    "Cause",
    "Comparison",
    "Finding",
    "GradientReport",
    "InputResult",
    "Slopes",
    "assert_gradients",
    "check_gradients",
    "from_dout_cache",
    "from_layer",
    "from_pullback",
    "from_torch_function",
    "from_vjp",
    "hessian_vector_product",
    "slopes_along",
]
