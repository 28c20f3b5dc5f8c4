"""SparkPost: event webhooks with user and password (docs: "Webhooks", "Bounce Classification Codes").

Out: https://developers.sparkpost.com/api/transmissions/ ("RFC822 content", "Options"), and "Extended error codes".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.delivery.providers import Outcome, Outgoing, Permanent
from app.delivery.providers.api import Access, Answer, Call, Refusal, Writer, errors_of, json_call, taken
from app.delivery.providers.webhooks import (
    METADATA,
    Reader,
    Report,
    Request,
    Row,
    Secrets,
    hashed,
    instant,
    json_of,
    prove,
    sent_as,
    table,
    tables,
    word,
)
from app.delivery.status import verdict

KINDS = {
    "injection": "accepted",
    "delivery": "delivered",
    "delay": "deferred",
    "bounce": "bounced",
    "out_of_band": "bounced",
    "policy_rejection": "rejected",
    "generation_failure": "rejected",
    "generation_rejection": "rejected",
    "spam_complaint": "complained",
    "open": "opened",
    "amp_open": "opened",
    "click": "clicked",
    "amp_click": "clicked",
    "list_unsubscribe": "unsubscribed",
    "link_unsubscribe": "unsubscribed",
    # initial_open, amp_initial_open: said of an opening that `open` tells of too
}
CLASSES = {
    "10": "hard",  # invalid recipient
    "30": "hard",  # no mail exchanger
    "90": "hard",  # unsubscribed by mail
    "25": "blocked",  # administrative failure
    "50": "blocked",  # mail block
    "51": "blocked",  # spam block
    "52": "blocked",  # spam content
    "53": "blocked",  # prohibited attachment
    "54": "blocked",  # relaying denied
}
"""Classes of bounces; any other is soft."""
ANSWERS = frozenset({"60", "80", "100"})
"""Classes of automatic answers: neither bounce nor reply (R35)."""


def verify(request: Request, secrets: Secrets, _now: datetime) -> None:
    """By user and password. Nothing is dated: what is sent again counts once."""
    prove(request, secrets, None)


def parse(request: Request) -> list[Report]:
    """Each event; mails that came in, and the empty event of a test, are none."""
    found = []
    for item in tables(json_of(request.body)):
        for name, event in table(item.get("msys")).items():
            if name.endswith("_event") and isinstance(event, dict):
                found.append(_report(event))
    return found


def _report(event: Row) -> Report:
    name, class_ = word(event.get("type")) or "", word(event.get("bounce_class")) or ""
    said = word(event.get("raw_reason")) or word(event.get("reason"))
    kind, reason = KINDS.get(name, "unknown"), None
    if kind == "bounced":
        kind = "unknown" if class_ in ANSWERS else kind
        reason = None if class_ in ANSWERS else CLASSES.get(class_) or ("soft" if class_ else verdict(said or ""))
    elif kind == "rejected":
        reason = "suppressed" if said and "suppress" in said else "other"
    elif kind == "complained":
        reason = "not_spam" if event.get("fbtype") == "not-spam" else "abuse"
    return Report(
        kind=kind,
        reason=reason,
        dedupe=word(event.get("event_id")) or hashed(event),
        raw=event,
        occurred_at=instant(event.get("timestamp")),
        recipient=word(event.get("raw_rcpt_to")) or word(event.get("rcpt_to")),
        provider_id=word(event.get("transmission_id")),
        sent_as=sent_as(event.get("rcpt_meta")),
        text=said,
        url=word(event.get("target_link_url")),
    )


READER = Reader(verify, parse, "", basic="needed")


# -- the way out -------------------------------------------------------------------------------------------------------


def write(access: Access, mails: Sequence[Outgoing]) -> Call:
    """`POST /api/v1/transmissions`, one mail as we made it; nothing in it is filled in, opens and clicks are not
    counted."""
    (mail,) = mails
    sent = {
        "options": {
            "open_tracking": False,
            "initial_open": False,
            "click_tracking": False,
            "transactional": mail.stream == "service",
            "perform_substitutions": False,
        },
        "recipients": [{"address": {"email": mail.envelope_to}, "metadata": {METADATA: mail.message_id}}],
        "content": {"email_rfc822": mail.raw.decode("utf-8", "replace")},
    }
    return json_call("/api/v1/transmissions", sent, {"authorization": access.credentials["key"]})


def took(answer: Answer, _mails: Sequence[Outgoing]) -> list[Outcome]:
    """200 with the transmission's `id`, and how many of its one reader were taken."""
    results = answer.table.get("results")
    results = results if isinstance(results, dict) else {}
    if results.get("total_accepted_recipients") == 0 and results.get("total_rejected_recipients"):
        return [Permanent("200", "the recipient was rejected", "recipient", "soft")]
    return [taken(results.get("id"))]


def refused(answer: Answer, _mails: Sequence[Outgoing]) -> Refusal:
    """400 or 422 with a list of errors, each with a code of its own."""
    errors = errors_of(answer.table.get("errors"))
    first = errors[0] if errors else {}
    number = word(first.get("code")) or ""
    said = " ".join(filter(None, (word(first.get("message")), word(first.get("description"))))) or answer.text
    code = f"{answer.status} {number}".strip()
    lower = said.lower()
    if "suppress" in lower:
        return Refusal("recipient", code, said, "soft")
    if number == "5002" or "recipient" in lower:
        return Refusal("recipient", code, said, "hard")
    return Refusal("way" if number in {"7001", "7002"} or "domain" in lower else "sender", code, said)


WRITER = Writer(
    base=lambda access: f"https://api{'.eu' if access.options.get('region') == 'eu' else ''}.sparkpost.com",
    write=write,
    took=took,
    refused=refused,
    credentials={"key": "an API key that may Transmissions: Read/Write"},
    options={"region": "eu or us (us where nothing is said)"},
    raw=True,
    lost="the envelope sender is SparkPost's own, so bounces come by webhook; it adds a signature of its own",
)
