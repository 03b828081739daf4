"""What keys do to the view."""

from __future__ import annotations

import pytest

from gearman_trio.cli.top_columns import TABLES
from gearman_trio.cli.top_look import Picture
from gearman_trio.cli.top_view import Action, View

from .top_lines import function, job, picture, worker

THREE = picture(
    function("a", waiting=1, run_p95_seconds=3.0),
    function("b", waiting=3),
    function("c", waiting=2, run_p95_seconds=1.0),
)


def press(view: View, *keys: str, seen: Picture | None = THREE) -> list[Action]:
    """Press keys; give the actions."""
    actions = [view.press(key, seen, 10) for key in keys]
    return [action for action in actions if action is not None]


def names(view: View, seen: Picture = THREE) -> list[str]:
    return [row.function for row in view.rows(seen)]


def chosen(view: View, seen: Picture = THREE) -> str:
    rows = view.rows(seen)
    name: str = rows[view.place(rows)].function
    return name


def test_most_waiting_come_first() -> None:
    assert ["b", "c", "a"] == names(View())


def test_order_is_turned_and_other_columns_are_sorted_by() -> None:
    view = View()
    press(view, "r")
    turned = names(view)
    press(view, "<")
    by_name = names(view)

    assert (["a", "c", "b"], ["a", "b", "c"]) == (turned, by_name)
    assert "FUNCTION" == view.column.title


def test_what_is_not_known_comes_last_in_either_order() -> None:
    view = View(sorted_by={"functions": "P95"})

    assert ["a", "c", "b"] == names(view)
    press(view, "r")
    assert ["c", "a", "b"] == names(view)


def test_columns_go_round() -> None:
    view = View()
    titles = []
    for _ in TABLES["functions"]:
        titles.append(view.column.title)
        press(view, ">")

    assert {column.title for column in TABLES["functions"]} == set(titles)
    assert titles[0] == view.column.title


def test_choice_stays_with_its_row() -> None:
    view = View()
    press(view, "down")
    assert "c" == chosen(view)

    moved = picture(function("c", waiting=9), function("b", waiting=3), function("a"))

    assert ("c", 0) == (chosen(view, moved), view.place(view.rows(moved)))
    assert "a" == chosen(view, picture(function("a")))


@pytest.mark.parametrize(
    ("keys", "row"),
    [
        (["down"], "c"),
        (["j", "j"], "a"),
        (["down"] * 9, "a"),
        (["end", "up"], "c"),
        (["end", "k", "k", "k"], "b"),
        (["page down"], "a"),
        (["end", "page up"], "b"),
        (["end", "home"], "b"),
    ],
)
def test_keys_choose_a_row(keys: list[str], row: str) -> None:
    view = View()
    press(view, *keys)

    assert row == chosen(view)


def test_tables_are_chosen_by_number_and_in_turn() -> None:
    view = View()
    shown = [view.table]
    for key in ("tab", "tab", "tab", "3", "2", "1"):
        press(view, key)
        shown.append(view.table)

    assert ["functions", "jobs", "workers", "functions", "workers", "jobs", "functions"] == shown


def test_filter_is_typed_kept_and_dropped() -> None:
    view, seen = View(), picture(function("resize"), function("Rotate"), function("q"))
    press(view, "/", "R", "x", "backspace", "o", seen=seen)
    typing = (view.filter, view.typing, names(view, seen))
    press(view, "enter", seen=seen)
    kept = (view.filter, view.typing)
    press(view, "escape", seen=seen)

    assert ("Ro", True, ["Rotate"]) == typing
    assert (("Ro", False), "") == (kept, view.filter)
    assert 3 == len(names(view, seen))


def test_escape_while_typing_drops_the_filter() -> None:
    view = View()
    press(view, "/", "q", "up", "escape")

    assert ("", False) == (view.filter, view.typing)


def test_keys_that_ask_for_something() -> None:
    wanted = ["look", "slower", "slower", "faster", "quit"]

    assert wanted == [action.verb for action in press(View(), " ", "+", "=", "-", "q")]
    assert [Action("quit")] == press(View(), "q", seen=None)
    assert [] == press(View(), "p", "c", "down", "x", seen=None)


def test_help_goes_with_any_key() -> None:
    view = View()
    press(view, "?")
    helping = view.helping
    assert [] == press(view, "3")
    assert (True, False, "functions") == (helping, view.helping, view.table)
    assert [Action("quit")] == press(view, "h", "q")


@pytest.mark.parametrize(("answer", "actions"), [("y", [Action("cancel", "H:x:2")]), ("n", []), ("escape", [])])
def test_job_is_cancelled_after_a_question(answer: str, actions: list[Action]) -> None:
    view = View(table="jobs")
    seen = picture(job("H:x:1", seconds=2.0), job("H:x:2", seconds=1.0))
    assert [] == press(view, "down", "c", seen=seen)
    question = view.question

    assert actions == press(view, answer, seen=seen)
    assert (Action("cancel", "H:x:2"), None) == (question, view.question)
    assert ("" if actions else "left as it was") == view.message


def test_what_is_asked_about_is_what_was_seen() -> None:
    """Also where the rows have another order by then."""
    view = View()
    seen = picture(function("a", waiting=2, paused=False), function("b", waiting=1, paused=False))
    press(view, "p", seen=seen)
    later = picture(function("a", waiting=0, paused=False), function("b", waiting=1, paused=False))

    assert [Action("pause", "a")] == press(view, "y", seen=later)


def test_paused_function_is_resumed() -> None:
    assert [Action("resume", "a")] == press(View(), "p", "y", seen=picture(function("a", paused=True)))


@pytest.mark.parametrize(
    ("table", "key", "message"),
    [
        ("functions", "p", "this server cannot pause functions"),
        ("functions", "c", "jobs are cancelled in table 2, functions are paused in table 1"),
        ("workers", "c", "jobs are cancelled in table 2, functions are paused in table 1"),
        ("jobs", "p", "jobs are cancelled in table 2, functions are paused in table 1"),
    ],
)
def test_what_cannot_be_done_is_said(table: str, key: str, message: str) -> None:
    view = View(table=table)

    assert [] == press(view, key, seen=picture(function("a"), worker(1), job("H:x:1"), own=False))
    assert (message, None) == (view.message, view.question)


@pytest.mark.parametrize("table", TABLES)
def test_keys_for_rows_where_there_are_none(table: str) -> None:
    view = View(table=table)

    assert [] == press(view, "down", "home", "c", "p", "page down", seen=picture())
    assert [] == view.rows(picture())
