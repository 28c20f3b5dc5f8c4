"""What becomes of requests that nobody confirms: one reminder, an end of its own in the ledger, and deletion (R6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from app.consent import ledger
from app.consent.fold import Key, State, holds, objected_at
from app.consent.ledger import Act
from app.consent.policy import Policy
from app.consent.requests import DELETE_AFTER, REMIND_AFTER
from app.contacts.identity import PEOPLE_LOCK
from app.db import as_rows, workspace_of
from app.messages.plan import Planned, plan

QUERIES = 11
"""However many are due: whether any is, the ledger's lock, the requests, what holds, the ledger's four, the reminders,
the requests again, what was typed with them."""

Erase = Callable[[Session, int, str, datetime], object]
"""Erases one contact (`rights/erasure.py`), by whom and when."""

BY = "unconfirmed sign-up"


def remind_and_end(session: Session, now: datetime, limit: int) -> int:
    """Look at requests that are due; how many were."""
    asked = {"ws": workspace_of(session), "now": now, "limit": limit}
    if not session.scalar(_ANY, asked):
        return 0
    ledger.lock(session)
    rows = session.execute(_DUE, asked).all()
    states = ledger.current(session, {row.contact_id for row in rows})
    acts: list[Act] = []
    mails: list[Planned] = []
    written: list[dict[str, Any]] = []
    for row in rows:
        held = states.get(row.contact_id, {})
        keys = _keys(row)
        still = [key for key in keys if _is_open(held, row, key)]
        ends = row.asked_at + Policy().pending_for
        if not still or not row.address:
            word = "confirmed" if any(holds(held, *key) for key in keys) else "refused"
            written.append(_row(row, word, None))
        elif now >= ends:
            acts += [_expired(row, key, ends) for key in still]
            written.append(_row(row, "expired", row.asked_at + DELETE_AFTER))
        elif row.mail_due:
            mails.append(_mail(row, still, now, ends, reminder=False))
            # As everywhere, no reminder where a no stands: it may have been somebody else who typed the address.
            again = row.reminder and all(held[key].refused_at is None for key in still) and objected_at(held) is None
            written.append(_row(row, "pending", min(now + REMIND_AFTER, ends) if again else ends, reminder=again))
        elif row.reminder and row.reminded_at is None:
            mails.append(_mail(row, still, now, ends, reminder=True))
            written.append(_row(row, "pending", ends, reminded_at=now))
        else:
            written.append(_row(row, "pending", ends))
    ledger.append(session, acts, now)
    plan(session, mails, now)
    session.execute(_WRITE, {"ws": workspace_of(session), "now": now, "rows": as_rows(written)})
    over = {one["id"] for one in written if one["state"] != "pending"}
    lines = [line for row in rows if row.id in over for line in row.lines]
    session.execute(_TYPED, {"ws": workspace_of(session), "lines": lines})
    return len(rows)


def delete(session: Session, now: datetime, limit: int, erase: Erase) -> int:
    """Erase people known by nothing but a request that came to nothing; how many were looked at.

    In a unit of work of its own, before anything takes the ledger's lock: erasing keeps everybody else from recording
    people first.
    """
    asked = {"ws": workspace_of(session), "now": now, "limit": limit}
    if not session.scalar(_ANY_OLD, asked):
        return 0
    session.execute(_ALONE_HERE, asked)
    rows = session.execute(_OLD, asked).all()
    if not rows:
        return 0
    alone = set(session.scalars(_ALONE, {**asked, "contacts": sorted({row.contact_id for row in rows})}).all())
    for contact_id in sorted(alone):
        erase(session, contact_id, BY, now)
    written = [_row(row, "deleted" if row.contact_id in alone else row.state, None) for row in rows]
    session.execute(_WRITE, {"ws": workspace_of(session), "now": now, "rows": as_rows(written)})
    return len(rows)


def _keys(row: Row[Any]) -> list[Key]:
    """What it asks for, as the ledger knows it. A request for all marketing was reported: it names nothing else."""
    topics: list[str | None] = list(row.topics)
    if not topics and not row.purposes:
        topics = [None]
    about = [("marketing", topic) for topic in topics] + [(purpose, None) for purpose in row.purposes]
    return [(row.address, row.channel, purpose, topic) for purpose, topic in about]


def _is_open(held: Mapping[Key, State], row: Row[Any], key: Key) -> bool:
    state = held.get(key)
    return state is not None and state.state == "pending" and state.at >= row.asked_at


def _expired(row: Row[Any], key: Key, at: datetime) -> Act:
    return Act(
        contact_id=row.contact_id,
        address=row.address,
        channel=row.channel,
        purpose=key[2],
        topic=key[3],
        state="expired",
        method="expiry",
        requested_at=at,
        proof={"lines": list(row.lines), "reminded": row.reminded_at is not None},
    )


def _mail(row: Row[Any], still: Sequence[Key], now: datetime, ends: datetime, *, reminder: bool) -> Planned:
    return Planned(
        contact_id=row.contact_id,
        enrollment_id=None,
        workflow_id=None,
        version_id=None,
        step_id=None,
        visit=2 if reminder else 1,
        property_id=row.property_id,
        booking_id=None,
        channel=row.channel,
        template=row.template,
        class_="consent_request",
        topic=next((topic for *_, topic in still if topic is not None), None),
        priority=80 if reminder else 90,
        due_at=now,
        latest=ends,
    )


def _row(row: Row[Any], state: str, next_at: datetime | None, **changes: Any) -> dict[str, Any]:
    known = {name: getattr(row, name) for name in ("contact_id", "id", "reminder", "reminded_at")}
    return {**known, "state": state, "next_at": next_at, **changes}


_ANY = text(
    "SELECT EXISTS (SELECT 1 FROM consent_requests WHERE workspace_id = :ws AND next_at <= :now AND state = 'pending')"
)
_DUE = text(
    """
    SELECT contact_id, id, lines, topics, purposes, address, channel, property_id, template, state, reminder,
           reminded_at, asked_at, mail_due
    FROM consent_requests
    WHERE workspace_id = :ws AND next_at <= :now AND state = 'pending' ORDER BY next_at, id LIMIT :limit FOR UPDATE
    """
)
_ANY_OLD = text(
    "SELECT EXISTS (SELECT 1 FROM consent_requests WHERE workspace_id = :ws AND next_at <= :now AND state <> 'pending')"
)
_ALONE_HERE = text(f"SELECT pg_advisory_xact_lock({PEOPLE_LOCK}, CAST(:ws AS integer))")
_OLD = text(
    """
    SELECT contact_id, id, state, reminder, reminded_at FROM consent_requests
    WHERE workspace_id = :ws AND next_at <= :now AND state <> 'pending' ORDER BY next_at, id LIMIT :limit
    """
)
_WRITE = text(
    """
    WITH r AS (SELECT * FROM json_to_recordset(CAST(:rows AS json))
                   AS r(contact_id bigint, id bigint, state text, next_at timestamptz, reminder boolean,
                        reminded_at timestamptz))
    UPDATE consent_requests c
    SET state = r.state, next_at = r.next_at, reminder = r.reminder, reminded_at = r.reminded_at, mail_due = false,
        ended_at = CASE WHEN r.state = 'pending' THEN NULL ELSE coalesce(c.ended_at, :now) END
    FROM r
    WHERE c.workspace_id = :ws AND c.contact_id = ANY(ARRAY(SELECT contact_id FROM r)) AND c.contact_id = r.contact_id
      AND c.id = r.id
    """
)
# What was typed beside an address that nobody confirmed is nobody's.
_TYPED = text("DELETE FROM signup_submissions WHERE workspace_id = :ws AND lines && CAST(:lines AS bigint[])")
# Everything by which the house may know somebody besides a form.
_ALONE = text(
    """
    SELECT c.id FROM contacts c
    WHERE c.workspace_id = :ws AND c.id = ANY(:contacts) AND c.external_id IS NULL AND c.merged_into IS NULL
      AND c.erased_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM contacts m WHERE m.workspace_id = :ws AND m.merged_into = c.id)
      AND NOT EXISTS (SELECT 1 FROM bookings b WHERE b.workspace_id = :ws AND b.contact_id = c.id)
      AND NOT EXISTS (SELECT 1 FROM consent_records r WHERE r.workspace_id = :ws AND r.contact_id = c.id
                      AND r.state = 'granted' AND r.purpose <> 'notice')
      AND NOT EXISTS (SELECT 1 FROM consent_requests q WHERE q.workspace_id = :ws AND q.contact_id = c.id
                      AND (q.state = 'pending' OR q.state = 'refused' AND q.next_at > :now))
      AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.workspace_id = :ws AND m.contact_id = c.id
                      AND m.class <> 'consent_request')
      AND NOT EXISTS (SELECT 1 FROM events e WHERE e.workspace_id = :ws AND e.contact_id = c.id
                      AND e.type <> 'form.submitted' AND e.type NOT LIKE 'message.%' AND e.type NOT LIKE 'consent.%')
    ORDER BY c.id
    """
)
