"""What waits to be handed over, by mailbox provider: how much, how fast it may go, and until when that takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.db import workspace_of
from app.delivery.paces import PROVIDERS, Pace, Paces, Slowed, pace_of, provider_of, rate_now


@dataclass(frozen=True, slots=True)
class Backlog:
    """One provider."""

    provider: str
    domains: Sequence[str]
    """Its mailbox domains among what waits."""
    waiting: int
    throttled: int
    """Of these, as many have an instant of their own since it takes no more just now."""
    pace: Pace
    own: bool
    """Whether the workspace has set that pace itself."""
    rate: float
    """Mails a minute that may go now; 0: as fast as we can."""
    slowed: Slowed | None
    ends: datetime | None
    """When the last of them has its turn; None where nothing waits for one."""

    def left(self, now: datetime) -> timedelta | None:
        """How long that still takes."""
        return max(self.ends - now, timedelta(0)) if self.ends is not None else None


def read(session: Session, paces: Paces, now: datetime) -> list[Backlog]:
    """Every provider for which something waits, that asked for patience, or whose pace was set; the longest first.

    Two queries, and one question to Redis. Only what has passed the gate counts.
    """
    own = own_paces(session)
    slowed = paces.slowed(now)
    counted: dict[str, list[Any]] = {}
    for row in session.execute(_WAITING, {"ws": workspace_of(session)}):
        counted.setdefault(provider_of(row.domain), []).append(row)
    found = []
    for provider in dict.fromkeys([*counted, *slowed, *own]):
        rows = counted.get(provider, ())
        pace = pace_of(provider, own)
        ends = [row.ends for row in rows if row.throttled]
        one = Backlog(
            provider,
            [row.domain for row in rows],
            sum(row.waiting for row in rows),
            sum(row.throttled for row in rows),
            pace,
            provider in own,
            rate_now(pace, slowed.get(provider), now) * 60,
            slowed.get(provider),
            max(ends) if ends else None,
        )
        found.append(one)
    return sorted(found, key=lambda one: (-one.waiting, one.provider))


def own_paces(session: Session) -> Mapping[str, Any]:
    """The workspace's own paces: provider or domain → {minute, hour}. One query."""
    kept = session.scalar(select(Workspace.settings).where(Workspace.id == workspace_of(session))) or {}
    own: Mapping[str, Any] = kept.get("paces") or {}
    return own


def set_pace(session: Session, typed: str, minute: int, hour: int) -> str:
    """Give a provider, or a domain of its own, a pace; both 0: no limit. Which it was. One query.

    Raises ValueError for what is neither, or a rate below 0.
    """
    name = provider_of(typed.strip().lower().lstrip("@"))
    if (name not in PROVIDERS and "." not in name) or " " in name or min(minute, hour) < 0:
        raise ValueError(typed)
    given = {"ws": workspace_of(session), "name": name, "minute": minute, "hour": hour}
    session.execute(_SET, given)
    return name


def forget_pace(session: Session, name: str) -> None:
    """Go back to our own pace for it. One query."""
    session.execute(_FORGET, {"ws": workspace_of(session), "name": name})


_WAITING = text(
    """
    SELECT split_part(c.email_key, '@', 2) AS domain, count(*) AS waiting,
           count(*) FILTER (WHERE m.reason = 'throttled') AS throttled, max(m.due_at) AS ends
    FROM messages m JOIN contacts c ON c.workspace_id = m.workspace_id AND c.id = m.contact_id
    WHERE m.workspace_id = :ws AND m.state = 'ready' AND m.channel = 'email' AND c.email_key IS NOT NULL
    GROUP BY 1
    """
)
# Single words of the settings, so that what somebody else writes meanwhile stays.
_SET = text(
    """
    UPDATE workspaces SET settings = jsonb_set(settings, '{paces}', coalesce(settings -> 'paces', '{}'::jsonb)
        || jsonb_build_object(CAST(:name AS text), jsonb_build_object('minute', :minute, 'hour', :hour)))
    WHERE id = :ws
    """
)
_FORGET = text("UPDATE workspaces SET settings = settings #- ARRAY['paces', CAST(:name AS text)] WHERE id = :ws")
