"""What every provider promises: a group of mails in, one outcome for each out, in the same order.

What may be done next stands in the type of the outcome, not in a number that each caller reads anew:

- `Accepted`: the provider answers for it now.
- `Transient`: certainly not accepted; the same mail with the same Message-ID may be handed over again.
- `Permanent`: certainly not accepted, and trying again cannot help. `scope` says whose fault it is.
- `Unknown`: it may have been accepted. Never tried again by itself.

A new provider with an HTTP API is one file here: a `Writer` (`api.py`), the way out, and a `Reader` (`webhooks.py`),
what it reports back, each with a line in `writers.py` and `readers.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from app.delivery.mime import Mail

Stream = Literal["service", "marketing"]
"""What goes out by ways of its own: marketing, and everything that somebody waits for."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A finished mail with its envelope."""

    message_pk: int
    contact_id: int
    message_id: str
    """RFC 5322 Message-ID, the same at every try."""
    envelope_from: str
    envelope_to: str
    """Both with an ASCII domain; a non-ASCII local part asks the server for SMTPUTF8."""
    raw: bytes
    """Header and body with CRLF line ends, signed."""
    mail: Mail
    """The same in parts, for providers that put mails together themselves."""
    stream: Stream = "service"
    again: bool = False
    """It may have left before, under the very key that it goes with now and that no refused try has used."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took it. `provider_id` is its own name for the mail, where it tells one."""

    provider_id: str | None
    code: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Transient:
    """Certainly not accepted; later may be better. `code` is None where nobody answered."""

    code: str | None
    text: str
    elsewhere: bool = False
    """The fault lies with this way out, not with the mail or its reader: another way may take it at once."""
    wait: float = 0
    """Seconds that the provider asks us to stay away."""


@dataclass(frozen=True, slots=True)
class Permanent:
    """Certainly not accepted, for good. `scope`: the recipient's address or mailbox, or the sender (R35)."""

    code: str | None
    text: str
    scope: Literal["recipient", "sender"]
    meaning: Literal["hard", "soft"] | None = None
    """Of the recipient, where the provider's own code says it; None: what it says in words decides."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The line broke when the mail was out and no answer had come: a silence after the data may be a yes (R39)."""

    text: str


Outcome = Accepted | Transient | Permanent | Unknown


class Transport(Protocol):
    """A way out of the house. `send` is called from several threads at once."""

    @property
    def name(self) -> str:
        """What attempts are recorded under."""
        ...

    def send(self, group: Sequence[Outgoing]) -> list[Outcome]:
        """Hand over a group; one outcome for each, in order. Trouble of the provider is an outcome, never an error."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...
