"""What the user of ``gearman-trio top`` has chosen, and what keys make of it: no terminal and no server is here."""

from __future__ import annotations

from typing import Any, Final, Literal

import attrs

from .top_columns import TABLES, Column
from .top_look import FunctionLine, JobLine, Picture

__all__ = ["KEYS", "Action", "View"]

#: What the help says, by keys.
KEYS: Final = (
    ("1 2 3, Tab", "functions, running jobs, workers"),
    ("Up Down PgUp PgDn Home End", "choose a row"),
    ("< >", "sort by the column to the left, to the right"),
    ("r", "sort the other way round"),
    ("/", "show only rows with a text; Esc drops it"),
    ("c", "cancel the chosen job, after a question"),
    ("p", "pause the chosen function, or resume it, likewise"),
    ("Space", "look again now"),
    ("+ -", "look less often, more often"),
    ("? h", "this help"),
    ("q, Ctrl-C", "leave"),
)

#: What is sorted by at first, in each table; the largest first.
_SORTED_BY: Final = {"functions": "WAITING", "jobs": "RUNNING", "workers": "RUNNING"}

_NAMES: Final = tuple(TABLES)


@attrs.frozen
class Action:
    """What is to be done to the server, or to the program.

    Attributes:
        verb: which.
        name: a job handle or the name of a function.
    """

    verb: Literal["quit", "look", "cancel", "pause", "resume", "slower", "faster"]
    name: str = ""


@attrs.define
class View:
    """What is shown.

    Attributes:
        table: which of `TABLES`.
        sorted_by: the title of a column, of each table.
        ascending: whether the smallest comes first, of each table.
        filter: what rows must hold.
        typing: whether keys go into the filter.
        chosen: the key of the chosen row, of each table.
        question: an action that waits for a yes.
        helping: whether the help is shown.
        message: what came of the last action.
    """

    table: str = "functions"
    sorted_by: dict[str, str] = attrs.field(factory=lambda: dict(_SORTED_BY))
    ascending: dict[str, bool] = attrs.field(factory=lambda: dict.fromkeys(TABLES, False))
    filter: str = ""
    typing: bool = False
    chosen: dict[str, str] = attrs.field(factory=lambda: dict.fromkeys(TABLES, ""))
    question: Action | None = None
    helping: bool = False
    message: str = ""

    @property
    def column(self) -> Column:
        """The one that is sorted by."""
        title = self.sorted_by[self.table]
        return next(column for column in TABLES[self.table] if column.title == title)

    def rows(self, picture: Picture) -> list[Any]:
        """The rows of the table that are shown, in order."""
        lines: tuple[Any, ...] = getattr(picture, self.table)
        wanted = self.filter.lower()
        if wanted:
            columns = TABLES[self.table]
            lines = tuple(line for line in lines if any(wanted in column.text(line).lower() for column in columns))
        value = self.column.value
        known = [line for line in lines if value(line) is not None]
        unknown = [line for line in lines if value(line) is None]
        return [*sorted(known, key=value, reverse=not self.ascending[self.table]), *unknown]

    def place(self, rows: list[Any]) -> int:
        """Where the chosen row stands; the first where it has gone."""
        chosen = self.chosen[self.table]
        return next((place for place, row in enumerate(rows) if _key(row) == chosen), 0)

    def press(self, key: str, picture: Picture | None, page: int) -> Action | None:
        """Heed a key; give what is to be done.

        Args:
            key: a character, or the name of a key: ``"up"``, ``"enter"``, ...
            picture: what is shown; ``None`` before the first look.
            page: how many rows there are on the screen.
        """
        if self.question is not None:
            question, self.question = self.question, None
            self.message = "" if key in {"y", "Y"} else "left as it was"
            return question if key in {"y", "Y"} else None
        if self.typing:
            self._type(key)
            return None
        self.message = ""
        if self.helping:
            self.helping = False
            return Action("quit") if key == "q" else None
        match key:
            case "q":
                return Action("quit")
            case " ":
                return Action("look")
            case "+" | "=":
                return Action("slower")
            case "-":
                return Action("faster")
            case "?" | "h":
                self.helping = True
            case "/":
                self.typing = True
            case "escape":
                self.filter = ""
            case "1" | "2" | "3":
                self.table = _NAMES[int(key) - 1]
            case "tab":
                self.table = _NAMES[(_NAMES.index(self.table) + 1) % len(_NAMES)]
            case "r":
                self.ascending[self.table] = not self.ascending[self.table]
            case "<" | ">":
                titles = [column.title for column in TABLES[self.table]]
                step = 1 if key == ">" else -1
                place = titles.index(self.sorted_by[self.table]) + step
                self.sorted_by[self.table] = titles[place % len(titles)]
            case _ if picture is not None:
                return self._press_row(key, self.rows(picture), page)
        return None

    def _press_row(self, key: str, rows: list[Any], page: int) -> Action | None:
        """Heed a key that is about rows."""
        if not rows:
            return None
        place = self.place(rows)
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -page, "page down": page}
        if key in steps or key in {"home", "end"}:
            last = len(rows) - 1
            place = {"home": 0, "end": last}.get(key, place + steps.get(key, 0))
            self.chosen[self.table] = _key(rows[min(max(place, 0), last)])
            return None
        row = rows[place]
        if key == "p" and isinstance(row, FunctionLine):
            if row.paused is None:
                self.message = "this server cannot pause functions"
                return None
            self.chosen[self.table] = row.function
            self.question = Action("resume" if row.paused else "pause", row.function)
        elif key == "c" and isinstance(row, JobLine):
            self.chosen[self.table] = row.handle
            self.question = Action("cancel", row.handle)
        elif key in {"c", "p"}:
            self.message = "jobs are cancelled in table 2, functions are paused in table 1"
        return None

    def _type(self, key: str) -> None:
        """Heed a key that goes into the filter."""
        if key == "enter":
            self.typing = False
        elif key == "escape":
            self.typing = False
            self.filter = ""
        elif key == "backspace":
            self.filter = self.filter[:-1]
        elif len(key) == 1 and key.isprintable():
            self.filter += key


def _key(row: Any) -> str:
    """What a row is known by from one look to the next."""
    if isinstance(row, FunctionLine):
        return row.function
    return row.handle if isinstance(row, JobLine) else str(row.number)
