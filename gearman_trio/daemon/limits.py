"""What the kernel lets the process have."""

from __future__ import annotations

import resource

from ..errors import ConfigError

__all__ = ["allow_core_dumps", "raise_descriptor_limit"]


def raise_descriptor_limit(wanted: int | None) -> None:
    """Set how many files and connections the process may have open; ``None`` for as many as its user may have.

    Raises:
        ConfigError: only root may have so many.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    try:
        if wanted is None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        else:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard if unlimited else max(wanted, hard)))
    except (OSError, ValueError) as exc:
        if wanted is None:
            # macOS tells a maximum that it does not allow; what there is has to do.
            return
        raise ConfigError(f"--file-descriptors: expected at most {hard}, which root may raise, got {wanted}") from exc


def allow_core_dumps() -> None:
    """Let the kernel write a core file, as large as it gets, when the process crashes."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
