"""Date arithmetic to the minute, over both changes of the clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.journey.durations import Duration
from app.journey.program import Clock, Dated, For, Window
from app.journey.waits import (
    NeverOpensError,
    Quiet,
    add,
    at_clock,
    dated,
    is_quiet,
    next_clock,
    next_in_window,
    next_opening,
    resolve,
)

ROME = ZoneInfo("Europe/Rome")
TOKYO = ZoneInfo("Asia/Tokyo")
NIGHT = Quiet(time(21), time(8))

_FROM, _TO = datetime(2025, 1, 1), datetime(2028, 1, 1)  # noqa: DTZ001 - hypothesis wants naive bounds
instants = st.datetimes(_FROM, _TO).map(lambda moment: moment.replace(tzinfo=UTC))
zones = st.sampled_from(
    [ZoneInfo(name) for name in ("Europe/Rome", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")]
)
clocks = st.times().map(lambda at: at.replace(microsecond=0, tzinfo=None))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def test_a_clock_time_that_the_day_does_not_have_moves_forward_by_the_gap() -> None:
    moved = at_clock(date(2026, 3, 29), time(2, 30), ROME)
    assert moved == utc(2026, 3, 29, 1, 30)
    assert moved.astimezone(ROME).time() == time(3, 30)


def test_a_clock_time_that_the_day_has_twice_is_its_first_occurrence() -> None:
    assert at_clock(date(2026, 10, 25), time(2, 30), ROME) == utc(2026, 10, 25, 0, 30)


def test_a_doubled_clock_time_comes_once() -> None:
    first = next_clock(utc(2026, 10, 25, 0, 30), time(2, 30), (), ROME)
    assert first == utc(2026, 10, 25, 0, 30)
    assert next_clock(first + timedelta(seconds=1), time(2, 30), (), ROME) == utc(2026, 10, 26, 1, 30)


@pytest.mark.parametrize(
    ("arrival", "expected"),
    [
        (date(2026, 3, 30), utc(2026, 3, 29, 8, 0)),  # the night before has 23 hours
        (date(2026, 3, 29), utc(2026, 3, 28, 9, 0)),
        (date(2026, 10, 26), utc(2026, 10, 25, 9, 0)),  # and here 25
        (date(2026, 10, 25), utc(2026, 10, 24, 8, 0)),
    ],
)
def test_an_offset_of_a_day_is_a_calendar_day(arrival: date, expected: datetime) -> None:
    assert dated(arrival, Duration(days=-1), time(10), ROME) == expected


def test_a_wait_of_a_day_keeps_the_clock_time_over_the_change() -> None:
    assert add(utc(2026, 3, 28, 9, 0), Duration(days=1), ROME) == utc(2026, 3, 29, 8, 0)
    assert add(utc(2026, 3, 28, 9, 0), Duration(seconds=86_400), ROME) == utc(2026, 3, 29, 9, 0)


def test_a_month_after_the_31st_is_the_last_of_the_month() -> None:
    assert dated(date(2026, 1, 31), Duration(months=1), time(9), ROME) == utc(2026, 2, 28, 8, 0)


def test_29_february_a_year_on_is_the_28th() -> None:
    assert dated(date(2028, 2, 29), Duration(months=12), time(9), ROME) == utc(2029, 2, 28, 8, 0)


def test_an_instant_without_a_clock_time_keeps_its_own() -> None:
    assert dated(utc(2026, 6, 1, 8, 17), Duration(days=3), None, ROME) == utc(2026, 6, 4, 8, 17)


def test_the_day_of_an_instant_is_the_one_of_the_zone() -> None:
    assert dated(utc(2026, 6, 1, 22, 30), Duration(), time(10), ROME) == utc(2026, 6, 2, 8, 0)


def test_the_next_tuesday_or_thursday_at_ten() -> None:
    wednesday = utc(2026, 6, 3, 6, 0)
    assert next_clock(wednesday, time(10), (1, 3), ROME) == utc(2026, 6, 4, 8, 0)
    assert next_clock(utc(2026, 6, 4, 8, 0), time(10), (1, 3), ROME) == utc(2026, 6, 4, 8, 0)
    assert next_clock(utc(2026, 6, 4, 8, 1), time(10), (1, 3), ROME) == utc(2026, 6, 9, 8, 0)


def test_inside_a_window_there_is_nothing_to_wait_for() -> None:
    inside = utc(2026, 6, 3, 10, 12)
    assert next_in_window(inside, time(9), time(18), (), ROME) == inside


def test_outside_a_window_one_waits_until_it_opens() -> None:
    assert next_in_window(utc(2026, 6, 3, 16, 0), time(9), time(18), (), ROME) == utc(2026, 6, 4, 7, 0)


def test_a_window_over_midnight_belongs_to_the_day_it_opens() -> None:
    friday_night = utc(2026, 6, 5, 23, 0)  # 01:00 on Saturday in Rome
    assert next_in_window(friday_night, time(22), time(2), (4,), ROME) == friday_night


@given(instants, clocks, zones)
def test_the_next_clock_time_is_never_past_and_within_two_days(after: datetime, at: time, zone: ZoneInfo) -> None:
    found = next_clock(after, at, (), zone)
    assert after <= found <= after + timedelta(hours=50)


@given(instants, clocks, clocks, zones)
def test_a_window_lets_go_inside_itself(after: datetime, start: time, end: time, zone: ZoneInfo) -> None:
    found = next_in_window(after, start, end, (), zone)
    assert found >= after
    assert next_in_window(found, start, end, (), zone) == found


# --- quiet hours ---


def test_quiet_hours_hold_a_message_until_they_end() -> None:
    assert next_opening(utc(2026, 6, 1, 20, 30), NIGHT, [ROME]) == utc(2026, 6, 2, 6, 0)
    assert next_opening(utc(2026, 6, 1, 6, 0), NIGHT, [ROME]) == utc(2026, 6, 1, 6, 0)


def test_quiet_hours_hold_in_every_zone_given() -> None:
    # 08:00 in Rome is 15:00 in Tokyo; at 14:00 in Rome Tokyo goes quiet. From 13:00 in Rome (20:00 there) it may go.
    assert next_opening(utc(2026, 6, 1, 11, 0), NIGHT, [ROME, TOKYO]) == utc(2026, 6, 1, 11, 0)
    assert next_opening(utc(2026, 6, 1, 12, 0), NIGHT, [ROME, TOKYO]) == utc(2026, 6, 2, 6, 0)


def test_a_closed_sunday_is_quiet_all_day() -> None:
    quiet = Quiet(time(20, 30), time(9), closed=(6,))
    assert next_opening(utc(2026, 6, 6, 19, 0), quiet, [ROME]) == utc(2026, 6, 8, 7, 0)


def test_zones_that_never_wake_together_are_said_so() -> None:
    with pytest.raises(NeverOpensError):
        next_opening(utc(2026, 6, 1, 12, 0), Quiet(time(17), time(9)), [ROME, ZoneInfo("Pacific/Auckland")])


@given(instants, st.lists(zones, min_size=1, max_size=3))
def test_an_opening_is_quiet_nowhere_and_never_before(instant: datetime, where: list[ZoneInfo]) -> None:
    try:
        opens = next_opening(instant, NIGHT, where)
    except NeverOpensError:
        return
    assert opens >= instant
    assert not any(is_quiet(opens, NIGHT, zone) for zone in where)


@given(st.lists(instants, min_size=2, max_size=6))
def test_who_comes_later_goes_later(moments: list[datetime]) -> None:
    opened = [next_opening(moment, NIGHT, [ROME]) for moment in sorted(moments)]
    assert all(one <= other for one, other in pairwise(opened))


# --- resolve ---


def test_a_wait_reads_the_zone_of_the_person() -> None:
    facts = {"property": {"zone": "Europe/Rome"}, "contact": {"zone": "America/New_York"}}
    assert resolve(Clock(time(10), zone="contact"), utc(2026, 6, 1, 8, 0), facts) == utc(2026, 6, 1, 14, 0)


def test_a_person_without_a_zone_lives_by_the_property() -> None:
    facts = {"property": {"zone": "Europe/Rome"}, "contact": {"zone": None}}
    assert resolve(Clock(time(10), zone="contact"), utc(2026, 6, 1, 8, 0), facts) == utc(2026, 6, 1, 8, 0)


def test_a_wait_for_a_date_nobody_knows_has_no_end() -> None:
    assert resolve(Dated("booking.arrival"), utc(2026, 6, 1, 8, 0), {"booking": None}) is None


def test_a_date_beyond_reckoning_counts_as_not_known() -> None:
    facts = {"booking": {"arrival": date(9999, 12, 31)}}
    assert resolve(Dated("booking.arrival", Duration(months=12)), utc(2026, 6, 1, 8, 0), facts) is None


@given(instants, st.integers(0, 400), st.integers(0, 100_000))
def test_a_wait_for_a_time_never_ends_before_it_begins(moment: datetime, days: int, seconds: int) -> None:
    facts = {"property": {"zone": "Europe/Rome"}}
    ends = resolve(For(Duration(days=days, seconds=seconds)), moment, facts)
    assert ends is not None
    # A day may lose its lost hour, and a moment in a lost hour moves on by it.
    assert ends >= moment + timedelta(days=days, seconds=seconds) - timedelta(hours=1, seconds=1)


def test_a_window_is_resolved_in_its_zone() -> None:
    facts = {"property": {"zone": "Europe/Rome"}}
    assert resolve(Window(time(9), time(12)), utc(2026, 6, 1, 11, 0), facts) == utc(2026, 6, 2, 7, 0)
