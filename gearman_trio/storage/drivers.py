"""Libraries that only some stores need: imported when one is made; a missing one is named with its extra."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..errors import ConfigError

__all__ = ["driver"]


def driver(module: str, extra: str, store: str) -> Any:
    """A module of a library.

    Raises:
        ConfigError: it is not installed; the message names the extra that brings it.
    """
    try:
        return import_module(module)
    except ImportError as exc:
        scheme = store.partition(":")[0]
        raise ConfigError(
            f"a store of {scheme}: needs the package {module}, which is not installed; "
            f"install it with: pip install 'gearman-trio[{extra}]'"
        ) from exc
