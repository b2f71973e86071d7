"""A gradient checker: is a hand-written backward the derivative of its forward?

It measures, for any pair of functions, and knows none in particular: of the package it needs
`stnref.validation` alone. `stnref.diagnosis` names the mistakes in what it measures.
"""

from stnref.gradcheck.adapters import from_dout_cache as from_dout_cache
from stnref.gradcheck.adapters import from_layer as from_layer
from stnref.gradcheck.adapters import from_pullback as from_pullback
from stnref.gradcheck.adapters import from_torch_function as from_torch_function
from stnref.gradcheck.adapters import from_vjp as from_vjp
from stnref.gradcheck.causes import CAUSES as CAUSES
from stnref.gradcheck.causes import Cause as Cause
from stnref.gradcheck.check import assert_gradients as assert_gradients
from stnref.gradcheck.check import check_gradients as check_gradients
from stnref.gradcheck.jacobians import Jacobians as Jacobians
from stnref.gradcheck.jacobians import jacobians as jacobians
from stnref.gradcheck.numeric import hessian_vector_product as hessian_vector_product
from stnref.gradcheck.problem import Problem as Problem
from stnref.gradcheck.problem import UseError as UseError
from stnref.gradcheck.report import Comparison as Comparison
from stnref.gradcheck.report import Finding as Finding
from stnref.gradcheck.report import GradientReport as GradientReport
from stnref.gradcheck.report import InputResult as InputResult
from stnref.gradcheck.taylor import TaylorTest as TaylorTest
from stnref.gradcheck.taylor import taylor_test as taylor_test
