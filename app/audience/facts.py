"""All that a condition or a template may see of a person, for a whole batch, in a fixed number of queries.

Conditions (upstream, when steps are taken) and templates (downstream, when mails are composed) read the same dict, so a
workflow cannot decide on one thing and a mail say another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.consent import ledger
from app.consent.fold import words
from app.contacts.models import Booking, Contact, Property

QUERIES = 4
"""contacts, bookings, properties, consents; whatever the size of the batch."""

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Who:
    """A person, with the booking and the property a passage or a message is about."""

    contact_id: int
    booking_id: int | None = None
    property_id: int | None = None


def load(session: Session, wanted: Iterable[Who], now: datetime) -> dict[Who, Facts]:
    """Facts by person and subject.

    Args:
        session: a unit of work of one workspace.
        wanted: who to load; doubled entries cost nothing. A contact that does not exist is left out of the answer.
        now: put into the facts as `now`.

    Returns:
        For each: `now`, `contact`, `booking` (None without one), `property` (the booking's, else the one asked for,
        else the default one), `consent` (topic or purpose → state). `event` and `enrollment` belong to a passage and
        are added by whoever holds it (`with_passage`).
    """
    people = list(dict.fromkeys(wanted))
    contact_ids = sorted({who.contact_id for who in people})
    contacts = {
        row.id: contact_facts(row) for row in session.execute(_CONTACTS.where(Contact.id.in_(contact_ids))).all()
    }
    bookings: dict[int, tuple[Facts, int | None]] = {}
    booking_ids = sorted({who.booking_id for who in people if who.booking_id})
    for stay in session.execute(_BOOKINGS.where(Booking.id.in_(booking_ids))).all():
        bookings[stay.id] = (booking_facts(stay), stay.property_id)
    properties: dict[int | None, Facts] = {}
    for place in session.execute(_PROPERTIES.order_by(Property.id)).all():
        properties[place.id] = property_facts(place)
        if place.is_default or None not in properties:
            properties[None] = properties[place.id]
    consents = _consents(session, contact_ids, {key: value.get("email") for key, value in contacts.items()})
    found: dict[Who, Facts] = {}
    for who in people:
        contact = contacts.get(who.contact_id)
        if contact is None:
            continue
        booking, of_property = bookings.get(who.booking_id or 0, (None, None))
        found[who] = {
            "now": now,
            "contact": contact,
            "booking": booking,
            "property": properties.get(of_property or who.property_id) or properties.get(None),
            "consent": consents.get(who.contact_id, {}),
        }
    return found


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
_BOOKINGS = select(
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
)
_PROPERTIES = select(
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
