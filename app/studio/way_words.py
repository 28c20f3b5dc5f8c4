"""Words for the ways out: providers, streams, how a way does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import lazy_gettext

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
    "mute": Mark(_("Only reports"), "still", "mail"),
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


def streams(names: Sequence[str]) -> str:
    """Streams in a row: service mail, marketing."""
    return ", ".join(str(STREAMS.get(name, name)) for name in names)
