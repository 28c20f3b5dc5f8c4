"""One person takes steps: `advance(program, state, facts, now)` gives the new state, what to do, and why.

Deterministic, without clock or I/O, and at most a bounded number of steps per call.

A passage lives on its own *moment* (`State.moment`): the instant at which its present step was due, not the instant at
which a worker came round to it. A wait of 3 days after a step due at 10:00 therefore ends at 10:00 whether the worker
was prompt or an hour behind, and one large hop of the clock plans the same messages as many small ones. What is stale
by then is held back by each send's `latest`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from app.journey.durations import Duration
from app.journey.entry import Event
from app.journey.facts import Facts
from app.journey.known import MessageClass
from app.journey.program import Channel, Program, Sentence


@dataclass(frozen=True, slots=True)
class State:
    """Where one passage stands. Plain values; `to_json`/`from_json` keep it exactly.

    `wake_at` is when `advance` should be called next (None: only an event can move it); `waits_for` are the event
    types `hear` would take.
    """

    status: Literal["active", "finished", "exited"]
    key: str
    entered_at: datetime
    moment: datetime
    step_id: str | None = None
    wake_at: datetime | None = None
    waits_for: tuple[str, ...] = ()
    inside: bool = False
    """True once the present step was begun (it is waiting), False when the person has only arrived at it."""
    waited: bool = False
    """True once a wait was passed: from then on sends have a default `latest`."""
    visits: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Plan one message. Its identity is (enrollment, step_id, visit). Refuse it after `latest` (R59)."""

    step_id: str
    visit: int
    template: str
    class_: MessageClass
    topic: str | None
    channels: tuple[Channel, ...]
    priority: int
    due: datetime
    latest: datetime | None
    skip_if_sent_within: Duration | None = None
    sender: str | None = None
    attachments: tuple[str, ...] = ()
    effect: Literal["send"] = "send"


@dataclass(frozen=True, slots=True)
class SetFields:
    """Write fields; keys are relative to the target (`attributes.vip`, `language`; for enrollments the bare name)."""

    step_id: str
    visit: int
    target: Literal["contact", "enrollment"]
    values: Mapping[str, Any]
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    effect: Literal["set"] = "set"


@dataclass(frozen=True, slots=True)
class Task:
    """Work for a person."""

    step_id: str
    visit: int
    to: str
    text: Mapping[str, str]
    due: datetime | None
    effect: Literal["task"] = "task"


@dataclass(frozen=True, slots=True)
class Left:
    """The passage is over: `finished` at the end of its path, or `exited` with a reason."""

    status: Literal["finished", "exited"]
    reason: str
    outcome: str | None
    effect: Literal["left"] = "left"


Effect = Send | SetFields | Task | Left


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of the why-page."""

    step_id: str
    code: str
    sentence: Sentence
    at: datetime
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Advanced:
    """What one call of `advance` came to."""

    state: State
    effects: tuple[Effect, ...]
    trace: tuple[Decision, ...]


def start(program: Program, key: str, facts: Facts, now: datetime) -> State:
    """A new passage before its first step, due at once. Its moment is the entry event's `occurred_at` if past (X17)."""
    raise NotImplementedError


def advance(program: Program, state: State, facts: Facts, now: datetime) -> Advanced:
    """Take as many steps as can be taken at `now`."""
    raise NotImplementedError


def hear(program: Program, state: State, event: Event, facts: Facts, now: datetime) -> Advanced | None:
    """Give an event to a passage that waits for one: the state behind the wait; None where it is not meant.

    The returned state has `wake_at = now`; call `advance` (now or in the next batch) to go on. It has no effects.
    """
    raise NotImplementedError


def rebind(program: Program, state: State, facts: Facts, now: datetime) -> Advanced | None:
    """Work out a pending dated wait anew after what it hangs on changed; None where nothing moved.

    Moves in both directions. The returned state is due at once where the wait is over or late; `advance` then applies
    the step's `late` rule. Steps already taken are never taken again.
    """
    raise NotImplementedError


def leave(state: State, reason: str, outcome: str | None, sentence: Sentence, now: datetime) -> Advanced:
    """End a passage from outside (an exit rule, a restart, a person's hand)."""
    raise NotImplementedError


_ADAPTER: TypeAdapter[State] = TypeAdapter(State)


def to_json(state: State) -> dict[str, Any]:
    """The state as JSON values."""
    stored: dict[str, Any] = _ADAPTER.dump_python(state, mode="json")
    return stored


def from_json(stored: Mapping[str, Any]) -> State:
    """The state back from what `to_json` gave."""
    return _ADAPTER.validate_python(stored)
