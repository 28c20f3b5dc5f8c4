"""Brevo: transactional webhooks with a token, or user and password in the URL (docs: "Secure webhook calls").

Out: https://developers.brevo.com/reference/send-transac-email, and "Idempotency for batch emails" there on the key.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from app.delivery.mime import clean
from app.delivery.providers import Outcome, Outgoing
from app.delivery.providers.api import Access, Answer, Call, Refusal, Writer, json_call, own_headers, person, taken
from app.delivery.providers.webhooks import (
    METADATA,
    Reader,
    RefusedError,
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
    sent_within,
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
    """By bearer token, or by user and password, or by where it comes from. Nothing is dated: what is sent again counts
    once."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":  # one header cannot hold both, so either alone must do
        prove(request, replace(secrets, basic=()), lambda key: same(token.strip(), key))
    elif secrets.keys and not secrets.basic:
        raise RefusedError("its token is missing")
    else:
        prove(request, replace(secrets, keys=()), None)


def parse(request: Request) -> list[Report]:
    """The one event of the request; mail that came in is refused, so that Brevo shows whoever entered the address."""
    event = table(json_of(request.body))
    if "items" in event:
        raise UnreadableError("it is mail that came in; this address takes reports on mails that went out")
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
            sent_as=sent_within(event.get("X-Mailin-custom")),
            text=word(event.get("reason")),
            url=word(event.get("link")),
        )
    ]


READER = Reader(verify, parse, "a token, sent as `Authorization: Bearer`", keys="possible")


# -- the way out -------------------------------------------------------------------------------------------------------


_THEIRS = frozenset({"message-id"})


def write(access: Access, mails: Sequence[Outgoing]) -> Call:
    """`POST /v3/smtp/email`, one mail. The key is made of the Message-ID: it must be a UUID, and is known for 30
    minutes."""
    (mail,) = mails
    key = str(uuid.uuid5(uuid.NAMESPACE_URL, mail.message_id))
    custom = msgspec.json.encode({METADATA: mail.message_id}).decode()
    sent: dict[str, Any] = {
        "sender": person(mail.mail.sender),
        "to": [person(mail.mail.recipient)],
        "subject": clean(mail.mail.subject),
        "htmlContent": mail.mail.html,
        "textContent": mail.mail.text,
        "headers": {**dict(own_headers(mail, _THEIRS)), "X-Mailin-custom": custom, "idempotencyKey": key},
        "tags": [mail.stream],
    }
    if mail.mail.reply_to is not None:
        sent["replyTo"] = person(mail.mail.reply_to)
    if mail.mail.attachments:  # the type goes by the name's ending
        sent["attachment"] = [{"name": one.name, "content": one.base64} for one in mail.mail.attachments]
    return json_call("/v3/smtp/email", sent, {"api-key": access.credentials["key"]}, key=key)


def took(answer: Answer, _mails: Sequence[Outgoing]) -> list[Outcome]:
    """201 with its `messageId`, under which the webhooks tell of it."""
    return [taken(bracketed(answer.table.get("messageId")))]


def refused(answer: Answer, _mails: Sequence[Outgoing]) -> Refusal:
    """Its `code` and `message`. A key that was used is no refusal where the request before was in doubt."""
    code, said = word(answer.table.get("code")) or str(answer.status), word(answer.table.get("message")) or answer.text
    lower = said.lower()
    if code in {"duplicate_parameter", "duplicate_request"} and "sender" not in lower:
        return Refusal("taken" if answer.again else "doubt", code, said)
    if code in {"not_enough_credits", "permission_denied", "account_under_validation"} or "sender" in lower:
        return Refusal("way", code, said)
    of_reader = code == "invalid_parameter" and re.search(r"\bin to\b|\bto\b.*email|recipient", lower)
    return Refusal("recipient", code, said, "hard") if of_reader else Refusal("sender", code, said)


WRITER = Writer(
    base=lambda _access: "https://api.brevo.com",
    write=write,
    took=took,
    refused=refused,
    credentials={"key": "an API key (SMTP & API, API keys)"},
    raw=False,
    lost="Brevo makes the mail: its own Message-ID, envelope sender and signature; opens and clicks are counted unless "
    "that is switched off in the account",
    known_for=timedelta(minutes=27),
)
