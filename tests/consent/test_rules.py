"""RULES 2.1 and 2.4, one by one: each test is named after the rule it holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from app.consent.ages import fourteenth, is_child
from app.consent.case import Contacted, Suppressed
from app.consent.policy import Policy, PolicyError
from app.consent.rules import block_classes, decide, may_profile, may_track
from app.consent.sentences import SENTENCES, sentence
from tests.consent.people import ADDRESS, NOON, consenting, facts, key, purchase, request, state

ITALIAN_INTEREST = Policy(feedback_basis="legitimate_interest", feedback_assessment="LIA-1")
LATE = NOON.replace(hour=20, minute=30)
"""22:30 in Rome."""


def customer(**given: Any) -> Any:
    """Anna, who paid for a booking and was told that she may refuse."""
    notice = state(line=4, refusal_offered=True)
    return facts({key("notice"): notice}, purchases=(purchase(),), **given)


def test_r1_marketing_without_any_basis_is_refused() -> None:
    decision = decide(request(), facts(), NOON)
    assert (decision.outcome, decision.code, decision.rule) == ("refused", "no_consent", "R1")


def test_r1_marketing_with_consent_names_the_line_it_stands_on() -> None:
    decision = decide(request(), facts({key(): state(line=42)}), NOON)
    assert (decision.outcome, decision.basis, decision.ledger_line) == ("allowed", "consent", 42)


def test_r1_consent_for_another_address_is_none() -> None:
    elsewhere = facts({key(address="anna@work.example"): state()})
    assert decide(request(), elsewhere, NOON).code == "no_consent"


def test_r3_consent_for_one_topic_is_not_consent_for_another() -> None:
    decision = decide(request(topic="newsletter"), consenting(), NOON)
    assert (decision.code, decision.rule) == ("topic_off", "R3")


@pytest.mark.parametrize("purpose", ["profiling", "open_tracking", "feedback", "third_party_sharing", "notice"])
def test_r3_no_other_purpose_permits_marketing(purpose: str) -> None:
    assert decide(request(), facts({key(purpose): state()}), NOON).outcome == "refused"


def test_r5_a_yes_without_proof_is_none() -> None:
    decision = decide(request(), facts({key(): state(proven=False)}), NOON)
    assert (decision.code, decision.rule) == ("no_proof", "R5")


def test_r6_a_pending_contact_gets_no_marketing() -> None:
    decision = decide(request(), facts({key(): state("pending")}), NOON)
    assert (decision.code, decision.rule) == ("pending", "R6")


def test_r6_a_pending_contact_gets_one_confirmation_and_one_reminder() -> None:
    asked = NOON - timedelta(days=1)
    pending = facts({key(): state("pending", at=asked)})
    ask = request("consent_request")
    assert decide(ask, pending, NOON).basis == "sign_up"
    sent = tuple(Contacted(number, "consent_request", NOON) for number in (1, 2))
    assert decide(ask, replace(pending, contacted=sent[:1]), NOON).allowed
    assert decide(ask, replace(pending, contacted=sent), NOON).code == "asked_enough"
    assert decide(ask, pending, asked + timedelta(days=8)).code == "expired"


@pytest.mark.parametrize("word", ["granted", "denied", "withdrawn", "objected"])
def test_r6_nobody_else_is_asked_to_confirm(word: str) -> None:
    assert decide(request("consent_request"), facts({key(): state(word)}), NOON).code == "not_pending"


def test_r7_a_withdrawal_ends_marketing_and_service_goes_on() -> None:
    left = facts({key(): state("withdrawn")})
    assert (decide(request(), left, NOON).code, decide(request(), left, NOON).rule) == ("withdrawn", "R7")
    assert decide(request("transactional"), left, NOON).allowed


def test_r8_soft_opt_in_holds_for_a_paying_customer_who_was_told() -> None:
    decision = decide(request(), customer(), NOON)
    assert (decision.outcome, decision.basis, decision.ledger_line) == ("allowed", "soft_opt_in", 4)


@pytest.mark.parametrize(
    ("why", "changed"),
    [
        ("no_purchase", {"purchases": ()}),
        ("no_purchase", {"purchases": (purchase(status="cancelled"),)}),
        ("no_purchase", {"purchases": (purchase(status="abandoned"),)}),
        ("no_purchase", {"purchases": (purchase(amount=0),)}),
        ("no_purchase", {"purchases": (purchase(refunded=True),)}),
        ("no_purchase", {"purchases": (purchase(channel="ota"),)}),
        ("no_notice", {"states": {}}),
        ("no_notice", {"states": {key("notice"): state(refusal_offered=False)}}),
        ("refused", {"states": {key("notice"): state(refusal_offered=True), key(topic="news"): state("denied")}}),
    ],
)
def test_r8_soft_opt_in_needs_every_condition(why: str, changed: dict[str, Any]) -> None:
    decision = decide(request(), replace(customer(), **changed), NOON)
    basis = next(check for check in decision.checks if check.check == "basis")
    assert (decision.outcome, basis.inputs["soft_opt_in"]) == ("refused", why)


def test_r8_soft_opt_in_is_for_email_and_own_similar_products_only() -> None:
    assert decide(request(channel="sms"), customer(), NOON).outcome == "refused"
    assert decide(request(topic="newsletter"), customer(), NOON).outcome == "refused"


def test_r8_a_topic_about_something_else_than_was_bought_is_not_reached() -> None:
    goods = decide(request(topic="shop"), customer(), NOON)
    assert next(one for one in goods.checks if one.check == "basis").inputs["soft_opt_in"] == "other_products"
    shopper = replace(customer(), purchases=(purchase(kind="order", status="delivered"),))
    assert decide(request(topic="shop"), shopper, NOON).basis == "soft_opt_in"
    assert decide(request(), shopper, NOON).outcome == "refused"


def test_r10_an_objection_on_one_address_ends_marketing_on_all() -> None:
    objection = {key(topic=None, address="old@example.com"): state("objected", at=NOON - timedelta(days=2))}
    decision = decide(request(), facts({key(): state(), **objection}), NOON)
    assert (decision.code, decision.rule) == ("objected", "R10")


def test_r10_a_later_yes_of_the_person_counts_again() -> None:
    objection = {key(topic=None): state("objected", at=NOON - timedelta(days=2), line=1)}
    again = {key(): state(at=NOON - timedelta(days=1), line=2)}
    assert decide(request(), facts({**objection, **again}), NOON).ledger_line == 2


def test_r11_feedback_needs_a_consent_by_default() -> None:
    stayed = facts(booking=purchase(status="checked_out"))
    assert (decide(request("feedback"), stayed, NOON).code) == "no_consent"
    assert decide(request("feedback"), facts({key("feedback"): state()}), NOON).basis == "consent"
    assert decide(request("feedback"), consenting(), NOON).basis == "consent"


def test_r11_legitimate_interest_reaches_guests_of_the_stay_twice_and_no_more() -> None:
    stay = purchase(status="checked_out")
    stayed = facts(booking=stay)
    ask = request("feedback", booking_id=stay.booking_id)
    assert decide(ask, stayed, NOON, ITALIAN_INTEREST).basis == "legitimate_interest"
    assert decide(ask, facts(booking=purchase()), NOON, ITALIAN_INTEREST).code == "no_stay"
    before = tuple(Contacted(n, "feedback", NOON - timedelta(days=8 * n), stay.booking_id) for n in (1, 2))
    assert decide(ask, replace(stayed, contacted=before), NOON, ITALIAN_INTEREST).code == "feedback_limit"


def test_r11_a_no_to_feedback_outweighs_a_yes_to_marketing() -> None:
    both = facts({key(): state(), key("feedback"): state("withdrawn", line=2)}, booking=purchase(status="checked_out"))
    assert decide(request("feedback"), both, NOON, ITALIAN_INTEREST).code == "withdrawn"


@pytest.mark.parametrize("class_", ["marketing", "feedback", "consent_request"])
def test_r12_a_child_gets_service_messages_only(class_: str) -> None:
    child = consenting(minor=True)
    assert decide(request(class_), child, NOON).rule == "R12"
    assert decide(request("transactional"), child, NOON).allowed


def test_r12_a_yes_said_before_fourteen_counts_only_from_a_parent() -> None:
    turned = NOON.date() - timedelta(days=10)
    then = NOON - timedelta(days=90)
    for class_, where in (("marketing", key()), ("feedback", key("feedback"))):
        child = decide(request(class_), facts({where: state(at=then, line=7)}, fourteen_on=turned), NOON)
        assert (child.code, child.rule, child.ledger_line) == ("child_consent", "R12", 7)
        parents = facts({where: state(at=then, guardian=True)}, fourteen_on=turned)
        assert decide(request(class_), parents, NOON).allowed
        own = facts({where: state(at=NOON - timedelta(days=5))}, fourteen_on=turned)
        assert decide(request(class_), own, NOON).allowed


@pytest.mark.parametrize(
    ("birth_date", "age_band", "child"),
    [
        ("2012-05-13", None, True),
        ("2012-05-12", None, False),
        ("2012-02-29", None, False),
        (None, "0-13", True),
        (None, "Child", True),
        (None, "adult", False),
        (None, "12-17", False),
        ("1990-01-01", "child", False),
        ("soon", None, False),
        (None, None, False),
    ],
)
def test_r12_a_child_is_known_by_birth_date_or_age_band(
    birth_date: str | None, age_band: str | None, child: bool
) -> None:
    assert is_child(birth_date, age_band, NOON.date()) is child


def test_r12_born_on_the_29th_of_february_they_turn_fourteen_on_the_first_of_march() -> None:
    assert fourteenth("2012-02-29") == date(2026, 3, 1)


PROFILING = {key("profiling"): state(line=9)}


def test_r13_marketing_chosen_by_behaviour_needs_a_consent_to_profiling() -> None:
    decision = decide(request(), consenting(profiled=True), NOON)
    assert (decision.outcome, decision.code, decision.rule) == ("refused", "no_profiling", "R13")
    assert decide(request(), facts({key(): state(), **PROFILING}, profiled=True), NOON).allowed
    assert decide(request(), replace(customer(), profiled=True), NOON).code == "no_profiling"
    assert decide(request("transactional"), facts(profiled=True), NOON).allowed
    # Who may get no marketing at all is told so, not asked for profiling.
    assert decide(request(), facts(profiled=True), NOON).code == "no_consent"


def test_r13_without_profiling_the_generic_block_is_shown() -> None:
    assert block_classes(request(), consenting(), NOON) == {"transactional", "marketing", "feedback", "generic"}
    profiled = facts({key(): state(), **PROFILING})
    assert block_classes(request(), profiled, NOON) == {"transactional", "marketing", "feedback", "profiling"}


def test_r13_r10_an_objection_to_marketing_ends_profiling_too() -> None:
    objected = {key(topic=None): state("objected", at=NOON - timedelta(days=1))}
    assert not may_profile(facts({**PROFILING, **objected}), "email")
    again = {key("profiling"): state(at=NOON)}
    assert may_profile(facts({**objected, **again}), "email")


def test_r14_tracking_needs_its_own_consent() -> None:
    assert not may_track(consenting(), "email")
    assert may_track(facts({key("open_tracking"): state()}), "email")
    assert not may_track(facts({key("open_tracking"): state("withdrawn")}), "email")


def test_r21_a_marketing_block_is_for_those_who_may_get_marketing() -> None:
    service = request("transactional")
    assert "marketing" not in block_classes(service, facts(), NOON)
    assert "marketing" in block_classes(service, consenting(), NOON)
    barred = consenting(suppressed=(Suppressed("complaint", "marketing"),))
    assert block_classes(service, barred, NOON) == {"transactional", "generic"}


@pytest.mark.parametrize("class_", ["marketing", "feedback", "consent_request"])
def test_r34_a_masked_address_gets_service_messages_only(class_: str) -> None:
    masked = "x.1@guest.booking.com"
    states = {key(purpose, address=masked): state() for purpose in ("marketing", "feedback")}
    assert decide(request(class_), facts(states, address=masked), NOON).code == "relay_address"


def test_r34_a_masked_address_ends_60_days_after_departure() -> None:
    left = purchase(departure=date(2026, 3, 13))
    masked = facts(address="x.1@guest.booking.com", booking=left)
    assert decide(request("transactional"), masked, NOON).allowed
    assert decide(request("transactional"), masked, NOON + timedelta(days=1)).code == "relay_expired"


def test_r34_a_message_of_no_booking_finds_the_masked_address_expired_after_the_last_stay() -> None:
    stays = tuple(purchase(booking_id=n, departure=date(2026, month, 1)) for n, month in ((1, 1), (2, 2)))
    masked = facts(address="x.1@guest.booking.com", purchases=stays)
    assert decide(request("transactional"), masked, NOON).code == "relay_expired"
    later = replace(masked, purchases=(*stays, purchase(booking_id=3, departure=date(2026, 5, 1))))
    assert decide(request("transactional"), later, NOON).allowed


@pytest.mark.parametrize("class_", ["transactional", "feedback", "marketing", "consent_request"])
def test_r37_a_dead_address_gets_nothing(class_: str) -> None:
    states = {key(): state("pending" if class_ == "consent_request" else "granted", at=NOON)}
    dead = facts(states, suppressed=(Suppressed("hard_bounce", "all"),))
    assert decide(request(class_), dead, NOON).code == "suppressed"


def test_r36_who_complained_still_gets_service_messages() -> None:
    complained = consenting(suppressed=(Suppressed("complaint", "marketing"),))
    assert (decide(request(), complained, NOON).code, decide(request(), complained, NOON).rule) == ("suppressed", "R36")
    assert decide(request("transactional"), complained, NOON).allowed


def test_r38_a_paused_stream_waits() -> None:
    paused = Policy(paused={"marketing": "complaints at 0.4 %"})
    decision = decide(request(), consenting(), NOON, paused)
    assert (decision.outcome, decision.code, decision.until) == ("deferred", "paused", NOON + paused.pause_retry)
    assert decide(request("transactional"), consenting(), NOON, paused).allowed


def sent(*days_ago: int) -> tuple[Contacted, ...]:
    """Marketing that went out so many days ago."""
    return tuple(Contacted(n, "marketing", NOON - timedelta(days=day)) for n, day in enumerate(days_ago, 1))


def test_r46_one_a_day() -> None:
    decision = decide(request(), consenting(contacted=sent(0)), NOON)
    assert (decision.outcome, decision.code, decision.rule) == ("deferred", "cap", "R46")
    # The next day begins in quiet hours: 08:00 in Rome.
    assert decision.until == datetime(2026, 5, 13, 6, 0, tzinfo=UTC)


def test_r46_the_day_is_the_recipients_calendar_day() -> None:
    evening = NOON.replace(hour=9) - timedelta(days=1)
    assert decide(request(), consenting(contacted=(Contacted(1, "marketing", evening),)), NOON).allowed
    tokyo = consenting(contacted=(Contacted(1, "marketing", NOON - timedelta(hours=9)),), zone="Asia/Tokyo")
    assert decide(request(), tokyo, NOON - timedelta(hours=1)).code == "cap"


def test_r46_three_in_seven_days_and_eight_in_thirty() -> None:
    patient = Policy(defer_for=timedelta(days=20))
    week = decide(request(), consenting(contacted=sent(1, 2, 3)), NOON, patient)
    assert week.until == datetime(2026, 5, 16, 6, 0, tzinfo=UTC)
    month = consenting(contacted=sent(8, 10, 12, 14, 16, 18, 20, 22))
    assert decide(request(), month, NOON, patient).until == datetime(2026, 5, 20, 6, 0, tzinfo=UTC)


def test_r46_beyond_its_window_it_is_refused() -> None:
    decision = decide(request(latest=NOON + timedelta(hours=3)), consenting(contacted=sent(0)), NOON)
    assert (decision.outcome, decision.code) == ("refused", "cap")
    first = request(since=NOON - timedelta(days=3))
    assert decide(first, consenting(contacted=sent(0)), NOON).outcome == "refused"


def test_r46_the_more_important_message_goes_first() -> None:
    rival = request(message_id=200, priority=90)
    assert decide(request(), consenting(rivals=(rival,)), NOON).code == "outranked"
    assert decide(rival, consenting(rivals=(request(),)), NOON).allowed


def test_r46_a_rival_that_may_never_go_takes_nobodys_slot() -> None:
    rival = request(message_id=200, priority=90, topic="newsletter")
    assert decide(request(), consenting(rivals=(rival,)), NOON).allowed


def test_r46_service_messages_are_neither_capped_nor_counted() -> None:
    service = tuple(Contacted(n, "transactional", NOON) for n in range(9))
    assert decide(request(), consenting(contacted=service), NOON).allowed
    assert decide(request("transactional"), consenting(contacted=sent(0, 0, 0)), NOON).allowed


def test_r47_quiet_hours_hold_marketing_until_eight() -> None:
    decision = decide(request(), consenting(), LATE)
    assert (decision.outcome, decision.code) == ("deferred", "quiet_hours")
    assert decision.until == datetime(2026, 5, 13, 6, 0, tzinfo=UTC)
    assert decide(request("transactional"), consenting(), LATE).allowed


def test_r47_x22_an_unknown_zone_must_be_awake_in_the_guessed_and_the_propertys_zone() -> None:
    # 12:00 in Rome is 19:00 in Tokyo; at 14:30 it is 21:30 there.
    japan = consenting(country="JP")
    assert decide(request(), japan, NOON).allowed
    assert decide(request(), japan, NOON + timedelta(hours=2, minutes=30)).until == datetime(
        2026, 5, 13, 6, 0, tzinfo=UTC
    )
    assert decide(request(), consenting(country="US"), NOON).allowed


def test_r47_across_the_change_of_clocks_the_opening_is_still_eight() -> None:
    eve = datetime(2026, 3, 28, 22, 0, tzinfo=UTC)
    assert decide(request(), consenting(), eve).until == datetime(2026, 3, 29, 6, 0, tzinfo=UTC)


def test_r51_r52_erased_and_frozen_people_get_nothing() -> None:
    assert decide(request("transactional"), facts(erased=True), NOON).rule == "R51"
    assert decide(request("transactional"), facts(frozen=True), NOON).rule == "R52"


def test_no_address_no_message() -> None:
    assert decide(request("transactional"), facts(address=None), NOON).code == "no_address"


def test_r59_after_latest_nothing_is_sent() -> None:
    for class_ in ("transactional", "marketing"):
        decision = decide(request(class_, latest=NOON - timedelta(seconds=1)), consenting(), NOON)
        assert (decision.outcome, decision.rule) == ("refused", "R59")


def test_r60_an_exit_met_meanwhile_stops_it() -> None:
    decision = decide(request("transactional"), facts(left="cancelled"), NOON)
    assert (decision.code, decision.rule) == ("exited", "R60")


def test_r62_a_control_group_gets_service_only() -> None:
    assert decide(request(), consenting(holdout="winter"), NOON).rule == "R62"
    assert decide(request("transactional"), consenting(holdout="winter"), NOON).allowed


def test_r63_a_paused_workflow_waits() -> None:
    assert decide(request("transactional"), facts(paused="pre-arrival"), NOON).rule == "R63"


def test_the_checks_come_in_the_order_of_the_design() -> None:
    order = [check.check for check in decide(request(), consenting(), NOON).checks]
    assert order == [
        *("person", "address", "basis", "suppression", "topic", "holdout", "exit", "latest"),
        *("stream", "cap", "quiet_hours"),
    ]


def test_a_workspace_changes_the_numbers() -> None:
    policy = Policy.from_settings({"caps": {"day": 2}, "quiet_hours": {"email": ["23:00", "07:00"]}})
    assert decide(request(), consenting(contacted=sent(0)), NOON, policy).allowed
    assert decide(request(), consenting(), LATE, policy).allowed


@pytest.mark.parametrize(
    "wrong",
    [
        {"caps": {"hour": 1}},
        {"caps": {"day": -1}},
        {"quiet_hours": {"email": ["nine", "ten"]}},
        {"feedback_basis": {"kind": "legitimate_interest"}},
        {"feedback_basis": {"kind": "guess"}},
        {"defer_days": "many"},
    ],
)
def test_a_setting_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        Policy.from_settings(wrong)


def test_every_code_has_its_sentence_in_both_languages() -> None:
    for english, italian in SENTENCES.values():
        assert english
        assert italian
        assert english != italian
    decision = decide(request(), facts({key(): state(line=42)}), NOON)
    for check in decision.checks:
        assert check.code in SENTENCES, check.code
        assert "–" not in sentence(check.code, "it", check.inputs), check.code
    assert ADDRESS not in str(decision.as_json(NOON, "gate"))
