"""A gradient checker: is a hand-written backward the derivative of its forward?

It measures, for any pair of functions, and knows none in particular: of the package it needs
`stnref.validation` alone. `stnref.diagnosis` names the mistakes in what it measures.
"""

from stnref.gradcheck.adapters import (
    from_dout_cache,
    from_layer,
    from_pullback,
    from_torch_function,
    from_vjp,
)
from stnref.gradcheck.causes import CAUSES, Cause
from stnref.gradcheck.check import assert_gradients, check_gradients
from stnref.gradcheck.jacobians import Jacobians, jacobians
from stnref.gradcheck.numeric import hessian_vector_product
from stnref.gradcheck.problem import Problem, UseError
from stnref.gradcheck.report import Comparison, Finding, GradientReport, InputResult

__all__ = [
    "CAUSES",
    "Cause",
    "Comparison",
    "Finding",
    "GradientReport",
    "InputResult",
    "Jacobians",
    "Problem",
    "UseError",
    "assert_gradients",
    "check_gradients",
    "from_dout_cache",
    "from_layer",
    "from_pullback",
    "from_torch_function",
    "from_vjp",
    "hessian_vector_product",
    "jacobians",
]
