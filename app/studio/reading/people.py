"""Contacts: the list, one person, and everything that happened to them in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app.consent.models import ConsentRecord, Topic
from app.contacts.models import Booking, Contact
from app.enrollments.models import Enrollment, EntryRefusal, Workflow, WorkflowVersion
from app.events.models import Event
from app.messages.models import Message
from app.studio.reading.paging import Page, Wanted, page

EACH = 200
"""Entries of one kind a timeline shows at most."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a timeline: its kind says which partial draws `thing`."""

    at: datetime
    kind: str
    thing: Any
    beside: Any = None
    number: int | None = None
    """Of a passage: the version it is on."""


@dataclass(frozen=True, slots=True)
class Permission:
    """What a person allows for one purpose (and topic), by the last line of the ledger that says so."""

    purpose: str
    topic: str | None
    title: Mapping[str, str] | None
    channel: str
    line: ConsentRecord


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a person stands with one workflow: active, finished, exited, refused, or never (they have not met)."""

    workflow: Workflow
    standing: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """One person and everything their page tells."""

    contact: Contact
    bookings: Sequence[Booking]
    permissions: Sequence[Permission]
    ledger: Sequence[ConsentRecord]
    phases: Mapping[str, int]
    timeline: Sequence[Entry] = field(default_factory=tuple)
    met: Sequence[Standing] = field(default_factory=tuple)


def listed(session: Session, text: str, wanted: Wanted) -> Page[Any]:
    """Contacts, newest first; one query."""
    query = select(Contact).where(Contact.merged_into.is_(None), Contact.erased_at.is_(None))
    if text:
        query = query.where(_matches(text))
    return page(session, query, Contact.id, wanted, lambda row: int(row[0].id))


def _matches(text: str) -> Any:
    like = f"%{text}%"
    return or_(
        Contact.email.ilike(like),
        Contact.external_id.ilike(like),
        Contact.phone.ilike(like),
        func.concat_ws(" ", Contact.first_name, Contact.last_name).ilike(like),
    )


def found(session: Session, text: str, most: int = 6) -> Sequence[Contact]:
    """The first few people that a text may mean; one query."""
    return session.scalars(
        select(Contact)
        .where(Contact.merged_into.is_(None), Contact.erased_at.is_(None), _matches(text))
        .order_by(Contact.id.desc())
        .limit(most)
    ).all()


def beside(session: Session, contact_ids: Sequence[int]) -> tuple[dict[int, Booking], dict[int, int]]:
    """For a page of contacts: each one's latest booking, and in how many workflows they are; two queries."""
    latest = session.scalars(
        select(Booking)
        .where(Booking.contact_id.in_(contact_ids))
        .order_by(Booking.contact_id, Booking.arrival.desc().nulls_last(), Booking.id.desc())
        .ext(distinct_on(Booking.contact_id))
    ).all()
    inside = session.execute(
        select(Enrollment.contact_id, func.count())
        .where(Enrollment.contact_id.in_(contact_ids), Enrollment.status == "active")
        .group_by(Enrollment.contact_id)
    ).all()
    return {booking.contact_id: booking for booking in latest}, {row[0]: row[1] for row in inside}


def one(session: Session, contact_id: int) -> Told | None:
    """A person with bookings, permissions and timeline; eleven queries, whatever there is."""
    contact = session.scalar(select(Contact).where(Contact.id == contact_id))
    if contact is None:
        return None
    bookings = session.scalars(
        select(Booking)
        .where(Booking.contact_id == contact_id)
        .order_by(Booking.arrival.desc().nulls_last())
        .limit(EACH)
    ).all()
    ledger = session.scalars(
        select(ConsentRecord)
        .where(ConsentRecord.contact_id == contact_id)
        .order_by(ConsentRecord.line.desc())
        .limit(EACH)
    ).all()
    topics = {topic.name: topic.title for topic in session.scalars(select(Topic))}
    passages = session.execute(
        select(Enrollment, Workflow, WorkflowVersion.number)
        .join(Workflow, Workflow.id == Enrollment.workflow_id)
        .join(WorkflowVersion, WorkflowVersion.id == Enrollment.version_id)
        .where(Enrollment.contact_id == contact_id)
        .order_by(Enrollment.id.desc())
        .limit(EACH)
    ).all()
    events = session.scalars(
        select(Event).where(Event.contact_id == contact_id).order_by(Event.ordered_at.desc()).limit(EACH)
    ).all()
    messages = session.execute(
        select(Message, Workflow)
        .outerjoin(Workflow, Workflow.id == Message.workflow_id)
        .where(Message.contact_id == contact_id)
        .order_by(Message.id.desc())
        .limit(EACH)
    ).all()
    refusals = session.execute(
        select(EntryRefusal, Workflow)
        .join(Workflow, Workflow.id == EntryRefusal.workflow_id)
        .where(EntryRefusal.contact_id == contact_id)
        .order_by(EntryRefusal.id.desc())
        .limit(EACH)
    ).all()
    entries = [Entry(event.ordered_at, "event", event) for event in events]
    entries += [Entry(row[0].entered_at, "entered", row[0], row[1], row[2]) for row in passages]
    entries += [Entry(row[0].ended_at, "ended", row[0], row[1]) for row in passages if row[0].ended_at]
    entries += [Entry(_moment(row[0]), "message", row[0], row[1]) for row in messages]
    entries += [Entry(row[0].at, "refusal", row[0], row[1]) for row in refusals]
    entries += [Entry(line.recorded_at, "consent", line, topics.get(line.topic or "")) for line in ledger]
    entries.sort(key=lambda entry: entry.at, reverse=True)
    phases: dict[str, int] = {}
    for enrollment, workflow, _ in passages:
        if enrollment.status == "active":
            phases[workflow.phase] = phases.get(workflow.phase, 0) + 1
    met = standings(session, contact_id)
    return Told(contact, bookings, _permissions(ledger, topics), ledger, phases, entries, met)


def standings(session: Session, contact_id: int) -> list[Standing]:
    """Where a person stands with every workflow that was published, those they met first; three queries."""
    workflows = session.scalars(
        select(Workflow).where(Workflow.live_version_id.is_not(None)).order_by(Workflow.phase, Workflow.name)
    ).all()
    passages = session.scalars(
        select(Enrollment)
        .where(Enrollment.contact_id == contact_id)
        .order_by(Enrollment.workflow_id, (Enrollment.status == "active").desc(), Enrollment.id.desc())
        .ext(distinct_on(Enrollment.workflow_id))
    ).all()
    refused = session.execute(
        select(EntryRefusal.workflow_id, func.max(EntryRefusal.at))
        .where(EntryRefusal.contact_id == contact_id)
        .group_by(EntryRefusal.workflow_id)
    ).all()
    inside = {one.workflow_id: one for one in passages}
    last = {row[0]: row[1] for row in refused}
    found = []
    for workflow in workflows:
        passage = inside.get(workflow.id)
        if passage is not None:
            found.append(Standing(workflow, passage.status, passage.ended_at or passage.entered_at))
        elif workflow.id in last:
            found.append(Standing(workflow, "refused", last[workflow.id]))
        elif workflow.status != "archived":
            found.append(Standing(workflow, "never"))
    return sorted(found, key=lambda one: one.standing == "never")


def _moment(message: Message) -> datetime:
    """When a message stands in a timeline: when it ended, else when it is due."""
    return message.accepted_at or message.ended_at or message.due_at


def _permissions(ledger: Sequence[ConsentRecord], topics: Mapping[str, Any]) -> list[Permission]:
    """The newest line of each purpose, topic and channel; the newest of a purpose first."""
    seen: dict[tuple[str, str | None, str], Permission] = {}
    for line in ledger:
        key = (line.purpose, line.topic, line.channel)
        if key not in seen:
            seen[key] = Permission(line.purpose, line.topic, topics.get(line.topic or ""), line.channel, line)
    return sorted(seen.values(), key=lambda one: (one.purpose != "marketing", one.purpose, one.topic or ""))
