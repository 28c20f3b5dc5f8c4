"""Stories: a person, what happens to them, and what they should hear. A file of them stands beside each workflow.

    - story: Booked early, direct
      given:
        contact: { language: it, zone: Europe/Rome }
        consents: { offers: granted }
      events:
        - at: 2026-06-01 10:00
          type: booking.confirmed
          booking: { reference: B1, arrival: 2026-07-10, departure: 2026-07-13, channel: direct }
      expect:
        messages:
          - { template: booking-confirmation, at: 2026-06-01 10:00 }
        exit: finished

Times without a zone are the property's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import Field, PlainValidator, ValidationError, WithJsonSchema
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from app.journey.facts import zone
from app.journey.known import OWN_EVENTS, Known, event_shape
from app.journey.model import Block
from app.journey.nearest import cure
from app.journey.places import LanguageError, Path, Places, Problem, plain
from app.journey.scenes import Happening, Outcome, Scene
from app.journey.state import AskConsent, CallOut, Emit, StartOther, StopOther
from app.journey.telling import told


def _instant(value: Any) -> datetime:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError("a time is written 2026-06-01 10:00")


Time = Annotated[
    datetime, PlainValidator(_instant), WithJsonSchema({"type": "string", "examples": ["2026-06-01 10:00"]})
]


class Given(Block):
    """The person and the property at the start."""

    now: Time | None = None
    """When the story begins. Default: with its first event."""
    contact: dict[str, Any] = Field(default={})
    """What is known of the person: language, zone, tags, attributes ..."""
    property: dict[str, Any] = Field(default={})
    """The hotel: zone, country, currency ... Default: one in Rome."""
    consents: dict[str, str] = Field(default={})
    """Topic and state: `{ offers: granted }`."""
    tracked: bool = False
    """Whether their clicks may be followed."""
    segments: list[str] = Field(default=[])
    """The segments the person is in."""
    variants: dict[str, str] = Field(default={})
    """What is drawn at a split: its id and the variant."""
    winners: dict[str, str] = Field(default={})
    """A split that is decided already: its id and the variant that won."""
    held_out: bool = False
    """Whether the person is among those kept out."""


class Told(Block):
    """One event."""

    at: Time
    """When it is received."""
    type: str | None = None
    """What happened. Dates and schedules that open the workflow come by themselves."""
    confirms: str | None = None
    """In the place of `type`: the topic to which they say yes, by the button of the message that asks for it."""
    occurred_at: Time | None = None
    """When it happened. Default: when it is received."""
    data: dict[str, Any] = Field(default={})
    """What conditions read as `event.x`."""
    booking: dict[str, Any] | None = None
    """The booking it is about, and what it says of it."""
    contact: dict[str, Any] | None = None
    """What it says of the person."""


class Expected(Block):
    """One message that goes out."""

    template: str
    """Which one."""
    at: Time | None = None
    """When, to the minute."""


class Refused(Block):
    """One message that is planned and held back."""

    template: str
    """Which one."""
    code: str | None = None
    """Why, in one word: `no_consent`, `too_late` ..."""


class Expect(Block):
    """What should come of it."""

    messages: list[Expected] | None = None
    """All messages that go out, in order."""
    refused: list[Refused] | None = None
    """Messages that are held back."""
    none_of: list[str] = Field(default=[])
    """Templates that must not go out."""
    exit: str | None = None
    """How the last passage ends: `finished`, a reason, or `still inside`."""
    step: str | None = None
    """The step at which the last passage stands."""
    tasks: int | None = None
    """How many tasks are given."""
    not_entered: str | None = None
    """The code with which somebody is turned away."""
    goal: bool | None = None
    """Whether the goal is reached."""
    variants: dict[str, str] | None = None
    """The variant of the last passage at a split."""
    emitted: list[str] | None = None
    """All events that are reported, in order."""
    called: list[str] | None = None
    """All endpoints that are called, in order."""
    started: list[str] | None = None
    """All workflows that are started, in order."""
    stopped: list[str] | None = None
    """All workflows that are stopped, in order."""
    asked: list[str] | None = None
    """All topics to which consent is asked for, in order."""


class Story(Block):
    """One story."""

    story: str
    """What it tells."""
    given: Given = Given()
    """The person at the start."""
    events: list[Told] = Field(default=[])
    """What happens to them."""
    until: Time | None = None
    """When it ends. Default: when nothing more happens."""
    expect: Expect | None = None
    """What should come of it."""


STORY_BLOCKS: Mapping[str, type[Block]] = {
    "given": Given,
    "events": Told,
    "expect": Expect,
    "messages": Expected,
    "refused": Refused,
}
"""The block that stands under a key of a story."""

DEFAULT_PROPERTY: Mapping[str, Any] = {"name": "Hotel", "zone": "Europe/Rome", "language": "it", "currency": "EUR"}
"""What a story's property is where it says nothing else."""


@dataclass(frozen=True, slots=True)
class Stories:
    """The stories of one file, with their places in it."""

    stories: tuple[Story, ...]
    places: Places


def read_stories(text: str, *, file: str, known: Known | None = None) -> Stories:
    """The stories in a document; raises LanguageError with every problem found."""
    try:
        root = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise LanguageError([Problem(file, line, column, "", "yaml", str(error.problem or "no YAML"))]) from None
    places = Places(file, text, root)
    if not isinstance(root, list):
        raise LanguageError([places.problem((), "wrong-type", "stories are a list", "start with - story: its name")])
    problems: list[Problem] = []
    stories: list[Story] = []
    for number, raw in enumerate(plain(root)):
        try:
            stories.append(Story.model_validate(raw))
        except ValidationError as error:
            for details in error.errors():
                details["loc"] = (number, *details["loc"])
                problems.append(told(details, places, _block_of))
            continue
        if not stories[-1].events and stories[-1].given.now is None:
            message = "a story without events says when it begins"
            cure_ = "add given: { now: 2026-06-01 10:00 }, or events:"
            problems.append(places.problem((number,), "missing", message, cure_))
        problems += _events(stories[-1], number, known, places)
    if problems:
        raise LanguageError(problems)
    return Stories(tuple(stories), places)


def _block_of(loc: Path) -> type[Block]:
    names = [part for part in loc if isinstance(part, str)]
    return STORY_BLOCKS.get(names[-1], Story) if names else Story


def _events(story: Story, number: int, known: Known | None, places: Places) -> list[Problem]:
    """Events that nobody knows, and those that say nothing, or two things at once."""
    problems = []
    for at, event in enumerate(story.events):
        path: Path = (number, "events", at)
        if (event.type is None) == (event.confirms is None):
            message = "an event says what happened: type, or confirms"
            problems.append(places.problem(path, "missing", message, "add type: <event>, or keep one of the two"))
        elif known is not None and not _known(event, known):
            message, cure_ = f"there is no event {event.type}", cure(str(event.type), known.events)
            problems.append(places.problem((*path, "type"), "unknown-event", message, cure_))
    return problems


def _known(event: Told, known: Known) -> bool:
    return event.type is None or event.type in OWN_EVENTS or event_shape(event.type, known.events) is not None


def scene(story: Story) -> Scene:
    """The story as the simulator takes it."""
    given = story.given
    house = {**DEFAULT_PROPERTY, **given.property}
    local = zone({"property": house}, "property")
    happenings = tuple(
        Happening(
            at=_aware(event.at, local),
            type=event.type or "consent.granted",
            occurred_at=_aware(event.occurred_at or event.at, local),
            data=event.data if event.confirms is None else {**event.data, "topic": event.confirms},
            booking=event.booking,
            contact=event.contact,
        )
        for event in story.events
    )
    return Scene(
        now=_aware(given.now, local) if given.now else min(one.at for one in happenings),
        segments=tuple(given.segments),
        variants=given.variants,
        winners=given.winners,
        held_out=given.held_out,
        contact=given.contact,
        property=house,
        consents=given.consents,
        tracked=given.tracked,
        happenings=happenings,
        until=_aware(story.until, local) if story.until else None,
    )


def _aware(instant: datetime, local: ZoneInfo) -> datetime:
    return (instant if instant.tzinfo else instant.replace(tzinfo=local)).astimezone(UTC)


def differences(stories: Stories, number: int, outcome: Outcome) -> list[Problem]:
    """What came out otherwise than the story expects, each at its line."""
    story = stories.stories[number]
    return _Comparison(story, number, stories.places, outcome).all() if story.expect else []


class _Comparison:
    def __init__(self, story: Story, number: int, places: Places, outcome: Outcome) -> None:
        self.story, self.places, self.outcome = story, places, outcome
        self.base: Path = (number, "expect")
        self.local = zone({"property": {**DEFAULT_PROPERTY, **story.given.property}}, "property")
        self.found: list[Problem] = []

    def _add(self, path: Path, message: str) -> None:
        self.found.append(self.places.problem((*self.base, *path), "story", f"{self.story.story}: {message}"))

    def all(self) -> list[Problem]:
        """Every difference."""
        expect = self.story.expect or Expect()
        self._messages(expect)
        self._refused(expect)
        for number, template in enumerate(expect.none_of):
            for message in self.outcome.sent:
                if message.template == template:
                    self._add(("none_of", number), f"{template} was sent {self._shown(message.at)}")
        passages, last = self.outcome.passages, self.outcome.passages[-1] if self.outcome.passages else None
        if expect.exit is not None:
            ended = None if last is None else (last.reason or "still inside")
            if ended != expect.exit:
                self._add(("exit",), f"ended with {ended or 'nobody inside'}, not {expect.exit}")
        if expect.step is not None and (last is None or last.step_id != expect.step):
            self._add(("step",), f"stands at {last.step_id if last else None}, not at {expect.step}")
        if expect.tasks is not None and len(self.outcome.tasks) != expect.tasks:
            self._add(("tasks",), f"{len(self.outcome.tasks)} tasks, not {expect.tasks}")
        if expect.not_entered is not None:
            codes = [refusal.code for refusal in self.outcome.not_entered]
            if expect.not_entered not in codes:
                told_ = ", ".join(codes) or "nobody was turned away"
                self._add(("not_entered",), f"{told_}, not {expect.not_entered}")
        if expect.goal is not None and any(one.goal for one in passages) != expect.goal:
            self._add(("goal",), "the goal was not reached" if expect.goal else "the goal was reached")
        self._beyond(expect)
        for split, wanted in (expect.variants or {}).items():
            drawn = last.variants.get(split) if last else None
            if drawn != wanted:
                self._add(("variants", split), f"{drawn or 'nothing'} was drawn at {split}, not {wanted}")
        return self.found

    def _beyond(self, expect: Expect) -> None:
        """What steps do beyond the workflow."""
        outside = self.outcome.outside
        done: dict[str, tuple[list[str] | None, list[str]]] = {
            "emitted": (expect.emitted, [one.type for one in outside if isinstance(one, Emit)]),
            "called": (expect.called, [one.endpoint for one in outside if isinstance(one, CallOut)]),
            "started": (expect.started, [one.workflow for one in outside if isinstance(one, StartOther)]),
            "stopped": (expect.stopped, [one.workflow for one in outside if isinstance(one, StopOther)]),
            "asked": (expect.asked, [one.topic for one in outside if isinstance(one, AskConsent)]),
        }
        for name, (wanted, got) in done.items():
            if wanted is not None and wanted != got:
                told_ = ", ".join(got) or "nothing"
                self._add((name,), f"{told_} was {name}, not {', '.join(wanted) or 'nothing'}")

    def _messages(self, expect: Expect) -> None:
        if expect.messages is None:
            return
        sent = self.outcome.sent
        for number, wanted in enumerate(expect.messages):
            if number >= len(sent):
                self._add(("messages", number), f"{wanted.template} was not sent{self._why(wanted.template)}")
                continue
            got = sent[number]
            if got.template != wanted.template:
                self._add(("messages", number), f"{got.template} was sent {self._shown(got.at)}, not {wanted.template}")
            elif wanted.at is not None:
                due = _aware(wanted.at, self.local)
                if got.at.replace(second=0, microsecond=0) != due.replace(second=0, microsecond=0):
                    self._add(
                        ("messages", number, "at"),
                        f"{got.template} was sent {self._shown(got.at)}, not {self._shown(due)}",
                    )
        for got in sent[len(expect.messages) :]:
            self._add(("messages",), f"{got.template} was sent {self._shown(got.at)} as well")

    def _refused(self, expect: Expect) -> None:
        held = [(one.template, one.code) for one in self.outcome.messages if one.outcome == "refused"]
        for number, wanted in enumerate(expect.refused or []):
            if not any(t == wanted.template and wanted.code in (None, code) for t, code in held):
                told_ = ", ".join(f"{template} ({code})" for template, code in held) or "nothing was"
                self._add(("refused", number), f"{wanted.template} was not refused as {wanted.code}: {told_}")

    def _why(self, template: str) -> str:
        for message in self.outcome.messages:
            if message.template == template and message.outcome != "sent":
                return f": {message.outcome}, {message.code}"
        return ""

    def _shown(self, instant: datetime) -> str:
        return instant.astimezone(self.local).strftime("%Y-%m-%d %H:%M")
