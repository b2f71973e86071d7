"""How a plain pair runs fast: as a sparse matrix, in tiles, on threads, by contiguous rows.

The rooms above hand over what they have derived, the entries of a sampling matrix, the windows of a
convolution, and get the same numbers back; nobody needs to read this to know what they are.
"""

import numpy as _np

# glibc returns a large array's memory to the system as soon as it is free, and the next array has
# to be given every page anew, which takes as long as to compute with it. What is large it learns
# from the arrays that are freed, up to 32 MB. This one is never touched, and costs nothing.
_np.empty(2**25 - 2**16, _np.uint8)
