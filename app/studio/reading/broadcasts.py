"""Broadcasts with what has become of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.audience.models import Segment
from app.content.models import Template, TemplateVersion
from app.messages.models import Broadcast, Message
from app.studio.reading.paging import Page, Wanted, page

SENT = ("accepted", "handed_over", "unknown")
SENDABLE = ("marketing", "feedback", "transactional")


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of the list."""

    broadcast: Broadcast
    sent: int
    refused: int


def listed(session: Session, wanted: Wanted, state: str, property_id: int | None = None) -> Page[Any]:
    """Broadcasts, newest first; two queries."""
    query = select(Broadcast)
    if state:
        query = query.where(Broadcast.state == state)
    if property_id is not None:
        query = query.where((Broadcast.property_id == property_id) | Broadcast.property_id.is_(None))
    found = page(session, query, Broadcast.id, wanted, lambda row: int(row[0].id))
    numbers = _numbers(session, [row[0].id for row in found.rows])
    lines = [
        Listed(
            row[0],
            sum(numbers.get((row[0].id, state), 0) for state in SENT),
            sum(numbers.get((row[0].id, state), 0) for state in ("refused", "cancelled", "failed")),
        )
        for row in found.rows
    ]
    return Page(lines, found.newer, found.older)


def _numbers(session: Session, ids: Sequence[int]) -> dict[tuple[int | None, str], int]:
    if not ids:
        return {}
    rows = session.execute(
        select(Message.broadcast_id, Message.state, func.count())
        .where(Message.broadcast_id.in_(ids))
        .group_by(Message.broadcast_id, Message.state)
    )
    return {(number, state): count for number, state, count in rows}


def by_state(session: Session) -> dict[str, int]:
    """How many broadcasts are in each state; one query."""
    rows = session.execute(select(Broadcast.state, func.count()).group_by(Broadcast.state))
    return {str(state): int(count) for state, count in rows}


def one(session: Session, number: int) -> Broadcast | None:
    """A broadcast; one query."""
    return session.scalar(select(Broadcast).where(Broadcast.id == number))


def templates(session: Session) -> list[Template]:
    """What can be sent at all: published templates of a class that a broadcast may have; one query."""
    return list(
        session.scalars(
            select(Template)
            .where(Template.live_version_id.is_not(None), Template.class_.in_(SENDABLE))
            .order_by(Template.name)
        )
    )


def version(session: Session, template: str) -> TemplateVersion | None:
    """The live version of a template; one query."""
    return session.scalar(
        select(TemplateVersion)
        .join(Template, Template.live_version_id == TemplateVersion.id)
        .where(Template.name == template)
    )


def segments(session: Session) -> list[Segment]:
    """Live segments; one query."""
    return list(session.scalars(select(Segment).where(Segment.archived_at.is_(None)).order_by(Segment.name)))


def titles(session: Session) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Titles of templates and of segments by name; two queries."""
    return (
        {row.name: row.title for row in session.execute(select(Template.name, Template.title))},
        {row.name: row.title for row in session.execute(select(Segment.name, Segment.title))},
    )
