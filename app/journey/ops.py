"""What a compiled step does: one frozen value per kind of step, and the moments that steps wait for.

Part of the stored program (`program`), so its JSON is a promise: add fields with defaults, never rename or remove one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import Field

from app.journey.condition_tree import ALWAYS, Condition
from app.journey.durations import NO_TIME, Duration
from app.journey.known import MessageClass

Late = Literal["go_on", "skip_next", "skip_to_end", "exit"]
Missing = Literal["exit", "go_on"]
Scope = Literal["key", "contact"]
Channel = Literal["email", "sms", "whatsapp", "push"]
Language = Literal["en", "it"]
Sentence = dict[str, str]
"""One plain sentence by language: {"en": ..., "it": ...}."""

WATCHED = (
    "booking.arrival",
    "booking.departure",
    "booking.nights",
    "booking.room_type",
    "booking.adults",
    "booking.children",
    "property.code",
)
"""What an "updated" message looks at where the step does not say."""


@dataclass(frozen=True, slots=True)
class Dated:
    """The moment `offset` after the date or instant at `ref`, at the clock time `at`, in `zone`.

    Zone is `property`, `contact` or an IANA name. A date without `at` means midnight.
    """

    ref: str
    offset: Duration = NO_TIME
    at: time | None = None
    zone: str = "property"
    kind: Literal["dated"] = "dated"


@dataclass(frozen=True, slots=True)
class For:
    """A length of time from when the step is reached; days are calendar days in `zone`.

    With `at`: at that clock time of the day so reached, or of the next day where that is past already.
    """

    duration: Duration
    zone: str = "property"
    kind: Literal["for"] = "for"
    at: time | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """The next time the clock shows `at` on one of `weekdays` (0 is Monday; empty is any day)."""

    at: time
    weekdays: tuple[int, ...] = ()
    zone: str = "property"
    kind: Literal["clock"] = "clock"


@dataclass(frozen=True, slots=True)
class Window:
    """At once inside the window of a day, else when it next opens; an end before the start runs over midnight."""

    start: time
    end: time
    weekdays: tuple[int, ...] = ()
    zone: str = "property"
    kind: Literal["window"] = "window"


Until = Annotated[For | Clock | Window | Dated, Field(discriminator="kind")]
Latest = Annotated[For | Dated, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Updated:
    """The message that says that what a message said has changed since: sent where one of `when` differs (X1)."""

    template: str
    when: tuple[str, ...] = WATCHED
    latest: Latest | None = None


@dataclass(frozen=True, slots=True)
class SendOp:
    """Plan one message. `latest` None: 24 h after its moment where a wait came before it, else no limit."""

    id: str
    template: str
    next: int
    class_: MessageClass = "transactional"
    topic: str | None = None
    channels: tuple[Channel, ...] = ("email",)
    sender: str | None = None
    """Address of the sender identity that the author chose; None: the usual one."""
    latest: Latest | None = None
    skip_if_sent_within: Duration | None = None
    attachments: tuple[str, ...] = ()
    priority: int = 50
    op: Literal["send"] = "send"
    updated: Updated | None = None


@dataclass(frozen=True, slots=True)
class WaitOp:
    """Stay until a moment. `skip` is where `skip_next` leads, `end` where `skip_to_end` leads."""

    id: str
    until: Until
    next: int
    skip: int
    end: int
    late: Late = "go_on"
    missing: Missing = "exit"
    op: Literal["wait"] = "wait"


@dataclass(frozen=True, slots=True)
class WaitForOp:
    """Stay until an event of the same key (or contact) is heard or a condition holds, at most `up_to`.

    `up_to` is a length of time or a date; a date that is not known, or past, is the time-out at once. Since an instant
    that a step was reached at (`since` its id), since entry, or since this step.
    """

    id: str
    then: int
    timeout: int
    unknown: int
    on: tuple[str, ...] = ()
    condition: Condition = ALWAYS
    up_to: Latest | None = None
    since: str = "entry"
    scope: Scope = "key"
    op: Literal["wait_for"] = "wait_for"


@dataclass(frozen=True, slots=True)
class Case:
    """One way out of a branch."""

    condition: Condition
    goto: int


@dataclass(frozen=True, slots=True)
class BranchOp:
    """The first case that is true; `unknown` where none is true and one cannot be known; else `otherwise`."""

    id: str
    cases: tuple[Case, ...]
    otherwise: int
    unknown: int
    op: Literal["branch"] = "branch"


@dataclass(frozen=True, slots=True)
class Variant:
    """One way out of a split: `weight` percent of the people, who always stay with it."""

    name: str
    weight: int
    goto: int


@dataclass(frozen=True, slots=True)
class Winner:
    """When and how a split is decided, after which everybody new goes the better way.

    By the workflow's goal, or by clicks on the message of step `of` (None: of any send of the variant). Not before
    `after` since the first draw, nor with fewer than `min_sample` people in every variant.
    """

    by: Literal["goal", "click"]
    of: str | None = None
    after: Duration | None = None
    min_sample: int = 100
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class SplitOp:
    """Divide people by weight, once and for ever: `State.variants` keeps what was drawn."""

    id: str
    variants: tuple[Variant, ...]
    winner: Winner | None = None
    op: Literal["split"] = "split"


@dataclass(frozen=True, slots=True)
class RepeatOp:
    """Rounds through the operations from `body` up to `end`, whose ways all lead back here; then on to `next`.

    Before every round `until` is looked at; the next round begins `every` after the last began; never more than `max`.
    `unknown` says what an `until` that cannot be known means.
    """

    id: str
    body: int
    end: int
    next: int
    max: int
    every: Duration | None = None
    until: Condition | None = None
    zone: str = "property"
    unknown: Literal["go_on", "stop"] = "go_on"
    op: Literal["repeat"] = "repeat"


@dataclass(frozen=True, slots=True)
class SetOp:
    """Write fields of the contact (`contact.attributes.x`) or of this passage (`enrollment.fields.x`), and tags.

    `copies` are fields written with what stands at a path at that moment; what is not known is left as it is.
    """

    id: str
    next: int
    values: Mapping[str, Any] = field(default_factory=dict)
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    op: Literal["set"] = "set"
    copies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EmitOp:
    """An event of this contact into our own log; `copies` are read from the facts at that moment."""

    id: str
    next: int
    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    op: Literal["emit"] = "emit"


@dataclass(frozen=True, slots=True)
class WebhookOp:
    """A signed, retried call to a named endpoint of the workspace; `copies` are read from the facts at that moment.

    One that `shares` is made only for those who have agreed to it (R3).
    """

    id: str
    next: int
    endpoint: str
    data: Mapping[str, Any] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    shares: bool = False
    op: Literal["webhook"] = "webhook"


@dataclass(frozen=True, slots=True)
class StartOp:
    """Start another workflow for this contact and key.

    Awaited: stay until that passage has ended (`workflow.ended`), at most `up_to`; `timeout` is where its end does not
    come in time. How it ended stands in `enrollment.fields.<id>`: its outcome, else finished, exited or refused.
    """

    id: str
    next: int
    workflow: str
    awaited: bool = False
    up_to: Latest | None = None
    timeout: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    op: Literal["start"] = "start"


@dataclass(frozen=True, slots=True)
class StopOp:
    """End this contact's passages through another workflow: those of the same key, or all of the contact."""

    id: str
    next: int
    workflow: str
    reason: str = "stopped"
    scope: Scope = "contact"
    op: Literal["stop"] = "stop"


@dataclass(frozen=True, slots=True)
class TaskOp:
    """Work for a person."""

    id: str
    next: int
    to: str
    text: Mapping[str, str] = field(default_factory=dict)
    due_within: Duration | None = None
    op: Literal["task"] = "task"


@dataclass(frozen=True, slots=True)
class ConsentOp:
    """Ask for consent to a topic by a message with a button, and stay until the answer, at most `up_to`.

    `then` where it is given (or was before); `timeout` where it is not, or the person may not be asked.
    """

    id: str
    then: int
    timeout: int
    topic: str
    template: str
    up_to: Latest | None = None
    op: Literal["consent"] = "consent"


@dataclass(frozen=True, slots=True)
class ExitOp:
    """Leave the workflow here."""

    id: str
    reason: str
    outcome: str | None = None
    op: Literal["exit"] = "exit"


@dataclass(frozen=True, slots=True)
class EndOp:
    """The end of every path: the passage is finished. Always the last operation."""

    id: str = ""
    op: Literal["end"] = "end"


Op = Annotated[
    SendOp
    | WaitOp
    | WaitForOp
    | BranchOp
    | SplitOp
    | RepeatOp
    | SetOp
    | EmitOp
    | WebhookOp
    | StartOp
    | StopOp
    | TaskOp
    | ConsentOp
    | ExitOp
    | EndOp,
    Field(discriminator="op"),
]


def ways_out(op: Op) -> tuple[int, ...]:
    """The places an operation may lead to."""
    match op:
        case SendOp() | SetOp() | TaskOp() | EmitOp() | WebhookOp() | StopOp():
            return (op.next,)
        case StartOp():
            return (op.next, op.timeout) if op.awaited else (op.next,)
        case WaitOp():
            late = {"go_on": op.next, "skip_next": op.skip, "skip_to_end": op.end}.get(op.late, op.next)
            return (op.next, late)
        case WaitForOp():
            return (op.then, op.timeout, op.unknown)
        case ConsentOp():
            return (op.then, op.timeout)
        case BranchOp():
            return (*(case.goto for case in op.cases), op.otherwise, op.unknown)
        case SplitOp():
            return tuple(variant.goto for variant in op.variants)
        case RepeatOp():
            return (op.body, op.next)
        case ExitOp() | EndOp():
            return ()
