"""Every arrow of a message, and none besides."""

from __future__ import annotations

import pytest

from app.messages.models import STATES
from app.messages.states import ARROWS, ENDS, EVENTS, WAITING, StateError, can, move, states_for

JUDGEMENTS = ("allow", "defer", "refuse")


def test_every_arrow_joins_known_states_by_a_known_event_and_says_why() -> None:
    for (state, event), arrow in ARROWS.items():
        assert state in STATES
        assert arrow.to in STATES
        assert event in EVENTS
        assert len(arrow.why) > 10


def test_every_event_can_happen_and_every_state_is_reached() -> None:
    assert {event for _, event in ARROWS} == EVENTS.keys()
    assert {arrow.to for arrow in ARROWS.values()} | {"planned"} == set(STATES)


@pytest.mark.parametrize("state", ["unknown", "accepted", "handed_over", *ENDS])
def test_what_may_have_left_is_never_judged_or_leased_again(state: str) -> None:
    assert not any(can(state, event) for event in (*JUDGEMENTS, "lease"))


def test_only_a_person_or_a_provider_with_keys_sends_what_is_in_doubt_once_more() -> None:
    back = {event for (state, event), arrow in ARROWS.items() if state == "unknown" and arrow.to in WAITING}
    assert back == {"find_missing"}


def test_a_refusal_and_a_cancellation_are_final() -> None:
    for state in ("refused", "cancelled"):
        assert {arrow.to for (of, _), arrow in ARROWS.items() if of == state} == {state}


def test_a_withdrawal_stops_all_that_still_waits_and_nothing_that_has_left() -> None:
    assert set(states_for("withdraw")) == set(WAITING)
    assert move("handed_over", "withdraw").to == "handed_over"


@pytest.mark.parametrize(
    ("state", "event", "to"),
    [
        ("accepted", "delivered", "accepted"),
        ("accepted", "bounced", "accepted"),
        ("handed_over", "delivered", "accepted"),
        ("unknown", "delivered", "accepted"),
        ("failed", "delivered", "accepted"),
        ("handed_over", "expire", "unknown"),
        ("leased", "expire", "ready"),
    ],
)
def test_odd_reports_are_understood(state: str, event: str, to: str) -> None:
    assert move(state, event).to == to


def test_what_is_not_listed_is_an_error() -> None:
    with pytest.raises(StateError, match=r"planned.*delivered"):
        move("planned", "delivered")
