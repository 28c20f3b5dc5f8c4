"""Broadcasts over the API: the same desk that people sit at, for other systems."""

from __future__ import annotations

import time as clock
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.api.bodies import read, unfit
from app.api.pages import Wanted
from app.api.problems import ProblemError
from app.contacts.models import Property
from app.events.incoming import Problem
from app.messages import broadcast_desk as desk
from app.messages.broadcast_audience import UnknownSegmentError
from app.messages.broadcast_desk import BroadcastError, Wish
from app.messages.broadcast_preview import Count, count_on
from app.messages.models import Broadcast

BROADCAST = (
    *("id", "name", "state", "template", "topic", "segment", "timing", "starts_at", "local_day", "local_time"),
    *("window_hours", "on_hit", "audience", "planned", "created_by", "created_at", "updated_at", "confirmed_by"),
    *("confirmed_at", "confirmed_for", "started_at", "ended_at", "ended_by"),
)
COUNT_SECONDS = 2.0

Words = Annotated[str, Meta(min_length=1, max_length=200, pattern="^[^\x00]+$")]


class BroadcastIn(Struct, forbid_unknown_fields=True):
    """A broadcast as a system writes it down."""

    name: Words
    template: Words
    segment: Words | None = None
    topic: Words | None = None
    property: Annotated[Words, Meta(description="Code of the property that speaks.")] | None = None
    timing: Literal["now", "at", "local"] = "now"
    at: Annotated[datetime, Meta(tz=True, description="When, for `at`.")] | None = None
    day: Annotated[date, Meta(description="Which day, for `local`.")] | None = None
    time: Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", description="For `local`.")] | None = None
    window_hours: Annotated[int, Meta(ge=1, le=336)] = 24
    on_hit: Literal["defer", "drop"] = "defer"


class ScheduleIn(Struct, forbid_unknown_fields=True):
    """That it shall go, with the number it was counted to."""

    people: Annotated[int, Meta(ge=0, le=2**53)]


def listed(session: Session, asked: Wanted[int], state: str | None) -> Sequence[Broadcast]:
    """Broadcasts, newest first. One query."""
    query = select(Broadcast).order_by(Broadcast.id.desc()).limit(asked.limit + 1)
    if state is not None:
        query = query.where(Broadcast.state == state)
    return session.scalars(query.where(Broadcast.id < asked.after) if asked.after is not None else query).all()


def shown(broadcast: Broadcast) -> dict[str, Any]:
    """A broadcast as JSON."""
    return {"class": broadcast.class_, **{name: getattr(broadcast, name) for name in BROADCAST}}


def key(broadcast: Broadcast) -> int:
    """Where it stands in the list."""
    return broadcast.id


def one(session: Session, number: str) -> Broadcast:
    """A broadcast by its number, locked until the end of this unit of work; raises ProblemError."""
    found = None
    if number.isascii() and number.isdecimal() and len(number) < 19:
        found = desk.find(session, int(number))
    if found is None:
        raise ProblemError("not-found", "No broadcast has this number.")
    return found


def told(session: Session, broadcast: Broadcast) -> dict[str, Any]:
    """A broadcast with its count and its results. One query."""
    counted = Count.from_json(broadcast.preview)
    results = desk.results(session, broadcast.id)
    count = {"people": counted.people, "may": counted.may, "later": counted.later, "done": counted.done}
    return {
        **shown(broadcast),
        "count": {**count, "refused": dict(counted.refused or {})} if counted.at else None,
        "results": {
            "sent": results.sent, "to_come": results.to_come, "refused": dict(results.refused),
            "delivered": results.delivered, "bounced": results.bounced, "complained": results.complained,
            "clicked": results.clicked, "machines": results.machines,
        },
    }  # fmt: skip


def written(session: Session, given: Any, by: str, now: datetime) -> dict[str, Any]:
    """A new draft as JSON; raises ProblemError, with every field that is wrong."""
    wanted = read(given, BroadcastIn)
    wish = Wish(
        wanted.name,
        wanted.template,
        wanted.segment,
        wanted.topic,
        _property(session, wanted.property),
        wanted.timing,
        wanted.at,
        wanted.day,
        time.fromisoformat(wanted.time) if wanted.time else None,
        wanted.window_hours,
        wanted.on_hit,
    )
    try:
        return shown(desk.write(session, wish, by, now))
    except BroadcastError as error:
        raise _refused(error) from None
    except OverflowError:
        raise unfit("/day", "This day is out of reach.", "Send one of this century.") from None


def _property(session: Session, code: str | None) -> int | None:
    if code is None:
        return None
    found = session.scalar(select(Property.id).where(Property.code == code))
    if found is None:
        raise unfit("/property", "No property has this code.", "Send the code that Settings shows.")
    return found


def counted(session: Session, broadcast: Broadcast, now: datetime) -> dict[str, Any]:
    """Count on for a moment; raises ProblemError."""
    if broadcast.state != "draft":
        raise _refused(BroadcastError({"state": "not_a_draft"}))
    until = clock.monotonic() + COUNT_SECONDS
    try:
        count_on(session, broadcast, now, lambda: clock.monotonic() < until)
    except UnknownSegmentError:
        raise _refused(BroadcastError({"segment": "unknown"})) from None
    session.flush()
    return told(session, broadcast)


def scheduled(session: Session, broadcast: Broadcast, given: Any, by: str, now: datetime) -> dict[str, Any]:
    """Let it go; raises ProblemError."""
    wanted = read(given, ScheduleIn)
    try:
        desk.confirm(session, broadcast, wanted.people, by, now)
    except BroadcastError as error:
        raise _refused(error) from None
    session.flush()
    return told(session, broadcast)


def cancelled(session: Session, broadcast: Broadcast, by: str, now: datetime) -> dict[str, Any]:
    """End it for good; raises ProblemError."""
    try:
        desk.stop(session, broadcast, by, now)
    except BroadcastError as error:
        raise _refused(error) from None
    session.flush()
    return told(session, broadcast)


_POINTERS: Mapping[str, str] = {"local_day": "/day", "state": ""}
_SAID: Mapping[tuple[str, str], tuple[str, str]] = {
    ("template", "unpublished"): ("No template of this name is published.", "Send the name of one that is."),
    ("template", "missing"): ("There is no template.", "Name one."),
    ("template", "consent_request"): ("A confirmation request is no broadcast.", "Name another template."),
    ("template", "needs_booking"): ("It speaks of a booking or an event.", "Name one that speaks of the person only."),
    ("topic", "missing"): ("Marketing needs a topic.", "Name one."),
    ("segment", "unknown"): ("There is no segment of this name.", "See GET /api/v1/segments."),
    ("name", "missing"): ("It has no name.", "Give it one."),
    ("at", "missing"): ("It lacks its instant.", "Send `at`."),
    ("at", "past"): ("Its hour has passed.", "Send a later one."),
    ("local_day", "missing"): ("It lacks its day or its time.", "Send `day` and `time`."),
    ("local_day", "past"): ("Its hour has passed at the property's own clock.", "Send a later one."),
    ("people", "not_counted"): ("It has not been counted to the end.", "Ask for its count until `done`."),
    ("people", "another_number"): ("It was counted to another number.", "Send `count.may` and `count.later` added."),
    ("state", "not_a_draft"): ("It is no draft any more.", "Write a new one."),
    ("state", "not_running"): ("It is not scheduled, nor being sent.", "Nothing is to be cancelled."),
}


def _refused(error: BroadcastError) -> ProblemError:
    errors = []
    for field, code in error.problems.items():
        detail, cure = _SAID.get((field, code), (f"This does not fit: {code}.", "Send what /api/v1/docs says."))
        errors.append(Problem(_POINTERS.get(field, f"/{field}"), detail, cure))
    return ProblemError("invalid", "The broadcast does not fit.", errors)
