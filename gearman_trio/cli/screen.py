"""What ``gearman-trio run`` shows of a job: data on stdout, warnings and a progress bar on stderr."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from ..errors import ConfigError

__all__ = ["Screen"]


class Screen:
    """Shows one job; a context manager, because a bar hides the cursor until it is taken away.

    The bar appears with the first status.  Where stdout is a terminal too, the bar gives way to data, and comes back
    with the next status when the data has ended its line: both would write over each other.

    The mutable state: whether the bar is there, and whether the data has ended its line.
    """

    def __init__(self, function: bytes) -> None:
        if sys.stdout is None:
            raise ConfigError("standard output is closed; the result would have nowhere to go")
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            redirect_stdout=False,
        )
        self._task = self._bar.add_task(function.decode("utf-8", "backslashreplace"), total=None)
        self._shared = self._console.is_terminal and sys.stdout.isatty()
        self._bar_shown = False
        self._line_ended = True

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._hide_bar()

    def data(self, data: bytes) -> None:
        """Write a part of the result, as it is and at once."""
        if not data:
            return
        if self._shared:
            self._hide_bar()
            self._line_ended = data.endswith(b"\n")
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def warning(self, data: bytes) -> None:
        """Print a warning on lines of its own, neither wrapped nor taken for markup."""
        text = data.decode("utf-8", "backslashreplace").removesuffix("\n")
        if not self._line_ended:
            self._console.line()
            self._line_ended = True
        self._console.print(Text(text), soft_wrap=True, highlight=False)

    def status(self, numerator: int, denominator: int) -> None:
        """Move the bar, and let it appear where it may."""
        self._bar.update(self._task, completed=numerator, total=denominator or None)
        if self._console.is_terminal and self._line_ended and not self._bar_shown:
            self._bar_shown = True
            self._bar.start()

    def _hide_bar(self) -> None:
        if self._bar_shown:
            self._bar_shown = False
            self._bar.stop()
