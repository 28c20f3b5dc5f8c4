"""Work for people: what `task` steps ask of a team, until somebody says that it is done.

Done is an event too (`task.done`, of the same contact and booking), so a workflow can wait for it. The event is
recorded once: taking "done" back puts the task on the list again, and does not call back whom it had let go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import and_, func, select, text
from sqlalchemy.orm import Session

from app.consent import calls
from app.contacts.models import Booking, Contact
from app.db import as_rows, workspace_of
from app.enrollments.models import Task, Workflow
from app.events.record import OwnEvent, record_own


@dataclass(frozen=True, slots=True)
class Wanted:
    """A task that a step asks for; once for (enrollment, step, visit)."""

    contact_id: int
    enrollment_id: int
    workflow_id: int
    step_id: str
    visit: int
    booking_id: int | None
    property_id: int | None
    team: str
    what: Mapping[str, str]
    due_at: datetime | None


_FIELDS = (
    *("contact_id", "enrollment_id", "workflow_id", "step_id", "visit", "booking_id", "property_id", "team", "what"),
    "due_at",
)
_INSERT = text(
    """
    INSERT INTO tasks (workspace_id, contact_id, enrollment_id, workflow_id, step_id, visit, booking_id, property_id,
        team, what, due_at, created_at)
    SELECT :workspace_id, r.*, :now
    FROM json_to_recordset(CAST(:rows AS json)) AS r(contact_id bigint, enrollment_id bigint, workflow_id bigint,
        step_id text, visit int, booking_id bigint, property_id bigint, team text, what jsonb, due_at timestamptz)
    ON CONFLICT DO NOTHING
    """
)
_DONE = text(
    """
    UPDATE tasks t SET done_at = :now, done_by = :by
    WHERE t.workspace_id = :workspace_id AND t.id = :task_id AND t.done_at IS NULL
    RETURNING t.contact_id, t.booking_id, t.property_id, t.team, t.step_id,
        (SELECT name FROM workflows w WHERE w.workspace_id = t.workspace_id AND w.id = t.workflow_id) AS workflow,
        (SELECT reference FROM bookings b WHERE b.workspace_id = t.workspace_id AND b.id = t.booking_id) AS reference
    """
)
_CALL = text(
    """
    SELECT c.attributes FROM tasks t JOIN contacts c ON c.workspace_id = t.workspace_id AND c.id = t.contact_id
    WHERE t.workspace_id = :workspace_id AND t.id = :task_id AND t.done_at IS NULL AND t.what ->> 'call' = 'marketing'
    """
)
_LOOKED = text(
    """
    UPDATE contacts SET attributes = attributes || CAST(:given AS jsonb), updated_at = :now
    WHERE workspace_id = :ws AND id = :contact
    """
)
_UNDONE = text(
    "UPDATE tasks SET done_at = NULL, done_by = NULL WHERE workspace_id = :workspace_id AND id = :task_id"
    " AND done_at IS NOT NULL"
)
_ASSIGN = text("UPDATE tasks SET assigned_to = :user_id WHERE workspace_id = :workspace_id AND id = :task_id")


def ask(session: Session, wanted: Sequence[Wanted], now: datetime) -> None:
    """Write down tasks, in the unit of work of the step that asks; one query. A repetition is passed over."""
    if wanted:
        rows = [{name: getattr(one, name) for name in _FIELDS} for one in wanted]
        session.execute(_INSERT, {"workspace_id": workspace_of(session), "rows": as_rows(rows), "now": now})


class BarredError(ValueError):
    """It asks for a call that may not be made now (R19); the message is `unchecked`, `stale` or `listed`."""


def register_looked_at(session: Session, contact_id: int, listed: bool, now: datetime) -> None:
    """Keep what a look at the opposition register gave (R19). One query."""
    session.execute(
        _LOOKED,
        {
            "ws": workspace_of(session),
            "contact": contact_id,
            "given": msgspec.json.encode(calls.outcome(listed, now)).decode(),
            "now": now,
        },
    )


def done(session: Session, task_id: int, by: str, now: datetime) -> bool:
    """Take a task off the list; False where it is not there or done already, which changes nothing.

    Raises BarredError where it asks for a marketing call to somebody who may not be called now (R19).

    Args:
        by: who says so, as it is shown.
    """
    asked = {"workspace_id": workspace_of(session), "task_id": task_id, "by": by, "now": now}
    barred = session.execute(_CALL, {"workspace_id": asked["workspace_id"], "task_id": task_id}).one_or_none()
    if barred is not None and (why := calls.may_call(barred.attributes, now.date())):
        raise BarredError(why)
    row = session.execute(_DONE, asked).one_or_none()
    if row is None:
        return False
    told = OwnEvent(
        contact_id=row.contact_id,
        type="task.done",
        occurred_at=now,
        data={"task": task_id, "workflow": row.workflow, "step": row.step_id, "to": row.team},
        booking_id=row.booking_id,
        booking_reference=row.reference,
        property_id=row.property_id,
        id=f"task:{task_id}",
    )
    record_own(session, [told], now)
    return True


def undone(session: Session, task_id: int) -> bool:
    """Put a task on the list again; False where it is not there or not done."""
    changed: Any = session.execute(_UNDONE, {"workspace_id": workspace_of(session), "task_id": task_id})
    return bool(changed.rowcount)


def assign(session: Session, task_id: int, user_id: int | None) -> bool:
    """Give a task to an account of this workspace, or to nobody; False where there is no such task."""
    asked = {"workspace_id": workspace_of(session), "task_id": task_id, "user_id": user_id}
    changed: Any = session.execute(_ASSIGN, asked)
    return bool(changed.rowcount)


def listed(
    session: Session,
    *,
    is_done: bool,
    team: str | None = None,
    contact_id: int | None = None,
    property_id: int | None = None,
    before: int | None = None,
    after: int | None = None,
    limit: int = 50,
) -> list[tuple[Task, Contact, str, str | None, str | None]]:
    """Tasks with their contact, workflow's name, and booking's reference and status, newest first. One query.

    Args:
        before: only older ones than this number.
        after: only newer ones; then the oldest of these come first.
    """
    query = (
        beside()
        .where(Task.done_at.is_not(None) if is_done else Task.done_at.is_(None))
        .order_by(Task.id if after is not None else Task.id.desc())
        .limit(limit)
    )
    for column, value in ((Task.team, team), (Task.contact_id, contact_id), (Task.property_id, property_id)):
        if value is not None:
            query = query.where(column == value)
    if before is not None:
        query = query.where(Task.id < before)
    if after is not None:
        query = query.where(Task.id > after)
    return [(row[0], row[1], row[2], row[3], row[4]) for row in session.execute(query)]


def one(session: Session, task_id: int) -> tuple[Task, Contact, str, str | None, str | None] | None:
    """One task with the same beside it, or None; one query."""
    row = session.execute(beside().where(Task.id == task_id)).one_or_none()
    return None if row is None else (row[0], row[1], row[2], row[3], row[4])


def beside() -> Any:
    """Tasks with their contact, workflow's name, and booking's reference and status: a query to be narrowed."""
    return (
        select(Task, Contact, Workflow.name, Booking.reference, Booking.status)
        .join(Contact, and_(Contact.workspace_id == Task.workspace_id, Contact.id == Task.contact_id))
        .join(Workflow, and_(Workflow.workspace_id == Task.workspace_id, Workflow.id == Task.workflow_id))
        .outerjoin(Booking, and_(Booking.workspace_id == Task.workspace_id, Booking.id == Task.booking_id))
    )


def teams(session: Session) -> Mapping[str, int]:
    """Team → how many open tasks it has; one query on the index of open tasks."""
    query = (
        select(Task.team, func.count().label("open"))
        .where(Task.done_at.is_(None))
        .group_by(Task.team)
        .order_by(Task.team)
    )
    return {row.team: row.open for row in session.execute(query)}
