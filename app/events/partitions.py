"""Monthly partitions of what only grows: made ahead of time by the timer, dropped when `rights/months.py` says so.

A month that has no partition is no loss: its rows land in the default one. They only cannot be dropped as a month.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

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


class Month(NamedTuple):
    """A partition, and what it holds by `received_at`: from `begin`, before `end`."""

    name: str
    begin: datetime
    end: datetime


def before(session: Session, table: str, instant: datetime) -> list[Month]:
    """The months that ended by then, the oldest first; one query."""
    found = []
    for name in session.scalars(_PARTITIONS, {"table": table}):
        year, _, month = name.removeprefix(f"{table}_p").partition("_")
        if year.isdigit() and month.isdigit():
            begin = datetime(int(year), int(month), 1, tzinfo=UTC)
            found.append(Month(name, begin, _month(begin, 1)))
    return sorted(month for month in found if month.end <= instant)


def drop(session: Session, table: str, month: Month) -> None:
    """Take a month away with all its rows. Who records waits no longer than it takes to change the catalogue.

    PostgreSQL detaches nothing concurrently from a table with a default partition, so the table is locked; for that we
    wait half a second at most.

    Raises:
        OperationalError: somebody held the table for longer; nothing is changed.
    """
    if table not in PARTITIONED or not month.name.startswith(f"{table}_p"):
        raise ValueError(f"{month.name} is no month of {table}")
    session.execute(text("SET LOCAL lock_timeout = '500ms'"))
    session.execute(text(f"ALTER TABLE {table} DETACH PARTITION {month.name}"))
    session.execute(text(f"DROP TABLE {month.name}"))


_PARTITIONS = text(
    """
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = to_regclass(:table) ORDER BY c.relname
    """
)


def _month(moment: datetime, ahead: int) -> datetime:
    months = moment.year * 12 + moment.month - 1 + ahead
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
