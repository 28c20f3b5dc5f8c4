"""Asking DNS, and how an answer is told: what there is, what should be, the very record to put in.

A name server that does not answer is no answer (`Unanswered`): it says nothing against a domain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import dns.exception
import dns.name
import dns.resolver
import dns.reversename

Verdict = Literal["pass", "warn", "fail", "unknown", "none"]
"""`warn`: receivers take it, better is advised. `unknown`: nobody answered. `none`: does not concern this domain."""


PATIENCE = 3
"""After so many time-outs in a row nothing more is asked: somebody waits for the page."""


class Unanswered(Exception):  # noqa: N818 - no fault of the domain, and never shown as one
    """The name servers gave no answer that can be relied on: SERVFAIL, a time-out, nonsense."""


class Resolver(Protocol):
    """Asks DNS. `texts` gives each TXT record as one text, its strings joined (RFC 7208, 3.3)."""

    def texts(self, name: str) -> list[str]: ...

    def hosts(self, name: str, kind: Literal["A", "AAAA", "MX", "PTR"]) -> list[str]: ...


class Dns:
    """Asks the name server of the settings, or the system's.

    Args:
        server: `address` or `address:port`; empty: what the system uses.
        timeout: seconds for one question, all tries included.
    """

    def __init__(self, server: str = "", timeout: float = 3.0) -> None:
        try:
            self._asked = dns.resolver.Resolver(configure=not server)
        except dns.exception.DNSException as error:
            raise Unanswered(f"no name server is set up here: {error}") from error
        if server:
            address, _, port = server.partition(":") if server.count(":") < 2 else (server, "", "")
            self._asked.nameservers = [address]
            self._asked.port = int(port or 53)
        self._silences = 0
        self._asked.lifetime = timeout
        self._asked.timeout = min(2.0, timeout)

    def texts(self, name: str) -> list[str]:
        # Sorted: name servers turn their answers round, and what is advised must not.
        return sorted(b"".join(record.strings).decode("utf-8", "replace") for record in self._ask(name, "TXT"))

    def hosts(self, name: str, kind: Literal["A", "AAAA", "MX", "PTR"]) -> list[str]:
        if kind == "PTR":
            found = self._ask(str(dns.reversename.from_address(name)), "PTR")
            return [str(record.target).rstrip(".").lower() for record in found]
        if kind == "MX":
            return [str(record.exchange).rstrip(".").lower() for record in self._ask(name, "MX")]
        return [str(record.address) for record in self._ask(name, kind)]

    def _ask(self, name: str, kind: str) -> list[Any]:
        if self._silences >= PATIENCE:
            raise Unanswered(f"{name} {kind}: not asked, the name server is silent")
        try:
            found = list(self._asked.resolve(name, kind, search=False))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            self._silences = 0
            return []
        except (dns.name.LabelTooLong, dns.name.EmptyLabel, dns.name.NameTooLong):
            return []  # such a name can be in no zone
        except (dns.exception.DNSException, OSError) as error:
            self._silences += isinstance(error, dns.exception.Timeout)
            raise Unanswered(f"{name} {kind}: {type(error).__name__}") from error
        self._silences = 0
        return found


@dataclass(frozen=True, slots=True)
class Record:
    """A record to put into DNS, ready to be copied."""

    type: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Result:
    """One check."""

    verdict: Verdict
    code: str
    """What is so; the studio has a sentence for each (`studio/words.py`)."""
    found: tuple[str, ...] = ()
    wanted: tuple[Record, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As it is kept with the domain."""
        return {
            "verdict": self.verdict,
            "code": self.code,
            "found": list(self.found),
            "wanted": [{"type": one.type, "name": one.name, "value": one.value} for one in self.wanted],
            "inputs": dict(self.inputs),
        }


@dataclass(frozen=True, slots=True)
class Key:
    """A DKIM key of ours, as its record must show it."""

    selector: str
    public: str
    """Base64, what follows p=; empty: the provider's own key, whichever it is."""
    algorithm: str = "rsa-sha256"

    @property
    def record(self) -> str:
        """The TXT record."""
        kind = "ed25519" if self.algorithm.startswith("ed25519") else "rsa"
        return f"v=DKIM1; k={kind}; p={self.public}"


@dataclass(frozen=True, slots=True)
class Setup:
    """What a domain is to be checked against."""

    domain: str
    spf: str | None
    """The mechanism that names our way out: `include:…`, `ip4:…`, `ip6:…`, `a:…`; None: nobody has said."""
    keys: Sequence[Key]
    """Those that sign, or are about to."""
    bounce_domain: str
    """Domain of the envelope sender."""
    tls: Literal["required", "offered", "none", "local"]
    """How mails go to the provider; `local`: nothing leaves the house."""
