"""Dates and planned times open workflows: to the minute, once, after outages and clock changes alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text

from app.audience import catalogue as segments
from app.enrollments import catalogue, occasions
from app.enrollments.models import Enrollment, OccasionMark
from app.events.models import Event
from tests.hotel import Hotel

HEAD = """
workflow: {name}
name: {{ en: {name}, it: {name} }}
phase: retention
class: transactional
"""
TAIL = """
steps:
  - id: note
    set: { contact.attributes.greeted: true }
"""
BEFORE_ARRIVAL = (
    HEAD.format(name="week-before")
    + """
entry:
  - on: date
    ref: booking.arrival
    offset: -7 days
    at: "10:00"
    zone: property
key: booking.reference
"""
    + TAIL
)
BIRTHDAY = (
    HEAD.format(name="birthday")
    + """
entry:
  - on: date
    ref: contact.attributes.birth_date
    at: "09:00"
    zone: contact
    recur: yearly
reenter: always
"""
    + TAIL
)


def publish(hotel: Hotel, *sources: str) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        for source in sources:
            catalogue.publish(session, source, by="test", now=hotel.clock.now())
    hotel.work()


def booked(hotel: Hotel, reference: str, arrival: str, type_: str = "booking.confirmed") -> None:
    departure = (datetime.fromisoformat(arrival) + timedelta(days=2)).date().isoformat()
    hotel.report(type_, booking={"reference": reference, "arrival": arrival, "departure": departure})


def person(hotel: Hotel, name: str, birth_date: str, **more: Any) -> None:
    contact = {"external_id": name, "email": f"{name}@example.com", "attributes": {"birth_date": birth_date}, **more}
    hotel.report("contact.updated", contact=contact)


def entries(hotel: Hotel, workflow: str) -> list[tuple[str, datetime]]:
    """(key or external id, instant of entry) of everybody who entered."""
    query = text(
        "SELECT coalesce(nullif(e.key, ''), c.external_id) AS who, e.entered_at FROM enrollments e"
        " JOIN contacts c ON c.workspace_id = e.workspace_id AND c.id = e.contact_id"
        " JOIN workflows w ON w.workspace_id = e.workspace_id AND w.id = e.workflow_id"
        " WHERE w.name = :workflow ORDER BY e.entered_at, e.id"
    )
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return [(row.who, row.entered_at) for row in session.execute(query, {"workflow": workflow})]


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def test_a_week_before_arrival_at_ten_of_the_hotel_on_both_sides_of_the_change_of_clocks(hotel: Hotel) -> None:
    publish(hotel, BEFORE_ARRIVAL)
    booked(hotel, "W", "2026-03-30")
    booked(hotel, "S", "2026-04-06")
    hotel.after(timedelta(days=40))
    assert entries(hotel, "week-before") == [("W", utc(2026, 3, 23, 9)), ("S", utc(2026, 3, 30, 8))]


def test_a_moved_date_fires_for_its_new_day_once_and_not_for_the_old_one(hotel: Hotel) -> None:
    publish(hotel, BEFORE_ARRIVAL)
    booked(hotel, "M", "2026-04-10")
    hotel.after(timedelta(days=10))
    booked(hotel, "M", "2026-05-20", "booking.modified")
    hotel.after(timedelta(days=90))
    assert entries(hotel, "week-before") == [("M", utc(2026, 5, 13, 8))]


def test_a_date_that_moved_after_it_had_fired_fires_again_and_the_workflow_says_whether_one_may_enter_twice(
    hotel: Hotel,
) -> None:
    publish(hotel, BEFORE_ARRIVAL, BEFORE_ARRIVAL.replace("week-before", "again") + "reenter: always\n")
    booked(hotel, "M", "2026-03-20")
    hotel.after(timedelta(days=4))
    booked(hotel, "M", "2026-04-20", "booking.modified")
    hotel.after(timedelta(days=2))
    booked(hotel, "M", "2026-03-20", "booking.modified")
    hotel.after(timedelta(days=60))
    assert len(entries(hotel, "week-before")) == 1
    assert len(entries(hotel, "again")) == 1, "moved back to a day that has passed: neither day is reached again"


def test_what_fell_due_while_nothing_ran_is_made_up_for_at_its_own_instant(hotel: Hotel) -> None:
    publish(hotel, BEFORE_ARRIVAL)
    booked(hotel, "A", "2026-03-20")
    booked(hotel, "B", "2026-03-24")
    hotel.work()
    hotel.clock.advance(timedelta(days=9))  # nobody looked for nine days
    hotel.work()
    hotel.work()
    assert entries(hotel, "week-before") == [("A", utc(2026, 3, 13, 9)), ("B", utc(2026, 3, 17, 9))]


def test_a_new_workflow_does_not_fire_for_the_past_nor_a_late_booking_for_a_moment_that_is_over(hotel: Hotel) -> None:
    booked(hotel, "old", "2026-03-15")
    hotel.work()
    publish(hotel, BEFORE_ARRIVAL)
    booked(hotel, "late", "2026-03-17")  # a week before was this morning at ten, which has just struck
    hotel.clock.advance(timedelta(minutes=5))
    booked(hotel, "later", "2026-03-16")
    hotel.after(timedelta(days=30))
    assert [who for who, _ in entries(hotel, "week-before")] == []


def test_a_cancelled_booking_has_no_occasions(hotel: Hotel) -> None:
    publish(hotel, BEFORE_ARRIVAL)
    booked(hotel, "C", "2026-04-10")
    hotel.report("booking.cancelled", booking={"reference": "C"})
    hotel.after(timedelta(days=60))
    assert entries(hotel, "week-before") == []


def test_birthdays_come_every_year_by_each_persons_own_clock_and_29_february_is_the_28th_of_other_years(
    hotel: Hotel,
) -> None:
    publish(hotel, BIRTHDAY)
    person(hotel, "leap", "1988-02-29")
    person(hotel, "tokyo", "1990-07-04", zone="Asia/Tokyo")
    person(hotel, "nobody", "1970-01-01")
    person(hotel, "wrong", "2001-99-99")
    # Nothing lies between, and whatever did would be made up for.
    for year, month, day in ((2026, 7, 4), (2027, 2, 28), (2027, 7, 4), (2028, 2, 28), (2028, 3, 10)):
        hotel.clock.set(utc(year, month, day) - timedelta(days=2))
        hotel.until(utc(year, month, day) + timedelta(days=2))
    assert entries(hotel, "birthday") == [
        ("tokyo", utc(2026, 7, 4, 0)),
        ("leap", utc(2027, 2, 28, 8)),
        ("tokyo", utc(2027, 7, 4, 0)),
        ("leap", utc(2028, 2, 29, 8)),
    ]


def test_r12_a_childs_birthday_starts_nothing(hotel: Hotel) -> None:
    publish(hotel, BIRTHDAY)
    person(hotel, "child", "2016-07-04")
    person(hotel, "teen", "2011-07-04")
    hotel.clock.set(utc(2026, 7, 2))
    hotel.until(utc(2026, 7, 6))
    assert [who for who, _ in entries(hotel, "birthday")] == ["teen"]


def test_a_published_change_of_another_part_does_not_fire_the_same_day_twice(hotel: Hotel) -> None:
    publish(hotel, BEFORE_ARRIVAL + "reenter: always\n")
    booked(hotel, "P", "2026-03-20")
    hotel.until(utc(2026, 3, 13, 9))
    publish(hotel, BEFORE_ARRIVAL.replace("greeted", "seen") + "reenter: always\n")
    publish(hotel, BEFORE_ARRIVAL.replace('"10:00"', '"11:00"') + "reenter: always\n")
    hotel.after(timedelta(days=3))
    assert len(entries(hotel, "week-before")) == 1


@contextmanager
def counted(hotel: Hotel) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "set_config" not in statement:
            statements.append(statement)

    event.listen(hotel.house.database.engine, "before_cursor_execute", note)
    yield statements
    event.remove(hotel.house.database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("number", [1, 30])
def test_a_page_of_any_size_costs_the_same_few_queries(hotel: Hotel, number: int) -> None:
    publish(hotel, BEFORE_ARRIVAL)
    for one in range(number):
        booked(hotel, f"N-{one}", "2026-03-20")
    hotel.work()
    hotel.clock.set(utc(2026, 3, 13, 9))
    with counted(hotel) as statements, hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert occasions.run(session, hotel.clock.now(), 500).done == 1
    assert len(statements) <= occasions.QUERIES, "\n".join(statements)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert len(session.scalars(select(Event).where(Event.type == "date.reached")).all()) == number


def test_a_look_over_several_pages_misses_nobody_and_fires_nobody_twice(
    hotel: Hotel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(occasions, "PAGE", 3)
    publish(hotel, BEFORE_ARRIVAL)
    for one in range(10):
        booked(hotel, f"N-{one}", "2026-03-20")
    hotel.work()
    hotel.clock.set(utc(2026, 3, 13, 9))
    pages = 0
    while True:
        with hotel.house.database.work(hotel.loaded.workspace_id) as session:
            if not occasions.run(session, hotel.clock.now(), 3).done:
                break
        pages += 1
    hotel.work()
    assert pages >= 4
    assert sorted(who for who, _ in entries(hotel, "week-before")) == [f"N-{one}" for one in range(10)]


def test_an_entry_that_is_gone_leaves_no_mark(hotel: Hotel) -> None:
    publish(hotel, BEFORE_ARRIVAL)
    manual = HEAD.format(name="week-before") + "entry:\n  - on: booking.confirmed\nkey: booking.reference\n" + TAIL
    publish(hotel, manual)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert session.scalars(select(OccasionMark)).all() == []
        assert session.scalars(select(Enrollment)).all() == []


MONDAYS = (
    HEAD.format(name="mondays")
    + """
entry:
  - on: schedule
    rrule: FREQ=WEEKLY;BYDAY=MO
    at: "09:00"
    zone: contact
    segment: speaks-italian
reenter: always
"""
    + TAIL
)


def test_a_planned_time_comes_to_everybody_in_the_segment_by_their_own_clock_and_after_an_outage_once(
    hotel: Hotel,
) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        segment = {"en": "Italian", "it": "Italiano"}
        segments.create(
            session, "speaks-italian", segment, "all: [ contact.language == it ]", by="test", now=hotel.clock.now()
        )
    person(hotel, "rome", "1990-01-01", language="it", zone="Europe/Rome")
    person(hotel, "tokyo", "1990-01-01", language="it", zone="Asia/Tokyo")
    person(hotel, "london", "1990-01-01", language="en")
    publish(hotel, MONDAYS)
    hotel.until(utc(2026, 3, 17))
    assert entries(hotel, "mondays") == [("tokyo", utc(2026, 3, 16, 0)), ("rome", utc(2026, 3, 16, 8))]
    hotel.clock.set(utc(2026, 4, 8))  # three Mondays went by and nobody looked
    hotel.work()
    assert entries(hotel, "mondays")[2:] == [("tokyo", utc(2026, 4, 6, 0)), ("rome", utc(2026, 4, 6, 7))]
