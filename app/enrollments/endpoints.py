"""Where `webhook` steps call: the other house's address by a name, its signing secrets, and what happened lately.

A call is signed as Standard Webhooks say: `webhook-id` (the same at every try, so that the other side can tell a
repetition), `webhook-timestamp`, `webhook-signature` with one signature for each live secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.config import Settings
from app.db import settings_of, workspace_of
from app.enrollments.models import CallEndpoint
from app.events import sources
from app.sealed import opened, seal

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
_URL = re.compile(r"https?://[^\s/@?#\\]+(?:[/?][^\s#\\]*)?", re.IGNORECASE)
_HEADER = re.compile(r"[A-Za-z0-9-]{1,60}")
_OURS = re.compile(r"host|content-.*|transfer-encoding|connection|webhook-.*|user-agent", re.IGNORECASE)


class EndpointRefusedError(ValueError):
    """The endpoint cannot be kept as given; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint as plain values, for calling it without a database."""

    id: int
    name: str
    url: str
    active: bool
    secrets: tuple[str, ...]
    headers: Mapping[str, str]
    failing_since: datetime | None
    shares: bool
    """Whose it is uses what it is told for purposes of their own (R3)."""


def add(
    session: Session,
    name: str,
    url: str,
    now: datetime,
    headers: Mapping[str, str] | None = None,
    *,
    shares: bool = False,
) -> str:
    """Keep a new endpoint; gives its signing secret, this one time.

    Args:
        shares: whose it is uses what it is told for purposes of their own, not only as we say (R3).

    Raises:
        EndpointRefusedError: the name is taken, or name, address or headers will not do.
    """
    if not NAME.fullmatch(name):
        raise EndpointRefusedError("A name has small letters, digits, - and _, and at most 60 of them.")
    if session.scalar(select(CallEndpoint.id).where(CallEndpoint.name == name)) is not None:
        raise EndpointRefusedError(f"There is an endpoint named {name} already.")
    settings = settings_of(session)
    secret = sources.fresh_secret()
    session.add(
        CallEndpoint(
            workspace_id=workspace_of(session),
            name=name,
            url=checked_url(url),
            secrets=sources.with_newer(settings, [], secret, now),
            headers=_sealed(settings, headers or {}),
            shares=shares,
            created_at=now,
        )
    )
    session.flush()  # whoever lists endpoints next in this unit of work sees it
    return secret


def rotate(session: Session, endpoint: CallEndpoint, now: datetime) -> str:
    """Make a new signing secret and give it, this one time. For a day calls are signed with the older one too."""
    secret = sources.fresh_secret()
    endpoint.secrets = sources.with_newer(settings_of(session), endpoint.secrets, secret, now)
    session.flush()  # whoever reads it next in this unit of work sees it
    return secret


def change(session: Session, endpoint: CallEndpoint, url: str, headers: Mapping[str, str] | None = None) -> None:
    """Call another address from now on; `headers` None: as before. Raises EndpointRefusedError."""
    endpoint.url = checked_url(url)
    if headers is not None:
        endpoint.headers = _sealed(settings_of(session), headers)


def switch(endpoint: CallEndpoint, active: bool) -> None:
    """Call it, or do not; switched on again it has a clean slate."""
    endpoint.active = active
    endpoint.stopped_reason = None if active else "by_hand"
    endpoint.failing_since = None


def checked_url(url: str) -> str:
    """The address, if it can be called at all; whether its host may be is asked at each call, when it has a number."""
    url = url.strip()
    if len(url) > 2000 or not _URL.fullmatch(url) or not url.isascii():
        raise EndpointRefusedError("The address must be https://host/path, without name and password in it.")
    return url


def target(settings: Settings, row: Any, now: datetime) -> Target:
    """An endpoint's row as `calls` needs it. Headers sealed under a lost secret are left out."""
    headers: dict[str, str] = {}
    if row.headers:
        headers = msgspec.json.decode(opened(settings, row.headers) or "{}", type=dict[str, str])
    return Target(
        id=row.id,
        name=row.name,
        url=row.url,
        active=row.active,
        secrets=tuple(sources.live_secrets(settings, row.secrets, now)),
        headers=headers,
        failing_since=row.failing_since,
        shares=row.shares,
    )


def signed(target: Target, id_: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers of one try.

    Args:
        id_: of the call, the same at every try.
        at: real time: the other side compares it with its own clock.
        body: the very bytes that are sent.
    """
    stamp = str(int(at.timestamp()))
    made = " ".join("v1," + sources.signature(secret, id_, stamp, body) for secret in target.secrets)
    return {
        **target.headers,
        "content-type": "application/json",
        "user-agent": "Percorso",
        "webhook-id": id_,
        "webhook-timestamp": stamp,
        "webhook-signature": made,
    }


def _sealed(settings: Settings, headers: Mapping[str, str]) -> str:
    for name, value in headers.items():
        if not _HEADER.fullmatch(name) or _OURS.fullmatch(name):
            raise EndpointRefusedError(f"The header {name!r} cannot be set.")
        if not value.isascii() or not value.isprintable() or len(value) > 1000:
            raise EndpointRefusedError(f"The value of the header {name} must be plain text of one line.")
    return seal(settings, msgspec.json.encode(dict(headers)).decode()) if headers else ""
