"""stnref: the reference implementation of spatial transformer networks in NumPy."""

from stnref.coordinates import (
    normalize,
    target_grid,
    unnormalize_backward,
    unnormalize_forward,
    unnormalize_jvp,
)
from stnref.gradcheck import GradientReport, check_gradients
from stnref.kernels import Kernel, linear
from stnref.sampler import (
    grid_sample,
    grid_sample_backward,
    grid_sample_forward,
    grid_sample_jvp,
    sample_backward,
    sample_forward,
    sample_jvp,
)
from stnref.spatial_transformer import SpatialTransformer
from stnref.transforms import (
    Transform,
    affine_grid,
    affine_grid_backward,
    affine_grid_forward,
    affine_grid_jvp,
    attention_matrix_backward,
    attention_matrix_forward,
    attention_matrix_jvp,
    basis_grid_backward,
    basis_grid_forward,
    basis_grid_jvp,
    get_transform,
    rigid_matrix_backward,
    rigid_matrix_forward,
    rigid_matrix_jvp,
    similarity_matrix_backward,
    similarity_matrix_forward,
    similarity_matrix_jvp,
    translation_matrix_backward,
    translation_matrix_forward,
    translation_matrix_jvp,
)
from stnref.validation import NonFiniteError

__version__ = "0.1.0"

__all__ = [
    "GradientReport",
    "Kernel",
    "NonFiniteError",
    "SpatialTransformer",
    "Transform",
    "affine_grid",
    "affine_grid_backward",
    "affine_grid_forward",
    "affine_grid_jvp",
    "attention_matrix_backward",
    "attention_matrix_forward",
    "attention_matrix_jvp",
    "basis_grid_backward",
    "basis_grid_forward",
    "basis_grid_jvp",
    "check_gradients",
    "get_transform",
    "grid_sample",
    "grid_sample_backward",
    "grid_sample_forward",
    "grid_sample_jvp",
    "linear",
    "normalize",
    "rigid_matrix_backward",
    "rigid_matrix_forward",
    "rigid_matrix_jvp",
    "sample_backward",
    "sample_forward",
    "sample_jvp",
    "similarity_matrix_backward",
    "similarity_matrix_forward",
    "similarity_matrix_jvp",
    "target_grid",
    "translation_matrix_backward",
    "translation_matrix_forward",
    "translation_matrix_jvp",
    "unnormalize_backward",
    "unnormalize_forward",
    "unnormalize_jvp",
]
