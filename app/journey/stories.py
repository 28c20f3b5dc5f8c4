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
from app.journey.known import Known
from app.journey.model import Block
from app.journey.nearest import cure
from app.journey.places import LanguageError, Path, Places, Problem, plain
from app.journey.simulate import Happening, Outcome, Scene
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
    """The person and the property at the start. `tracked`: whether their clicks may be followed."""

    now: Time | None = None
    contact: dict[str, Any] = Field(default={})
    property: dict[str, Any] = Field(default={})
    consents: dict[str, str] = Field(default={})
    tracked: bool = False


class Told(Block):
    """One event: received `at`, happened `occurred_at` (default: the same)."""

    at: Time
    type: str
    occurred_at: Time | None = None
    data: dict[str, Any] = Field(default={})
    booking: dict[str, Any] | None = None
    contact: dict[str, Any] | None = None


class Expected(Block):
    """One message that goes out."""

    template: str
    at: Time | None = None


class Refused(Block):
    """One message that is planned and held back."""

    template: str
    code: str | None = None


class Expect(Block):
    """What should come of it. `messages` are all that go out, in order; `none_of` must not be among them."""

    messages: list[Expected] | None = None
    refused: list[Refused] | None = None
    none_of: list[str] = Field(default=[])
    exit: str | None = None
    step: str | None = None
    tasks: int | None = None
    not_entered: str | None = None
    goal: bool | None = None


class Story(Block):
    """One story."""

    story: str
    given: Given = Given()
    events: Annotated[list[Told], Field(min_length=1)]
    until: Time | None = None
    expect: Expect | None = None


_BLOCKS: Mapping[str, type[Block]] = {
    "given": Given,
    "events": Told,
    "expect": Expect,
    "messages": Expected,
    "refused": Refused,
}

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
        problems += _unknown_events(stories[-1], number, known, places)
    if problems:
        raise LanguageError(problems)
    return Stories(tuple(stories), places)


def _block_of(loc: Path) -> type[Block]:
    names = [part for part in loc if isinstance(part, str)]
    return _BLOCKS.get(names[-1], Story) if names else Story


def _unknown_events(story: Story, number: int, known: Known | None, places: Places) -> list[Problem]:
    if known is None:
        return []
    return [
        places.problem(
            (number, "events", at, "type"),
            "unknown-event",
            f"there is no event {event.type}",
            cure(event.type, known.events),
        )
        for at, event in enumerate(story.events)
        if event.type not in known.events
    ]


def scene(story: Story) -> Scene:
    """The story as the simulator takes it."""
    given = story.given
    house = {**DEFAULT_PROPERTY, **given.property}
    local = zone({"property": house}, "property")
    happenings = tuple(
        Happening(
            at=_aware(event.at, local),
            type=event.type,
            occurred_at=_aware(event.occurred_at or event.at, local),
            data=event.data,
            booking=event.booking,
            contact=event.contact,
        )
        for event in story.events
    )
    return Scene(
        now=_aware(given.now, local) if given.now else min(one.at for one in happenings),
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
        return self.found

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
