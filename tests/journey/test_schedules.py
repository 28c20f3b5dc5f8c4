"""The calendar: schedules and dates that open a workflow, and business days, to the minute and through every change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.journey.compiler import compile_program
from app.journey.durations import NO_TIME, Duration, DurationError, parse, say, write
from app.journey.entry import Enter, Event, NotEntered, on_event
from app.journey.entry_words import recurrence
from app.journey.language import read as read_workflow
from app.journey.ops import Dated, For
from app.journey.program import EntryRule
from app.journey.schedules import RuleError, fires, next_fire, occasions, read
from app.journey.waits import add, country_of, is_business_day, move_business_days, resolve
from tests.journey.kit import NOW, OPEN_WORLD, facts, workflow_text

ROME = ZoneInfo("Europe/Rome")
ZONES = st.sampled_from([ROME, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("UTC")])
IN_ROME = {"property": {"zone": "Europe/Rome", "country": "IT"}}


def schedule(rule: str, at: time | None = time(10), starts: date | None = None) -> EntryRule:
    return EntryRule("schedule.fired", rrule=rule, at=at, starts=starts, number=0)


def local(instants: list[datetime], zone: ZoneInfo = ROME) -> list[str]:
    return [instant.astimezone(zone).strftime("%a %d %b %H:%M %z") for instant in instants]


# --- rules of RFC 5545 ---


def test_every_monday_at_ten_is_ten_by_the_clock_whatever_the_clocks_do() -> None:
    mondays = schedule("FREQ=WEEKLY;BYDAY=MO")
    found = fires(mondays, ROME, datetime(2026, 3, 20, tzinfo=UTC), datetime(2026, 4, 7, tzinfo=UTC))
    assert local(found) == ["Mon 23 Mar 10:00 +0100", "Mon 30 Mar 10:00 +0200", "Mon 06 Apr 10:00 +0200"]


def test_an_hour_that_the_night_lacks_moves_on_and_one_that_it_has_twice_comes_once() -> None:
    nightly = schedule("FREQ=DAILY", time(2, 30))
    spring = fires(nightly, ROME, datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 30, 12, tzinfo=UTC))
    assert local(spring) == ["Sun 29 Mar 03:30 +0200", "Mon 30 Mar 02:30 +0200"]
    autumn = fires(nightly, ROME, datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 26, 12, tzinfo=UTC))
    assert local(autumn) == ["Sun 25 Oct 02:30 +0200", "Mon 26 Oct 02:30 +0100"]


def test_a_rule_that_counts_counts_from_its_day() -> None:
    every_other = schedule("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", starts=date(2026, 6, 2))
    found = fires(every_other, ROME, NOW, NOW + timedelta(days=40))
    assert [instant.astimezone(ROME).date().day for instant in found] == [2, 16, 30]
    three = schedule("FREQ=DAILY;COUNT=3", starts=date(2026, 6, 1))
    assert len(fires(three, ROME, NOW - timedelta(days=9), NOW + timedelta(days=9))) == 3
    assert next_fire(three, ROME, NOW + timedelta(days=9)) is None


@given(ZONES, st.integers(0, 24 * 1400), st.times(), st.integers(20, 400))
def test_firing_in_small_steps_is_firing_in_one(zone: ZoneInfo, start: int, at: time, hours: int) -> None:
    rule = schedule("FREQ=DAILY", at.replace(second=0, microsecond=0))
    begin = NOW + timedelta(hours=start)
    end = begin + timedelta(days=20)
    whole = fires(rule, zone, begin, end)
    parts: list[datetime] = []
    while begin < end:
        until = min(begin + timedelta(hours=hours), end)
        parts += fires(rule, zone, begin, until)
        begin = until
    assert parts == whole
    assert len({instant.astimezone(zone).date() for instant in whole}) == len(whole)


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=HOURLY",
        "BYDAY=MO",
        "FREQ=WEEKLY;BYDAY=XX",
        "FREQ=DAILY;BYHOUR=3",
        "weekly",
        "",
        "DTSTART:20260101",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=3",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;UNTIL=20300101",
    ],
)
def test_what_is_no_recurrence_is_told(text: str) -> None:
    with pytest.raises(RuleError):
        read(text)


@pytest.mark.parametrize(
    ("rule", "english", "italian"),
    [
        ("FREQ=WEEKLY;BYDAY=MO,TH", "every Monday and Thursday", "ogni lunedì e giovedì"),
        ("FREQ=MONTHLY;BYDAY=1TU", "every month on the first Tuesday", "ogni mese, di primo martedì"),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", "every month on the last day", "ogni mese, l'ultimo giorno"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=FR", "every 2 weeks on Friday", "ogni 2 settimane, di venerdì"),
        ("FREQ=YEARLY;BYMONTH=12", "every year in December", "ogni anno, in dicembre"),
        ("FREQ=DAILY;BYSETPOS=1;BYDAY=MO", "FREQ=DAILY;BYSETPOS=1;BYDAY=MO", "FREQ=DAILY;BYSETPOS=1;BYDAY=MO"),
    ],
)
def test_a_recurrence_is_said_in_words(rule: str, english: str, italian: str) -> None:
    assert (recurrence(rule, "en"), recurrence(rule, "it")) == (english, italian)


# --- dates of people and bookings ---


def on_date(ref: str, *, offset: Duration = NO_TIME, at: time | None = time(9), yearly: bool = False) -> EntryRule:
    return EntryRule("date.reached", date=Dated(ref, offset, at), recur="yearly" if yearly else None, number=0)


def born(day: str) -> dict[str, Any]:
    return {**IN_ROME, "contact": {"attributes": {"birthday": day}}}


def years(first: int, last: int) -> tuple[datetime, datetime]:
    return datetime(first, 1, 1, tzinfo=UTC), datetime(last, 12, 31, 23, tzinfo=UTC)


def test_a_birthday_comes_every_year_and_on_the_28th_where_there_is_no_29th() -> None:
    rule = on_date("contact.attributes.birthday", yearly=True)
    found = occasions(rule, born("1988-02-29"), *years(2026, 2028))
    assert local(found) == ["Sat 28 Feb 09:00 +0100", "Sun 28 Feb 09:00 +0100", "Tue 29 Feb 09:00 +0100"]


@pytest.mark.parametrize("day", ["1900-01-01", "1970-01-01", "0001-01-01", "not a date", ""])
def test_a_date_that_stands_for_not_known_opens_nothing(day: str) -> None:
    rule = on_date("contact.attributes.birthday", yearly=True)
    assert occasions(rule, born(day), *years(2026, 2028)) == []


def test_a_week_before_arrival_comes_once_at_ten_by_the_hotel_s_clock() -> None:
    rule = on_date("booking.arrival", offset=Duration(days=-7), at=time(10))
    stay = {**IN_ROME, "booking": {"arrival": date(2026, 4, 2)}}
    assert local(occasions(rule, stay, *years(2026, 2030))) == ["Thu 26 Mar 10:00 +0100"]
    assert occasions(rule, stay, datetime(2026, 3, 26, 9, 0, tzinfo=UTC), years(2026, 2026)[1]) == []


def test_an_anniversary_counts_from_the_year_after() -> None:
    rule = on_date("booking.departure", yearly=True)
    stay = {**IN_ROME, "booking": {"departure": date(2026, 7, 13)}}
    assert [one.year for one in occasions(rule, stay, *years(2026, 2028))] == [2027, 2028]


# --- business days ---


@pytest.mark.parametrize(
    ("start", "days", "wanted"),
    [
        ("2026-04-02", 1, "2026-04-03"),  # Good Friday is none in Italy
        ("2026-04-03", 1, "2026-04-07"),  # over Easter Monday
        ("2026-04-30", 1, "2026-05-04"),  # over 1 May, a Friday
        ("2026-06-01", 2, "2026-06-04"),  # over 2 June
        ("2026-12-23", 2, "2026-12-28"),  # over Christmas, Saint Stephen and Sunday
        ("2026-08-15", 1, "2026-08-17"),  # from a holiday on a Saturday
        ("2026-12-09", -1, "2026-12-07"),  # back over the Immaculate Conception
    ],
)
def test_business_days_step_over_weekends_and_italian_holidays(start: str, days: int, wanted: str) -> None:
    assert move_business_days(date.fromisoformat(start), days, "IT") == date.fromisoformat(wanted)


@given(st.dates(date(2000, 1, 1), date(2060, 1, 1)), st.integers(-60, 60), st.sampled_from(["IT", "DE", None]))
def test_business_days_land_on_business_days_and_lead_back(start: date, days: int, country: str | None) -> None:
    end = move_business_days(start, days, country)
    if days == 0:
        assert end == start
        return
    assert is_business_day(end, country)
    step = 1 if days > 0 else -1
    passed = [start + timedelta(days=step * n) for n in range(1, abs((end - start).days) + 1)]
    assert sum(is_business_day(day, country) for day in passed) == abs(days)
    if is_business_day(start, country):
        assert move_business_days(end, -days, country) == start


@given(st.integers(1, 20), st.integers(1, 20), st.dates(date(2020, 1, 1), date(2040, 1, 1)))
def test_business_days_add_up(one: int, other: int, start: date) -> None:
    assert move_business_days(move_business_days(start, one, "IT"), other, "IT") == move_business_days(
        start, one + other, "IT"
    )


def test_two_business_days_keep_the_clock_through_the_change_of_the_clocks() -> None:
    friday = datetime(2026, 3, 27, 9, 0, tzinfo=UTC)  # 10:00 in Rome, winter
    assert local([add(friday, Duration(business=2), ROME, "IT")]) == ["Tue 31 Mar 10:00 +0200"]


def test_a_wait_for_business_days_goes_by_the_property_s_country() -> None:
    before_easter = datetime(2026, 4, 3, 8, 0, tzinfo=UTC)
    wait = For(Duration(business=1), "property")
    in_rome = resolve(wait, before_easter, IN_ROME)
    by_zone = resolve(wait, before_easter, {"property": {"zone": "Europe/Rome"}})
    nowhere = resolve(wait, before_easter, {"property": {"zone": "Asia/Tokyo"}})
    assert in_rome == by_zone
    assert in_rome is not None
    assert nowhere is not None
    assert (in_rome.date(), nowhere.date()) == (date(2026, 4, 7), date(2026, 4, 6))


def test_the_country_is_the_property_s_own_before_that_of_its_zone() -> None:
    assert country_of({"property": {"zone": "Europe/Rome", "country": "de"}}) == "DE"
    assert country_of({"property": {"zone": "Europe/Rome"}}) == "IT"
    assert country_of({}) is None


def test_so_many_days_later_at_a_clock_time() -> None:
    wait = For(Duration(days=2), "property", at=time(10))
    late_evening = datetime(2026, 3, 27, 22, 30, tzinfo=UTC)  # 23:30 in Rome on a Friday
    found = resolve(wait, late_evening, IN_ROME)
    assert found is not None
    assert local([found]) == ["Sun 29 Mar 10:00 +0200"]


def test_business_days_are_written_and_said_and_taken_only_where_somebody_knows_the_holidays() -> None:
    length = parse("-2 business days", business=True)
    assert length == Duration(business=-2)
    assert (write(length), say(length, "it")) == ("-2 business days", "2 giorni lavorativi")
    assert parse("1 Business  Day", business=True) == Duration(business=1)
    with pytest.raises(DurationError, match="no meaning here"):
        parse("2 business days")


# --- at the door ---

WAYS = """\
  - { on: segment.entered, segment: vip }
  - { on: date, ref: contact.attributes.birthday, at: "09:00", recur: yearly }
  - { on: schedule, rrule: FREQ=WEEKLY;BYDAY=MO, at: "10:00", segment: vip }
  - { on: manual, if: contact.language == it }
"""


@pytest.mark.parametrize(
    ("type_", "data", "answer"),
    [
        ("segment.entered", {"segment": "vip"}, "enter"),
        ("segment.entered", {"segment": "others"}, "other_segment"),
        ("segment.left", {"segment": "vip"}, "not_this_event"),
        ("date.reached", {"workflow": "under-test", "entry": 1}, "enter"),
        ("date.reached", {"workflow": "under-test", "entry": 2}, "other_entry"),
        ("date.reached", {"workflow": "another", "entry": 1}, "other_entry"),
        ("schedule.fired", {"workflow": "under-test", "entry": 2, "segment": "vip"}, "enter"),
        ("workflow.started", {"workflow": "under-test", "by": "manual"}, "enter"),
        ("workflow.started", {"workflow": "under-test", "by": "api"}, "not_by_hand"),
        ("workflow.started", {"workflow": "another", "by": "manual"}, "other_entry"),
    ],
)
def test_our_own_events_open_the_way_in_that_they_are_about(type_: str, data: dict[str, Any], answer: str) -> None:
    text = workflow_text("  - { id: a, send: x }").replace("key: booking.reference\n", "")
    text = text.replace("  - on: booking.confirmed\n", WAYS)
    under_test = compile_program(read_workflow(text, file="t.yaml", known=OPEN_WORLD))
    verdict = on_event(under_test, Event(type_, NOW, data), facts(), [], NOW)
    assert (verdict.code if isinstance(verdict, NotEntered) else "enter") == answer
    assert isinstance(verdict, NotEntered | Enter)
