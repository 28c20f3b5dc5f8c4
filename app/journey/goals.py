"""Which event was the goal of a passage, and what takes it back. Pure.

A passage has one goal at most: the earliest event that counts, by when it happened and not by when we heard of it. It
is worked out from all that is known to have happened, so events may come late, twice or in any order, and the passage
may be long over (or never have taken a step, in a control group): the answer is the same.

Where the goal is a booking or an order, it stands as long as that booking or order does. A cancellation or a refund
takes it back whenever it comes, even after `within`; the next event that counts then takes its place. A reinstated
booking is again what it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from app.journey.entry import Event, goal_by_event
from app.journey.facts import Facts, lookup, temporal
from app.journey.program import Program, Sentence

_UNDONE: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "booking": (frozenset({"booking.cancelled"}), frozenset({"booking.reinstated"})),
    "order": (frozenset({"order.cancelled", "order.refunded"}), frozenset()),
}
"""What a goal is about → the events that take it back, and those that undo that."""


LOST: Sentence = {
    "en": "goal taken back: the booking or order was cancelled or refunded",
    "it": "obiettivo annullato: la prenotazione o l'ordine è stato cancellato o rimborsato",
}


@dataclass(frozen=True, slots=True)
class Scored:
    """The goal of a passage. `value` is in minor units; `booking` the reference of the booking or order it is."""

    event_id: str
    at: datetime
    value: int | None
    booking: str | None
    sentence: Sentence = field(default_factory=dict, compare=False)


_NOTHING: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())


def _undone(on: str) -> tuple[frozenset[str], frozenset[str]]:
    return _UNDONE.get(on.partition(".")[0], _NOTHING)


@lru_cache(maxsize=256)
def _types(on: str) -> frozenset[str]:
    takes, gives = _undone(on)
    return frozenset({on}) | takes | gives


def listens_to(program: Program) -> frozenset[str]:
    """The event types that may reach this program's goal, take it back or give it back; none without a goal."""
    return _types(program.goal.on) if program.goal else frozenset()


def scored(
    program: Program, facts: Facts, happened: Sequence[Event], standing: Scored | None, now: datetime
) -> Scored | None:
    """The goal of the passage that `facts` describe, from everything of `listens_to` that happened to its contact.

    Args:
        program: the version the passage is on.
        facts: with `enrollment.key` and `enrollment.entered_at`.
        happened: events of the contact over all its keys; any order. Doubles do no harm.
        standing: the goal known so far. Its event keeps counting without its condition being asked again (facts may
            have changed since), and even where it is no longer among `happened`; only what takes it back ends it.
        now: for the conditions of events not judged before.

    What let the person in, or the same booking reported once more, is no goal of its own passage.
    """
    if program.goal is None:
        return standing
    found: dict[tuple[datetime, str], Scored] = {}
    if standing is not None and not _void(program, standing.booking, standing.at, happened):
        found[_order(standing)] = standing
    for event in happened:
        if event.type != program.goal.on or (standing is not None and event.id == standing.event_id):
            continue
        if _is_entry(program, facts, event) or _void(program, event.booking, event.occurred_at, happened):
            continue
        reached = goal_by_event(program, event, facts, now)
        if reached is not None:
            one = Scored(event.id, event.occurred_at, reached.value, event.booking, reached.sentence)
            found[_order(one)] = one
    return found[min(found)] if found else None


def _is_entry(program: Program, facts: Facts, event: Event) -> bool:
    """Whether this is what let the person in, or the same booking told again: a rebooking is another booking."""
    if event.type not in program.starts_on:
        return False
    entered = temporal(lookup(facts, "enrollment.entered_at"))
    if isinstance(entered, datetime) and event.occurred_at <= entered:
        return True
    return event.booking is not None and event.booking == lookup(facts, "booking.reference")


def _order(goal: Scored) -> tuple[datetime, str]:
    return goal.at, goal.event_id


def _void(program: Program, booking: str | None, at: datetime, happened: Sequence[Event]) -> bool:
    """Whether the booking or order behind a goal reached at `at` has been cancelled or refunded since."""
    takes, gives = _undone(program.goal.on) if program.goal else _NOTHING
    if booking is None or not takes:
        return False
    since = [
        (event.occurred_at, event.type in takes)
        for event in happened
        if event.booking == booking and event.occurred_at >= at and (event.type in takes or event.type in gives)
    ]
    return bool(since) and max(since)[1]
