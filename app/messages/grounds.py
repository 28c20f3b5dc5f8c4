"""All that judging and composing a batch of messages rests on, loaded in a fixed number of queries.

Judged twice (at the gate, and in the transaction of the lease) and composed once, a message is looked at with the same
eyes each time: whoever needs two of the three loads the grounds once and passes them on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.audience import facts as audience
from app.audience.facts import Facts, Who
from app.consent import behaviour, ledger
from app.consent.ages import fourteenth, is_child
from app.consent.behaviour import SEGMENT
from app.consent.case import ConsentFacts, Contacted, Purchase, Request, Suppressed
from app.consent.fold import Key, State
from app.consent.policy import Policy, PolicyError
from app.consent.pressure import zone_or_utc
from app.db import workspace_of
from app.messages import identities
from app.messages.identities import Identity, Senders
from app.messages.rows import MessageRow
from app.messages.snapshot import thaw
from app.messages.warming import Turns

log = structlog.get_logger()

QUERIES = 8 + identities.QUERIES + audience.QUERIES
"""workspace, contacts, purchases, consent lines, suppressions, other messages, what is paused, what topics speak of,
who mails come from; and audience.facts. Two more where anybody was chosen by coming into a segment."""

Moment = Literal["gate", "lease"]

_LOOK_BACK = timedelta(days=32)
_GONE = frozenset({"handed_over", "unknown", "accepted"})


@dataclass(frozen=True, slots=True)
class Other:
    """Another message of the same person, as far as it touches this one."""

    request: Request
    state: str
    at: datetime
    """When it went out, or now where it is about to."""

    def contacted(self) -> Contacted:
        """As something that reached, or will reach, the person."""
        one = self.request
        return Contacted(one.message_id, one.class_, self.at, one.booking_id, one.topic)


@dataclass(frozen=True, slots=True)
class Grounds:
    """What is known for a batch at one instant."""

    now: datetime
    workspace_id: int
    workspace: Mapping[str, Any]
    """The workspace's settings."""
    policy: Policy
    facts: dict[int, ConsentFacts]
    """Message id → facts for the rules, without other messages (they depend on what the batch itself decides)."""
    told: Mapping[int, Facts]
    """Message id → what conditions and templates see, with the passage."""
    others: Mapping[int, Sequence[Other]]
    """Contact id → other messages, none of this batch among them."""
    policies: Mapping[int, Policy] = field(default_factory=dict)
    """Message id → the policy with its workflow's or broadcast's own terms, where it has any."""
    channels: Mapping[int, Mapping[str, ConsentFacts]] = field(default_factory=dict)
    """Message id → channel → facts, in order of preference, where it may go over several."""
    chosen: dict[int, str] = field(default_factory=dict)
    """Message id → the channel the gate has chosen among them."""
    titles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Topic → its title by language."""
    inferred: frozenset[str] = frozenset()
    """Attributes that tell of past behaviour: marketing shows them only with a consent to profiling (R13)."""
    senders: Senders = field(default_factory=Senders)
    """Who mails of this workspace come from."""
    wanted: Mapping[int, str] = field(default_factory=dict)
    """Message id → the address of the sender that its step names, where it names one."""
    warming: list[Turns] = field(default_factory=list)

    def choose(self, message_id: int, channel: str) -> None:
        """From here on the message is one of that channel."""
        self.chosen[message_id] = channel
        self.facts[message_id] = self.channels[message_id][channel]

    @property
    def turns(self) -> Turns | None:
        """Whose turn it is, where a domain warms up; the same each time."""
        if self.senders.ramps and not self.warming:
            self.warming.append(Turns(self.senders.ramps, self.now))
        return self.warming[0] if self.warming else None

    def write_turns(self, session: Session) -> None:
        """Keep what this batch took of what a warm-up allows: none or one query."""
        if self.warming:
            self.warming[0].write(session)

    def domain_of(self, message_id: int, class_: str) -> int | None:
        """The registered domain that a message comes from."""
        domain = self.senders.domain(self.sender_of(message_id, class_).domain)
        return domain.id if domain else None

    def sender_of(self, message_id: int, class_: str) -> Identity:
        """Who a message comes from."""
        place = self.told.get(message_id, {}).get("property") or {}
        return self.senders.of(class_, place, self.wanted.get(message_id))

    def request_of(self, row: MessageRow) -> Request:
        """The message as the rules know it, on the channel chosen for it."""
        request = request_of(row)
        return replace(request, channel=self.chosen[row.id]) if row.id in self.chosen else request


def request_of(row: MessageRow) -> Request:
    """The message as the rules know it."""
    return Request(
        row.id,
        row.class_,
        row.channel,
        row.topic,
        row.due_at,
        row.priority,
        row.latest,
        getattr(row, "first_judged", None),
        row.booking_id,
        "needed" in (getattr(row, "terms", None) or {}),
    )


def load(session: Session, rows: Sequence[MessageRow], now: datetime) -> Grounds:
    """Everything for these messages: `QUERIES` queries, however many there are."""
    workspace_id = workspace_of(session)
    workspace: Mapping[str, Any] = session.scalar(select(Workspace.settings).where(Workspace.id == workspace_id)) or {}
    contact_ids = sorted({row.contact_id for row in rows})
    asked = {"ws": workspace_id, "contacts": contact_ids}
    contacts = {row.id: row for row in session.execute(_CONTACTS, asked)}
    purchases: dict[int, list[Purchase]] = {}
    bookings: dict[int, Purchase] = {}
    for kept in session.execute(_PURCHASES, asked):
        one = Purchase(
            *(kept.id, kept.status, kept.amount, kept.channel, kept.departure, kept.refunded, kept.arrival, kept.kind),
            abandoned_at=kept.abandoned_at,
        )
        purchases.setdefault(kept.contact_id, []).append(one)
        bookings[kept.id] = one
    states = ledger.current(session, contact_ids)
    addresses = {
        (channel, address)
        for row in rows
        for channel in _channels(row)
        if (address := _address(contacts.get(row.contact_id), channel)) is not None
    }
    barred = ledger.suppressed(session, addresses)
    others = _others(session, {row.id for row in rows}, {**asked, "since": now - _LOOK_BACK}, now)
    paused = {(row.broadcast, row.id): row.name for row in session.execute(_PAUSED, asked)}
    told = _told(session, rows, now)
    about, titles, inferred = _words(session)
    policy = Policy.from_settings(workspace)
    traced = _traced(session, rows)
    senders = identities.load(session)
    wanted = {row.id: row.terms["sender"] for row in rows if row.terms and row.terms.get("sender")}
    facts: dict[int, ConsentFacts] = {}
    channels: dict[int, dict[str, ConsentFacts]] = {}
    for row in rows:
        place = (told.get(row.id) or {}).get("property") or {}
        facts[row.id] = replace(
            _facts(
                row,
                contacts.get(row.contact_id),
                states.get(row.contact_id, {}),
                tuple(purchases.get(row.contact_id, ())),
                bookings.get(row.booking_id or 0),
                barred,
                told.get(row.id),
                now,
            ),
            paused=paused.get((False, row.workflow_id)) or paused.get((True, row.broadcast_id)),
            holdout=policy.keeps_out(row.contact_id),
            about=about,
            # Judged anew each time: an attribute may be marked, and a stay end, while the message waits.
            profiled=behaviour.tells(
                _reads(row),
                inferred,
                traced,
                past=_is_over(bookings.get(row.booking_id or 0), str(place.get("zone") or "UTC"), now),
            ),
            held=senders.held(row.class_, senders.of(row.class_, place, wanted.get(row.id)), now),
        )
        if row.terms and "channels" in row.terms:
            channels[row.id] = {
                channel: _over(facts[row.id], channel, contacts.get(row.contact_id), barred)
                for channel in _channels(row)
            }
    policies = {row.id: _under(policy, row.terms) for row in rows if row.terms}
    return Grounds(
        now,
        workspace_id,
        workspace,
        policy,
        facts,
        told,
        others,
        policies,
        channels,
        titles=titles,
        inferred=inferred,
        senders=senders,
        wanted=wanted,
    )


def _channels(row: MessageRow) -> Sequence[str]:
    """Every channel it may go over, the preferred first."""
    return row.terms.get("channels") or (row.channel,) if row.terms else (row.channel,)


def _over(
    facts: ConsentFacts, channel: str, contact: Any, barred: Mapping[tuple[str, str], tuple[Suppressed, ...]]
) -> ConsentFacts:
    """The same person, reached over another channel."""
    address = _address(contact, channel)
    held = facts.held if channel == "email" else None
    return replace(facts, address=address, suppressed=barred.get((channel, address or ""), ()), held=held)


def _under(policy: Policy, terms: Mapping[str, Any]) -> Policy:
    """The policy with a message's own terms. They were checked when they were published; should they be unusable all
    the same, the workspace's own hold: one bad row must not stop the line."""
    try:
        return policy.with_terms(terms)
    except PolicyError as error:
        log.warning("terms_not_usable", error=str(error))
        return policy


def _told(session: Session, rows: Sequence[MessageRow], now: datetime) -> dict[int, Facts]:
    whose = {row.id: Who(row.contact_id, row.booking_id, row.property_id) for row in rows}
    known = audience.load(session, whose.values(), now)
    found: dict[int, Facts] = {}
    for row in rows:
        facts = known.get(whose[row.id])
        if facts is not None:
            passage = thaw(row.facts or {})
            found[row.id] = audience.with_passage(facts, passage.get("event", {}), passage.get("enrollment", {}))
    return found


def _address(contact: Any, channel: str) -> str | None:
    if contact is None:
        return None
    address: str | None = contact.email_key if channel == "email" else contact.phone
    return address


def _facts(
    row: MessageRow,
    contact: Any,
    states: Mapping[Key, State],
    purchases: tuple[Purchase, ...],
    booking: Purchase | None,
    barred: Mapping[tuple[str, str], tuple[Suppressed, ...]],
    told: Facts | None,
    now: datetime,
) -> ConsentFacts:
    home = (told or {}).get("property") or {}
    property_zone = str(home.get("zone") or "UTC")
    if contact is None:
        return ConsentFacts(None, {}, property_zone, erased=True)
    address = _address(contact, row.channel)
    return ConsentFacts(
        address=address,
        states=states,
        property_zone=property_zone,
        zone=contact.zone,
        country=contact.country,
        property_country=home.get("country"),
        frozen=contact.frozen_at is not None,
        pace=contact.pace,
        paused_until=contact.paused_until,
        erased=contact.erased_at is not None,
        minor=is_child(contact.birth_date, contact.age_band, now.date()),
        fourteen_on=fourteenth(contact.birth_date),
        suppressed=barred.get((row.channel, address or ""), ()),
        purchases=purchases,
        booking=booking,
    )


def _others(session: Session, batch: set[int], asked: Mapping[str, Any], now: datetime) -> dict[int, list[Other]]:
    found: dict[int, list[Other]] = {}
    for row in session.execute(_OTHERS, asked):
        if row.id not in batch:
            at = (row.gone_at or now) if row.state in _GONE else now
            other = Other(request_of(row), row.state, at)
            found.setdefault(row.contact_id, []).append(other)
    return found


def _reads(row: MessageRow) -> Sequence[str]:
    """What may tell of behaviour among what this person was chosen for it by."""
    return (row.terms or {}).get("reads") or ()


def _traced(session: Session, rows: Sequence[MessageRow]) -> frozenset[str]:
    """Of the segments that people were chosen by, those that rest on behaviour; two queries, or none for none."""
    named = {path.removeprefix(SEGMENT) for row in rows for path in _reads(row) if path.startswith(SEGMENT)}
    return audience.behavioural(session, named)


def _is_over(booking: Purchase | None, zone: str, now: datetime) -> bool:
    """Whether the stay that a message is about is over; so it is where the message is about none."""
    ended = booking.departure if booking is not None else None
    return booking is None or (ended is not None and ended < now.astimezone(zone_or_utc(zone)).date())


def _words(session: Session) -> tuple[dict[str, frozenset[str]], dict[str, Mapping[str, str]], frozenset[str]]:
    """Topic → what it speaks of (R8); topic → title; and the attributes that tell of behaviour (R13). One query."""
    about: dict[str, frozenset[str]] = {}
    titles: dict[str, Mapping[str, str]] = {}
    inferred: set[str] = set()
    for row in session.execute(_WORDS, {"ws": workspace_of(session)}):
        if row.title is None:
            inferred.add(row.name)
            continue
        titles[row.name] = row.title
        if row.about:
            about[row.name] = frozenset(row.about)
    return about, titles, frozenset(inferred)


_WORDS = text(
    """
    SELECT name, about, title FROM topics WHERE workspace_id = :ws
    UNION ALL
    SELECT key, '{}', NULL FROM attribute_definitions WHERE workspace_id = :ws AND inferred
    """
)
_CONTACTS = text(
    """
    SELECT id, email_key, phone, zone, country, frozen_at, erased_at, pace, paused_until,
           attributes ->> 'birth_date' AS birth_date, attributes ->> 'age_band' AS age_band
    FROM contacts WHERE workspace_id = :ws AND id = ANY(:contacts)
    """
)
_PURCHASES = text(
    """
    SELECT contact_id, id, status, amount, channel, departure, arrival, kind,
           status = 'refunded' OR coalesce(data ->> 'refunded', '') = 'true' AS refunded,
           CASE WHEN status = 'abandoned' THEN (
               SELECT max(CAST(c ->> 'occurred_at' AS timestamptz)) FROM jsonb_array_elements(claims) AS c
               WHERE c ->> 'type' IN ('booking.abandoned', 'order.abandoned')) END AS abandoned_at
    FROM bookings WHERE workspace_id = :ws AND contact_id = ANY(:contacts)
    """
)
# Service mail touches nobody's cap, and there is most of it: left out, but for what recalls something unfinished (R9).
_OTHERS = text(
    """
    SELECT contact_id, id, class AS class_, channel, topic, due_at, priority, latest, booking_id, state,
           coalesce(handed_over_at, accepted_at) AS gone_at
    FROM messages m
    WHERE workspace_id = :ws AND contact_id = ANY(:contacts)
      AND (class <> 'transactional' OR booking_id IN (
          SELECT id FROM bookings WHERE workspace_id = :ws AND contact_id = ANY(:contacts) AND status = 'abandoned'))
      AND (state IN ('planned', 'deferred', 'ready', 'leased', 'handed_over', 'unknown')
           OR state = 'accepted' AND accepted_at > :since)
    """
)
_PAUSED = text(
    """
    SELECT id, name, false AS broadcast FROM workflows WHERE workspace_id = :ws AND status = 'paused'
    UNION ALL
    SELECT id, name, true FROM broadcasts WHERE workspace_id = :ws AND state = 'paused'
    """
)
