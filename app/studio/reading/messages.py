"""Messages with filters; one message with all that is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from app.contacts.models import Booking, Contact, Property
from app.content.models import Template, TemplateVersion
from app.delivery.models import CapturedMail
from app.enrollments.models import Enrollment, Workflow, WorkflowVersion
from app.messages.models import STATES, Message
from app.studio.reading.paging import Page, Wanted, page


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list of messages is narrowed to; empty texts narrow nothing."""

    state: str = ""
    workflow: str = ""
    class_: str = ""
    reason: str = ""
    text: str = ""
    contact_id: int | None = None
    property_id: int | None = None
    broadcast_id: int | None = None

    @property
    def any(self) -> bool:
        """Whether anything is narrowed (the property is the frame's, not the list's)."""
        return bool(
            self.state or self.workflow or self.class_ or self.reason or self.text or self.contact_id
            or self.broadcast_id
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """One message and everything its page tells."""

    message: Message
    contact: Contact
    property: Property | None
    booking: Booking | None
    enrollment: Enrollment | None
    workflow: Workflow | None
    version: WorkflowVersion | None
    template: Template | None
    template_version: int | None
    captured_id: int | None


def _contact_joined(query: Any) -> Any:
    return query.join(
        Contact, and_(Contact.workspace_id == Message.workspace_id, Contact.id == Message.contact_id)
    ).outerjoin(Workflow, Workflow.id == Message.workflow_id)


def _narrowed(query: Any, filters: Filters) -> Any:
    if filters.workflow:
        query = query.where(Workflow.name == filters.workflow)
    if filters.class_:
        query = query.where(Message.class_ == filters.class_)
    if filters.reason:
        query = query.where(Message.reason == filters.reason)
    if filters.contact_id is not None:
        query = query.where(Message.contact_id == filters.contact_id)
    if filters.broadcast_id is not None:
        query = query.where(Message.broadcast_id == filters.broadcast_id)
    if filters.property_id is not None:
        query = query.where(Message.property_id == filters.property_id)
    if filters.text:
        like = f"%{filters.text}%"
        query = query.where(
            or_(
                Message.address.ilike(like),
                Message.subject.ilike(like),
                Contact.email.ilike(like),
                func.concat_ws(" ", Contact.first_name, Contact.last_name).ilike(like),
                Message.template.ilike(like),
            )
        )
    return query


def listed(session: Session, filters: Filters, wanted: Wanted) -> Page[Any]:
    """Rows (Message, Contact, Workflow or None), newest plan first; one query."""
    query = _narrowed(_contact_joined(select(Message, Contact, Workflow)), filters)
    if filters.state:
        query = query.where(Message.state == filters.state)
    return page(session, query, Message.id, wanted, lambda row: int(row[0].id))


def by_state(session: Session, filters: Filters) -> dict[str, int]:
    """How many messages in each state, under the other filters; one query."""
    query = select(Message.state, func.count()).group_by(Message.state)
    if filters.text or filters.workflow:
        query = _contact_joined(query)
    found = {str(state): int(count) for state, count in session.execute(_narrowed(query, filters))}
    return {state: found[state] for state in STATES if state in found}


def choices(session: Session) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    """What the filters offer: workflows (name, title) and the reasons that occur; two queries."""
    workflows = [
        (row[0], row[1]) for row in session.execute(select(Workflow.name, Workflow.title).order_by(Workflow.name))
    ]
    reasons = session.scalars(
        select(Message.reason).where(Message.reason.is_not(None)).group_by(Message.reason).order_by(Message.reason)
    ).all()
    return workflows, [str(reason) for reason in reasons]


def one(session: Session, message_id: int) -> Told | None:
    """A message with its whole story; two queries; why it went as it did is `enrollments.explain`."""
    row = session.execute(
        select(
            Message, Contact, Property, Booking, Enrollment, Workflow, WorkflowVersion, Template, TemplateVersion.number
        )
        .join(Contact, and_(Contact.workspace_id == Message.workspace_id, Contact.id == Message.contact_id))
        .outerjoin(Property, Property.id == Message.property_id)
        .outerjoin(Booking, Booking.id == Message.booking_id)
        .outerjoin(Enrollment, Enrollment.id == Message.enrollment_id)
        .outerjoin(Workflow, Workflow.id == Message.workflow_id)
        .outerjoin(WorkflowVersion, WorkflowVersion.id == Message.version_id)
        .outerjoin(Template, Template.name == Message.template)
        .outerjoin(TemplateVersion, TemplateVersion.id == Message.template_version_id)
        .where(Message.id == message_id)
    ).first()
    if row is None:
        return None
    message, contact, property_, booking, enrollment, workflow, version, template, number = row
    captured = session.scalar(select(CapturedMail.id).where(CapturedMail.message_pk == message.id))
    return Told(
        message, contact, property_, booking, enrollment, workflow, version, template, number, captured
    )  # fmt: skip


def captured(session: Session, captured_id: int) -> CapturedMail | None:
    """A mail kept in the outbox; one query."""
    return session.scalar(select(CapturedMail).where(CapturedMail.id == captured_id))


def outbox(session: Session, wanted: Wanted, text: str, property_id: int | None = None) -> Page[Any]:
    """Kept mails, newest first, without their bytes: (id, captured_at, to, Message, Contact); one query.

    Message and Contact are None for a test mail.
    """
    query = (
        select(CapturedMail.id, CapturedMail.captured_at, CapturedMail.envelope_to, Message, Contact)
        # A test mail of a broadcast belongs to no message and no contact.
        .outerjoin(
            Message, and_(Message.workspace_id == CapturedMail.workspace_id, Message.id == CapturedMail.message_pk)
        )
        .outerjoin(Contact, and_(Contact.workspace_id == Message.workspace_id, Contact.id == Message.contact_id))
        .where(Message.id.is_not(None) | (CapturedMail.message_pk < 0))
    )
    if property_id is not None:
        query = query.where(Message.property_id == property_id)
    if text:
        like = f"%{text}%"
        query = query.where(CapturedMail.envelope_to.ilike(like) | Message.subject.ilike(like))
    return page(session, query, CapturedMail.id, wanted, lambda row: int(row[0]))
