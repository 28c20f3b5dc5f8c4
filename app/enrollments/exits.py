"""Exits re-read: whose passage has met an exit condition since its message was planned (R60).

The gate asks before it lets a message through, and delivery asks again when it leases one. An exit by an event was
dealt with by `enrol` (both wait for it); this is the exit by a condition on facts, which may have become true since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.orm import Session

from app.audience import facts as audience
from app.enrollments import programs
from app.journey import entry
from app.journey.condition_tree import DID
from app.journey.program import Program

QUERIES = 6
"""Programs; and where an exit asks: segments, what these rest on (2), clicks, what has happened."""


class Judged(Protocol):
    """What is needed of a message."""

    @property
    def id(self) -> int: ...
    @property
    def version_id(self) -> int | None: ...
    @property
    def contact_id(self) -> int: ...
    @property
    def enrollment_id(self) -> int | None: ...


def left(
    session: Session, rows: Sequence[Judged], facts: Mapping[int, Mapping[str, Any]], now: datetime
) -> dict[int, str]:
    """Message id → reason, for the messages whose workflow's exit conditions hold on the facts of now.

    Args:
        rows: messages; those of no workflow never leave.
        facts: message id → facts with its passage.
        now: the instant of judgement.

    `QUERIES` at most, none where the versions are known to this process and no exit asks for more than the facts hold.
    """
    known = programs.of_versions(session, {row.version_id for row in rows if row.version_id})
    leaving = {number: program for number, program in known.items() if program.leaves_by is not None}
    asking = [row for row in rows if row.version_id in leaving and row.id in facts]
    more = _more(session, asking, leaving, facts, now)
    found: dict[int, str] = {}
    for row in asking:
        ended = entry.exit_by_state(leaving[row.version_id or 0], {**facts[row.id], **more.get(row.id, {})}, now)
        if ended:
            found[row.id] = ended.reason
    return found


def _more(
    session: Session,
    rows: Sequence[Judged],
    leaving: Mapping[int, Program],
    facts: Mapping[int, Mapping[str, Any]],
    now: datetime,
) -> dict[int, dict[str, Any]]:
    """Message id → what its workflow's exits ask for beside the facts of a message: segments, clicks, what happened."""

    def who_ask(path: str) -> list[Judged]:
        wanted = {
            number
            for number, program in leaving.items()
            if any(one.startswith(path) for one in program.leaves_by or ())
        }
        return [row for row in rows if row.version_id in wanted]

    found: dict[int, dict[str, Any]] = {row.id: {} for row in rows}
    if segments := who_ask("contact.segments"):
        inside = audience.segments_of(session, [row.contact_id for row in segments])
        asked = {number: program.segments for number, program in leaving.items() if program.promotes}
        traced = audience.behavioural(session, {name for names in asked.values() for name in names})
        for row in segments:
            if own := traced & asked.get(row.version_id or 0, frozenset()):
                found[row.id] |= {"withheld": audience.with_withheld(facts[row.id], own).get("withheld", frozenset())}
            found[row.id]["contact"] = {**facts[row.id]["contact"], "segments": inside.get(row.contact_id, [])}
    if engaged := [row for row in who_ask("engagement.") if row.enrollment_id]:
        acts = audience.engagement(session, [(row.enrollment_id or 0, row.contact_id) for row in engaged], now)
        for row in engaged:
            promotes = leaving[row.version_id or 0].promotes
            seen = audience.with_engagement(facts[row.id], acts.get(row.enrollment_id or 0, {}), promotes=promotes)
            found[row.id]["engagement"] = seen["engagement"]
    if counting := who_ask(DID):
        types = sorted({kind for program in leaving.values() for kind in program.counted})
        happened = audience.happened(session, [row.contact_id for row in counting], now, types)
        for row in counting:
            found[row.id]["contact_events"] = happened.get(row.contact_id, [])
    return found
