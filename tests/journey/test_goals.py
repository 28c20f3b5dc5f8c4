"""Which event was the goal: the same answer in whatever order it is told, and nothing left of what was taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.journey import goals
from app.journey.durations import Duration
from app.journey.entry import Event
from app.journey.goals import Scored
from app.journey.ops import EndOp
from app.journey.program import EntryRule, Goal, Program

ENTERED = datetime(2026, 3, 1, tzinfo=UTC)
NOW = ENTERED + timedelta(days=90)


def program(on: str = "booking.confirmed", entry: str = "page.viewed") -> Program:
    goal = Goal(on=on, within=Duration(days=14), value="event.amount")
    return Program("w", {"en": "W"}, "consideration", "marketing", (EndOp(),), (EntryRule(on=entry),), goal=goal)


def facts(booking: str | None = None) -> dict[str, Any]:
    return {
        "enrollment": {"key": "", "entered_at": ENTERED},
        "booking": {"reference": booking} if booking else None,
    }


def told(type_: str, day: float, booking: str | None = "A", name: str = "", amount: int = 100) -> Event:
    at = ENTERED + timedelta(days=day)
    return Event(type_, at, {"amount": amount}, booking, name or f"{type_}-{booking}-{day}")


def scored(happened: list[Event], standing: Scored | None = None, of: Program | None = None) -> Scored | None:
    return goals.scored(of or program(), facts(), happened, standing, NOW)


def test_the_earliest_event_that_counts_is_the_goal() -> None:
    found = scored([told("booking.confirmed", 5, "B", amount=7), told("booking.confirmed", 3, "A", amount=9)])
    assert found
    assert (found.booking, found.value) == ("A", 9)


def test_before_the_entry_and_after_the_window_nothing_counts() -> None:
    assert scored([told("booking.confirmed", -1), told("booking.confirmed", 15)]) is None


def test_a_cancellation_takes_it_back_even_after_the_window() -> None:
    assert scored([told("booking.confirmed", 3), told("booking.cancelled", 60)]) is None


def test_a_cancellation_of_another_booking_takes_nothing_back() -> None:
    assert scored([told("booking.confirmed", 3, "A"), told("booking.cancelled", 4, "B")])


def test_a_reinstated_booking_is_the_goal_again() -> None:
    cancelled = [told("booking.confirmed", 3), told("booking.cancelled", 4)]
    assert scored([*cancelled, told("booking.reinstated", 5)])
    assert scored([*cancelled, told("booking.reinstated", 5), told("booking.cancelled", 6)]) is None


def test_an_order_is_taken_back_by_its_refund() -> None:
    of = program("order.paid")
    assert scored([told("order.paid", 3)], of=of)
    assert scored([told("order.paid", 3), told("order.refunded", 30)], of=of) is None


def test_a_goal_that_is_no_booking_stays_whatever_is_cancelled() -> None:
    of = program("upsell.purchased")
    assert scored([told("upsell.purchased", 3), told("booking.cancelled", 4)], of=of)
    assert goals.listens_to(of) == {"upsell.purchased"}


def test_what_let_somebody_in_is_not_their_goal_nor_the_same_booking_told_again() -> None:
    of = program(entry="booking.confirmed")
    again = [told("booking.confirmed", 0, "A"), told("booking.confirmed", 2, "A")]
    assert goals.scored(of, facts("A"), again, None, NOW) is None
    assert goals.scored(of, facts("A"), [*again, told("booking.confirmed", 3, "B")], None, NOW)


def test_a_goal_whose_event_is_no_longer_kept_stands() -> None:
    standing = Scored("gone", ENTERED + timedelta(days=1), 5, "Z")
    assert scored([told("booking.confirmed", 3)], standing) == standing
    assert scored([told("booking.cancelled", 30, "Z")], standing) is None


_EVENTS = st.lists(
    st.builds(
        told,
        st.sampled_from(["booking.confirmed", "booking.cancelled", "booking.reinstated", "page.viewed"]),
        st.integers(-3, 20),
        st.sampled_from(["A", "B", "C", None]),
        st.integers(0, 10**6).map(str),
        st.integers(0, 1000),
    ),
    max_size=8,
    unique_by=lambda event: event.id,
)


@given(_EVENTS, st.data())
def test_told_in_any_order_and_bit_by_bit_it_comes_to_the_same(events: list[Event], data: st.DataObject) -> None:
    at_once = scored(events)
    order = data.draw(st.permutations(events))
    standing: Scored | None = None
    known: list[Event] = []
    for event in order:
        known.append(event)
        if event.type in goals.listens_to(program()):
            standing = scored(known, standing)
    assert standing == at_once
    assert scored(order + order) == at_once, "twice is once"
