"""Signed links in mails, made and read here, and the headers of lists.

A token is a few numbers (workspace, contact, message ...) and a truncated HMAC over them, under a key of its own for
each purpose: what opens one door opens no other. There is no address in it, it never expires by itself (mail lives for
years), and older secrets are still accepted when reading. Who holds a token holds the mail it came in; a token
therefore allows what the reader of that mail may do, and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from app.config import Settings

Purpose = Literal[
    "click", "unsubscribe", "tracking", "preferences", "view", "confirm", "undo", "bounce", "address", "right"
]

PATHS: dict[str, str] = {
    "click": "c",
    "unsubscribe": "u",
    "tracking": "t",
    "preferences": "p",
    "view": "v",
    "confirm": "k",
    "undo": "z",
    "right": "r",
    "address": "a",
}
"""Purpose → the letter of its public route under /m/."""

LIST_CLASSES = frozenset({"marketing", "feedback"})
"""Classes whose mails carry one-click headers (R31)."""

_MAC_BYTES = 12


class BadTokenError(ValueError):
    """The token was not made by us for this purpose, or was cut off on its way."""


class Ref(NamedTuple):
    """What most links speak of: one message to one contact of one workspace."""

    workspace_id: int
    contact_id: int
    message_id: int


@lru_cache(maxsize=64)
def _key(secret: str, purpose: str) -> hmac.HMAC:
    # Copied for each use: setting a key up costs a hundred times what the hash of a few bytes does.
    derived = hmac.digest(secret.encode(), f"percorso:link:{purpose}".encode(), "sha256")
    return hmac.new(derived, digestmod=hashlib.sha256)


def _mac(secret: str, purpose: str, payload: bytes) -> bytes:
    keyed = _key(secret, purpose).copy()
    keyed.update(payload)
    return keyed.digest()[:_MAC_BYTES]


def sign(settings: Settings, purpose: Purpose, numbers: Sequence[int]) -> str:
    """A token for these numbers (not negative); about 24 characters for small ones, safe in a URL path."""
    payload = _packed(tuple(numbers))
    return base64.urlsafe_b64encode(payload + _mac(settings.secret, purpose, payload)).rstrip(b"=").decode()


@lru_cache(maxsize=256)
def _packed(numbers: tuple[int, ...]) -> bytes:
    """The numbers as LEB128; kept for a moment, as one mail has several links to sign."""
    payload = bytearray()
    for number in numbers:
        if number < 0:
            raise ValueError("A token holds no negative number.")
        rest = number
        while rest > 127:
            payload.append(rest & 127 | 128)
            rest >>= 7
        payload.append(rest)
    return bytes(payload)


def read(settings: Settings, purpose: Purpose, token: str) -> tuple[int, ...]:
    """The numbers of a token; raises BadTokenError for one that is not ours, or was made for another purpose."""
    if not token or len(token) > 200 or not token.isascii():
        raise BadTokenError("no token of ours")
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadTokenError("no token of ours") from error
    payload, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    secrets = (settings.secret, *settings.previous_secrets)
    if not payload or not any(hmac.compare_digest(mac, _mac(secret, purpose, payload)) for secret in secrets):
        raise BadTokenError("no token of ours")
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != token:
        raise BadTokenError("not written as we write it")
    numbers: list[int] = []
    value = shift = 0
    for byte in payload:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers.append(value)
            value = shift = 0
    return tuple(numbers)


def read_ref(settings: Settings, purpose: Purpose, token: str) -> Ref:
    """The message a token speaks of; raises BadTokenError."""
    numbers = read(settings, purpose, token)
    if len(numbers) != len(Ref._fields):
        raise BadTokenError("no token of ours")
    return Ref(*numbers)


def url(settings: Settings, purpose: Purpose, numbers: Sequence[int]) -> str:
    """The public address of a signed link."""
    return f"{settings.base_url}/m/{PATHS[purpose]}/{sign(settings, purpose, numbers)}"


def click_url(settings: Settings, ref: Ref, number: int) -> str:
    """A counted link: only for who has granted tracking (R15). The target is looked up by its number, never carried."""
    return url(settings, "click", (*ref, number))


def confirm_url(settings: Settings, workspace_id: int, contact_id: int, line: int) -> str:
    """Where a pending consent (that line of the ledger) is confirmed."""
    return url(settings, "confirm", (workspace_id, contact_id, line))


def message_id(settings: Settings, ref: Ref, domain: str) -> str:
    """The RFC 5322 Message-ID of a message, the same at every try (R39), telling nothing of who it is for.

    Made under the newest secret; the row keeps the first one made, so that changing the secret changes nothing sent.
    """
    keyed = _key(settings.secret, "message-id").copy()
    keyed.update(f"{ref.workspace_id}:{ref.contact_id}:{ref.message_id}".encode())
    return f"<{keyed.digest()[:16].hex()}@{domain}>"


def bounce_address(settings: Settings, ref: Ref, inbox: str) -> str:
    """The envelope sender by which a bounce is matched first (R35, VERP): `bounces+<token>@…` of the given inbox.

    The token is hexadecimal, since the case of a local part may be lost on the way back.
    """
    local, _, domain = inbox.rpartition("@")
    raw = sign(settings, "bounce", ref)
    return f"{local}+{base64.urlsafe_b64decode(raw + '=' * (-len(raw) % 4)).hex()}@{domain}"


def read_bounce_address(settings: Settings, address: str) -> Ref:
    """The message a bounce came back for; raises BadTokenError where the address is none of ours."""
    _, _, tag = address.rpartition("@")[0].rpartition("+")
    try:
        token = base64.urlsafe_b64encode(bytes.fromhex(tag)).rstrip(b"=").decode()
    except ValueError as error:
        raise BadTokenError("no bounce address of ours") from error
    return read_ref(settings, "bounce", token)


@lru_cache(maxsize=4096)
def host(target: str) -> str:
    """The host of a web address, lower case; empty for what is none."""
    try:
        parts = urlsplit(target)
        return (parts.hostname or "") if parts.scheme in {"http", "https"} else ""
    except ValueError:
        return ""


@lru_cache(maxsize=4096)
def campaign_url(target: str, source: str, campaign: str) -> str:
    """A web address with parameters that name the campaign and nobody in person (R15).

    Addresses that carry such parameters already, and all that are not http(s), stay as they are.
    """
    parts = urlsplit(target)
    if parts.scheme not in {"http", "https"}:
        return target
    query = parse_qsl(parts.query, keep_blank_values=True)
    if any(name.startswith("utm_") for name, _ in query):
        return target
    more = [("utm_source", source), ("utm_medium", "email"), ("utm_campaign", campaign)]
    return urlunsplit(parts._replace(query=urlencode(query + more, quote_via=quote)))


@lru_cache(maxsize=1024)
def sender_id(domain: str) -> str:
    """The SenderId of `Feedback-ID`: 10 characters, the same for ever for one sending domain, nobody's in person."""
    return "p" + hashlib.sha256(domain.encode()).hexdigest()[:9]


def list_headers(
    *,
    class_: str,
    with_marketing: bool,
    unsubscribe: str,
    mailto: str | None,
    list_name: str,
    list_key: str,
    account: str,
    campaign: str,
    domain: str,
) -> list[tuple[str, str]]:
    """The headers that say what kind of mail this is (R31, R33).

    Args:
        class_: the message's class.
        with_marketing: whether a marketing block is shown in it; such a service mail carries one-click headers (R21).
        unsubscribe: the one-click address (RFC 8058), https in production.
        mailto: what follows `mailto:` where an inbox also takes unsubscribe mails, or None.
        list_name, list_key: label and stable key of the list, such as "Hotel Miralago, offers" and "offers".
        account: the property's code.
        campaign: what is counted together: the workflow, or the template.
        domain: the sending domain.
    """
    headers: list[tuple[str, str]] = []
    if class_ in LIST_CLASSES or with_marketing:
        ways = f"<{unsubscribe}>" + (f", <mailto:{mailto}>" if mailto else "")
        headers.append(("List-Unsubscribe", ways))
        headers.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
        label = "".join(letter for letter in list_name if letter not in '<>"\r\n')
        headers.append(("List-Id", f"{label} <{_label(list_key)}.{_label(account)}.{domain}>"))
    else:
        headers.append(("Auto-Submitted", "auto-generated"))
    headers.append(("Feedback-ID", f"{_label(campaign)}:{class_}:{_label(account)}:{sender_id(domain)}"))
    return headers


@lru_cache(maxsize=4096)
def _label(word: str) -> str:
    cleaned = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in word.lower()).strip("-")
    return cleaned[:40] or "list"
