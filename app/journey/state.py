"""The state of one passage, and what a call of `advance` hands back: effects and decisions. Plain, frozen values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from pydantic import TypeAdapter

from app.journey.durations import Duration
from app.journey.facts import Facts, lookup, temporal
from app.journey.known import MessageClass
from app.journey.program import Channel, Program, Sentence

ASKING_PRIORITY = 90
"""Of a request for consent: somebody is waiting for it before their mailbox."""


@dataclass(frozen=True, slots=True)
class Round:
    """Where a passage stands in a repeat: in which round (from 1), and the moment at which it began."""

    number: int
    began: datetime


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
    until: datetime | None = None
    """When the pending wait ends by itself; `wake_at` may come sooner, to look at a condition again."""
    inside: bool = False
    """True once the present step was begun (it is waiting), False when the person has only arrived at it."""
    waited: bool = False
    """True once a wait was passed: from then on sends have a default `latest`."""
    visits: Mapping[str, int] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    done: tuple[str, ...] = ()
    """Steps taken before this passage came to its present version, or by the passage it takes up: never taken again."""
    reason: str | None = None
    outcome: str | None = None
    variants: Mapping[str, str] = field(default_factory=dict)
    """Step id of a split to the variant drawn there, which is kept for good."""
    rounds: Mapping[str, Round] = field(default_factory=dict)
    """Step id of a repeat to the round the passage is in; gone once the repeat is left."""
    marks: Mapping[str, datetime] = field(default_factory=dict)
    """Step id to the moment it was last reached, for the steps that a `since` names."""


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
class AskConsent:
    """Ask for consent to a topic, if this person may be asked; who may not is told by `advance.turned_down`.

    A request that is open already is not made twice. The message is worth nothing after `latest`.
    """

    step_id: str
    visit: int
    topic: str
    template: str
    due: datetime
    latest: datetime | None
    effect: Literal["ask"] = "ask"

    @property
    def message(self) -> Send:
        """What goes out, once the request is on record."""
        return Send(
            step_id=self.step_id,
            visit=self.visit,
            template=self.template,
            class_="consent_request",
            topic=self.topic,
            channels=("email",),
            priority=ASKING_PRIORITY,
            due=self.due,
            latest=self.latest,
        )


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


@dataclass(frozen=True, slots=True)
class Emit:
    """Record an event of this contact; `booking` is the reference of the booking it is about."""

    step_id: str
    visit: int
    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    booking: str | None = None
    effect: Literal["emit"] = "emit"


@dataclass(frozen=True, slots=True)
class CallOut:
    """Call a named endpoint of the workspace, signed, until it answers."""

    step_id: str
    visit: int
    endpoint: str
    data: Mapping[str, Any] = field(default_factory=dict)
    shares: bool = False
    """The other side uses it for purposes of its own: asked again before the call is made (R3)."""
    effect: Literal["call"] = "call"


@dataclass(frozen=True, slots=True)
class StartOther:
    """Start another workflow for this contact and key; `awaited`: its end must be told (`workflow.ended`)."""

    step_id: str
    visit: int
    workflow: str
    key: str
    awaited: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)
    effect: Literal["start"] = "start"


@dataclass(frozen=True, slots=True)
class StopOther:
    """End this contact's passages through another workflow; `key` None: whatever their key."""

    step_id: str
    visit: int
    workflow: str
    reason: str
    key: str | None = None
    effect: Literal["stop"] = "stop"


Effect = Send | AskConsent | SetFields | Task | Left | Emit | CallOut | StartOther | StopOther


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
    happened = temporal(lookup(facts, "event.occurred_at"))
    moment = min(happened, now) if isinstance(happened, datetime) else now
    return State("active", key, entered_at=moment, moment=moment, step_id=program.ops[0].id, wake_at=now)


def taken(state: State) -> tuple[str, ...]:
    """The ids of the steps that were taken to their end, sorted: all that were begun but a wait still pending."""
    return tuple(sorted({*state.done, *state.visits} - ({state.step_id} if state.inside else set())))


def leave(state: State, reason: str, outcome: str | None, sentence: Sentence, now: datetime) -> Advanced:
    """End a passage from outside (an exit rule, a restart, a person's hand)."""
    if state.status != "active":
        return Advanced(state, (), ())
    ended = replace(
        state,
        # A wait that was pending has not been taken: who takes this passage up again may come to it anew.
        visits={step: count for step, count in state.visits.items() if not state.inside or step != state.step_id},
        status="exited",
        step_id=None,
        wake_at=None,
        waits_for=(),
        until=None,
        inside=False,
        reason=reason,
        outcome=outcome,
    )
    decision = Decision(state.step_id or "", "exited", sentence, now, {"reason": reason})
    return Advanced(ended, (Left("exited", reason, outcome),), (decision,))


def written(
    contact: Mapping[str, Any], values: Mapping[str, Any], add_tags: Sequence[str], remove_tags: Sequence[str]
) -> dict[str, Any]:
    """A contact's facts after a `SetFields` effect; keys such as `language` or `attributes.vip`."""
    after: dict[str, Any] = {**contact}
    for path, value in values.items():
        *parents, leaf = path.split(".")
        level = after
        for parent in parents:
            level[parent] = {**(level.get(parent) or {})}
            level = level[parent]
        level[leaf] = value
    tags = [tag for tag in after.get("tags") or [] if tag not in remove_tags]
    after["tags"] = tags + [tag for tag in add_tags if tag not in tags]
    return after


_ADAPTER: TypeAdapter[State] = TypeAdapter(State)


def to_json(state: State) -> dict[str, Any]:
    """The state as JSON values."""
    stored: dict[str, Any] = _ADAPTER.dump_python(state, mode="json")
    return stored


def from_json(stored: Mapping[str, Any]) -> State:
    """The state back from what `to_json` gave."""
    return _ADAPTER.validate_python(stored)
