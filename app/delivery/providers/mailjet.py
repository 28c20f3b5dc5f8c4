"""Mailjet: the event callback with user and password in the URL (docs: "Event API"); it signs nothing.

Out: https://dev.mailjet.com/email/guides/send-api-v31/, with its list of headers that it refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from app.delivery.mime import clean
from app.delivery.providers import Outcome, Outgoing, Unknown
from app.delivery.providers.api import (
    Access,
    Answer,
    Call,
    Refusal,
    Writer,
    basic,
    json_call,
    outcome_of,
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
    sent_within,
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
        sent_as=sent_within(event.get("Payload")) or bracketed(event.get("CustomID")),
        text=said,
        url=word(event.get("url")),
    )


READER = Reader(verify, parse, "", basic="needed")


# -- the way out -------------------------------------------------------------------------------------------------------


_THEIRS = frozenset(
    {"message-id", "list-id", "date", "sender", "return-path", "user-agent", "x-mailer", "x-feedback-id"}
)


def write(access: Access, mails: Sequence[Outgoing]) -> Call:
    """`POST /v3.1/send`: each mail gets an answer of its own."""
    sent = {"Messages": [_one(mail) for mail in mails]}
    return json_call("/v3.1/send", sent, basic(access.credentials["key"], access.credentials["secret"]))


def _one(mail: Outgoing) -> dict[str, Any]:
    sent: dict[str, Any] = {
        "From": person(mail.mail.sender, "Email", "Name"),
        "To": [person(mail.mail.recipient, "Email", "Name")],
        "Subject": clean(mail.mail.subject),
        "TextPart": mail.mail.text,
        "HTMLPart": mail.mail.html,
        "Headers": dict(own_headers(mail, _THEIRS)),
        "CustomID": mail.message_id,
        "EventPayload": msgspec.json.encode({METADATA: mail.message_id}).decode(),
        "TrackOpens": "disabled",
        "TrackClicks": "disabled",
    }
    if mail.mail.reply_to is not None:
        sent["ReplyTo"] = person(mail.mail.reply_to, "Email", "Name")
    if mail.mail.attachments:
        sent["Attachments"] = [
            {"Filename": one.name, "ContentType": one.type, "Base64Content": one.base64}
            for one in mail.mail.attachments
        ]
    return sent


def took(answer: Answer, mails: Sequence[Outgoing]) -> list[Outcome]:
    """200 with a list, each with a status and, of its reader, the `MessageID` that events tell of."""
    return _each(answer, mails) or [Unknown(f"an answer that fits no mail: {answer.text}")] * len(mails)


def refused(answer: Answer, mails: Sequence[Outgoing]) -> Refusal | list[Outcome]:
    """400 with such a list, where some were taken and some not; or with one error for the whole request."""
    return _each(answer, mails) or _refusal(answer.table or {"ErrorMessage": answer.text})


def _each(answer: Answer, mails: Sequence[Outgoing]) -> list[Outcome]:
    found = answer.table.get("Messages")
    if not isinstance(found, list) or len(found) != len(mails):
        return []
    return [_outcome(one if isinstance(one, dict) else {}) for one in found]


def _outcome(one: dict[str, Any]) -> Outcome:
    if one.get("Status") == "success":
        to = one.get("To")
        return taken(to[0].get("MessageID") if isinstance(to, list) and to and isinstance(to[0], dict) else None)
    errors = one.get("Errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return outcome_of(_refusal(errors[0]))
    return Unknown("neither success nor error")


def _refusal(error: dict[str, Any]) -> Refusal:
    name, said = word(error.get("ErrorCode")) or "", word(error.get("ErrorMessage")) or ""
    given = error.get("StatusCode")
    status = given if isinstance(given, int) else 400
    about = error.get("ErrorRelatedTo")
    about = " ".join(map(str, about)) if isinstance(about, list) else ""
    code = f"{status} {name}".strip()
    if about.startswith("To"):
        return Refusal("recipient", code, said, "hard")
    of_way = about.startswith("From") or status in {401, 403, 429} or status >= 500
    return Refusal("way" if of_way else "sender", code, said)


WRITER = Writer(
    base=lambda access: f"https://api{'.us' if access.options.get('region') == 'us' else ''}.mailjet.com",
    write=write,
    took=took,
    refused=refused,
    credentials={"key": "the API key", "secret": "the secret key"},
    options={"region": "eu or us (eu where nothing is said)"},
    raw=False,
    lost="Mailjet makes the mail: its own Message-ID, List-Id, envelope sender, parts and signature",
    at_once=50,
)
