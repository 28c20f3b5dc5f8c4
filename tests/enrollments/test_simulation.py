"""A workflow tried on recorded history: it comes out as it really did, knows nothing of later, and writes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.enrollments import catalogue, programs, recorded
from app.enrollments.models import Enrollment, EntryRefusal
from app.enrollments.recorded import Span
from app.enrollments.simulation import Simulation, read_only, simulate_history
from app.journey import language
from app.journey.compiler import compile_program
from app.journey.program import Program
from app.messages.models import Message
from tests.conftest import START
from tests.hotel import Hotel

SPAN = timedelta(days=90)
YES = {"method": "web", "wording": "Sì.", "wording_version": "2026-1", "language": "it"}
TEMPLATES = {"accepted": "sent", "refused": "refused", "planned": "waiting", "deferred": "waiting", "ready": "waiting"}

LETTER = """
workflow: letter
name: { en: Letter, it: Lettera }
phase: consideration
class: marketing
goal: { on: upsell.purchased, value: event.amount }
entry:
  - on: booking.confirmed
    if: booking.nights >= 2
key: booking.reference
follow: booking
exit:
  - on: booking.cancelled
steps:
  - { id: a-day, wait: 1 day }
  - { id: offer, send: room-upgrade, topic: offers }
  - id: eve
    wait: { until: booking.arrival, offset: -1 day, at: "16:00", late: skip_next }
  - { id: last, send: room-upgrade, topic: offers }
"""


def compiled(hotel: Hotel, source: str) -> Program:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return compile_program(language.read(source, file="letter.yaml", known=catalogue.known(session)))


def tried(hotel: Hotel, program: Program, **given: Any) -> Simulation:
    now = hotel.clock.now()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return simulate_history(session, program, Span(now - SPAN, now), **given)


def guest(name: str, tongue: str = "it") -> dict[str, Any]:
    return {"external_id": name, "email": f"{name}@example.com", "first_name": name.title(), "language": tongue}


def stay(reference: str, first: int, nights: int, **more: Any) -> dict[str, Any]:
    arrival = START.date() + timedelta(days=first)
    room = {"reference": reference, "arrival": str(arrival), "departure": str(arrival + timedelta(days=nights))}
    return {**room, "adults": 2, "amount": 42_000, "currency": "EUR", "channel": "direct", **more}


def season(hotel: Hotel) -> None:
    """Three weeks in which bookings are made, moved, cancelled, refused and asked about."""
    hotel.report("consent.granted", contact=guest("elena"), data={"topic": "newsletter", **YES, "confirmed_at":
        hotel.clock.now().isoformat()})  # fmt: skip
    hotel.report("consent.granted", contact=guest("giulia"), data={"topic": "offers", **YES, "confirmed_at":
        hotel.clock.now().isoformat()})  # fmt: skip
    hotel.report("booking.confirmed", contact=guest("giulia"), booking=stay("RS-1", 12, 3))
    hotel.report("booking.confirmed", contact=guest("henry", "en"), booking=stay("RS-2", 2, 2, channel="agency"))
    hotel.report("booking.confirmed", contact=guest("paolo"), booking=stay("RS-3", 9, 1))
    hotel.report("booking.confirmed", contact=guest("dora"), booking=stay("RS-4", 9, 0))
    told = {"purpose": "notice", "confirmed_at": hotel.clock.now().isoformat(), "recovery_mentioned": True, **YES}
    hotel.report("consent.granted", contact=guest("sara"), data=told)
    hotel.report("booking.abandoned", contact=guest("sara"), booking=stay("CART-1", 30, 2))
    hotel.report("booking.abandoned", contact=guest("nora"), booking=stay("CART-2", 30, 2))
    hotel.after(timedelta(days=2, hours=6))
    hotel.report("booking.checked_in", contact=guest("henry", "en"), booking={"reference": "RS-2"})
    hotel.report("booking.cancelled", contact=guest("paolo"), booking={"reference": "RS-3"})
    hotel.report("booking.modified", contact=guest("giulia"), booking=stay("RS-1", 16, 3))
    hotel.report("booking.confirmed", contact=guest("elena"), booking=stay("RS-5", 5, 2))
    hotel.after(timedelta(days=2))
    hotel.report("booking.checked_out", contact=guest("henry", "en"), booking={"reference": "RS-2"})
    hotel.report("booking.confirmed", contact=guest("giulia"), booking=stay("RS-6", 40, 2))
    hotel.after(timedelta(days=17))


def test_every_live_workflow_tried_on_its_own_past_comes_out_as_it_really_did(hotel: Hotel) -> None:
    season(hotel)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        live = programs.live(session)
        real = {one.workflow_id: _real(session, one.workflow_id) for one in live}
    assert sum(sum(there["messages"].values()) for there in real.values()) > 10, "a season in which something happened"
    for one in live:
        found = tried(hotel, one.program)
        there = real[one.workflow_id]
        assert Counter({key: n for key, n in found.templates.items() if n}) == there["messages"], one.program.workflow
        assert +found.not_entered == there["not_entered"]
        assert (found.entered, found.finished, found.inside) == there["passages"]
        assert +found.exits == there["exits"]
        assert (found.goals, found.failed) == (there["goals"], 0)


def _real(session: Session, workflow_id: int) -> dict[str, Any]:
    messages = Counter(
        (row.template, TEMPLATES[row.state])
        for row in session.scalars(select(Message).where(Message.workflow_id == workflow_id))
        if row.state in TEMPLATES
    )
    passages = session.scalars(select(Enrollment).where(Enrollment.workflow_id == workflow_id)).all()
    refusals = session.scalars(select(EntryRefusal).where(EntryRefusal.workflow_id == workflow_id)).all()
    by = Counter(row.status for row in passages)
    return {
        "messages": messages,
        "passages": (len(passages), by["finished"], by["active"]),
        "exits": Counter(row.end_reason for row in passages if row.status == "exited"),
        "goals": sum(row.goal_at is not None for row in passages),
        "not_entered": Counter(row.code for row in refusals),
    }


def test_a_draft_tells_who_enters_what_goes_out_each_day_and_what_does_not_and_why(hotel: Hotel) -> None:
    season(hotel)
    found = tried(hotel, compiled(hotel, LETTER))
    assert (found.total, found.people, found.entered) == (5, 5, 4), (
        "giulia twice, henry and elena; paolo's was one night"
    )
    assert found.not_entered == {"condition_false": 2}
    assert found.why_not["condition_false"]["en"] == "nights is at least 2 — it was 1"
    assert found.refused["no_consent", "R1"] > 0
    assert found.sent > 0
    assert sum(day.sent for day in found.days.values()) == found.sent
    assert sum(day.refused for day in found.days.values()) == sum(found.refused.values())
    assert sum(day.entered for day in found.days.values()) == found.entered
    assert {sample.name for sample in found.samples} >= {"Giulia", "Henry"}
    giulia = next(sample for sample in found.samples if sample.name == "Giulia")
    assert any(one.stage == "gate" and one.code == "allowed" for one in giulia.decisions)


def test_nothing_is_written_and_the_database_itself_refuses_it(hotel: Hotel) -> None:
    season(hotel)
    before = _counts(hotel)
    now = hotel.clock.now()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        simulate_history(session, compiled(hotel, LETTER), Span(now - SPAN, now))
        with pytest.raises(DBAPIError, match="read-only"), session.begin_nested():
            session.execute(
                text("INSERT INTO topics (workspace_id, name, title, created_at) VALUES (1, 'x', '{}', now())")
            )
        with pytest.raises(DBAPIError, match="read-only"), session.begin_nested():
            session.execute(text("UPDATE contacts SET first_name = 'x'"))
    assert _counts(hotel) == before


def _counts(hotel: Hotel) -> dict[str, int]:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        tables = session.scalars(
            text(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '%\\_p%' ORDER BY 1"
            )
        ).all()
        return {name: session.scalar(text(f'SELECT count(*) FROM "{name}"')) or 0 for name in tables}


def test_read_only_holds_for_this_unit_of_work_alone(hotel: Hotel) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        read_only(session)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        session.execute(text("UPDATE contacts SET first_name = first_name"))


def test_consent_counts_as_it_stood_then_not_as_it_stands_now(hotel: Hotel) -> None:
    hotel.report("booking.confirmed", contact=guest("ugo"), booking=stay("U-1", 30, 2))
    hotel.after(timedelta(days=3))
    hotel.report("consent.granted", contact=guest("ugo"), data={"topic": "offers", **YES, "confirmed_at":
        hotel.clock.now().isoformat()})  # fmt: skip
    hotel.report("booking.confirmed", contact=guest("ugo"), booking=stay("U-2", 60, 2))
    hotel.after(timedelta(days=3))
    hotel.report("consent.withdrawn", contact=guest("ugo"), data={"topic": "offers", "method": "preference_centre"})
    hotel.report("booking.confirmed", contact=guest("ugo"), booking=stay("U-3", 90, 2))
    hotel.after(timedelta(days=3))
    found = tried(hotel, compiled(hotel, LETTER))
    assert found.templates == {("room-upgrade", "sent"): 1, ("room-upgrade", "refused"): 2}
    assert found.refused == {("no_consent", "R1"): 1, ("withdrawn", "R7"): 1}


def test_a_booking_is_what_had_been_said_of_it_by_then(hotel: Hotel) -> None:
    hotel.report("booking.confirmed", contact=guest("ugo"), booking=stay("U-1", 30, 1))
    hotel.after(timedelta(days=1))
    hotel.report("booking.modified", contact=guest("ugo"), booking=stay("U-1", 30, 5))
    hotel.after(timedelta(days=1))
    found = tried(hotel, compiled(hotel, LETTER))
    assert (found.entered, found.not_entered) == (0, {"condition_false": 1}), "one night when it was confirmed"


def test_mails_of_other_workflows_count_towards_the_caps_unless_it_is_tried_alone(hotel: Hotel) -> None:
    catalogue_source = LETTER.replace("workflow: letter", "workflow: other").replace("wait: 1 day", "wait: 23 hours")
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        catalogue.publish(session, catalogue_source, by="test", now=hotel.clock.now())
    hotel.report("consent.granted", contact=guest("ugo"), data={"topic": "offers", **YES, "confirmed_at":
        hotel.clock.now().isoformat()})  # fmt: skip
    hotel.report("booking.confirmed", contact=guest("ugo"), booking=stay("U-1", 30, 2))
    hotel.after(timedelta(days=4))
    program = compiled(hotel, LETTER)
    beside, alone = tried(hotel, program), tried(hotel, program, alone=True)
    assert beside.deferred == {("cap", "R46"): 1}
    assert sum(day.others for day in beside.days.values()) == 1
    assert (alone.deferred, alone.sent) == ({}, 1)
    assert "alone" in alone.notes
    assert "others" in beside.notes


def test_its_own_past_mails_do_not_stand_in_its_way(hotel: Hotel) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        catalogue.publish(session, LETTER, by="test", now=hotel.clock.now())
    hotel.report("consent.granted", contact=guest("ugo"), data={"topic": "offers", **YES, "confirmed_at":
        hotel.clock.now().isoformat()})  # fmt: skip
    hotel.report("booking.confirmed", contact=guest("ugo"), booking=stay("U-1", 30, 2))
    hotel.after(timedelta(days=4))
    assert [row.state for row in hotel.messages(template="room-upgrade")] == ["accepted"]
    found = tried(hotel, compiled(hotel, LETTER.replace("wait: 1 day", "wait: 25 hours")))
    assert (found.sent, found.deferred) == (1, {}), "the draft stands in the place of what is live"


def test_a_sample_is_drawn_evenly_and_says_so(hotel: Hotel) -> None:
    hotel.post([_booked(number) for number in range(60)])
    hotel.work()
    found = tried(hotel, compiled(hotel, LETTER), limit=20)
    assert (found.total, round(found.share, 3)) == (60, 0.333)
    assert 5 < found.people < 40
    assert found.people == tried(hotel, compiled(hotel, LETTER), limit=20).people, "the same people every time"


def test_one_person_is_told_alone(hotel: Hotel) -> None:
    season(hotel)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        giulia = session.scalar(text("SELECT id FROM contacts WHERE external_id = 'giulia'"))
    found = tried(hotel, compiled(hotel, LETTER), contact_id=giulia)
    assert (found.people, [sample.name for sample in found.samples]) == (1, ["Giulia"])


def _booked(number: int) -> dict[str, Any]:
    who = {"external_id": f"n-{number}", "email": f"n{number}@example.com"}
    at = START.isoformat()
    return {"id": f"n-{number}", "type": "booking.confirmed", "occurred_at": at, "contact": who,
            "data": {"booking": stay(f"N-{number}", 30, 2)}}  # fmt: skip


@pytest.mark.parametrize("number", [3, 90])
def test_a_page_of_any_size_costs_the_same_few_queries(hotel: Hotel, number: int) -> None:
    hotel.post([_booked(one) for one in range(number)])
    hotel.work()
    program = compiled(hotel, LETTER)
    with _counted(hotel) as statements:
        assert tried(hotel, program).people == number
    assert len(statements) <= recorded.QUERIES + 4, "\n".join(statements)


@contextmanager
def _counted(hotel: Hotel) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "set_config" not in statement:
            statements.append(statement)

    event.listen(hotel.house.database.engine, "before_cursor_execute", note)
    yield statements
    event.remove(hotel.house.database.engine, "before_cursor_execute", note)


def test_dates_of_the_calendar_open_it_for_people_whose_booking_was_made_long_before(hotel: Hotel) -> None:
    hotel.report("booking.confirmed", contact=guest("ugo"), booking=stay("U-1", 120, 2))
    hotel.after(timedelta(days=121))
    source = LETTER.replace(
        "  - on: booking.confirmed\n    if: booking.nights >= 2\n",
        '  - { on: date, ref: booking.arrival, offset: -7 days, at: "10:00" }\n',
    )
    found = tried(hotel, compiled(hotel, source))
    assert found.entered == 1
    assert found.days[START.date() + timedelta(days=113)].entered == 1
