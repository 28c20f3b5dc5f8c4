"""The marketing stream pauses itself where too many readers complain or too many addresses do not exist (R38).

Mailbox providers judge a sender by these two figures, and what they then refuse is all mail of the domain,
confirmations among it. So the stream stops by itself, says why where everybody sees it, and a person starts it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import structlog
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.db import workspace_of
from app.queues import signal

log = structlog.get_logger()

STREAM = "marketing"
SAMPLE = 1_000
"""The newest so many of the stream are looked at."""
COMPLAINTS, COMPLAINTS_FROM = 0.003, 1_000
"""The share of complaints that pauses it, among so many at least: Gmail's and Yahoo's own limit."""
BOUNCES, BOUNCES_FROM = 0.05, 200
"""The share of addresses that do not exist, among so many at least. Ours; a bad list shows early, and costs early."""

_LOOK_BACK = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Health:
    """The newest messages of the stream."""

    delivered: int
    complained: int
    bounced: int

    @property
    def trouble(self) -> str | None:
        """`complaints` or `bounces`, where a limit has been reached."""
        if self.delivered >= COMPLAINTS_FROM and self.complained >= COMPLAINTS * self.delivered:
            return "complaints"
        if self.delivered >= BOUNCES_FROM and self.bounced >= BOUNCES * self.delivered:
            return "bounces"
        return None


def health(session: Session, now: datetime) -> Health:
    """The figures since somebody last started the stream again, of 30 days at most. Two queries."""
    settings = _settings(session)
    since = now - _LOOK_BACK
    if resumed := (settings.get("stream_resumed") or {}).get(STREAM):
        since = max(since, datetime.fromisoformat(resumed))
    row = session.execute(
        _HEALTH, {"ws": workspace_of(session), "class": STREAM, "since": since, "sample": SAMPLE}
    ).one()
    return Health(row.delivered, row.complained, row.bounced)


def watch(session: Session, now: datetime) -> str | None:
    """Look at the stream after bad news, and pause it where a limit has been reached: why. Three queries at most."""
    if STREAM in (_settings(session).get("paused") or {}):
        return None
    found = health(session, now)
    why = found.trouble
    if why is None:
        return None
    count = found.complained if why == "complaints" else found.bounced
    told = f"{why}: {count} of {found.delivered}"
    _write(session, paused={STREAM: told})
    log.warning("stream_paused", stream=STREAM, why=why, count=count, delivered=found.delivered)
    return told


def paused(session: Session) -> Mapping[str, str]:
    """Class → why its stream is paused. One query."""
    return {str(name): str(why) for name, why in (_settings(session).get("paused") or {}).items()}


def resume(session: Session, now: datetime) -> bool:
    """Start the stream again; what was accepted before now is not held against it any more. Whether it was paused."""
    if STREAM not in paused(session):
        return False
    _write(session, paused={STREAM: None}, stream_resumed={STREAM: now.isoformat()})
    session.execute(_WAKE, {"ws": workspace_of(session), "class": STREAM, "now": now})
    signal(session, "gate")
    return True


def _settings(session: Session) -> Mapping[str, Mapping[str, str]]:
    return session.scalar(select(Workspace.settings).where(Workspace.id == workspace_of(session))) or {}


def _write(session: Session, **changes: Mapping[str, str | None]) -> None:
    """Change single words of the workspace's settings, so that what somebody else writes meanwhile stays."""
    for name, words in changes.items():
        given = msgspec.json.encode(words).decode()
        session.execute(_SET, {"ws": workspace_of(session), "name": name, "words": given})


_HEALTH = text(
    """
    SELECT count(*) AS delivered, count(complained_at) AS complained, count(*) FILTER (WHERE hard) AS bounced
    FROM (
        SELECT m.complained_at, m.bounced_at IS NOT NULL AND EXISTS (
            SELECT 1 FROM delivery_events d WHERE d.workspace_id = :ws AND d.message_pk = m.id
               AND d.kind = 'bounced' AND d.reason = 'hard') AS hard
        FROM messages m
        WHERE m.workspace_id = :ws AND m.class = :class
          AND (m.accepted_at > :since OR m.state = 'failed' AND m.bounced_at > :since)
        ORDER BY m.id DESC LIMIT :sample
    ) AS newest
    """
)
_SET = text(
    """
    UPDATE workspaces SET settings = jsonb_set(settings, ARRAY[:name],
        jsonb_strip_nulls(coalesce(settings -> :name, '{}'::jsonb) || CAST(:words AS jsonb)))
    WHERE id = :ws
    """
)
_WAKE = text(
    """
    UPDATE messages SET due_at = :now
    WHERE workspace_id = :ws AND state = 'deferred' AND class = :class AND reason = 'paused' AND due_at > :now
      AND due_at < '9000-01-01'
    """
)
