"""What each provider says, in its own words as its documentation has them, and what it means here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from app.delivery.providers.readers import READERS
from app.delivery.providers.webhooks import Report, Request, UnreadableError, instant
from app.delivery.track import KINDS, REASONS

GONE = "550 5.1.1 The email account that you tried to reach does not exist"
BLOCKED = "554 5.7.1 Service unavailable; client host blocked using a block list"


def ses(name: str, **part: Any) -> Any:
    field = {"DeliveryDelay": "deliveryDelay"}.get(name, name.lower())
    mail = {
        "messageId": "ses-1",
        "destination": ["giulia@example.com"],
        "commonHeaders": {"messageId": "<a@b.example>"},
    }
    message = {"eventType": name, "mail": mail, field: {"timestamp": "2026-03-10T09:00:00Z", **part}}
    return {"Type": "Notification", "MessageId": "sns-1", "Message": json.dumps(message)}


def bounced(type_: str, sub: str, said: str = "") -> Any:
    people = [{"emailAddress": "giulia@example.com", "diagnosticCode": said}]
    return ses("Bounce", bounceType=type_, bounceSubType=sub, bouncedRecipients=people)


def mailgun(name: str, said: str = "", **given: Any) -> Any:
    return {
        "event-data": {"event": name, "recipient": "giulia@example.com", "delivery-status": {"message": said}, **given}
    }


def sparkpost(type_: str, **given: Any) -> Any:
    return [{"msys": {"message_event": {"type": type_, "rcpt_to": "giulia@example.com", **given}}}]


def unisender(status: str, **delivery: Any) -> Any:
    event = {"status": status, "email": "giulia@example.com", "job_id": "j", "delivery_info": delivery}
    return {"events_by_user": [{"events": [{"event_name": "transactional_email_status", "event_data": event}]}]}


def postal(name: str, **payload: Any) -> Any:
    message = {"id": 7, "message_id": "a@b.example", "to": "giulia@example.com", "direction": "outgoing"}
    return {"event": name, "payload": {"message": message, **payload}, "uuid": "u", "timestamp": 1773133200.5}


def resend(name: str, **data: Any) -> Any:
    return {
        "type": name,
        "created_at": "2026-03-10T09:00:00Z",
        "data": {"email_id": "r", "to": ["g@example.com"], **data},
    }


def mandrill(name: str, **msg: Any) -> Any:
    return [{"event": name, "ts": 1773133200, "msg": {"email": "giulia@example.com", "_id": "m", **msg}}]


def mailersend(name: str) -> Any:
    return {"type": f"activity.{name}", "data": {"type": name, "email": {"message": {"id": "m"}}}}


CASES: list[tuple[str, Any, str, str | None]] = [
    ("amazon_ses", ses("Complaint", complainedRecipients=[{"emailAddress": "g@example.com"}]), "complained", "abuse"),
    (
        "amazon_ses",
        ses("Complaint", complaintFeedbackType="not-spam", complainedRecipients=[{"emailAddress": "g@example.com"}]),
        "complained",
        "not_spam",
    ),
    ("amazon_ses", bounced("Permanent", "General", GONE), "bounced", "hard"),
    ("amazon_ses", bounced("Permanent", "General", BLOCKED), "bounced", "blocked"),
    ("amazon_ses", bounced("Permanent", "OnAccountSuppressionList"), "rejected", "suppressed"),
    ("amazon_ses", bounced("Transient", "MailboxFull"), "bounced", "soft"),
    ("amazon_ses", bounced("Transient", "ContentRejected"), "bounced", "blocked"),
    ("amazon_ses", bounced("Undetermined", "Undetermined"), "bounced", "soft"),
    ("amazon_ses", ses("DeliveryDelay", delayedRecipients=[{"emailAddress": "g@example.com"}]), "deferred", None),
    ("amazon_ses", ses("Click", link="https://lago.example"), "clicked", None),
    ("amazon_ses", ses("Subscription"), "unsubscribed", None),
    ("brevo", {"event": "soft_bounce"}, "bounced", "soft"),
    ("brevo", {"event": "blocked"}, "rejected", "suppressed"),
    ("brevo", {"event": "click", "link": "https://lago.example"}, "clicked", None),
    ("brevo", {"event": "contact_updated"}, "unknown", None),
    ("generic", {"kind": "complained", "reason": "abuse"}, "complained", "abuse"),
    ("mailersend", mailersend("hard_bounced"), "bounced", "hard"),
    ("mailersend", mailersend("spam_complaint"), "complained", "abuse"),
    ("mailersend", mailersend("opened_unique"), "unknown", None),
    ("mailgun", mailgun("failed", GONE, severity="permanent", reason="bounce"), "bounced", "hard"),
    ("mailgun", mailgun("failed", BLOCKED, severity="permanent", reason="generic"), "bounced", "blocked"),
    ("mailgun", mailgun("failed", severity="permanent", reason="suppress-bounce"), "rejected", "suppressed"),
    ("mailgun", mailgun("failed", GONE, severity="temporary"), "deferred", None),
    ("mailjet", {"event": "bounce", "hard_bounce": False, "error": "quota exceeded"}, "bounced", "soft"),
    ("mailjet", {"event": "bounce", "hard_bounce": True, "error_related_to": "spam"}, "bounced", "blocked"),
    ("mailjet", {"event": "blocked", "error": "preblocked"}, "rejected", "suppressed"),
    ("mailjet", {"event": "unsub"}, "unsubscribed", None),
    ("mailtrap", {"events": [{"event": "bounce", "response": BLOCKED}]}, "bounced", "blocked"),
    ("mailtrap", {"events": [{"event": "bounce", "bounce_category": "badmailbox"}]}, "bounced", "hard"),
    ("mailtrap", {"events": [{"event": "spam"}]}, "complained", "abuse"),
    ("mandrill", mandrill("hard_bounce", diag=GONE), "bounced", "hard"),
    ("mandrill", mandrill("soft_bounce", diag="mailbox full"), "bounced", "soft"),
    ("mandrill", mandrill("hard_bounce", diag=BLOCKED), "bounced", "blocked"),
    ("mandrill", mandrill("reject", reject={"reason": "hard-bounce"}), "rejected", "suppressed"),
    ("mandrill", mandrill("spam"), "complained", "abuse"),
    ("postal", postal("MessageDeliveryFailed", output=GONE), "bounced", "hard"),
    ("postal", postal("MessageDelayed", output="450 try later"), "deferred", None),
    ("postal", postal("MessageLinkClicked", url="https://lago.example"), "clicked", None),
    ("postmark", {"RecordType": "Bounce", "Type": "SoftBounce"}, "bounced", "soft"),
    ("postmark", {"RecordType": "Bounce", "Type": "AutoResponder"}, "unknown", None),
    ("postmark", {"RecordType": "SpamComplaint"}, "complained", "abuse"),
    ("postmark", {"RecordType": "Click", "OriginalLink": "https://lago.example"}, "clicked", None),
    (
        "postmark",
        {"RecordType": "SubscriptionChange", "SuppressSending": True, "SuppressionReason": "ManualSuppression"},
        "unsubscribed",
        None,
    ),
    ("resend", resend("email.bounced", bounce={"type": "Permanent", "subType": "General"}), "bounced", "hard"),
    ("resend", resend("email.bounced", bounce={"type": "Transient", "subType": "MailboxFull"}), "bounced", "soft"),
    (
        "resend",
        resend("email.bounced", bounce={"type": "Permanent", "subType": "Suppressed"}),
        "rejected",
        "suppressed",
    ),
    ("resend", resend("email.delivery_delayed"), "deferred", None),
    ("resend", resend("email.failed", failed={"reason": "quota"}), "rejected", "other"),
    ("sendgrid", [{"event": "bounce", "type": "blocked", "reason": BLOCKED}], "bounced", "blocked"),
    ("sendgrid", [{"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": GONE}], "bounced", "hard"),
    ("sendgrid", [{"event": "dropped", "reason": "Bounced Address"}], "rejected", "suppressed"),
    ("sendgrid", [{"event": "group_unsubscribe"}], "unsubscribed", None),
    ("sendgrid", [{"event": "click", "url": "https://lago.example"}], "clicked", None),
    ("sparkpost", sparkpost("bounce", bounce_class="10", reason=GONE), "bounced", "hard"),
    ("sparkpost", sparkpost("out_of_band", bounce_class="51"), "bounced", "blocked"),
    ("sparkpost", sparkpost("bounce", bounce_class="22"), "bounced", "soft"),
    ("sparkpost", sparkpost("spam_complaint"), "complained", "abuse"),
    ("unisender_go", unisender("hard_bounced", delivery_status="err_user_unknown"), "bounced", "hard"),
    ("unisender_go", unisender("hard_bounced", delivery_status="err_spam_rejected"), "bounced", "blocked"),
    ("unisender_go", unisender("hard_bounced", delivery_status="err_unsubscribed"), "rejected", "suppressed"),
    ("unisender_go", unisender("spam"), "complained", "abuse"),
]


def request(provider: str, sent: Any) -> Request:
    if provider == "mandrill":
        body = f'--b\r\nContent-Disposition: form-data; name="mandrill_events"\r\n\r\n{json.dumps(sent)}\r\n--b--\r\n'
        return Request("POST", "https://x", {"content-type": "multipart/form-data; boundary=b"}, body.encode())
    return Request("POST", "https://x", {"content-type": "application/json"}, json.dumps(sent).encode())


def read(provider: str, sent: Any) -> list[Report]:
    return READERS[provider].parse(request(provider, sent))


@pytest.mark.parametrize(("provider", "sent", "kind", "reason"), CASES)
def test_the_providers_words_are_told_in_ours(provider: str, sent: Any, kind: str, reason: str | None) -> None:
    (report,) = read(provider, sent)
    assert (report.kind, report.reason) == (kind, reason)
    assert report.kind in KINDS
    assert report.reason is None or report.reason in REASONS
    if kind == "clicked":
        assert report.url == "https://lago.example"


def test_every_provider_has_its_words_tried() -> None:
    assert {provider for provider, *_ in CASES} == set(READERS)


def mutants(value: Any) -> Iterator[Any]:
    """`value` with each of its parts in turn replaced by something that does not belong there."""
    yield from (None, True, 7, 1e300, "x", "\u0000", "{", [], [[]], {}, {"a": []}, [None], [{"x": {}}])
    if isinstance(value, dict):
        for name, part in value.items():
            for other in mutants(part):
                yield {**value, name: other}
    elif isinstance(value, list):
        for place, part in enumerate(value):
            for other in mutants(part):
                yield [*value[:place], other, *value[place + 1 :]]


@pytest.mark.parametrize("provider", sorted(READERS))
def test_what_makes_no_sense_is_unreadable_or_little_and_never_an_error(provider: str) -> None:
    """An error would be a 503, and the provider would send the same again for days."""
    tried = 0
    for case, sent, *_ in CASES:
        if case != provider:
            continue
        wholes = mutants(sent)
        if provider == "amazon_ses":
            inner = mutants(json.loads(sent["Message"]))
            wholes = iter([*mutants(sent), *({**sent, "Message": json.dumps(one)} for one in inner)])
        for odd in wholes:
            tried += 1
            try:
                for report in read(provider, odd):
                    assert report.kind in KINDS
                    assert isinstance(report.dedupe, str)
                    assert "\x00" not in json.dumps(dict(report.raw)).replace("\\u0000", "\x00")
            except UnreadableError:
                continue
    assert tried > 10


def test_an_instant_is_read_however_it_is_written() -> None:
    at = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
    for written in (at.timestamp(), str(int(at.timestamp())), at.timestamp() * 1000, "2026-03-10T10:00:00+01:00"):
        assert instant(written) == at
    assert instant("2026-03-10 09:00:00") == at
    odd: Any
    for odd in (None, True, "", "soon", 1e300, float("inf"), [], {}, "9" * 400, "-1e20"):
        assert instant(odd) is None
