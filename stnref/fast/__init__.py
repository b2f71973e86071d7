"""How a plain pair runs fast: as a sparse matrix, in tiles, on threads, by contiguous rows.

The rooms above hand over what they have derived, the entries of a sampling matrix, the windows of a
convolution, and get the same numbers back; nobody needs to read this to know what they are.
"""
