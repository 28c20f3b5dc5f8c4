"""A segment at a moment → planned messages, in pages; from there the line is the one of every other message.

    freeze   at its start the people are written down once (`broadcast_recipients`), in one transaction
    plan     whoever's hour has come is planned, page after page; the cursor moves in the same transaction
    end      when everybody has been planned and none of the messages waits any more

Killed at any instant it goes on where the last page was committed: a page and its cursor exist together or not at all,
and (broadcast, recipient) is unique among messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.consent.pressure import own_zone, zone_or_utc
from app.db import Ran, as_rows, workspace_of
from app.journey.waits import at_clock
from app.messages.broadcast_audience import pages, reads_of
from app.messages.models import Broadcast
from app.messages.plan import Planned, plan
from app.messages.states import WAITING

log = structlog.get_logger()

FREEZE_PAGE = 5_000
QUERIES = 6
"""Which broadcast is due, the broadcast, the page, its messages, who is left, the cursor. Its first run freezes the
audience besides: two statements and a page of its segment for each `FREEZE_PAGE` people, and three more; its last one
forgets the list."""

LOOK_AGAIN = timedelta(seconds=15)
"""How often one whose people have all been planned is looked at, to see whether the last message has gone."""

ON_THE_WAY = (*WAITING, "handed_over")

LINE_UP = timedelta(hours=14)
"""The clocks of Kiritimati are so far ahead of UTC: where a day begins."""

_NEXT = (
    select(Broadcast.id)
    .where(Broadcast.state.in_(("scheduled", "sending")), Broadcast.next_at.is_not(None))
    .order_by(Broadcast.next_at, Broadcast.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)


def run(session: Session, now: datetime, limit: int) -> Ran:
    """Take one due broadcast of the workspace one page further: `limit` people at most."""
    number = session.scalar(_NEXT.where(Broadcast.next_at <= now))
    if number is None:
        return Ran(0, False)
    broadcast = session.get_one(Broadcast, (workspace_of(session), number), populate_existing=True)
    if broadcast.all_planned_at is not None:
        _end(session, broadcast, now)
        return Ran(1, True)
    if broadcast.frozen_at is None:
        freeze(session, broadcast, now)
    return Ran(max(1, _plan_page(session, broadcast, now, limit)), True)


def first_hour(day: date, at: time) -> datetime:
    """The first instant at which any clock on earth shows that hour of that day."""
    return datetime.combine(day, at, tzinfo=UTC) - LINE_UP


def freeze(session: Session, broadcast: Broadcast, now: datetime) -> None:
    """Write down who it goes to, and when for each. Who enters the segment later is not written to.

    Of several people who read one mailbox one gets the copy: who has said yes to its topic, else who is known longest
    (X12). What serves a booking reaches everybody who has one.
    """
    home = _home(session, broadcast.property_id)
    asked = {"ws": workspace_of(session), "broadcast": broadcast.id, "purpose": broadcast.topic or broadcast.class_}
    reader: dict[str, tuple[int, bool]] = {}
    outdone: list[int] = []
    for ids in pages(session, broadcast.segment, now, FREEZE_PAGE):
        rows = []
        for one in session.execute(_PEOPLE, {**asked, "ids": ids}):
            if one.email_key is not None and broadcast.class_ != "transactional":
                before, willing = reader.get(one.email_key, (None, False))
                if before is not None and (willing or not one.willing):
                    broadcast.shared += 1
                    continue
                if before is not None:
                    broadcast.shared += 1
                    outdone.append(before)
                reader[one.email_key] = (one.id, one.willing)
            rows.append({"id": one.id, "due_at": _due(broadcast, one.zone, one.country, home)})
        session.execute(_FREEZE, {**asked, "rows": as_rows(rows)})
    if outdone:
        session.execute(_OUTDONE, {**asked, "outdone": outdone})
    broadcast.audience = session.execute(_COUNT, asked).scalar_one()
    broadcast.frozen_at, broadcast.started_at, broadcast.state = now, now, "sending"
    broadcast.updated_at = now
    log.info("broadcast_frozen", broadcast_id=broadcast.id, audience=broadcast.audience)


def _due(broadcast: Broadcast, zone: str | None, country: str | None, home: str) -> datetime:
    if broadcast.timing != "local" or broadcast.local_day is None or broadcast.local_time is None:
        assert broadcast.starts_at is not None, "a confirmed broadcast has its hour"
        return broadcast.starts_at
    return at_clock(broadcast.local_day, time.fromisoformat(broadcast.local_time), own_zone(zone, country, home))


def _home(session: Session, property_id: int | None) -> str:
    """The zone of whom it speaks for, else of the property that speaks by default."""
    found = session.execute(_HOME, {"ws": workspace_of(session), "property": property_id}).scalar()
    return str(found or "UTC")


def home_zone(session: Session, property_id: int | None) -> ZoneInfo:
    """The zone in which its hours are given. One query."""
    return zone_or_utc(_home(session, property_id))


def _plan_page(session: Session, broadcast: Broadcast, now: datetime, limit: int) -> int:
    """Plan the next people whose hour has come; how many were taken up."""
    asked: dict[str, Any] = {"ws": workspace_of(session), "broadcast": broadcast.id}
    after = broadcast.cursor_at or datetime.min.replace(tzinfo=UTC)
    rows = session.execute(
        _PAGE, {**asked, "after": after, "place": broadcast.cursor_place, "now": now, "limit": limit}
    ).all()
    # Two contacts that became one since it was frozen stand in it twice, and get one copy.
    fresh = {row.contact_id: row for row in reversed(rows) if not row.had}
    reads = reads_of(session, broadcast) if fresh else []
    ids = plan(
        session, [planned(broadcast, one.contact_id, one.place, one.due_at, reads) for one in fresh.values()], now
    )
    if rows:
        broadcast.cursor_at, broadcast.cursor_place = rows[-1].due_at, rows[-1].place
        broadcast.planned += len(ids)
    here = {**asked, "after": broadcast.cursor_at or after, "place": broadcast.cursor_place}
    left = session.execute(_LEFT, here).scalar()
    broadcast.updated_at = now
    if left is not None:
        broadcast.next_at = max(left, now)
    else:
        session.execute(_FORGET, asked)
        broadcast.all_planned_at, broadcast.next_at = now, now + LOOK_AGAIN
        log.info("broadcast_planned", broadcast_id=broadcast.id, planned=broadcast.planned)
    return len(rows)


def _end(session: Session, broadcast: Broadcast, now: datetime) -> None:
    """All are planned: it has ended once none of its messages waits for anything."""
    asked = {"ws": workspace_of(session), "broadcast": broadcast.id, "states": list(ON_THE_WAY)}
    waiting = session.execute(_WAITING, asked).scalar()
    broadcast.updated_at = now
    if waiting is None:
        broadcast.state, broadcast.next_at, broadcast.ended_at = "sent", None, now
    else:
        broadcast.next_at = max(waiting, now + LOOK_AGAIN)


def planned(broadcast: Broadcast, contact_id: int, place: int, due_at: datetime, reads: Sequence[str] = ()) -> Planned:
    """The message of one recipient. Its step is the recipient's place: with the broadcast that is its identity."""
    return Planned(
        contact_id=contact_id,
        enrollment_id=None,
        workflow_id=None,
        version_id=None,
        step_id=str(place),
        visit=1,
        property_id=broadcast.property_id,
        booking_id=None,
        channel="email",
        template=broadcast.template,
        class_=broadcast.class_,
        topic=broadcast.topic,
        priority=broadcast.priority,
        due_at=due_at,
        latest=due_at + timedelta(hours=broadcast.window_hours),
        broadcast_id=broadcast.id,
        terms={**(broadcast.terms or {}), "reads": list(reads) or None},
    )


def forget(session: Session, broadcast: Broadcast) -> None:
    """Drop the frozen list of one that has ended. One query."""
    session.execute(_FORGET, {"ws": workspace_of(session), "broadcast": broadcast.id})


_PEOPLE = text(
    """
    SELECT c.id, c.zone, c.country, c.email_key, coalesce(k.words ->> :purpose, '') = 'granted' AS willing
    FROM contacts c
    LEFT JOIN consent_words k ON k.workspace_id = :ws AND k.contact_id = ANY(:ids) AND k.contact_id = c.id
        AND k.address = c.email_key
    WHERE c.workspace_id = :ws AND c.id = ANY(:ids) AND c.merged_into IS NULL AND c.erased_at IS NULL
    ORDER BY c.id
    """
)
_FREEZE = text(
    """
    INSERT INTO broadcast_recipients (workspace_id, contact_id, broadcast_id, place, due_at)
    SELECT :ws, r.id, :broadcast, r.id, r.due_at
    FROM json_to_recordset(CAST(:rows AS json)) AS r(id bigint, due_at timestamptz)
    """
)
_HOME = text(
    """
    SELECT zone FROM properties WHERE workspace_id = :ws
    ORDER BY id = :property DESC NULLS LAST, is_default DESC, id LIMIT 1
    """
)
_OUTDONE = text(
    """
    DELETE FROM broadcast_recipients
    WHERE workspace_id = :ws AND contact_id = ANY(:outdone) AND broadcast_id = :broadcast
    """
)
_COUNT = text("SELECT count(*) FROM broadcast_recipients WHERE workspace_id = :ws AND broadcast_id = :broadcast")
_PAGE = text(
    """
    SELECT r.contact_id, r.place, r.due_at,
           EXISTS (SELECT 1 FROM messages m WHERE m.workspace_id = :ws AND m.broadcast_id = :broadcast
                      AND m.contact_id = r.contact_id) AS had
    FROM broadcast_recipients r
    WHERE r.workspace_id = :ws AND r.broadcast_id = :broadcast AND r.due_at <= :now
      AND (r.due_at, r.place) > (:after, :place)
    ORDER BY r.due_at, r.place LIMIT :limit
    """
)
_LEFT = text(
    """
    SELECT r.due_at FROM broadcast_recipients r
    WHERE r.workspace_id = :ws AND r.broadcast_id = :broadcast AND (r.due_at, r.place) > (:after, :place)
    ORDER BY r.due_at, r.place LIMIT 1
    """
)
_WAITING = text(
    """
    SELECT min(due_at) FROM messages WHERE workspace_id = :ws AND broadcast_id = :broadcast AND state = ANY(:states)
    """
)
_FORGET = text("DELETE FROM broadcast_recipients WHERE workspace_id = :ws AND broadcast_id = :broadcast")
