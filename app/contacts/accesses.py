"""Who of the team has read or taken out a person's data as a whole (R55)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.contacts.models import DataAccess
from app.db import workspace_of


def note(session: Session, contact_id: int, what: str, by: str, now: datetime) -> None:
    """Write down an access, in the unit of work that gives the data out: who reads and leaves no line reads nothing.

    Args:
        what: proof, export, special ...
        by: the address they sign in with, or `cli`.
    """
    session.add(DataAccess(workspace_id=workspace_of(session), contact_id=contact_id, what=what, by=by, at=now))


def of(session: Session, contact_id: int) -> Sequence[DataAccess]:
    """Every access to one person's data, the newest first; one query."""
    return session.scalars(
        select(DataAccess).where(DataAccess.contact_id == contact_id).order_by(DataAccess.id.desc())
    ).all()
