"""Unisender Go: webhooks with an MD5 of body and API key (docs: "Callback format")."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Any

from app.delivery.providers.webhooks import (
    Reader,
    Report,
    Request,
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
    "sent": "accepted",
    "delivered": "delivered",
    "soft_bounced": "deferred",  # it tries again
    "hard_bounced": "bounced",
    "spam": "complained",
    "opened": "opened",
    "clicked": "clicked",
    "unsubscribed": "unsubscribed",
    # subscribed: subscribes nobody here
}
STATUSES = {
    "err_user_unknown": "hard",
    "err_user_inactive": "hard",
    "err_domain_inactive": "hard",
    "err_mailbox_discarded": "hard",
    "err_spam_rejected": "blocked",
    "err_spam_folder": "blocked",
    "err_spam_skipped": "blocked",
    "err_too_large": "blocked",
    "err_mailbox_full": "soft",
    "err_giveup": "soft",
    "err_no_mx": "hard",
}
"""Why a delivery failed; others are read from the server's answer."""
_HELD = frozenset({"err_unsubscribed", "err_skip_letter", "err_resend"})
"""Why Unisender did not even try."""


def verify(request: Request, secrets: Secrets, _now: datetime) -> None:
    """By MD5 over the body with the API key in the place of the signature. What is sent again counts once."""
    try:
        given = table(json_of(request.body)).get("auth")
    except UnreadableError:
        given = None
    sure = given if isinstance(given, str) and re.fullmatch("[0-9a-f]{32}", given) else ""

    def signed(key: str) -> bool:
        # Found twice it could stand for something else than what it is in the other place.
        if not sure or request.body.count(sure.encode()) != 1:
            return False
        keyed = request.body.replace(sure.encode(), key.encode())
        return same(sure, hashlib.md5(keyed, usedforsecurity=False).hexdigest())

    prove(request, secrets, signed)


def parse(request: Request) -> list[Report]:
    """Each event about a mail, whether they come grouped by user or one alone."""
    sent = table(json_of(request.body))
    if "events_by_user" not in sent:
        alone = {name: value for name, value in sent.items() if name != "auth"}
        return [_report(alone)] if sent.get("event_name") == "transactional_email_status" else []
    return [
        _report(table(event.get("event_data")))
        for user in tables(sent["events_by_user"])
        for event in tables(user.get("events") or [])
        if event.get("event_name") == "transactional_email_status"
    ]


def _report(event: dict[str, Any]) -> Report:
    name, delivery = word(event.get("status")) or "", table(event.get("delivery_info"))
    said, status = word(delivery.get("destination_response")), word(delivery.get("delivery_status")) or ""
    kind, reason = KINDS.get(name, "unknown"), None
    if kind == "bounced" and status in _HELD:
        kind, reason = "rejected", "suppressed"
    elif kind == "bounced":
        reason = STATUSES.get(status) or verdict(said or "")
    elif kind == "complained":
        reason = "abuse"
    return Report(
        kind=kind,
        reason=reason,
        dedupe=hashed(event),
        raw=event,
        occurred_at=instant(event.get("event_time")),
        recipient=word(event.get("email")),
        provider_id=word(event.get("job_id")),
        sent_as=sent_as(event.get("metadata")),
        text=said,
        url=word(event.get("url")),
    )


READER = Reader(verify, parse, "the API key", keys="needed")
