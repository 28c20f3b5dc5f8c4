"""A workflow flattened: a list of operations that point at each other by number.

This is what a published version is stored as, so its JSON is a promise: a program compiled last year must still run.
Add fields with defaults, never rename or remove one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

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
    """A length of time from when the step is reached; days are calendar days in `zone`."""

    duration: Duration
    zone: str = "property"
    kind: Literal["for"] = "for"


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
class SendOp:
    """Plan one message. `latest` None: 24 h after its moment where a wait came before it, else no limit."""

    id: str
    template: str
    next: int
    class_: MessageClass = "transactional"
    topic: str | None = None
    channels: tuple[Channel, ...] = ("email",)
    sender: str | None = None
    latest: Latest | None = None
    skip_if_sent_within: Duration | None = None
    attachments: tuple[str, ...] = ()
    priority: int = 50
    op: Literal["send"] = "send"


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

    `up_to` is a length of time or a date; a date that is not known, or past, is the time-out at once.
    """

    id: str
    then: int
    timeout: int
    unknown: int
    on: tuple[str, ...] = ()
    condition: Condition = ALWAYS
    up_to: Latest | None = None
    since: Literal["entry", "step"] = "entry"
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
class SetOp:
    """Write fields of the contact (`contact.attributes.x`) or of this passage (`enrollment.fields.x`), and tags."""

    id: str
    next: int
    values: Mapping[str, Any] = field(default_factory=dict)
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    op: Literal["set"] = "set"


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
    SendOp | WaitOp | WaitForOp | BranchOp | SetOp | TaskOp | ExitOp | EndOp,
    Field(discriminator="op"),
]


@dataclass(frozen=True, slots=True)
class EntryRule:
    """One way in."""

    on: str
    condition: Condition = ALWAYS
    max_age: Duration | None = None
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Reenter:
    """When the same key (or contact) may pass again: `after` since it last entered, at most `max` passages in all."""

    allowed: bool = False
    after: Duration | None = None
    max: int | None = None
    scope: Scope = "key"


@dataclass(frozen=True, slots=True)
class ExitRule:
    """An event or a condition that ends a passage wherever it is."""

    reason: str
    on: str | None = None
    condition: Condition = ALWAYS
    outcome: str | None = None
    scope: Scope = "key"
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Goal:
    """The event that counts as success within a time of entry; `value` is the path of an amount."""

    on: str
    condition: Condition = ALWAYS
    within: Duration | None = None
    value: str | None = None
    scope: Scope = "contact"


LaneKind = Literal["case", "else", "unknown", "then", "timeout"]


@dataclass(frozen=True, slots=True)
class Lane:
    """One way out of a step that has several, down to where the ways join again. `number` is its place in the file."""

    kind: LaneKind
    nodes: tuple[Node, ...] = ()
    number: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One step of the tree that the file shows: its operation, and the ways out of it."""

    place: int
    lanes: tuple[Lane, ...] = ()


@dataclass(frozen=True)
class Program:
    """A compiled workflow. `step 0` is the first operation; `ops[-1]` is the end."""

    workflow: str
    name: Mapping[str, str]
    phase: str
    class_: MessageClass
    ops: tuple[Op, ...]
    entry: tuple[EntryRule, ...]
    key: str | None = None
    reenter: Reenter = Reenter()
    while_active: Literal["ignore", "refresh", "restart"] = "ignore"
    follow: str | None = None
    exits: tuple[ExitRule, ...] = ()
    goal: Goal | None = None
    priority: int = 50
    zone: str = "property"
    languages: tuple[str, ...] = ()
    outline: tuple[Node, ...] = ()
    format: Literal[1] = 1

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Step id to its number."""
        return {op.id: number for number, op in enumerate(self.ops)}

    @cached_property
    def starts_on(self) -> tuple[str, ...]:
        """The event types that may start a passage, sorted."""
        return tuple(sorted({rule.on for rule in self.entry}))

    @cached_property
    def listens_to(self) -> tuple[str, ...]:
        """Every event type that may start, end, move or score a passage, sorted."""
        heard = {rule.on for rule in self.entry} | {rule.on for rule in self.exits if rule.on}
        heard |= {name for op in self.ops if isinstance(op, WaitForOp) for name in op.on}
        return tuple(sorted(heard | ({self.goal.on} if self.goal else set())))

    @property
    def end(self) -> int:
        """The number of the end."""
        return len(self.ops) - 1


def ways_out(op: Op) -> tuple[int, ...]:
    """The places an operation may lead to."""
    match op:
        case SendOp() | SetOp() | TaskOp():
            return (op.next,)
        case WaitOp():
            late = {"go_on": op.next, "skip_next": op.skip, "skip_to_end": op.end}.get(op.late, op.next)
            return (op.next, late)
        case WaitForOp():
            return (op.then, op.timeout, op.unknown)
        case BranchOp():
            return (*(case.goto for case in op.cases), op.otherwise, op.unknown)
        case ExitOp() | EndOp():
            return ()


def loose_ends(program: Program) -> list[str]:
    """What makes a program unfit to run: ways that lead back (endless), nowhere, or steps that nobody reaches."""
    found: list[str] = []
    reached = {0}
    for place, op in enumerate(program.ops):
        for goto in ways_out(op):
            if not place < goto < len(program.ops):
                found.append(f"{op.id} leads back or nowhere")
            if place in reached:
                reached.add(goto)
    for place, op in enumerate(program.ops[:-1]):
        if place not in reached:
            found.append(f"nobody reaches {op.id}")
    if len(program.places) != len(program.ops):
        found.append("two steps have one id")
    return found


_ADAPTER: TypeAdapter[Program] = TypeAdapter(Program)


def to_json(program: Program) -> dict[str, Any]:
    """The program as JSON values, for the column it is stored in."""
    stored: dict[str, Any] = _ADAPTER.dump_python(program, mode="json")
    return stored


def from_json(stored: Mapping[str, Any]) -> Program:
    """The program back from what `to_json` gave; raises pydantic.ValidationError where it is none."""
    return _ADAPTER.validate_python(stored)
