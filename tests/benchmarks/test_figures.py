"""Rounds, tables and the page that shows them."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import pytest
import rich.console

from benchmarks import machine, page
from benchmarks.rounds import median_ratio, run_rounds
from benchmarks.tables import Table, number, ratio


def test_everything_has_its_turn_in_alternating_order() -> None:
    order: list[str] = []

    def case(name: str) -> int:
        order.append(name)
        return len(order)

    told: list[str] = []
    samples = run_rounds({name: partial(case, name) for name in "abc"}, 3, progress=told.append)

    assert "abccbaabc" == "".join(order)
    assert {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]} == samples
    assert "round 2 of 3: c" == told[3]


def test_the_ratio_is_of_figures_of_the_same_round() -> None:
    """One round ran while something else took nine tenths of the machine."""
    assert 2.0 == median_ratio([200.0, 20.0, 210.0], [100.0, 10.0, 105.0])


def table() -> Table:
    table = Table("Speeds", ["server", "jobs/s"])
    table.add("gearmand", number(1234.5))
    return table


def test_a_table_in_markdown_and_on_the_terminal() -> None:
    assert "**Speeds**\n\n| server | jobs/s |\n| --- | ---: |\n| gearmand | 1,234 |\n" == table().markdown()

    console = rich.console.Console(width=60, file=io.StringIO(), record=True)
    console.print(table().rich())
    text = console.export_text()
    assert "Speeds" in text
    assert "1,234" in text


@pytest.mark.parametrize(("value", "shown"), [(0.123, "0.12"), (12.34, "12.3"), (123.4, "123"), (-1e6, "-1,000,000")])
def test_numbers(value: float, shown: str) -> None:
    assert shown == number(value)


@pytest.mark.parametrize(("value", "shown"), [(0.123, "0.12x"), (12.34, "12.3x"), (1234.5, "1,234x")])
def test_ratios(value: float, shown: str) -> None:
    assert shown == ratio(value)


def test_a_section_of_the_page_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- a: figures -->\nold\n<!-- a: end -->\nafter\n", encoding="utf-8")
    monkeypatch.setattr(page, "PAGE", path)

    for _ in range(2):
        page.write_section("a", [table()], machine.describe())

    written = path.read_text(encoding="utf-8")
    assert written.startswith("before\n<!-- a: figures -->\n\n**Speeds**")
    assert written.endswith(".\n\n<!-- a: end -->\nafter\n")
    assert 1 == written.count("Taken on")
    page.write_section("a", [table()], machine.describe(), [tmp_path / "_static" / "b.svg"])
    assert "\n\n![Speeds](../_static/b.svg)\n\n**Speeds**" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="no place <!-- b: figures -->"):
        page.write_section("b", [], machine.describe())


def test_the_machine_in_words() -> None:
    words = str(machine.describe())

    assert "GiB" in words
    assert "Linux" in words
    assert "Python 3." in words
