"""Opens and clicks, settled some seconds after they came: only a person's become `message.clicked` and count.

    track.record keeps the hit as `unsettled` → (seconds) → sorted with all others of its mail → own event, figures

A hit is held back for as long as it takes to see what came along with it: who follows five links within seconds has
read none. Nothing that a workflow, a goal or a figure rests on is ever told and then taken back, but for one case: a
hidden link found later than that. Then what was counted is counted no more; what a workflow has already done, it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db import Ran, as_rows, workspace_of
from app.delivery.engagement import SETTLES, UNSETTLED, Hit, Sorted, said, sort
from app.delivery.track import AWAY, own_event
from app.events.record import OwnEvent, record_own

QUERIES = 5
"""Messages, hits, their classes, the messages' clicks, what is still waiting; and three for our own events."""


def run(session: Session, now: datetime, limit: int) -> Ran:
    """Settle the hits of up to `limit` mails whose time has come; `QUERIES` queries whatever their number."""
    given = {"ws": workspace_of(session), "now": now}
    # The messages are locked and not the notes of what waits: whoever records a hit locks in that order, too.
    mails = session.execute(_MAILS, {**given, "limit": limit}).all()
    if not mails:
        return Ran(0, False)
    keys = {**given, "pks": [mail.id for mail in mails], "since": min(mail.left_at for mail in mails) - AWAY}
    of_mail: dict[int, list[Any]] = {}
    for row in session.execute(_HITS, keys):
        of_mail.setdefault(row.message_pk, []).append(row)
    changed: list[dict[str, Any]] = []
    stand: list[dict[str, Any]] = []
    own: list[OwnEvent] = []
    for mail in mails:
        rows = of_mail.get(mail.id, [])
        verdicts = sort([hit_of(row) for row in rows], mail.delivered_at)
        waits: list[datetime] = []
        for row in rows:
            ripe = row.received_at + SETTLES[row.kind]
            if row.data.get("class") == UNSETTLED and ripe > now:
                waits.append(ripe)
                continue
            if not _fixed(row.data) and row.data.get("class") != verdicts[row.id].class_:
                changed.append(_change(row, verdicts[row.id]))
                if verdicts[row.id].class_ == "human":
                    own.append(own_event(row.kind, row.occurred_at, row.data, mail))
        stand.append(_stand(mail, rows, verdicts, waits))
    session.execute(_SETTLE, {**given, "since": keys["since"], "rows": as_rows(changed)})
    session.execute(_CLICKED, {**given, "rows": as_rows(stand)})
    session.execute(_WAIT, {**given, "rows": as_rows(stand)})
    record_own(session, own, now)
    return Ran(len(mails), len(mails) >= limit)


def hit_of(row: Any) -> Hit:
    """A delivery event as the sorting sees it: ours by what was noted of the visit, a provider's by its own words."""
    data: Mapping[str, Any] = row.data
    told = said(data.get("raw") or {})
    return Hit(
        number=row.id,
        kind=row.kind,
        at=row.occurred_at,
        agent=data.get("user_agent", told.agent),
        method=str(data.get("method", "GET")),
        link=str(data["link"]) if "link" in data else data.get("url"),
        links=data.get("links"),
        hidden=bool(data.get("hidden")),
        proxy_network=bool(data.get("proxy_network")) or told.proxy_network,
        told=bool(data.get("machine")) or told.told,
    )


def _fixed(data: Mapping[str, Any]) -> bool:
    """Whether who it was is known from elsewhere: what a person of the team pressed a button for, and what was
    recorded before hits were sorted."""
    return "class" not in data or data.get("why") == "simulated"


def _change(row: Any, verdict: Sorted) -> dict[str, Any]:
    words = {"class": verdict.class_, "why": verdict.why}
    return {"contact_id": row.contact_id, "id": row.id, "received_at": row.received_at, "words": words}


def _stand(mail: Any, rows: Sequence[Any], verdicts: Mapping[int, Sorted], waits: Sequence[datetime]) -> dict[str, Any]:
    """When the mail was first clicked by a person, as far as is settled, and when it is to be looked at again."""
    clicks = [row.occurred_at for row in rows if row.kind == "clicked" and _counts(row, verdicts, mail.now)]
    return {
        "contact_id": mail.contact_id,
        "id": mail.id,
        "clicked_at": min(clicks, default=None),
        "due_at": min(waits, default=None),
    }


def _counts(row: Any, verdicts: Mapping[int, Sorted], now: datetime) -> bool:
    if _fixed(row.data):
        return row.data.get("class", "human") == "human" and not row.data.get("machine")
    ripe = row.data["class"] != UNSETTLED or row.received_at + SETTLES[row.kind] <= now
    return ripe and verdicts[row.id].class_ == "human"


_MAILS = text(
    """
    SELECT m.id, m.contact_id, m.template, m.step_id, m.booking_id, m.topic, CAST(:now AS timestamptz) AS now,
           least(m.accepted_at, m.handed_over_at) AS delivered_at,
           coalesce(m.handed_over_at, m.planned_at) AS left_at,
           (SELECT w.name FROM workflows w WHERE w.workspace_id = :ws AND w.id = m.workflow_id) AS workflow
    FROM hits h
    JOIN messages m ON m.workspace_id = h.workspace_id AND m.contact_id = h.contact_id AND m.id = h.message_pk
    WHERE h.workspace_id = :ws AND h.due_at <= :now
    ORDER BY h.due_at, m.id LIMIT :limit FOR UPDATE OF m SKIP LOCKED
    """
)
_HITS = text(
    """
    SELECT id, contact_id, message_pk, received_at, kind, occurred_at, data FROM delivery_events
    WHERE workspace_id = :ws AND message_pk = ANY(CAST(:pks AS bigint[])) AND kind IN ('opened', 'clicked')
      AND received_at >= :since
    ORDER BY occurred_at, id
    """
)
_SETTLE = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, id bigint,
            received_at timestamptz, words jsonb)
    )
    UPDATE delivery_events d SET data = d.data || r.words
    FROM r
    WHERE d.workspace_id = :ws AND d.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
      AND d.contact_id = r.contact_id AND d.id = r.id AND d.received_at = r.received_at AND d.received_at >= :since
    """
)
_CLICKED = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, id bigint,
            clicked_at timestamptz, due_at timestamptz)
    )
    UPDATE messages m SET clicked_at = r.clicked_at
    FROM r
    WHERE m.workspace_id = :ws AND m.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
      AND m.contact_id = r.contact_id AND m.id = r.id AND m.clicked_at IS DISTINCT FROM r.clicked_at
    """
)
# Few of a batch wait on; by the join alone all that waits in the workspace would be read to find them.
_WAIT = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, id bigint,
            clicked_at timestamptz, due_at timestamptz)
    ), gone AS (
        DELETE FROM hits h USING r
        WHERE h.workspace_id = :ws AND h.contact_id = r.contact_id AND h.message_pk = r.id AND r.due_at IS NULL
    )
    UPDATE hits h SET due_at = r.due_at FROM r
    WHERE h.workspace_id = :ws AND h.contact_id = ANY(ARRAY(SELECT contact_id FROM r WHERE due_at IS NOT NULL))
      AND h.contact_id = r.contact_id AND h.message_pk = r.id AND r.due_at IS NOT NULL
    """
)
