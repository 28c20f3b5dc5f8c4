"""Mailjet: the event callback with user and password in the URL (docs: "Event API"); it signs nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.delivery.providers.webhooks import (
    Reader,
    Report,
    Request,
    Row,
    Secrets,
    UnreadableError,
    bracketed,
    hashed,
    instant,
    json_of,
    prove,
    sent_as,
    tables,
    word,
)
from app.delivery.status import verdict

KINDS = {
    "sent": "delivered",  # Mailjet says it when the mailbox's server took the mail
    "bounce": "bounced",
    "blocked": "rejected",
    "spam": "complained",
    "open": "opened",
    "click": "clicked",
    "unsub": "unsubscribed",
}
_BLOCKS = frozenset({"spam", "content", "system"})
"""What an error is related to that is not the recipient's doing."""


def verify(request: Request, secrets: Secrets, _now: datetime) -> None:
    """By user and password. Nothing is dated: what is sent again counts once."""
    prove(request, secrets, None)


def parse(request: Request) -> list[Report]:
    """Each event, whether they come grouped or alone."""
    return [_report(event) for event in tables(json_of(request.body))]


def _report(event: Row) -> Report:
    name = word(event.get("event")) or ""
    said = word(event.get("error")) or word(event.get("comment")) or word(event.get("smtp_reply"))
    reason = None
    if name == "bounce":
        if word(event.get("error_related_to")) in _BLOCKS or verdict(said or "") == "blocked":
            reason = "blocked"
        else:
            reason = "hard" if event.get("hard_bounce") is True else "soft"
    elif name == "blocked":
        reason = "suppressed" if word(event.get("error")) in {"preblocked", "blocked"} else "other"
    elif name == "spam":
        reason = "abuse"
    return Report(
        kind=KINDS.get(name, "unknown"),
        reason=reason,
        dedupe=hashed(event),
        raw=event,
        occurred_at=instant(event.get("time")),
        recipient=word(event.get("email")),
        provider_id=word(event.get("MessageID")),
        sent_as=_ours(event.get("Payload")) or bracketed(event.get("CustomID")),
        text=said,
        url=word(event.get("url")),
    )


def _ours(payload: Any) -> str | None:
    try:
        return sent_as(json_of(payload)) if isinstance(payload, str) and payload else None
    except UnreadableError:
        return None  # somebody else's words


READER = Reader(verify, parse, "", basic="needed")
