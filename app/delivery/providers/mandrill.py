"""Mandrill (Mailchimp Transactional): webhooks as forms, signed over address and fields (docs: "Webhook Reference")."""

from __future__ import annotations

import base64
import hmac
from datetime import datetime

from app.delivery.providers.webhooks import (
    Reader,
    Report,
    Request,
    Row,
    Secrets,
    UnreadableError,
    credentials,
    form_of,
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
    "send": "accepted",
    "delivered": "delivered",
    "deferral": "deferred",
    "hard_bounce": "bounced",
    "soft_bounce": "bounced",
    "reject": "rejected",
    "spam": "complained",
    "unsub": "unsubscribed",
    "open": "opened",
    "click": "clicked",
}


def verify(request: Request, secrets: Secrets, _now: datetime) -> None:
    """By HMAC-SHA1 over the address as entered there and the fields. What is sent again counts once."""
    given = request.headers.get("x-mandrill-signature", "")
    fields = "".join(name + value for name, values in sorted(form_of(request).items()) for value in values)

    def signed(key: str) -> bool:
        return any(
            same(given, base64.b64encode(hmac.digest(key.encode(), (url + fields).encode(), "sha1")))
            for url in _addresses(request)
        )

    prove(request, secrets, signed)


def _addresses(request: Request) -> list[str]:
    # With user and password in the address, Mandrill signs the address as it was entered, them included.
    scheme, _, rest = request.url.partition("://")
    return [request.url, *(f"{scheme}://{user}@{rest}" for user in (credentials(request),) if user)]


def parse(request: Request) -> list[Report]:
    """Each event of the field `mandrill_events`; mails that came in are none."""
    events = form_of(request).get("mandrill_events")
    if not events:
        raise UnreadableError("the form has no field mandrill_events")
    return [_report(one) for one in tables(json_of(events[0])) if one.get("event") != "inbound"]


def _report(event: Row) -> Report:
    # A change of Mandrill's own lists (`type`: blacklist, whitelist) is about no mail.
    name, mail = word(event.get("event")) or "", table(event.get("msg"))
    said = word(mail.get("diag")) or word(mail.get("bounce_description"))
    at = event.get("ts")
    return Report(
        kind=KINDS.get(name, "unknown"),
        reason=_reason(name, mail, said or ""),
        dedupe=hashed(event),
        raw=event,
        occurred_at=instant(at),
        recipient=word(mail.get("email")) or word(table(event.get("reject")).get("email")),
        provider_id=word(mail.get("_id")) or word(event.get("_id")),
        sent_as=sent_as(mail.get("metadata")),
        text=said,
        url=word(event.get("url")),
    )


def _reason(name: str, mail: Row, said: str) -> str | None:
    if name in {"hard_bounce", "soft_bounce"}:
        if verdict(said) == "blocked":
            return "blocked"
        return name.partition("_")[0]
    if name == "reject":
        return "suppressed" if mail.get("bounce_description") or table(mail.get("reject")) else "other"
    return "abuse" if name == "spam" else None


READER = Reader(verify, parse, "the webhook's key", keys="needed")
