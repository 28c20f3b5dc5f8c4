"""Brevo: transactional webhooks with a token, or user and password in the URL (docs: "Secure webhook calls")."""

from __future__ import annotations

from datetime import datetime

from app.delivery.providers.webhooks import (
    Reader,
    Report,
    Request,
    Secrets,
    UnreadableError,
    bracketed,
    hashed,
    instant,
    json_of,
    prove,
    same,
    sent_as,
    table,
    word,
)

MEANINGS: dict[str, tuple[str, str | None]] = {
    "request": ("accepted", None),
    "delivered": ("delivered", None),
    "deferred": ("deferred", None),
    "hard_bounce": ("bounced", "hard"),
    "invalid_email": ("bounced", "hard"),
    "soft_bounce": ("bounced", "soft"),
    "blocked": ("rejected", "suppressed"),  # on Brevo's own list: it did not try
    "error": ("rejected", "other"),
    "spam": ("complained", "abuse"),
    "opened": ("opened", None),
    "unique_opened": ("opened", None),
    "proxy_open": ("opened", None),
    "unique_proxy_open": ("opened", None),
    "click": ("clicked", None),
    "unsubscribe": ("unsubscribed", None),
    "unsubscribed": ("unsubscribed", None),
}
"""Brevo's word → kind and reason."""


def verify(request: Request, secrets: Secrets, _now: datetime) -> None:
    """By bearer token, or by user and password. Nothing is dated: what is sent again counts once."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":  # one header cannot hold both, so either alone must do
        prove(request, Secrets(keys=secrets.keys), lambda key: same(token.strip(), key))
    else:
        prove(request, Secrets(basic=secrets.basic), None)


def parse(request: Request) -> list[Report]:
    """The one event of the request; mails that came in are none."""
    event = table(json_of(request.body))
    if "items" in event:
        return []
    name = word(event.get("event")) or ""
    kind, reason = MEANINGS.get(name, ("unknown", None))
    return [
        Report(
            kind=kind,
            reason=reason,
            # Its `id` is the webhook's, the same for every event.
            dedupe=hashed(event),
            raw=event,
            occurred_at=instant(event.get("ts_epoch")) or instant(event.get("ts_event")),
            recipient=word(event.get("email")),
            message_id=bracketed(event.get("message-id")),
            provider_id=bracketed(event.get("message-id")),
            sent_as=_ours(event.get("X-Mailin-custom")),
            text=word(event.get("reason")),
            url=word(event.get("link")),
        )
    ]


def _ours(custom: object) -> str | None:
    text = word(custom)
    if text is None:
        return None
    try:
        return sent_as(json_of(text))
    except UnreadableError:
        return None  # the header holds somebody else's words


READER = Reader(verify, parse, "a token, sent as `Authorization: Bearer`", keys="possible")
