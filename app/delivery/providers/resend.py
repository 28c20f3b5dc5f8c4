"""Resend: webhooks signed by Svix, which is Standard Webhooks under older names (docs: "Verify Webhooks Requests").

Out: https://resend.com/docs/api-reference/emails/send-email, "Idempotency Keys" and "Errors" there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any

from app.delivery.mime import clean
from app.delivery.providers import Outcome, Outgoing
from app.delivery.providers.api import Access, Answer, Call, Refusal, Writer, json_call, own_headers, shown, taken
from app.delivery.providers.webhooks import (
    METADATA,
    Reader,
    Report,
    Request,
    Secrets,
    as_tag,
    fresh,
    hashed,
    instant,
    json_of,
    prove,
    sent_as,
    standard,
    table,
    word,
)
from app.delivery.status import verdict
from app.events.sources import verifies

KINDS = {
    "email.sent": "accepted",
    "email.delivered": "delivered",
    "email.delivery_delayed": "deferred",
    "email.bounced": "bounced",
    "email.complained": "complained",
    "email.failed": "rejected",
    "email.suppressed": "rejected",
    "email.opened": "opened",
    "email.clicked": "clicked",
}


def verify(request: Request, secrets: Secrets, now: datetime) -> None:
    """By the signature of Svix within five minutes; or by user and password, where no key is set."""
    signed = standard(request, "svix")
    prove(request, secrets, lambda key: verifies(key, signed), optional=True)
    if secrets.keys:
        fresh(signed, now)


def parse(request: Request) -> list[Report]:
    """The one event of the request; a mail that came in, and what is about no mail, are none."""
    event = table(json_of(request.body))
    name, data = word(event.get("type")) or "", table(event.get("data"))
    if name == "email.received" or not name.startswith("email."):
        return []
    bounce = table(data.get("bounce"))
    said = word(bounce.get("message")) or word(table(data.get("failed")).get("reason"))
    kind, reason = KINDS.get(name, "unknown"), None
    if kind == "bounced":
        kind, reason = _bounced(bounce, said or "")
    elif kind == "rejected":
        reason = "suppressed" if name == "email.suppressed" else "other"
    elif kind == "complained":
        reason = "abuse"
    to = data.get("to")
    first = word(to[0] if isinstance(to, list) and to else to)
    return [
        Report(
            kind=kind,
            reason=reason,
            dedupe=request.headers.get("svix-id") or hashed(event),
            raw=event,
            occurred_at=instant(event.get("created_at")),
            recipient=parseaddr(first)[1] or first if first else None,
            provider_id=word(data.get("email_id")),
            sent_as=sent_as(_tags(data.get("tags"))),
            text=said,
            url=word(table(data.get("click")).get("link")),
        )
    ]


def _bounced(bounce: dict[str, Any], said: str) -> tuple[str, str]:
    type_, more = word(bounce.get("type")), word(bounce.get("subType")) or ""
    if more in {"Suppressed", "OnAccountSuppressionList"} or "has suppressed sending" in said:
        return "rejected", "suppressed"
    if more in {"MessageTooLarge", "ContentRejected", "AttachmentRejected"}:
        return "bounced", "blocked"
    if type_ == "Permanent" or (type_ is None and "hard bounce" in said):
        return "bounced", "hard"
    return "bounced", "soft" if type_ or verdict(said) != "blocked" else "blocked"


def _tags(tags: Any) -> dict[str, Any]:
    if isinstance(tags, list):  # as they were sent: [{name, value}]
        return {str(one.get("name")): one.get("value") for one in tags if isinstance(one, dict)}
    return table(tags)


READER = Reader(verify, parse, "the signing secret, `whsec_...`", keys="possible")


# -- the way out -------------------------------------------------------------------------------------------------------


_THEIRS = frozenset({"message-id"})


def write(access: Access, mails: Sequence[Outgoing]) -> Call:
    """`POST /emails`, one mail. The key is the Message-ID: for 24 hours the same request is answered and not sent."""
    (mail,) = mails
    sent: dict[str, Any] = {
        "from": shown(mail.mail.sender),
        "to": [shown(mail.mail.recipient)],
        "subject": clean(mail.mail.subject),
        "html": mail.mail.html,
        "text": mail.mail.text,
        "headers": dict(own_headers(mail, _THEIRS)),
        "tags": [{"name": METADATA, "value": as_tag(mail.message_id)}, {"name": "stream", "value": mail.stream}],
    }
    if mail.mail.reply_to is not None:
        sent["reply_to"] = [shown(mail.mail.reply_to)]
    if mail.mail.attachments:
        sent["attachments"] = [
            {"filename": one.name, "content_type": one.type, "content": one.base64} for one in mail.mail.attachments
        ]
    key = mail.message_id.strip("<>")
    headers = {"authorization": f"Bearer {access.credentials['key']}", "idempotency-key": key}
    return json_call("/emails", sent, headers, key=key)


def took(answer: Answer, _mails: Sequence[Outgoing]) -> list[Outcome]:
    """200 with its `id`, the first time and every time the same key comes again."""
    return [taken(answer.table.get("id"))]


def refused(answer: Answer, _mails: Sequence[Outgoing]) -> Refusal:
    """Its `name` and `message`. 409 says that the key was used, or is being used: whether that one left is unknown."""
    name, said = word(answer.table.get("name")) or "", word(answer.table.get("message")) or answer.text
    code = f"{answer.status} {name}".strip()
    if answer.status == 409:
        return Refusal("doubt", code, said)
    if name == "validation_error" and "`to`" in said:
        return Refusal("recipient", code, said, "hard")
    return Refusal("way" if "domain" in said or "`from`" in said or "quota" in name else "sender", code, said)


WRITER = Writer(
    base=lambda _access: "https://api.resend.com",
    write=write,
    took=took,
    refused=refused,
    credentials={"key": "an API key with sending access"},
    raw=False,
    lost="Resend makes the mail: its own Message-ID, envelope sender, parts and signature; opens and clicks are "
    "counted unless that is switched off for the domain",
    known_for=timedelta(hours=23),
)
