"""Months of events and of what became of messages, dropped whole when nothing in them may or need be kept (R53).

A partition holds a month of every workspace, so it goes when the longest period of all of them is over:

    delivery_events   by age alone: what counts of them stands on the message
    events            when every row of it has been emptied, or is of somebody erased, and none waits to be dealt with

Who still books has events of any age: such a month stays until they have been silent for long enough. What is left
points at events by number alone (`enrollments.event_pk`, `entry_refusals.event_pk`) and copes with there being none;
`event_keys` outlive them, so that nothing is taken in twice. The rows of the default partition, which came for months
without one, stay emptied.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.db import Database, remembered
from app.events import partitions
from app.events.partitions import Month
from app.rights import retention_periods
from app.rights.retention import before

log = structlog.get_logger()

PERIODS = {"events": ("marketing", "purchases", "tracks", "logs"), "delivery_events": ("mails", "tracks", "logs")}
"""Partitioned table → the periods that speak of what is in it."""
EVERY = timedelta(days=1)
AGAIN = timedelta(minutes=10)
"""When the table was in use for longer than we wait for it."""

_SPEAKS = text(
    """
    SELECT EXISTS (
        SELECT 1 FROM events e
         WHERE e.received_at >= :begin AND e.received_at < :end AND e.data <> '{}'
           AND NOT EXISTS (SELECT 1 FROM contacts c WHERE c.workspace_id = e.workspace_id AND c.id = e.contact_id
                              AND c.erased_at IS NOT NULL)
        UNION ALL
        SELECT 1 FROM event_work w WHERE w.received_at >= :begin AND w.received_at < :end)
    """
)


def drop(database: Database, now: datetime) -> list[str]:
    """Drop the months that have had their time; once a day. Each goes in a transaction of its own that waits half a
    second for its lock at most, and is tried again later where somebody holds the table for longer."""
    with database.system() as session:
        seen = remembered(session, "old months")
        if seen.get("next", now) > now:
            return []
        seen["next"] = now + EVERY
        found = [(table, month) for table in PERIODS for month in _past(session, table, now)]
    dropped = []
    for table, month in found:
        try:
            with database.system() as session:
                partitions.drop(session, table, month)
        except OperationalError as error:
            seen["next"] = now + AGAIN
            log.info("month_stays_for_now", month=month.name, error=str(error.orig).partition("\n")[0])
            continue
        dropped.append(month.name)
        log.info("month_dropped", month=month.name)
    return dropped


def _past(session: Session, table: str, now: datetime) -> Iterable[Month]:
    settings = session.scalars(select(Workspace.settings)).all()
    cutoffs = [before(now, retention_periods.of(one or {}), period) for one in settings for period in PERIODS[table]]
    if not cutoffs:
        return
    for month in partitions.before(session, table, min(cutoffs)):
        if table != "events" or not session.scalar(_SPEAKS, {"begin": month.begin, "end": month.end}):
            yield month
