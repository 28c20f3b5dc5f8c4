"""What must hold of every decision, whatever the person and the message."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from app.consent.case import ConsentFacts, Contacted, Purchase, Request, Suppressed
from app.consent.fold import Key, State, grant
from app.consent.policy import Policy
from app.consent.rules import decide
from app.consent.sentences import SENTENCES
from tests.consent.people import ADDRESS, NOON, facts, key, request, state

moments = st.integers(-60 * 24 * 40, 60 * 24 * 3).map(lambda minutes: NOON + timedelta(minutes=minutes))
words = st.sampled_from(["pending", "granted", "denied", "withdrawn", "objected", "expired"])


@st.composite
def said(draw: st.DrawFn) -> dict[Key, State]:
    """A handful of things a person has said."""
    found: dict[Key, State] = {}
    for line in range(draw(st.integers(0, 5))):
        purpose = draw(st.sampled_from(["marketing", "marketing", "feedback", "notice", "open_tracking"]))
        topic = draw(st.sampled_from(["offers", "newsletter", None]))
        address = draw(st.sampled_from([ADDRESS, ADDRESS, "other@example.com", "a@guest.booking.com"]))
        found[key(purpose, topic, address)] = state(
            draw(words), draw(moments), line + 1, proven=draw(st.booleans()), refusal_offered=draw(st.booleans())
        )
    return found


purchases = st.builds(
    Purchase,
    booking_id=st.integers(1, 3),
    status=st.sampled_from(["confirmed", "cancelled", "checked_out", "abandoned"]),
    amount=st.sampled_from([None, 0, 10000]),
    channel=st.sampled_from(["direct", "ota", None]),
    departure=st.dates(NOON.date() - timedelta(days=90), NOON.date()),
    refunded=st.booleans(),
)
contacted = st.builds(
    Contacted, st.integers(1, 50), st.sampled_from(["marketing", "feedback", "consent_request"]), moments
)
requests = st.builds(
    request,
    st.sampled_from(["transactional", "feedback", "marketing", "consent_request"]),
    topic=st.sampled_from(["offers", "newsletter", None]),
    priority=st.integers(1, 99),
    latest=st.none() | moments,
    message_id=st.integers(60, 90),
)
people = st.builds(
    facts,
    said(),
    address=st.sampled_from([ADDRESS, ADDRESS, ADDRESS, "a@guest.booking.com", None]),
    zone=st.sampled_from([None, "Europe/Rome", "Asia/Tokyo", "America/New_York", "Nowhere/Here"]),
    country=st.sampled_from([None, "IT", "US", "JP"]),
    frozen=st.booleans().map(lambda _: False) | st.booleans(),
    minor=st.integers(0, 9).map(lambda n: n == 0),
    suppressed=st.lists(
        st.builds(Suppressed, st.sampled_from(["complaint", "hard_bounce"]), st.sampled_from(["all", "marketing"])),
        max_size=1,
    ).map(tuple),
    purchases=st.lists(purchases, max_size=2).map(tuple),
    booking=st.none() | purchases,
    contacted=st.lists(contacted, max_size=4).map(tuple),
    rivals=st.lists(requests, max_size=2).map(tuple),
    left=st.sampled_from([None, None, None, "cancelled"]),
)
interest = Policy(feedback_basis="legitimate_interest", feedback_assessment="LIA-1")
policies = st.sampled_from([Policy(), interest, Policy(day_cap=0)])


@given(requests, people, moments, policies)
def test_r1_no_marketing_goes_without_a_basis_valid_at_that_instant(
    asks: Request, person: ConsentFacts, now: datetime, policy: Policy
) -> None:
    decision = decide(asks, person, now, policy)
    if asks.class_ != "marketing" or decision.outcome == "refused":
        return
    address = person.address or ""
    given_yes = grant(person.states, address, "email", asks.topic)
    refusals = [one for where, one in person.states.items() if where[2] == "marketing" and one.refused_at]
    notice = person.states.get((address, "email", "notice", None))
    bought = any(one.status in {"confirmed", "checked_out"} and one.amount for one in person.purchases)
    assert given_yes is not None or (notice and notice.refusal_offered and bought and not refusals)
    assert decision.ledger_line is not None
    assert not person.suppressed
    assert not person.minor
    assert not address.endswith("guest.booking.com")


@given(people, moments, policies)
def test_a_service_message_is_never_lost_to_a_marketing_refusal(
    person: ConsentFacts, now: datetime, policy: Policy
) -> None:
    silent = replace(
        person,
        states={},
        contacted=(),
        rivals=(),
        suppressed=tuple(one for one in person.suppressed if one.scope == "all"),
    )
    service = request("transactional")
    assert decide(service, person, now, policy).outcome == decide(service, silent, now, policy).outcome


def narrowed(person: ConsentFacts, how: int, now: datetime) -> ConsentFacts:
    """The same person with something taken away."""
    refused = {
        where: state("withdrawn", now, 99) if where[2] in {"marketing", "feedback"} else one
        for where, one in person.states.items()
    }
    match how:
        case 0:
            return replace(person, states=refused)
        case 1:
            return replace(person, suppressed=(*person.suppressed, Suppressed("complaint", "marketing")))
        case 2:
            return replace(person, contacted=(*person.contacted, Contacted(1, "marketing", now)))
        case 3:
            return replace(person, rivals=(*person.rivals, request(message_id=1, priority=100)))
        case 4:
            return replace(person, purchases=())
        case 5:
            return replace(person, left="gone")
        case 6:
            where = ("other@example.com", "email", "marketing", None)
            return replace(person, states={**person.states, where: state("objected", now, 98)})
        case _:
            return replace(person, minor=True)


@given(requests, people, moments, policies, st.integers(0, 7))
def test_a_refusal_never_widens_what_may_be_sent(
    asks: Request, person: ConsentFacts, now: datetime, policy: Policy, how: int
) -> None:
    order = {"refused": 0, "deferred": 1, "allowed": 2}
    before, after = decide(asks, person, now, policy), decide(asks, narrowed(person, how, now), now, policy)
    assert order[after.outcome] <= order[before.outcome], (before, after)


@given(requests, people, moments, policies)
def test_what_is_put_off_may_still_go_in_its_window_and_says_when(
    asks: Request, person: ConsentFacts, now: datetime, policy: Policy
) -> None:
    decision = decide(asks, person, now, policy)
    assert (decision.until is not None) == (decision.outcome == "deferred")
    if decision.until is not None:
        assert now < decision.until <= (asks.latest or now + policy.defer_for)


@given(requests, people, moments, policies)
def test_every_verdict_has_a_code_a_rule_and_words(
    asks: Request, person: ConsentFacts, now: datetime, policy: Policy
) -> None:
    decision = decide(asks, person, now, policy)
    assert decision.rule is not None
    assert re.fullmatch(r"R\d+", decision.rule)
    assert all(check.code in SENTENCES for check in decision.checks)
    assert [check.ok for check in decision.checks].count(False) == 0 or not decision.allowed


def test_every_code_in_the_rules_has_words() -> None:
    folder = Path(__file__).resolve().parents[2] / "app" / "consent"
    source = "".join((folder / name).read_text() for name in ("rules.py", "bases.py", "pressure.py"))
    codes = set(re.findall(r'Check\("\w+", (?:True|False), "(\w+)"', source))
    codes |= set(re.findall(r'_refused\("(\w+)"', source)) | set(re.findall(r'\("(\w+)", "R\d+"\)', source))
    assert len(codes) > 30
    assert codes <= SENTENCES.keys()
