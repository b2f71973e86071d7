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
from stnref.gradcheck.explore import Exploration, explore
from stnref.gradcheck.halving import find_by_halving
from stnref.gradcheck.jacobians import Derivatives, Jacobians, jacobians
from stnref.gradcheck.numeric import Slopes, hessian_vector_product, slopes_along
from stnref.gradcheck.problem import Problem, UseError, direction
from stnref.gradcheck.report import Comparison, Finding, GradientReport, InputResult

__all__ = [
    "CAUSES",
    "Cause",
    "Comparison",
    "Derivatives",
    "Exploration",
    "Finding",
    "GradientReport",
    "InputResult",
    "Jacobians",
    "Problem",
    "Slopes",
    "UseError",
    "assert_gradients",
    "check_gradients",
    "direction",
    "explore",
    "find_by_halving",
    "from_dout_cache",
    "from_layer",
    "from_pullback",
    "from_torch_function",
    "from_vjp",
    "hessian_vector_product",
    "jacobians",
    "slopes_along",
]
