"""What has happened to people, as far as the programs at hand listen to it: read once for a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.audience import facts as audience
from app.audience.facts import Facts
from app.db import workspace_of
from app.journey import goals
from app.journey.program import Program


class Past(NamedTuple):
    """One event that happened to a contact."""

    booking_reference: str | None
    type: str
    at: datetime
    data: Mapping[str, Any]
    event_id: str = ""


_QUERY = text(
    """
    SELECT contact_id, booking_reference, type, ordered_at, data, event_id FROM events
    WHERE workspace_id = :workspace_id AND contact_id = ANY(:contact_ids) AND type = ANY(:types)
        AND quarantined IS NULL
    ORDER BY ordered_at, id
    """
)


def load(
    session: Session, contact_ids: Iterable[int], programs: Iterable[Program], now: datetime
) -> Mapping[int, Sequence[Past]]:
    """Contact → events that any of these programs, or its goal, listens to, oldest first; one query.

    And those that a condition counts (`did`), as far back as it may count: one query more, where any does.
    """
    asked = list(programs)
    heard = {kind for program in asked for kind in {*program.listens_to, *goals.listens_to(program)}}
    counted = {kind for program in asked for kind in program.counted} - heard
    people = sorted(set(contact_ids))
    parameters = {"workspace_id": workspace_of(session), "contact_ids": people, "types": sorted(heard)}
    found: dict[int, list[Past]] = defaultdict(list)
    for row in session.execute(_QUERY, parameters):
        found[row.contact_id].append(Past(row.booking_reference, row.type, row.ordered_at, row.data, row.event_id))
    if counted:
        for contact_id, past in audience.happened(session, people, now, sorted(counted)).items():
            found[contact_id] += [Past(None, type_, at, data) for type_, at, data in past]
    return found


def as_facts(happened: Sequence[Past], booking_reference: str | None) -> Facts:
    """The same as the core reads it: over all keys of the contact, and for one booking (None: for the contact)."""
    return {
        "contact_events": [(one.type, one.at, one.data) for one in happened],
        "past_events": [
            (one.type, one.at, one.data) for one in happened if booking_reference in (None, one.booking_reference)
        ],
    }
