"""Following the source files of an application while it is being written.

watchfiles tells what changed; it comes with the extra ``reload``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import trio

from ..errors import ConfigError

__all__ = ["check_available", "follow_sources", "source_folders"]

#: Editors and version control write several files, and one in several steps: what changes before this time has been
#: quiet is one change, ...
_QUIET_MS: Final = 100

#: ... but nobody waits longer than this for quiet.
_LONGEST_MS: Final = 1600


def check_available() -> None:
    """Check that what this needs is installed.

    Raises:
        ConfigError: it is not; the message names the extra.
    """
    try:
        import_module("watchfiles")
    except ModuleNotFoundError as exc:
        raise ConfigError("--reload needs watchfiles: pip install 'gearman-trio[reload]'") from exc


def source_folders(module: str) -> list[Path]:
    """Where the sources of an application are: the current folder, and that of its package if it is elsewhere.

    Args:
        module: where its abilities are; it is looked for as ``import`` does, but not imported.
    """
    folders = [Path.cwd()]
    try:
        spec = find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        spec = None
    if spec is not None:
        for place in spec.submodule_search_locations or [spec.origin or ""]:
            path = Path(place).resolve()
            folder = path if path.is_dir() else path.parent
            if not any(folder.is_relative_to(known) for known in folders):
                folders.append(folder)
    return folders


async def follow_sources(folders: Sequence[Path], on_change: Callable[[list[str]], None]) -> None:
    """Watch the Python files below some folders, from the first checkpoint on, until cancelled.

    Args:
        folders: as `source_folders` gives them.
        on_change: called with the names of the files that were written, added or taken away at about the same time.

    Raises:
        ConfigError: watchfiles is not installed, or the system does not let it watch.

    Cancellation: heeded after a tenth of a second, when the thread that watches has looked for it.
    """
    check_available()
    from watchfiles import PythonFilter, awatch  # noqa: PLC0415 an extra

    stopped = trio.Event()

    async def stop_when_cancelled() -> None:
        # Cancelling a thread is nothing that Trio can do; it waits until this one returns.
        try:
            await trio.sleep_forever()
        finally:
            stopped.set()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stop_when_cancelled)
            changes = awatch(
                *folders, watch_filter=PythonFilter(), debounce=_LONGEST_MS, step=_QUIET_MS, stop_event=stopped
            )
            async with aclosing(changes):
                async for batch in changes:
                    on_change(sorted(Path(path).name for _, path in batch))
    except* OSError as group:
        raise ConfigError(f"--reload: the source files cannot be watched: {group.exceptions[0]}") from group
