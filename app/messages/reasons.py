"""Why people left, as they said of their own accord afterwards: kept for each of them, counted for all.

What one person said is an event of theirs, once for each mail; it goes with them when they are erased. The figures rest
on rows of their own that name nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db import workspace_of
from app.events.record import OwnEvent, record_own

REASONS = ("too_often", "not_relevant", "never_asked", "other")
EXPLAINED = "unsubscribe.explained"

MOST = 50
"""So many mails are told apart at most, those that most left by."""


@dataclass(frozen=True, slots=True)
class Source:
    """What somebody left by: a mail of a workflow or of a broadcast."""

    template: str
    workflow: str | None
    broadcast: str | None
    broadcast_id: int | None


@dataclass(frozen=True, slots=True)
class Told:
    """What was said in a span of time."""

    reasons: Mapping[str, int] = field(default_factory=dict)
    """Reason → how many, the most frequent first."""
    sources: Sequence[tuple[Source, Mapping[str, int]]] = ()
    """The same for each mail that people left by, the most frequent first; `MOST` of them."""

    @property
    def total(self) -> int:
        """How many said why."""
        return sum(self.reasons.values())


def note(session: Session, contact_id: int, message_id: int, reason: str, now: datetime) -> bool:
    """Keep a reason; of one mail the first that was said. Four queries.

    Returns:
        Whether it was kept.
    """
    told = OwnEvent(
        contact_id, EXPLAINED, now, {"reason": reason, "message_id": message_id}, id=f"{EXPLAINED}:{message_id}"
    )
    if not record_own(session, [told], now):
        return False
    given = {"ws": workspace_of(session), "message": message_id, "reason": reason, "now": now}
    session.execute(_NOTE, given)
    return True


def counted(session: Session, since: datetime) -> Told:
    """Who said what since then, by reason and by mail; one query."""
    rows = session.execute(_COUNT, {"ws": workspace_of(session), "since": since}).all()
    reasons: Counter[str] = Counter()
    sources: dict[Source, Counter[str]] = {}
    for row in rows:
        reasons[row.reason] += row.people
        source = Source(row.template, row.workflow, row.broadcast, row.broadcast_id)
        sources.setdefault(source, Counter())[row.reason] += row.people
    ranked = sorted(sources.items(), key=lambda item: (-item[1].total(), item[0].template))
    return Told(dict(reasons.most_common()), ranked[:MOST])


_NOTE = text(
    """
    INSERT INTO leaving_reasons (workspace_id, reason, template, workflow_id, broadcast_id, at)
    SELECT workspace_id, :reason, template, workflow_id, broadcast_id, :now FROM messages
    WHERE workspace_id = :ws AND id = :message
    """
)
_COUNT = text(
    """
    SELECT r.reason, r.template, w.name AS workflow, b.name AS broadcast, b.id AS broadcast_id, count(*) AS people
    FROM leaving_reasons r
    LEFT JOIN workflows w ON w.workspace_id = r.workspace_id AND w.id = r.workflow_id
    LEFT JOIN broadcasts b ON b.workspace_id = r.workspace_id AND b.id = r.broadcast_id
    WHERE r.workspace_id = :ws AND r.at >= :since
    GROUP BY r.reason, r.template, w.name, b.name, b.id
    """
)
