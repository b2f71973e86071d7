"""Gradient checks of our own: the catalogue of all operations, and the grader of files."""
