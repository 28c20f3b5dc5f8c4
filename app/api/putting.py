"""A contact that is put is a `contact.updated` event like any other: one way in, one history, newest fact wins."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.api import reading
from app.api.problems import ProblemError
from app.api.receiving import in_one_piece
from app.enrollments import follow
from app.events.incoming import Incoming, Problem, Verdict, read
from app.events.record import record
from app.events.sources import Caller
from app.house import House


def event_of(external_id: str, given: Any, now: datetime) -> Incoming:
    """The event that putting `given` under `external_id` is.

    Raises:
        ProblemError: the id or the body does not fit; pointers are the body's.
    """
    if not isinstance(given, dict):
        raise _unfit([Problem("", "The body is no object.", "Send an object of the fields to set.")])
    if given.get("external_id", external_id) != external_id:
        raise _unfit([Problem("/external_id", "This is not the id of the path.", "Leave it out.")])
    event = read(
        {
            "id": f"put-{secrets.token_hex(12)}",
            "type": "contact.updated",
            "occurred_at": now.isoformat(),
            "contact": {**given, "external_id": external_id},
        }
    )
    if isinstance(event, Verdict):
        raise _unfit(event.problems)
    return event


def put(house: House, caller: Caller, event: Incoming) -> dict[str, Any]:
    """Record the event; gives the contact as it is then, and as `warnings` what was left out. Committed on return."""

    def kept(session: Any) -> dict[str, Any]:
        (verdict,) = record(session, caller.reporter, [event], house.clock.now(), follow.rebind)
        external_id = (event.contact.external_id if event.contact else None) or ""
        found = reading.contact(session, str(external_id))
        if found is None:
            raise ProblemError("not-found", "The contact was put and is gone again.")
        warnings = [_below(one) for one in verdict.warnings]
        shown = reading.shown_contact(found)
        return {**shown, "warnings": [{"pointer": w.pointer, "detail": w.detail, "cure": w.cure} for w in warnings]}

    return in_one_piece(house, caller.workspace_id, kept)


def _below(problem: Problem) -> Problem:
    return replace(problem, pointer=problem.pointer.removeprefix("/contact"))


def _unfit(problems: Any) -> ProblemError:
    return ProblemError("invalid", "The contact does not fit.", [_below(one) for one in problems])
