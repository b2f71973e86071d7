"""stnref: the reference implementation of spatial transformer networks in NumPy.

Here stand the steps from theta to V, each with its derivatives, and the gradient check. All else is
reached through its room, which is imported when it is first asked for: `stnref.nn`, `stnref.viz`,
`stnref.kernels.cubic`, `stnref.transforms.compose_forward`, …
"""

import importlib as _importlib
import pkgutil as _pkgutil
import typing as _typing

from stnref._version import __version__ as __version__
from stnref.coordinates import supersampled_grid as supersampled_grid
from stnref.coordinates import target_grid as target_grid
from stnref.coordinates import unnormalize_backward as unnormalize_backward
from stnref.coordinates import unnormalize_forward as unnormalize_forward
from stnref.coordinates import unnormalize_jvp as unnormalize_jvp
from stnref.diagnosis import assert_gradients as assert_gradients
from stnref.diagnosis import check_gradients as check_gradients
from stnref.gradcheck import GradientReport as GradientReport
from stnref.gradcheck import hessian_vector_product as hessian_vector_product
from stnref.kinks import KinkReport as KinkReport
from stnref.kinks import kink_report as kink_report
from stnref.sampler import grid_sample as grid_sample
from stnref.sampler import grid_sample_backward as grid_sample_backward
from stnref.sampler import grid_sample_double_backward as grid_sample_double_backward
from stnref.sampler import grid_sample_forward as grid_sample_forward
from stnref.sampler import grid_sample_jvp as grid_sample_jvp
from stnref.sampler import sample_backward as sample_backward
from stnref.sampler import sample_double_backward as sample_double_backward
from stnref.sampler import sample_forward as sample_forward
from stnref.sampler import sample_jvp as sample_jvp
from stnref.spatial_transformer import SpatialTransformer as SpatialTransformer
from stnref.splat import splat_backward as splat_backward
from stnref.splat import splat_forward as splat_forward
from stnref.splat import splat_jvp as splat_jvp
from stnref.transforms import Transform as Transform
from stnref.transforms import affine_grid as affine_grid
from stnref.transforms import affine_grid_backward as affine_grid_backward
from stnref.transforms import affine_grid_forward as affine_grid_forward
from stnref.transforms import affine_grid_jvp as affine_grid_jvp
from stnref.transforms import attention_matrix_backward as attention_matrix_backward
from stnref.transforms import attention_matrix_forward as attention_matrix_forward
from stnref.transforms import attention_matrix_jvp as attention_matrix_jvp
from stnref.transforms import basis_grid_backward as basis_grid_backward
from stnref.transforms import basis_grid_forward as basis_grid_forward
from stnref.transforms import basis_grid_jvp as basis_grid_jvp
from stnref.transforms import bspline_basis as bspline_basis
from stnref.transforms import flow_grid_backward as flow_grid_backward
from stnref.transforms import flow_grid_forward as flow_grid_forward
from stnref.transforms import flow_grid_jvp as flow_grid_jvp
from stnref.transforms import get_transform as get_transform
from stnref.transforms import projective_grid_backward as projective_grid_backward
from stnref.transforms import projective_grid_forward as projective_grid_forward
from stnref.transforms import projective_grid_jvp as projective_grid_jvp
from stnref.transforms import rigid_matrix_backward as rigid_matrix_backward
from stnref.transforms import rigid_matrix_forward as rigid_matrix_forward
from stnref.transforms import rigid_matrix_jvp as rigid_matrix_jvp
from stnref.transforms import similarity_matrix_backward as similarity_matrix_backward
from stnref.transforms import similarity_matrix_forward as similarity_matrix_forward
from stnref.transforms import similarity_matrix_jvp as similarity_matrix_jvp
from stnref.transforms import thin_plate_basis as thin_plate_basis
from stnref.transforms import translation_matrix_backward as translation_matrix_backward
from stnref.transforms import translation_matrix_forward as translation_matrix_forward
from stnref.transforms import translation_matrix_jvp as translation_matrix_jvp
from stnref.validation import NonFiniteError as NonFiniteError

_ROOMS = tuple(m.name for m in _pkgutil.iter_modules(__path__) if not m.name.startswith("_"))

if _typing.TYPE_CHECKING:  # what `__getattr__` finds
    from stnref import checks as checks
    from stnref import cli as cli
    from stnref import coordinates as coordinates
    from stnref import data as data
    from stnref import diagnosis as diagnosis
    from stnref import experiments as experiments
    from stnref import fields as fields
    from stnref import files as files
    from stnref import filled as filled
    from stnref import gradcheck as gradcheck
    from stnref import kernels as kernels
    from stnref import kinks as kinks
    from stnref import loops as loops
    from stnref import nn as nn
    from stnref import padding as padding
    from stnref import pairs as pairs
    from stnref import presets as presets
    from stnref import sampler as sampler
    from stnref import spatial_transformer as spatial_transformer
    from stnref import splat as splat
    from stnref import taps as taps
    from stnref import testing as testing
    from stnref import training as training
    from stnref import transforms as transforms
    from stnref import validation as validation
    from stnref import viz as viz
else:

    def __getattr__(name):
        if name in _ROOMS:
            return _importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*globals(), *_ROOMS})
