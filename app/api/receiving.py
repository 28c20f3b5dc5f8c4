"""From the bytes of a request to recorded events: read, judged one by one, committed before the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.api.problems import ProblemError
from app.enrollments import follow
from app.events.incoming import MOST, Incoming, Problem, Verdict, read
from app.events.record import record
from app.events.sources import Caller
from app.house import House

TRIES = 3
_DEADLOCK = "40P01"

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Batch:
    """The events of a request; `alone` where it was one event and no list."""

    events: Sequence[Incoming | Verdict]
    alone: bool


def read_json(body: bytes) -> Any:
    """The JSON of a request.

    Raises:
        ProblemError: it is none.
    """
    try:
        return msgspec.json.decode(body)
    except RecursionError as error:
        raise ProblemError("malformed", "The JSON nests too deeply.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProblemError("malformed", f"{error}." if body else "The request has no body.") from error


def read_batch(body: bytes) -> Batch:
    """The events of a request: one object, or `{"events": [...]}` with up to 1,000.

    Raises:
        ProblemError: no JSON, no events, or too many.
    """
    found = read_json(body)
    if not isinstance(found, dict):
        raise _unfit("", "The body is no object.", 'Send one event, or {"events": [...]}.')
    if "events" not in found:
        return Batch([read(found)], alone=True)
    events = found["events"]
    if not isinstance(events, list):
        raise _unfit("/events", "This is no list.", "Send a list of events.")
    if len(events) > MOST:
        raise _unfit("/events", f"There are {len(events)} events.", f"Send at most {MOST} at a time.")
    return Batch([read(raw, f"/events/{place}") for place, raw in enumerate(events)], alone=False)


def take(house: House, caller: Caller, batch: Batch) -> list[Verdict]:
    """Record the events of a request. When this returns they are committed.

    Raises:
        ProblemError: the request was one event alone, and it is rejected.
    """

    def kept(session: Session) -> list[Verdict]:
        return record(session, caller.reporter, batch.events, house.clock.now(), follow.rebind)

    if not batch.alone or isinstance(batch.events[0], Incoming):
        verdicts = in_one_piece(house, caller.workspace_id, kept)
    else:
        verdicts = [batch.events[0]]
    if batch.alone and verdicts[0].status == "rejected":
        raise ProblemError("invalid", "The event was rejected.", verdicts[0].problems)
    return verdicts


def in_one_piece(house: House, workspace_id: int, work: Callable[[Session], Done]) -> Done:
    """Do `work` in one unit of work; where the database broke a deadlock at its cost, do it again."""
    for _ in range(TRIES - 1):
        try:
            with house.database.work(workspace_id) as session:
                return work(session)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _DEADLOCK:
                raise
    with house.database.work(workspace_id) as session:
        return work(session)


def shown(verdict: Verdict) -> dict[str, Any]:
    """A verdict as the answer shows it: what is empty is left out."""
    plain: dict[str, Any] = {"id": verdict.id, "status": verdict.status}
    if verdict.conflict:
        plain["conflict"] = True
    if verdict.unmapped:
        plain["unmapped"] = True
    if verdict.quarantined:
        plain["quarantined"] = verdict.quarantined
    for name, some in (("problems", verdict.problems), ("warnings", verdict.warnings)):
        if some:
            plain[name] = [{"pointer": one.pointer, "detail": one.detail, "cure": one.cure} for one in some]
    return plain


def _unfit(pointer: str, detail: str, cure: str) -> ProblemError:
    return ProblemError("invalid", "The body does not fit.", [Problem(pointer, detail, cure)])
