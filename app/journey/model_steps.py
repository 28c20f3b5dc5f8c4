"""The steps of the workflow language as models: one class per kind, one per block inside a step (DESIGN, section 4).

A new kind of step is one model here, in `STEPS`, one operation in `ops`, one case each in `compiler`, `checks`, `steps`
and `sentences`. What stands under a field is what editors and the reference page say of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag

from app.journey.known import MessageClass
from app.journey.model_types import (
    A_LENGTH,
    A_TEXT,
    Address,
    Also,
    Block,
    ClockTime,
    ConditionSource,
    From,
    Length,
    Names,
    PathName,
    Slug,
    Tags,
    Text,
    Texts,
    Value,
    Weekdays,
    WorkingLength,
    listed,
    short_for,
)
from app.journey.ops import Channel, Late, Missing, Scope


class Moment(Block):
    """A length of time from when the step is reached, or a date with an offset and a clock time."""

    for_: WorkingLength | None = Field(None, alias="for")
    """A length of time: `3 days`, `2 business days`, `1 hour 30 minutes`."""
    until: str | None = None
    """A path to a date (`booking.arrival`); for a wait also a clock time, a window or a weekday."""
    offset: WorkingLength | None = None
    """How long before (`-7 days`) or after the date."""
    at: ClockTime | None = None
    """The clock time on that day."""
    zone: str | None = None
    """Whose clock: `property`, `contact`, or a zone such as `Europe/Rome`. Default: the workflow's."""


class Waiting(Moment):
    """How long, or until when: for a time, until a clock time, a window or a weekday, or until a date."""

    weekdays: Weekdays | None = None
    """Only on these days, beside a clock time or a window."""
    late: Late | None = None
    """What to do where the date is past already. Every wait for a date says it."""
    missing: Missing | None = None
    """What to do where the date is not known. Default: exit."""


class Awaited(Block):
    """What to wait for, and how long at most."""

    on: Names | None = None
    """The event, or several of which any will do."""
    if_: ConditionSource = Field(None, alias="if")
    """The condition that the event must meet or, without an event, that must come to hold."""
    up_to: Annotated[Moment, short_for("for"), A_LENGTH] | None = None
    """How long at most: a length of time, or until a date. Needed."""
    since: str = "entry"
    """From when on events count: `entry`, `step` (this one), or the id of an earlier step."""
    of: Scope = "key"
    """Events of the same key, or any of the contact's."""


class StepBase(Block):
    """What every step has."""

    kind: ClassVar[str] = ""
    id: Slug
    """Its name, unique in the workflow, stable across versions, never used again for another meaning."""


class Renewed(Block):
    """The message that says that something has changed since."""

    send: Text
    """The template of the message that says so."""
    when: Annotated[list[PathName], Field(min_length=1)] | None = None
    """The fields that are looked at. Default: arrival, departure, nights, room, guests, property."""
    latest: Annotated[Moment, short_for("for"), A_LENGTH] | None = None
    """When it is too late to say so."""


class Send(StepBase):
    """Send a template, after the gate has said that this person may get it now."""

    kind: ClassVar[str] = "send"
    send: Text
    """The template."""
    class_: MessageClass | None = Field(None, alias="class")
    """What the message is. Default: the workflow's class."""
    topic: str | None = None
    """What a person can leave. Needed for marketing."""
    channels: Annotated[list[Channel], BeforeValidator(listed), Also({"enum": list(get_args(Channel))})] = Field(
        default=["email"], min_length=1
    )
    """The channel, or several in the order in which they are tried."""
    sender: Address | None = None
    """The address of the sender that speaks (`spa@hotel.example`). Default: the usual one."""
    latest: Annotated[Moment, short_for("for"), A_LENGTH] | None = None
    """Never sent after this. Default: 24 hours after it was due where a wait came before, else no limit."""
    skip_if_sent_within: Length | None = None
    """Not sent where the person got the same template within this time."""
    attachments: list[str] = Field(default=[], max_length=10)
    """What goes with the mail: `calendar`, the stay as a calendar file, and files published with the template."""
    priority: Annotated[int, Field(ge=0, le=100)] | None = None
    """Who wins under a cap. Default: the workflow's."""
    updated: Annotated[Renewed, short_for("send"), A_TEXT] | None = None
    """A template that goes out where this message has been sent and what it said has changed since."""


class Wait(StepBase):
    """Wait for a time or until a moment."""

    kind: ClassVar[str] = "wait"
    wait: Annotated[Waiting, short_for("for"), A_LENGTH]
    """How long, or until when."""


class WaitFor(StepBase):
    """Wait for something to happen, at most so long."""

    kind: ClassVar[str] = "wait_for"
    wait_for: Awaited
    """What to wait for."""
    then: list[Step] = Field(default=[])
    """The steps taken when it happens."""
    timeout: list[Step] = Field(default=[])
    """The steps taken when it does not happen in time."""
    unknown: list[Step] | None = None
    """The steps taken where it cannot be known: needed where it rests on clicks."""


class BranchCase(Block):
    """One way of a branch: exactly one of `if`, `else: true`, `unknown: true`."""

    if_: ConditionSource = Field(None, alias="if")
    """The way is taken where this holds and no earlier one did."""
    else_: Literal[True] | None = Field(None, alias="else")
    """The way of everybody else."""
    unknown: Literal[True] | None = None
    """The way of those of whom it cannot be known."""
    steps: list[Step] = Field(default=[])
    """The steps of this way."""


class Branch(StepBase):
    """Take the first way whose condition holds; all ways join again behind the branch."""

    kind: ClassVar[str] = "branch"
    branch: Annotated[list[BranchCase], Field(min_length=1)]
    """The ways, in the order in which they are tried."""


class VariantCase(Block):
    """One variant of a split."""

    variant: Slug
    """Its name, stable: people who drew it stay with it."""
    weight: Annotated[int, Field(ge=0, le=100)]
    """How many of a hundred people; all weights make 100."""
    steps: list[Step] = Field(default=[])
    """The steps of this variant."""


class WinnerRule(Block):
    """When the better variant is chosen for everybody new."""

    by: Literal["goal", "click"]
    """What counts as success: the workflow's goal, or a click."""
    of: Slug | None = None
    """The send whose clicks count. Default: every send of the variant."""
    after: Length | None = None
    """Not before this long after the first person came here."""
    min_sample: Annotated[int, Field(ge=10)] = 100
    """Not with fewer people than this in every variant."""
    confidence: Annotated[float, Field(ge=0.8, le=0.999)] = 0.95
    """How sure the test must be."""


class Split(StepBase):
    """Divide people at random by weight; everybody keeps the variant they drew."""

    kind: ClassVar[str] = "split"
    split: Annotated[list[VariantCase], Field(min_length=2, max_length=10)]
    """The variants."""
    winner: WinnerRule | None = None
    """How a winner is found; without it the split goes on for ever."""


class Rounds(Block):
    """What is repeated, how often, and until when."""

    steps: Annotated[list[Step], Field(min_length=1)]
    """The steps of a round."""
    max: Annotated[int, Field(ge=1, le=366)]
    """The most rounds. Needed: nothing goes on for ever."""
    every: WorkingLength | None = None
    """A round begins this long after the last one began. Default: at once."""
    until: ConditionSource = None
    """Looked at before every round, the first too; where it holds, no round follows."""
    unknown: Literal["go_on", "stop"] | None = None
    """What to do where `until` cannot be known: needed where it rests on clicks."""


class Repeat(StepBase):
    """Take steps again and again, at most so many times."""

    kind: ClassVar[str] = "repeat"
    repeat: Rounds
    """The rounds."""


class Set(StepBase):
    """Write fields of the contact (`contact.attributes.x`) or of this passage (`enrollment.fields.x`), and tags."""

    kind: ClassVar[str] = "set"
    set: dict[str, Value]
    """Field and value; `{ from: event.x }` copies what is known at that moment."""
    add_tags: Tags = Field(default=[])
    """Tags the contact gets."""
    remove_tags: Tags = Field(default=[])
    """Tags the contact loses."""


class EmitBody(Block):
    """An event of ours."""

    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)+$", max_length=80)]
    """What happened, such as `custom.became_regular`."""
    data: dict[str, Value] = Field(default={})
    """What is known of it."""


class Emit(StepBase):
    """Write an event of this contact into our own log, where other workflows hear it."""

    kind: ClassVar[str] = "emit"
    emit: Annotated[EmitBody, short_for("type"), A_TEXT]
    """The event."""


class WebhookBody(Block):
    """A call to another system."""

    endpoint: Slug
    """The name of the address, set up in the workspace with its secret."""
    data: dict[str, Value] = Field(default={})
    """What is said beside the person, the passage and the step."""
    shares: bool = False
    """Whether the other side uses it for itself: who has not agreed to `third_party_sharing` is left out."""


class Webhook(StepBase):
    """Call another system: signed, and tried again until it answers."""

    kind: ClassVar[str] = "webhook"
    webhook: Annotated[WebhookBody, short_for("endpoint"), A_TEXT]
    """Whom to call, with what."""


class StartBody(Block):
    """Another workflow for the same contact and key."""

    workflow: Slug
    """Which one; it must have a way in `on: api`."""
    await_: bool = Field(False, alias="await")
    """Whether this passage waits until that one has ended."""
    up_to: Annotated[Moment, short_for("for"), A_LENGTH] | None = None
    """How long it waits at most. Needed where it waits."""
    data: dict[str, Value] = Field(default={})
    """What the other workflow reads as `event.x`."""


class Start(StepBase):
    """Start another workflow, and wait for its end or not."""

    kind: ClassVar[str] = "start"
    start: Annotated[StartBody, short_for("workflow"), A_TEXT]
    """Which one."""
    then: list[Step] = Field(default=[])
    """The steps taken when it has ended; how stands in `enrollment.fields.<id>`."""
    timeout: list[Step] = Field(default=[])
    """The steps taken when it has not ended in time."""


class StopBody(Block):
    """Which passages are ended."""

    workflow: Slug
    """The other workflow."""
    reason: Text = "stopped"
    """The reason they leave it for."""
    of: Scope = "contact"
    """All of the contact's passages, or those of the same key."""


class Stop(StepBase):
    """End this contact's passages through another workflow."""

    kind: ClassVar[str] = "stop"
    stop: Annotated[StopBody, short_for("workflow"), A_TEXT]
    """Which one."""


class TaskBody(Block):
    """Work for a person."""

    to: Text
    """Who does it: a team such as `front_desk`."""
    text: Texts
    """What is to be done, by language."""
    due_within: WorkingLength | None = None
    """By when."""


class Task(StepBase):
    """Give work to a person."""

    kind: ClassVar[str] = "task"
    task: TaskBody
    """The work."""


class ConsentBody(Block):
    """Whom we ask what, and how long we wait for the answer."""

    topic: Text
    """What they would get: a topic of the workspace."""
    template: Text = "confirm-subscription"
    """The message with the button, of class `consent_request`."""
    up_to: Annotated[Moment, short_for("for"), A_LENGTH] | None = None
    """How long the answer is awaited. Default, and the most: 7 days, as long as the button works (R6)."""


class Consent(StepBase):
    """Ask for consent to a topic, confirmed from the person's own mailbox (double opt-in), and wait for the answer."""

    kind: ClassVar[str] = "consent"
    consent: Annotated[ConsentBody, short_for("topic"), A_TEXT]
    """What to ask for."""
    then: list[Step] = Field(default=[])
    """The steps taken when consent is given; at once where it was given before."""
    timeout: list[Step] = Field(default=[])
    """The steps taken where it is not: no answer in time, a no, or somebody who may not be asked."""


class Exit(StepBase):
    """Leave the workflow, for a reason."""

    kind: ClassVar[str] = "exit"
    exit: Text
    """The reason, as reports show it."""
    outcome: str | None = None
    """What it came to, for reports and for a workflow that waits for this one."""


STEPS: Mapping[str, type[StepBase]] = {
    step.kind: step
    for step in (Send, Wait, WaitFor, Branch, Split, Repeat, Set, Emit, Webhook, Start, Stop, Task, Consent, Exit)
}
"""The kinds of step there are, by the key that names them."""

LATER = ("offer", "survey", "review", "approve")
"""Kinds of step that the language will have."""


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
    | Annotated[Split, Tag("step:split")]
    | Annotated[Repeat, Tag("step:repeat")]
    | Annotated[Set, Tag("step:set")]
    | Annotated[Emit, Tag("step:emit")]
    | Annotated[Webhook, Tag("step:webhook")]
    | Annotated[Start, Tag("step:start")]
    | Annotated[Stop, Tag("step:stop")]
    | Annotated[Task, Tag("step:task")]
    | Annotated[Consent, Tag("step:consent")]
    | Annotated[Exit, Tag("step:exit")],
    Discriminator(_kind),
]

for _model in (WaitFor, BranchCase, Branch, VariantCase, Split, Rounds, Repeat, Start, Consent):
    _model.model_rebuild()

STEP_BLOCKS: Mapping[str, type[Block]] = {
    "latest": Moment,
    "up_to": Moment,
    "wait": Waiting,
    "wait_for": Awaited,
    "branch": BranchCase,
    "split": VariantCase,
    "winner": WinnerRule,
    "repeat": Rounds,
    "updated": Renewed,
    "emit": EmitBody,
    "webhook": WebhookBody,
    "start": StartBody,
    "stop": StopBody,
    "task": TaskBody,
    "consent": ConsentBody,
    "data": From,
}
"""The block that stands under a key of a step, for naming its keys in messages."""


def lanes_of(step: StepBase) -> list[tuple[tuple[str | int, ...], list[Step]]]:
    """The sequences of steps inside a step, each with the path to it."""
    match step:
        case Branch():
            return [(("branch", number, "steps"), case.steps) for number, case in enumerate(step.branch)]
        case Split():
            return [(("split", number, "steps"), case.steps) for number, case in enumerate(step.split)]
        case Repeat():
            return [(("repeat", "steps"), step.repeat.steps)]
        case WaitFor():
            return [(("then",), step.then), (("timeout",), step.timeout), (("unknown",), step.unknown or [])]
        case Start() | Consent():
            return [(("then",), step.then), (("timeout",), step.timeout)]
        case _:
            return []
