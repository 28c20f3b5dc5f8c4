"""The stage `imports`: one chunk of a dry run, of a taking in, or of an undoing, and what is forgotten in time.

How far a file is, is written in the transaction of the chunk itself: killed at any instant, it goes on with the first
row that is not behind it, and none is taken twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.contacts import disposable
from app.db import Ran, settings_of, workspace_of
from app.imports import undoing
from app.imports.models import Import
from app.imports.taking import CHUNK, Pass, pass_over

log = structlog.get_logger()

FORGET_AFTER = timedelta(days=30)
"""How long the rows of a file that was taken in are kept: as long as it can be undone."""
FORGET_UNUSED_AFTER = timedelta(days=7)
"""How long a file waits that nobody took in."""


def run(session: Session, now: datetime, limit: int = CHUNK) -> Ran:
    """One chunk of the file that has waited longest."""
    one = session.scalars(
        select(Import)
        .where(Import.next_at <= now)
        .order_by(Import.next_at, Import.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if one is None:
        return Ran(0, False)
    if one.state in {"checking", "taking"}:
        return Ran(_pass(session, one, now, limit), True)
    if one.state == "undoing":
        return Ran(_undo(session, one, now, limit), True)
    _forget(session, one)
    return Ran(1, True)


def _pass(session: Session, one: Import, now: datetime, limit: int) -> int:
    asked = {"ws": workspace_of(session), "import": one.id, "after": one.place, "limit": limit}
    found = session.execute(_ROWS, asked).all()
    write = one.state == "taking"
    if found:
        domains = disposable.in_force(settings_of(session).data_dir)
        done = pass_over(session, one, found, domains, now, write=write)
        _count(one, done)
        one.place = found[-1].position
    if one.place >= one.rows or not found:
        if write:
            one.state, one.finished_at, one.next_at = "done", now, now + FORGET_AFTER
        else:
            one.state, one.expected, one.tally = "checked", one.tally, {}
            one.finished_at, one.next_at = now, now + FORGET_UNUSED_AFTER
        log.info("import_passed", import_id=one.id, state=one.state, rows=one.place)
    else:
        one.next_at = now
    return max(1, len(found))


def _undo(session: Session, one: Import, now: datetime, limit: int) -> int:
    asked = {"ws": workspace_of(session), "import": one.id, "before": one.place, "limit": limit}
    found = session.execute(_ROWS_BACK, asked).all()
    if found:
        undone = undoing.undo(session, one, found, now)
        one.tally = {**one.tally, "undone": added(one.tally.get("undone", {}), undone)}
        one.place = found[-1].position - 1
    if one.place <= 0 or not found:
        one.state, one.finished_at, one.next_at = "undone", now, now + FORGET_AFTER
        log.info("import_undone", import_id=one.id)
    else:
        one.next_at = now
    return max(1, len(found))


def _count(one: Import, done: Pass) -> None:
    one.tally = {
        **one.tally,
        "verdict": added(one.tally.get("verdict", {}), done.verdicts),
        "permission": added(one.tally.get("permission", {}), done.permissions),
        "asked": one.tally.get("asked", 0) + done.asked,
    }


def added(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    """Two counts as one."""
    return dict(Counter(first) + Counter(second))


def _forget(session: Session, one: Import) -> None:
    """Drop the rows: what people's files said of them is kept no longer than it can be of use (R53)."""
    session.execute(_DROP, {"ws": workspace_of(session), "import": one.id})
    if one.state in {"uploaded", "checked"}:
        one.state = "discarded"
    one.next_at = None


_ROWS = text(
    """
    SELECT position, line, cells FROM import_rows
     WHERE workspace_id = :ws AND import_id = :import AND position > :after ORDER BY position LIMIT :limit
    """
)
_ROWS_BACK = text(
    """
    SELECT position, contact_id, made, before, verdict FROM import_rows
     WHERE workspace_id = :ws AND import_id = :import AND position <= :before ORDER BY position DESC LIMIT :limit
    """
)
_DROP = text("DELETE FROM import_rows WHERE workspace_id = :ws AND import_id = :import")

__all__ = ["FORGET_AFTER", "FORGET_UNUSED_AFTER", "added", "run"]
