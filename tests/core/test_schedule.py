"""When SUBMIT_JOB_SCHED runs a job: fields, calendars, and clocks that are set forward and back."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gearman_trio.core.schedule import SCHEDULE_FIELDS, next_time, parse_field

BERLIN = ZoneInfo("Europe/Berlin")


def parsed(schedule: str) -> list[frozenset[int]]:
    """Parse a crontab line: minute, hour, day of month, month, weekday; '.' stands for an empty field."""
    texts = schedule.replace(".", "").split(" ")
    return [parse_field(text, name, low, high) for text, (name, low, high) in zip(texts, SCHEDULE_FIELDS, strict=True)]


def run_at(schedule: str, after: str, zone: ZoneInfo = BERLIN) -> str | None:
    """Give the next time as the zone's wall clock and offset."""
    moment = next_time(parsed(schedule), datetime.fromisoformat(after).timestamp(), zone)
    return None if moment is None else datetime.fromtimestamp(moment, zone).isoformat(timespec="minutes")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", range(60)),
        ("*", range(60)),
        ("0", [0]),
        ("59", [59]),
        ("007", [7]),
        ("1,15,30", [1, 15, 30]),
        ("1-5", [1, 2, 3, 4, 5]),
        ("*/20", [0, 20, 40]),
        ("5/20", [5, 25, 45]),
        ("10-20/5", [10, 15, 20]),
        ("1-3,50-58/4,7", [1, 2, 3, 7, 50, 54, 58]),
        ("3-3", [3]),
    ],
)
def test_a_field_allows(text: str, expected: list[int]) -> None:
    assert sorted(expected) == sorted(parse_field(text, "minute", 0, 59))


@pytest.mark.parametrize(
    "text",
    [
        *["60", "-1", "x", "1-", "-", "5-1", "1--2", "*/0", "*/", "*/x", "1,", ",", "1.5", " 1", "+1", "1-60", "**"],
        *["*-5", "\u0661", "99999999999999999999", "1/2/3", "1," * 200 + "1"],
    ],
)
def test_any_other_field_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"^minute: expected a number from 0 to 59, a list, a range, a step") as caught:
        parse_field(text, "minute", 0, 59)

    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("* * * * *", "2024-05-01T12:00:00+02:00", "2024-05-01T12:01+02:00"),
        (". . . . .", "2024-05-01T12:00:59+02:00", "2024-05-01T12:01+02:00"),
        ("30 6 * * *", "2024-05-01T06:29:59+02:00", "2024-05-01T06:30+02:00"),
        ("30 6 * * *", "2024-05-01T06:30:00+02:00", "2024-05-02T06:30+02:00"),
        ("0 0 1 1 *", "2024-05-01T00:00:00+02:00", "2025-01-01T00:00+01:00"),
        ("*/15 9-17 * * 0-4", "2024-05-03T17:50:00+02:00", "2024-05-06T09:00+02:00"),
        ("0 12 * * 6", "2024-05-01T00:00:00+02:00", "2024-05-05T12:00+02:00"),
        ("0 12 * * 0", "2024-05-01T00:00:00+02:00", "2024-05-06T12:00+02:00"),
        ("0 0 31 * *", "2024-04-01T00:00:00+02:00", "2024-05-31T00:00+02:00"),
        ("59 23 31 12 *", "2024-12-31T23:58:00+01:00", "2024-12-31T23:59+01:00"),
    ],
)
def test_next_time_that_matches(schedule: str, after: str, expected: str) -> None:
    assert expected == run_at(schedule, after)


def test_day_of_month_and_weekday_together_mean_both() -> None:
    """Cron would take either."""
    assert "2024-09-13T00:00+02:00" == run_at("0 0 13 * 4", "2024-05-01T00:00:00+02:00")


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("0 0 29 2 *", "2024-02-29T00:00:00+01:00", "2028-02-29T00:00+01:00"),
        ("0 0 29 2 *", "2096-02-29T00:00:00+01:00", "2104-02-29T00:00+01:00"),
        ("0 0 29 2 3", "2024-02-29T00:00:00+01:00", "2052-02-29T00:00+01:00"),
        # 2100 is no leap year: the longest wait there is.
        ("0 0 29 2 0", "2072-02-29T00:00:00+01:00", "2112-02-29T00:00+01:00"),
    ],
)
def test_leap_days(schedule: str, after: str, expected: str) -> None:
    assert expected == run_at(schedule, after)


@pytest.mark.parametrize("schedule", ["0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *"])
def test_days_that_never_come(schedule: str) -> None:
    assert run_at(schedule, "2024-05-01T00:00:00+02:00") is None


def test_a_time_skipped_by_summer_time_is_run_as_much_later() -> None:
    """02:30 does not exist on that day; half an hour after the clock would have shown 02:00 it shows 03:30."""
    assert "2024-03-31T03:30+02:00" == run_at("30 2 * * *", "2024-03-31T00:00:00+01:00")


def test_every_minute_goes_on_over_the_beginning_of_summer_time() -> None:
    assert "2024-03-31T03:00+02:00" == run_at("* * * * *", "2024-03-31T01:59:30+01:00")
    assert "2024-03-31T03:11+02:00" == run_at("* * * * *", "2024-03-31T03:10:30+02:00")


def test_a_time_that_comes_twice_at_the_end_of_summer_time_is_taken_the_first_time() -> None:
    assert "2024-10-27T02:30+02:00" == run_at("30 2 * * *", "2024-10-27T00:00:00+02:00")


def test_in_the_repeated_hour_the_second_coming_is_the_next_match() -> None:
    assert "2024-10-27T02:30+01:00" == run_at("30 2 * * *", "2024-10-27T02:45:00+02:00")
    assert "2024-10-27T02:00+01:00" == run_at("* * * * *", "2024-10-27T02:59:30+02:00")
    assert "2024-10-27T02:11+01:00" == run_at("* * * * *", "2024-10-27T02:10:30+01:00")
    assert "2024-10-28T02:30+01:00" == run_at("30 2 * * *", "2024-10-27T02:30:00+01:00")


def test_a_repeated_half_hour() -> None:
    lord_howe = ZoneInfo("Australia/Lord_Howe")

    assert "2024-04-07T01:45+10:30" == run_at("45 1 * * *", "2024-04-07T01:50:00+11:00", lord_howe)
    assert "2024-04-07T02:00+10:30" == run_at("0 2 * * *", "2024-04-07T01:50:00+11:00", lord_howe)


def test_zones_differ() -> None:
    after = "2024-05-01T00:00:00+00:00"

    assert "2024-05-01T06:30+09:00" != run_at("30 6 * * *", after, ZoneInfo("Asia/Tokyo"))
    assert "2024-05-02T06:30+09:00" == run_at("30 6 * * *", after, ZoneInfo("Asia/Tokyo"))
    assert "2024-05-01T06:30+02:00" == run_at("30 6 * * *", after, BERLIN)


def test_without_a_zone_the_processs_own_is_taken() -> None:
    now = datetime(2024, 5, 1, 6, 29).timestamp()

    assert now + 60 == next_time(parsed("30 6 * * *"), now, None)
