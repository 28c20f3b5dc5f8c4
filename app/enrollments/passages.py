"""Passages in memory and in the table: read for a batch, written back for a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.audience.facts import (
    Facts,
    Who,
    behavioural,
    engagement,
    with_engagement,
    with_passage,
    with_withheld,
)
from app.db import as_rows, workspace_of
from app.enrollments import programs
from app.journey.advance import Decision, State, from_json, to_json
from app.journey.entry import Passage as Earlier
from app.journey.goals import Scored
from app.journey.program import Program

log = structlog.get_logger()

STEP_ASIDE = timedelta(hours=1)
"""How long a passage that raised, or cannot be read, waits before it is tried again."""

COLUMNS = (
    "e.contact_id, e.id, e.workflow_id, e.version_id, e.key, e.passage, e.booking_id, e.property_id, e.event,"
    " e.status, e.state, e.wake_at, e.end_reason, e.entered_at, e.ended_at, e.attempts, e.goal_at, e.goal_value,"
    " e.goal_event, e.goal_booking, e.control, e.holdout"
)


class Of(NamedTuple):
    """The passage that a line of the trace belongs to."""

    contact_id: int
    enrollment_id: int
    workflow_id: int


@dataclass(slots=True)
class Inside:
    """One passage while a batch works on it. `new` and `changed` say what must be written."""

    contact_id: int
    id: int
    workflow_id: int
    version_id: int
    key: str
    passage: int
    booking_id: int | None
    property_id: int | None
    event: Mapping[str, Any]
    event_pk: int | None
    state: State
    entered_at: datetime
    ended_at: datetime | None = None
    attempts: int = 0
    error: str | None = None
    retry_at: datetime | None = None
    goal: Scored | None = None
    control: str | None = None
    """workflow or workspace: whose control group the person is in; see `models.Enrollment`."""
    holdout: str | None = None
    acts: Mapping[str, Mapping[str, datetime]] | None = None
    """What was done with this passage's own messages; None where its program does not ask."""
    promotes: bool = False
    """Its program sends marketing: what it decides by such acts needs a consent to profiling (R13)."""
    traced: frozenset[str] = frozenset()
    """Segments that its program asks about and that rest on behaviour, where it sends marketing."""
    new: bool = False
    changed: bool = False

    @property
    def who(self) -> Who:
        """Whose facts it needs."""
        return Who(self.contact_id, self.booking_id, self.property_id)

    @property
    def earlier(self) -> Earlier:
        """As the entry rules see it."""
        return Earlier(self.key, self.state.status, self.entered_at, self.ended_at)

    @property
    def spoken(self) -> dict[str, Any]:
        """What a message may say of it: {event, enrollment}."""
        enrollment = {
            "id": self.id,
            "key": self.key,
            "entered_at": self.entered_at,
            "fields": dict(self.state.fields),
        }
        return {"event": dict(self.event), "enrollment": enrollment}

    def facts(self, loaded: Mapping[Who, Facts]) -> Facts:
        """What this passage sees: the person's facts with its own event and fields."""
        enrollment = {"id": self.id, "key": self.key, "entered_at": self.entered_at, "fields": self.state.fields}
        seen = with_passage(loaded[self.who], self.event, enrollment)
        if self.traced:
            seen = with_withheld(seen, self.traced)
        return seen if self.acts is None else with_engagement(seen, self.acts, promotes=self.promotes)

    def become(self, state: State, now: datetime) -> None:
        """Take on a new state."""
        if state.status != "active" and self.state.status == "active":
            self.ended_at = now
        self.state = state
        self.changed = True

    def stand_aside(self, error: Exception, now: datetime) -> None:
        """Be tried again in a while, with the error where it is looked for: one poisoned row never stops the line."""
        self.attempts += 1
        self.error, self.retry_at, self.changed = f"{type(error).__name__}: {error}", now + STEP_ASIDE, True


_STEP_ASIDE = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, id bigint, error text)
    )
    UPDATE enrollments e SET attempts = e.attempts + 1, error = r.error, error_at = :now, wake_at = :aside
    FROM r
    WHERE e.workspace_id = :workspace_id AND e.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
      AND e.contact_id = r.contact_id AND e.id = r.id
    """
)


def readable(session: Session, rows: Sequence[Any], now: datetime) -> list[Inside]:
    """The passages of rows with `COLUMNS`. One that cannot be read stands aside, with its error on the row, so that it
    does not stop the others; one statement, and only then."""
    found, broken = [], []
    for row in rows:
        try:
            found.append(from_row(row))
        except ValueError as error:
            log.exception("passage_unreadable", enrollment_id=row.id)
            broken.append({"contact_id": row.contact_id, "id": row.id, "error": f"{type(error).__name__}: {error}"})
    if broken:
        parameters = {
            "workspace_id": workspace_of(session),
            "rows": as_rows(broken),
            "now": now,
            "aside": now + STEP_ASIDE,
        }
        session.execute(_STEP_ASIDE, parameters)
    return found


def from_row(row: Any) -> Inside:
    """From a row with `COLUMNS`; raises ValueError where what is stored is no passage."""
    event = dict(row.event)
    if isinstance(event.get("occurred_at"), str):
        event["occurred_at"] = datetime.fromisoformat(event["occurred_at"])
    return Inside(
        contact_id=row.contact_id,
        id=row.id,
        workflow_id=row.workflow_id,
        version_id=row.version_id,
        key=row.key,
        passage=row.passage,
        booking_id=row.booking_id,
        property_id=row.property_id,
        event=event,
        event_pk=None,
        state=_as_the_row_says(from_json(row.state), row),
        entered_at=row.entered_at,
        ended_at=row.ended_at,
        attempts=row.attempts,
        goal=Scored(row.goal_event or "", row.goal_at, row.goal_value, row.goal_booking) if row.goal_at else None,
        control=row.control,
        holdout=row.holdout,
    )


def _as_the_row_says(state: State, row: Any) -> State:
    """A passage that was ended from outside its steps (a merge, an erasure), or taken up again, by its row alone.

    What is stored of its steps is left as it was, so that a merge can be undone; believed over the row, a passage that
    ended with a merge would go on beside the one it was merged into, and everything would be sent twice.
    """
    if state.status == row.status:
        return state
    return replace(state, status=row.status, reason=row.end_reason, wake_at=row.wake_at)


def load_acts(session: Session, rows: Sequence[Inside], known: Mapping[int, Program], now: datetime) -> None:
    """What people did with the messages of these passages, for those whose program asks: one query, or none.

    Conditions such as `clicked upsell` are about the passage that asks: a click in another passage does not count.
    """
    versions = {version for version, program in known.items() if programs.asks([program], "engagement")}
    asking = [row for row in rows if row.version_id in versions]
    found = engagement(session, [(row.id, row.contact_id) for row in asking], now)
    for row in asking:
        row.acts, row.promotes = found.get(row.id, {}), known[row.version_id].promotes


def load_traced(session: Session, rows: Sequence[Inside], known: Mapping[int, Program]) -> None:
    """Which segments rest on behaviour, for passages that decide on marketing by them: two queries, or none."""
    asked = {row.version_id: known[row.version_id].segments for row in rows if known[row.version_id].promotes}
    traced = behavioural(session, {name for names in asked.values() for name in names})
    for row in rows:
        row.traced = traced & asked.get(row.version_id, frozenset())


_INSERT = text(
    """
    INSERT INTO enrollments (workspace_id, contact_id, id, workflow_id, version_id, key, passage, booking_id,
        property_id, event_pk, event, status, state, step_id, wake_at, waits_for, entered_at, ended_at, end_reason,
        outcome, goal_at, goal_value, goal_event, goal_booking, control, holdout)
    SELECT :workspace_id, contact_id, id, workflow_id, version_id, key, passage, booking_id,
        property_id, event_pk, event, status, state, step_id, wake_at, waits_for, entered_at, ended_at, end_reason,
        outcome, goal_at, goal_value, goal_event, goal_booking, control, holdout
    FROM json_to_recordset(CAST(:rows AS json)) AS r(contact_id bigint, id bigint, workflow_id bigint,
        version_id bigint, key text, passage int, booking_id bigint, property_id bigint, event_pk bigint, event jsonb,
        status text, state jsonb, step_id text, wake_at timestamptz, waits_for text[], entered_at timestamptz,
        ended_at timestamptz, end_reason text, outcome text, goal_at timestamptz, goal_value bigint, goal_event text,
        goal_booking text, control text, holdout text)
    """
)
_UPDATE = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, id bigint,
            event jsonb, status text, state jsonb, step_id text, wake_at timestamptz, waits_for text[],
            ended_at timestamptz, end_reason text, outcome text, goal_at timestamptz, goal_value bigint,
            goal_event text, goal_booking text, attempts int, error text)
    )
    UPDATE enrollments e SET event = r.event, status = r.status, state = r.state, step_id = r.step_id,
        wake_at = r.wake_at, waits_for = r.waits_for, ended_at = r.ended_at, end_reason = r.end_reason,
        outcome = r.outcome, goal_at = r.goal_at, goal_value = r.goal_value, goal_event = r.goal_event,
        goal_booking = r.goal_booking, attempts = r.attempts, error = r.error,
        error_at = CASE WHEN r.error IS NULL THEN NULL ELSE :now END
    FROM r
    WHERE e.workspace_id = :workspace_id AND e.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
      AND e.contact_id = r.contact_id AND e.id = r.id
    """
)
_VISITS = text(
    """
    INSERT INTO step_visits (workspace_id, contact_id, enrollment_id, workflow_id, step_id, code, detail, at)
    SELECT :workspace_id, contact_id, enrollment_id, workflow_id, step_id, code, detail, at
    FROM ROWS FROM (json_to_recordset(CAST(:rows AS json)) AS (contact_id bigint, enrollment_id bigint,
        workflow_id bigint, step_id text, code text, detail jsonb, at timestamptz))
        WITH ORDINALITY AS r(contact_id, enrollment_id, workflow_id, step_id, code, detail, at, place)
    ORDER BY place
    """
)
_CANCEL = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, enrollment_id bigint,
            reason text)
    )
    UPDATE messages m SET state = 'cancelled', reason = r.reason, rule = 'R60', ended_at = :now
    FROM r
    WHERE m.workspace_id = :workspace_id AND m.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
      AND m.contact_id = r.contact_id AND m.enrollment_id = r.enrollment_id
        AND m.state IN ('planned', 'deferred', 'ready')
    """
)


def allot(session: Session, count: int) -> list[int]:
    """`count` fresh enrollment ids, in one query: their visits and messages can then be written in the same batch."""
    if not count:
        return []
    query = text("SELECT nextval(pg_get_serial_sequence('enrollments', 'id')) FROM generate_series(1, :count)")
    return [int(row[0]) for row in session.execute(query, {"count": count})]


def write(session: Session, rows: Sequence[Inside], now: datetime) -> None:
    """Insert what is new, update what has changed: two statements at most."""
    fresh = [_as_row(row) for row in rows if row.new]
    known = [_as_row(row) for row in rows if row.changed and not row.new]
    workspace_id = workspace_of(session)
    if fresh:
        session.execute(_INSERT, {"workspace_id": workspace_id, "rows": as_rows(fresh)})
    if known:
        session.execute(_UPDATE, {"workspace_id": workspace_id, "rows": as_rows(known), "now": now})


def write_visits(session: Session, visits: Sequence[tuple[Inside, Decision]]) -> None:
    """Keep the trace: one statement."""
    write_decisions(session, [(Of(row.contact_id, row.id, row.workflow_id), decision) for row, decision in visits])


def write_decisions(session: Session, told: Sequence[tuple[Of, Decision]]) -> None:
    """The same for who has not the whole passage at hand: one statement."""
    if not told:
        return
    rows = [
        {
            **of._asdict(),
            "step_id": decision.step_id,
            "code": decision.code,
            "detail": {"sentence": decision.sentence, "inputs": decision.inputs},
            "at": decision.at,
        }
        for of, decision in told
    ]
    session.execute(_VISITS, {"workspace_id": workspace_of(session), "rows": as_rows(rows)})


def cancel_messages(session: Session, left: Sequence[tuple[Inside, str]], now: datetime) -> None:
    """End what was planned for passages that an exit rule ended: one statement.

    Only for exits that come from outside the steps: what a passage planned just before its own last step must go out.
    """
    if not left:
        return
    rows = [{"contact_id": row.contact_id, "enrollment_id": row.id, "reason": f"exited:{why}"} for row, why in left]
    session.execute(_CANCEL, {"workspace_id": workspace_of(session), "rows": as_rows(rows), "now": now})


def _as_row(row: Inside) -> dict[str, Any]:
    state = row.state
    return {
        "contact_id": row.contact_id,
        "id": row.id,
        "workflow_id": row.workflow_id,
        "version_id": row.version_id,
        "key": row.key,
        "passage": row.passage,
        "booking_id": row.booking_id,
        "property_id": row.property_id,
        "event_pk": row.event_pk,
        "event": dict(row.event),
        "status": state.status,
        "state": to_json(state),
        "step_id": state.step_id,
        "wake_at": row.retry_at or state.wake_at,
        "waits_for": list(state.waits_for),
        "entered_at": row.entered_at,
        "ended_at": row.ended_at,
        "end_reason": state.reason,
        "outcome": state.outcome,
        "goal_at": row.goal.at if row.goal else None,
        "goal_value": row.goal.value if row.goal else None,
        "goal_event": row.goal.event_id if row.goal else None,
        "goal_booking": row.goal.booking if row.goal else None,
        "control": row.control,
        "holdout": row.holdout,
        "attempts": row.attempts,
        "error": row.error,
    }
