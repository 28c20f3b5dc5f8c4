"""Who a broadcast goes to: everybody, or a segment as it is at that instant; in pages by contact number."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.audience import catalogue as segments
from app.audience.models import Segment
from app.audience.segments import inside
from app.consent import behaviour
from app.db import workspace_of
from app.journey.condition_tree import fields, from_json
from app.messages.models import Broadcast


def reads_of(session: Session, broadcast: Broadcast) -> list[str]:
    """What its segment looks at that may tell of behaviour: marketing chosen by it needs a consent to profiling, which
    the gate asks for (R13). One query, none for a service message or for everybody."""
    if broadcast.class_ != "marketing" or broadcast.segment is None:
        return []
    return list(behaviour.among(fields(segments.condition_of(segments.named(session, broadcast.segment)))))


class UnknownSegmentError(LookupError):
    """There is no such segment, or it has been archived."""


def page(session: Session, segment: str | None, now: datetime, after: int, limit: int) -> list[int]:
    """The next `limit` people after a contact number. Three queries at most.

    Whoever became part of somebody else, was erased, or asked us to stop using their data, is in no audience.
    Raises UnknownSegmentError.
    """
    if segment is None:
        asked = {"ws": workspace_of(session), "after": after, "limit": limit}
        return list(session.scalars(_EVERYBODY, asked))
    found = session.scalar(select(Segment.condition).where(Segment.name == segment, Segment.archived_at.is_(None)))
    if found is None:
        raise UnknownSegmentError(segment)
    return inside(session, from_json(found), now, after=after, limit=limit)


def pages(session: Session, segment: str | None, now: datetime, size: int) -> Iterator[list[int]]:
    """Everybody, `size` people at a time; raises UnknownSegmentError."""
    after = 0
    while True:
        ids = page(session, segment, now, after, size)
        if ids:
            yield ids
        if len(ids) < size:
            return
        after = ids[-1]


_EVERYBODY = text(
    """
    SELECT id FROM contacts
    WHERE workspace_id = :ws AND id > :after AND merged_into IS NULL AND erased_at IS NULL AND frozen_at IS NULL
    ORDER BY id LIMIT :limit
    """
)
