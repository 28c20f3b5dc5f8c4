"""Who starts a workflow, who leaves it, who reached its goal. Pure: facts and earlier passages come in as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from app.journey.facts import Facts
from app.journey.program import Program, Sentence


@dataclass(frozen=True, slots=True)
class Event:
    """One reported event as the core sees it. `data` is what conditions call `event.<name>`.

    `booking` is the reference of the booking it is about, by which passages keyed by booking are found.
    """

    type: str
    occurred_at: datetime
    data: Mapping[str, Any]
    booking: str | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """An earlier or present passage of the same contact through the same workflow."""

    key: str
    status: Literal["active", "finished", "exited"]
    entered_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Enter:
    """Start a passage for this key."""

    key: str
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Refresh:
    """Someone is inside for this key: give the passage the new event and rebind its waits."""

    key: str
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Restart:
    """End the passage that is inside for this key (reason `restarted`) and start anew."""

    key: str
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class NotEntered:
    """The event starts nothing; `code` is one of the words of `REASONS`."""

    code: str
    sentence: Sentence
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """A passage ends here."""

    reason: str
    outcome: str | None
    sentence: Sentence


@dataclass(frozen=True, slots=True)
class Reached:
    """The goal was reached; `value` in minor units where the goal names one and the event has it."""

    value: int | None
    sentence: Sentence


def key_of(program: Program, event: Event, facts: Facts) -> str | None:
    """What a passage is for ("" where it is for the contact as such); None: the event has no such key."""
    raise NotImplementedError


def on_event(
    program: Program, event: Event, facts: Facts, passages: Sequence[Passage], now: datetime
) -> Enter | Refresh | Restart | NotEntered:
    """What the event does at the door. `passages` are all of this contact in this workflow, any version, any key."""
    raise NotImplementedError


def exit_by_event(program: Program, event: Event, facts: Facts, now: datetime) -> Exit | None:
    """Whether the event ends the passage that `facts` describe (its key in facts["enrollment"]["key"])."""
    raise NotImplementedError


def exit_by_state(program: Program, facts: Facts, now: datetime) -> Exit | None:
    """Whether an exit condition without an event holds now."""
    raise NotImplementedError


def goal_by_event(program: Program, event: Event, facts: Facts, now: datetime) -> Reached | None:
    """Whether the event is the goal of the passage that `facts` describe (entered_at in facts["enrollment"])."""
    raise NotImplementedError
