"""A booking changes while people are inside: their waits, property, what they were told, and a portal's detours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text

from app.contacts.models import Property
from app.enrollments import catalogue, follow
from app.enrollments.models import Enrollment, EntryRefusal, StepVisit, Workflow
from app.journey import advance as core
from tests.hotel import Hotel

STAY = {"reference": "RS-1", "arrival": "2026-05-12", "departure": "2026-05-15", "adults": 2, "amount": 42000}
PORTAL = {**STAY, "reference": "BK-1", "channel": "booking.com", "ota_reference": "4711"}
AGAIN = {**PORTAL, "reference": "BK-2", "arrival": "2026-05-13", "departure": "2026-05-16"}


def sent(hotel: Hotel) -> list[str]:
    return [template for template, _ in hotel.sent()]


def passages(hotel: Hotel, workflow: str = "pre-arrival") -> list[Enrollment]:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        number = session.scalar(text("SELECT id FROM workflows WHERE name = :name"), {"name": workflow})
    return [row for row in hotel.enrollments() if row.workflow_id == number]


def decisions(hotel: Hotel, code: str) -> list[StepVisit]:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return list(session.scalars(select(StepVisit).where(StepVisit.code == code).order_by(StepVisit.id)))


@pytest.fixture
def booked(hotel: Hotel) -> Hotel:
    """Giulia has booked and been confirmed; she waits for the week before."""
    hotel.report("booking.confirmed", booking={**STAY, "channel": "direct"})
    hotel.after(timedelta(hours=1))
    assert sent(hotel) == ["booking-confirmation"]
    return hotel


# -- waits move ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arrival", "week_before"), [("2026-05-30", 23), ("2026-05-09", 2)])
def test_a_wait_moves_both_ways_before_the_sender_has_its_answer(booked: Hotel, arrival: str, week_before: int) -> None:
    booked.report("booking.modified", booking={"reference": "RS-1", "arrival": arrival, "departure": "2026-06-02"})
    (passage,) = passages(booked)
    assert passage.wake_at == datetime(2026, 5, week_before, 8, tzinfo=UTC), "10:00 in Rome, and no worker has run"


def test_no_step_is_taken_twice_however_often_the_dates_move(booked: Hotel) -> None:
    for day in (20, 12, 25, 13):
        booked.report(
            "booking.modified",
            booking={"reference": "RS-1", "arrival": f"2026-05-{day}", "departure": f"2026-05-{day + 3}"},
        )
        booked.after(timedelta(hours=2))
    booked.until(datetime(2026, 5, 13, 13, tzinfo=UTC))
    assert sent(booked).count("booking-confirmation") == 1
    assert sent(booked).count("pre-arrival-direct") == 1


def test_a_booking_that_goes_to_another_property_takes_its_passage_and_its_clock_along(booked: Hotel) -> None:
    with booked.house.database.work(booked.loaded.workspace_id) as session:
        home = session.scalars(select(Property)).first()
        assert home is not None
        fields = {column.key: getattr(home, column.key) for column in Property.__table__.columns if column.key != "id"}
        other = {"code": "far", "name": "Far", "zone": "America/New_York", "is_default": False}
        session.add(Property(**{**fields, **other}))
        session.flush()  # its number is asked for
        far = session.scalar(select(Property.id).where(Property.code == "far"))
    booked.report("booking.modified", booking={"reference": "RS-1"}, property="far")
    (passage,) = passages(booked)
    assert passage.property_id == far
    assert passage.wake_at == datetime(2026, 5, 5, 14, tzinfo=UTC), "10:00 in New York, a week before"


def test_a_property_whose_clock_is_set_to_another_zone_moves_every_wait(booked: Hotel) -> None:
    with booked.house.database.work(booked.loaded.workspace_id) as session:
        home = session.scalars(select(Property)).first()
        assert home is not None
        home.zone = "Europe/London"
        session.flush()  # the facts read it by SQL
        assert follow.rezone(session, home.id, home.is_default, booked.clock.now()) == 1
    (passage,) = passages(booked)
    assert passage.wake_at == datetime(2026, 5, 5, 9, tzinfo=UTC)


# -- what was told and is no longer so (X1) --------------------------------------------------------------------------


def test_who_was_confirmed_hears_what_is_different_and_hears_it_once(booked: Hotel) -> None:
    change = {"reference": "RS-1", "arrival": "2026-05-14", "departure": "2026-05-17"}
    booked.report("booking.modified", booking=change)
    booked.work()
    booked.report("booking.modified", booking=change)
    booked.work()
    assert sent(booked) == ["booking-confirmation", "booking-updated"]
    mail = booked.mails()[-1]
    body = mail.get_body(("plain",))
    assert body is not None
    words = body.get_content()
    assert "12 mag 2026" in words
    assert "14 mag 2026" in words, "before and after stand side by side"
    (why,) = decisions(booked, "updated")
    assert {line["field"] for line in why.detail["inputs"]["changed"]} == {"booking.arrival", "booking.departure"}


def test_what_has_not_gone_yet_goes_as_it_now_is_and_nothing_follows_it(hotel: Hotel) -> None:
    hotel.report("booking.confirmed", booking={**STAY, "channel": "direct"})
    hotel.report("booking.modified", booking={"reference": "RS-1", "arrival": "2026-05-14", "departure": "2026-05-17"})
    hotel.after(timedelta(hours=1))
    assert sent(hotel) == ["booking-confirmation"]
    assert "14 mag" in str(hotel.mails()[-1]["Subject"])


def test_a_change_of_what_no_mail_speaks_of_is_not_worth_a_mail(booked: Hotel) -> None:
    booked.report("booking.modified", booking={"reference": "RS-1", "special_requests": 2})
    booked.work()
    assert sent(booked) == ["booking-confirmation"]


def test_a_workflow_that_does_not_ask_for_it_says_nothing(booked: Hotel) -> None:
    booked.until(datetime(2026, 5, 11, 15, tzinfo=UTC))
    before = sent(booked)
    booked.report("booking.modified", booking={"reference": "RS-1", "arrival": "2026-05-20", "departure": "2026-05-22"})
    booked.work()
    assert sent(booked) == [*before, "booking-updated"], "of the eve's mail nothing is said, only of the confirmation's"


# -- a portal cancels and books anew (X25) ---------------------------------------------------------------------------


def portal(hotel: Hotel) -> None:
    hotel.report("booking.confirmed", booking=PORTAL)
    hotel.after(timedelta(days=1))
    assert sent(hotel) == ["booking-confirmation"]


def test_a_portals_change_of_dates_is_one_modification_and_no_cancellation(hotel: Hotel) -> None:
    portal(hotel)
    hotel.report("booking.cancelled", booking={"reference": "BK-1"})
    hotel.after(timedelta(minutes=3))
    hotel.report("booking.confirmed", booking=AGAIN)
    hotel.after(timedelta(hours=1))
    assert sent(hotel) == ["booking-confirmation", "booking-updated"], "one mail that says what changed"
    (passage,) = passages(hotel)
    assert (passage.status, passage.key) == ("active", "BK-2")
    assert passage.wake_at == datetime(2026, 5, 6, 8, tzinfo=UTC)
    assert [each.detail["inputs"]["from"] for each in decisions(hotel, "handed_on")] == ["BK-1"]
    hotel.until(datetime(2026, 5, 13, 10, tzinfo=UTC))
    assert sent(hotel).count("pre-arrival-ota") == 1
    assert "booking-cancelled" not in sent(hotel)


def test_delivered_the_other_way_round_nobody_hears_of_a_cancellation(hotel: Hotel) -> None:
    portal(hotel)
    at = hotel.clock.now()
    hotel.report("booking.confirmed", booking=AGAIN, at=at + timedelta(minutes=3))
    hotel.after(timedelta(minutes=4))
    hotel.report("booking.cancelled", booking={"reference": "BK-1"}, at=at)
    hotel.after(timedelta(days=1))
    assert "booking-cancelled" not in sent(hotel)
    assert [(row.key, row.end_reason) for row in passages(hotel)] == [("BK-1", "replaced"), ("BK-2", None)]
    assert sent(hotel).count("booking-confirmation") == 2


def test_a_portals_cancellation_that_is_one_is_told_ten_minutes_later(hotel: Hotel) -> None:
    portal(hotel)
    hotel.report("booking.cancelled", booking={"reference": "BK-1"})
    hotel.after(timedelta(minutes=9))
    assert sent(hotel) == ["booking-confirmation"]
    hotel.after(timedelta(minutes=2))
    assert sent(hotel) == ["booking-confirmation", "booking-cancelled"]
    (passage,) = passages(hotel)
    assert (passage.status, passage.end_reason) == ("exited", "booking.cancelled")


def test_while_it_is_held_nothing_of_that_booking_goes_and_the_rest_does(hotel: Hotel) -> None:
    portal(hotel)
    hotel.until(datetime(2026, 5, 11, 13, 55, tzinfo=UTC))
    before = len(sent(hotel))
    hotel.report("booking.cancelled", booking={"reference": "BK-1"})
    other = {**STAY, "reference": "RS-9", "arrival": "2026-08-01", "departure": "2026-08-03", "channel": "direct"}
    hotel.report("booking.confirmed", booking=other)
    hotel.after(timedelta(minutes=6))
    assert sent(hotel)[before:] == ["booking-confirmation"], "16:00 of the eve has passed, of a booking in doubt"
    hotel.after(timedelta(minutes=10))
    assert sent(hotel)[before:] == ["booking-confirmation", "booking-cancelled"]


def test_a_direct_cancellation_is_told_at_once(booked: Hotel) -> None:
    booked.report("booking.cancelled", booking={"reference": "RS-1"})
    booked.work()
    assert sent(booked) == ["booking-confirmation", "booking-cancelled"]


def test_a_cancellation_delivered_before_its_booking_is_told_to_nobody(hotel: Hotel) -> None:
    at = hotel.clock.now()
    hotel.report("booking.cancelled", booking={"reference": "RS-1"}, at=at)
    hotel.report("booking.confirmed", booking={**STAY, "channel": "direct"}, at=at - timedelta(hours=1))
    hotel.after(timedelta(hours=1))
    assert sent(hotel) == [], "who was never confirmed anything need not hear that it is off (X19)"


# -- cancelled, then put back (X21) ----------------------------------------------------------------------------------


def test_a_booking_put_back_goes_on_with_what_is_still_to_come(booked: Hotel) -> None:
    booked.until(datetime(2026, 5, 6, 9, tzinfo=UTC))
    booked.report("booking.cancelled", booking={"reference": "RS-1"})
    booked.after(timedelta(hours=1))
    booked.report("booking.reinstated", booking={"reference": "RS-1"})
    booked.after(timedelta(hours=1))
    first, second = passages(booked)
    assert (first.status, second.status, second.passage) == ("exited", "active", 2)
    booked.until(datetime(2026, 5, 12, 9, tzinfo=UTC))
    heard = sent(booked)
    assert heard.count("booking-confirmation") == 1
    assert heard.count("room-upgrade") <= 1
    assert heard[-3:] == ["booking-cancelled", "booking-reinstated", "pre-arrival-direct"]


def test_a_cancellation_that_comes_after_the_reinstatement_it_preceded_ends_nothing(booked: Hotel) -> None:
    at = booked.clock.now()
    booked.after(timedelta(hours=2))
    booked.report("booking.reinstated", booking={"reference": "RS-1"}, at=at + timedelta(hours=1))
    booked.work()
    booked.report("booking.cancelled", booking={"reference": "RS-1"}, at=at + timedelta(minutes=30))
    booked.after(timedelta(hours=1))
    (passage,) = passages(booked)
    assert passage.status == "active"
    assert sent(booked) == ["booking-confirmation"]


def test_both_in_one_delivery_say_nothing_either(booked: Hotel) -> None:
    at = booked.clock.now()
    who = {"external_id": "giulia", "email": "giulia@example.com", "language": "it"}
    booked.after(timedelta(minutes=30))
    booked.post(
        [
            {"id": name, "type": name, "occurred_at": (at + timedelta(minutes=after)).isoformat(), "contact": who,
             "data": {"booking": {"reference": "RS-1"}}}
            for name, after in (("booking.reinstated", 20), ("booking.cancelled", 10))
        ]
    )  # fmt: skip
    booked.after(timedelta(hours=1))
    assert [row.status for row in passages(booked)] == ["active"]
    with booked.house.database.work(booked.loaded.workspace_id) as session:
        assert "already_inside" in session.scalars(select(EntryRefusal.code)).all()
    assert sent(booked) == ["booking-confirmation"]


# -- what cannot be followed -----------------------------------------------------------------------------------------


def spoil(hotel: Hotel, reference: str) -> None:
    """What is stored of a passage is none any more."""
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        session.execute(text("UPDATE enrollments SET state = '{}' WHERE key = :key"), {"key": reference})


def errors(hotel: Hotel) -> dict[str, bool]:
    return {row.key: bool(row.error) for row in passages(hotel)}


def test_a_passage_that_cannot_be_read_keeps_no_change_of_a_booking_out(booked: Hotel) -> None:
    other = {"external_id": "anna", "email": "anna@example.com"}
    booked.report("booking.confirmed", contact=other, booking={**STAY, "reference": "RS-2", "channel": "direct"})
    booked.after(timedelta(hours=1))
    spoil(booked, "RS-1")
    later = {"arrival": "2026-05-30", "departure": "2026-06-02"}
    changes = [
        {"contact": {"external_id": name}, "data": {"booking": {"reference": reference, **later}}}
        for name, reference in (("giulia", "RS-1"), ("anna", "RS-2"))
    ]
    at = booked.clock.now().isoformat()
    verdicts = booked.post(
        [{"id": f"c-{n}", "type": "booking.modified", "occurred_at": at, **one} for n, one in enumerate(changes)]
    )
    assert [one["status"] for one in verdicts] == ["accepted", "accepted"]
    assert errors(booked) == {"RS-1": True, "RS-2": False}
    assert [row.wake_at for row in passages(booked) if row.key == "RS-2"] == [datetime(2026, 5, 23, 8, tzinfo=UTC)]


def test_a_passage_whose_new_date_makes_no_sense_steps_aside_and_the_others_follow(
    booked: Hotel, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"external_id": "anna", "email": "anna@example.com"}
    booked.report("booking.confirmed", contact=other, booking={**STAY, "reference": "RS-2", "channel": "direct"})
    booked.after(timedelta(hours=1))
    rebind = core.rebind

    def poisoned(program: Any, state: Any, *given: Any) -> Any:
        if state.key == "RS-1":
            raise ZeroDivisionError("a poisoned row")
        return rebind(program, state, *given)

    monkeypatch.setattr(core, "rebind", poisoned)
    with booked.house.database.work(booked.loaded.workspace_id) as session:
        session.execute(text("UPDATE bookings SET arrival = '2026-05-30', departure = '2026-06-02'"))
    ids = [row.id for row in booked.bookings()]
    with booked.house.database.work(booked.loaded.workspace_id) as session:
        follow.rebind(session, ids, booked.clock.now())
    assert errors(booked) == {"RS-1": True, "RS-2": False}
    due = {row.key: row.wake_at for row in passages(booked)}
    assert due == {"RS-1": booked.clock.now() + timedelta(hours=1), "RS-2": datetime(2026, 5, 23, 8, tzinfo=UTC)}
    monkeypatch.undo()
    booked.after(timedelta(hours=2))
    assert errors(booked) == {"RS-1": False, "RS-2": False}


def test_a_passage_that_cannot_be_read_keeps_no_clock_of_a_property_as_it_was(booked: Hotel) -> None:
    other = {"external_id": "anna", "email": "anna@example.com"}
    booked.report("booking.confirmed", contact=other, booking={**STAY, "reference": "RS-2", "channel": "direct"})
    booked.after(timedelta(hours=1))
    spoil(booked, "RS-1")
    with booked.house.database.work(booked.loaded.workspace_id) as session:
        home = session.scalars(select(Property)).first()
        assert home is not None
        home.zone = "Europe/London"
        session.flush()  # the facts read it by SQL
        assert follow.rezone(session, home.id, home.is_default, booked.clock.now()) == 1
    assert errors(booked) == {"RS-1": True, "RS-2": False}


# -- what it costs ---------------------------------------------------------------------------------------------------


@contextmanager
def counted(hotel: Hotel) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "set_config" not in statement:
            statements.append(statement)

    event.listen(hotel.house.database.engine, "before_cursor_execute", note)
    yield statements
    event.remove(hotel.house.database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("people", [1, 30])
def test_however_many_bookings_change_it_costs_the_same_few_queries(hotel: Hotel, people: int) -> None:
    for number in range(people):
        contact = {"external_id": f"g-{number}", "email": f"g{number}@example.com"}
        hotel.report("booking.confirmed", contact=contact, booking={**STAY, "reference": f"R-{number}"})
    hotel.after(timedelta(hours=1))
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        session.execute(text("UPDATE bookings SET arrival = '2026-06-12', departure = '2026-06-15'"))
    ids = [row.id for row in hotel.bookings()]
    with counted(hotel) as statements, hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert follow.rebind(session, ids, hotel.clock.now()) == people
    assert len(statements) <= follow.QUERIES, "\n".join(statements)


def test_a_person_s_new_zone_brings_a_wait_forward_and_puts_it_off(hotel: Hotel) -> None:
    source = (
        "workflow: by-their-clock\nname: { en: Clock, it: Orologio }\nphase: retention\nclass: transactional\n"
        "entry:\n  - on: booking.confirmed\nkey: booking.reference\nzone: contact\n"
        'steps:\n  - { id: evening, wait: { until: "20:00" } }\n  - { id: letter, send: in-stay-welcome }\n'
    )
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        catalogue.publish(session, source, by="Marta", now=hotel.clock.now())
        workflow_id = session.scalar(select(Workflow.id).where(Workflow.name == "by-their-clock"))
    who = {"external_id": "giulia", "email": "giulia@example.com", "language": "it"}

    def wakes(zone: str) -> datetime | None:
        hotel.clock.advance(timedelta(minutes=1))
        hotel.report("contact.updated", contact={**who, "zone": zone})
        hotel.work()
        (row,) = [one for one in hotel.enrollments() if one.workflow_id == workflow_id]
        return row.wake_at

    hotel.report("booking.confirmed", contact={**who, "zone": "America/New_York"}, booking=STAY)
    hotel.work()
    assert wakes("Asia/Tokyo") == datetime(2026, 3, 10, 11, tzinfo=UTC)
    assert wakes("America/New_York") == datetime(2026, 3, 11, 0, tzinfo=UTC)
    assert wakes("Europe/Rome") == datetime(2026, 3, 10, 19, tzinfo=UTC)
