"""Segments: the list, one with its people, and why somebody is in it or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audience import person, segments
from app.audience.models import Segment, SegmentMember
from app.audience.segments import Counted
from app.contacts.models import Contact
from app.journey.condition_tree import Condition
from app.studio.reading import people
from app.studio.reading.paging import Page, Wanted, page

COUNT_MS = 2_000
"""A count that takes longer is given up: the page says so, and the refresh will tell."""
SAMPLE = 6


@dataclass(frozen=True, slots=True)
class Tally:
    """A count of the moment, how long it took, and some of the people."""

    counted: Counted
    milliseconds: int
    sample: Sequence[Contact]


def listed(session: Session, *, archived: bool) -> Sequence[Segment]:
    """Segments by title, living or archived; one query."""
    state = Segment.archived_at.is_not(None) if archived else Segment.archived_at.is_(None)
    return session.scalars(select(Segment).where(state).order_by(Segment.name)).all()


def tally(session: Session, condition: Condition, now: datetime) -> Tally:
    """Count now, and fetch a few of the people; six queries.

    Raises:
        sqlalchemy.exc.OperationalError: counting took longer than `COUNT_MS`.
    """
    began = perf_counter()
    counted = segments.count(session, condition, now, within_ms=COUNT_MS)
    took = round((perf_counter() - began) * 1000)
    some = segments.inside(session, condition, now, limit=SAMPLE) if counted.inside else []
    sample = session.scalars(select(Contact).where(Contact.id.in_(some)).order_by(Contact.id)).all()
    return Tally(counted, took, sample)


def members(session: Session, segment: Segment, wanted: Wanted) -> Page[Any]:
    """(contact, since) of who is in it, newest contacts first; one query."""
    query = (
        select(Contact, SegmentMember.since)
        .join(
            SegmentMember,
            (SegmentMember.workspace_id == Contact.workspace_id) & (SegmentMember.contact_id == Contact.id),
        )
        .where(SegmentMember.segment_id == segment.id)
    )
    return page(session, query, Contact.id, wanted, lambda row: int(row[0].id))


@dataclass(frozen=True, slots=True)
class Verdict:
    """One person against a segment."""

    contact: Contact
    inside: bool | None


def asked(session: Session, condition: Condition, text: str, now: datetime) -> list[Verdict]:
    """People a text may mean, each with whether they are in; three queries."""
    found = people.found(session, text)
    verdicts = segments.judged(session, {0: condition}, [one.id for one in found], now)
    return [Verdict(one, verdicts[one.id][0]) for one in found if one.id in verdicts]


@dataclass(frozen=True, slots=True)
class Why:
    """Why somebody is in a segment or not: every line, told of one booking where lines speak of bookings."""

    contact: Contact
    inside: bool | None
    lines: Sequence[person.Line]
    booking: str | None
    others: int
    """How many bookings more they have."""


def why(session: Session, condition: Condition, contact_id: int, now: datetime, language: str) -> Why | None:
    """The answer for one person; None where segments do not look at them."""
    contact = session.scalar(select(Contact).where(Contact.id == contact_id))
    who = person.people(session, [contact_id], now).get(contact_id)
    if contact is None or who is None:
        return None
    lines, spoken = person.told(condition, who, now, language)
    booking = spoken["booking"]["reference"] if spoken else None
    return Why(contact, person.judge(condition, who, now), lines, booking, max(len(who.bookings) - 1, 0))
