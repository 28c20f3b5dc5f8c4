"""Enrol: recorded events meet the rules of the live workflows. Who starts, is refreshed, is heard, leaves.

A batch is a fixed number of queries (`QUERIES`), whatever it holds. An event that cannot be dealt with steps aside for
an hour with its error and never stops the line.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.audience import facts as audience
from app.audience.facts import Facts, Who
from app.db import Ran, as_rows, workspace_of
from app.enrollments import effects, experiments, first_steps, history, occasions, passages, programs, standing
from app.enrollments.effects import Done, Listeners
from app.enrollments.history import Past
from app.enrollments.passages import Inside
from app.enrollments.programs import Live
from app.events.record import OwnEvent
from app.journey import advance, entry, goals
from app.journey.advance import Decision
from app.journey.entry import Enter, Event, NotEntered, Refresh, Restart
from app.journey.program import Program
from app.messages.plan import Planned, plan
from app.queues import signal

log = structlog.get_logger()

QUERIES = 28 + first_steps.QUERIES
"""At most this many statements a batch: lock, claim, live workflows, their programs, passages, programs of the
versions people are pinned to, facts (4), segments, what these rest on (2) and clicks (where a program asks), past
events (2), ids, insert, update, visits, cancelled messages, own events (3) where somebody awaits or hears an end, dates
that come soon, passages so far where a workflow takes only so many, what first steps ask for and the messages they
plan, refusals and the work rows."""


_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('enrol', :workspace_id))")
_CLAIM = text(
    """
    SELECT w.contact_id, w.event_pk, w.attempts, e.event_id, e.type, e.occurred_at, e.ordered_at, e.property_id,
        e.booking_id, e.booking_reference, e.data
    FROM event_work w
    JOIN events e ON e.workspace_id = w.workspace_id AND e.contact_id = w.contact_id AND e.id = w.event_pk
        AND e.received_at = w.received_at
    WHERE w.workspace_id = :workspace_id AND (w.not_before IS NULL OR w.not_before <= :now)
    ORDER BY w.event_pk
    LIMIT :limit
    FOR UPDATE OF w SKIP LOCKED
    """
)
_PASSAGES = text(
    f"""
    SELECT {passages.COLUMNS}, e.status <> 'active' AND EXISTS (
        SELECT 1 FROM messages m WHERE m.workspace_id = e.workspace_id AND m.contact_id = e.contact_id
            AND m.enrollment_id = e.id
            AND m.state IN ('planned', 'deferred', 'ready')
    ) AS has_open
    FROM enrollments e
    WHERE e.workspace_id = :workspace_id AND e.contact_id = ANY(:contact_ids)
    ORDER BY e.id
    FOR UPDATE OF e
    """
)
_ENTRIES = text(
    """
    SELECT r.workflow_id, (SELECT count(*) FROM (SELECT 1 FROM enrollments e WHERE e.workspace_id = :workspace_id
        AND e.workflow_id = r.workflow_id LIMIT r.most) AS counted) AS entries
    FROM json_to_recordset(CAST(:rows AS json)) AS r(workflow_id bigint, most bigint)
    """
)
_REFUSALS = text(
    """
    INSERT INTO entry_refusals (workspace_id, contact_id, workflow_id, version_id, event_pk, code, detail, at)
    SELECT :workspace_id, contact_id, workflow_id, version_id, event_pk, code, detail, :now
    FROM json_to_recordset(CAST(:rows AS json)) AS r(contact_id bigint, workflow_id bigint, version_id bigint,
        event_pk bigint, code text, detail jsonb)
    ON CONFLICT DO NOTHING
    """
)
_DONE = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS r(contact_id bigint, event_pk bigint, error text)
    ),
    failed AS (
        UPDATE event_work w SET attempts = w.attempts + 1, not_before = :aside, error = r.error
        FROM r WHERE w.workspace_id = :workspace_id AND w.contact_id = r.contact_id AND w.event_pk = r.event_pk
            AND r.error IS NOT NULL
    )
    DELETE FROM event_work w USING r
    WHERE w.workspace_id = :workspace_id AND w.contact_id = r.contact_id AND w.event_pk = r.event_pk
        AND r.error IS NULL
    """
)


@dataclass(slots=True)
class _Batch:
    """What the events of one batch have led to so far."""

    now: datetime
    live: Sequence[Live]
    pinned: Mapping[int, Program]
    facts: Mapping[Who, Facts]
    past: Mapping[int, Sequence[Past]]
    by_contact: dict[int, list[Inside]]
    open_messages: set[int]
    entries: Mapping[int, int]
    """How many passages there are already, of workflows that take only so many."""
    unreadable: set[int]
    """Contacts with a passage that cannot be read: their events wait, as an exit must not be overlooked."""
    visits: list[tuple[Inside, Decision]] = field(default_factory=list)
    left: list[tuple[Inside, str]] = field(default_factory=list)
    refusals: list[dict[str, Any]] = field(default_factory=list)
    over: list[Inside] = field(default_factory=list)
    """Who has ended here."""
    told: list[OwnEvent] = field(default_factory=list)
    """What passages are told that await others which could not start."""

    @property
    def noted(self) -> tuple[list[Any], ...]:
        """All that one event adds to, for taking back what it has half done."""
        return self.visits, self.left, self.refusals, self.over, self.told

    def facts_of(self, who: Who, event: Mapping[str, Any], reference: str | None) -> Facts:
        """The person's facts with what is known to have happened to them, over all and for one booking."""
        return {**self.facts[who], "event": event, **self.history(who.contact_id, reference)}

    def seen(self, row: Inside) -> Facts:
        """What one passage sees, with what is known to have happened."""
        facts = row.facts(self.facts)
        return facts | self.history(row.contact_id, facts["booking"]["reference"] if facts["booking"] else None)

    def entered(self, live: Live) -> int:
        """How many passages of a workflow with `max_entries` there are by now, those of this batch among them."""
        fresh = (row.new and row.workflow_id == live.workflow_id for rows in self.by_contact.values() for row in rows)
        return self.entries.get(live.workflow_id, 0) + sum(fresh)

    def require_readable(self, contact_id: int) -> None:
        """Raise where a passage of this person cannot be read: what an event means to it would not be known."""
        if contact_id in self.unreadable:
            raise ValueError("A passage of this person cannot be read.")

    def history(self, contact_id: int, reference: str | None) -> Facts:
        """What happened to a contact, over all and for one booking, as the core reads it."""
        return history.as_facts(self.past.get(contact_id, ()), reference)


def alone(session: Session) -> None:
    """Be the only one who lets people into workflows, until this unit of work ends.

    Two workers could otherwise take a booking and its cancellation apart, and a new version would overlook who is
    being taken in on the old one.
    """
    session.execute(_LOCK, {"workspace_id": workspace_of(session)})


def run(session: Session, now: datetime, limit: int) -> Ran:
    """Deal with up to `limit` recorded events of one workspace, in the order they were recorded."""
    workspace_id = workspace_of(session)
    alone(session)
    work = session.execute(_CLAIM, {"workspace_id": workspace_id, "now": now, "limit": limit}).all()
    if not work:
        return Ran(0, False)
    batch = _load(session, workspace_id, work, now)
    occasions.noticed(session, batch.live, batch.facts, now)
    outcome = [{"contact_id": row.contact_id, "event_pk": row.event_pk, "error": _deal(batch, row)} for row in work]
    _write(session, workspace_id, batch)
    session.execute(_DONE, {"workspace_id": workspace_id, "rows": as_rows(outcome), "aside": now + passages.STEP_ASIDE})
    touched = [row for rows in batch.by_contact.values() for row in rows if row.new or row.changed]
    if any(row.state.wake_at and row.state.wake_at <= now for row in touched):
        signal(session, "advance")
    # What waited for these events may be judged now.
    signal(session, "gate")
    return Ran(len(work), len(work) == limit)


def _load(session: Session, workspace_id: int, work: Sequence[Any], now: datetime) -> _Batch:
    contact_ids = sorted({row.contact_id for row in work})
    live = programs.live(session)
    by_contact: dict[int, list[Inside]] = defaultdict(list)
    open_messages: set[int] = set()
    unreadable: set[int] = set()
    for row in session.execute(_PASSAGES, {"workspace_id": workspace_id, "contact_ids": contact_ids}):
        try:
            by_contact[row.contact_id].append(passages.from_row(row))
        except ValueError:
            unreadable.add(row.contact_id)
        if row.has_open:
            open_messages.add(row.id)
    inside = [row for rows in by_contact.values() for row in rows]
    pinned = programs.of_versions(session, {row.version_id for row in inside} | {each.version_id for each in live})
    wanted = [Who(row.contact_id, row.booking_id, row.property_id) for row in work] + [row.who for row in inside]
    past = history.load(session, contact_ids, pinned.values(), now)
    facts = audience.load(session, wanted, now, segments=programs.asks(pinned.values(), "contact.segments"))
    passages.load_acts(session, inside, pinned, now)
    passages.load_traced(session, inside, pinned)
    entries = _entries(session, workspace_id, live)
    return _Batch(now, live, pinned, facts, past, by_contact, open_messages, entries, unreadable)


def _entries(session: Session, workspace_id: int, live: Sequence[Live]) -> Mapping[int, int]:
    """Workflow → passages so far, counted up to its `max_entries`; one query, none where none is bounded."""
    bounded = [
        {"workflow_id": each.workflow_id, "most": each.program.limits.max_entries}
        for each in live
        if each.program.limits.max_entries is not None
    ]
    if not bounded:
        return {}
    found = session.execute(_ENTRIES, {"workspace_id": workspace_id, "rows": as_rows(bounded)})
    return {row.workflow_id: row.entries for row in found}


def _deal(batch: _Batch, row: Any) -> str | None:
    """One event: first what it means to those inside, then who may start. Returns an error's text, or None."""
    who = Who(row.contact_id, row.booking_id, row.property_id)
    marks = [(noted, len(noted)) for noted in batch.noted]
    kept = [(each, each.state, each.ended_at, each.changed, each.goal) for each in batch.by_contact[row.contact_id]]
    try:
        event = Event(row.type, row.ordered_at, row.data, row.booking_reference, row.event_id)
        as_fact = {**row.data, "id": row.event_id, "type": row.type, "occurred_at": row.occurred_at}
        batch.require_readable(row.contact_id)
        void = standing.void(event, batch.facts[who])
        for inside in kept if void is None or void.code != "undone" else ():
            _inside(batch, inside[0], event, void)
        meant = [live for live in batch.live if effects.addressed(event.type, row.data, live.program.workflow)]
        for live in meant:
            if event.type in live.program.starts_on:
                _at_the_door(batch, live, event, as_fact, who, row, void)
        if event.type == effects.STARTED and not any(event.type in live.program.starts_on for live in meant):
            _tell(batch, event, who, "not_to_be_started")
    except Exception as error:
        # Whatever is wrong with this one event or the program it met, the others must go on; nothing half-done stays.
        for noted, length in marks:
            del noted[length:]
        for each, state, ended_at, changed, goal in kept:
            each.state, each.ended_at, each.changed, each.goal = state, ended_at, changed, goal
        batch.by_contact[row.contact_id] = [each for each, *_ in kept]
        log.exception("event_stepped_aside", event_pk=row.event_pk, type=row.type)
        return f"{type(error).__name__}: {error}"
    return None


def _inside(batch: _Batch, row: Inside, event: Event, void: NotEntered | None) -> None:
    """What an event means to one passage: its goal, its end, or what it waits for."""
    program = batch.pinned[row.version_id]
    if event.type in goals.listens_to(program):
        _score(batch, row, program)
    stopped = effects.stops(event.type, event.data, row, program)
    if stopped:
        batch.left.append((row, stopped))
        if row.state.status == "active":
            _take(batch, row, advance.leave(row.state, stopped, None, effects.STOPPED_SENTENCE, batch.now))
        return
    if event.type not in program.listens_to or (row.state.status != "active" and row.id not in batch.open_messages):
        _by_their_clock(batch, row, program)
        return
    facts = batch.seen(row)
    ended = entry.exit_by_event(program, event, facts, batch.now)
    if ended and void:
        # Another booking has taken this one's place: whoever listens to how it ended must not take it for cancelled.
        ended = replace(ended, reason=void.code)
    if ended:
        batch.left.append((row, ended.reason))
        if row.state.status == "active":
            _take(batch, row, advance.leave(row.state, ended.reason, ended.outcome, ended.sentence, batch.now))
    elif row.state.status == "active":
        heard = advance.hear(program, row.state, event, facts, batch.now)
        if heard:
            _take(batch, row, heard)
        else:
            _by_their_clock(batch, row, program)


def _by_their_clock(batch: _Batch, row: Inside, program: Program) -> None:
    """Whatever an event says of a person, it may have brought another zone: a wait by their own clock follows it."""
    if advance.by_contact_clock(program, row.state):
        moved = advance.rezone(program, row.state, batch.seen(row), batch.now)
        if moved:
            _take(batch, row, moved)


def _score(batch: _Batch, row: Inside, program: Program) -> None:
    """Work out a passage's goal anew, whether it is inside, over, or was never let in as a control."""
    types = goals.listens_to(program)
    happened = [
        Event(past.type, past.at, past.data, past.booking_reference, past.event_id)
        for past in batch.past.get(row.contact_id, ())
        if past.type in types
    ]
    if not happened:
        return
    facts = batch.seen(row)
    goal = goals.scored(program, facts, happened, row.goal, batch.now)
    if goal == row.goal:
        return
    code, sentence = ("goal", goal.sentence) if goal else ("goal_lost", goals.LOST)
    row.goal, row.changed = goal, True
    batch.visits.append((row, Decision("", code, sentence, batch.now, {"event_id": goal.event_id} if goal else {})))


def _at_the_door(
    batch: _Batch,
    live: Live,
    event: Event,
    as_fact: Mapping[str, Any],
    who: Who,
    recorded: Any,
    void: NotEntered | None,
) -> None:
    """Whether an event starts a passage; one that is void starts none."""
    earlier = [row for row in batch.by_contact[who.contact_id] if row.workflow_id == live.workflow_id]
    facts = batch.facts_of(who, as_fact, event.booking)
    if live.program.limits.max_entries is not None:
        facts["workflow"] = {"entries": batch.entered(live)}
    verdict: Enter | Refresh | Restart | NotEntered
    if live.status == "paused":
        sentence = {"en": "The workflow was paused.", "it": "Il percorso era in pausa."}
        verdict = NotEntered("paused", sentence)
    elif void is not None:
        verdict = void
    else:
        verdict = entry.on_event(live.program, event, facts, [row.earlier for row in earlier], batch.now)
    if isinstance(verdict, NotEntered):
        batch.refusals.append(
            {
                "contact_id": who.contact_id,
                "workflow_id": live.workflow_id,
                "version_id": live.version_id,
                "event_pk": recorded.event_pk,
                "code": verdict.code,
                "detail": {"sentence": verdict.sentence, "key": verdict.key, "inputs": dict(verdict.inputs)},
            }
        )
        _tell(batch, event, who, verdict.code)
        return
    active = next((row for row in earlier if row.key == verdict.key and row.state.status == "active"), None)
    if isinstance(verdict, Refresh) and active:
        active.event = as_fact
        moved = advance.rebind(batch.pinned[active.version_id], active.state, active.facts(batch.facts), batch.now)
        if moved:
            _take(batch, active, moved)
        active.changed = True
        batch.visits.append((active, Decision("", "refreshed", verdict.sentence, batch.now)))
        return
    if isinstance(verdict, Restart) and active:
        _take(batch, active, advance.leave(active.state, "restarted", None, verdict.sentence, batch.now))
        batch.left.append((active, "restarted"))
    state = advance.start(live.program, verdict.key, facts, batch.now)
    if live.program.reenter.resume:
        before = {step for row in earlier if row.key == verdict.key for step in advance.taken(row.state)}
        state = replace(state, done=tuple(sorted(before)))
    drawn = experiments.drawn(live, who.contact_id, earlier)
    started = Inside(
        contact_id=who.contact_id,
        id=0,
        workflow_id=live.workflow_id,
        version_id=live.version_id,
        key=verdict.key,
        passage=1 + sum(row.key == verdict.key for row in earlier),
        booking_id=who.booking_id,
        property_id=who.property_id,
        event=as_fact,
        event_pk=recorded.event_pk,
        state=state,
        entered_at=state.entered_at,
        control=drawn.control,
        holdout=drawn.holdout,
        new=True,
    )
    batch.by_contact[who.contact_id].append(started)
    batch.visits.append((started, Decision("", "entered", verdict.sentence, batch.now)))
    if started.control == experiments.HERE:
        _take(batch, started, advance.leave(state, "holdout", None, experiments.HELD_OUT, batch.now))
    _score(batch, started, live.program)


def _tell(batch: _Batch, event: Event, who: Who, code: str) -> None:
    """Tell the passage that awaits a workflow which could not start."""
    if event.type == effects.STARTED:
        told = effects.not_started(event.data, who, event.booking, code, batch.now)
        batch.told += [told] if told else []


def _take(batch: _Batch, row: Inside, moved: advance.Advanced) -> None:
    if row.state.status == "active" and moved.state.status != "active":
        batch.over.append(row)
    row.become(moved.state, batch.now)
    batch.visits += [(row, decision) for decision in moved.trace]


def _write(session: Session, workspace_id: int, batch: _Batch) -> None:
    rows = [row for of_contact in batch.by_contact.values() for row in of_contact]
    fresh = [row for row in rows if row.new]
    for row, number in zip(fresh, passages.allot(session, len(fresh)), strict=True):
        row.id = number
    planned: list[Planned] = []
    for row, moved, messages in first_steps.take(session, fresh, batch.pinned, batch.seen, batch.now):
        _take(batch, row, moved)
        planned += messages
    passages.write(session, rows, batch.now)
    passages.write_visits(session, batch.visits)
    passages.cancel_messages(session, batch.left, batch.now)
    plan(session, planned, batch.now)
    done = Done(batch.now, events=batch.told)
    listeners = Listeners.among([live.program for live in batch.live])
    for row in batch.over:
        done.over(row, batch.pinned[row.version_id], batch.facts[row.who], listeners)
    done.write(session)
    if batch.refusals:
        parameters = {"workspace_id": workspace_id, "rows": as_rows(batch.refusals), "now": batch.now}
        session.execute(_REFUSALS, parameters)
