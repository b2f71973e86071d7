"""Transforms: parameters theta -> sampling grid. One family a file."""

from stnref.transforms.affine import (
    affine_grid,
    affine_grid_backward,
    affine_grid_forward,
    affine_grid_jvp,
    attention_matrix_backward,
    attention_matrix_forward,
    attention_matrix_jvp,
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
from stnref.transforms.basis import basis_grid_backward, basis_grid_forward, basis_grid_jvp
from stnref.transforms.registry import TRANSFORMS, Transform, get_transform

__all__ = [
    "TRANSFORMS",
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
    "get_transform",
    "rigid_matrix_backward",
    "rigid_matrix_forward",
    "rigid_matrix_jvp",
    "similarity_matrix_backward",
    "similarity_matrix_forward",
    "similarity_matrix_jvp",
    "translation_matrix_backward",
    "translation_matrix_forward",
    "translation_matrix_jvp",
]
