"""What is due: one list of queries that the timer, the metrics and the demo's clock all read.

Signals only say "look"; these queries are the look. They use the partial indexes of the tables, so an idle system costs
a few index probes a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

_RUNNING = (
    "EXISTS (SELECT 1 FROM workflows w WHERE w.workspace_id = e.workspace_id AND w.id = e.workflow_id"
    " AND w.status <> 'paused')"
)
_SEGMENTS = (
    "(SELECT workspace_id, due_at FROM segments WHERE archived_at IS NULL"
    " UNION ALL SELECT workspace_id, at FROM contact_changes)"
)
_HEARD = (
    "(SELECT s.workspace_id, s.due_at FROM segments s WHERE s.archived_at IS NULL AND EXISTS (SELECT 1 FROM"
    " workflow_versions v WHERE v.workspace_id = s.workspace_id AND strpos(CAST(v.program AS text),"
    """ '"' || s.name || '"') > 0)"""
    " UNION ALL SELECT workspace_id, at FROM contact_changes)"
)
"""The looks at segments that somebody may hear of: a version of a workflow names them. The others only keep a count."""
_SIGNUPS = (
    "(SELECT workspace_id, due_at FROM signup_submissions WHERE due_at IS NOT NULL"
    " UNION ALL SELECT workspace_id, next_at FROM consent_requests WHERE next_at IS NOT NULL)"
)
_RETENTION = (
    "(SELECT workspace_id, next_at AS due_at FROM rights_requests WHERE next_at IS NOT NULL"
    " UNION ALL SELECT workspace_id, due_at FROM retention_marks"
    " UNION ALL SELECT w.id, w.created_at FROM workspaces w"
    " WHERE NOT EXISTS (SELECT 1 FROM retention_marks m WHERE m.workspace_id = w.id))"
)
_IN_A_LANE = "CASE e.class WHEN 'feedback' THEN 1 WHEN 'marketing' THEN 2 ELSE 0 END IN (0, 1, 2)"
"""True of every message: the indexes of waiting messages begin with the lane (`messages/models.py` LANE), and who names
every lane is led to what is due in it past all that waits for later."""
_DOUBTFUL = "jsonb_exists(e.facts, 'way') AND (e.lease_token IS NULL OR e.lease_until < :now)"
"""What may have left by a provider that knows it again by a key, and is in nobody's hands."""
_ROWS: Mapping[str, tuple[str, str]] = {
    # Looked at for what is due alone: that the next night comes is nothing to wait for.
    "retention": (f"{_RETENTION} e WHERE e.due_at <= :now", "e.due_at"),
    "signups": (f"{_SIGNUPS} e WHERE true", "e.due_at"),
    "imports": ("imports e WHERE e.next_at IS NOT NULL", "e.next_at"),
    "experiments": ("experiments e WHERE e.due_at IS NOT NULL", "e.due_at"),
    "carry": ("workflow_moves e WHERE e.finished_at IS NULL", "e.due_at"),
    "segments": (f"{_SEGMENTS} e WHERE true", "e.due_at"),
    "occasions": ("occasion_marks e WHERE true", "e.next_at"),
    "hits": ("hits e WHERE true", "e.due_at"),
    "enrol": ("event_work e WHERE true", "coalesce(e.not_before, e.received_at)"),
    "advance": (f"enrollments e WHERE e.status = 'active' AND e.wake_at IS NOT NULL AND {_RUNNING}", "e.wake_at"),
    "broadcast": ("broadcasts e WHERE e.next_at IS NOT NULL", "e.next_at"),
    "calls": ("calls e WHERE e.next_at IS NOT NULL", "e.next_at"),
    "gate": (f"messages e WHERE e.state IN ('planned', 'deferred') AND {_IN_A_LANE}", "e.due_at"),
    "deliver": (f"messages e WHERE e.state = 'ready' AND {_IN_A_LANE}", "e.due_at"),
    "doubts": (f"messages e WHERE e.state = 'handed_over' AND {_DOUBTFUL}", "e.lease_until"),
}
"""Stage → rows that wait for it, and the instant from which each is due. A stage of which nothing stands here is woken
by its signal alone."""

_NEVER = "'9000-01-01'"
"""What a paused workflow holds is due after this, which is to say never."""


def _of_each(asked: str, stages: Mapping[str, tuple[str, str]] = _ROWS) -> TextClause:
    """One statement that asks every stage the same; `{rows}` and `{at}` are the stage's."""
    legs = (
        f"(SELECT {place} AS place, '{stage}' AS stage, {asked.format(rows=rows, at=at)})"
        for place, (stage, (rows, at)) in enumerate(stages.items())
    )
    return text(" UNION ALL ".join(legs) + " ORDER BY place")


# Asked of each workspace by itself: the answer is there with the first row, however many wait behind it.
_DUE = _of_each(
    "w.id AS workspace_id FROM workspaces w"
    " WHERE EXISTS (SELECT 1 FROM {rows} AND e.workspace_id = w.id AND {at} <= :now)"
)
_OLDEST = _of_each("min({at}) AS at FROM {rows} AND {at} <= :now")
_NEXT = _of_each(
    f"min({{at}}) AS at FROM {{rows}} AND {{at}} > :now AND {{at}} < {_NEVER}",
    {**_ROWS, "segments": (f"{_HEARD} e WHERE true", "e.due_at")},
)
_ON_THE_WAY = text(
    "SELECT EXISTS (SELECT 1 FROM messages WHERE state IN ('leased', 'handed_over') AND lease_token IS NOT NULL)"
    " OR EXISTS (SELECT 1 FROM calls WHERE next_at IS NOT NULL AND state = 'leased')"
)


def due(session: Session, now: datetime) -> list[tuple[str, int]]:
    """(stage, workspace) pairs with due work in the order of `_ROWS`, whether or not anybody rang; one query."""
    return [(row.stage, row.workspace_id) for row in session.execute(_DUE, {"now": now})]


def oldest(session: Session, now: datetime) -> dict[str, datetime | None]:
    """Stage → since when its oldest due row waits; None where nothing does. One query."""
    return {row.stage: row.at for row in session.execute(_OLDEST, {"now": now})}


def following(session: Session, now: datetime) -> datetime | None:
    """The next instant after `now` at which anything falls due; None where nothing waits. One query.

    A look at a segment of which no workflow hears counts for nothing: it is made up for at the next instant that does.
    """
    return min((row.at for row in session.execute(_NEXT, {"now": now}) if row.at), default=None)


def at_rest(session: Session, now: datetime) -> bool:
    """Whether nothing is due, no message is on its way to a provider and no call to another house."""
    return not due(session, now) and not session.execute(_ON_THE_WAY).scalar()
