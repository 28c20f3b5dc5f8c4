"""Starting a workflow for somebody: by a person's hand, or because a backend asks. Both are an event in the log.

Whether the person may enter is decided by `enrol` like for any other event, and kept with its reason; what is answered
here is that the wish was recorded, or why it cannot be one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.contacts.models import Booking, Contact
from app.enrollments import programs
from app.enrollments.effects import STARTED
from app.enrollments.programs import Live
from app.events.record import OwnEvent, is_repeated, record_own

By = Literal["manual", "api"]

RESERVED = frozenset({"workflow", "by", "key", "caused_by", "awaited", "id", "type", "occurred_at"})
"""Names that a caller's own data may not take."""


class NotStartedError(ValueError):
    """It cannot be started; the message says why. `about` is workflow, contact, booking, data or id."""

    def __init__(self, about: str, message: str) -> None:
        super().__init__(message)
        self.about = about


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom to start a workflow for.

    Args:
        contact: of the person.
        booking: reference, where the passage is about one.
        data: what the steps read as `event.<name>`.
        id: the caller's name for this wish: of several under one id only the first counts.
        asker: keeps the ids of two askers apart, such as a source's number.
    """

    contact: Contact
    booking: str | None = None
    data: Mapping[str, Any] | None = None
    id: str | None = None
    asker: str = ""


def start(session: Session, workflow: str, wish: Wish, by: By, now: datetime) -> bool:
    """Record the wish; at most seven queries.

    Returns:
        False where this very wish was recorded before.

    Raises:
        NotStartedError: no live workflow of that name takes people in this way, the booking is not the person's, the
            data do not fit, or the id was used for another wish.
    """
    live = _open(session, workflow, by)
    if wish.contact.merged_into or wish.contact.erased_at:
        raise NotStartedError("contact", "This contact is no longer there.")
    taken = RESERVED & set(wish.data or {})
    if taken:
        raise NotStartedError("data", f"These names are taken: {', '.join(sorted(taken))}.")
    booking = _booking(session, wish) if wish.booking is not None else None
    if booking is None and (live.program.key or "").startswith("booking."):
        raise NotStartedError("booking", "This workflow is about a booking; name it.")
    id_ = None
    if wish.id is not None:
        # Hashed: the id outlives the person, and a caller may have put anything into it.
        id_ = "start:" + sha256(f"{wish.asker}\x00{workflow}\x00{wish.id}".encode()).hexdigest()[:40]
    event = OwnEvent(
        contact_id=wish.contact.id,
        type=STARTED,
        occurred_at=now,
        data={**(wish.data or {}), "workflow": workflow, "by": by},
        booking_id=booking.id if booking else None,
        booking_reference=booking.reference if booking else None,
        property_id=booking.property_id if booking else None,
        id=id_,
    )
    if record_own(session, [event], now):
        return True
    if not is_repeated(session, event):
        raise NotStartedError("id", "This id was used for another wish.")
    return False


def startable(session: Session, by: By) -> Sequence[Live]:
    """The workflows that may be started this way, by name; two queries at most."""
    return [each for each in programs.live(session) if each.status == "live" and _takes(each, by)]


def _takes(live: Live, by: By) -> bool:
    return any(rule.on == STARTED and by in rule.by for rule in live.program.entry)


def _open(session: Session, workflow: str, by: By) -> Live:
    found = next((each for each in programs.live(session) if each.program.workflow == workflow), None)
    if found is None:
        raise NotStartedError("workflow", f"No live workflow is named {workflow}.")
    if not _takes(found, by):
        raise NotStartedError("entry", f"{workflow} is not started this way: it has no entry `on: {by}`.")
    return found


def _booking(session: Session, wish: Wish) -> Booking:
    found = session.scalars(
        select(Booking).where(Booking.reference == wish.booking, Booking.contact_id == wish.contact.id)
    ).first()
    if found is None:
        raise NotStartedError("booking", f"This person has no booking {wish.booking}.")
    return found


def size(data: Any) -> int:
    """How long data are as JSON, in bytes."""
    return len(msgspec.json.encode(data))
