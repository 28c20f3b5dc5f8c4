"""Before a broadcast goes: how many people it would reach, and why not the others, by the gate's own rules.

A dry run: `gate.judge` decides about messages that are nowhere written down, page after page. What it says holds for
the instant it was asked; each message is judged again when its hour has come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from app.messages import gate
from app.messages.broadcast_audience import page, reads_of
from app.messages.models import Broadcast

PAGE = 500
_NUMBERS = 1 << 62
"""Numbers of messages that do not exist begin here, so that every real one of the same priority ranks before them."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that is only thought of; the gate reads it like any other."""

    id: int
    contact_id: int
    property_id: int | None
    template: str
    class_: str
    topic: str | None
    priority: int
    due_at: datetime
    latest: datetime | None
    terms: Mapping[str, Any] | None
    broadcast_id: int | None = None
    enrollment_id: int | None = None
    workflow_id: int | None = None
    version_id: int | None = None
    step_id: str | None = None
    visit: int = 1
    booking_id: int | None = None
    channel: str = "email"
    state: str = "planned"
    attempts: int = 0
    facts: dict[str, Any] | None = None

    @property
    def planned_at(self) -> datetime:
        """When it would have been planned."""
        return self.due_at


@dataclass(slots=True)
class Count:
    """What has been counted so far; `as_json` is kept on the broadcast."""

    people: int = 0
    """In the segment."""
    may: int = 0
    """May be written to at that hour."""
    later: int = 0
    """May be written to, but not at that hour: the cap or quiet hours put them off within the window."""
    refused: dict[str, int] | None = None
    """Reason → people."""
    after: int = 0
    """The last contact looked at."""
    done: bool = False
    at: str = ""
    """When the counting began."""

    def as_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "people": self.people,
            "may": self.may,
            "later": self.later,
            "refused": dict(sorted((self.refused or {}).items(), key=lambda item: (-item[1], item[0]))),
            "after": self.after,
            "done": self.done,
            "at": self.at,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any] | None) -> Count:
        """What was kept; nothing counted yet where nothing was."""
        return cls(**{**(kept or {}), "refused": dict((kept or {}).get("refused") or {})})


def count_on(session: Session, broadcast: Broadcast, now: datetime, go_on: Callable[[], bool]) -> Count:
    """Count page after page while `go_on` says so, and keep on the broadcast how far it came.

    Raises UnknownSegmentError. Each page is what one page of its segment costs and `gate.judge`'s grounds.
    """
    kept = Count.from_json(broadcast.preview)
    counted = Count() if kept.done or not kept.at else kept
    counted.at = counted.at or now.isoformat()
    counted.refused = counted.refused or {}
    hour = max(broadcast.starts_at or now, now)
    reads: list[str] | None = None
    while not counted.done:
        ids = page(session, broadcast.segment, now, counted.after, PAGE)
        reads = reads_of(session, broadcast) if reads is None else reads
        drafts = [draft(broadcast, contact_id, hour, reads) for contact_id in ids]
        decisions = gate.judge(session, drafts, hour, "gate", lambda *_: {}) if drafts else {}
        for decision in decisions.values():
            if decision.outcome == "refused":
                counted.refused[decision.code] = counted.refused.get(decision.code, 0) + 1
            elif decision.outcome == "deferred":
                counted.later += 1
            else:
                counted.may += 1
        counted.people += len(ids)
        counted.after = ids[-1] if ids else counted.after
        counted.done = len(ids) < PAGE
        if not go_on():
            break
    broadcast.preview = counted.as_json()
    return counted


def draft(broadcast: Broadcast, contact_id: int, hour: datetime, reads: Sequence[str]) -> Draft:
    """The message one person would get; `reads` as `reads_of` gives it."""
    return Draft(
        _NUMBERS + contact_id,
        contact_id,
        broadcast.property_id,
        broadcast.template,
        broadcast.class_,
        broadcast.topic,
        broadcast.priority,
        hour,
        hour + timedelta(hours=broadcast.window_hours),
        {**(broadcast.terms or {}), "reads": list(reads) or None},
        broadcast.id,
    )
