"""A workflow flattened: a list of operations that point at each other by number.

This is what a published version is stored as, so its JSON is a promise: a program compiled last year must still run.
Add fields with defaults, never rename or remove one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date as day
from datetime import time
from functools import cached_property
from typing import Any, Literal

from pydantic import TypeAdapter

from app.journey.condition_tree import ALWAYS, DID, Condition, segments_in
from app.journey.condition_tree import fields as paths_of
from app.journey.durations import Duration
from app.journey.known import MessageClass
from app.journey.ops import (
    BranchOp,
    Case,
    Channel,
    Clock,
    ConsentOp,
    Dated,
    EmitOp,
    EndOp,
    ExitOp,
    For,
    Language,
    Late,
    Latest,
    Missing,
    Op,
    RepeatOp,
    Scope,
    SendOp,
    Sentence,
    SetOp,
    SplitOp,
    StartOp,
    StopOp,
    TaskOp,
    Until,
    Updated,
    Variant,
    WaitForOp,
    WaitOp,
    WebhookOp,
    Window,
    Winner,
    ways_out,
)
from app.journey.sentences import sentence

__all__ = [
    "BranchOp",
    "Case",
    "Channel",
    "Clock",
    "ConsentOp",
    "Dated",
    "EmitOp",
    "EndOp",
    "EntryRule",
    "ExitOp",
    "ExitRule",
    "For",
    "Goal",
    "Lane",
    "LaneKind",
    "Language",
    "Late",
    "Latest",
    "Limits",
    "Missing",
    "Node",
    "Op",
    "Program",
    "Reenter",
    "RepeatOp",
    "Scope",
    "SendOp",
    "Sentence",
    "SetOp",
    "SplitOp",
    "StartOp",
    "StopOp",
    "TaskOp",
    "Until",
    "Updated",
    "Variant",
    "WaitForOp",
    "WaitOp",
    "WebhookOp",
    "Window",
    "Winner",
    "from_json",
    "loose_ends",
    "to_json",
    "ways_out",
]

MOST_STEPS = 10_000
"""The most steps that one passage may take, rounds counted: a bound that no honest workflow comes near."""


@dataclass(frozen=True, slots=True)
class EntryRule:
    """One way in: an event of type `on`, about this `topic` or `segment`, or fired for this rule.

    `number` is the place in `Program.entry` that `date.reached` and `schedule.fired` name; with it the event must also
    name this workflow. `date` (once, or every year) and `rrule` (at `at` in `zone`, counted from `starts`) say when
    those are fired. `by` are the hands that `workflow.started` may come from.
    """

    on: str
    condition: Condition = ALWAYS
    max_age: Duration | None = None
    topic: str | None = None
    segment: str | None = None
    date: Dated | None = None
    recur: Literal["yearly"] | None = None
    rrule: str | None = None
    at: time | None = None
    starts: day | None = None
    zone: str = "property"
    number: int | None = None
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reenter:
    """When the same key (or contact) may pass again: `after` since it last entered, at most `max` passages in all.

    With `resume` a new passage of a key does not take again the steps that an earlier one has taken (X21).
    """

    allowed: bool = False
    after: Duration | None = None
    max: int | None = None
    scope: Scope = "key"
    resume: bool = False


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


@dataclass(frozen=True, slots=True)
class Limits:
    """Brakes: a passage ends after so many steps or so long inside; `max_entries` passages may start in all."""

    max_steps: int | None = None
    max_duration: Duration | None = None
    max_entries: int | None = None


LaneKind = Literal["case", "else", "unknown", "then", "timeout", "variant", "round"]


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
    """A compiled workflow. `step 0` is the first operation; `ops[-1]` is the end.

    `holdout` is the percentage kept out (0: nobody). `caps` ({day, week, month, on_hit}) and `quiet_hours` ({from, to,
    days, holidays}) stand in the place of the workspace's own, None: as the workspace says. `tracking` False: no link
    of its messages is followed.
    """

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
    holdout: int = 0
    caps: Mapping[str, Any] | None = None
    quiet_hours: Mapping[str, Any] | None = None
    tracking: bool | None = None
    limits: Limits = Limits()

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Step id to its number."""
        return {op.id: number for number, op in enumerate(self.ops)}

    @cached_property
    def sentences(self) -> Mapping[str, Sentence]:
        """Step id to what it does in words: the same for everybody who comes there."""
        return {op.id: sentence(op) for op in self.ops}

    @cached_property
    def starts_on(self) -> tuple[str, ...]:
        """The event types that may start a passage, sorted."""
        return tuple(sorted({rule.on for rule in self.entry}))

    @cached_property
    def calendar(self) -> tuple[tuple[int, EntryRule], ...]:
        """The ways in that a date or a schedule opens, with their numbers."""
        return tuple((number, rule) for number, rule in enumerate(self.entry) if rule.date or rule.rrule)

    @cached_property
    def retold(self) -> frozenset[str]:
        """The sends after which another message says that what they said has changed."""
        return frozenset(op.id for op in self.ops if isinstance(op, SendOp) and op.updated is not None)

    @cached_property
    def listens_to(self) -> tuple[str, ...]:
        """Every event type that may start, end, move or score a passage, sorted."""
        heard = {rule.on for rule in self.entry} | {rule.on for rule in self.exits if rule.on}
        heard |= {name for op in self.ops if isinstance(op, WaitForOp) for name in op.on}
        if any(isinstance(op, StartOp) and op.awaited for op in self.ops):
            heard.add(ENDED)
        if any(isinstance(op, ConsentOp) for op in self.ops):
            heard |= {*ANSWERS}
        # Waits for a condition are woken by what can make it true.
        awaited = {path for op in self.ops if isinstance(op, WaitForOp) for path in paths_of(op.condition)}
        if any(path.startswith("engagement.") for path in awaited):
            heard |= {"message.clicked", "message.opened"}
        heard |= {path.removeprefix(DID) for path in awaited if path.startswith(DID)}
        if "contact.segments" in awaited:
            heard |= {"segment.entered", "segment.left"}
        return tuple(sorted(heard | ({self.goal.on} if self.goal else set())))

    @cached_property
    def reads(self) -> frozenset[str]:
        """Every path that a condition, date, key or copy reads; `engagement.clicked.<step>` for clicks."""
        return frozenset(_paths(self)) - {"now"}

    @cached_property
    def segments(self) -> frozenset[str]:
        """The segments that its conditions ask about."""
        return frozenset(name for condition in _conditions(self) for name in segments_in(condition))

    @cached_property
    def chosen_by(self) -> frozenset[str]:
        """The segments that its ways in rest on."""
        asked = {name for rule in self.entry for name in segments_in(rule.condition)}
        return frozenset(asked | {rule.segment for rule in self.entry if rule.segment})

    @cached_property
    def promotes(self) -> bool:
        """Whether any of its messages is marketing."""
        return any(isinstance(op, SendOp) and op.class_ == "marketing" for op in self.ops)

    @cached_property
    def counted(self) -> frozenset[str]:
        """The event types of which a condition asks how often they have happened."""
        return frozenset(path.removeprefix(DID) for path in self.reads if path.startswith(DID))

    @cached_property
    def leaves_by(self) -> frozenset[str] | None:
        """Every path that an exit without an event reads; None where there is no such exit."""
        rules = [rule for rule in self.exits if rule.on is None]
        return frozenset(path for rule in rules for path in paths_of(rule.condition)) if rules else None

    @cached_property
    def marked(self) -> frozenset[str]:
        """The steps whose moment is kept, since a wait counts from there."""
        return frozenset(op.since for op in self.ops if isinstance(op, WaitForOp)) - {"entry", "step"}

    @cached_property
    def longest(self) -> int:
        """The most operations that one passage can take, every round of every repeat counted."""
        return _longest(self, 0, self.end) + 1

    @property
    def end(self) -> int:
        """The number of the end."""
        return len(self.ops) - 1


ENDED = "workflow.ended"
"""What is heard when a passage that somebody awaits is over."""

ANSWERS = ("consent.granted", "consent.withdrawn")
"""What may be the answer where consent is asked for; a no is told as a withdrawal."""

SHARING = "consent.third_party_sharing"
"""What a call asks of whose receiver uses what it is told for purposes of its own (R3)."""


def _conditions(program: Program) -> Iterator[Condition]:
    yield from (rule.condition for rule in program.entry)
    yield from (rule.condition for rule in program.exits)
    if program.goal:
        yield program.goal.condition
    for op in program.ops:
        match op:
            case WaitForOp():
                yield op.condition
            case BranchOp():
                yield from (case.condition for case in op.cases)
            case RepeatOp():
                yield from (op.until,) if op.until is not None else ()
            case _:
                pass


def _paths(program: Program) -> Iterator[str]:
    moments: list[Until | Latest | None] = [rule.date for rule in program.entry]
    if program.goal:
        yield from (program.goal.value,) if program.goal.value else ()
    yield from (program.key,) if program.key else ()
    for op in program.ops:
        match op:
            case SendOp():
                moments += [op.latest, op.updated.latest if op.updated else None]
                yield from op.updated.when if op.updated else ()
            case WaitOp():
                moments.append(op.until)
            case WaitForOp():
                moments.append(op.up_to)
            case StartOp():
                moments.append(op.up_to)
                yield from op.copies.values()
            case ConsentOp():
                moments.append(op.up_to)
                yield f"consent.{op.topic}"
            case SetOp() | EmitOp() | WebhookOp():
                yield from op.copies.values()
                if isinstance(op, WebhookOp) and op.shares:
                    yield SHARING
            case _:
                pass
    yield from (moment.ref for moment in moments if isinstance(moment, Dated))
    for condition in _conditions(program):
        yield from paths_of(condition)


def _longest(program: Program, place: int, stop: int) -> int:
    """How many operations from `place` up to `stop` are taken at most: a repeat's body counts once for each round."""
    taken = 0
    while place < stop:
        op = program.ops[place]
        taken += 1
        if isinstance(op, RepeatOp):
            # The repeat itself is come to once before every round and once after the last.
            taken += op.max * (_longest(program, op.body, op.end) + 1)
            place = op.end
        else:
            place += 1
    return taken


def loose_ends(program: Program) -> list[str]:
    """What makes a program unfit to run: ways that lead back without a bound, nowhere, or steps that nobody reaches.

    The only way back is from inside a repeat to that repeat, which counts its rounds and leads on after `max` of them,
    and the only way into its body is through it: so every passage ends.
    """
    found: list[str] = []
    around: list[int | None] = [None] * len(program.ops)
    for place, op in enumerate(program.ops):
        if isinstance(op, RepeatOp):
            outer = around[place]
            most = len(program.ops) - 1 if outer is None else _end_of(program.ops[outer])
            if op.max < 1 or op.body != place + 1 or not op.body < op.end <= most:
                found.append(f"{op.id} repeats without a bound")
            else:
                around[op.body : op.end] = [place] * (op.end - op.body)
    reached = {0}
    for place, op in enumerate(program.ops):
        for goto in ways_out(op):
            onward = place < goto < len(program.ops)
            inward = isinstance(op, RepeatOp) and goto == op.body
            if goto != around[place] and not (onward and (inward or around[goto] == around[place])):
                found.append(f"{op.id} leads back or nowhere")
            if place in reached:
                reached.add(goto)
    for place, op in enumerate(program.ops[:-1]):
        if place not in reached:
            found.append(f"nobody reaches {op.id}")
    if len(program.places) != len(program.ops):
        found.append("two steps have one id")
    if not found and program.longest > MOST_STEPS:
        found.append(f"a passage might take {program.longest} steps, more than {MOST_STEPS}")
    return found


def _end_of(op: Op) -> int:
    return op.end if isinstance(op, RepeatOp) else 0


_ADAPTER: TypeAdapter[Program] = TypeAdapter(Program)


def to_json(program: Program) -> dict[str, Any]:
    """The program as JSON values, for the column it is stored in."""
    stored: dict[str, Any] = _ADAPTER.dump_python(program, mode="json")
    return stored


def from_json(stored: Mapping[str, Any]) -> Program:
    """The program back from what `to_json` gave; raises pydantic.ValidationError where it is none."""
    return _ADAPTER.validate_python(stored)
