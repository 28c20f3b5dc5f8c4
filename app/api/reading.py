"""What the API shows of people, bookings and messages: each function is one question and a fixed number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, select, text
from sqlalchemy.orm import Session

from app.api.pages import Wanted
from app.contacts.models import Booking, Contact, ContactAlias, Property
from app.db import workspace_of
from app.enrollments.models import Workflow
from app.messages.models import Message

CONTACT = (
    *("external_id", "email", "phone", "first_name", "last_name", "language", "zone", "country", "tags", "attributes"),
    *("created_at", "updated_at"),
)
BOOKING = (
    *("kind", "reference", "status", "arrival", "departure", "nights", "adults", "children", "amount", "currency"),
    *("channel", "language", "room_type", "rate", "booked_at", "cancelled_at", "checked_in_at", "checked_out_at"),
    *("data", "revision", "created_at", "updated_at"),
)
MESSAGE = (
    *("id", "channel", "template", "topic", "state", "reason", "rule", "verdict", "basis", "ledger_line", "step_id"),
    *("language", "subject", "message_id", "attempts", "planned_at", "due_at", "latest", "accepted_at"),
    *("delivered_at", "bounced_at", "complained_at", "clicked_at", "ended_at"),
)

TimeKey = tuple[datetime, str, int]
"""When, what kind of row, its number: where a timeline's page ends."""


def contact(session: Session, external_id: str) -> Contact | None:
    """The contact with this external id, or the one it was merged into. One or two queries."""
    if "\x00" in external_id:
        return None
    found = session.scalars(select(Contact).where(Contact.external_id == external_id)).one_or_none()
    if found is not None:
        return found
    former = select(ContactAlias.contact_id).where(ContactAlias.external_id == external_id).scalar_subquery()
    return session.scalars(select(Contact).where(Contact.id == former)).one_or_none()


def shown_contact(row: Contact) -> dict[str, Any]:
    """A contact as JSON."""
    return {name: getattr(row, name) for name in CONTACT}


def booking(session: Session, reference: str, kind: str) -> dict[str, Any] | None:
    """A booking (or order) as JSON, with its contact's external id and its property's code. One query."""
    if "\x00" in reference:
        return None
    row = session.execute(
        select(Booking, Contact.external_id, Property.code)
        .join(Contact, and_(Contact.workspace_id == Booking.workspace_id, Contact.id == Booking.contact_id))
        .outerjoin(Property, and_(Property.workspace_id == Booking.workspace_id, Property.id == Booking.property_id))
        .where(Booking.reference == reference, Booking.kind == kind)
    ).one_or_none()
    if row is None:
        return None
    found, external_id, code = row
    return {"contact": external_id, "property": code, **{name: getattr(found, name) for name in BOOKING}}


def timeline(session: Session, contact_id: int, asked: Wanted[TimeKey]) -> Sequence[Row[Any]]:
    """What happened to a person, newest first: events, messages, consent. One query."""
    at, kind, number = asked.after or (None, None, None)
    return session.execute(
        _TIMELINE,
        {
            "workspace": workspace_of(session),
            "contact": contact_id,
            "at": at,
            "kind": kind,
            "number": number,
            "limit": asked.limit + 1,
        },
    ).all()


def shown_moment(row: Row[Any]) -> dict[str, Any]:
    """A line of a timeline as JSON."""
    return {"at": row.at, "kind": row.kind, "what": row.what, "booking": row.booking, "detail": row.detail}


def moment_key(row: Row[Any]) -> TimeKey:
    """Where a line of a timeline stands."""
    return row.at, row.kind, row.number


def messages(
    session: Session,
    asked: Wanted[int],
    *,
    contact: str | None = None,
    workflow: str | None = None,
    state: str | None = None,
    reason: str | None = None,
) -> Sequence[tuple[Message, str | None, str | None]]:
    """Messages, newest first, by their contact's external id, workflow's name, state and reason. One query."""
    statement = (
        select(Message, Contact.external_id, Workflow.name)
        .join(Contact, and_(Contact.workspace_id == Message.workspace_id, Contact.id == Message.contact_id))
        .outerjoin(Workflow, and_(Workflow.workspace_id == Message.workspace_id, Workflow.id == Message.workflow_id))
        .order_by(Message.id.desc())
        .limit(asked.limit + 1)
    )
    for column, value in (
        (Contact.external_id, contact),
        (Workflow.name, workflow),
        (Message.state, state),
        (Message.reason, reason),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if asked.after is not None:
        statement = statement.where(Message.id < asked.after)
    return [(row[0], row[1], row[2]) for row in session.execute(statement)]


def shown_message(row: tuple[Message, str | None, str | None]) -> dict[str, Any]:
    """A message as JSON, with every judgement on it and the rule it rests on."""
    message, external_id, workflow = row
    shown = {name: getattr(message, name) for name in MESSAGE}
    return {"contact": external_id, "workflow": workflow, "class": message.class_, **shown}


def message_key(row: tuple[Message, str | None, str | None]) -> int:
    """Where a message stands in the list."""
    return row[0].id


_LEG = """(
    SELECT {at} AS at, '{kind}' AS kind, {number} AS number, {what} AS what, {booking} AS booking, {detail} AS detail
      FROM {table}
     WHERE workspace_id = :workspace AND contact_id = :contact
       AND (CAST(:at AS timestamptz) IS NULL OR ({at}, '{kind}', {number})
            < (CAST(:at AS timestamptz), CAST(:kind AS text), CAST(:number AS bigint)))
     ORDER BY {at} DESC, {number} DESC LIMIT :limit)"""
_TIMELINE = text(
    " UNION ALL ".join(
        (
            _LEG.format(
                table="events",
                at="ordered_at",
                kind="event",
                number="id",
                what="type",
                booking="booking_reference",
                detail="data",
            ),
            _LEG.format(
                table="messages",
                at="planned_at",
                kind="message",
                number="id",
                what="template",
                booking="CAST(NULL AS text)",
                detail="jsonb_build_object('id', id, 'class', class, 'state', state, 'reason', reason, 'rule', rule, "
                "'subject', subject, 'due_at', due_at, 'accepted_at', accepted_at)",
            ),
            _LEG.format(
                table="consent_records",
                at="recorded_at",
                kind="consent",
                number="line",
                what="state",
                booking="CAST(NULL AS text)",
                detail="jsonb_build_object('line', line, 'purpose', purpose, 'topic', topic, 'channel', channel, "
                "'address', address, 'method', method, 'confirmed_at', confirmed_at)",
            ),
        )
    )
    + " ORDER BY at DESC, kind DESC, number DESC LIMIT :limit"
)
