"""R52 and what hangs on it: restriction, correction, and how often, when two people turn out to be one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from app.clock import FixedClock
from app.contacts.merge import merge
from app.messages import compose
from app.messages.compose import Composed
from app.messages.rows import load_rows
from app.rights import requests
from tests.messages.mailroom import Mailroom

Work = Callable[[], AbstractContextManager[Session]]


def test_r52_restriction_holds_service_mail_too_and_lets_through_what_the_law_asks_for(
    work: Work, clock: FixedClock
) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        anna = room.guest()
        requests.restrict(session, anna.id, "Carla", clock.now(), frozen=True)
        note = room.plan(anna, "note")
        needed = room.plan(anna, "note", terms={"needed": True})
        room.gate()
        assert (room.message(note).state, room.message(note).rule) == ("refused", "R52")
        assert room.message(needed).state == "ready"
        requests.restrict(session, anna.id, "Carla", clock.now(), frozen=False)
        later = room.plan(anna, "note")
        room.gate()
        assert room.message(later).state == "ready"


def test_r52_a_correction_reaches_what_waits(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        anna = room.guest(first_name="Ana")
        number = room.plan(anna, "note")
        room.gate()
        anna.first_name, anna.email, anna.email_key = "Anna", "anna.new@example.com", "anna.new@example.com"
        session.flush()
        rows = load_rows(session, [number])
        made = compose.compose(compose.load(session, rows, clock.now()), rows[0])
        assert isinstance(made, Composed)
        assert (made.subject, made.envelope_to) == ("Ciao Anna", "anna.new@example.com")


def test_x11_of_two_that_are_one_the_stricter_pace_and_restriction_hold(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        until = clock.now() + timedelta(days=9)
        anna, double = room.guest(), room.guest(email="b@example.com", pace="monthly", paused_until=until)
        double.frozen_at = clock.now()
        session.flush()
        merge(session, anna.id, double.id, "Carla", clock.now())
        session.refresh(anna)
        assert (anna.pace, anna.paused_until, anna.frozen_at) == ("monthly", until, clock.now())


@pytest.mark.parametrize(
    ("asked", "by"), [("2026-01-15", "2026-02-15"), ("2026-01-31", "2026-02-28"), ("2026-12-31", "2027-01-31")]
)
def test_r50_a_month_is_a_month(asked: str, by: str) -> None:
    moment = datetime.fromisoformat(asked).replace(tzinfo=UTC)
    assert requests.month_after(moment).date().isoformat() == by
