"""An effect of a step becomes a message row, once: its identity is (enrollment, step, visit, channel).

A broadcast's copy likewise: (broadcast, recipient).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db import as_rows, workspace_of
from app.messages.snapshot import freeze
from app.queues import signal

CLASSES = ("transactional", "feedback", "marketing", "consent_request")


@dataclass(frozen=True, slots=True)
class Planned:
    """A message that a step (or a broadcast) wants sent.

    `class_` is fixed here for good (R20); `due_at` and `latest` are instants; a higher `priority` wins under a cap.
    """

    contact_id: int
    enrollment_id: int | None
    workflow_id: int | None
    version_id: int | None
    step_id: str | None
    visit: int
    property_id: int | None
    booking_id: int | None
    channel: str
    template: str
    class_: str
    topic: str | None
    priority: int
    due_at: datetime
    latest: datetime | None = None
    passage: Mapping[str, Any] = field(default_factory=dict)
    """{event, enrollment} as the mail may speak of them; kept in `messages.facts` until it is composed."""
    broadcast_id: int | None = None
    terms: Mapping[str, Any] | None = None
    """{caps, quiet_hours, tracking} of its workflow or broadcast, None where the workspace's own hold; `sender`, the
    address that its step names; `attachments`, their names."""
    channels: tuple[str, ...] = ()
    """Where it may go over several: all of them, the preferred first, `channel` being that one. The gate chooses."""

    def __post_init__(self) -> None:
        if self.class_ not in CLASSES:
            raise ValueError(f"{self.class_!r} is no class of message; it is one of {', '.join(CLASSES)}.")


_INSERT = text(
    """
    INSERT INTO messages (workspace_id, contact_id, enrollment_id, workflow_id, version_id, step_id, visit, property_id,
                          booking_id, channel, template, class, topic, priority, due_at, latest, broadcast_id, terms,
                          facts, state, planned_at)
    SELECT :workspace_id, p.*, 'planned', :now
    FROM json_to_recordset(CAST(:rows AS json)) AS p(contact_id bigint, enrollment_id bigint, workflow_id bigint,
        version_id bigint, step_id text, visit integer, property_id bigint, booking_id bigint, channel text,
        template text, class_ text, topic text, priority integer, due_at timestamptz, latest timestamptz,
        broadcast_id bigint, terms jsonb, facts jsonb)
    ON CONFLICT DO NOTHING
    RETURNING id
    """
)
_FIELDS = (
    *("contact_id", "enrollment_id", "workflow_id", "version_id", "step_id", "visit", "property_id", "booking_id"),
    *("channel", "template", "class_", "topic", "priority", "due_at", "latest", "broadcast_id"),
)


def plan(session: Session, wanted: Sequence[Planned], now: datetime) -> list[int]:
    """Write the messages that are not there yet; one query, and the signal `gate` after commit.

    Args:
        session: a unit of work of one workspace.
        wanted: what to plan. A message whose identity exists already is passed over: a step taken twice sends once.
        now: kept as `planned_at`.

    Returns:
        The ids of the new rows (fewer than asked for where some were there).
    """
    if not wanted:
        return []
    rows = [
        {**{name: getattr(one, name) for name in _FIELDS}, "terms": _terms(one), "facts": freeze(one.passage)}
        for one in wanted
    ]
    asked = {"workspace_id": workspace_of(session), "now": now, "rows": as_rows(rows)}
    ids = session.scalars(_INSERT, asked).all()
    signal(session, "gate")
    return list(ids)


def _terms(one: Planned) -> dict[str, Any] | None:
    terms = {name: value for name, value in (one.terms or {}).items() if value is not None}
    if len(one.channels) > 1:
        terms["channels"] = list(one.channels)
    return terms or None
