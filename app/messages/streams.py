"""The marketing stream pauses itself where too many readers complain or too many addresses do not exist (R38).

Mailbox providers judge a sender by these two figures, and what they then refuse is all mail of the domain,
confirmations among it. So the stream warns early, stops by itself, says why where everybody sees it, and only a person
starts it again, with a reason that is kept.
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
COMPLAINTS, COMPLAINTS_WARN, COMPLAINTS_FROM = 0.003, 0.001, 1_000
"""The share of complaints that pauses it, and that warns, among so many delivered at least: Gmail's and Yahoo's own."""
BOUNCES, BOUNCES_WARN, BOUNCES_FROM = 0.05, 0.02, 200
"""The share of addresses that do not exist, of so many sent at least. Ours; a bad list shows early, and costs early."""

_LOOK_BACK = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Health:
    """The newest messages of the stream: `SAMPLE` that were delivered for complaints, `SAMPLE` that were sent for
    addresses that do not exist."""

    delivered: int
    complained: int
    sent: int
    bounced: int

    @property
    def trouble(self) -> str | None:
        """`complaints` or `bounces`, where a limit has been reached."""
        return self._reached(COMPLAINTS, BOUNCES)

    @property
    def warning(self) -> str | None:
        """The same where a limit comes near."""
        return self._reached(COMPLAINTS_WARN, BOUNCES_WARN)

    def _reached(self, complaints: float, bounces: float) -> str | None:
        if self.delivered >= COMPLAINTS_FROM and self.complained >= complaints * self.delivered:
            return "complaints"
        if self.sent >= BOUNCES_FROM and self.bounced >= bounces * self.sent:
            return "bounces"
        return None

    def told(self, why: str) -> str:
        """The figures of a trouble or a warning, as they are kept: `complaints: 3 of 1000`."""
        count, of = (self.complained, self.delivered) if why == "complaints" else (self.bounced, self.sent)
        return f"{why}: {count} of {of}"


@dataclass(frozen=True, slots=True)
class Act:
    """When a stream stopped, or was started again, by whom, and why."""

    at: datetime
    what: str
    """paused or resumed."""
    why: str
    by: str | None
    """None: it stopped by itself."""


def health(session: Session, now: datetime) -> Health:
    """The figures since somebody last started the stream again, of 30 days at most. Two queries."""
    settings = _settings(session)
    since = now - _LOOK_BACK
    if resumed := (settings.get("stream_resumed") or {}).get(STREAM):
        since = max(since, datetime.fromisoformat(resumed))
    row = session.execute(
        _HEALTH, {"ws": workspace_of(session), "class": STREAM, "since": since, "sample": SAMPLE}
    ).one()
    return Health(row.delivered, row.complained, row.sent, row.bounced)


def watch(session: Session, now: datetime) -> str | None:
    """Look at the stream after bad news, and pause it where a limit has been reached: why. Three queries at most."""
    settings = _settings(session)
    if STREAM in (settings.get("paused") or {}):
        return None
    found = health(session, now)
    warned = (settings.get("stream_warned") or {}).get(STREAM)
    why = found.trouble
    if why is None:
        warning = found.told(found.warning) if found.warning else None
        if warning != warned:
            _write(session, stream_warned={STREAM: warning})
            if warning and not warned:
                log.warning("stream_warned", stream=STREAM, why=warning)
        return None
    told = found.told(why)
    _write(session, paused={STREAM: told}, stream_warned={STREAM: None})
    _note(session, now, "paused", told, None)
    log.warning("stream_paused", stream=STREAM, why=told)
    return told


def paused(session: Session) -> Mapping[str, str]:
    """Class → why its stream is paused. One query."""
    return {str(name): str(why) for name, why in (_settings(session).get("paused") or {}).items()}


def warnings(session: Session, now: datetime) -> Mapping[str, str]:
    """Class → the figures, where its stream is near a limit. One query; three where the last bad news was a warning,
    since what has gone well after it may have ended that."""
    warned = (_settings(session).get("stream_warned") or {}).get(STREAM)
    if not warned:
        return {}
    found = health(session, now)
    return {STREAM: found.told(found.warning)} if found.warning else {}


def acts(session: Session) -> list[Act]:
    """What has happened to the streams, the newest first. One query."""
    kept: list[dict[str, str]] = session.scalar(_LOG, {"ws": workspace_of(session)}) or []
    return [Act(datetime.fromisoformat(one["at"]), one["what"], one["why"], one.get("by")) for one in reversed(kept)]


def resume(session: Session, now: datetime, by: str, reason: str) -> bool:
    """Start the stream again; what was accepted before now is not held against it any more. Whether it was paused.

    Args:
        by: who does it.
        reason: what has been done about what stopped it; kept.
    """
    if STREAM not in paused(session):
        return False
    if not reason.strip():
        raise ValueError("A stream that has paused itself is started again with a reason.")
    _write(session, paused={STREAM: None}, stream_resumed={STREAM: now.isoformat()})
    _note(session, now, "resumed", reason.strip(), by)
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


def _note(session: Session, now: datetime, what: str, why: str, by: str | None) -> None:
    entry = {"at": now.isoformat(), "what": what, "why": why} | ({"by": by} if by else {})
    session.execute(_NOTE, {"ws": workspace_of(session), "entry": msgspec.json.encode([entry]).decode()})


_HEALTH = text(
    """
    WITH newest AS (
        SELECT m.id, m.complained_at, m.bounced_at FROM messages m
        WHERE m.workspace_id = :ws AND m.class = :class
          AND (m.accepted_at > :since OR m.state = 'failed' AND m.bounced_at > :since)
        ORDER BY m.id DESC LIMIT 2 * :sample
    ), delivered AS (
        SELECT complained_at FROM newest WHERE bounced_at IS NULL ORDER BY id DESC LIMIT :sample
    ), sent AS (
        SELECT n.bounced_at IS NOT NULL AND EXISTS (
            SELECT 1 FROM delivery_events d WHERE d.workspace_id = :ws AND d.message_pk = n.id
               AND d.kind = 'bounced' AND d.reason = 'hard' AND d.received_at > :since) AS hard
        FROM newest n ORDER BY n.id DESC LIMIT :sample
    )
    SELECT (SELECT count(*) FROM delivered) AS delivered, (SELECT count(complained_at) FROM delivered) AS complained,
           (SELECT count(*) FROM sent) AS sent, (SELECT count(*) FROM sent WHERE hard) AS bounced
    """
)
_LOG = text("SELECT settings -> 'stream_log' FROM workspaces WHERE id = :ws")
_NOTE = text(
    """
    UPDATE workspaces SET settings = jsonb_set(settings, '{stream_log}',
        coalesce(settings -> 'stream_log', '[]'::jsonb) || CAST(:entry AS jsonb))
    WHERE id = :ws
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
