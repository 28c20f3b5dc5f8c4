"""Senders: where a provider's webhooks come in, and the secrets that prove them, kept sealed."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.config import Settings
from app.db import settings_of, workspace_of
from app.delivery.models import Sender
from app.delivery.providers.readers import READERS
from app.delivery.providers.webhooks import Secrets
from app.sealed import opened, seal

PATH = "/api/v1/provider-webhooks"
_NOTED_EVERY = timedelta(minutes=1)


class SenderError(ValueError):
    """A sender cannot be made as asked; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Known:
    """A sender as its webhook needs it."""

    workspace_id: int
    id: int
    provider: str
    secrets: Secrets


def add(session: Session, provider: str, name: str, keys: Sequence[str], basic: Sequence[str], now: datetime) -> Sender:
    """Make a sender in this unit of work's workspace.

    Args:
        provider: one of `READERS`.
        keys: signing keys, tokens or topics, as the provider's reader says.
        basic: `user:password`, for the address entered at the provider.

    Raises:
        SenderError: nothing would prove its webhooks, or there is one of that name.
    """
    reader = READERS.get(provider)
    if reader is None:
        raise SenderError(f"There is no provider {provider!r}; there are {', '.join(READERS)}.")
    if any(not user or not rest for user, _, rest in (one.partition(":") for one in basic)) or not all(keys):
        raise SenderError("A secret is empty; user and password are written user:password.")
    if keys and reader.keys == "none":
        raise SenderError(f"{provider} signs nothing: give --basic user:password.")
    if not keys and reader.keys == "needed":
        raise SenderError(f"{provider} needs --secret: {reader.secret}.")
    if not keys and not basic:
        either = f"--secret ({reader.secret}) or --basic user:password" if reader.secret else "--basic user:password"
        raise SenderError(f"Nothing would prove its webhooks: give {either}.")
    if session.scalar(select(Sender.id).where(Sender.name == name)) is not None:
        raise SenderError(f"There is a sender {name!r} already.")
    settings = settings_of(session)
    sealed = {kind: [seal(settings, one) for one in some] for kind, some in (("keys", keys), ("basic", basic))}
    sender = Sender(
        workspace_id=workspace_of(session),
        public_id=secrets.token_urlsafe(24),
        name=name,
        provider=provider,
        secrets=sealed,
        created_at=now,
    )
    session.add(sender)
    session.flush()  # its number is asked for
    return sender


def address(settings: Settings, sender: Sender) -> str:
    """The URL to enter at the provider."""
    return f"{settings.base_url.rstrip('/')}{PATH}/{sender.provider}/{sender.public_id}"


def find(session: Session, settings: Settings, provider: str, public_id: str) -> Known | None:
    """The sender that an address means, in a unit of work over all workspaces. One query."""
    row = session.execute(_FIND, {"public_id": public_id, "provider": provider}).one_or_none()
    if row is None:
        return None
    given = Secrets(*(_opened(settings, row.secrets.get(kind, ())) for kind in ("keys", "basic")))
    return Known(row.workspace_id, row.id, row.provider, given)


def note(session: Session, sender: Known, outcome: str, now: datetime) -> None:
    """Keep what became of a sender's last request; one statement, which changes a row at most once a minute."""
    given = {"ws": sender.workspace_id, "id": sender.id, "outcome": outcome, "now": now, "since": now - _NOTED_EVERY}
    session.execute(_NOTE, given)


def _opened(settings: Settings, sealed: Sequence[str]) -> list[str]:
    """Without those under a PERCORSO_SECRET that is no longer known: they can prove nothing."""
    return [one for one in (opened(settings, one) for one in sealed) if one is not None]


_FIND = text(
    "SELECT workspace_id, id, provider, secrets FROM senders WHERE public_id = :public_id AND provider = :provider"
)
_NOTE = text(
    """
    UPDATE senders SET last_at = :now, last_outcome = :outcome
    WHERE workspace_id = :ws AND id = (
        SELECT id FROM senders WHERE workspace_id = :ws AND id = :id
            AND (last_at IS NULL OR last_at < :since OR last_at > :now OR last_outcome IS DISTINCT FROM :outcome)
        FOR NO KEY UPDATE SKIP LOCKED)
    """
)
