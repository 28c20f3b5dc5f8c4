"""SendGrid: the event webhook, signed with ECDSA (docs: "Event Webhook Reference", "Security Features").

Out: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send, and "X-Message-ID" in its glossary.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from app.delivery.mime import clean
from app.delivery.providers import Outcome, Outgoing
from app.delivery.providers.api import (
    Access,
    Answer,
    Call,
    Refusal,
    Writer,
    errors_of,
    json_call,
    own_headers,
    person,
    taken,
)
from app.delivery.providers.webhooks import (
    METADATA,
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
    if secrets.keys and (not at or instant(at) is not None):
        # The time is part of what is signed. One that is no time can only come from who holds the key; sent again it
        # changes nothing, since each event is known by its id and counts once for its mail.
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


# -- the way out -------------------------------------------------------------------------------------------------------


_OFF = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
}


def write(access: Access, mails: Sequence[Outgoing]) -> Call:
    """`POST /v3/mail/send`, one mail; SendGrid's own counting and its own unsubscribe link are off."""
    (mail,) = mails
    sent: dict[str, Any] = {
        "personalizations": [{"to": [person(mail.mail.recipient)], "custom_args": {METADATA: mail.message_id}}],
        "from": person(mail.mail.sender),
        "subject": clean(mail.mail.subject),
        "content": [
            {"type": "text/plain", "value": mail.mail.text},
            {"type": "text/html", "value": mail.mail.html},
        ],
        "headers": dict(own_headers(mail)),
        "categories": [mail.stream],
        "tracking_settings": _OFF,
    }
    if mail.mail.reply_to is not None:
        sent["reply_to"] = person(mail.mail.reply_to)
    if mail.mail.attachments:  # a type with parameters is refused
        sent["attachments"] = [
            {"filename": one.name, "type": one.type, "content": one.base64, "disposition": "attachment"}
            for one in mail.mail.attachments
        ]
    return json_call("/v3/mail/send", sent, {"authorization": f"Bearer {access.credentials['key']}"})


def took(answer: Answer, _mails: Sequence[Outgoing]) -> list[Outcome]:
    """202 without a body; the header is what its events' ids begin with."""
    return [taken(answer.headers.get("x-message-id"))]


def refused(answer: Answer, _mails: Sequence[Outgoing]) -> Refusal:
    """400 or 413 with a list of errors, each with the field it is about."""
    errors = errors_of(answer.table.get("errors"))
    first = errors[0] if errors else {}
    field, said = word(first.get("field")) or "", word(first.get("message")) or answer.text
    if field.startswith("personalizations") and ".to" in field:
        return Refusal("recipient", str(answer.status), said, "hard")
    return Refusal("way" if field.startswith("from") else "sender", str(answer.status), said)


WRITER = Writer(
    base=lambda access: f"https://api{'.eu' if access.options.get('region') == 'eu' else ''}.sendgrid.com",
    write=write,
    took=took,
    refused=refused,
    credentials={"key": "an API key with the right Mail Send"},
    options={"region": "eu or global (global where nothing is said)"},
    raw=False,
    lost="SendGrid makes the mail: its own envelope sender, parts and signature; our Message-ID stays unless the "
    "account rewrites it",
)
