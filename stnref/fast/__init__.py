"""How a plain pair runs fast: as a sparse matrix, in tiles, on threads.

The room above hands over what it has derived, the entries of a sampling matrix, and gets the same
numbers back; nobody needs to read this to know what they are.
"""
