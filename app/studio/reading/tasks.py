"""The list of tasks, with whom they are about and to whom they were given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Membership, User
from app.enrollments import tasks
from app.enrollments.models import Task
from app.studio.reading.paging import Page, Wanted, page


def listed(session: Session, wanted: Wanted, *, is_done: bool, team: str, property_id: int | None) -> Page[Any]:
    """One page of (task, contact, workflow's name, booking's reference and status), newest first; one query."""
    query = tasks.beside().where(Task.done_at.is_not(None) if is_done else Task.done_at.is_(None))
    if team:
        query = query.where(Task.team == team)
    if property_id is not None:
        query = query.where(Task.property_id == property_id)
    return page(session, query, Task.id, wanted, lambda row: int(row[0].id))


def colleagues(session: Session) -> Sequence[Any]:
    """(id, name, address) of who may be given a task; one query."""
    return session.execute(
        select(User.id, User.name, User.email)
        .join(Membership, Membership.user_id == User.id)
        .where(User.active)
        .order_by(User.name, User.email)
    ).all()
