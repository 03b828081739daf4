"""What a command line names in a Python module: abilities, a lifespan, middleware."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import attrs

from ..errors import ConfigError
from ..worker import Abilities, Middleware
from ..worker.options import Lifespan

__all__ = ["Target", "load_abilities", "load_target", "program_target", "users_traceback"]


@attrs.frozen(kw_only=True)
class Target:
    """What a worker of the command runs."""

    abilities: Abilities
    lifespan: Lifespan | None
    middleware: tuple[Middleware, ...]


def load_target(target: str, *, lifespan: str | None = None, middleware: Sequence[str] = ()) -> Target:
    """Import all that a worker needs; a name without a module is one of the module of the abilities.

    Raises:
        ConfigError: something is not of the form that it has to have, or is not found, or is nothing to use there.
    """
    abilities = load_abilities(target)
    module = target.partition(":")[0]
    return Target(
        abilities=abilities,
        lifespan=None if lifespan is None else _load_callable("--lifespan", lifespan, module),
        middleware=tuple(_load_callable("--middleware", name, module) for name in middleware),
    )


def program_target(abilities: Abilities, *, middleware: Sequence[str] = ()) -> Target:
    """What a worker of the command runs whose functions are a program.

    Raises:
        ConfigError: middleware is not of the form that it has to have, or is not found, or is nothing to use there.
    """
    found = tuple(_load_callable("--middleware", name, "") for name in middleware)
    return Target(abilities=abilities, lifespan=None, middleware=found)


def users_traceback(exc: BaseException) -> TracebackType | None:
    """The part of a traceback that is in the user's module, neither ours nor that of the import.

    ``None`` if there is none, as for a mistake in the module's syntax.
    """
    importing = False
    part = exc.__traceback__
    while part is not None:
        code = part.tb_frame.f_code
        importing = importing or code is importlib.import_module.__code__
        if importing and not (code is importlib.import_module.__code__ or "<frozen importlib" in code.co_filename):
            return part
        part = part.tb_next
    return None if importing else exc.__traceback__


def load_abilities(target: str) -> Abilities:
    """Import ``package.module:object``, from the current folder too.

    Raises:
        ConfigError: the target is not of that form, or is not found, or is no `Abilities`, or is empty.
    """
    found = _load(target)
    if not isinstance(found, Abilities):
        raise ConfigError(f"{target} is a {type(found).__name__}; expected gearman_trio.Abilities")
    if not found:
        name = target.partition(":")[2]
        raise ConfigError(f"{target} holds no functions; add one with @{name}.function")
    return found


def _load_callable(option: str, name: str, module: str) -> Any:
    try:
        found = _load(name if ":" in name else f"{module}:{name}")
    except ConfigError as exc:
        raise ConfigError(f"{option}: {exc}") from exc
    if not callable(found):
        raise ConfigError(f"{option}: {name} is a {type(found).__name__}; expected a function")
    return found


def _load(target: str) -> object:
    module_name, colon, name = target.partition(":")
    if not colon or not all([*module_name.split("."), *name.split(".")]):
        raise ConfigError(f"expected MODULE:OBJECT, for example jobs:abilities, got {target!r}")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        # A module that the user's own module lacks is the user's to see, with its traceback.
        if exc.name is None or not (module_name == exc.name or module_name.startswith(exc.name + ".")):
            raise
        hint = "write it without .py" if module_name.endswith(".py") else "is this the right folder?"
        raise ConfigError(f"module {module_name!r} is not found; {hint}") from exc
    found: object = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise ConfigError(f"module {module_name!r} has no {name!r}")
        found = getattr(found, part)
    return found
