"""Mails as they went over the wire, taken apart for reading; and the one way in which their HTML is shown."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Sequence
from dataclasses import dataclass

from flask import Response, make_response

from app.doors import house

VIEWS = ("html", "phone", "text", "source", "headers")
_HREF = re.compile(r"<a\b[^>]*?\bhref=[\"']([^\"']+)[\"'][^>]*>(.*?)</a>", re.IGNORECASE | re.DOTALL)
_DARK = re.compile(r"@media\s*\(\s*prefers-color-scheme:\s*dark\s*\)", re.IGNORECASE)
_TAG = re.compile(r"<[^>]+>|\s+")


@dataclass(frozen=True, slots=True)
class Opened:
    """A mail taken apart."""

    subject: str
    sender: str
    to: str
    headers: Sequence[tuple[str, str]]
    html: str
    text: str
    source: str
    links: Sequence[tuple[str, str]]
    attachments: Sequence[str] = ()
    """Names of the files that go with it."""


def opened(raw: bytes) -> Opened:
    """Take apart the bytes of a mail."""
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    html, text = mail.get_body(("html",)), mail.get_body(("plain",))
    page = str(html.get_content()) if html is not None else ""
    return Opened(
        subject=str(mail["Subject"] or ""),
        sender=str(mail["From"] or ""),
        to=str(mail["To"] or ""),
        headers=[(name, str(content)) for name, content in mail.items()],
        html=page,
        text=str(text.get_content()) if text is not None else "",
        source=raw.decode("utf-8", "replace"),
        links=links_of(page),
        attachments=[part.get_filename("") for part in mail.iter_attachments()] if mail.is_multipart() else [],
    )


def links_of(html: str) -> list[tuple[str, str]]:
    """(address, words) of each link, each address once."""
    found: dict[str, str] = {}
    for href, words in _HREF.findall(html):
        label = _TAG.sub(" ", words).strip()
        found.setdefault(href.replace("&amp;", "&"), label)
    return [(href, label or href) for href, label in found.items() if href.startswith("http")]


def framed(html: str, paper: str | None = "light") -> Response:
    """HTML of a mail for a frame of ours: no script, no form, nothing fetched but pictures; links open elsewhere.

    Our own pictures are taken from here, whatever public address the mail names them by.

    Args:
        paper: light or dark, as a reader's program would have it; None: as this reader's own system.
    """
    html = html.replace(f'"{house().settings.base_url}/assets/', '"/assets/')
    if paper is not None:
        # A frame of another origin follows the system's scheme, not the page's: so the mail's own rules are switched.
        html = _DARK.sub("@media all" if paper == "dark" else "@media not all", html)
    base = '<base target="_blank">'
    page = (
        re.sub(r"(<head[^>]*>)", rf"\1{base}", html, count=1, flags=re.IGNORECASE) if "<head" in html else base + html
    )
    response = make_response(page)
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; img-src 'self' data: http: https:; style-src 'unsafe-inline'; font-src 'none'; "
        "form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
    )
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
