"""stnref: the reference implementation of spatial transformer networks in NumPy.

Here stand the steps from theta to V, each with its derivatives, and the gradient check. All else is
reached through its room: `stnref.nn`, `stnref.viz`, `stnref.kernels.cubic`,
`stnref.transforms.compose_forward`, … Whatever it is, it is imported when it is first asked for;
``__init__.pyi`` beside this file is the list.
"""

import ast as _ast
import importlib as _importlib
import pathlib as _pathlib
import pkgutil as _pkgutil

from stnref._version import __version__ as __version__

_LIST = _ast.parse(_pathlib.Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
_HOMES = {
    alias.name: node.module
    for node in _LIST.body
    if isinstance(node, _ast.ImportFrom) and node.module != __name__
    for alias in node.names
}
_ROOMS = tuple(m.name for m in _pkgutil.iter_modules(__path__) if not m.name.startswith("_"))

__all__ = sorted(_HOMES.keys() - {"__version__"})


def __getattr__(name):
    if name in _ROOMS:
        return _importlib.import_module(f"{__name__}.{name}")
    if name in _HOMES:
        value = getattr(_importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_HOMES, *_ROOMS})
