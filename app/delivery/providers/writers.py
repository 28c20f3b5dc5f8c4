"""Every provider with an HTTP API that mails can go out by, by its name; `smtp` goes out beside them (`smtp.py`)."""

from __future__ import annotations

from collections.abc import Mapping

from app.delivery.providers import amazon_ses, brevo, mailgun, mailjet, postmark, resend, sendgrid, sparkpost
from app.delivery.providers.api import Writer

WRITERS: Mapping[str, Writer] = {
    "amazon_ses": amazon_ses.WRITER,
    "brevo": brevo.WRITER,
    "mailgun": mailgun.WRITER,
    "mailjet": mailjet.WRITER,
    "postmark": postmark.WRITER,
    "resend": resend.WRITER,
    "sendgrid": sendgrid.WRITER,
    "sparkpost": sparkpost.WRITER,
}
