"""What ``gearman-trio top`` shows, made from what was seen and what was chosen: one screen full of text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from .top_columns import TABLES, Column, duration, fitting, printable
from .top_look import FunctionLine, Picture
from .top_view import KEYS, View

__all__ = ["draw", "page_rows"]

#: Lines above and below the rows.
_FRAME_LINES: Final = 6

_FOOTER: Final = "1-3 tables  < > sort  r reverse  / filter  c cancel  p pause  ? help  q leave"


def page_rows(height: int) -> int:
    """How many rows of a table there is room for."""
    return max(height - _FRAME_LINES, 1)


def draw(view: View, picture: Picture | None, *, header: str, trouble: str, size: tuple[int, int]) -> Text:
    """The screen.

    Args:
        view: what was chosen.
        picture: what was seen; ``None`` before the first look.
        header: which server it is, and how often it is looked at.
        trouble: why the server cannot be seen at present, or ``""``.
        size: columns and lines.
    """
    width, height = size
    lines = [_line(header, width, "bold reverse")]
    if trouble:
        lines.append(_line(trouble, width, "bold red"))
    elif picture is None:
        lines.append(_line("connecting ...", width, ""))
    else:
        lines.append(_line(_summary(picture, width), width, ""))
    lines.append(_tabs(view, picture, width))
    lines.append(Text())
    if view.helping:
        lines += [_line(f"  {keys:<28} {meaning}", width, "") for keys, meaning in KEYS]
    elif picture is not None:
        for line in _table(view, picture, width, page_rows(height), stale=bool(trouble)):
            # A screen may be too narrow for the columns that are always there.
            line.truncate(width, overflow="crop")
            lines.append(line)
    del lines[height - 1 :]
    lines += [Text()] * (height - 1 - len(lines))
    lines.append(_bottom(view, width))
    screen = Text("\n", no_wrap=True, end="").join(lines)
    screen.overflow = "crop"
    return screen


def _summary(picture: Picture, width: int) -> str:
    """As much of it as there is room for: a number without its last digits would be another one."""
    functions = picture.functions
    parts = [
        f"waiting {sum(f.waiting for f in functions)}",
        f"running {sum(f.running for f in functions)}",
        f"workers {len(picture.workers)}",
    ]
    if picture.own:
        parts.append(f"failed {sum(f.failed or 0 for f in functions)}")
        rates = [f.in_per_second for f in functions], [f.out_per_second for f in functions]
        if all(rate is not None for rate in rates[0]):
            parts += [
                f"{name} {sum(filter(None, each)):.1f}/s" for name, each in zip(("in", "out"), rates, strict=True)
            ]
    stalled = sum(f.stalled for f in functions)
    if stalled:
        parts.insert(1, f"stalled {stalled}")
    parts.append(f"connections {picture.connections}")
    while len(parts) > 1 and len("  ".join(parts)) > width:
        del parts[-1]
    return "  ".join(parts)


def _tabs(view: View, picture: Picture | None, width: int) -> Text:
    tabs = Text(no_wrap=True)
    for number, name in enumerate(TABLES, 1):
        count = "" if picture is None else f" {len(getattr(picture, name))}"
        tabs.append(f" {number} {name.capitalize()}{count} ", "bold reverse" if name == view.table else "dim")
        tabs.append(" ")
    if view.typing or view.filter:
        tabs.append(f" filter: {view.filter}{'_' if view.typing else ''}", "bold" if view.typing else "")
    tabs.truncate(width, overflow="crop")
    return tabs


def _table(view: View, picture: Picture, width: int, most: int, *, stale: bool) -> Iterator[Text]:
    columns, first_width = fitting(TABLES[view.table], width)
    rows = view.rows(picture)
    heading = _row(columns, [column.title for column in columns], first_width, "bold")
    # Titles differ from each other, and none is part of another that comes before it.
    heading.highlight_words([view.column.title], "underline")
    yield heading
    if not rows:
        yield Text(f"  {_nothing(view, picture)}", "dim")
        return
    place = view.place(rows)
    # The chosen row stays on the screen, and moves as little as it can.
    start = max(0, min(place - most // 2, len(rows) - most))
    for number, row in enumerate(rows[start : start + most], start):
        style = "dim" if stale else _style(row)
        if number == place:
            style += " reverse"
        yield _row(columns, [column.text(row) for column in columns], first_width, style.strip())


def _nothing(view: View, picture: Picture) -> str:
    if view.filter and getattr(picture, view.table):
        return f"nothing holds {view.filter!r}"
    return {"functions": "no functions", "jobs": "no jobs", "workers": "no workers"}[view.table]


def _style(row: Any) -> str:
    if isinstance(row, FunctionLine):
        return "red" if row.stalled else "yellow" if row.paused else ""
    return ""


def _row(columns: list[Column], cells: list[str], first_width: int, style: str) -> Text:
    parts = [_cut(cells[0], first_width)]
    for column, cell in zip(columns[1:], cells[1:], strict=True):
        # Words begin at the left, numbers end at the right.
        room = column.width - 1
        parts.append(" " + (_cut(cell, room) if column.words else cell.rjust(room)[:room]))
    return Text("".join(parts), style, no_wrap=True)


def _bottom(view: View, width: int) -> Text:
    if view.question is not None:
        return _line(
            f"{view.question.verb} {printable(view.question.name)}? y for yes, any other key for no", width, "bold"
        )
    if view.message:
        return _line(view.message, width, "bold")
    return _line(_FOOTER, width, "dim")


def _line(text: str, width: int, style: str) -> Text:
    return Text(_cut(printable(text), width), style, no_wrap=True)


def _cut(text: str, width: int) -> str:
    """Exactly so wide, with an ellipsis where something is missing."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, max(width - 1, 0)) + "…"[: max(width, 0)]


def age(seconds: float) -> str:
    """How old what is shown is."""
    return f"what is shown is {duration(seconds)} old"
