"""Gradient checks: is the hand-written backward the derivative of its forward?"""

from stnref.gradcheck.check import check_gradients
from stnref.gradcheck.numeric import (
    central_jacobian,
    complex_step_jacobian,
    hessian_vector_product,
)
from stnref.gradcheck.report import Comparison, GradientReport

__all__ = [
    "Comparison",
    "GradientReport",
    "central_jacobian",
    "check_gradients",
    "complex_step_jacobian",
    "hessian_vector_product",
]
