"""How another process finds a function: by the name of its module and its own name there.

A process of its own cannot be handed a function, only told where it is; the processes import the module themselves.
So the function must be one that can be found there, and its serializer one that can be pickled.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import attrs

from ..errors import ConfigError
from ..names import FunctionName
from ..serializers import Serializer

__all__ = ["Target", "check_target", "find", "target_of"]


@attrs.frozen(kw_only=True)
class Target:
    """A function as another process is told of it.

    Attributes:
        module: the module that holds it.
        path: its name in there, with dots where it is in a class.
        name: what clients call it.
        serializer: carries its values; pickled.
    """

    module: str
    path: str
    name: FunctionName
    serializer: bytes = attrs.field(repr=False)

    def __str__(self) -> str:
        """The function's name in Python."""
        return f"{self.module}.{self.path}"


def target_of(function: Callable[..., Any], name: FunctionName, serializer: Serializer, shown: str) -> Target:
    """Tell how another process finds a function, as far as that can be known while it is being decorated.

    Raises:
        ConfigError: none can find it; the message names it.
    """
    module, path = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not (isinstance(module, str) and isinstance(path, str)):
        raise ConfigError(f"{shown} cannot run in a process, which finds functions by module and name: {function!r}")
    if "<" in path:
        raise ConfigError(
            f"{shown} cannot run in a process: {module}.{path} is made while the program runs; "
            "expected a function at the top of a module, where a process can import it"
        )
    try:
        pickled = pickle.dumps(serializer)
    except Exception as exc:
        raise ConfigError(f"{shown} cannot run in a process: its serializer cannot be pickled ({exc})") from exc
    return Target(module=module, path=path, name=name, serializer=pickled)


def check_target(target: Target, function: Callable[..., Any], shown: str) -> None:
    """Check that who looks for a function finds this one; to be called when its module has been imported.

    Raises:
        ConfigError: it does not.
    """
    if target.module == "__main__" and not _main_can_be_imported():
        raise ConfigError(
            f"{shown} cannot run in a process, which could not import it: the program was not started from a file; "
            "move it to a module"
        )
    try:
        found = find(target)
    except (ImportError, AttributeError) as exc:
        raise ConfigError(f"{shown} cannot run in a process, which would look for {target} in vain ({exc})") from exc
    if found is not function:
        raise ConfigError(
            f"{shown} cannot run in a process, which would find something else as {target}; "
            "let the decorator of the abilities be the outermost one, and give each function a name of its own"
        )


def find(target: Target) -> Any:
    """The function that is to be found there.

    Raises:
        ImportError: the module is not found.
        AttributeError: it has nothing of that name.
    """
    found: Any = import_module(target.module)
    for part in target.path.split("."):
        found = getattr(found, part)
    return found


def _main_can_be_imported() -> bool:
    """Whether the program is in a file; one that was typed, piped or given by ``-c`` is not."""
    main = sys.modules["__main__"]
    if getattr(main, "__spec__", None) is not None:
        return True
    file = getattr(main, "__file__", None)
    return isinstance(file, str) and not file.startswith("<")
