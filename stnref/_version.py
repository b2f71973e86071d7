"""The version of the package, for its metadata, the command, and the results of runs."""

__version__ = "0.2.0"
