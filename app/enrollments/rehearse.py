"""Stories judged by production's own rule: `journey.simulate` with `consent.rules` as its gate. Writes nothing."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zlib import crc32

from app.consent.case import DEFAULT, ConsentFacts, Contacted, Purchase, Request
from app.consent.fold import PURPOSES, Key, Line, State, settle
from app.consent.policy import Policy
from app.consent.rules import decide, decide_among
from app.journey.advance import Send
from app.journey.facts import Facts, lookup
from app.journey.program import Program
from app.journey.simulate import Judge, Judgement, Outcome, Scene, simulate

_ABANDONED = frozenset({"booking.abandoned", "order.abandoned"})
_TOLD = "notice"
SOMEONE = "guest@example.com"
"""The address of a story's person who has none of their own."""


def rehearse(program: Program, scene: Scene, policy: Policy = DEFAULT) -> Outcome:
    """One story through one workflow, with basis, cap, quiet hours and `latest` judged as in production."""
    terms = {"caps": program.caps, "quiet_hours": program.quiet_hours}
    return simulate(program, scene, judge=gate(policy.with_terms({name: own for name, own in terms.items() if own})))


def gate(policy: Policy = DEFAULT) -> Judge:
    """A judge for one story: it remembers what it let through, for the cap."""
    contacted: list[Contacted] = []
    first_seen: dict[tuple[str, str, int], datetime] = {}

    def judge(send: Send, facts: Facts, now: datetime) -> Judgement:
        number = len(contacted) + 1
        since = first_seen.setdefault((str(lookup(facts, "enrollment.key")), send.step_id, send.visit), now)
        booking = _purchase(facts)
        request = Request(
            message_id=number,
            class_=send.class_,
            channel=send.channels[0],
            topic=send.topic,
            due_at=send.due,
            priority=send.priority,
            latest=send.latest,
            since=since,
            booking_id=booking.booking_id if booking else None,
        )
        known = _consent_facts(facts, booking, contacted, now)
        if len(send.channels) > 1:
            _, decision = decide_among(request, dict.fromkeys(send.channels, known), now, policy)
        else:
            decision = decide(request, known, now, policy)
        if decision.allowed:
            contacted.append(Contacted(number, send.class_, now, request.booking_id))
        return Judgement(decision.outcome, decision.code, decision.rule, decision.until)

    return judge


def _consent_facts(facts: Facts, booking: Purchase | None, contacted: list[Contacted], now: datetime) -> ConsentFacts:
    address = str(lookup(facts, "contact.email") or SOMEONE).lower()
    return ConsentFacts(
        address=address,
        states=_states(facts.get("consent") or {}, address, now),
        property_zone=str(lookup(facts, "property.zone") or "UTC"),
        property_country=lookup(facts, "property.country"),
        zone=lookup(facts, "contact.zone"),
        country=lookup(facts, "contact.country"),
        purchases=(booking,) if booking else (),
        booking=booking,
        contacted=tuple(contacted),
    )


def _states(consents: Any, address: str, now: datetime) -> dict[Key, State]:
    """A story's `offers: granted` as a line of the ledger with its proof; other names than purposes are topics."""
    states: dict[Key, State] = {}
    for number, (name, state) in enumerate(sorted(consents.items()), 1):
        purpose, topic = (name, None) if name in PURPOSES else ("marketing", name)
        line = Line(number, address, "email", purpose, topic, state, "api", now, proven=True, refusal_offered=True)
        states[line.key] = settle([line])
    if _TOLD not in consents:
        # Whoever a story does not speak of was told of the one reminder when they left their address (R9); that they
        # could refuse marketing (R8) is said by `notice: granted`.
        line = Line(0, address, "email", _TOLD, None, "granted", "api", now, proven=True, recovery_mentioned=True)
        states[line.key] = settle([line])
    return states


def _purchase(facts: Facts) -> Purchase | None:
    booking = facts.get("booking")
    if not booking:
        return None
    departure = booking.get("departure")
    return Purchase(
        booking_id=crc32(str(booking.get("reference")).encode()),
        status=str(booking.get("status")),
        amount=booking.get("amount"),
        channel=booking.get("channel"),
        departure=departure if isinstance(departure, date) else None,
        abandoned_at=max((one[1] for one in facts.get("past_events") or () if one[0] in _ABANDONED), default=None),
    )
