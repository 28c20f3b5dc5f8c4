"""Sources of events with their keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.events.models import ApiKey, Source


@dataclass(frozen=True, slots=True)
class Listed:
    """A source, its keys (newest first), and since when each of its webhook secrets is live."""

    source: Source
    keys: Sequence[ApiKey]
    secrets: Sequence[tuple[str, str | None]]


def listed(session: Session, now: datetime) -> list[Listed]:
    """Every source by name; two queries."""
    keys: dict[int, list[ApiKey]] = {}
    for key in session.scalars(select(ApiKey).order_by(ApiKey.id.desc())):
        keys.setdefault(key.source_id, []).append(key)
    return [
        Listed(source, keys.get(source.id, ()), live_secrets(source, now))
        for source in session.scalars(select(Source).order_by(Source.name))
    ]


def live_secrets(source: Source, now: datetime) -> list[tuple[str, str | None]]:
    """(created_at, expires_at) of each webhook secret that still verifies, as ISO texts."""
    return [
        (secret["created_at"], secret.get("expires_at"))
        for secret in source.webhook_secrets
        if not secret.get("expires_at") or datetime.fromisoformat(secret["expires_at"]) > now
    ]
