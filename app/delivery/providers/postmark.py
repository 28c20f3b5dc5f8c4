"""Postmark: webhooks with user and password in the URL (docs: "Webhooks overview"); it signs nothing.

Out: https://postmarkapp.com/developer/api/email-api ("Send batch emails"), its "API error codes" and "Message-ID".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.delivery.mime import clean
from app.delivery.providers import Outcome, Outgoing, Unknown
from app.delivery.providers.api import (
    Access,
    Answer,
    Call,
    Refusal,
    Writer,
    json_call,
    outcome_of,
    own_headers,
    shown,
    taken,
)
from app.delivery.providers.webhooks import (
    METADATA,
    Reader,
    Report,
    Request,
    Secrets,
    UnreadableError,
    hashed,
    instant,
    json_of,
    prove,
    sent_as,
    table,
    word,
)

KINDS = {
    "Delivery": "delivered",
    "Bounce": "bounced",
    "SpamComplaint": "complained",
    "Open": "opened",
    "Click": "clicked",
}
BOUNCES: dict[str, tuple[str, str | None]] = {
    "HardBounce": ("bounced", "hard"),
    "BadEmailAddress": ("bounced", "hard"),
    "SoftBounce": ("bounced", "soft"),
    "DnsError": ("bounced", "soft"),
    "Undeliverable": ("bounced", "soft"),
    "Blocked": ("bounced", "blocked"),
    "SpamNotification": ("bounced", "blocked"),
    "VirusNotification": ("bounced", "blocked"),
    "DMARCPolicy": ("rejected", "blocked"),
    "Transient": ("deferred", None),
    "SpamComplaint": ("complained", "abuse"),
    "Unsubscribe": ("unsubscribed", None),
    "ManuallyDeactivated": ("rejected", "suppressed"),
    "SMTPApiError": ("rejected", "other"),
    "TemplateRenderingFailed": ("rejected", "other"),
    # AutoResponder, AddressChange, ChallengeVerification: neither bounce nor reply (R35); Subscribe subscribes nobody
}
"""Type of bounce → kind and reason."""

LEFT: dict[str, tuple[str, str | None]] = {
    "HardBounce": ("bounced", "hard"),
    "SpamComplaint": ("complained", "abuse"),
    "ManualSuppression": ("unsubscribed", None),
}
"""Why Postmark no longer sends to an address → kind and reason."""


def verify(request: Request, secrets: Secrets, _now: datetime) -> None:
    """By user and password. Nothing is dated: what is sent again counts once."""
    prove(request, secrets, None)


def parse(request: Request) -> list[Report]:
    """The one event of the request; a mail that came in is refused: Postmark then shows it to who entered the URL."""
    event = table(json_of(request.body))
    name = word(event.get("RecordType")) or ""
    if name == "Inbound" or (not name and "FromFull" in event):
        raise UnreadableError("it is a mail that came in; this address takes reports on mails that went out")
    kind, reason = _meaning(name, event)
    raw = {name: value for name, value in event.items() if name != "Content"}  # the mail itself is not kept
    at = next((event[key] for key in ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt") if key in event), None)
    return [
        Report(
            kind=kind,
            reason=reason,
            dedupe=f"{name}:{word(event['ID'])}" if word(event.get("ID")) else hashed(raw),
            raw=raw,
            occurred_at=instant(at),
            recipient=word(event.get("Recipient")) or word(event.get("Email")),
            provider_id=word(event.get("MessageID")),
            sent_as=sent_as(event.get("Metadata")),
            text=word(event.get("Details")) or word(event.get("Description")),
            url=word(event.get("OriginalLink")),
        )
    ]


def _meaning(name: str, event: dict[str, Any]) -> tuple[str, str | None]:
    if name == "Bounce":
        return BOUNCES.get(word(event.get("Type")) or "", ("unknown", None))
    if name == "SubscriptionChange":
        # Taken off the list again is told as unknown: it subscribes nobody (R36).
        left = event.get("SuppressSending") is True
        return LEFT.get(word(event.get("SuppressionReason")) or "", ("unknown", None)) if left else ("unknown", None)
    return KINDS.get(name, "unknown"), "abuse" if name == "SpamComplaint" else None


READER = Reader(verify, parse, "", basic="needed")


# -- the way out -------------------------------------------------------------------------------------------------------


LONGEST_METADATA = 80
STREAMS = {"service": "outbound", "marketing": "broadcast"}
"""What Postmark calls its streams where nothing else is said."""


def write(access: Access, mails: Sequence[Outgoing]) -> Call:
    """`POST /email/batch`: each mail gets an answer of its own. `X-PM-KeepID` leaves us our Message-ID."""
    headers = {"x-postmark-server-token": access.credentials["token"]}
    return json_call("/email/batch", [_one(access, mail) for mail in mails], headers)


def _one(access: Access, mail: Outgoing) -> dict[str, Any]:
    given = [*own_headers(mail), ("X-PM-KeepID", "true")]
    sent: dict[str, Any] = {
        "From": shown(mail.mail.sender),
        "To": shown(mail.mail.recipient),
        "Subject": clean(mail.mail.subject),
        "HtmlBody": mail.mail.html,
        "TextBody": mail.mail.text,
        "Headers": [{"Name": name, "Value": value} for name, value in given],
        "MessageStream": access.options.get(mail.stream) or STREAMS[mail.stream],
        "TrackOpens": False,
        "TrackLinks": "None",
    }
    if len(mail.message_id) <= LONGEST_METADATA:
        sent["Metadata"] = {METADATA: mail.message_id}
    if mail.mail.reply_to is not None:
        sent["ReplyTo"] = shown(mail.mail.reply_to)
    if mail.mail.attachments:
        sent["Attachments"] = [
            {"Name": one.name, "ContentType": one.type, "Content": one.base64} for one in mail.mail.attachments
        ]
    return sent


def took(answer: Answer, mails: Sequence[Outgoing]) -> list[Outcome]:
    """200 with a list, each with `ErrorCode` 0 and `MessageID`, or with what is wrong."""
    found = answer.json
    if not isinstance(found, list) or len(found) != len(mails):
        return [Unknown(f"an answer that fits no mail: {answer.text}")] * len(mails)
    return [_outcome(one if isinstance(one, dict) else {}) for one in found]


def _outcome(one: dict[str, Any]) -> Outcome:
    if one.get("ErrorCode", 0) == 0:
        return taken(one.get("MessageID"), word(one.get("Message")) or "") if one else Unknown("an empty answer")
    return outcome_of(_refusal(one))


def refused(answer: Answer, _mails: Sequence[Outgoing]) -> Refusal:
    """422 with one error for the whole request."""
    return _refusal(answer.table or {"Message": answer.text})


def _refusal(one: dict[str, Any]) -> Refusal:
    number, said = word(one.get("ErrorCode")) or "", word(one.get("Message")) or ""
    code = f"422 {number}".strip()
    if number == "300" and ("'To'" in said or "'to'" in said):
        return Refusal("recipient", code, said, "hard")
    if number == "406":  # on its own list, after a bounce or a complaint
        return Refusal("recipient", code, said, "soft")
    return Refusal("way" if number in _OF_ACCOUNT else "sender", code, said)


_OF_ACCOUNT = frozenset({"10", "100", "400", "401", "405", "412", "413", "429", "1235", "1236"})
"""Token, maintenance, sender not confirmed, no credits, account not approved, too fast, no such stream."""

WRITER = Writer(
    base=lambda _access: "https://api.postmarkapp.com",
    write=write,
    took=took,
    refused=refused,
    credentials={"token": "the server API token"},
    options={"service": "stream for service mail (outbound)", "marketing": "stream for marketing (broadcast)"},
    raw=False,
    lost="Postmark makes the mail: its own envelope sender, parts and signature; our Message-ID and headers stay",
    at_once=50,
)
