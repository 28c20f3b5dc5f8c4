"""Amazon SES: events by way of an SNS topic (SES developer guide, "Monitoring using event publishing").

Out: SES API v2, SendEmail with raw content (https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html),
signed as "Signature Version 4" of the AWS general reference has it.

SNS signs for every customer of Amazon's with the same certificates, so a valid signature alone proves nothing: the
topic must be one of ours. Its ARN is the key.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.x509 import load_pem_x509_certificate
from httpx_auth import AWS4Auth

from app.delivery.providers import Outcome, Outgoing
from app.delivery.providers.api import Access, Answer, Call, Refusal, Writer, taken
from app.delivery.providers.webhooks import (
    METADATA,
    Reader,
    RefusedError,
    Report,
    Request,
    Secrets,
    as_tag,
    bracketed,
    instant,
    json_of,
    prove,
    recent,
    same,
    sent_as,
    table,
    unbased,
    word,
)
from app.delivery.status import verdict

_HOST = re.compile(r"sns\.[a-z]{2}(?:-[a-z]+)+-\d\.amazonaws\.com(?:\.cn)?")
_SIGNED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SIGNED_OF_SUBSCRIPTIONS = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_HASHES: dict[str, HashAlgorithm] = {"1": SHA1(), "2": SHA256()}  # noqa: S303 (version 1 is what SNS does unasked)

KINDS = {
    "Send": "accepted",
    "Delivery": "delivered",
    "DeliveryDelay": "deferred",
    "Bounce": "bounced",
    "Complaint": "complained",
    "Reject": "rejected",  # a virus in it
    "Rendering Failure": "rejected",  # one of SES's own templates
    "Open": "opened",
    "Click": "clicked",
    "Subscription": "unsubscribed",
}
_PEOPLE = {
    "Bounce": ("bounce", "bouncedRecipients"),
    "Complaint": ("complaint", "complainedRecipients"),
    "DeliveryDelay": ("deliveryDelay", "delayedRecipients"),
    "Delivery": ("delivery", "recipients"),
}
"""Where an event names the recipients that it is about; the others are about all of the mail's."""

_BLOCKED = frozenset({"MessageTooLarge", "ContentRejected", "AttachmentRejected", "CustomTimeoutExceeded"})
_KNOWN = frozenset({"Suppressed", "OnAccountSuppressionList"})


def is_of_sns(url: str) -> bool:
    """Whether an address is SNS's own: this alone keeps a forged request from having us fetch what it likes."""
    parts = urlsplit(url)
    return bool(parts.scheme == "https" and _HOST.fullmatch(parts.netloc))


def before(request: Request, secrets: Secrets) -> Sequence[str]:
    """The certificate that a request says it was signed with, once its topic is known to be ours."""
    sent = _envelope(request)
    if not any(same(word(sent.get("TopicArn")) or "", topic) for topic in secrets.keys):
        raise RefusedError("it comes from no topic of this sender")
    url = word(sent.get("SigningCertURL")) or ""
    if not is_of_sns(url) or not urlsplit(url).path.endswith(".pem"):
        raise RefusedError("its certificate does not lie at Amazon")
    return [url]


def verify(request: Request, secrets: Secrets, now: datetime) -> None:
    """By the signature of SNS, versions 1 and 2, and the topic; by user and password too, where they are set."""
    sent = _envelope(request)
    prove(request, secrets, lambda topic: same(word(sent.get("TopicArn")) or "", topic))
    at = instant(sent.get("Timestamp"))
    recent(str(at.timestamp()) if at else "", now)
    try:
        certificate = load_pem_x509_certificate(request.fetched[word(sent.get("SigningCertURL")) or ""])
    except (KeyError, ValueError) as error:
        raise RefusedError("its certificate was not found") from error
    key, hash_ = certificate.public_key(), _HASHES.get(word(sent.get("SignatureVersion")) or "")
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise RefusedError("its certificate is not valid now")
    if not isinstance(key, RSAPublicKey) or hash_ is None:
        raise RefusedError("its signature is of no known version")
    try:
        key.verify(unbased(word(sent.get("Signature")) or ""), signed_text(sent), PKCS1v15(), hash_)
    except InvalidSignature as error:
        raise RefusedError("the signature of SNS does not hold") from error


def signed_text(sent: dict[str, Any]) -> bytes:
    """What SNS signs of an envelope: names and values of some fields, in order."""
    names = _SIGNED if sent.get("Type") == "Notification" else _SIGNED_OF_SUBSCRIPTIONS
    return "".join(f"{name}\n{sent[name]}\n" for name in names if sent.get(name) is not None).encode()


def after(request: Request) -> str | None:
    """Where a subscription is confirmed."""
    sent = _envelope(request)
    if sent.get("Type") != "SubscriptionConfirmation":
        return None
    url = word(sent.get("SubscribeURL")) or ""
    if not is_of_sns(url):
        raise RefusedError("the subscription is not confirmed at Amazon")
    return url


def parse(request: Request) -> list[Report]:
    """One report for each recipient that an event is about. Anything SNS says of itself reports nothing."""
    sent = _envelope(request)
    said = word(sent.get("Message")) or ""
    if sent.get("Type") != "Notification" or not said.startswith("{"):
        return []
    event = table(json_of(said))
    name = word(event.get("eventType")) or word(event.get("notificationType"))
    if name in {None, "Received"}:  # nothing, or mail that came in
        return []
    mail = table(event.get("mail"))
    part = table(event.get((_PEOPLE.get(name or "") or (f"{name}".lower(), ""))[0]))
    named = part.get(_PEOPLE[name][1]) if name in _PEOPLE else None
    whom = named or mail.get("destination")
    people = (
        [one if isinstance(one, dict) else {"emailAddress": one} for one in whom if one]
        if isinstance(whom, list)
        else []
    )
    kind, reason = _meaning(name or "", part)
    return [
        Report(
            kind=kind,
            reason=reason or (_reason(part, one) if kind == "bounced" else None),
            dedupe=f"{word(sent.get('MessageId'))}:{word(one.get('emailAddress'))}",
            raw=event,
            occurred_at=instant(part.get("timestamp")) or instant(sent.get("Timestamp")),
            reported_at=instant(sent.get("Timestamp")),
            recipient=word(one.get("emailAddress")),
            message_id=bracketed(table(mail.get("commonHeaders")).get("messageId")),
            provider_id=word(mail.get("messageId")),
            sent_as=sent_as({name: _first(values) for name, values in table(mail.get("tags")).items()}),
            text=word(one.get("diagnosticCode")) or word(part.get("smtpResponse")) or word(part.get("reason")),
            url=word(part.get("link")),
        )
        for one in people
    ]


def _meaning(name: str, part: dict[str, Any]) -> tuple[str, str | None]:
    if name == "Bounce" and word(part.get("bounceSubType")) in _KNOWN:
        return "rejected", "suppressed"  # SES has the address on its list and did not even try
    if name == "Complaint":
        return "complained", "not_spam" if part.get("complaintFeedbackType") == "not-spam" else "abuse"
    return KINDS.get(name, "unknown"), "other" if name in {"Reject", "Rendering Failure"} else None


def _reason(bounce: dict[str, Any], one: dict[str, Any]) -> str:
    said = word(one.get("diagnosticCode")) or ""
    if word(bounce.get("bounceSubType")) in _BLOCKED:
        return "blocked"
    if bounce.get("bounceType") == "Permanent":
        # "Permanent" is also what SES calls a block: what the mailbox's server said decides.
        return "blocked" if verdict(said) == "blocked" else "hard"
    return "soft"


def _envelope(request: Request) -> dict[str, Any]:
    return table(json_of(request.body))


def _first(values: Any) -> Any:
    return values[0] if isinstance(values, list) and values else values


READER = Reader(
    verify, parse, "the ARN of the SNS topic", keys="needed", basic="possible", before=before, after=after
)  # fmt: skip


# -- the way out -------------------------------------------------------------------------------------------------------


_PATH = "/v2/email/outbound-emails"
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")


def write(access: Access, mails: Sequence[Outgoing]) -> Call:
    """One mail, raw. SES writes its own Message-ID and Date, so a signature of ours over them would be a broken one."""
    (mail,) = mails
    sent: dict[str, Any] = {
        "Destination": {"ToAddresses": [mail.envelope_to]},
        "Content": {"Raw": {"Data": base64.b64encode(without_signatures(mail.raw)).decode()}},
        "EmailTags": [{"Name": METADATA, "Value": as_tag(mail.message_id)}, {"Name": "stream", "Value": mail.stream}],
    }
    if access.options.get("configuration_set"):
        sent["ConfigurationSetName"] = access.options["configuration_set"]
    if access.options.get("feedback") == "mail":
        # Bounces are forwarded to the address that names the mail (VERP). It is refused unless its domain is verified.
        sent["FeedbackForwardingEmailAddress"] = mail.envelope_from
    url = (access.base or host(access)) + _PATH
    request = httpx.Request(
        "POST", url, content=msgspec.json.encode(sent), headers={"content-type": "application/json"}
    )
    signer = AWS4Auth(access.credentials["key_id"], access.credentials["secret"], region_of(access), "ses")
    return Call(url, request.content, dict(next(signer.auth_flow(request)).headers))


def without_signatures(raw: bytes) -> bytes:
    """A mail of ours without the DKIM signatures that stand before all else."""
    return _SIGNATURES.sub(b"", raw, count=1)


_SIGNATURES = re.compile(rb"\A(?:DKIM-Signature:[^\r]*\r\n(?:[ \t][^\r]*\r\n)*)+")


def region_of(access: Access) -> str:
    """Its region; Milan where nothing is said."""
    region = access.options.get("region") or "eu-south-1"
    if not _REGION.fullmatch(region):
        raise ValueError(f"{region!r} is no region of Amazon's, such as eu-south-1.")
    return region


def host(access: Access) -> str:
    """Its region's address."""
    return f"https://email.{region_of(access)}.amazonaws.com"


def took(answer: Answer, _mails: Sequence[Outgoing]) -> list[Outcome]:
    """200 with its `MessageId`, under which events tell of the mail."""
    return [taken(answer.table.get("MessageId"))]


def refused(answer: Answer, _mails: Sequence[Outgoing]) -> Refusal:
    """400 with the name of an exception in a header, and a sentence."""
    name = answer.headers.get("x-amzn-errortype", "").partition(":")[0] or word(answer.table.get("__type")) or ""
    said = word(answer.table.get("message")) or word(answer.table.get("Message")) or answer.text
    code, lower = f"{answer.status} {name}".strip(), said.lower()
    if name in _OF_ACCOUNT or "not verified" in lower or "throttl" in lower or "rate exceeded" in lower:
        return Refusal("way", code, said)
    if name == "BadRequestException" and any(one in lower for one in _OF_READER):
        return Refusal("recipient", code, said, "hard")
    return Refusal("sender", code, said)


_OF_ACCOUNT = frozenset(
    {
        "AccountSuspendedException",
        "LimitExceededException",
        "MailFromDomainNotVerifiedException",
        "SendingPausedException",
        "NotFoundException",
        "TooManyRequestsException",
    }
)
_OF_READER = ("local address", "domain contains", "missing final", "illegal address", "missing '@'", "no recipient")

WRITER = Writer(
    base=host,
    write=write,
    took=took,
    refused=refused,
    credentials={
        "key_id": "access key id of an IAM user that may ses:SendEmail",
        "secret": "its secret access key",
    },
    options={
        "region": "eu-south-1 (where nothing is said), eu-west-1 ...",
        "configuration_set": "the configuration set that publishes events",
        "feedback": "mail: bounces come to the bounce inbox too; its domain must be verified there",
    },
    raw=True,
    lost="SES writes its own Message-ID and Date and its own envelope sender, and signs for the domain (Easy DKIM); "
    "our signature, which it would break, is left out",
)
