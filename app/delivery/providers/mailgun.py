"""Mailgun: webhooks as JSON, and the older ones as forms (docs: "Webhooks", "Securing Webhooks").

Out: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages
("Send an email in MIME format").

Its signature covers a time and a token, not the body: `once` keeps a token from serving a second body.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import httpx

from app.delivery.mime import wire_address
from app.delivery.providers import Outcome, Outgoing, Transient
from app.delivery.providers.api import Access, Answer, Call, Refusal, Writer, basic, taken
from app.delivery.providers.webhooks import (
    METADATA,
    Reader,
    Report,
    Request,
    Secrets,
    UnreadableError,
    bracketed,
    form_of,
    hashed,
    instant,
    json_of,
    prove,
    recent,
    same,
    sent_as,
    table,
    word,
)
from app.delivery.status import verdict

KINDS = {
    "accepted": "accepted",
    "delivered": "delivered",
    "rejected": "rejected",
    "dropped": "rejected",  # of the older webhooks
    "bounced": "bounced",  # of the older webhooks
    "opened": "opened",
    "clicked": "clicked",
    "complained": "complained",
    "unsubscribed": "unsubscribed",
}
_SIGNATURE = frozenset({"timestamp", "token", "signature"})


def verify(request: Request, secrets: Secrets, now: datetime) -> None:
    """By HMAC-SHA256 over time and token."""
    at, token, given = _signature(request)
    prove(
        request, secrets, lambda key: same(given, hmac.new(key.encode(), (at + token).encode(), "sha256").hexdigest())
    )
    recent(at, now)


def once(request: Request) -> str | None:
    """The token of the signature."""
    return _signature(request)[1] or None


def parse(request: Request) -> list[Report]:
    """The one event of the request; a mail that came in is refused, so that Mailgun shows who entered the address."""
    fields = _fields(request)
    if fields:
        if "event" not in fields:
            raise UnreadableError("it is a mail that came in; this address takes reports on mails that went out")
        return [_older(fields)]
    event = table(table(json_of(request.body)).get("event-data"))
    name, status = word(event.get("event")) or "", table(event.get("delivery-status"))
    why = word(event.get("reason")) or ""
    code = word(status.get("enhanced-code")) or word(status.get("code"))
    said = " ".join(filter(None, (code, word(status.get("message")) or word(status.get("description")))))
    kind, reason = KINDS.get(name, "unknown"), None
    if name == "failed":
        if event.get("severity") == "temporary":
            kind = "deferred"
        elif why.startswith("suppress"):
            kind, reason = "rejected", "suppressed"  # suppress-bounce, suppress-complaint, suppress-unsubscribe
        else:
            kind, reason = "bounced", verdict(said)
    elif name == "rejected":
        reason = "other"
    return [
        Report(
            kind=kind,
            reason=reason,
            dedupe=word(event.get("id")) or hashed(event),
            raw=event,
            occurred_at=instant(event.get("timestamp")),
            recipient=word(event.get("recipient")),
            message_id=bracketed(table(table(event.get("message")).get("headers")).get("message-id")),
            sent_as=sent_as(event.get("user-variables")),
            text=said or None,
            url=word(event.get("url")),
        )
    ]


def _older(fields: dict[str, Any]) -> Report:
    name = fields["event"]
    said = " ".join(filter(None, (fields.get("code"), fields.get("error") or fields.get("description"))))
    kind, reason = KINDS.get(name, "unknown"), ""
    if kind == "bounced":
        reason = verdict(said)
    elif kind == "rejected":
        # 605 and its like are Mailgun's own: it has the address on its list.
        reason = "suppressed" if (fields.get("code") or "").startswith("60") else "other"
    raw = {name: value for name, value in fields.items() if name not in {"token", "signature"}}
    return Report(
        kind=kind,
        reason=reason or None,
        dedupe=hashed(raw),
        raw=raw,
        occurred_at=instant(fields.get("timestamp")),
        recipient=word(fields.get("recipient")),
        message_id=bracketed(fields.get("Message-Id") or fields.get("message-id")),
        sent_as=sent_as(fields),
        text=said or None,
        url=word(fields.get("url")),
    )


def _fields(request: Request) -> dict[str, Any]:
    # A sender's own variables stand among the fields, but before those of the signature and after all others.
    fields = form_of(request)
    return {name: values[-1 if name in _SIGNATURE else 0] for name, values in fields.items()}


def _signature(request: Request) -> tuple[str, str, str]:
    given = _fields(request) or table(table(json_of(request.body)).get("signature"))
    at, token, signature = (word(given.get(name)) or "" for name in ("timestamp", "token", "signature"))
    return at, token, signature


READER = Reader(verify, parse, "the HTTP webhook signing key", keys="needed", once=once)


# -- the way out -------------------------------------------------------------------------------------------------------


def write(access: Access, mails: Sequence[Outgoing]) -> Call:
    """`POST /v3/{domain}/messages.mime`, one mail as we made it. Its own counting of opens and clicks is off."""
    (mail,) = mails
    domain = access.options.get("domain") or mail.mail.sender.email.rpartition("@")[2]
    form = httpx.Request(
        "POST",
        "https://x",
        data={"to": mail.envelope_to, "o:tracking": "no", f"v:{METADATA}": mail.message_id, "o:tag": mail.stream},
        files={"message": ("message.eml", mail.raw, "message/rfc822")},
    )
    headers = {"content-type": form.headers["content-type"], **basic("api", access.credentials["key"])}
    return Call(f"/v3/{wire_address('a@' + domain)[2:]}/messages.mime", form.read(), headers)


def took(answer: Answer, mails: Sequence[Outgoing]) -> list[Outcome]:
    """200 with its `id`, which is our Message-ID. A wrong address is answered with 200 and a greeting."""
    if b"Mailgun Magnificent API" in answer.body:
        return [Transient("200", "there is no such API address: see the region and the domain", elsewhere=True)]
    return [taken(bracketed(answer.table.get("id")), word(answer.table.get("message")) or "")] * len(mails)


def refused(answer: Answer, _mails: Sequence[Outgoing]) -> Refusal:
    """Its `message`: of the reader's address, of our domain there, or of the mail."""
    said = word(answer.table.get("message")) or answer.text
    lower = said.lower()
    if "'to'" in lower or "to parameter" in lower or "recipient" in lower:
        return Refusal("recipient", str(answer.status), said, "hard")
    ours = ("not allowed to send", "domain", "account", "exceeded", "limit")
    return Refusal("way" if any(one in lower for one in ours) else "sender", str(answer.status), said)


WRITER = Writer(
    base=lambda access: f"https://api{'.eu' if access.options.get('region') == 'eu' else ''}.mailgun.net",
    write=write,
    took=took,
    refused=refused,
    credentials={"key": "a sending key of the domain, or an API key"},
    options={"region": "eu or us (us where nothing is said)", "domain": "the sending domain; else that of the From"},
    raw=True,
    lost="the envelope sender is Mailgun's own, so bounces come by webhook; it adds a signature of its own",
)
