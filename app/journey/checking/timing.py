"""Moments of a workflow: waits, deadlines, last moments, dates and schedules that open it."""

from __future__ import annotations

from collections.abc import Sequence

from app.journey.checking.ground import OWN, Ground
from app.journey.known import EventShape
from app.journey.model import Entry
from app.journey.model_steps import Moment, Waiting
from app.journey.model_types import Block
from app.journey.moments import shape_of
from app.journey.places import Path
from app.journey.schedules import needs_start

_KEYS = ("topic", "segment", "ref", "offset", "at", "zone", "recur", "rrule", "starts")
_MEANT = {
    "date": ("ref", "offset", "at", "zone", "recur"),
    "schedule": ("rrule", "at", "zone", "starts", "segment"),
    "segment.entered": ("segment",),
    "segment.left": ("segment",),
    "manual": (),
    "api": (),
}


def way_in(ground: Ground, path: Path, rule: Entry) -> list[EventShape]:
    """One way in: what it hangs on, and the keys that belong to that. Gives the shapes that its condition may read."""
    own = rule.on in _MEANT
    shapes = [OWN[rule.on]] if own else ground.event((*path, "on"), rule.on)
    meant = _MEANT.get(rule.on, ("topic",))
    for key in _KEYS:
        if getattr(rule, key) is not None and key not in meant:
            ground.add((*path, key), "entry", f"{key} has no meaning with {rule.on}", f"remove {key}", on_key=True)
    ground.forward((*path, "max_age"), rule.max_age, "an age")
    ground.named((*path, "topic"), "topic", rule.topic, ground.known.topics)
    if "segment" in meant:
        if rule.segment is None:
            ground.add(path, "no-segment", f"{rule.on} names no segment", "add segment: <name>")
        ground.named((*path, "segment"), "segment", rule.segment, ground.known.segments)
    ground.zone((*path, "zone"), rule.zone)
    if rule.on == "date":
        _date(ground, path, rule)
    elif rule.on == "schedule":
        _schedule(ground, path, rule)
    _brings_the_key(ground, path, rule)
    return shapes


def _date(ground: Ground, path: Path, rule: Entry) -> None:
    if rule.ref is None:
        ground.add(path, "missing", "ref is missing", "add ref: a date such as booking.arrival")
        return
    if rule.ref.split(".")[0] not in ("contact", "booking"):
        message = f"{rule.ref} is no date of a contact or a booking"
        ground.add((*path, "ref"), "wrong-type", message, "for example booking.arrival or contact.attributes.birthday")
        return
    kind = ground.path((*path, "ref"), rule.ref, (), ("date", "instant"))
    if kind == "date" and rule.offset is not None and rule.offset.seconds and rule.at is None:
        message = f"{rule.ref} is a day; an offset in hours needs a clock time"
        ground.add((*path, "offset"), "wait", message, 'add at: "10:00", or write days')


def _schedule(ground: Ground, path: Path, rule: Entry) -> None:
    if rule.rrule is None:
        ground.add(path, "missing", "rrule is missing", "add rrule: a rule such as FREQ=WEEKLY;BYDAY=MO")
    elif rule.starts is None and needs_start(rule.rrule):
        message = "a rule that counts, or does not say on which day, hangs on the day it starts from"
        ground.add((*path, "rrule"), "missing", message, "add starts: 2026-01-05")


def _brings_the_key(ground: Ground, path: Path, rule: Entry) -> None:
    """A workflow by booking cannot be entered by something that is about no booking."""
    key = ground.workflow.key
    if key is None or key.split(".")[0] != "booking":
        return
    about_nobody = rule.on in ("segment.entered", "segment.left", "schedule")
    if about_nobody or (rule.on == "date" and (rule.ref or "").startswith("contact.")):
        message = f"{rule.on} is about no booking, and a passage is for a {key}"
        ground.add((*path, "on"), "no-key", message, "remove key:, or make it a workflow of its own")


def moment(ground: Ground, path: Path, moment_: Moment) -> None:
    """A length of time, or a date with its offset and clock time."""
    if (moment_.for_ is None) == (moment_.until is None):
        ground.add(path, "wait", "one of for and until is needed", "for: 2 hours, or until: booking.arrival")
        return
    ground.zone((*path, "zone"), moment_.zone)
    if moment_.for_ is not None:
        _only(ground, path, moment_, ("offset",), "for")
        ground.forward((*path, "for"), moment_.for_, "a wait")
        if moment_.at is not None and moment_.for_.seconds:
            message = "a clock time fits days; hours and minutes end when they end"
            ground.add((*path, "at"), "wait", message, "write days, or remove at", on_key=True)
    elif moment_.until is not None and (shape_of(moment_.until) == "date" or not isinstance(moment_, Waiting)):
        _dated(ground, path, moment_, moment_.until)


def _dated(ground: Ground, path: Path, moment_: Moment, until: str) -> None:
    kind = ground.path((*path, "until"), until, ground.entered_by, ("date", "instant"))
    offset = moment_.offset
    if kind == "date" and offset is not None and offset.seconds and moment_.at is None:
        message = f"{until} is a day; an offset in hours needs a clock time"
        ground.add((*path, "offset"), "wait", message, 'add at: "10:00", or write days')


def _only(ground: Ground, path: Path, block: Block, keys: Sequence[str], beside: str) -> None:
    for key in keys:
        if getattr(block, key) is not None:
            ground.add((*path, key), "wait", f"{key} has no meaning beside {beside}", f"remove {key}", on_key=True)


def wait(ground: Ground, path: Path, waiting: Waiting, *, last: bool) -> None:
    """A wait step; `last`: no step follows it in its sequence."""
    moment(ground, path, waiting)
    if waiting.for_ is not None:
        _only(ground, path, waiting, ("weekdays", "late", "missing"), "for")
        return
    if waiting.until is None:
        return
    shape = shape_of(waiting.until)
    if shape == "date":
        _only(ground, path, waiting, ("weekdays",), "a date")
        if waiting.late is None:
            message = "a wait for a date says what happens when the date is past already"
            ground.add(path, "no-late", message, "add late: go_on, skip_next, skip_to_end or exit")
        if waiting.late == "skip_next" and last:
            ground.add((*path, "late"), "nothing-to-skip", "no step follows that could be skipped", "write skip_to_end")
        return
    _only(ground, path, waiting, ("offset", "late", "missing"), f"a {shape}")
    if shape == "weekday" and waiting.at is None:
        ground.add(path, "wait", "a weekday needs a clock time", 'add at: "10:00"')
    if shape != "weekday" and waiting.at is not None:
        ground.add((*path, "at"), "wait", f"at has no meaning beside a {shape}", "remove at", on_key=True)
