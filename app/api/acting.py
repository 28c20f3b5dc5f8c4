"""What backends ask us to do: start a workflow for somebody, tick off a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy.orm import Session

from app.api import reading
from app.api.bodies import read, unfit
from app.api.pages import Wanted
from app.api.problems import ProblemError
from app.api.receiving import in_one_piece
from app.contacts.models import Contact
from app.enrollments import starting, tasks
from app.enrollments.models import Task
from app.enrollments.starting import NotStartedError, Wish
from app.events.sources import Caller
from app.house import House

MOST_DATA = 16_384
"""Bytes of a caller's own data."""

_KEY = "^[^\x00]+$"
Key = Annotated[str, Meta(min_length=1, max_length=200, pattern=_KEY)]

TASK = ("id", "team", "what", "due_at", "created_at", "done_at", "done_by", "step_id")


class StartIn(Struct, forbid_unknown_fields=True):
    """For whom a workflow is to start."""

    contact: Annotated[Key, Meta(description="Your id of the person.", examples=["guest-1093"])]
    booking: Annotated[Key, Meta(description="Reference of the booking it is about.")] | UnsetType = UNSET
    data: Annotated[dict[str, Any], Meta(description="What its steps read as `event.<name>`.")] | UnsetType = UNSET
    id: Annotated[Key, Meta(description="Your id of this wish; or send Idempotency-Key.")] | UnsetType = UNSET


def start(house: House, caller: Caller, workflow: str, given: Any, key: str | None) -> dict[str, Any]:
    """Start a workflow for somebody. Committed on return.

    Args:
        given: the body.
        key: the header Idempotency-Key, where the body names no id.

    Raises:
        ProblemError: the body does not fit, or it cannot be started.
    """
    wanted = _read(given)
    id_ = key if wanted.id is UNSET else wanted.id
    data = {} if wanted.data is UNSET else wanted.data
    booking = None if wanted.booking is UNSET else wanted.booking

    def kept(session: Session) -> bool:
        found = reading.contact(session, wanted.contact)
        if found is None:
            raise unfit("/contact", "No contact has this external id.", "Report the person first.")
        wish = Wish(found, booking, data, id_, f"source:{caller.source_id}")
        return starting.start(session, workflow, wish, "api", house.clock.now())

    try:
        fresh = in_one_piece(house, caller.workspace_id, kept)
    except NotStartedError as error:
        if error.about == "workflow":
            raise ProblemError("not-found", str(error)) from None
        pointer = "" if error.about == "entry" else f"/{error.about}"
        raise unfit(pointer, str(error), _CURES[error.about]) from None
    return {"workflow": workflow, "contact": wanted.contact, "status": "accepted" if fresh else "duplicate"}


_CURES = {
    "entry": "Add `- on: api` to its entry.",
    "contact": "Name another contact.",
    "booking": "Send the reference of a booking of this person.",
    "data": "Use other names.",
    "id": "Send a new id for another wish.",
}


def tasks_of(
    session: Session, asked: Wanted[int], *, is_done: bool, team: str | None, contact: str | None
) -> Sequence[tuple[Task, Contact, str, str | None, str | None]]:
    """Tasks, newest first; one query, and one that finds the contact."""
    contact_id = None
    if contact is not None:
        found = reading.contact(session, contact)
        if found is None:
            return []
        contact_id = found.id
    return tasks.listed(
        session, is_done=is_done, team=team, contact_id=contact_id, before=asked.after, limit=asked.limit + 1
    )


def shown_task(row: tuple[Task, Contact, str, str | None, str | None]) -> dict[str, Any]:
    """A task as JSON."""
    task, contact, workflow, reference, status = row
    shown = {name: getattr(task, name) for name in TASK}
    return {
        "contact": contact.external_id,
        "workflow": workflow,
        "booking": reference,
        "booking_status": status,
        **shown,
    }


def task_key(row: tuple[Task, Contact, str, str | None, str | None]) -> int:
    """Where a task stands in the list."""
    return row[0].id


def tick_off(house: House, caller: Caller, number: str) -> dict[str, Any]:
    """Say that a task is done; done already, it stays as it is. Gives the task. Committed on return."""
    if not (number.isascii() and number.isdecimal() and len(number) < 19):
        raise ProblemError("not-found", "No task has this number.")

    def kept(session: Session) -> dict[str, Any]:
        try:
            tasks.done(session, int(number), f"api:{caller.slug}", house.clock.now())
        except tasks.BarredError:
            detail = "Look the number up in the opposition register first, and send contact.attributes.rpo_checked_on."
            raise ProblemError("invalid", detail) from None
        found = tasks.one(session, int(number))
        if found is None:
            raise ProblemError("not-found", "No task has this number.")
        return shown_task(found)

    return in_one_piece(house, caller.workspace_id, kept)


def _read(given: Any) -> StartIn:
    wanted = read(given, StartIn)
    if wanted.data is UNSET:
        return wanted
    try:
        long = starting.size(wanted.data) > MOST_DATA
        held = b"\\u0000" in msgspec.json.encode(wanted.data)
    except (RecursionError, OverflowError, ValueError) as error:
        raise unfit("/data", "The data cannot be kept.", "Send less, and less deeply nested.") from error
    if long:
        raise unfit("/data", f"The data are longer than {MOST_DATA} bytes.", "Send less.")
    if held:
        raise unfit("/data", "The data hold U+0000.", "Leave it out.")
    return wanted
