"""Exits re-read: whose passage has met an exit condition since its message was planned (R60).

The gate asks before it lets a message through, and delivery asks again when it leases one. An exit by an event was
dealt with by `enrol` (both wait for it); this is the exit by a condition on facts, which may have become true since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.orm import Session

from app.enrollments import programs
from app.journey import entry


class Judged(Protocol):
    """What is needed of a message."""

    @property
    def id(self) -> int: ...
    @property
    def version_id(self) -> int | None: ...


def left(
    session: Session, rows: Sequence[Judged], facts: Mapping[int, Mapping[str, Any]], now: datetime
) -> dict[int, str]:
    """Message id → reason, for the messages whose workflow's exit conditions hold on the facts of now.

    Args:
        rows: messages; those of no workflow never leave.
        facts: message id → facts with its passage.
        now: the instant of judgement.

    One query at most, none where the versions are known to this process.
    """
    known = programs.of_versions(session, {row.version_id for row in rows if row.version_id})
    found: dict[int, str] = {}
    for row in rows:
        program = known.get(row.version_id or 0)
        if program is None or row.id not in facts:
            continue
        ended = entry.exit_by_state(program, facts[row.id], now)
        if ended:
            found[row.id] = ended.reason
    return found
