"""Anybody else: our own vocabulary as JSON, signed as Standard Webhooks say.

    {"events": [{"id": "e-1", "kind": "bounced", "reason": "hard", "occurred_at": "2026-11-22T10:15:00Z",
                 "message_id": "<...>", "recipient": "giulia@example.com", "text": "550 5.1.1 no such user"}]}

One event may stand alone. A mail is named by `message_id` (its Message-ID) or by `provider_id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.delivery.providers.webhooks import (
    Reader,
    Report,
    Request,
    Secrets,
    UnreadableError,
    bracketed,
    fresh,
    hashed,
    instant,
    json_of,
    prove,
    standard,
    table,
    tables,
    word,
)
from app.delivery.track import KINDS, REASONS
from app.events.sources import verifies


def verify(request: Request, secrets: Secrets, now: datetime) -> None:
    """By HMAC-SHA256 over id, time and body, within five minutes."""
    signed = standard(request, "webhook")
    prove(request, secrets, lambda key: verifies(key, signed))
    fresh(signed, now)


def parse(request: Request) -> list[Report]:
    """Each event; one word that is not ours has the whole request refused, since it is its sender's mistake."""
    sent = json_of(request.body)
    return [_report(one) for one in tables(table(sent).get("events", sent))]


def _report(event: Mapping[str, Any]) -> Report:
    kind, reason = word(event.get("kind")), word(event.get("reason"))
    if kind is None or kind not in KINDS:
        raise UnreadableError(f"`kind` is one of {', '.join(KINDS)}")
    if reason is not None and reason not in REASONS:
        raise UnreadableError(f"`reason` is one of {', '.join(REASONS)}")
    return Report(
        kind=kind,
        reason=reason,
        dedupe=word(event.get("id")) or hashed(event),
        raw=event,
        occurred_at=instant(event.get("occurred_at")),
        recipient=word(event.get("recipient")),
        message_id=bracketed(event.get("message_id")),
        provider_id=word(event.get("provider_id")),
        text=word(event.get("text")),
        url=word(event.get("url")),
    )


READER = Reader(verify, parse, "a signing secret, `whsec_...`", keys="needed")
