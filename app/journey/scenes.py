"""What a story is told with: the person and what happens to them, and everything it came to.

Plain values, frozen but for those that move while it runs (`Inside`, `Waiting`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from app.journey import entry
from app.journey.entry import NotEntered
from app.journey.facts import Facts
from app.journey.program import Sentence
from app.journey.state import AskConsent, CallOut, Emit, Send, StartOther, State, StopOther, Task

Outside = Emit | CallOut | StartOther | StopOther | AskConsent
"""What steps do beyond this workflow."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of a story: received `at`, happened `occurred_at`, with what it says of a booking."""

    at: datetime
    type: str
    occurred_at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    booking: Mapping[str, Any] | None = None
    contact: Mapping[str, Any] | None = None

    @property
    def reference(self) -> str | None:
        """Which booking it is about."""
        return None if self.booking is None else str(self.booking.get("reference"))


@dataclass(frozen=True, slots=True)
class Scene:
    """A person and their property at the start, and what then happens.

    `variants` fixes what is drawn at a split (step id to variant), `winners` says which variant has won there already;
    `held_out`: the person is among those kept out.
    """

    now: datetime
    contact: Mapping[str, Any]
    property: Mapping[str, Any]
    consents: Mapping[str, str] = field(default_factory=dict)
    tracked: bool = False
    happenings: tuple[Happening, ...] = ()
    until: datetime | None = None
    segments: tuple[str, ...] = ()
    variants: Mapping[str, str] = field(default_factory=dict)
    winners: Mapping[str, str] = field(default_factory=dict)
    held_out: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """The gate's answer: sent, refused with a code, or put off to `not_before` and judged again then."""

    outcome: Literal["allowed", "refused", "deferred"]
    code: str = "allowed"
    rule: str | None = None
    not_before: datetime | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """What the deciding question was read from."""


Judge = Callable[[Send, Facts, datetime], Judgement]
Project = Callable[[Mapping[str, Any] | None, Happening], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was planned, and what became of it."""

    key: str
    step_id: str
    template: str
    class_: str
    planned_at: datetime
    outcome: Literal["sent", "refused", "waiting"]
    at: datetime
    code: str
    rule: str | None = None


@dataclass(slots=True)
class Inside:
    """One passage on the stage."""

    key: str
    reference: str | None
    event: Mapping[str, Any]
    state: State
    entered_at: datetime
    ended_at: datetime | None = None
    goal: entry.Reached | None = None
    by_rule: bool = False


@dataclass(slots=True)
class Waiting:
    """A planned message that has not been decided on yet."""

    passage: Inside
    send: Send
    planned_at: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """One line of what happened: an event, an entry, a decision, a message."""

    at: datetime
    code: str
    sentence: Sentence
    key: str | None = None
    step_id: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Walked:
    """One passage of the story and how it ended (`active` where it did not)."""

    key: str
    status: Literal["active", "finished", "exited"]
    reason: str | None
    entered_at: datetime
    ended_at: datetime | None
    step_id: str | None
    goal: entry.Reached | None
    variants: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything a story came to."""

    messages: tuple[Message, ...]
    passages: tuple[Walked, ...]
    not_entered: tuple[NotEntered, ...]
    tasks: tuple[Task, ...]
    trace: tuple[Line, ...]
    outside: tuple[Outside, ...] = ()
    """Events reported, calls made, workflows started and stopped, consents asked for, in order."""

    @property
    def sent(self) -> tuple[Message, ...]:
        """What went out, in order."""
        return tuple(message for message in self.messages if message.outcome == "sent")


def allow_all(send: Send, _facts: Facts, now: datetime) -> Judgement:
    """The gate that lets everything through that is not too late (R59)."""
    if send.latest is not None and now > send.latest:
        return Judgement("refused", "too_late", "R59")
    return Judgement("allowed")


_STATUS = {
    "booking.confirmed": "confirmed",
    "booking.reinstated": "confirmed",
    "booking.requested": "pending",
    "booking.abandoned": "abandoned",
    "booking.cancelled": "cancelled",
    "booking.checked_in": "checked_in",
    "booking.checked_out": "checked_out",
    "booking.no_show": "no_show",
}


TO_CONFIRM = ("web", "desk_tablet", "staff", "phone")
"""Ways of saying yes that wait for a confirmation from the mailbox (R6)."""


def overwrite(before: Mapping[str, Any] | None, happening: Happening) -> Mapping[str, Any]:
    """The simple projection: what happened later overwrites; an event that arrives late only fills what is missing.

    The status follows the type of the event; a booking that was cancelled stays so until it is reinstated.
    """
    old = dict(before or {})
    given = {name: _dated(name, value) for name, value in (happening.booking or {}).items()}
    newest = old.get("_at")
    late = newest is not None and happening.occurred_at < newest
    after = {**given, **old} if late else {**old, **given}
    status = _STATUS.get(happening.type)
    if status and not late and not (old.get("status") == "cancelled" and status == "abandoned"):
        after["status"] = status
    if happening.type == "booking.cancelled":
        after["cancelled_at"] = happening.occurred_at
    if happening.type == "booking.confirmed":
        after.setdefault("created_at", happening.occurred_at)
    arrival, departure = after.get("arrival"), after.get("departure")
    if isinstance(arrival, date) and isinstance(departure, date) and "nights" not in given:
        after["nights"] = (departure - arrival).days
    after["_at"] = max(newest or happening.occurred_at, happening.occurred_at)
    return after


def _dated(name: str, value: Any) -> Any:
    if name in ("arrival", "departure") and isinstance(value, str):
        return date.fromisoformat(value)
    return value
