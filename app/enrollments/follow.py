"""Follow: a changed booking takes the passages that hang on it along, in the very transaction that records the change.

Waits on its dates move, both ways. What a person was told and is no longer so is said anew, where the workflow wants it
(`send.updated`, X1). A booking that a portal cancelled to make it anew hands its passages on to the new one (X25), and
until the new one can have come, its cancellation is held.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.audience.facts import Facts
from app.contacts.projection import REPLACED_WITHIN
from app.db import as_rows, workspace_of
from app.enrollments import passages, programs, sight
from app.enrollments.passages import Inside
from app.enrollments.planned import as_planned
from app.enrollments.sight import Sight
from app.journey import advance
from app.journey.advance import Advanced, Decision, State
from app.journey.program import Program, SendOp
from app.journey.updates import updates
from app.messages.plan import Planned, plan
from app.messages.snapshot import thaw
from app.queues import signal

log = structlog.get_logger()

QUERIES = 11 + sight.QUERIES
"""At most: bookings, held, handed on, passages, property, programs, what they see, told, update, visits,
messages; and one more where a stored passage cannot be read."""

PAGE = 500
"""People at a time when a property's clock changes."""

_STANDS = text(
    """
    SELECT o.id, o.reference, n.id AS new_id, n.reference AS new_reference,
        o.replaced_by IS NULL AND lower(coalesce(o.channel, 'direct')) <> 'direct' AND o.cancelled_at > :since AS held
    FROM bookings o
    LEFT JOIN bookings n ON n.workspace_id = o.workspace_id AND n.id = o.replaced_by
    WHERE o.workspace_id = :workspace_id AND o.id = ANY(:booking_ids) AND o.status = 'cancelled'
    """
)
# The last judge lets nothing go to a person whose events have not been dealt with; what is about another booking of
# theirs goes on meanwhile, since a held event has an instant of its own.
_HOLD = text(
    """
    WITH waits AS (
        UPDATE enrollments SET wake_at = :until
        WHERE workspace_id = :workspace_id AND booking_id = ANY(:booking_ids) AND status = 'active'
            AND wake_at < :until
    ),
    mails AS (
        UPDATE messages SET due_at = :until
        WHERE workspace_id = :workspace_id AND booking_id = ANY(:booking_ids) AND due_at < :until
            AND state IN ('planned', 'deferred', 'ready')
    )
    UPDATE event_work w SET not_before = :until
    FROM events e
    WHERE w.workspace_id = :workspace_id AND e.workspace_id = w.workspace_id AND e.contact_id = w.contact_id
        AND e.id = w.event_pk AND e.received_at = w.received_at AND e.type = 'booking.cancelled'
        AND e.booking_id = ANY(:booking_ids) AND w.attempts = 0
    """
)
_HAND_ON = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS r(id bigint, reference text, new_id bigint,
            new_reference text)
    ),
    passed AS (
        UPDATE enrollments e SET booking_id = r.new_id, key = r.new_reference,
            state = jsonb_set(e.state, '{key}', to_jsonb(r.new_reference))
        FROM r
        WHERE e.workspace_id = :workspace_id AND e.booking_id = r.id AND e.status = 'active' AND e.key = r.reference
            AND NOT EXISTS (SELECT 1 FROM enrollments t WHERE t.workspace_id = e.workspace_id
                AND t.contact_id = e.contact_id AND t.workflow_id = e.workflow_id AND t.key = r.new_reference)
        RETURNING e.contact_id, e.id, e.booking_id, r.reference
    ),
    mails AS (
        UPDATE messages m SET booking_id = p.booking_id,
            due_at = CASE WHEN m.due_at <= :until THEN :now ELSE m.due_at END
        FROM passed p
        WHERE m.workspace_id = :workspace_id AND m.contact_id = p.contact_id AND m.enrollment_id = p.id
            AND m.state IN ('planned', 'deferred', 'ready')
    ),
    released AS (
        UPDATE event_work w SET not_before = NULL
        FROM events e, r
        WHERE w.workspace_id = :workspace_id AND e.workspace_id = w.workspace_id AND e.contact_id = w.contact_id
            AND e.id = w.event_pk AND e.received_at = w.received_at AND e.type = 'booking.cancelled'
            AND e.booking_id = r.id AND w.attempts = 0
    )
    SELECT id, reference FROM passed
    """
)
_BOUND = text(
    f"""
    SELECT {passages.COLUMNS}, b.property_id AS of_booking
    FROM enrollments e
    JOIN bookings b ON b.workspace_id = e.workspace_id AND b.id = e.booking_id
    WHERE e.workspace_id = :workspace_id AND e.booking_id = ANY(:booking_ids) AND e.status = 'active'
    ORDER BY e.id
    FOR UPDATE OF e
    """
)
_ELSEWHERE = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS r(contact_id bigint, id bigint, property_id bigint)
    ),
    mails AS (
        UPDATE messages m SET property_id = r.property_id
        FROM r
        WHERE m.workspace_id = :workspace_id AND m.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
            AND m.contact_id = r.contact_id AND m.enrollment_id = r.id
            AND m.state IN ('planned', 'deferred', 'ready')
    )
    UPDATE enrollments e SET property_id = r.property_id
    FROM r
    WHERE e.workspace_id = :workspace_id AND e.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
        AND e.contact_id = r.contact_id AND e.id = r.id
    """
)
_TOLD = text(
    """
    SELECT DISTINCT ON (enrollment_id, step_id) enrollment_id, step_id, facts,
        state IN ('planned', 'deferred', 'ready') AS open
    FROM messages
    WHERE workspace_id = :workspace_id AND contact_id = ANY(:contact_ids) AND enrollment_id = ANY(:ids)
        AND step_id = ANY(:steps)
        AND state IN ('planned', 'deferred', 'ready', 'leased', 'handed_over', 'accepted', 'unknown')
    ORDER BY enrollment_id, step_id, visit DESC
    """
)


def rebind(session: Session, booking_ids: Sequence[int], now: datetime) -> int:
    """Take the passages bound to these bookings along with what has become of them; returns how many changed.

    Called by `events.record` after it has written the bookings, before the transaction ends: nobody can take a step
    on the old date once the new one is known.
    """
    if not booking_ids:
        return 0
    handed_on, bound = _stands(session, booking_ids, now)
    found = session.execute(_BOUND, {"workspace_id": workspace_of(session), "booking_ids": bound}).all()
    if not found:
        return 0
    rows = passages.readable(session, found, now)
    _elsewhere(session, rows, {row.id: row.of_booking for row in found})
    known = programs.of_versions(session, {row.version_id for row in rows})
    rows = [row for row in rows if known[row.version_id].follow or row.id in handed_on]
    sees = sight.load(session, rows, known, now)
    visits: list[tuple[Inside, Decision]] = []
    for row in rows:
        if row.id in handed_on:
            # Written in any case: its waits were held while the new booking could still come.
            row.changed = True
            visits.append((row, _instead(row, handed_on[row.id], now)))
        visits += _moved(advance.rebind, row, known, sees, now)
    planned, told = _updates(session, [row for row in rows if row.error is None], known, sees, now)
    passages.write(session, rows, now)
    passages.write_visits(session, visits + told)
    plan(session, planned, now)
    if any(row.changed for row in rows):
        signal(session, "advance")
    return sum(row.changed and row.error is None for row in rows)


def _moved(
    move: Callable[[Program, State, Facts, datetime], Advanced | None],
    row: Inside,
    known: Mapping[int, Program],
    sees: Sight,
    now: datetime,
) -> list[tuple[Inside, Decision]]:
    """Work a passage's wait out anew; one that raises steps aside, and what was reported is recorded all the same."""
    try:
        moved = move(known[row.version_id], row.state, sees.of(row), now)
    except Exception as error:
        row.stand_aside(error, now)
        log.exception("passage_stepped_aside", enrollment_id=row.id, workflow_id=row.workflow_id)
        return []
    if moved is None:
        return []
    row.become(moved.state, now)
    return [(row, decision) for decision in moved.trace]


def _stands(session: Session, booking_ids: Sequence[int], now: datetime) -> tuple[Mapping[int, str], list[int]]:
    """Hold what a portal has just cancelled, hand on what it has made anew.

    Gives the passages that were handed on, with the reference of the booking they come from, and the bookings to look
    at.
    """
    parameters = {"workspace_id": workspace_of(session), "booking_ids": list(booking_ids)}
    until = now + REPLACED_WITHIN
    cancelled = session.execute(_STANDS, {**parameters, "since": now - REPLACED_WITHIN}).all()
    held = [row.id for row in cancelled if row.held]
    if held:
        session.execute(_HOLD, {**parameters, "booking_ids": held, "until": until})
    pairs = [dict(row._mapping) for row in cancelled if row.new_id is not None]
    handed_on: dict[int, str] = {}
    if pairs:
        asked = {**parameters, "rows": as_rows(pairs), "now": now, "until": until}
        handed_on = {row.id: row.reference for row in session.execute(_HAND_ON, asked)}
        signal(session, "enrol")
    # What is held keeps still: its dates mean nothing until it is known what became of it.
    bound = [number for number in booking_ids if number not in held] + [pair["new_id"] for pair in pairs]
    return handed_on, bound


def _instead(row: Inside, reference: str, now: datetime) -> Decision:
    text_ = {
        "en": f"booking {row.key} took the place of {reference}: the passage goes on with it",
        "it": f"la prenotazione {row.key} ha preso il posto di {reference}: il percorso prosegue con questa",
    }
    return Decision(row.state.step_id or "", "handed_on", text_, now, {"from": reference, "to": row.key})


def _elsewhere(session: Session, rows: Sequence[Inside], properties: Mapping[int, int | None]) -> None:
    """Passages follow their booking to another property, with what is planned for them; one query, and only then."""
    gone = [row for row in rows if properties[row.id] is not None and properties[row.id] != row.property_id]
    if not gone:
        return
    for row in gone:
        row.property_id = properties[row.id]
    given = [{"contact_id": row.contact_id, "id": row.id, "property_id": row.property_id} for row in gone]
    session.execute(_ELSEWHERE, {"workspace_id": workspace_of(session), "rows": as_rows(given)})


def _updates(
    session: Session, rows: Sequence[Inside], known: Mapping[int, Program], sees: Sight, now: datetime
) -> tuple[list[Planned], list[tuple[Inside, Decision]]]:
    """The messages that say that what was told is no longer so (X1); one query where a workflow wants any."""
    steps = {
        op.id for program in known.values() for op in program.ops if isinstance(op, SendOp) and op.updated is not None
    }
    if not steps or not rows:
        return [], []
    parameters = {
        "workspace_id": workspace_of(session),
        "contact_ids": sorted({row.contact_id for row in rows}),
        "ids": [row.id for row in rows],
        "steps": sorted(steps),
    }
    told: dict[int, dict[str, Facts]] = {}
    for mail in session.execute(_TOLD, parameters):
        if not mail.open:
            # What has not gone yet is made of what holds when it goes.
            told.setdefault(mail.enrollment_id, {})[mail.step_id] = thaw(mail.facts or {})
    planned: list[Planned] = []
    visits: list[tuple[Inside, Decision]] = []
    for row in rows:
        said = updates(known[row.version_id], row.state, told.get(row.id, {}), sees.of(row), now)
        if said is None:
            continue
        row.become(said.state, now)
        visits += [(row, decision) for decision in said.trace]
        for effect in said.effects:
            if isinstance(effect, advance.Send):
                before = _previous(told[row.id][effect.step_id])
                one = as_planned(row, effect, known[row.version_id], now)
                event = {**one.passage["event"], "previous": before}
                planned.append(replace(one, passage={**one.passage, "event": event}))
    return planned, visits


def _previous(told: Facts) -> dict[str, Any]:
    """What a message said of a booking, as `event.previous` has it."""
    booking = told.get("booking") or {}
    names = ("reference", "arrival", "departure", "nights", "adults", "children", "amount", "room_type")
    before = {name: booking[name] for name in names if booking.get(name) is not None}
    room = (booking.get("data") or {}).get("room_name")
    return before | ({"room_name": room} if room else {})


_OF_PROPERTY = text(
    f"""
    SELECT {passages.COLUMNS}
    FROM enrollments e
    WHERE e.workspace_id = :workspace_id AND e.status = 'active' AND e.id > :after
        AND (e.property_id = :property_id OR :is_default AND e.property_id IS NULL)
    ORDER BY e.id
    LIMIT :limit
    FOR UPDATE OF e
    """
)


def rezone(session: Session, property_id: int, is_default: bool, now: datetime) -> int:
    """Work out anew every pending wait of a property whose clock was set to another zone (R58).

    In pages of `PAGE`, each a fixed number of queries; returns how many waits moved.
    """
    after, moved_count = 0, 0
    while True:
        asked = {
            "workspace_id": workspace_of(session),
            "property_id": property_id,
            "is_default": is_default,
            "after": after,
            "limit": PAGE,
        }
        found = session.execute(_OF_PROPERTY, asked).all()
        if not found:
            break
        after = found[-1].id
        rows = passages.readable(session, found, now)
        known = programs.of_versions(session, {row.version_id for row in rows})
        sees = sight.load(session, rows, known, now)
        visits = [visit for row in rows for visit in _moved(advance.rezone, row, known, sees, now)]
        passages.write(session, rows, now)
        passages.write_visits(session, visits)
        moved_count += sum(row.changed and row.error is None for row in rows)
    if moved_count:
        signal(session, "advance")
    return moved_count
