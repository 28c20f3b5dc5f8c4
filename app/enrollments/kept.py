"""All that was kept about one person and one workflow, or one message: read once, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select, text
from sqlalchemy.orm import Session

from app.consent.models import ConsentRecord
from app.contacts.models import Contact, Property
from app.content.models import Template, TemplateVersion
from app.db import workspace_of
from app.enrollments import programs
from app.enrollments.models import Enrollment, EntryRefusal, StepVisit, Workflow, WorkflowVersion
from app.events.models import Event, EventWork
from app.journey.facts import known_zone
from app.journey.program import Program
from app.messages.models import Message

QUERIES = 14
"""At most: property, versions, programs, passages, messages, visits, refusals, events, work, templates, template
versions, ledger lines, attempts, reports."""

EACH = 300
"""Rows of one kind that are told at most, the newest; `Kept.cut` says where there were more."""


class Kept:
    """The rows, oldest first. `program` is that of the live version (else of any); `cut`: there were more of a kind."""

    def __init__(self, session: Session, contact: Contact, workflow: Workflow | None, message: Message | None) -> None:
        self.session, self.contact, self.workflow, self.message = session, contact, workflow, message
        self.cut = False
        self.zone = _zone(session, message)
        self.versions = _versions(session, workflow)
        self.enrollments = self._rows(self._enrollments()) if workflow else []
        self.messages = [message] if message else self._rows(self._messages())
        used = {one.version_id for one in self.enrollments} | {one.version_id for one in self.messages}
        live = workflow.live_version_id if workflow else None
        self.programs = programs.of_versions(session, {number for number in (*used, live) if number})
        self.program: Program | None = self.programs.get(live or 0) or next(iter(self.programs.values()), None)
        self.visits = self._rows(self._visits())
        self.refusals = self._rows(self._refused()) if workflow and message is None else []
        self.events = self._rows(self._events())
        self.work = self._work()
        self.titles, self.numbers = self._templates()
        self.lines = self._lines()
        self.attempts = _of_messages(session, _ATTEMPTS, self.messages)
        self.returned = _of_messages(session, _RETURNED, self.messages)

    def _rows(self, query: Any) -> list[Any]:
        if query is None:
            return []
        rows = list(self.session.scalars(query.limit(EACH + 1)).all())
        self.cut = self.cut or len(rows) > EACH
        return rows[:EACH][::-1]

    def _enrollments(self) -> Any:
        assert self.workflow is not None
        query = select(Enrollment).where(
            Enrollment.contact_id == self.contact.id, Enrollment.workflow_id == self.workflow.id
        )
        if self.message is not None:
            query = query.where(Enrollment.id == self.message.enrollment_id)
        return query.order_by(Enrollment.id.desc())

    def _messages(self) -> Any:
        assert self.workflow is not None
        return (
            select(Message)
            .where(Message.contact_id == self.contact.id, Message.workflow_id == self.workflow.id)
            .order_by(Message.id.desc())
        )

    def _visits(self) -> Any:
        if not self.enrollments:
            return None
        return (
            select(StepVisit)
            .where(
                StepVisit.contact_id == self.contact.id,
                StepVisit.enrollment_id.in_([one.id for one in self.enrollments]),
            )
            .order_by(StepVisit.id.desc())
        )

    def _refused(self) -> Any:
        assert self.workflow is not None
        return (
            select(EntryRefusal)
            .where(EntryRefusal.contact_id == self.contact.id, EntryRefusal.workflow_id == self.workflow.id)
            .order_by(EntryRefusal.id.desc())
        )

    def _events(self) -> Any:
        """What started a passage, might have started one, or changed a booking that one is about."""
        if self.workflow is None:
            return None
        bookings = {one.booking_id for one in self.enrollments if one.booking_id}
        started = {one.event_pk for one in (*self.enrollments, *self.refusals) if one.event_pk}
        asked = [Event.id.in_(started)] if started else []
        if self.message is None and self.program is not None:
            asked.append(
                Event.type.in_({*self.program.starts_on, *(rule.on for rule in self.program.exits if rule.on)})
            )
        if bookings:
            asked.append(Event.booking_id.in_(bookings))
        if not asked:
            return None
        return (
            select(Event)
            .where(Event.contact_id == self.contact.id, or_(*asked))
            .order_by(Event.received_at.desc(), Event.id.desc())
        )

    def _work(self) -> Mapping[int, EventWork]:
        rows = self.session.scalars(select(EventWork).where(EventWork.contact_id == self.contact.id)).all()
        return {row.event_pk: row for row in rows}

    def _templates(self) -> tuple[Mapping[str, Mapping[str, str]], Mapping[int, int]]:
        names = {one.template for one in self.messages}
        names |= {str((one.detail.get("inputs") or {}).get("template")) for one in self.visits if one.code == "send"}
        titles: dict[str, Mapping[str, str]] = {}
        if names:
            rows = self.session.execute(select(Template.name, Template.title).where(Template.name.in_(names)))
            titles = {row.name: row.title for row in rows}
        made = {one.template_version_id for one in self.messages if one.template_version_id}
        numbers: dict[int, int] = {}
        if made:
            query = select(TemplateVersion.id, TemplateVersion.number).where(TemplateVersion.id.in_(made))
            numbers = {row.id: row.number for row in self.session.execute(query)}
        return titles, numbers

    def _lines(self) -> Mapping[int, ConsentRecord]:
        wanted = {
            int(check["inputs"]["line"])
            for one in self.messages
            for verdict in one.verdict
            for check in verdict.get("checks", ())
            if (check.get("inputs") or {}).get("line")
        }
        if not wanted:
            return {}
        query = select(ConsentRecord).where(ConsentRecord.line.in_(wanted))
        return {row.line: row for row in self.session.scalars(query)}


def _zone(session: Session, message: Message | None) -> ZoneInfo:
    """The clock that moments are told on: the message's property's, else the one that speaks by default."""
    rows = session.execute(
        select(Property.id, Property.zone, Property.is_default).order_by(Property.is_default.desc(), Property.id)
    ).all()
    own = next((row for row in rows if message is not None and row.id == message.property_id), None)
    found = own or next(iter(rows), None)
    return ZoneInfo(found.zone) if found and known_zone(found.zone) else ZoneInfo("UTC")


def _versions(session: Session, workflow: Workflow | None) -> list[tuple[int, datetime, int]]:
    if workflow is None:
        return []
    rows = session.execute(
        select(WorkflowVersion.id, WorkflowVersion.published_at, WorkflowVersion.number)
        .where(WorkflowVersion.workflow_id == workflow.id)
        .order_by(WorkflowVersion.number)
    ).all()
    return [(row.id, row.published_at, row.number) for row in rows]


# Attempts and reports belong to delivery, which stands beside this package: read as rows, without its models.
_ATTEMPTS = text(
    """
    SELECT message_pk, number, transport, outcome, code, detail, at FROM attempts
    WHERE workspace_id = :ws AND contact_id = :contact AND message_pk = ANY(:messages) ORDER BY id
    """
)
_RETURNED = text(
    """
    SELECT message_pk, kind, reason, occurred_at, provider, data FROM delivery_events
    WHERE workspace_id = :ws AND contact_id = :contact AND message_pk = ANY(:messages)
    ORDER BY occurred_at, id LIMIT 1000
    """
)


def _of_messages(session: Session, query: Any, messages: Sequence[Message]) -> Mapping[int, Sequence[Any]]:
    if not messages:
        return {}
    asked = {
        "ws": workspace_of(session),
        "contact": messages[0].contact_id,
        "messages": [one.id for one in messages],
    }
    found: dict[int, list[Any]] = {}
    for row in session.execute(query, asked):
        found.setdefault(row.message_pk, []).append(row)
    return found
