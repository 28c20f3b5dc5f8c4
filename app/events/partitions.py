"""Monthly partitions of what only grows, made ahead of time by the timer.

A month that has no partition is no loss: its rows land in the default one. They only cannot be dropped as a month.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db import remembered

PARTITIONED = ("events", "delivery_events")
AHEAD = 2
"""Months made ahead of the present one."""


def ensure_partitions(session: Session, now: datetime) -> list[str]:
    """Make the partitions of this month and the next two where they are missing; returns those made.

    A month whose rows are in the default partition already is left there: moving them would lock out everybody who
    records. Nothing waits longer than half a second for a lock; the next tick tries again.
    """
    moment = now.astimezone(UTC)
    seen = remembered(session, "partitions")
    if (moment.year, moment.month) in seen:
        return []
    session.execute(text("SET LOCAL lock_timeout = '500ms'"))
    made = []
    for table in PARTITIONED:
        for ahead in range(AHEAD + 1):
            begin, end = _month(moment, ahead), _month(moment, ahead + 1)
            name = f"{table}_p{begin:%Y_%m}"
            if session.scalar(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": name}):
                continue
            # Locked before looking: a row recorded in between would have the making of the partition fail.
            session.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
            span = {"begin": begin, "end": end}
            # Through the parent: the default partition shows nothing by its own name.
            look = f"SELECT EXISTS (SELECT 1 FROM {table} WHERE received_at >= :begin AND received_at < :end)"
            taken = session.scalar(text(look), span)
            if taken:
                continue
            bounds = f"FROM ('{begin.isoformat()}') TO ('{end.isoformat()}')"
            session.execute(text(f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES {bounds}"))
            # Having no policy, a partition asked for by its own name shows nothing; its parent's holds otherwise.
            session.execute(text(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"))
            session.execute(text(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY"))
            made.append(name)
    seen[moment.year, moment.month] = True
    return made


def _month(moment: datetime, ahead: int) -> datetime:
    months = moment.year * 12 + moment.month - 1 + ahead
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
