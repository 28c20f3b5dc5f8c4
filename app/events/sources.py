"""Sources and how they prove who they are: bearer keys, of which only a hash is kept, and webhook secrets, kept sealed.

Signatures are those of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, base64, after `v1,`. Two secrets of a
source may be live at once, so that one can be changed without losing an event.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text, update
from sqlalchemy.orm import Session

from app.config import Settings
from app.db import settings_of, workspace_of
from app.events.models import ApiKey, Source
from app.events.record import Reporter
from app.sealed import opened, seal

SCOPES: Mapping[str, str] = {
    "events:write": "report events",
    "contacts:read": "read contacts, their timeline and bookings",
    "contacts:write": "create and change contacts",
    "messages:read": "read messages and why they were sent or not",
    "workflows:start": "start workflows for a person",
    "tasks:read": "read what people are to do",
    "tasks:write": "say that a task is done",
    "segments:read": "read segments and who is in them",
    "segments:write": "make segments",
    "broadcasts:read": "read broadcasts and what became of them",
    "broadcasts:write": "write, schedule and cancel broadcasts",
    "imports:read": "read imports and the verdicts on their rows",
    "imports:write": "hand lists of people in, take them in and back",
}
"""What a key may be allowed to do."""

KEY_MARK = "pk_live_"
SECRET_MARK = "whsec_"  # noqa: S105 (the public beginning of each secret)
OVERLAP = timedelta(hours=24)
"""How long the older webhook secret goes on verifying after a new one was made."""
TOLERANCE = timedelta(minutes=5)
"""How far a signature's time may lie from ours, either way."""
_SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Caller:
    """A source that has proved who it is, and what it may do."""

    workspace_id: int
    source_id: int
    slug: str
    property_id: int | None
    scopes: frozenset[str]

    @property
    def reporter(self) -> Reporter:
        """The caller as `record` knows it."""
        return Reporter(self.source_id, self.property_id)


class SignatureRefusedError(ValueError):
    """The signature does not hold; the message says why, without helping to forge one."""


def new_key(session: Session, source_id: int, scopes: Iterable[str], now: datetime, label: str = "") -> str:
    """Make a bearer key for a source and give it, this one time.

    Raises:
        ValueError: a scope that does not exist.
    """
    wanted = sorted(set(scopes))
    if unknown := [scope for scope in wanted if scope not in SCOPES]:
        raise ValueError(f"No such scope: {', '.join(unknown)}. There are {', '.join(SCOPES)}.")
    prefix = KEY_MARK + secrets.token_hex(4)
    key = f"{prefix}_{secrets.token_urlsafe(32)}"
    session.add(
        ApiKey(
            workspace_id=workspace_of(session),
            source_id=source_id,
            prefix=prefix,
            secret_hash=_hash(key),
            scopes=wanted,
            label=label,
            created_at=now,
        )
    )
    session.flush()  # a clash of prefixes must show here, not at commit
    return key


def revoke_key(session: Session, key_id: int, now: datetime) -> bool:
    """End a key at once; false where there is no such live key."""
    done = session.execute(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(ApiKey.id)
    )
    return done.first() is not None


def new_webhook_secret(session: Session, source: Source, now: datetime) -> str:
    """Make a signing secret for a source and give it, this one time. The newest older one stays live for a day."""
    secret = fresh_secret()
    add_webhook_secret(session, source, secret, now)
    return secret


def add_webhook_secret(session: Session, source: Source, secret: str, now: datetime) -> None:
    """Take over a signing secret that another system chose. At most two are live."""
    source.webhook_secrets = with_newer(settings_of(session), source.webhook_secrets, secret, now)
    session.flush()  # whoever reads the source next in this unit of work sees it


def fresh_secret() -> str:
    """A signing secret that nobody has."""
    return SECRET_MARK + base64.b64encode(secrets.token_bytes(24)).decode()


def with_newer(
    settings: Settings, kept: Sequence[Mapping[str, Any]], secret: str, now: datetime
) -> list[dict[str, Any]]:
    """What is kept of secrets with a newer one before them, sealed; the newest older one stays live for a day."""
    until = (now + OVERLAP).isoformat()
    live = [one for one in kept if not _is_over(one, now)]
    older = [{**one, "expires_at": one.get("expires_at") or until} for one in live[:1]]
    return [{"secret": seal(settings, secret), "created_at": now.isoformat(), "expires_at": None}, *older]


def live_secrets(settings: Settings, kept: Sequence[Mapping[str, Any]], now: datetime) -> list[str]:
    """The secrets that are live, opened, the newest first. One sealed under a lost PERCORSO_SECRET verifies nothing."""
    live = (opened(settings, one["secret"]) for one in kept if not _is_over(one, now))
    return [secret for secret in live if secret is not None]


def holder_of_key(session: Session, key: str, now: datetime) -> Caller | None:
    """Who holds this bearer key, in a unit of work over all workspaces; None: nobody.

    One query, and at most once a minute a second that notes when the key was last used.
    """
    prefix = key[: len(KEY_MARK) + 8]
    row = session.execute(_KEY, {"prefix": prefix}).one_or_none()
    if row is None or not hmac.compare_digest(row.secret_hash, _hash(key)):
        return None
    if row.last_used_at is None or not timedelta() <= now - row.last_used_at < _SEEN_EVERY:
        session.execute(_USED, {"workspace": row.workspace_id, "key": row.key_id, "now": now})
    return Caller(row.workspace_id, row.source_id, row.slug, row.property_id, frozenset(row.scopes))


def signer(session: Session, settings: Settings, name: str, signed: Signed, now: datetime) -> Caller:
    """The source that signed a request, in a unit of work over all workspaces. One query.

    Args:
        name: `workspace/source`, or the source alone where only one workspace has one of that name.
        signed: what came with the request.

    Raises:
        SignatureRefusedError: no source of that name made this signature, or it is too old.
    """
    check_time(signed, now)
    workspace, _, slug = name.rpartition("/")
    for row in session.execute(_SOURCES, {"slug": slug, "workspace": workspace or None}):
        if any(verifies(secret, signed) for secret in live_secrets(settings, row.webhook_secrets, now)):
            return Caller(row.workspace_id, row.id, row.slug, row.property_id, frozenset({"events:write"}))
    raise SignatureRefusedError("no live secret of this source made the signature")


@dataclass(frozen=True, slots=True)
class Signed:
    """A request's signature: its three headers, and the body as it came."""

    id: str
    timestamp: str
    signature: str
    body: bytes


def check_time(signed: Signed, now: datetime) -> None:
    """Refuse what lacks a part, or was signed more than five minutes from now, either way."""
    if not (signed.id and signed.timestamp and signed.signature):
        raise SignatureRefusedError("webhook-id, webhook-timestamp and webhook-signature are needed")
    if not signed.timestamp.isascii() or not signed.timestamp.isdigit() or len(signed.timestamp) > 12:
        raise SignatureRefusedError("webhook-timestamp is no number of seconds")
    if abs(datetime.fromtimestamp(int(signed.timestamp), UTC) - now) > TOLERANCE:
        raise SignatureRefusedError("it was not signed within five minutes of now")


def verifies(secret: str, signed: Signed) -> bool:
    """Whether `secret` made one of the `v1` signatures."""
    try:
        made = signature(secret, signed.id, signed.timestamp, signed.body)
    except ValueError:
        return False
    given = [part.partition(",") for part in signed.signature.split(" ")]
    return any(version == "v1" and hmac.compare_digest(value.encode(), made.encode()) for version, _, value in given)


def signature(secret: str, id_: str, timestamp: str, body: bytes) -> str:
    """The signature of a message as Standard Webhooks makes it, without its version.

    Raises:
        ValueError: the secret is none of theirs.
    """
    key = base64.b64decode(secret.removeprefix(SECRET_MARK), validate=True)
    if not key:
        raise ValueError("The secret is empty.")
    return base64.b64encode(hmac.digest(key, f"{id_}.{timestamp}.".encode() + body, "sha256")).decode()


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _is_over(secret: Mapping[str, Any], now: datetime) -> bool:
    return bool(secret.get("expires_at")) and datetime.fromisoformat(secret["expires_at"]) <= now


_KEY = text(
    """
    SELECT k.workspace_id, k.id AS key_id, k.source_id, k.secret_hash, k.scopes, k.last_used_at, s.slug, s.property_id
      FROM api_keys k JOIN sources s ON s.workspace_id = k.workspace_id AND s.id = k.source_id
     WHERE k.prefix = :prefix AND k.revoked_at IS NULL AND s.active
    """
)
_USED = text(
    """
    UPDATE api_keys SET last_used_at = :now
     WHERE workspace_id = :workspace AND id = (
        SELECT id FROM api_keys WHERE workspace_id = :workspace AND id = :key FOR NO KEY UPDATE SKIP LOCKED)
    """
)
_SOURCES = text(
    """
    SELECT s.workspace_id, s.id, s.slug, s.property_id, s.webhook_secrets
      FROM sources s JOIN workspaces w ON w.id = s.workspace_id
     WHERE s.slug = :slug AND s.active AND w.slug = coalesce(CAST(:workspace AS text), w.slug)
     ORDER BY s.workspace_id LIMIT 20
    """
)

__all__ = [
    "SCOPES",
    "Caller",
    "SignatureRefusedError",
    "Signed",
    "add_webhook_secret",
    "check_time",
    "fresh_secret",
    "holder_of_key",
    "live_secrets",
    "new_key",
    "new_webhook_secret",
    "revoke_key",
    "signature",
    "signer",
    "verifies",
    "with_newer",
]
