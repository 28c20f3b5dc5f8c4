"""The workflow language as models: one class per block, one per kind of step (DESIGN, section 4).

A new kind of step is one model here, in `STEPS`, one operation in `program`, one case each in `compiler`, `checks`,
`advance` and `sentences`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import time
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    WithJsonSchema,
)

from app.journey.durations import Duration
from app.journey.durations import parse as parse_duration
from app.journey.known import MessageClass
from app.journey.program import Channel, Late, Missing, Scope

Phase = Literal["awareness", "reviews", "consideration", "retention", "advocacy"]
_SLUG = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)$")


def read_duration(value: Any) -> Duration:
    """A duration out of a document; raises ValueError with what to write."""
    if not isinstance(value, str):
        raise ValueError("a length of time is a text such as 3 days")  # noqa: TRY004 - pydantic takes ValueError only
    return parse_duration(value)


def read_clock(value: Any) -> time:
    """A clock time out of a document; raises ValueError with what to write."""
    match = _CLOCK.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a clock time is written "16:00", in quotes')
    return time(int(match[1]), int(match[2]))


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _named(key: str) -> Any:
    """`wait: 3 days` is short for `wait: { for: 3 days }`."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


def _reenter(value: Any) -> Any:
    if value in ("never", "always"):
        return {"allowed": value == "always"}
    return value


_CONDITION_SCHEMA: dict[str, Any] = {
    "description": "One line `field operator value`, or a list of them (all must hold), or a group.",
    "anyOf": [
        {"type": "string", "examples": ["booking.nights >= 3", "contact.language in [it, de]"]},
        {"type": "array", "items": {}},
        {
            "type": "object",
            "properties": {join: {"type": "array", "items": {}} for join in ("all", "any", "none")},
            "additionalProperties": False,
        },
    ],
}
ConditionSource = Annotated[Any, WithJsonSchema(_CONDITION_SCHEMA)]
"""As written; `checks` reads it, since only there are names, types and columns known."""

_DURATION_SCHEMA: dict[str, Any] = {"type": "string", "examples": ["3 days", "-7 days", "2 hours"]}
Length = Annotated[Duration, PlainValidator(read_duration), WithJsonSchema(_DURATION_SCHEMA)]
ClockTime = Annotated[
    time,
    PlainValidator(read_clock),
    WithJsonSchema({"type": "string", "pattern": _CLOCK.pattern, "examples": ["16:00"]}),
]
Slug = Annotated[str, Field(pattern=_SLUG, max_length=60)]
Texts = dict[str, str]
Names = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Weekdays = Annotated[list[Weekday], BeforeValidator(_listed)]


class Block(BaseModel):
    """A mapping of the document: no unknown keys, no guessed types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class Entry(Block):
    """One way in: an event, and what must hold of it."""

    on: str
    if_: ConditionSource = Field(None, alias="if")
    max_age: Length | None = None
    topic: str | None = None


class Reenter(Block):
    """When a new passage may start for a key (or contact) that has been through."""

    allowed: bool = True
    after: Length | None = None
    max: Annotated[int, Field(ge=1)] | None = None
    of: Scope = "key"


class ExitRule(Block):
    """What ends a passage wherever it is."""

    on: str | None = None
    if_: ConditionSource = Field(None, alias="if")
    reason: str | None = None
    outcome: str | None = None
    of: Scope = "key"
    topic: str | None = None


class Goal(Block):
    """What counts as success."""

    on: str
    if_: ConditionSource = Field(None, alias="if")
    within: Length | None = None
    value: str | None = None
    of: Scope = "contact"


class Moment(Block):
    """`latest`: a length of time after the message was due, or a date with an offset and a clock time."""

    for_: Length | None = Field(None, alias="for")
    until: str | None = None
    offset: Length | None = None
    at: ClockTime | None = None
    zone: str | None = None


class Waiting(Moment):
    """`wait`: for a time, until a clock time, a window or a weekday, or until a date."""

    weekdays: Weekdays | None = None
    late: Late | None = None
    missing: Missing | None = None


class Awaited(Block):
    """`wait_for`: an event or a condition, and how long at most."""

    on: Names | None = None
    if_: ConditionSource = Field(None, alias="if")
    up_to: Annotated[Moment, _named("for")] | None = None
    since: Literal["entry", "step"] = "entry"
    of: Scope = "key"


class StepBase(Block):
    """What every step has: an id, unique in its workflow, stable across versions, never reused for another meaning."""

    kind: ClassVar[str] = ""
    id: Slug


class Send(StepBase):
    """Send a template."""

    kind: ClassVar[str] = "send"
    send: str
    class_: MessageClass | None = Field(None, alias="class")
    topic: str | None = None
    channels: Annotated[list[Channel], BeforeValidator(_listed), Field(min_length=1)] = Field(default=["email"])
    sender: str | None = None
    latest: Annotated[Moment, _named("for")] | None = None
    skip_if_sent_within: Length | None = None
    attachments: list[str] = Field(default=[])
    priority: Annotated[int, Field(ge=0, le=100)] | None = None


class Wait(StepBase):
    """Wait for a time or until a moment."""

    kind: ClassVar[str] = "wait"
    wait: Annotated[Waiting, _named("for")]


class WaitFor(StepBase):
    """Wait for something to happen."""

    kind: ClassVar[str] = "wait_for"
    wait_for: Awaited
    then: list[Step] = Field(default=[])
    timeout: list[Step] = Field(default=[])
    unknown: list[Step] | None = None


class BranchCase(Block):
    """One way of a branch: exactly one of `if`, `else: true`, `unknown: true`."""

    if_: ConditionSource = Field(None, alias="if")
    else_: Literal[True] | None = Field(None, alias="else")
    unknown: Literal[True] | None = None
    steps: list[Step] = Field(default=[])


class Branch(StepBase):
    """The first way whose condition holds; all ways join again behind the branch."""

    kind: ClassVar[str] = "branch"
    branch: Annotated[list[BranchCase], Field(min_length=1)]


class Set(StepBase):
    """Write fields of the contact (`contact.attributes.x`) or of this passage (`enrollment.fields.x`), and tags."""

    kind: ClassVar[str] = "set"
    set: dict[str, str | int | float | bool | None]
    add_tags: Annotated[list[str], BeforeValidator(_listed)] = Field(default=[])
    remove_tags: Annotated[list[str], BeforeValidator(_listed)] = Field(default=[])


class TaskBody(Block):
    """Work for a person."""

    to: str
    text: Texts
    due_within: Length | None = None


class Task(StepBase):
    """Give work to a person."""

    kind: ClassVar[str] = "task"
    task: TaskBody


class Exit(StepBase):
    """Leave the workflow, for a reason."""

    kind: ClassVar[str] = "exit"
    exit: Annotated[str, Field(min_length=1)]
    outcome: str | None = None


STEPS: Mapping[str, type[StepBase]] = {step.kind: step for step in (Send, Wait, WaitFor, Branch, Set, Task, Exit)}
"""The kinds of step there are, by the key that names them."""

LATER = ("split", "repeat", "emit", "webhook", "start", "stop", "offer", "survey", "review", "consent", "approve")
"""Kinds of step that the language will have."""

LATER_KEYS = ("holdout", "caps", "quiet_hours", "tracking", "limits")
"""Blocks of a workflow that the language will have."""


def _kind(value: Any) -> str | None:
    if isinstance(value, StepBase):
        return f"step:{value.kind}"
    if isinstance(value, Mapping):
        for kind in STEPS:
            if kind in value:
                return f"step:{kind}"
    return None


Step = Annotated[
    Annotated[Send, Tag("step:send")]
    | Annotated[Wait, Tag("step:wait")]
    | Annotated[WaitFor, Tag("step:wait_for")]
    | Annotated[Branch, Tag("step:branch")]
    | Annotated[Set, Tag("step:set")]
    | Annotated[Task, Tag("step:task")]
    | Annotated[Exit, Tag("step:exit")],
    Discriminator(_kind),
]


class Workflow(Block):
    """A whole workflow document."""

    workflow: Slug
    name: Texts
    description: Texts | None = None
    phase: Phase
    class_: MessageClass = Field(alias="class")
    goal: Goal | None = None
    entry: Annotated[list[Entry], Field(min_length=1)]
    key: str | None = None
    reenter: Annotated[Reenter, BeforeValidator(_reenter)] = Reenter(allowed=False)
    while_active: Literal["ignore", "refresh", "restart"] = "ignore"
    follow: Literal["booking"] | None = None
    exit: list[ExitRule] = Field(default=[])
    priority: Annotated[int, Field(ge=0, le=100)] = 50
    zone: str | None = None
    languages: list[str] = Field(default=[])
    steps: Annotated[list[Step], Field(min_length=1)]


WaitFor.model_rebuild()
BranchCase.model_rebuild()
Branch.model_rebuild()
Workflow.model_rebuild()

BLOCKS: Mapping[str, type[Block]] = {
    "entry": Entry,
    "reenter": Reenter,
    "exit": ExitRule,
    "goal": Goal,
    "latest": Moment,
    "up_to": Moment,
    "wait": Waiting,
    "wait_for": Awaited,
    "branch": BranchCase,
    "task": TaskBody,
}
"""The block that stands under a key, for naming its keys in messages."""


def keys_of(block: type[Block]) -> list[str]:
    """The keys a block may have, as written."""
    return [field.alias or name for name, field in block.model_fields.items()]
