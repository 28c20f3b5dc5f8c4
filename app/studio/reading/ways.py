"""The ways out of the house and how they do, and what providers reported of mails that are none of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.db import settings_of
from app.delivery import senders
from app.delivery.circuit import Standing
from app.delivery.models import Sender, UnmatchedReport
from app.delivery.providers.readers import READERS
from app.delivery.providers.writers import WRITERS
from app.delivery.ways import STREAMS
from app.studio import way_words
from app.studio.reading.paging import Page, Wanted, page


@dataclass(frozen=True, slots=True)
class Shown:
    """A sender as its row in the list."""

    sender: Sender
    state: str
    """closed, open, half-open; off; mute: nothing is sent by it."""
    address: str | None
    """Where its provider's webhooks come in; None: it has none."""
    proved: bool
    """Whether anything would prove a webhook."""
    raw: bool
    """Whether our own bytes go out."""
    first_of: Sequence[str]
    """Streams that it is the first way of."""


def ways_out(session: Session, now: datetime) -> dict[str, Any]:
    """What the page shows of senders, and of SMTP_URL where it is the way out; two queries."""
    settings = settings_of(session)
    rows: list[Shown] = []
    led: set[str] = set()
    for one in senders.listed(session):
        sends = one.active and one.credentials is not None and bool(one.streams)
        first = [stream for stream in STREAMS if sends and stream in one.streams and stream not in led]
        led |= set(first)
        writer = WRITERS.get(one.provider)
        rows.append(
            Shown(
                one,
                _state(one, now),
                senders.address(settings, one) if one.provider in READERS else None,
                any(one.secrets.values()),
                one.provider == "smtp" or (writer is not None and writer.raw),
                first,
            )
        )
    return {
        "rows": rows,
        "by_url": [stream for stream in STREAMS if stream not in led],
        "captured": settings.smtp_url.startswith("capture:"),
        "told": way_words,
        "unmatched": session.scalar(select(func.count()).select_from(UnmatchedReport)) or 0,
    }


def _state(one: Sender, now: datetime) -> str:
    if not one.active:
        return "off"
    if one.credentials is None or not one.streams:
        return "mute"
    return Standing(one.failures, one.open_until).state(now)


def unmatched(session: Session, wanted: Wanted) -> Page[Any]:
    """Reports of mails that are none of this workspace's, newest first, each with its sender's name; one query."""
    query = select(UnmatchedReport, Sender.name).outerjoin(
        Sender, (Sender.workspace_id == UnmatchedReport.workspace_id) & (Sender.id == UnmatchedReport.sender_id)
    )
    return page(session, query, UnmatchedReport.id, wanted, lambda row: int(row[0].id))
