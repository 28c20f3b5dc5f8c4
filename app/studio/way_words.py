"""Words for the ways out: providers, streams, how a way does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import gettext, lazy_gettext

from app.delivery.providers.writers import WRITERS
from app.studio.words import Mark

_ = lazy_gettext

PROVIDERS: Mapping[str, str] = {
    "amazon_ses": "Amazon SES",
    "brevo": "Brevo",
    "generic": "Percorso",
    "mailersend": "MailerSend",
    "mailgun": "Mailgun",
    "mailjet": "Mailjet",
    "mailtrap": "Mailtrap",
    "mandrill": "Mandrill",
    "postal": "Postal",
    "postmark": "Postmark",
    "resend": "Resend",
    "sendgrid": "SendGrid",
    "smtp": "SMTP",
    "sparkpost": "SparkPost",
    "unisender_go": "Unisender Go",
}
SENDING: Sequence[str] = ("smtp", *WRITERS)
"""Those that mails can go out by."""

STREAMS: Mapping[str, Any] = {"service": _("service mail"), "marketing": _("marketing")}
STATES: Mapping[str, Mark] = {
    "closed": Mark(_("Works"), "good", "check"),
    "open": Mark(_("Left alone after failures"), "wrong", "alert"),
    "half-open": Mark(_("One mail tries it next"), "waiting", "wait"),
    "off": Mark(_("Off"), "still", "suppressed"),
    "mute": Mark(_("Only reports"), "still", "eye"),
}
WHY: Mapping[str, Any] = {
    "hard": _("no such mailbox"),
    "soft": _("the mailbox has trouble"),
    "blocked": _("blocked"),
    "abuse": _("called spam"),
    "not_spam": _("called no spam"),
    "suppressed": _("on the provider's own list"),
    "other": _("for another reason"),
}
"""Reason of a report."""

FIELDS: Mapping[str, Any] = {
    "key": _("API key"),
    "key_id": _("Access key id"),
    "secret": _("Secret key"),
    "token": _("Token"),
    "url": _("Server"),
    "region": _("Region"),
    "domain": _("Sending domain"),
    "configuration_set": _("Configuration set"),
    "service": _("Stream for service mail"),
    "marketing": _("Stream for marketing"),
}
"""What a sender must be told, by the names that providers' files give it."""

_TOLD = (
    _("access key id of an IAM user that may ses:SendEmail"),
    _("its secret access key"),
    _("eu-south-1 (where nothing is said), eu-west-1 ..."),
    _("the configuration set that publishes events"),
    _(
        "SES writes its own Message-ID and Date and its own envelope sender, and signs for the domain "
        "(Easy DKIM); our signature, which it would break, is left out"
    ),
    _("an API key (SMTP & API, API keys)"),
    _(
        "Brevo makes the mail: its own Message-ID, envelope sender and signature; opens and clicks are "
        "counted unless that is switched off in the account"
    ),
    _("a sending key of the domain, or an API key"),
    _("eu or us (us where nothing is said)"),
    _("the sending domain; else that of the From"),
    _("the envelope sender is Mailgun's own, so bounces come by webhook; it adds a signature of its own"),
    _("the API key"),
    _("the secret key"),
    _("eu or us (eu where nothing is said)"),
    _("Mailjet makes the mail: its own Message-ID, List-Id, envelope sender, parts and signature"),
    _("the server API token"),
    _("stream for service mail (outbound)"),
    _("stream for marketing (broadcast)"),
    _("Postmark makes the mail: its own envelope sender, parts and signature; our Message-ID and headers stay"),
    _("an API key with sending access"),
    _(
        "Resend makes the mail: its own Message-ID, envelope sender, parts and signature; opens and "
        "clicks are counted unless that is switched off for the domain"
    ),
    _("an API key with the right Mail Send"),
    _("eu or global (global where nothing is said)"),
    _(
        "SendGrid makes the mail: its own envelope sender, parts and signature; our Message-ID stays "
        "unless the account rewrites it"
    ),
    _("an API key that may Transmissions: Read/Write"),
    _("the envelope sender is SparkPost's own, so bounces come by webhook; it adds a signature of its own"),
    _("smtp://user:password@host:587?tls=starttls, or smtps://..."),
    _("a token, sent as `Authorization: Bearer`"),
    _("the HTTP webhook signing key"),
    _("the verification key of signed events"),
    _("the signing secret, `whsec_...`"),
    _("the ARN of the SNS topic"),
)
"""What providers' files say for people, so that it is translated; a test holds the two together."""


def told(text: str) -> str:
    """What a provider's file says, in the reader's language."""
    return gettext(text) if text else ""


def streams(names: Sequence[str]) -> str:
    """Streams in a row: service mail, marketing."""
    return ", ".join(str(STREAMS.get(name, name)) for name in names)
