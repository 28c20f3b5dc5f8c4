"""R9: one reminder of what was left unfinished, and to whom it may go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.consent.case import ConsentFacts, Contacted, Decision, Suppressed
from app.consent.rules import block_classes, decide
from tests.consent.people import NOON, facts, key, purchase, request, state

TOLD = {key("notice"): state(recovery_mentioned=True, line=4)}


def left(hours: float = 1, **given_: Any) -> Any:
    """A booking that was abandoned so many hours ago."""
    return purchase(status="abandoned", abandoned_at=NOON - timedelta(hours=hours), **given_)


def recalled(person: ConsentFacts, **given_: Any) -> Decision:
    """A service mail about it, judged."""
    return decide(request("transactional", booking_id=7, **given_), person, NOON)


def anna(states: Any = TOLD, **given_: Any) -> ConsentFacts:
    booking = given_.pop("booking", left())
    return facts(states, booking=booking, purchases=(booking,), **given_)


def test_r9_who_was_told_is_reminded_once_and_the_decision_names_the_notice() -> None:
    decision = recalled(anna())
    assert (decision.outcome, decision.basis, decision.ledger_line, decision.rule) == ("allowed", "recovery", 4, "R9")


@pytest.mark.parametrize(
    ("hours", "outcome"),
    [(0, "too_soon"), (0.49, "too_soon"), (0.5, "allowed"), (24, "allowed"), (24.01, "too_late"), (240, "too_late")],
)
def test_r9_half_an_hour_to_a_day_after(hours: float, outcome: str) -> None:
    decision = recalled(anna(booking=left(hours)))
    assert decision.code == ("allowed" if outcome == "allowed" else f"recovery_{outcome}")
    assert decision.outcome == ("allowed" if outcome == "allowed" else "refused")


def test_r9_one_and_no_more_for_one_abandonment() -> None:
    sent = Contacted(3, "transactional", NOON - timedelta(minutes=20), booking_id=7)
    assert recalled(anna(contacted=(sent,))).code == "recovery_sent"
    of_another = sent._replace(booking_id=8)
    before_it = sent._replace(at=NOON - timedelta(days=3))
    newsletter = sent._replace(class_="marketing")
    assert recalled(anna(contacted=(of_another, before_it, newsletter))).allowed


@pytest.mark.parametrize(
    "states",
    [
        {},
        {key("notice"): state()},
        {key("notice"): state(refusal_offered=True)},
        {key("notice", address="other@example.com"): state(recovery_mentioned=True)},
    ],
)
def test_r9_only_where_the_notice_on_record_mentions_it(states: Any) -> None:
    assert recalled(anna(states)).code == "recovery_no_notice"


@pytest.mark.parametrize("word", ["denied", "withdrawn", "objected"])
@pytest.mark.parametrize("address", ["anna@example.com", "old@example.com"])
def test_r9_never_to_who_has_refused(word: str, address: str) -> None:
    assert recalled(anna(TOLD | {key(address=address): state(word)})).code == "recovery_refused"


@pytest.mark.parametrize("scope", ["marketing", "all"])
def test_r9_never_to_an_address_that_is_barred_from_marketing(scope: str) -> None:
    assert recalled(anna(suppressed=(Suppressed("unsubscribe", scope),))).outcome == "refused"


def test_r9_never_to_a_child_nor_to_a_phone() -> None:
    assert recalled(anna(minor=True)).code == "minor"


def test_r9_with_permission_it_stands_on_that_and_knows_no_window() -> None:
    agreed = {key(): state(line=9)}
    for hours in (0.1, 2, 200):
        decision = recalled(anna(agreed, booking=left(hours)))
        assert (decision.outcome, decision.basis, decision.ledger_line) == ("allowed", "consent", 9)


def test_r9_without_permission_no_promotion_is_shown_in_it() -> None:
    assert "marketing" not in block_classes(request("transactional", booking_id=7), anna(), NOON)
    assert "marketing" in block_classes(request("transactional", booking_id=7), anna({key(): state()}), NOON)


@pytest.mark.parametrize("status", ["confirmed", "cancelled", "pending", "checked_out", "refunded"])
def test_r9_concerns_nothing_that_was_ever_concluded(status: str) -> None:
    decision = recalled(anna({}, booking=purchase(status=status)))
    assert (decision.outcome, decision.basis) == ("allowed", "contract")


def test_r9_any_further_step_is_marketing() -> None:
    assert decide(request("marketing", booking_id=7), anna(), NOON).outcome == "refused"


@given(st.floats(0, 60), st.booleans(), st.booleans(), st.booleans())
def test_r9_what_goes_without_permission_meets_every_condition(hours: float, told: bool, no: bool, sent: bool) -> None:
    states: dict[Any, Any] = dict(TOLD) if told else {}
    if no:
        states[key()] = state("denied")
    contacted = (Contacted(3, "transactional", NOON, booking_id=7),) if sent else ()
    decision = recalled(anna(states, booking=left(hours), contacted=contacted))
    assert decision.allowed == (told and not no and not sent and 0.5 <= hours <= 24)
