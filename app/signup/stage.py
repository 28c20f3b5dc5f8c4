"""The stage `signups`: what came in through forms, and what becomes of requests that nobody confirms."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from app.db import Ran
from app.signup import ending, taking
from app.signup.ending import Erase

DELETIONS = 20
"""People erased in one unit of work: each is a walk over all tables."""


def run(session: Session, now: datetime, limit: int, erase: Erase | None = None) -> Ran:
    """One batch. Deletions have theirs to themselves, for the order of locks.

    Args:
        erase: how a person is erased; None: nobody is, here.
    """
    deleted = ending.delete(session, now, DELETIONS, erase) if erase is not None else 0
    if deleted:
        return Ran(deleted, True)
    taken = taking.take(session, now, limit)
    ended = ending.remind_and_end(session, now, limit)
    return Ran(taken + ended, limit in {taken, ended})
