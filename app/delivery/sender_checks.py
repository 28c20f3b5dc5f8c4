"""What a sender must be told, and what was told wrongly: each error has a code, for which the studio has own words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from app.config import Settings
from app.delivery.mime import HeaderError, wire_address
from app.delivery.providers.api import Access
from app.delivery.providers.readers import READERS
from app.delivery.providers.smtp import Server, ServerError
from app.delivery.providers.webhooks import Secrets, network_of
from app.delivery.providers.writers import WRITERS
from app.delivery.ways import STREAMS

SMTP = {"url": "smtp://user:password@host:587?tls=starttls, or smtps://..."}
"""What a sender of the kind `smtp` needs."""

ERRORS: Mapping[str, str] = {
    "no_provider": "There is no provider {provider!r}; there are {known}.",
    "no_sender": "There is no sender {name!r}.",
    "cannot_send": "There is no sender {name!r} that can send.",
    "no_stream": "There is no stream {stream!r}; there are {known}.",
    "name_taken": "There is a sender {name!r} already.",
    "no_reports": "{provider} reports nothing by webhook: give no --secret, --basic or --network, but what to send "
    "with.",
    "empty_proof": "A secret is empty; user and password are written user:password.",
    "unsigned": "{provider} signs nothing: give --basic user:password.",
    "needs_secret": "{provider} needs --secret: {what}.",
    "no_proof": "Nothing would prove its webhooks: give {either}, or --network.",
    "no_network": "{network!r} is no network such as 192.0.2.0/24, or one so wide that it says nothing.",
    "only_reports": "Nothing can be sent by {provider}; it only reports. Senders are {known}.",
    "missing": "{provider} needs {name}: {what}.",
    "odd": "{provider} knows no {names}.",
    "no_streams": "What goes out by it is {known}, or both.",
    "not_whole": "A credential has a character that none has; was it copied whole?",
    "unfit": "{why}",
    "base": "base is http://ADDRESS:PORT of an address that PERCORSO_CALLS_ALLOW names.",
}
"""Code → what the command line says."""


class SenderError(ValueError):
    """A sender cannot be made or changed as asked; `str` says what is missing.

    Args:
        code: one of `ERRORS`.
        about: what its sentence names.
    """

    def __init__(self, code: str, **about: str) -> None:
        super().__init__(ERRORS[code].format(**about))
        self.code = code
        self.about: Mapping[str, str] = about


@dataclass(frozen=True, slots=True)
class Outward:
    """What a sender sends with, and what goes out by it."""

    credentials: Mapping[str, str]
    options: Mapping[str, str] = field(default_factory=dict)
    streams: Sequence[str] = STREAMS


def providers() -> list[str]:
    """Every provider that a sender may be of."""
    return sorted({*READERS, *WRITERS, "smtp"})


def check_provider(provider: str) -> None:
    """Raises SenderError where there is none of that name."""
    if provider not in providers():
        raise SenderError("no_provider", provider=provider, known=", ".join(providers()))


def check_proof(provider: str, proof: Secrets) -> None:
    """Whether webhooks of that provider could be proved so; raises SenderError."""
    reader = READERS.get(provider)
    if reader is None:
        raise SenderError("no_reports", provider=provider)
    pairs = [one.partition(":") for one in proof.basic]
    if any(not user or not rest for user, _, rest in pairs) or not all(proof.keys):
        raise SenderError("empty_proof")
    for one in proof.networks:
        if network_of(one) is None:
            raise SenderError("no_network", network=one)
    if proof.keys and reader.keys == "none":
        raise SenderError("unsigned", provider=provider)
    if not proof.keys and reader.keys == "needed":
        raise SenderError("needs_secret", provider=provider, what=reader.secret)
    if not (proof.keys or proof.basic or proof.networks):
        either = f"--secret ({reader.secret}) or --basic user:password" if reader.secret else "--basic user:password"
        raise SenderError("no_proof", either=either)


def check_outward(settings: Settings, provider: str, outward: Outward) -> None:
    """Whether a sender could send with that; raises SenderError."""
    writer = WRITERS.get(provider)
    if writer is None and provider != "smtp":
        raise SenderError("only_reports", provider=provider, known=", ".join((*WRITERS, "smtp")))
    needed = writer.credentials if writer else SMTP
    known = {**(writer.options if writer else {}), "base": ""}
    for name, what in needed.items():
        if not outward.credentials.get(name, "").strip():
            raise SenderError("missing", provider=provider, name=name, what=what)
    odd = [*(set(outward.credentials) - set(needed)), *(set(outward.options) - set(known))]
    if odd:
        raise SenderError("odd", provider=provider, names=", ".join(sorted(odd)))
    if not outward.streams or set(outward.streams) - set(STREAMS):
        raise SenderError("no_streams", known=" or ".join(STREAMS))
    if not all(value.isascii() and value.isprintable() for value in outward.credentials.values()):
        raise SenderError("not_whole")
    try:
        if writer is None:
            Server.parse(outward.credentials["url"])
        else:
            writer.base(Access(outward.credentials, outward.options))
        if outward.options.get("domain"):
            wire_address("a@" + outward.options["domain"])
    except (ServerError, HeaderError, ValueError) as error:
        raise SenderError("unfit", why=str(error)) from None
    _check_base(settings, outward.options.get("base", ""))


def _check_base(settings: Settings, base: str) -> None:
    """A stand-in for a provider gets our mails and keys: only at an address that the house's owner has named."""
    if not base:
        return
    parts = urlsplit(base)
    try:
        at = ip_address(parts.hostname or "")
        named = any(at in ip_network(one, strict=False) for one in settings.calls_allow)
    except ValueError:
        named = False
    if parts.scheme not in {"http", "https"} or parts.path not in {"", "/"} or not named:
        raise SenderError("base")
