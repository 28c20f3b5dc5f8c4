"""Follow: when a booking changes, the waits that hang on its dates move with it, both ways, in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.audience import facts as audience
from app.db import workspace_of
from app.enrollments import passages, programs
from app.journey import advance
from app.queues import signal

QUERIES = 8
"""At most: passages, programs, facts (4), update, visits."""

_BOUND = text(
    f"""
    SELECT {passages.COLUMNS}
    FROM enrollments e
    WHERE e.workspace_id = :workspace_id AND e.booking_id = ANY(:booking_ids) AND e.status = 'active'
    ORDER BY e.id
    FOR UPDATE OF e
    """
)


def rebind(session: Session, booking_ids: Sequence[int], now: datetime) -> int:
    """Work out anew every pending dated wait bound to these bookings; returns how many moved.

    Called by `events.record` after it has written the bookings, before the transaction ends: nobody can take a step
    on the old date once the new one is known.
    """
    if not booking_ids:
        return 0
    parameters = {"workspace_id": workspace_of(session), "booking_ids": list(booking_ids)}
    rows = [passages.from_row(row) for row in session.execute(_BOUND, parameters)]
    if not rows:
        return 0
    known = programs.of_versions(session, {row.version_id for row in rows})
    rows = [row for row in rows if known[row.version_id].follow]
    facts = audience.load(session, [row.who for row in rows], now)
    visits = []
    for row in rows:
        moved = advance.rebind(known[row.version_id], row.state, row.facts(facts), now)
        if moved:
            row.become(moved.state, now)
            visits += [(row, decision) for decision in moved.trace]
    passages.write(session, rows, now)
    passages.write_visits(session, visits)
    if any(row.changed for row in rows):
        signal(session, "advance")
    return sum(row.changed for row in rows)
