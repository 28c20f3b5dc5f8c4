"""What all providers' webhooks have in common: a request as a plain value, proofs of who sent it, and what it reports.

    request → before (what must be fetched to check it) → verify → parse → reports

Nothing here or in the provider's own file knows a database, a web framework or a clock: a provider's file is its
signature, a look-up of its words, and little more. A new one is such a file and a line in `readers.py`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from email.policy import HTTP
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec

from app.delivery.status import enhanced
from app.events.sources import SignatureRefusedError, Signed, check_time

METADATA = "percorso_message"
"""Under this name a mail that can carry metadata is given its own Message-ID, for providers that write another one.
Our number would not do: another installation behind the same account counts from one as well."""

REPEATS = timedelta(hours=24)
"""How old a signature may be whose provider may repeat a report under the first try's time. What is repeated within it
is known by its id and counted once, so an old request played again changes nothing."""

Row = Mapping[str, Any]


class RefusedError(ValueError):
    """The request does not prove that the provider sent it; the message says why, without helping to forge one."""


class UnreadableError(ValueError):
    """It is the provider's, but not what a provider of this kind sends."""


@dataclass(frozen=True, slots=True)
class Request:
    """A webhook request. `url` is the one entered at the provider; names of headers are in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    fetched: Mapping[str, bytes] = field(default_factory=dict)
    """What `before` asked for: address → what was found there."""
    client: str | None = None
    """The address it came from, behind every proxy of ours; None where that is not known for sure."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the receiver was told of the provider. Several of a kind may be live, so that one can be changed."""

    keys: Sequence[str] = ()
    """Signing keys, public keys, tokens, or whatever else the provider's file says."""
    basic: Sequence[str] = ()
    """`user:password`, for HTTP basic authentication in the URL."""
    networks: Sequence[str] = ()
    """Addresses and networks that the provider says its webhooks come from. Enough by themselves where nothing is
    signed: an address cannot be made up by who wants an answer over TCP."""


@dataclass(frozen=True, slots=True)
class Report:
    """One thing a provider says of one mail, in the vocabulary of `delivery.track`."""

    kind: str
    dedupe: str
    """The provider's id of the report, or a hash of what it says."""
    raw: Row
    """The provider's own words, without secrets."""
    occurred_at: datetime | None = None
    reported_at: datetime | None = None
    """When the provider told of it, where it says that beside."""
    recipient: str | None = None
    message_id: str | None = None
    """RFC 5322 Message-ID with its angle brackets, where the provider tells ours."""
    provider_id: str | None = None
    """The provider's name for the mail."""
    sent_as: str | None = None
    """The Message-ID from the metadata that went out with the mail."""
    reason: str | None = None
    text: str | None = None
    """What the mailbox's server or the provider said."""
    url: str | None = None


Need = Literal["needed", "possible", "none"]


@dataclass(frozen=True, slots=True)
class Reader:
    """One provider: how it proves itself and what its words mean.

    Args:
        verify: lets pass or raises RefusedError.
        parse: what a verified request reports; raises UnreadableError.
        secret: what a key is and where it is found, for people.
        keys: whether a key is needed. Where neither is needed, one of the two still is.
        basic: likewise of `user:password`.
        before: addresses that must be fetched to check the request; raises RefusedError.
        after: an address that must be called once the request was verified.
        once: a token that may never come again with another body.
    """

    verify: Callable[[Request, Secrets, datetime], None]
    parse: Callable[[Request], list[Report]]
    secret: str
    keys: Need = "none"
    basic: Need = "possible"
    before: Callable[[Request, Secrets], Sequence[str]] | None = None
    after: Callable[[Request], str | None] | None = None
    once: Callable[[Request], str | None] | None = None


def prove(request: Request, secrets: Secrets, signed: Callable[[str], bool] | None, *, optional: bool = False) -> None:
    """Let pass a request that every kind of secret in use vouches for; deny by default.

    Args:
        signed: whether a key made the request's signature; None where the provider signs nothing.
        optional: whether `user:password`, or the network it comes from, may do without a key.

    Raises:
        RefusedError: nothing is known that could prove it, or something does not hold.
    """
    if not secrets.keys and ((signed is not None and not optional) or not (secrets.basic or secrets.networks)):
        raise RefusedError("no secret is known that could prove it")
    if secrets.networks and not _comes_from(request.client, secrets.networks):
        raise RefusedError("it comes from no network of this sender")
    if secrets.basic and not _basic_holds(request, secrets.basic):
        raise RefusedError("user and password are missing or wrong")
    if secrets.keys and (signed is None or not any(signed(key) for key in secrets.keys)):
        raise RefusedError("no secret of this sender made the signature")


WIDEST = {4: 8, 6: 16}
"""IP version → the shortest prefix of a network that still says who somebody is."""


def network_of(text: str) -> IPv4Network | IPv6Network | None:
    """An address or a network as people write it; None where it is neither, or so wide that it proves nothing."""
    try:
        found = ip_network(text.strip(), strict=False)
    except ValueError:
        return None
    return found if found.prefixlen >= WIDEST[found.version] else None


def _comes_from(client: str | None, networks: Sequence[str]) -> bool:
    try:
        at = ip_address(client or "")
    except ValueError:
        return False
    at = getattr(at, "ipv4_mapped", None) or at
    return any(at in known for one in networks if (known := network_of(one)) is not None)


def recent(seconds: str, now: datetime, tolerance: timedelta = REPEATS) -> None:
    """Refuse a signature whose time, in seconds since 1970, lies further than `tolerance` from now."""
    at = instant(seconds) if seconds.isascii() and seconds.replace(".", "", 1).isdigit() else None
    if at is None:
        raise RefusedError("the time of the signature is missing or no number of seconds")
    if abs(at - now) > tolerance:
        raise RefusedError("the signature is too old, or from the future")


def same(given: str, made: str | bytes) -> bool:
    """Whether two texts are equal, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(given.encode(), made.encode() if isinstance(made, str) else made)


def unbased(text: str) -> bytes:
    """The bytes behind base64; empty where it is none."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""


def credentials(request: Request) -> str | None:
    """The `user:password` that came with the request."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return unbased(given).decode("utf-8", "replace") if scheme.lower() == "basic" else None


def _basic_holds(request: Request, known: Sequence[str]) -> bool:
    given = credentials(request)
    return given is not None and any(same(given, one) for one in known)


def standard(request: Request, prefix: str) -> Signed:
    """The three headers of Standard Webhooks, by this prefix. A fraction of a second is not signed, as with Svix."""
    id_, at, signature = (request.headers.get(f"{prefix}-{name}", "") for name in ("id", "timestamp", "signature"))
    return Signed(id_, at.partition(".")[0], signature, request.body)


def fresh(signed: Signed, now: datetime) -> None:
    """Refuse a signature that lacks a part or is older than five minutes: each try is signed anew.

    Raises:
        RefusedError: it is.
    """
    try:
        check_time(signed, now)
    except SignatureRefusedError as error:
        raise RefusedError(str(error)) from error


# -- reading ----------------------------------------------------------------------------------------------------------


def json_of(text: bytes | str) -> Any:
    """JSON without NUL characters, which no text of the database may hold.

    Raises:
        UnreadableError: it is none.
    """
    try:
        return _clean(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError("the body is no JSON") from error


def form_of(request: Request) -> dict[str, list[str]]:
    """The fields of a form, URL-encoded or multipart; each with all its values in order."""
    kind = request.headers.get("content-type", "")
    fields: dict[str, list[str]] = {}
    if kind.startswith("multipart/form-data"):
        whole = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + request.body)
        for part in whole.iter_parts() if whole.is_multipart() else ():
            name = part.get_param("name", header="content-disposition")
            if isinstance(name, str) and part.get_filename() is None:
                value = part.get_payload(decode=True)
                text = value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
                fields.setdefault(name, []).append(text.replace("\x00", ""))
    elif kind.startswith("application/x-www-form-urlencoded"):
        for name, text in parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True):
            fields.setdefault(name, []).append(text.replace("\x00", ""))
    return fields


def table(value: Any) -> dict[str, Any]:
    """An object of JSON; empty where it is something else."""
    return value if isinstance(value, dict) else {}


def tables(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; one object alone is a list of one.

    Raises:
        UnreadableError: neither.
    """
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise UnreadableError("the body is no list of events")
    return value


def word(value: Any) -> str | None:
    """A text or a number as text; None where it is empty or something else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None


def bracketed(value: Any) -> str | None:
    """A Message-ID as headers write it, whether or not the provider left its angle brackets."""
    text = word(value)
    return f"<{text.strip('<>')}>" if text else None


def instant(value: Any) -> datetime | None:
    """When: seconds or milliseconds since 1970, or ISO text (UTC where it names no zone); None for anything else."""
    text = word(value)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        try:
            at = datetime.fromisoformat(text)
            return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            return None
    if not math.isfinite(number):
        return None
    try:
        # Seconds reach this figure in the year 5138, milliseconds had it in 1973.
        return datetime.fromtimestamp(number / 1000 if number > 1e11 else number, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def sent_as(metadata: Any) -> str | None:
    """The Message-ID we gave a mail, from the metadata that came back: as it is, or as `as_tag` wrote it."""
    text = word(table(metadata).get(METADATA))
    if text and "@" not in text and _TAG.fullmatch(text):
        read = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("utf-8", "replace")
        text = read if "@" in read and read.isprintable() else text
    return bracketed(text)


def sent_within(text: Any) -> str | None:
    """The same from metadata that come back as JSON within a text; None where it is somebody else's words."""
    told = word(text)
    try:
        return sent_as(json_of(told)) if told else None
    except UnreadableError:
        return None


def as_tag(message_id: str) -> str:
    """A Message-ID for providers whose metadata takes letters, figures, dash and underscore only."""
    return base64.urlsafe_b64encode(message_id.strip("<>").encode()).rstrip(b"=").decode()


_TAG = re.compile(r"[A-Za-z0-9_-]{4,}")


def hashed(raw: Any, *more: str) -> str:
    """A name for a report whose provider gives it none: the same words, the same name."""
    return hashlib.sha256(msgspec.json.encode([raw, *more], order="sorted")).hexdigest()


def code_of(report: Report) -> str | None:
    """The enhanced status code in what was said, or its beginning."""
    return (enhanced(report.text) or report.text[:200]) if report.text else None


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, list):
        return [_clean(one) for one in value]
    if isinstance(value, dict):
        return {name.replace("\x00", ""): _clean(one) for name, one in value.items()}
    return value
