"""Plan: what a workflow or a broadcast wants said becomes a message row, once.

The identity of a message is (enrollment, step, visit, channel): planning it again, after a crash or by a second worker,
changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db import as_rows, workspace_of
from app.queues import signal


@dataclass(frozen=True, slots=True)
class Planned:
    """One message to be. `latest`: never after (R59). `passage`: {event, enrollment} as the mail may speak of them."""

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
    latest: datetime | None
    passage: Mapping[str, Any]


_INSERT = text(
    """
    INSERT INTO messages (workspace_id, contact_id, enrollment_id, workflow_id, version_id, step_id, visit, property_id,
        booking_id, channel, template, class, topic, priority, state, planned_at, due_at, latest, facts)
    SELECT :workspace_id, contact_id, enrollment_id, workflow_id, version_id, step_id, visit, property_id,
        booking_id, channel, template, class_, topic, priority, 'planned', :now, due_at, latest, passage
    FROM json_to_recordset(CAST(:rows AS json)) AS r(contact_id bigint, enrollment_id bigint, workflow_id bigint,
        version_id bigint, step_id text, visit int, property_id bigint, booking_id bigint, channel text, template text,
        class_ text, topic text, priority int, due_at timestamptz, latest timestamptz, passage jsonb)
    ON CONFLICT DO NOTHING
    """
)


def plan(session: Session, planned: Sequence[Planned], now: datetime) -> None:
    """Write the rows, in state `planned`, and signal the gate. One statement whatever the number."""
    if not planned:
        return
    rows = as_rows([asdict(each) for each in planned])
    session.execute(_INSERT, {"workspace_id": workspace_of(session), "rows": rows, "now": now})
    signal(session, "gate")
