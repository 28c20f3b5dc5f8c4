"""A workflow document as a model: its blocks here, its steps in `model_steps`, small types in `model_types`.

What stands under a field is what editors and the reference page say of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from app.journey.known import MessageClass
from app.journey.model_steps import LATER, STEP_BLOCKS, STEPS, Step
from app.journey.model_types import (
    Also,
    Block,
    ClockTime,
    ConditionSource,
    Day,
    Length,
    PathName,
    Percent,
    Recurrence,
    Slug,
    Texts,
    Weekday,
    WorkingLength,
)
from app.journey.ops import Scope

__all__ = ["BLOCKS", "LATER", "LATER_KEYS", "STEPS", "Block", "Step", "Workflow", "keys_of"]

Phase = Literal["awareness", "reviews", "consideration", "retention", "advocacy"]

LATER_KEYS: tuple[str, ...] = ()
"""Blocks of a workflow that the language will have."""


def _reenter(value: Any) -> Any:
    if value in ("never", "always"):
        return {"allowed": value == "always"}
    return value


def _no_hours(value: Any) -> Any:
    return {"from": "00:00", "to": "00:00"} if value == "none" else value


class Entry(Block):
    """One way in."""

    on: str
    """An event, or `segment.entered`, `segment.left`, `date`, `schedule`, `manual`, `api`."""
    if_: ConditionSource = Field(None, alias="if")
    """What must hold of the event and the person."""
    max_age: Length | None = None
    """Events that happened longer ago than this start nothing."""
    topic: str | None = None
    """With `consent.granted` or `consent.withdrawn`: which topic."""
    segment: str | None = None
    """With `segment.entered` and `segment.left`: which segment; with `schedule`: everybody in it."""
    ref: PathName | None = None
    """With `date`: which date, of the contact or of the booking."""
    offset: WorkingLength | None = None
    """With `date`: how long before (`-7 days`) or after it."""
    at: ClockTime | None = None
    """With `date` and `schedule`: the clock time. Default: midnight."""
    zone: str | None = None
    """With `date` and `schedule`: whose clock. Default: the workflow's."""
    recur: Literal["yearly"] | None = None
    """With `date`: on the same day of every later year."""
    rrule: Recurrence | None = None
    """With `schedule`: when, as a rule of RFC 5545."""
    starts: Day | None = None
    """With `schedule`: the day from which the rule counts."""


class Reenter(Block):
    """When a new passage may start for a key (or contact) that has been through."""

    allowed: bool = True
    """Whether at all; `never` and `always` are short for this."""
    after: Length | None = None
    """Only this long after the last passage began."""
    max: Annotated[int, Field(ge=1)] | None = None
    """The most passages in all."""
    of: Scope = "key"
    """Counted by key, or over all of the contact's."""
    resume: bool = False
    """Whether steps that an earlier passage of the key has taken are passed over."""


class ExitRule(Block):
    """What ends a passage wherever it is: an event, or a condition that comes to hold."""

    on: str | None = None
    """The event."""
    if_: ConditionSource = Field(None, alias="if")
    """What must hold of the event or, without one, of the person."""
    reason: str | None = None
    """The reason, as reports show it. Default: the event."""
    outcome: str | None = None
    """What it came to, for reports."""
    of: Scope = "key"
    """Events of the same key, or any of the contact's."""
    topic: str | None = None
    """With consent events: which topic."""


class Goal(Block):
    """What counts as success."""

    on: str
    """The event."""
    if_: ConditionSource = Field(None, alias="if")
    """What must hold of it."""
    within: Length | None = None
    """Only this long after entry, though the passage may have ended."""
    value: PathName | None = None
    """The path of an amount that is added up."""
    of: Scope = "contact"
    """Events of the same key, or any of the contact's."""


class Caps(Block):
    """How many messages of this workflow's class one person may get, in the place of the workspace's numbers."""

    day: Annotated[int, Field(ge=0)] | None = None
    """In one day."""
    week: Annotated[int, Field(ge=0)] | None = None
    """In seven days."""
    month: Annotated[int, Field(ge=0)] | None = None
    """In thirty days."""
    on_hit: Literal["defer", "drop"] | None = None
    """What becomes of one too many: put off within its window, or dropped at once."""


class QuietHours(Block):
    """When nothing of this workflow goes out, in the place of the workspace's hours; `none`: at any hour."""

    from_: ClockTime = Field(alias="from")
    """When it begins."""
    to: ClockTime
    """When it ends; before `from`: over midnight. Equal: no quiet hours."""
    days: list[Weekday] | None = None
    """Weekdays that are quiet as a whole."""
    holidays: bool | None = None
    """Whether public holidays are quiet as a whole."""


class Limits(Block):
    """Brakes for what nobody thought of."""

    max_steps: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """A passage that has taken so many steps ends, with the reason `too_many_steps`."""
    max_duration: Length | None = None
    """A passage that has lasted so long ends, with the reason `too_long`."""
    max_entries: Annotated[int, Field(ge=1)] | None = None
    """So many passages start and no more; who comes later is told `full`."""


class Workflow(Block):
    """A whole workflow document."""

    workflow: Slug
    """Its name, which is also the name of the file."""
    name: Texts
    """What people call it, by language."""
    description: Texts | None = None
    """What it is for, by language."""
    phase: Phase
    """The phase of the customer experience it belongs to."""
    class_: MessageClass = Field(alias="class")
    """What its messages are, unless a step says otherwise."""
    goal: Goal | None = None
    """What counts as success."""
    entry: Annotated[list[Entry], Field(min_length=1)]
    """The ways in."""
    key: PathName | None = None
    """What a passage is for, such as `booking.reference`: one at a time for each. Default: the contact."""
    reenter: Annotated[Reenter, BeforeValidator(_reenter), Also({"enum": ["never", "always"]})] = Reenter(allowed=False)
    """When who has been through may start again. Default: never."""
    while_active: Literal["ignore", "refresh", "restart"] = "ignore"
    """What to do where somebody inside meets a way in again."""
    follow: Literal["booking"] | None = None
    """Whose changes move pending waits, both ways; a step already taken is never taken again."""
    exit: list[ExitRule] = Field(default=[])
    """What ends a passage wherever it is."""
    holdout: Percent = 0
    """The percentage of people kept out, always the same ones, to compare with. Not with service mail."""
    priority: Annotated[int, Field(ge=0, le=100)] = 50
    """Who wins where a person may get only so many messages: the higher."""
    caps: Caps | None = None
    """Limits of its own. Default: the workspace's."""
    quiet_hours: Annotated[QuietHours, BeforeValidator(_no_hours), Also({"enum": ["none"]})] | None = None
    """Quiet hours of its own. Default: the workspace's."""
    tracking: bool | None = None
    """`false`: no click on its messages is followed, whoever allowed it. Default: as the workspace says."""
    zone: str | None = None
    """Whose clock its waits go by: `property`, `contact`, or a zone. Default: property."""
    languages: list[str] = Field(default=[])
    """The languages every template of it must be written in."""
    limits: Limits | None = None
    """Brakes for what nobody thought of."""
    steps: Annotated[list[Step], Field(min_length=1)]
    """What happens, from top to bottom."""


BLOCKS: Mapping[str, type[Block]] = {
    **STEP_BLOCKS,
    "entry": Entry,
    "reenter": Reenter,
    "exit": ExitRule,
    "goal": Goal,
    "caps": Caps,
    "quiet_hours": QuietHours,
    "limits": Limits,
}
"""The block that stands under a key, for naming its keys in messages."""


def keys_of(block: type[Block]) -> list[str]:
    """The keys a block may have, as written."""
    return [field.alias or name for name, field in block.model_fields.items()]
