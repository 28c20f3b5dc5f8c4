"""Nothing stays longer than it is needed (R53): the stage `retention`, once a night for each workspace, in batches.

Each task of `retention_tasks.py` walks rows in the order of their numbers and keeps how far it came in
`retention_marks`, in the transaction of its batch: killed at any instant it goes on where it was. A round looks only at
what has come of age since the round before (`done_until`), so that a night costs what a day brought, not what there is.
Rows that carry a figure are emptied and stay; rows that carry none are deleted; months of events that say nothing
any more are dropped whole (`months.py`). What the periods are says `retention_periods.py`; proof of consent is touched
by none of this.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.db import Ran, workspace_of
from app.rights import requests, retention_periods
from app.rights.models import RetentionMark
from app.rights.retention_periods import Periods
from app.rights.retention_tasks import TASKS, Page, Span

AT_NIGHT = time(2, 30)
"""UTC; a round begins then, and lasts as many batches as it takes."""

QUERIES = 60
"""Of one batch at most: the requests, the marks, the settings, of each task a page, whom of it concerns and its tables,
the marks in one go. A night in which nothing came of age costs one look a task."""


def run(session: Session, now: datetime, limit: int) -> Ran:
    """Finish what people have asked for, then the periods that are due, up to so many rows in all; see `QUERIES`."""
    done = requests.finish(session, now, limit)
    marks = session.scalars(
        select(RetentionMark)
        .where(RetentionMark.due_at <= now)
        .order_by(RetentionMark.due_at, RetentionMark.task)
        .with_for_update(skip_locked=True)
    ).all()
    if not marks:
        _begin(session, now)
        return Ran(done, False)
    periods = retention_periods.in_force(session)
    left = limit
    with session.no_autoflush:  # the marks are written in one go, at the end
        for mark in marks:
            page = _keep(session, mark, periods, now, left)
            done, left = done + page.removed, left - page.looked
            if left <= 0:
                break
    return Ran(done, True)


def _keep(session: Session, mark: RetentionMark, periods: Periods, now: datetime, limit: int) -> Page:
    """One page of one period."""
    task = TASKS.get(mark.task)
    if task is None:  # of a release that kept another period
        session.delete(mark)
        return Page(0, 0, 0)
    # One instant for all batches of a round: what came of age while it lasted is the next one's.
    mark.begun_at = mark.begun_at or now
    cutoff = before(mark.begun_at, periods, task.period) if task.period else mark.begun_at
    page = task.step(session, Span(mark.done_until, cutoff), mark.after_id, limit)
    mark.counting += page.removed
    mark.after_id = page.last
    if page.looked < limit:
        mark.after_id = page.last if task.goes_on else 0
        mark.removed, mark.counting, mark.finished_at = mark.counting, 0, now
        # A period that was lengthened has nothing to do until it comes to where it has been.
        mark.begun_at, mark.done_until = None, max(cutoff, mark.done_until or cutoff)
        mark.due_at = tonight(now)
    return page


def before(now: datetime, periods: Periods, period: str) -> datetime:
    """Whatever is older than this has had its time; a month is 30.4 days."""
    months: int = periods.as_json()[period]
    return now - timedelta(days=round(months * 365.25 / 12))


def tonight(now: datetime) -> datetime:
    """The next round."""
    night = datetime.combine(now.astimezone(UTC).date(), AT_NIGHT, UTC)
    return night if night > now else night + timedelta(days=1)


def _begin(session: Session, now: datetime) -> None:
    """Marks for tasks that have none. One query."""
    rows = [{"workspace_id": workspace_of(session), "task": name, "due_at": tonight(now)} for name in TASKS]
    session.execute(insert(RetentionMark).values(rows).on_conflict_do_nothing())


__all__ = ["AT_NIGHT", "QUERIES", "TASKS", "before", "run", "tonight"]
