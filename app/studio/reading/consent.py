"""The ledger's lines and the addresses that must not be written to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from app.consent.models import ConsentRecord, Suppression, Topic
from app.contacts.models import Contact
from app.messages.models import Message
from app.studio.reading.paging import Page, Wanted, page


def ledger(
    session: Session, wanted: Wanted, *, text: str, state: str, purpose: str, channel: str = "", method: str = ""
) -> Page[Any]:
    """Lines with who they are about, newest first; one query."""
    query = select(ConsentRecord, Contact).outerjoin(
        Contact, and_(Contact.workspace_id == ConsentRecord.workspace_id, Contact.id == ConsentRecord.contact_id)
    )
    if state:
        query = query.where(ConsentRecord.state == state)
    if purpose:
        query = query.where(ConsentRecord.purpose == purpose)
    if channel:
        query = query.where(ConsentRecord.channel == channel)
    if method:
        query = query.where(ConsentRecord.method == method)
    if text:
        like = f"%{text}%"
        query = query.where(
            ConsentRecord.address.ilike(like) | func.concat_ws(" ", Contact.first_name, Contact.last_name).ilike(like),
            Contact.erased_at.is_(None),  # what is left of who was erased is proof, and not there to be found (R51)
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


def relied_on(session: Session, number: int, contact: Contact | None, limit: int = 50) -> Sequence[Message]:
    """The newest messages that left standing on a line of this contact's, or of whom it has become part; one query."""
    if contact is None:
        return ()
    return session.scalars(
        select(Message)
        .where(
            Message.contact_id.in_([contact.id, contact.merged_into or contact.id]),
            Message.ledger_line == number,
            Message.basis.is_not(None),
            Message.handed_over_at.is_not(None) | Message.accepted_at.is_not(None),
        )
        .order_by(Message.id.desc())
        .limit(limit)
    ).all()


def suppressions(
    session: Session, wanted: Wanted, *, reason: str, hashes: Sequence[bytes] = (), live: bool = False
) -> Page[Any]:
    """Suppressed addresses, newest first; one query.

    Args:
        hashes: only those under these keyed hashes: how one address is looked up, since none is kept in clear.
        live: only those that have not been lifted.
    """
    query = select(Suppression)
    if hashes:
        query = query.where(Suppression.address_hash.in_(hashes))
    if live:
        query = query.where(Suppression.lifted_at.is_(None))
    if reason:
        query = query.where(Suppression.reason == reason)
    return page(session, query, Suppression.id, wanted, lambda row: int(row[0].id))


def topic_titles(session: Session) -> dict[str, Any]:
    """Topic → its title by language; one query."""
    return {topic.name: topic.title for topic in session.scalars(select(Topic).order_by(Topic.position))}
