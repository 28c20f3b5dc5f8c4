"""A mail as bytes, put together by hand: RFC 5322 headers, RFC 2045 bodies.

The standard library's `EmailMessage` costs 2 ms for a 30 KB mail and is the dearest thing on the whole path; this costs
a tenth of that or less. It knows one shape only: multipart/alternative of a plain text and an HTML part, with
multipart/mixed around that where files go with it. The text goes as quoted-printable (readable in the raw, and some
filters distrust plain text in base64), the HTML as base64.

Nothing that a person typed can start a new header: control characters in what is shown (names, subjects) become spaces,
and in what is obeyed (addresses, ids, links) they are refused.
"""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from app.messages.attachments import Attachment


class HeaderError(ValueError):
    """A header's name or value cannot stand in a mail; the message names the header and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address with the name shown beside it (may be empty)."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail says, before it is bytes.

    `headers` holds the further headers in order, name and value, already worded (List-Unsubscribe, Feedback-ID ...).
    """

    sender: Mailbox
    recipient: Mailbox
    subject: str
    text: str
    html: str
    message_id: str
    """With its angle brackets."""
    date: datetime
    reply_to: Mailbox | None = None
    headers: Sequence[tuple[str, str]] = ()
    attachments: Sequence[Attachment] = ()


LINE = 76
"""Where lines are folded; RFC 5322 advises 78 at most."""
LONGEST = 998
"""The longest line RFC 5322 allows."""

# A boundary with "=_" can stand in no base64 line and, as quoted-printable writes "=" as "=3D", in none of ours either.
_BOUNDARY = "=_percorso_alternative"
_VERSION = b"MIME-Version: 1.0\r\n"
_TEXT_PART = (
    f'Content-Type: multipart/alternative;\r\n boundary="{_BOUNDARY}"\r\n\r\n'
    f"--{_BOUNDARY}\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
).encode()
_HTML_PART = (
    f"\r\n--{_BOUNDARY}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
).encode()
_END = f"\r\n--{_BOUNDARY}--\r\n".encode()

_AROUND = "=_percorso_mixed"
_WORDS = f'Content-Type: multipart/mixed;\r\n boundary="{_AROUND}"\r\n\r\n--{_AROUND}\r\n'.encode()
_NEXT = f"--{_AROUND}\r\n".encode()
_WHOLE = f"--{_AROUND}--\r\n".encode()

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
"""Printable ASCII with single spaces inside: goes as it is."""
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_NAME = re.compile(r"[!-9;-~]+")
_ODD = re.compile(r"[^A-Za-z0-9._-]")
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_WIDE_LOCAL = re.compile(r"[^\x00-\x20\x7f-\x9f()<>\[\]:;@\\,\"\s]+")
_DOMAIN = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9A-Za-z:.]+\]")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]+@[!-;=?-~]+>")
_PHRASE_AND_ROUTE = re.compile(r"(?P<phrase>[^<>]*?)\s*(?P<route><[!-;=?-~]*>)")


def assemble(mail: Mail) -> bytes:
    """The whole message with CRLF line ends, ready to be signed and handed over.

    No line is longer than 998 characters. Raises HeaderError for an address, id or header that cannot stand in a mail.
    """
    head = [
        "Date: " + format_datetime(mail.date),
        _address_header("From", mail.sender.name, mail.sender.email),
        _address_header("To", mail.recipient.name, mail.recipient.email),
    ]
    if mail.reply_to is not None:
        head.append(_address_header("Reply-To", mail.reply_to.name, mail.reply_to.email))
    head.append(_shown("Subject", mail.subject))
    if not _MESSAGE_ID.fullmatch(mail.message_id) or len(mail.message_id) > 250:
        raise HeaderError(f"Message-ID {mail.message_id[:80]!r} is not of the form <unique@domain>.")
    head.append("Message-ID: " + mail.message_id)
    head += [_obeyed(name, value) for name, value in mail.headers]
    return b"".join(
        (
            "\r\n".join(head).encode(),
            b"\r\n",
            _VERSION,
            _WORDS if mail.attachments else b"",
            _TEXT_PART,
            _quoted_printable(_canonical(mail.text)),
            _HTML_PART,
            _base64_lines(_canonical(mail.html)),
            _END,
            *(_attached(one) for one in mail.attachments),
            _WHOLE if mail.attachments else b"",
        )
    )


def _attached(one: Attachment) -> bytes:
    """A part with a file; names are plain ASCII where they are published, and whatever is not is taken out here."""
    name = _ODD.sub("_", one.name)
    head = (
        f'Content-Type: {one.type}{one.parameters};\r\n name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment;\r\n filename="{name}"\r\n\r\n'
    )
    return b"".join((_NEXT, head.encode(), _base64_lines(one.data), b"\r\n"))


@lru_cache(maxsize=4096)
def wire_address(email: str) -> str:
    """The address as it goes over the wire: local part untouched, domain in ASCII (X45).

    A non-ASCII local part stays, and then needs SMTPUTF8. Raises HeaderError for what is no address.
    """
    local, _, domain = email.rpartition("@")
    if domain and not domain.isascii():
        try:
            domain = validate_email("a@" + domain, check_deliverability=False, test_environment=True).ascii_domain
        except EmailNotValidError as error:
            raise HeaderError(f"{email[:80]!r} is not an address: {error}") from None
    local_form = _LOCAL if local.isascii() else _WIDE_LOCAL
    if not local_form.fullmatch(local) or not _DOMAIN.fullmatch(domain) or len(local.encode()) > 64:
        raise HeaderError(f"{email[:80]!r} is not an address.")
    return f"{local}@{domain}"


def clean(shown: str) -> str:
    """A name or subject on one line: every run of control characters or line breaks becomes one space."""
    return _CONTROL.sub(" ", shown).strip()


@lru_cache(maxsize=4096)
def _address_header(header: str, name: str, email: str) -> str:
    address = wire_address(email)
    phrase = _phrase(clean(name), len(header) + 2)
    if not phrase:
        return f"{header}: {address}"
    line = f"{header}: {phrase}"
    gap = " " if len(line) - line.rfind("\n") + len(address) + 3 <= LINE else "\r\n "
    return f"{line}{gap}<{address}>"


def _phrase(name: str, taken: int) -> str:
    """A display name: as it is, in quotes, or as encoded words."""
    if len(name) <= LINE - taken:
        if _ATOMS.fullmatch(name) and "=?" not in name:
            return name
        if _PLAIN.fullmatch(name) and "=?" not in name:
            return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _encoded_words(name, taken)


def _shown(header: str, value: str) -> str:
    """A header for people: long lines folded at spaces, anything but plain ASCII as encoded words (RFC 2047)."""
    value = clean(value)
    taken = len(header) + 2
    if _PLAIN.fullmatch(value) and "=?" not in value:
        if len(value) <= LINE - taken:
            return f"{header}: {value}"
        folded = _folded(value, taken)
        if folded is not None:
            return f"{header}: {folded}"
    return f"{header}: {_encoded_words(value, taken)}"


@lru_cache(maxsize=4096)
def _obeyed(header: str, value: str) -> str:
    """A header for machines: a control character is refused; a label before an angle bracket may be in any script."""
    if not _NAME.fullmatch(header):
        raise HeaderError(f"{header[:80]!r} is not a header name.")
    if _CONTROL.search(value):
        raise HeaderError(f"{header}: the value holds a line break or control character.")
    if value.isascii():
        line = f"{header}: {value}"
        if len(line) > LINE and ", " in value:
            line = line.replace(", ", ",\r\n ")
        if max(map(len, line.split("\r\n"))) > LONGEST:
            raise HeaderError(f"{header}: longer than {LONGEST} characters on one line.")
        return line
    labelled = _PHRASE_AND_ROUTE.fullmatch(value)
    if labelled:
        return f"{header}: {_phrase(labelled['phrase'], len(header) + 2)}\r\n {labelled['route']}"
    return _shown(header, value)


def _folded(value: str, taken: int) -> str | None:
    """`value` broken at spaces so that each line fits; None where one word alone is too long."""
    lines: list[str] = []
    line = ""
    room = LINE - taken
    for word in value.split(" "):
        if len(word) > LINE - 12:
            return None
        if line and len(line) + 1 + len(word) > room:
            lines.append(line)
            line, room = word, LINE - 1
        else:
            line = f"{line} {word}" if line else word
    lines.append(line)
    return "\r\n ".join(lines)


def _encoded_words(value: str, taken: int) -> str:
    """RFC 2047 words of at most 75 characters, cut between characters, never inside one."""
    words: list[str] = []
    room = LINE - taken
    chunk = b""
    for character in value:
        encoded = character.encode()
        if chunk and 12 + (len(chunk) + len(encoded) + 2) // 3 * 4 > min(room, 75):
            words.append(f"=?utf-8?B?{binascii.b2a_base64(chunk, newline=False).decode()}?=")
            chunk, room = b"", LINE - 1
        chunk += encoded
    if chunk:
        words.append(f"=?utf-8?B?{binascii.b2a_base64(chunk, newline=False).decode()}?=")
    return "\r\n ".join(words)


def _canonical(text: str) -> bytes:
    """Every line end as CRLF, as RFC 2045 wants text before it is encoded."""
    data = text.encode("utf-8", "replace")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data.replace(b"\n", b"\r\n")


def _quoted_printable(data: bytes) -> bytes:
    encoded = binascii.b2a_qp(data, istext=True)
    # `binascii` takes its soft line ends from the data's own, and is left without a hint where there are none.
    return encoded if b"\r\n" in data else encoded.replace(b"\n", b"\r\n")


def _base64_lines(data: bytes) -> bytes:
    """Base64 in lines of 76 characters; `struct` cuts them four times as fast as slicing does."""
    encoded = binascii.b2a_base64(data, newline=False)
    lines = _cutter(len(encoded) // LINE)
    return b"\r\n".join((*lines.unpack_from(encoded), encoded[lines.size :]))


@lru_cache(maxsize=1024)
def _cutter(lines: int) -> struct.Struct:
    return struct.Struct(f"{LINE}s" * lines)
