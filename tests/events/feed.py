"""Reported events for tests: short to write, and recorded through the same two calls as the API's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from app.events.incoming import Verdict, read
from app.events.record import Moved, Reporter, record

NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
GIULIA = {"external_id": "g-1", "email": "giulia@example.com", "first_name": "Giulia", "last_name": "Bianchi"}


def event(name: str, type_: str, *, minutes: int = 0, **given: Any) -> dict[str, Any]:
    """An event `minutes` after NOW (mostly negative), of Giulia unless `contact` is given; None: of nobody."""
    contact = given.pop("contact", GIULIA)
    raw = {"id": name, "type": type_, "occurred_at": (NOW + timedelta(minutes=minutes)).isoformat(), **given}
    return raw if contact is None else {**raw, "contact": contact}


def stay(name: str, what: str, *, minutes: int = 0, reference: str = "B-1", **given: Any) -> dict[str, Any]:
    """A `booking.<what>`; fields of the booking are given by name, fields of the event as `event_fields`."""
    more = given.pop("event_fields", {})
    contact = given.pop("contact", GIULIA)
    booking = {"booking": {"reference": reference, **given}}
    return event(name, f"booking.{what}", minutes=minutes, contact=contact, data=booking, **more)


def report(
    session: Session,
    raws: Sequence[Any],
    *,
    source: Reporter | None = None,
    now: datetime = NOW,
    moved: Moved | None = None,
) -> list[Verdict]:
    """Record `raws` as one batch."""
    events = [read(raw, f"/events/{place}") for place, raw in enumerate(raws)]
    return record(session, source or Reporter(1), events, now, moved)
