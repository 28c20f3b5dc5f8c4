"""Words for the ways out: providers, streams, how a way does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import gettext, lazy_gettext

from app.delivery.providers.writers import WRITERS
from app.delivery.sender_checks import SenderError
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
    "feedback": _("Bounces by mail"),
    "service": _("Stream for service mail"),
    "marketing": _("Stream for marketing"),
}
"""What a sender must be told, by the names that providers' files give it."""

_TOLD = (
    _("access key id of an IAM user that may ses:SendEmail"),
    _("its secret access key"),
    _("eu-south-1 (where nothing is said), eu-west-1 ..."),
    _("the configuration set that publishes events"),
    _("mail: bounces come to the bounce inbox too; its domain must be verified there"),
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


REFUSALS = (
    _("it comes from no network of this sender"),
    _("it comes from no topic of this sender"),
    _("its certificate does not lie at Amazon"),
    _("its certificate is not valid now"),
    _("its certificate was not found"),
    _("its signature is of no known version"),
    _("its token came before with another body"),
    _("its token is missing"),
    _("no secret is known that could prove it"),
    _("no secret of this sender made the signature"),
    _("the signature is too old, or from the future"),
    _("the signature of SNS does not hold"),
    _("the subscription is not confirmed at Amazon"),
    _("the time of the signature is missing or no number of seconds"),
    _("user and password are missing or wrong"),
)
"""Why a webhook was refused, as readers say it; a test holds the two together."""

WRONG: Mapping[str, Any] = {
    "no_provider": _("There is no provider %(provider)s."),
    "no_sender": _("There is no sender %(name)s."),
    "cannot_send": _("There is no sender %(name)s that can send."),
    "no_stream": _("There is no stream %(stream)s."),
    "name_taken": _("There is a sender of that name already."),
    "no_reports": _("%(provider)s reports nothing by webhook: leave what would prove them empty."),
    "empty_proof": _("User and password are written user:password."),
    "unsigned": _("%(provider)s signs nothing: give user and password, or networks."),
    "needs_secret": _("%(provider)s needs a secret: %(what)s."),
    "no_proof": _("Nothing would prove its webhooks: fill in one of the fields."),
    "no_network": _("%(network)s is no network such as 192.0.2.0/24, or one so wide that it says nothing."),
    "only_reports": _("Nothing can be sent by %(provider)s; it only reports."),
    "missing": _("%(provider)s needs %(name)s: %(what)s."),
    "odd": _("%(provider)s does not know all of these fields."),
    "no_streams": _("Choose what goes out by it: service mail, marketing or both."),
    "not_whole": _("A field has a character that no key has. Was it copied whole?"),
    "unfit": _("An address, a region or a domain is not written as its field asks."),
    "base": _("This address may not stand in for a provider."),
}
"""Code of a `SenderError` → what the page says."""


def wrong(error: SenderError) -> str:
    """What is wrong with a sender, in the reader's language."""
    about = dict(error.about)
    if "provider" in about:
        about["provider"] = PROVIDERS.get(about["provider"], about["provider"])
    if "what" in about:
        about["what"], about["name"] = told(about["what"]), str(FIELDS.get(about.get("name", ""), ""))
    return str(WRONG[error.code]) % about


def told(text: str) -> str:
    """What a provider's file says, in the reader's language."""
    return gettext(text) if text else ""


def streams(names: Sequence[str]) -> str:
    """Streams in a row: service mail, marketing."""
    return ", ".join(str(STREAMS.get(name, name)) for name in names)
