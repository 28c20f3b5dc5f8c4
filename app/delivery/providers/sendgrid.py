"""SendGrid: the event webhook, signed with ECDSA (docs: "Event Webhook Reference", "Security Features")."""

from __future__ import annotations

from datetime import datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from app.delivery.providers.webhooks import (
    Reader,
    Report,
    Request,
    Row,
    Secrets,
    bracketed,
    hashed,
    instant,
    json_of,
    prove,
    recent,
    sent_as,
    tables,
    unbased,
    word,
)
from app.delivery.status import verdict

KINDS = {
    "processed": "accepted",
    "delivered": "delivered",
    "deferred": "deferred",
    "bounce": "bounced",
    "blocked": "bounced",
    "dropped": "rejected",
    "open": "opened",
    "click": "clicked",
    "spamreport": "complained",
    "unsubscribe": "unsubscribed",
    "group_unsubscribe": "unsubscribed",
}
_SUPPRESSED = ("bounced address", "unsubscribed address", "spam reporting address")
"""Why SendGrid drops a mail to an address on one of its own lists, in its words."""


def verify(request: Request, secrets: Secrets, now: datetime) -> None:
    """By ECDSA over time and body; or by user and password, where no key is set."""
    at = request.headers.get("x-twilio-email-event-webhook-timestamp", "")
    given = unbased(request.headers.get("x-twilio-email-event-webhook-signature", ""))

    def signed(key: str) -> bool:
        try:
            public = load_der_public_key(unbased(key))
            assert isinstance(public, EllipticCurvePublicKey)
            public.verify(given, at.encode() + request.body, ECDSA(SHA256()))
        except (InvalidSignature, UnsupportedAlgorithm, ValueError, AssertionError):
            return False
        return True

    prove(request, secrets, signed, optional=True)
    if secrets.keys:
        recent(at, now)


def parse(request: Request) -> list[Report]:
    """Each event of the list."""
    return [_report(event) for event in tables(json_of(request.body))]


def _report(event: Row) -> Report:
    name = word(event.get("event")) or ""
    said = " ".join(filter(None, (word(event.get("status")), word(event.get("reason")) or word(event.get("response")))))
    reason: str | None = None
    if name in {"bounce", "blocked"}:
        reason = "blocked" if "blocked" in {name, word(event.get("type"))} else verdict(said)
    elif name == "dropped":
        reason = "suppressed" if (word(event.get("reason")) or "").lower() in _SUPPRESSED else "other"
    # SendGrid's id of the mail, as its answer to sending told it, ends before the first dot.
    mail = (word(event.get("sg_message_id")) or "").partition(".")[0]
    return Report(
        kind=KINDS.get(name, "unknown"),
        reason=reason,
        dedupe=word(event.get("sg_event_id")) or hashed(event),
        raw=event,
        occurred_at=instant(event.get("timestamp")),
        recipient=word(event.get("email")),
        message_id=bracketed(event.get("smtp-id")),
        provider_id=mail or None,
        sent_as=sent_as(event),
        text=said or None,
        url=word(event.get("url")),
    )


READER = Reader(verify, parse, "the verification key of signed events", keys="possible")
