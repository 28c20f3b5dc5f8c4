"""Every provider whose webhooks are understood, by its name in the URL."""

from __future__ import annotations

from collections.abc import Mapping

from app.delivery.providers import (
    amazon_ses,
    brevo,
    generic,
    mailersend,
    mailgun,
    mailjet,
    mailtrap,
    mandrill,
    postal,
    postmark,
    resend,
    sendgrid,
    sparkpost,
    unisender_go,
)
from app.delivery.providers.webhooks import Reader

READERS: Mapping[str, Reader] = {
    "amazon_ses": amazon_ses.READER,
    "brevo": brevo.READER,
    "generic": generic.READER,
    "mailersend": mailersend.READER,
    "mailgun": mailgun.READER,
    "mailjet": mailjet.READER,
    "mailtrap": mailtrap.READER,
    "mandrill": mandrill.READER,
    "postal": postal.READER,
    "postmark": postmark.READER,
    "resend": resend.READER,
    "sendgrid": sendgrid.READER,
    "sparkpost": sparkpost.READER,
    "unisender_go": unisender_go.READER,
}
