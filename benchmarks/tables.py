"""Results as tables: on the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import rich.table

__all__ = ["Table", "number", "ratio"]


@attrs.define
class Table:
    """A table of texts, whose first columns are left-aligned and whose others, numbers, are right-aligned.

    Attributes:
        title: what it shows.
        columns: the heads of its columns.
        names: how many columns are not numbers.
        rows: its rows, each as long as there are columns.
    """

    title: str
    columns: Sequence[str]
    names: int = 1
    rows: list[Sequence[str]] = attrs.field(factory=list)

    def add(self, *cells: str) -> None:
        """Add a row at the end."""
        assert len(cells) == len(self.columns), (cells, self.columns)
        self.rows.append(cells)

    def rich(self) -> rich.table.Table:
        """The table for a terminal."""
        table = rich.table.Table(title=self.title)
        for index, column in enumerate(self.columns):
            table.add_column(column, justify="left" if index < self.names else "right")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """The table in Markdown, its title in front."""
        rule = ["---" if index < self.names else "---:" for index in range(len(self.columns))]
        rows = [self.columns, rule, *self.rows]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join([f"**{self.title}**", "", *lines, ""])


def number(value: float) -> str:
    """A number with three digits that count, and commas."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ratio(value: float) -> str:
    """A ratio as a factor."""
    return f"{value:,.0f}x" if value >= 100 else f"{value:.1f}x" if value >= 10 else f"{value:.2f}x"
