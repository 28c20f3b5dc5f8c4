"""Who starts, who leaves, who reached the goal; and why not."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from app.journey.compiler import compile_program
from app.journey.entry import (
    REASONS,
    Enter,
    Event,
    NotEntered,
    Passage,
    Refresh,
    Restart,
    exit_by_event,
    exit_by_state,
    goal_by_event,
    on_event,
)
from app.journey.language import read
from app.journey.program import Program
from tests.journey.kit import NOW, OPEN_WORLD, facts, program, workflow_text

WAIT = "  - { id: a, wait: 3 days }"


def confirmed(at: datetime = NOW, reference: str | None = "B-1", **data: Any) -> Event:
    return Event("booking.confirmed", at, data, reference)


def door(under_test: Program, event: Event, *passages: Passage, now: datetime = NOW, **given: Any) -> Any:
    return on_event(under_test, event, facts(**given), passages, now)


def passage(status: Any = "finished", key: str = "B-1", days_ago: int = 10) -> Passage:
    return Passage(key, status, NOW - timedelta(days=days_ago))


def refused(verdict: Any) -> str:
    assert isinstance(verdict, NotEntered)
    assert verdict.code in REASONS
    assert verdict.sentence["en"]
    assert verdict.sentence["it"]
    return verdict.code


def test_an_event_that_fits_enters_under_its_key() -> None:
    verdict = door(program(WAIT), confirmed())
    assert isinstance(verdict, Enter)
    assert verdict.key == "B-1"


def test_a_condition_that_fails_is_explained() -> None:
    text = workflow_text(WAIT).replace("on: booking.confirmed", "on: booking.confirmed\n    if: booking.nights >= 1")
    under_test = compile_program(read(text, file="t.yaml", known=OPEN_WORLD))
    verdict = door(under_test, confirmed(), nights=0)
    assert refused(verdict) == "condition_false"
    assert verdict.sentence == {
        "en": "nights is at least 1 — it was 0",
        "it": "numero di notti è almeno 1 — era 0",
    }


def test_an_event_that_is_too_old_starts_nothing() -> None:
    text = workflow_text(WAIT).replace("on: booking.confirmed", "on: booking.confirmed\n    max_age: 12 hours")
    under_test = compile_program(read(text, file="t.yaml", known=OPEN_WORLD))
    assert isinstance(door(under_test, confirmed(NOW - timedelta(hours=12))), Enter)
    assert refused(door(under_test, confirmed(NOW - timedelta(hours=13)))) == "too_old"


def test_another_event_starts_nothing() -> None:
    assert refused(door(program(WAIT), Event("booking.modified", NOW, {}, "B-1"))) == "not_this_event"


def test_an_event_without_the_key_starts_nothing() -> None:
    verdict = on_event(program(WAIT), confirmed(reference=None), {**facts(), "booking": None}, [], NOW)
    assert refused(verdict) == "no_key"


@pytest.mark.parametrize(("mode", "kind"), [("ignore", NotEntered), ("refresh", Refresh), ("restart", Restart)])
def test_a_trigger_that_repeats_while_inside(mode: str, kind: type) -> None:
    under_test = program(WAIT, head=f"while_active: {mode}\n")
    assert isinstance(door(under_test, confirmed(), passage("active")), kind)


def test_another_key_is_another_passage() -> None:
    assert isinstance(door(program(WAIT), confirmed(), passage("active", "B-2")), Enter)


def test_never_means_never_again_for_this_key() -> None:
    assert refused(door(program(WAIT), confirmed(), passage())) == "already_been"


def test_always_lets_in_again() -> None:
    assert isinstance(door(program(WAIT, head="reenter: always\n"), confirmed(), passage()), Enter)


def test_again_only_after_a_time_and_so_many_times() -> None:
    under_test = program(WAIT, head="reenter: { after: 30 days, max: 2 }\n")
    assert refused(door(under_test, confirmed(), passage(days_ago=29))) == "too_soon"
    assert isinstance(door(under_test, confirmed(), passage(days_ago=31)), Enter)
    assert refused(door(under_test, confirmed(), passage(days_ago=90), passage(days_ago=60))) == "too_often"


def test_re_entry_may_count_over_all_keys_of_the_person() -> None:
    under_test = program(WAIT, head="reenter: { after: 7 days, of: contact }\n")
    assert refused(door(under_test, confirmed(), passage("finished", "B-0", 3))) == "too_soon"


def test_a_cancellation_that_was_delivered_first_keeps_the_door_shut() -> None:
    under_test = program(WAIT, head="exit: [ { on: booking.cancelled } ]\n")
    later = [("booking.cancelled", NOW + timedelta(minutes=5))]
    assert refused(door(under_test, confirmed(), past_events=later)) == "already_over"


def test_an_old_cancellation_does_not_count_against_a_new_confirmation() -> None:
    under_test = program(WAIT, head="exit: [ { on: booking.cancelled } ]\n")
    assert isinstance(
        door(under_test, confirmed(), past_events=[("booking.cancelled", NOW - timedelta(days=1))]), Enter
    )


def test_an_exit_of_the_whole_person_looks_at_all_their_bookings() -> None:
    under_test = program(WAIT, head="exit: [ { on: booking.cancelled, of: contact } ]\n")
    later = [("booking.cancelled", NOW + timedelta(minutes=5))]
    assert isinstance(door(under_test, confirmed(), past_events=later), Enter)
    assert refused(door(under_test, confirmed(), contact_events=later)) == "already_over"


# --- leaving ---


def test_an_event_of_another_booking_ends_nothing() -> None:
    under_test = program(WAIT, head="exit: [ { on: booking.cancelled } ]\n")
    mine, other = (Event("booking.cancelled", NOW, {}, reference) for reference in ("B-1", "B-2"))
    assert exit_by_event(under_test, other, facts(), NOW) is None
    ended = exit_by_event(under_test, mine, facts(), NOW)
    assert ended is not None
    assert ended.reason == "booking.cancelled"


def test_an_event_of_the_person_ends_every_passage() -> None:
    under_test = program(WAIT, head="exit: [ { on: booking.cancelled, of: contact, outcome: lost } ]\n")
    ended = exit_by_event(under_test, Event("booking.cancelled", NOW, {}, "B-2"), facts(), NOW)
    assert ended is not None
    assert ended.outcome == "lost"


def test_an_exit_may_ask_for_more_than_the_event() -> None:
    head = "exit: [ { on: upsell.purchased, if: event.amount >= 50 EUR } ]\n"
    under_test = program(WAIT, head=head)
    for amount, left in ((4000, False), (6000, True)):
        event = Event("upsell.purchased", NOW, {"amount": amount, "currency": "EUR"}, "B-1")
        assert (exit_by_event(under_test, event, facts(), NOW) is not None) is left


def test_a_state_of_things_ends_a_passage() -> None:
    under_test = program(WAIT, head="exit: [ { if: booking.departure < now, reason: over } ]\n")
    assert exit_by_state(under_test, facts(arrival=date(2026, 7, 10)), NOW) is None
    ended = exit_by_state(under_test, facts(arrival=date(2026, 5, 10)), NOW)
    assert ended is not None
    assert ended.sentence["en"] == "departure is earlier than now — it was 13 May 2026, now: 1 Jun 2026"


# --- the goal ---


@pytest.mark.parametrize(("days", "reached"), [(-1, False), (0, True), (14, True), (15, False)])
def test_a_goal_counts_within_its_time(days: int, reached: bool) -> None:
    under_test = program(WAIT, head="goal: { on: upsell.purchased, within: 14 days, value: event.amount }\n")
    event = Event("upsell.purchased", NOW + timedelta(days=days), {"amount": 9000}, "B-1")
    known = facts(enrollment={"key": "B-1", "entered_at": NOW})
    found = goal_by_event(under_test, event, known, NOW)
    assert (found is not None) is reached
    assert found is None or found.value == 9000
