"""The screen of `gearman-trio top`, at sizes that terminals have."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from gearman_trio.cli.top_columns import TABLES, duration, fitting
from gearman_trio.cli.top_look import Picture
from gearman_trio.cli.top_screen import draw
from gearman_trio.cli.top_view import KEYS, View

from .top_lines import function, job, picture, worker

SIZES = [(80, 24), (160, 50), (40, 10), (20, 5)]


def screen(view: View, seen: Picture | None, size: tuple[int, int] = (80, 24), trouble: str = "") -> list[str]:
    text = draw(view, seen, header="gearman-trio top", trouble=trouble, size=size)
    lines = text.plain.split("\n")
    assert size[1] == len(lines)
    assert size[0] >= max(map(cell_len, lines))
    return lines


BUSY = picture(
    function(
        "resize",
        waiting=1204,
        normal=1204,
        scheduled=0,
        running=8,
        workers=2,
        sleeping=0,
        paused=False,
        in_per_second=41.26,
        out_per_second=1234.0,
        failed=19,
        retried=3,
        oldest_seconds=75.0,
        run_p50_seconds=0.17,
        run_p95_seconds=4.2,
    ),
    function("nobody", waiting=2, workers=0, paused=True, in_per_second=0.0, out_per_second=0.0, failed=0),
    job("H:vm:1", function="resize", worker="builder", address="10.0.0.1", seconds=2.5, attempts=1, progress=0.25),
    worker(7, client_id="builder", running=1, sleeping=False, silent_seconds=0.002),
)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_every_table_fits_every_screen(table: str, size: tuple[int, int], count: int) -> None:
    long = "a name that is rather long " * 5
    seen = picture(
        *[function(f"{long}{n}", waiting=n) for n in range(count)],
        *[job(f"H:{long}:{n}", function=long) for n in range(count)],
        *[worker(n, client_id=long, functions=(long,)) for n in range(count)],
    )

    lines = screen(View(table=table), seen, size)

    shown = [line for line in lines if long[:10] in line] if size[0] >= 40 else lines
    assert len(shown) <= max(count, size[1])
    if count == 1000:
        assert size[1] - 6 <= len(shown)


def test_summary_has_whole_numbers_only() -> None:
    summaries = [screen(View(), BUSY, (width, 24))[1].rstrip() for width in (12, 11, 56, 55, 160)]

    assert [
        "waiting 1206",
        "waiting 12…",
        "waiting 1206  stalled 1  running 8  workers 1  failed 19",
        "waiting 1206  stalled 1  running 8  workers 1",
        "waiting 1206  stalled 1  running 8  workers 1  failed 19  in 41.3/s  out 1234.0/s  connections 3",
    ] == summaries


def test_functions_at_80_columns() -> None:
    lines = screen(View(), BUSY)

    assert "gearman-trio top" == lines[0].strip()
    assert "waiting 1206  stalled 1  running 8  workers 1  failed 19  in 41.3/s" == lines[1].rstrip()
    assert " 1 Functions 2   2 Jobs 1   3 Workers 1" == lines[2].rstrip()
    assert "FUNCTION              WAITING RUNNING WORKERS   IN/s  OUT/s FAILED OLDEST    P95" == lines[4]
    assert "resize                   1204       8       2   41.3   1234     19    75s   4.2s" == lines[5]
    assert "nobody (paused)             2       0       0    0.0    0.0      0      -      -" == lines[6]
    assert "1-3 tables  < > sort  r reverse  / filter  c cancel  p pause  ? help  q leave" == lines[-1].rstrip()


def test_wide_screens_show_more() -> None:
    heading, row = screen(View(), BUSY, (160, 50))[4:6]

    assert ["ASLEEP", "P50", "RETRIED", "SCHED", "HIGH", "NORMAL", "LOW"] == [
        title for title in heading.split() if title not in screen(View(), BUSY)[4]
    ]
    assert ["170ms", "4.2s", "3", "0", "0", "1204", "0"] == row.split()[-7:]


def test_jobs_and_workers() -> None:
    jobs, workers = screen(View(table="jobs"), BUSY), screen(View(table="workers"), BUSY)

    assert ["HANDLE", "FUNCTION", "WORKER", "RUNNING", "TRIES", "DONE"] == jobs[4].split()
    assert ["H:vm:1", "resize", "builder", "2.5s", "1", "25%"] == jobs[5].split()
    assert ["builder", "::1", "1", "f"] == workers[5].split()


def test_what_another_server_does_not_tell() -> None:
    (row,) = screen(View(), picture(function("f", waiting=1), own=False))[5:6]

    assert ["f", "1", "0", "1", "-", "-", "-", "-", "-"] == row.split()


@pytest.mark.parametrize(
    ("view", "seen", "line"),
    [
        (View(), None, "connecting ..."),
        (View(), picture(), "  no functions"),
        (View(table="jobs"), picture(), "  no jobs"),
        (View(table="workers"), picture(), "  no workers"),
        (View(filter="x"), picture(function("f")), "  nothing holds 'x'"),
        (View(message="H:x:1 is cancelled"), BUSY, "H:x:1 is cancelled"),
    ],
)
def test_what_there_is_to_say_is_said(view: View, seen: Picture | None, line: str) -> None:
    assert line in [each.rstrip() for each in screen(view, seen)]


def test_trouble_stands_over_what_was_seen_last() -> None:
    lines = screen(View(), BUSY, trouble="no connection; what is shown is 12s old: refused")

    assert "no connection; what is shown is 12s old: refused" == lines[1].rstrip()
    assert lines[5].startswith("resize ")


def test_question_and_filter_are_shown() -> None:
    view = View(table="jobs", filter="res", typing=True)
    view.press("enter", BUSY, 10)
    view.press("c", BUSY, 10)
    lines = screen(view, BUSY)

    assert "cancel H:vm:1? y for yes, any other key for no" == lines[-1].rstrip()
    assert lines[2].rstrip().endswith("filter: res")


def test_help_has_every_key() -> None:
    lines = screen(View(helping=True), BUSY)

    assert [f"  {keys:<28} {meaning}" for keys, meaning in KEYS] == [line.rstrip() for line in lines[4 : 4 + len(KEYS)]]


def test_chosen_row_is_on_the_screen() -> None:
    seen = picture(*[function(f"f{number:03}", waiting=1000 - number) for number in range(1000)])
    for place in (0, 5, 500, 999):
        view = View(chosen={"functions": f"f{place:03}"})
        text = draw(view, seen, header="", trouble="", size=(80, 24))
        (span,) = [span for span in text.spans if "reverse" in str(span.style) and span.start > 200]

        assert text.plain[span.start : span.end].startswith(f"f{place:03} ")


def test_names_cannot_move_the_cursor() -> None:
    lines = screen(View(), picture(function("a\x1b[2Jb\nc", waiting=1)))

    assert lines[5].startswith("a\\x1b[2Jb\\nc ")


def test_wide_characters_take_two_columns() -> None:
    lines = screen(View(), picture(function("日本語" * 20, waiting=1)))

    assert 80 == cell_len(lines[5])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.0, "0.0ms"),
        (0.0004, "0.4ms"),
        (0.0094, "9.4ms"),
        (0.012, "12ms"),
        (0.9994, "999ms"),
        (0.9999, "1.0s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (99.4, "99s"),
        (119, "2m"),
        (5000, "83m"),
        (7200, "2h"),
        (3600 * 47, "47h"),
        (86400 * 9, "9d"),
        (86400 * 400, "400d"),
    ],
)
def test_durations_are_short(seconds: float | None, text: str) -> None:
    assert text == duration(seconds)


@pytest.mark.parametrize("table", TABLES)
def test_columns_make_room_from_the_least_important(table: str) -> None:
    columns = TABLES[table]
    everything, _ = fitting(columns, 300)
    least, first = fitting(columns, 10)

    assert list(columns) == everything
    assert [columns[0], *(column for column in columns[1:] if not column.rank)] == least
    assert first >= 10
