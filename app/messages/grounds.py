"""All that judging and composing a batch of messages rests on, loaded in a fixed number of queries.

Judged twice (at the gate, and in the transaction of the lease) and composed once, a message is looked at with the same
eyes each time: whoever needs two of the three loads the grounds once and passes them on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.audience import facts as audience
from app.audience.facts import Facts, Who
from app.consent import ledger
from app.consent.case import ConsentFacts, Contacted, Purchase, Request, Suppressed
from app.consent.fold import Key, State
from app.consent.policy import Policy
from app.db import workspace_of
from app.messages.rows import MessageRow
from app.messages.snapshot import thaw

QUERIES = 7 + audience.QUERIES
"""workspace, contacts, purchases, consent lines, suppressions, other messages, paused workflows; and audience.facts."""

Moment = Literal["gate", "lease"]

_LOOK_BACK = timedelta(days=32)
_CHILD_YEARS = 14
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
        return Contacted(self.request.message_id, self.request.class_, self.at, self.request.booking_id)


@dataclass(frozen=True, slots=True)
class Grounds:
    """What is known for a batch at one instant."""

    now: datetime
    workspace_id: int
    workspace: Mapping[str, Any]
    """The workspace's settings."""
    policy: Policy
    facts: Mapping[int, ConsentFacts]
    """Message id → facts for the rules, without other messages (they depend on what the batch itself decides)."""
    told: Mapping[int, Facts]
    """Message id → what conditions and templates see, with the passage."""
    others: Mapping[int, Sequence[Other]]
    """Contact id → other messages, none of this batch among them."""


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
    for row in session.execute(_PURCHASES, asked):
        one = Purchase(row.id, row.status, row.amount, row.channel, row.departure, row.refunded)
        purchases.setdefault(row.contact_id, []).append(one)
        bookings[row.id] = one
    states = ledger.current(session, contact_ids)
    addresses = {
        (row.channel, address)
        for row in rows
        if (address := _address(contacts.get(row.contact_id), row.channel)) is not None
    }
    barred = ledger.suppressed(session, addresses)
    others = _others(session, {row.id for row in rows}, {**asked, "since": now - _LOOK_BACK}, now)
    paused: dict[int, str] = {row.id: row.name for row in session.execute(_PAUSED, asked)}
    told = _told(session, rows, now)
    return Grounds(
        now,
        workspace_id,
        workspace,
        Policy.from_settings(workspace),
        {
            row.id: replace(
                _facts(
                    row,
                    contacts.get(row.contact_id),
                    states.get(row.contact_id, {}),
                    tuple(purchases.get(row.contact_id, ())),
                    bookings.get(row.booking_id or 0),
                    barred,
                    _zone(told.get(row.id)),
                    now,
                ),
                paused=paused.get(row.workflow_id or 0),
            )
            for row in rows
        },
        told,
        others,
    )


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


def _zone(told: Facts | None) -> str:
    return str(((told or {}).get("property") or {}).get("zone") or "UTC")


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
    property_zone: str,
    now: datetime,
) -> ConsentFacts:
    if contact is None:
        return ConsentFacts(None, {}, property_zone, erased=True)
    address = _address(contact, row.channel)
    return ConsentFacts(
        address=address,
        states=states,
        property_zone=property_zone,
        zone=contact.zone,
        country=contact.country,
        frozen=contact.frozen_at is not None,
        erased=contact.erased_at is not None,
        minor=_is_minor(contact.birth_date, now),
        suppressed=barred.get((row.channel, address or ""), ()),
        purchases=purchases,
        booking=booking,
    )


def _is_minor(birth_date: str | None, now: datetime) -> bool:
    """Known to be under 14 (R12); a filler or unreadable date says nothing."""
    try:
        born = date.fromisoformat((birth_date or "")[:10])
    except ValueError:
        return False
    today = now.date()
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day)) < _CHILD_YEARS


def _others(session: Session, batch: set[int], asked: Mapping[str, Any], now: datetime) -> dict[int, list[Other]]:
    found: dict[int, list[Other]] = {}
    for row in session.execute(_OTHERS, asked):
        if row.id not in batch:
            at = (row.gone_at or now) if row.state in _GONE else now
            other = Other(request_of(row), row.state, at)
            found.setdefault(row.contact_id, []).append(other)
    return found


_CONTACTS = text(
    """
    SELECT id, email_key, phone, zone, country, frozen_at, erased_at, attributes ->> 'birth_date' AS birth_date
    FROM contacts WHERE workspace_id = :ws AND id = ANY(:contacts)
    """
)
_PURCHASES = text(
    """
    SELECT contact_id, id, status, amount, channel, departure,
           status = 'refunded' OR coalesce(data ->> 'refunded', '') = 'true' AS refunded
    FROM bookings WHERE workspace_id = :ws AND contact_id = ANY(:contacts)
    """
)
# Service mail touches nobody's cap, and there is most of it: left out.
_OTHERS = text(
    """
    SELECT contact_id, id, class AS class_, channel, topic, due_at, priority, latest, booking_id, state,
           coalesce(handed_over_at, accepted_at) AS gone_at
    FROM messages
    WHERE workspace_id = :ws AND contact_id = ANY(:contacts) AND class <> 'transactional'
      AND (state IN ('planned', 'deferred', 'ready', 'leased', 'handed_over', 'unknown')
           OR state = 'accepted' AND accepted_at > :since)
    """
)
_PAUSED = text("SELECT id, name FROM workflows WHERE workspace_id = :ws AND status = 'paused'")
