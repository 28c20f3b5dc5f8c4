"""What people do with broadcasts: write one, confirm it with its number, take that back, pause, resume, stop, copy.

Nothing here sends: confirming sets `next_at`, and the stage (`broadcast.run`) takes it from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.audience.models import Segment
from app.content import catalogue
from app.db import workspace_of
from app.journey.waits import at_clock
from app.messages.broadcast import first_hour, forget, home_zone
from app.messages.models import TIMINGS, Broadcast
from app.messages.states import WAITING
from app.queues import signal

GRACE = timedelta(seconds=10)
"""How long after its confirmation one that goes "now" can still be taken back before it begins."""

ABOUT_A_PERSON = ("contact.", "property.", "t.", "now")
"""What a template may need where no booking and no event is at hand."""

OPEN = ("sending", "paused")

PAUSED_UNTIL = datetime(9999, 1, 1, tzinfo=UTC)
"""What is held is due after this, which is to say never."""


class BroadcastError(ValueError):
    """It cannot be so. `problems`: field → code; the doors have the words for each."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__(", ".join(f"{field}: {code}" for field, code in self.problems.items()))


@dataclass(frozen=True, slots=True)
class Wish:
    """A broadcast as somebody writes it down."""

    name: str
    template: str
    segment: str | None = None
    """None: everybody."""
    topic: str | None = None
    """None: the template's own."""
    property_id: int | None = None
    timing: str = "now"
    at: datetime | None = None
    local_day: date | None = None
    local_time: time | None = None
    window_hours: int = 24
    on_hit: str = "defer"


def find(session: Session, broadcast_id: int) -> Broadcast | None:
    """One of them, locked until the end of this unit of work: a page being planned is waited for. One query."""
    return session.scalars(
        select(Broadcast)
        .where(Broadcast.id == broadcast_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()


def write(session: Session, wish: Wish, by: str, now: datetime, broadcast: Broadcast | None = None) -> Broadcast:
    """A new draft, or a draft changed. Whatever was counted of it is forgotten.

    Raises BroadcastError, naming every field that is wrong. Three queries.
    """
    if broadcast is not None and broadcast.state != "draft":
        raise BroadcastError({"state": "not_a_draft"})
    problems: dict[str, str] = {}
    class_, topic = _of_template(session, wish, problems)
    if not wish.name.strip():
        problems["name"] = "missing"
    if wish.segment is not None and not _has_segment(session, wish.segment):
        problems["segment"] = "unknown"
    if wish.on_hit not in {"defer", "drop"}:
        problems["on_hit"] = "unknown"
    if not 1 <= wish.window_hours <= 24 * 14:
        problems["window_hours"] = "range"
    starts_at = _start(session, wish, now, problems)
    if problems:
        raise BroadcastError(problems)
    fields: dict[str, Any] = {
        "name": wish.name.strip()[:200],
        "template": wish.template,
        "class_": class_,
        "topic": topic,
        "segment": wish.segment,
        "property_id": wish.property_id,
        "timing": wish.timing,
        "starts_at": starts_at,
        "local_day": wish.local_day if wish.timing == "local" else None,
        "local_time": f"{wish.local_time:%H:%M}" if wish.timing == "local" and wish.local_time else None,
        "window_hours": wish.window_hours,
        "on_hit": wish.on_hit,
        "preview": None,
        "updated_at": now,
    }
    if broadcast is None:
        broadcast = Broadcast(
            workspace_id=workspace_of(session), state="draft", created_by=by, created_at=now, **fields
        )
        session.add(broadcast)
        session.flush()  # its number is asked for
    else:
        for name, value in fields.items():
            setattr(broadcast, name, value)
    return broadcast


def _of_template(session: Session, wish: Wish, problems: dict[str, str]) -> tuple[str, str | None]:
    """Class and topic, which are the template's own; a topic may be given where the template leaves it open."""
    published = catalogue.published(session, {wish.template}).get(wish.template) if wish.template else None
    if published is None:
        problems["template"] = "missing" if not wish.template else "unpublished"
        return "marketing", None
    info = catalogue.info(published.compiled)
    if info.class_ == "consent_request":
        problems["template"] = "consent_request"
    elif any(not path.startswith(ABOUT_A_PERSON) for path in info.required):
        problems["template"] = "needs_booking"
    topic = info.topic or wish.topic or None
    if info.class_ == "marketing" and topic is None:
        problems["topic"] = "missing"
    return info.class_, topic if info.class_ == "marketing" else None


def _has_segment(session: Session, name: str) -> bool:
    return session.scalar(select(Segment.id).where(Segment.name == name, Segment.archived_at.is_(None))) is not None


def _start(session: Session, wish: Wish, now: datetime, problems: dict[str, str]) -> datetime | None:
    match wish.timing:
        case "now":
            return None
        case "at":
            if wish.at is None:
                problems["at"] = "missing"
            elif wish.at <= now:
                problems["at"] = "past"
            return wish.at
        case "local":
            if wish.local_day is None or wish.local_time is None:
                problems["local_day"] = "missing"
                return None
            # Where the hour has passed at the hotel's own clock nearly everybody would get it at once, at any hour.
            if at_clock(wish.local_day, wish.local_time, home_zone(session, wish.property_id)) <= now:
                problems["local_day"] = "past"
            return max(first_hour(wish.local_day, wish.local_time), now)
        case _:
            problems["timing"] = f"not one of {', '.join(TIMINGS)}"
            return None


def confirm(
    session: Session, broadcast: Broadcast, people: int, by: str, now: datetime, *, grace: timedelta = GRACE
) -> None:
    """Let it go, at its hour. `people` is the number the person was shown and typed.

    Raises BroadcastError: it is no draft, has not been counted to the end, the number is another, or its hour passed.
    """
    if broadcast.state != "draft":
        raise BroadcastError({"state": "not_a_draft"})
    if not (broadcast.preview or {}).get("done"):
        raise BroadcastError({"people": "not_counted"})
    if people != expected(broadcast):
        raise BroadcastError({"people": "another_number"})
    if broadcast.timing == "now":
        broadcast.starts_at = now + grace
    elif broadcast.timing == "at" and (broadcast.starts_at is None or broadcast.starts_at <= now):
        raise BroadcastError({"at": "past"})
    elif broadcast.timing == "local":
        day, hour = broadcast.local_day, time.fromisoformat(broadcast.local_time or "00:00")
        if day is None or at_clock(day, hour, home_zone(session, broadcast.property_id)) <= now:
            raise BroadcastError({"local_day": "past"})
        broadcast.starts_at = max(first_hour(day, hour), now + grace)
    broadcast.state, broadcast.next_at = "scheduled", broadcast.starts_at
    broadcast.confirmed_by, broadcast.confirmed_at, broadcast.confirmed_for = by, now, people
    broadcast.updated_at = now
    signal(session, "broadcast")


def expected(broadcast: Broadcast) -> int:
    """How many people the count says it would reach, now or later within its window."""
    counted = broadcast.preview or {}
    return int(counted.get("may", 0)) + int(counted.get("later", 0))


def take_back(broadcast: Broadcast, now: datetime) -> None:
    """A scheduled one is a draft again. Raises BroadcastError where it has begun."""
    if broadcast.state != "scheduled":
        raise BroadcastError({"state": "begun"})
    broadcast.state, broadcast.next_at, broadcast.updated_at = "draft", None, now
    broadcast.confirmed_by = broadcast.confirmed_at = broadcast.confirmed_for = None
    if broadcast.timing == "now":
        broadcast.starts_at = None


def pause(session: Session, broadcast: Broadcast, now: datetime) -> int:
    """Nobody more is planned, and what is planned is held until somebody resumes it (R63).

    Returns how many planned messages are held. One query. Raises BroadcastError.
    """
    if broadcast.state != "sending":
        raise BroadcastError({"state": "not_sending"})
    broadcast.state, broadcast.next_at, broadcast.paused_at, broadcast.updated_at = "paused", None, now, now
    asked = {"ws": workspace_of(session), "broadcast": broadcast.id, "never": PAUSED_UNTIL}
    return len(session.execute(_HOLD, {**asked, "states": ["planned", "deferred", "ready"]}).all())


def resume(session: Session, broadcast: Broadcast, now: datetime) -> None:
    """It goes on; a copy whose window has closed meanwhile is refused as too late (R59). One query.

    Raises BroadcastError.
    """
    if broadcast.state != "paused":
        raise BroadcastError({"state": "not_paused"})
    broadcast.state, broadcast.next_at, broadcast.paused_at, broadcast.updated_at = "sending", now, None, now
    session.execute(_WAKE, {"ws": workspace_of(session), "broadcast": broadcast.id, "now": now})
    signal(session, "broadcast")
    signal(session, "gate")


def stop(session: Session, broadcast: Broadcast, by: str, now: datetime) -> int:
    """End it for good: nobody more is planned, and what waits is called off. What has been handed over has gone.

    Returns how many planned messages were called off. Two queries. Raises BroadcastError.
    """
    if broadcast.state not in {"scheduled", *OPEN}:
        raise BroadcastError({"state": "not_running"})
    check = {"check": "stream", "allowed": False, "code": "broadcast_stopped", "rule": "R63", "inputs": {"by": by}}
    entry = {"at": now.isoformat(), "moment": "stop", "outcome": "refused", "allowed": False, "checks": [check]}
    called_off = session.execute(
        _CALL_OFF,
        {
            "ws": workspace_of(session),
            "broadcast": broadcast.id,
            "states": list(WAITING),
            "verdict": msgspec.json.encode([entry]).decode(),
            "now": now,
        },
    ).all()
    forget(session, broadcast)
    broadcast.state, broadcast.next_at, broadcast.paused_at = "stopped", None, None
    broadcast.ended_at, broadcast.ended_by, broadcast.updated_at = now, by, now
    return len(called_off)


def copy(session: Session, broadcast: Broadcast, name: str, by: str, now: datetime) -> Broadcast:
    """A draft that says the same to the same segment; its hour is to be chosen anew."""
    made = Broadcast(
        workspace_id=workspace_of(session),
        name=name[:200],
        state="draft",
        template=broadcast.template,
        class_=broadcast.class_,
        topic=broadcast.topic,
        segment=broadcast.segment,
        property_id=broadcast.property_id,
        timing="now",
        window_hours=broadcast.window_hours,
        priority=broadcast.priority,
        on_hit=broadcast.on_hit,
        copied_from=broadcast.id,
        created_by=by,
        created_at=now,
        updated_at=now,
    )
    session.add(made)
    session.flush()  # its number is asked for
    return made


@dataclass(frozen=True, slots=True)
class Results:
    """What has become of a broadcast's messages so far."""

    states: Mapping[str, int]
    refused: Mapping[str, int]
    """Reason → people, the commonest first; what was called off or failed among them."""
    waiting: Mapping[str, int]
    """Reason → people put off."""
    delivered: int
    bounced: int
    complained: int
    clicked: int
    """By a person."""
    machines: int
    """Opened or followed by a machine, whether or not a person did so too: counted nowhere else."""

    @property
    def sent(self) -> int:
        """Taken by the provider, or on the way to it."""
        return sum(self.states.get(state, 0) for state in ("accepted", "handed_over", "unknown"))

    @property
    def to_come(self) -> int:
        """Planned and neither sent nor ended."""
        return sum(self.states.get(state, 0) for state in WAITING)

    @property
    def ended(self) -> int:
        """Ended without being sent."""
        return sum(self.states.get(state, 0) for state in ("refused", "cancelled", "failed"))


def results(session: Session, broadcast_id: int) -> Results:
    """Read off the messages themselves. One query."""
    states: dict[str, int] = {}
    refused: dict[str, int] = {}
    waiting: dict[str, int] = {}
    came = dict.fromkeys(("delivered", "bounced", "complained", "clicked", "machines"), 0)
    for row in session.execute(_RESULTS, {"ws": workspace_of(session), "broadcast": broadcast_id}):
        states[row.state] = states.get(row.state, 0) + row.people
        if row.state in {"refused", "cancelled", "failed"}:
            refused[row.reason or "unknown"] = refused.get(row.reason or "unknown", 0) + row.people
        elif row.state == "deferred":
            waiting[row.reason or "unknown"] = waiting.get(row.reason or "unknown", 0) + row.people
        for name in came:
            came[name] += getattr(row, name)
    ordered = dict(sorted(refused.items(), key=lambda item: (-item[1], item[0])))
    return Results(states, ordered, waiting, **came)


# Whoever holds a row at this moment is waited for: what has been leased by then goes, all others are held.
_HOLD = text(
    """
    UPDATE messages SET state = 'deferred', reason = 'paused', rule = 'R63', due_at = :never
    WHERE workspace_id = :ws AND broadcast_id = :broadcast AND state = ANY(:states) RETURNING id
    """
)
_WAKE = text(
    """
    UPDATE messages SET due_at = :now
    WHERE workspace_id = :ws AND broadcast_id = :broadcast AND state = 'deferred' AND reason = 'paused'
      AND due_at > :now
    """
)
_CALL_OFF = text(
    """
    UPDATE messages
    SET state = 'cancelled', reason = 'broadcast_stopped', rule = 'R63', ended_at = :now, lease_token = NULL,
        lease_until = NULL, verdict = verdict || CAST(:verdict AS jsonb)
    WHERE workspace_id = :ws AND broadcast_id = :broadcast AND state = ANY(:states)
    RETURNING id
    """
)
_RESULTS = text(
    """
    SELECT state, reason, count(*) AS people, count(delivered_at) AS delivered, count(bounced_at) AS bounced,
           count(complained_at) AS complained, count(clicked_at) AS clicked,
           count(*) FILTER (WHERE EXISTS (SELECT 1 FROM delivery_events d
               WHERE d.workspace_id = :ws AND d.message_pk = m.id AND d.kind IN ('opened', 'clicked')
                 -- Nothing is heard of a mail before it was planned: the months before are not looked at.
                 AND d.received_at >= m.planned_at - interval '1 day'
                 AND d.data ->> 'class' IN ('proxy', 'scanner'))) AS machines
    FROM messages m WHERE m.workspace_id = :ws AND m.broadcast_id = :broadcast GROUP BY state, reason
    """
)
