"""The next date or planned time that opens a workflow for the person of a story. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from app.journey.facts import Facts, zone
from app.journey.program import EntryRule, Program
from app.journey.scenes import Happening, Scene
from app.journey.schedules import next_fire, occasions

FAR = timedelta(days=800)
"""How far ahead a date is looked for that opens the workflow."""


def upcoming(
    program: Program,
    scene: Scene,
    known: Callable[[str | None], Facts],
    bookings: Collection[str],
    opened: Collection[tuple[int, str | None]],
    now: datetime,
) -> Happening | None:
    """The next date or schedule that opens this workflow for this person.

    A yearly date and a schedule come again only where the story has an end (`scene.until`): else the first time alone.

    Args:
        known: what is known of the person and one booking, by its reference.
        bookings: the references of theirs.
        opened: the ways in (by number and booking) that have been opened before.
    """
    if not program.calendar:
        return None
    found = [
        one
        for number, rule in program.calendar
        for one in _of_rule(program.workflow, number, rule, scene, known, bookings, opened, now)
    ]
    return min(found, key=lambda one: one.at, default=None)


def _of_rule(
    workflow: str,
    number: int,
    rule: EntryRule,
    scene: Scene,
    known: Callable[[str | None], Facts],
    bookings: Iterable[str],
    opened: Collection[tuple[int, str | None]],
    now: datetime,
) -> Iterator[Happening]:
    again = scene.until is not None
    if rule.rrule is not None:
        facts = known(None)
        inside = rule.segment is None or rule.segment in facts["segments"]
        if inside and (again or (number, None) not in opened):
            yield from _fired(workflow, number, rule, None, next_fire(rule, zone(facts, rule.zone), now))
    elif rule.date is not None:
        of_booking = rule.date.ref.startswith("booking.")
        for reference in bookings if of_booking else (None,):
            if rule.recur is None or again or (number, reference) not in opened:
                found = occasions(rule, known(reference), now, scene.until or now + FAR)
                yield from _fired(workflow, number, rule, reference, found[0] if found else None)


def _fired(
    workflow: str, number: int, rule: EntryRule, reference: str | None, at: datetime | None
) -> Iterator[Happening]:
    if at is None:
        return
    data: dict[str, Any] = {"workflow": workflow, "entry": number}
    if rule.date is not None:
        data |= {"ref": rule.date.ref, "date": at.date().isoformat()}
    else:
        data |= {"segment": rule.segment, "occurrence": at.isoformat()}
    booking = {"reference": reference} if reference is not None else None
    yield Happening(at=at, type=rule.on, occurred_at=at, data=data, booking=booking)
