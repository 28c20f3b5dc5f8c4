"""What a decision is made from and what it says: plain values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, NamedTuple

from app.consent.fold import Key, State
from app.consent.policy import Policy

CAPPED = frozenset({"marketing", "feedback"})
"""Classes that count towards, and wait for, the cap and quiet hours (R46, R47)."""

CONCLUDED = frozenset({"confirmed", "checked_in", "checked_out", "paid", "shipped", "delivered", "fulfilled"})
"""Statuses of a booking or order that is a concluded sale (R8)."""

SOLD = {"booking": "stay", "order": "goods"}
"""What a purchase was of, as topics say what they are about (R8)."""

COMPLETED = frozenset({"checked_out", "delivered", "fulfilled"})
"""Statuses of a stay that is over, an order that arrived (R11, R43)."""


@dataclass(frozen=True, slots=True)
class Request:
    """The message that asks."""

    message_id: int
    class_: str
    channel: str
    topic: str | None
    due_at: datetime
    priority: int = 50
    latest: datetime | None = None
    since: datetime | None = None
    """When it was first judged: its window, where it has no `latest`, starts there."""
    booking_id: int | None = None
    needed: bool = False
    """The law asks for it: it goes even to somebody whose data is restricted (R52)."""

    @property
    def rank(self) -> tuple[int, int]:
        """Sorts the more important first, then the older."""
        return (-self.priority, self.message_id)


class Suppressed(NamedTuple):
    """A live suppression of the address."""

    reason: str
    scope: str


class Purchase(NamedTuple):
    """A booking or order, as far as the rules need it."""

    booking_id: int
    status: str
    amount: int | None
    channel: str | None
    departure: date | None
    refunded: bool = False
    arrival: date | None = None
    kind: str = "booking"
    """booking or order."""
    abandoned_at: datetime | None = None
    """When it was left unfinished, where that is what it is (R9)."""


class Contacted(NamedTuple):
    """A message that went to the person, or is on its way: all of marketing and feedback; of service mail what speaks
    of something unfinished."""

    message_id: int
    class_: str
    at: datetime
    booking_id: int | None = None
    topic: str | None = None


class Held(NamedTuple):
    """Why the sender's side asks a message to wait, and until when: its domain is not proven, or warms up (R30)."""

    code: str
    rule: str
    inputs: Mapping[str, Any]
    until: datetime


@dataclass(frozen=True, slots=True)
class ConsentFacts:
    """What is known at this moment of the person, and of what this message is about."""

    address: str | None
    """Normalised; None: there is no address on this channel."""
    states: Mapping[Key, State]
    property_zone: str
    zone: str | None = None
    country: str | None = None
    property_country: str | None = None
    frozen: bool = False
    pace: str | None = None
    """`monthly`: the person wants one message of marketing a month at most (R46)."""
    paused_until: datetime | None = None
    """The person has asked for a pause from marketing and requests for an opinion."""
    erased: bool = False
    minor: bool = False
    """Known to be under 14 (R12)."""
    fourteen_on: date | None = None
    """When they turned, or turn, 14: a yes said before counts only if a parent gave it (R12)."""
    profiled: bool = False
    """The person was chosen for this message by past behaviour, or by something worked out from it (R13)."""
    about: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Topic → what it speaks of (`stay`, `goods`), for the similar products of R8."""
    suppressed: tuple[Suppressed, ...] = ()
    purchases: tuple[Purchase, ...] = ()
    booking: Purchase | None = None
    contacted: tuple[Contacted, ...] = ()
    """The last 31 days: handed over, or judged and about to go; not this message itself."""
    rivals: tuple[Request, ...] = ()
    """Other messages waiting for the same person."""
    left: str | None = None
    """Why its passage is over, where an exit condition has been met meanwhile (R60)."""
    holdout: str | None = None
    """The experiment that keeps this person out (R62)."""
    paused: str | None = None
    """The paused workflow it belongs to (R63)."""
    held: Held | None = None


class Check(NamedTuple):
    """One question, its answer, and what the answer was read from."""

    check: str
    ok: bool
    code: str
    rule: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict. `code` and `rule` are those of the check that decided."""

    outcome: Literal["allowed", "refused", "deferred"]
    checks: tuple[Check, ...]
    basis: str | None = None
    """contract, consent, soft_opt_in, legitimate_interest or sign_up."""
    ledger_line: int | None = None
    until: datetime | None = None
    """When to judge again, where it was put off."""
    channel: str | None = None
    """The channel that takes it, where there were several to choose from."""

    @property
    def allowed(self) -> bool:
        """Whether it may go now."""
        return self.outcome == "allowed"

    @property
    def code(self) -> str:
        """The code of the deciding check; `allowed` where nothing stood in the way."""
        return next((check.code for check in self.checks if not check.ok), "allowed")

    @property
    def rule(self) -> str | None:
        """The rule of the deciding check; where it may go, the rule its basis rests on."""
        failed = next((check.rule for check in self.checks if not check.ok), None)
        return failed or next((check.rule for check in self.checks if check.check == "basis"), None)

    def as_json(self, at: datetime, moment: str) -> dict[str, Any]:
        """One entry of `messages.verdict`; a second yes, at the lease, keeps only its basis."""
        brief = moment == "lease" and self.allowed
        entry: dict[str, Any] = {
            "at": at.isoformat(),
            "moment": moment,
            "outcome": self.outcome,
            "allowed": self.allowed,
            "checks": [
                {"check": one.check, "allowed": one.ok, "code": one.code, "rule": one.rule, "inputs": dict(one.inputs)}
                for one in self.checks
                if not brief or one.check == "basis"
            ],
        }
        if self.until is not None:
            entry["until"] = self.until.isoformat()
        return entry


class Basis(NamedTuple):
    """What a message may stand on: the check that says so, its name, and the line of the ledger."""

    check: Check
    name: str | None = None
    line: int | None = None


DEFAULT = Policy()


class Case(NamedTuple):
    """One message before the judge."""

    request: Request
    facts: ConsentFacts
    now: datetime
    policy: Policy = DEFAULT

    def asking(self, request: Request) -> Case:
        """The same person and moment, another message."""
        return self._replace(request=request)
