"""The page of the documentation that shows the figures: one section for each benchmark, between two comments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .machine import Machine
from .processes import ROOT
from .tables import Table

__all__ = ["PAGE", "replaced", "write_section"]

PAGE = ROOT / "docs" / "explanation" / "performance.md"


def write_section(name: str, tables: Sequence[Table], machine: Machine, pictures: Sequence[Path] = ()) -> None:
    """Put pictures, tables, and the machine that they were taken on, in the place of a section of `PAGE`.

    Each picture has the title of the table at its place.
    """
    shown = [
        f"![{table.title}](../{picture.parent.name}/{picture.name})\n"
        for table, picture in zip(tables, pictures, strict=False)
    ]
    content = "\n".join([*shown, *(table.markdown() for table in tables), f"Taken on {machine}."])
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), name, content), encoding="utf-8")


def replaced(page: str, name: str, content: str) -> str:
    """The page with other content between ``<!-- NAME: figures -->`` and ``<!-- NAME: end -->``.

    Raises:
        ValueError: there is no such place.
    """
    begin, end = f"<!-- {name}: figures -->", f"<!-- {name}: end -->"
    pattern = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"the page has no place {begin} ... {end}")
    return pattern.sub(lambda _: f"{begin}\n\n{content}\n\n{end}", page)
