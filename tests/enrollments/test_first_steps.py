"""Who is let in takes the first steps in the same transaction, where nothing but a message comes of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.enrollments import advance, enrol
from app.enrollments.models import Enrollment
from app.journey import advance as core
from tests.enrollments.test_effects import codes, passages, publish, workflow
from tests.hotel import Hotel

BOOKED = "  - on: booking.confirmed"
LETTER = "  - { id: letter, send: in-stay-welcome }"
PAUSE = "  - { id: pause, wait: 2 days }"


def let_in(hotel: Hotel, steps: str) -> Enrollment:
    """One person is let into a workflow of these steps, and nobody has come round since."""
    publish(hotel, workflow("first", BOOKED, steps))
    stay = {"reference": "RS-1", "arrival": "2026-06-01", "departure": "2026-06-03"}
    hotel.report("booking.confirmed", booking=stay)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        enrol.run(session, hotel.clock.now(), 500)
    return the_passage(hotel)


def the_passage(hotel: Hotel) -> Enrollment:
    [row] = passages(hotel, "first")
    return row


def planned(hotel: Hotel) -> list[tuple[str | None, str]]:
    ours = the_passage(hotel).id
    return [(row.step_id, row.state) for row in hotel.messages() if row.enrollment_id == ours]


def test_messages_are_planned_up_to_the_first_wait(hotel: Hotel) -> None:
    row = let_in(hotel, f"{LETTER}\n{PAUSE}\n" + LETTER.replace("letter", "later"))
    assert planned(hotel) == [("letter", "planned")]
    assert (row.step_id, row.wake_at) == ("pause", hotel.clock.now() + timedelta(days=2))
    assert codes(hotel, row) == ["entered", "send", "waiting"]
    hotel.after(timedelta(days=3))
    assert [step for step, _ in planned(hotel)] == ["letter", "later"]


def test_who_comes_to_the_end_has_finished(hotel: Hotel) -> None:
    row = let_in(hotel, LETTER)
    assert (row.status, row.end_reason) == ("finished", "finished")
    assert planned(hotel) == [("letter", "planned")]
    hotel.after(timedelta(hours=1))
    assert planned(hotel) == [("letter", "accepted")]


@pytest.mark.parametrize(
    "step",
    [
        "  - { id: act, set: { contact.attributes.vip: true } }",
        "  - { id: act, emit: custom.welcomed }",
        "  - { id: act, task: { to: desk, text: { en: Call, it: Chiamare } } }",
        "  - { id: act, consent: newsletter }",
        "  - { id: act, send: in-stay-welcome, skip_if_sent_within: 2 days }",
    ],
)
def test_whatever_else_comes_first_is_left_to_those_who_take_steps(hotel: Hotel, step: str) -> None:
    row = let_in(hotel, f"{step}\n{LETTER}")
    assert (row.step_id, row.status, planned(hotel)) == ("act", "active", [])
    hotel.after(timedelta(days=8))
    assert "letter" in [step for step, _ in planned(hotel)]


def test_a_step_that_raises_keeps_nobody_out_and_its_error_stands_where_it_is_looked_for(
    hotel: Hotel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def poisoned(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a poisoned row")

    monkeypatch.setattr(core, "advance", poisoned)
    row = let_in(hotel, LETTER)
    assert (row.step_id, row.attempts, row.error) == ("letter", 0, None)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        advance.run(session, hotel.clock.now(), 500)
    monkeypatch.undo()
    assert the_passage(hotel).error == "ZeroDivisionError: a poisoned row"
    hotel.after(timedelta(hours=2))
    assert planned(hotel) == [("letter", "accepted")]
