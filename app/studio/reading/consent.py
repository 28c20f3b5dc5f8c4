"""The ledger's lines and the addresses that must not be written to."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from app.consent.models import ConsentRecord, Suppression, Topic
from app.contacts.models import Contact
from app.studio.reading.paging import Page, Wanted, page


def ledger(session: Session, wanted: Wanted, *, text: str, state: str, purpose: str) -> Page[Any]:
    """Lines with who they are about, newest first; one query."""
    query = select(ConsentRecord, Contact).outerjoin(
        Contact, and_(Contact.workspace_id == ConsentRecord.workspace_id, Contact.id == ConsentRecord.contact_id)
    )
    if state:
        query = query.where(ConsentRecord.state == state)
    if purpose:
        query = query.where(ConsentRecord.purpose == purpose)
    if text:
        like = f"%{text}%"
        query = query.where(
            ConsentRecord.address.ilike(like) | func.concat_ws(" ", Contact.first_name, Contact.last_name).ilike(like)
        )
    return page(session, query, ConsentRecord.line, wanted, lambda row: int(row[0].line))


def line(session: Session, number: int) -> tuple[ConsentRecord, Contact | None] | None:
    """One line of the ledger with who it is about; one query."""
    row = session.execute(
        select(ConsentRecord, Contact)
        .outerjoin(
            Contact, and_(Contact.workspace_id == ConsentRecord.workspace_id, Contact.id == ConsentRecord.contact_id)
        )
        .where(ConsentRecord.line == number)
    ).first()
    return (row[0], row[1]) if row else None


def suppressions(session: Session, wanted: Wanted, *, reason: str) -> Page[Any]:
    """Suppressed addresses, newest first; one query."""
    query = select(Suppression)
    if reason:
        query = query.where(Suppression.reason == reason)
    return page(session, query, Suppression.id, wanted, lambda row: int(row[0].id))


def topic_titles(session: Session) -> dict[str, Any]:
    """Topic → its title by language; one query."""
    return {topic.name: topic.title for topic in session.scalars(select(Topic).order_by(Topic.position))}
