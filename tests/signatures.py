"""Arguments of public functions have names."""

import inspect
from types import ModuleType


def expect_names(module: ModuleType) -> None:
    """Assert it of every public function that the module defines."""
    for name, function in vars(module).items():
        own = getattr(function, "__module__", None) == module.__name__
        if own and inspect.isfunction(function) and not name.startswith("_"):
            for parameter in inspect.signature(function).parameters.values():
                assert parameter.kind is not parameter.POSITIONAL_ONLY, name
