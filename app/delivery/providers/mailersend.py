"""MailerSend: webhooks signed with HMAC (docs: "Webhooks", "Security")."""

from __future__ import annotations

import hmac
from datetime import datetime

from app.delivery.providers.webhooks import (
    Reader,
    Report,
    Request,
    Secrets,
    hashed,
    instant,
    json_of,
    prove,
    same,
    table,
    word,
)

MEANINGS: dict[str, tuple[str, str | None]] = {
    "sent": ("accepted", None),
    "delivered": ("delivered", None),
    "deferred": ("deferred", None),
    "soft_bounced": ("bounced", "soft"),
    "hard_bounced": ("bounced", "hard"),
    "spam_complaint": ("complained", "abuse"),
    "unsubscribed": ("unsubscribed", None),
    "opened": ("opened", None),
    "clicked": ("clicked", None),
    # opened_unique, clicked_unique: said beside the two above, of the same act
}
"""Type of activity → kind and reason."""


def verify(request: Request, secrets: Secrets, _now: datetime) -> None:
    """By HMAC-SHA256 over the body. Nothing is dated: what is sent again counts once."""
    given = request.headers.get("signature", "")
    prove(request, secrets, lambda key: same(given, hmac.new(key.encode(), request.body, "sha256").hexdigest()))


def parse(request: Request) -> list[Report]:
    """The one activity of the request; a mail that came in is none."""
    event = table(json_of(request.body))
    data = table(event.get("data"))
    name = word(data.get("type")) or (word(event.get("type")) or "").removeprefix("activity.")
    if event.get("type") == "inbound.message":
        return []
    mail, more = table(data.get("email")), table(data.get("morph"))
    kind, reason = MEANINGS.get(name, ("unknown", None))
    return [
        Report(
            kind=kind,
            reason=reason,
            dedupe=word(data.get("id")) or hashed(event),
            raw=event,
            occurred_at=instant(data.get("created_at")),
            recipient=word(table(mail.get("recipient")).get("email")),
            provider_id=word(table(mail.get("message")).get("id")),
            text=word(more.get("reason")),
            url=word(more.get("url")),
        )
    ]


READER = Reader(verify, parse, "the webhook's signing secret", keys="needed")
