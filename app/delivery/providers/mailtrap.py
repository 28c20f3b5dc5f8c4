"""Mailtrap: webhooks signed with HMAC (docs: "Webhooks", "Verifying the signature")."""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Any

from app.delivery.providers.webhooks import (
    Reader,
    Report,
    Request,
    Row,
    Secrets,
    UnreadableError,
    hashed,
    instant,
    json_of,
    prove,
    same,
    sent_as,
    table,
    tables,
    word,
)
from app.delivery.status import verdict

KINDS = {
    "delivery": "delivered",
    "soft bounce": "deferred",  # it tries again
    "bounce": "bounced",
    "suspension": "rejected",
    "reject": "rejected",
    "spam": "complained",
    "unsubscribe": "unsubscribed",
    "open": "opened",
    "click": "clicked",
}


def verify(request: Request, secrets: Secrets, _now: datetime) -> None:
    """By HMAC-SHA256 over the body; or by user and password, where no key is set. What is sent again counts once."""
    given = request.headers.get("mailtrap-signature", "")

    def signed(key: str) -> bool:
        return same(given, hmac.new(key.encode(), request.body, "sha256").hexdigest())

    prove(request, secrets, signed, optional=True)


def parse(request: Request) -> list[Report]:
    """Each event, in either of its two formats: a list in one object, or a line of JSON each."""
    return [_report(event) for event in _events(request.body)]


def _events(body: bytes) -> list[dict[str, Any]]:
    try:
        sent = json_of(body)
    except UnreadableError:
        return tables([json_of(line) for line in body.splitlines() if line.strip()])
    events = table(sent).get("events", [] if sent == {} or "event" not in table(sent) else [sent])
    return tables(events)


def _report(event: Row) -> Report:
    name = word(event.get("event")) or ""
    said = word(event.get("response"))
    reason: str | None = None
    if name == "bounce":
        reason = verdict(said or "")
        if reason == "soft" and word(event.get("bounce_category")) in {"hard", "badmailbox", "baddomain"}:
            reason = "hard"
    elif name in {"suspension", "reject"}:
        reason = "suppressed" if "suppress" in (word(event.get("reason")) or "") else "other"
    elif name == "spam":
        reason = "abuse"
    return Report(
        kind=KINDS.get(name, "unknown"),
        reason=reason,
        dedupe=word(event.get("event_id")) or hashed(event),
        raw=event,
        occurred_at=instant(event.get("timestamp")),
        recipient=word(event.get("email")),
        provider_id=word(event.get("message_id")),
        sent_as=sent_as(event.get("custom_variables")),
        text=said,
        url=word(event.get("url")),
    )


READER = Reader(verify, parse, "the webhook's signing secret", keys="possible")
