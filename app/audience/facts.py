"""All that a condition or a template may see of a person, for a whole batch, in a fixed number of queries.

Conditions (upstream, when steps are taken) and templates (downstream, when mails are composed) read the same dict, so a
workflow cannot decide on one thing and a mail say another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.audience.models import Segment, SegmentMember
from app.consent import behaviour, ledger
from app.consent.fold import words
from app.contacts.models import AttributeDefinition, Booking, Contact, Property
from app.db import workspace_of
from app.journey.condition_lines import MOST_TIMES
from app.journey.condition_tree import fields, from_json

QUERIES = 4
"""contacts, bookings, properties, consents; whatever the size of the batch. Segments and engagement, which are loaded
only where a program of the batch asks for them, are one more each."""

Facts = dict[str, Any]

HUMAN = "coalesce(d.data ->> 'class', 'human') = 'human' AND coalesce(d.data ->> 'machine', 'false') <> 'true'"
"""Of a delivery event d: a person did it. Who it was is kept under `class` (see `delivery/engagement.py`), until it is
settled `unsettled`; a provider's own word for a machine under `machine`."""


@dataclass(frozen=True, slots=True)
class Who:
    """A person, with the booking and the property a passage or a message is about."""

    contact_id: int
    booking_id: int | None = None
    property_id: int | None = None


def load(session: Session, wanted: Iterable[Who], now: datetime, *, segments: bool = False) -> dict[Who, Facts]:
    """Facts by person and subject.

    Args:
        session: a unit of work of one workspace.
        wanted: who to load; doubled entries cost nothing. A contact that does not exist is left out of the answer.
        now: put into the facts as `now`.
        segments: load `contact.segments` (and `segments`), the names of those the person is in: one query more.

    Returns:
        For each: `now`, `contact`, `booking` (None without one), `property` (the booking's, else the one asked for,
        else the default one), `consent` (topic or purpose → state). `event` and `enrollment` belong to a passage and
        are added by whoever holds it (`with_passage`).
    """
    people = list(dict.fromkeys(wanted))
    contact_ids = sorted({who.contact_id for who in people})
    persons = of_contacts(session, contact_ids, now)
    inside = segments_of(session, contact_ids) if segments else None
    bookings: dict[int, tuple[Facts, int | None]] = {}
    booking_ids = sorted({who.booking_id for who in people if who.booking_id})
    for stay in session.execute(BOOKINGS.where(Booking.id.in_(booking_ids))).all():
        bookings[stay.id] = (booking_facts(stay), stay.property_id)
    properties: dict[int | None, Facts] = {}
    for place in session.execute(PROPERTIES.order_by(Property.id)).all():
        properties[place.id] = property_facts(place)
        if place.is_default or None not in properties:
            properties[None] = properties[place.id]
    found: dict[Who, Facts] = {}
    for who in people:
        person = persons.get(who.contact_id)
        if person is None:
            continue
        booking, of_property = bookings.get(who.booking_id or 0, (None, None))
        found[who] = {
            **person,
            "booking": booking,
            "property": properties.get(of_property or who.property_id) or properties.get(None),
        }
        if inside is not None:
            names = inside.get(who.contact_id, [])
            found[who] |= {"contact": {**person["contact"], "segments": names}, "segments": frozenset(names)}
    return found


def of_contacts(session: Session, contact_ids: Sequence[int], now: datetime) -> dict[int, Facts]:
    """`now`, `contact` and `consent` of these people; two queries. Who does not exist is left out."""
    contacts = {
        row.id: contact_facts(row) for row in session.execute(_CONTACTS.where(Contact.id.in_(contact_ids))).all()
    }
    consents = _consents(session, contact_ids, {key: value.get("email") for key, value in contacts.items()})
    return {
        contact_id: {"now": now, "contact": contact, "consent": consents.get(contact_id, {})}
        for contact_id, contact in contacts.items()
    }


def segments_of(session: Session, contact_ids: Sequence[int]) -> dict[int, list[str]]:
    """Contact → names of the living segments they are in, as far as the last refresh knows; one query."""
    found: dict[int, list[str]] = {}
    rows = session.execute(
        select(SegmentMember.contact_id, Segment.name)
        .join(Segment, (Segment.workspace_id == SegmentMember.workspace_id) & (Segment.id == SegmentMember.segment_id))
        .where(SegmentMember.contact_id.in_(contact_ids), Segment.archived_at.is_(None))
        .order_by(Segment.name)
    )
    for row in rows:
        found.setdefault(row.contact_id, []).append(row.name)
    return found


def behavioural(session: Session, names: Collection[str]) -> frozenset[str]:
    """Of these segments those that rest on what people did, or on what was worked out of it (R13). A segment rests on
    no other, so one look is enough. Two queries, none for none."""
    if not names:
        return frozenset()
    inferred = set(session.scalars(select(AttributeDefinition.key).where(AttributeDefinition.inferred)))
    rows = session.execute(select(Segment.name, Segment.condition).where(Segment.name.in_(names))).all()
    return frozenset(row.name for row in rows if behaviour.tells(fields(from_json(row.condition)), inferred))


def with_withheld(facts: Mapping[str, Any], traced: frozenset[str]) -> Facts:
    """The facts as whoever decides on marketing may see them: without a consent to profiling it cannot be known whether
    the person is in a segment that rests on behaviour, and they go the way of the unknown (R13)."""
    return dict(facts) if facts["consent"].get("profiling") == "granted" else {**facts, "withheld": traced}


_ENGAGEMENT = text(
    f"""
    SELECT m.enrollment_id, d.kind, m.step_id, max(d.occurred_at) AS at
    FROM messages m
    JOIN delivery_events d ON d.workspace_id = m.workspace_id AND d.contact_id = m.contact_id AND d.message_pk = m.id
        -- Nothing is heard of a mail before it was planned: the months before are not looked at.
        AND d.received_at >= m.planned_at - interval '1 day'
    WHERE m.workspace_id = :workspace_id AND m.contact_id = ANY(:contact_ids) AND m.enrollment_id = ANY(:enrollments)
        AND d.kind IN ('clicked', 'opened') AND d.occurred_at <= :now AND {HUMAN}
    GROUP BY 1, 2, 3
    """
)


def engagement(
    session: Session, passages: Iterable[tuple[int, int]], now: datetime
) -> dict[int, dict[str, dict[str, datetime]]]:
    """What people did with the messages of these very passages, for `with_engagement`; one query, none for nobody.

    Args:
        passages: (enrollment's number, contact's number) of those whose program asks for it.

    Returns:
        Enrollment → `clicked` or `opened` → step → when it was last done. Only what a person did counts.
    """
    asked = dict(passages)
    if not asked:
        return {}
    given = {
        "workspace_id": workspace_of(session),
        "contact_ids": sorted(set(asked.values())),
        "enrollments": sorted(asked),
        "now": now,
    }
    found: dict[int, dict[str, dict[str, datetime]]] = {}
    for row in session.execute(_ENGAGEMENT, given):
        found.setdefault(row.enrollment_id, {}).setdefault(row.kind, {})[row.step_id] = row.at
    return found


_HAPPENED = text(
    """
    SELECT contact_id, type, ordered_at FROM (
        SELECT contact_id, type, ordered_at,
            row_number() OVER (PARTITION BY contact_id, type ORDER BY ordered_at DESC) AS place
        FROM events
        WHERE workspace_id = :workspace_id AND contact_id = ANY(:contact_ids) AND ordered_at <= :now
            AND quarantined IS NULL AND (CAST(:types AS text[]) IS NULL OR type = ANY(:types))
    ) AS newest WHERE place <= :most
    """
)


def happened(
    session: Session, contact_ids: Sequence[int], now: datetime, types: Sequence[str] | None = None
) -> dict[int, list[tuple[str, datetime, Mapping[str, Any]]]]:
    """Contact → what has happened to them, as `did` counts it: the newest `MOST_TIMES` of each kind; one query.

    Args:
        types: only of these kinds; None: of all.
    """
    given = {
        "workspace_id": workspace_of(session),
        "contact_ids": list(contact_ids),
        "types": None if types is None else list(types),
        "now": now,
        "most": MOST_TIMES,
    }
    found: dict[int, list[tuple[str, datetime, Mapping[str, Any]]]] = {}
    for row in session.execute(_HAPPENED, given):
        found.setdefault(row.contact_id, []).append((row.type, row.ordered_at, {}))
    return found


def with_engagement(
    facts: Mapping[str, Any], acts: Mapping[str, Mapping[str, datetime]], *, promotes: bool = False
) -> Facts:
    """The facts with `engagement`; consent to being tracked decides whether its absence means anything (R14).

    Args:
        promotes: what is decided by it is marketing: without a consent to profiling nothing is known then, neither
            what was done nor what was not, and the person goes the way of the unknown (R13).
    """
    consent = facts["consent"]
    if promotes and consent.get("profiling") != "granted":
        return {**facts, "engagement": {"tracked": False}}
    return {**facts, "engagement": {"tracked": consent.get("open_tracking") == "granted", **acts}}


def with_passage(facts: Mapping[str, Any], event: Mapping[str, Any], enrollment: Mapping[str, Any]) -> Facts:
    """The same facts as one passage sees them: with its entry event and its own fields."""
    return {**facts, "event": event, "enrollment": enrollment}


_CONTACTS = select(
    Contact.id,
    Contact.external_id,
    Contact.email,
    Contact.phone,
    Contact.first_name,
    Contact.last_name,
    Contact.language,
    Contact.zone,
    Contact.country,
    Contact.tags,
    Contact.attributes,
    Contact.created_at,
    Contact.frozen_at,
    Contact.erased_at,
)
BOOKINGS = select(
    Booking.id,
    Booking.kind,
    Booking.reference,
    Booking.property_id,
    Booking.status,
    Booking.arrival,
    Booking.departure,
    Booking.nights,
    Booking.adults,
    Booking.children,
    Booking.amount,
    Booking.currency,
    Booking.channel,
    Booking.language,
    Booking.room_type,
    Booking.rate,
    Booking.data,
    Booking.revision,
    Booking.booked_at,
    Booking.cancelled_at,
    Booking.replaced_by,
)
PROPERTIES = select(
    Property.id,
    Property.code,
    Property.name,
    Property.zone,
    Property.language,
    Property.currency,
    Property.sender_name,
    Property.sender_email,
    Property.reply_to,
    Property.email,
    Property.phone,
    Property.city,
    Property.country,
    Property.checkin_from,
    Property.checkout_until,
    Property.cin,
    Property.vat,
    Property.controller,
    Property.address,
    Property.links,
    Property.colours,
    Property.data,
    Property.is_default,
)


def contact_facts(row: Any) -> Facts:
    """`contact.*` from a row of contacts."""
    return {
        "id": row.id,
        "external_id": row.external_id,
        "email": row.email,
        "phone": row.phone,
        "first_name": row.first_name,
        "last_name": row.last_name,
        "language": row.language,
        "zone": row.zone,
        "country": row.country,
        "tags": list(row.tags),
        "attributes": row.attributes,
        "created_at": row.created_at,
    }


def booking_facts(row: Any) -> Facts:
    """`booking.*` from a row of bookings; what events said besides stands under `booking.data`."""
    return {
        "kind": row.kind,
        "reference": row.reference,
        "status": row.status,
        "arrival": row.arrival,
        "departure": row.departure,
        "nights": row.nights,
        "adults": row.adults,
        "children": row.children,
        "amount": row.amount,
        "currency": row.currency,
        "channel": row.channel,
        "language": row.language,
        "room_type": row.room_type,
        "rate": row.rate,
        "revision": row.revision,
        "created_at": row.booked_at,
        "cancelled_at": row.cancelled_at,
        "replaced": row.replaced_by is not None,
        "data": row.data,
    }


def property_facts(row: Any) -> Facts:
    """`property.*` from a row of properties."""
    return {
        "code": row.code,
        "name": row.name,
        "zone": row.zone,
        "language": row.language,
        "currency": row.currency,
        "sender_name": row.sender_name,
        "sender_email": row.sender_email,
        "reply_to": row.reply_to,
        "email": row.email,
        "phone": row.phone,
        "city": row.city,
        "country": row.country,
        "checkin_from": row.checkin_from,
        "checkout_until": row.checkout_until,
        "cin": row.cin,
        "vat": row.vat,
        "controller": row.controller,
        "address": row.address,
        "links": row.links,
        "colours": row.colours,
        "data": row.data,
    }


def _consents(
    session: Session, contact_ids: Sequence[int], addresses: Mapping[int, str | None]
) -> dict[int, dict[str, str]]:
    """contact → {topic or purpose: state} for its present e-mail address; the ledger's fold decides what is current."""
    return {
        contact_id: words(states, ledger.address_key(addresses.get(contact_id) or ""))
        for contact_id, states in ledger.current(session, contact_ids).items()
    }
