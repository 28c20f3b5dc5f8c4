"""What a transport's outcomes do to messages: accepted, tried again later, given up, or in doubt. Written in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.db import as_rows, workspace_of
from app.delivery import track
from app.delivery.leases import Lease
from app.delivery.providers import Accepted, Outcome, Permanent, Transient, Unknown
from app.delivery.retry import STANDARD, Schedule
from app.delivery.status import Verdict, verdict
from app.delivery.track import Arrival
from app.messages.compose import Failed
from app.messages.rows import MessageRow
from app.messages.states import can, move

QUERIES = 2
"""Messages and attempts; where an address was refused for good, those of `track.record` besides."""


@dataclass(frozen=True, slots=True)
class Settled:
    """One message with what its hand-over came to."""

    row: MessageRow
    first_at: datetime
    """When it was first handed over."""
    outcome: Outcome
    by: str
    """The way out it came to that by."""
    before: Sequence[tuple[str, Outcome]] = ()
    """Ways that surely had not taken it, tried just before: parts of the same try."""
    known: bool = False
    """Its provider knows it again by its key: what is in doubt is handed over once more (`doubts.py`)."""
    again: bool = False
    """It was in doubt before: that this try did not take it says nothing of the one before."""


def settle(
    session: Session,
    lease: Lease,
    settled: Sequence[Settled],
    now: datetime,
    schedule: Schedule = STANDARD,
) -> None:
    """Write the outcomes of one group under its lease; see `QUERIES`.

    A late answer of a worker whose lease had ended still settles what is in doubt, and changes nothing else.
    A recipient refused for good is recorded as a bounce, with what follows from that (R35).
    """
    if not settled:
        return
    rows = [_row(one, now, schedule) for one in settled]
    asked = {"ws": workspace_of(session), "token": lease.token, "now": now}
    held = set(session.scalars(_MESSAGES, {**asked, "rows": as_rows(rows)}))
    tries = [_attempt(one, *tried) for one in settled for tried in (*one.before, (one.by, one.outcome))]
    session.execute(_ATTEMPTS, {"ws": workspace_of(session), "now": now, "rows": as_rows(tries)})
    track.record(
        session,
        [
            _bounce(one, one.outcome, now)
            for one in settled
            if isinstance(one.outcome, Permanent) and one.row.id in held
        ],
        now,
    )


def fail(session: Session, lease: Lease, failures: Sequence[Failed], now: datetime) -> None:
    """End messages that could not be composed, or were left with nothing that this person may be shown. One query."""
    rows = []
    for one in failures:
        outcome = "refused" if one.refused else "failed"
        rule = one.rule or "R61"
        check = {"check": "compose", "allowed": False, "code": one.reason, "rule": rule, "inputs": {"why": one.detail}}
        entry = {"at": now.isoformat(), "moment": "compose", "outcome": outcome, "allowed": False, "checks": [check]}
        rows.append(
            {
                "contact_id": one.contact_id,
                "id": one.id,
                "state": move("leased", "refuse" if one.refused else "fail_compose").to,
                "reason": one.reason,
                "rule": rule,
                "verdict": [entry],
            }
        )
    if rows:
        asked = {"ws": workspace_of(session), "token": lease.token, "now": now}
        session.execute(_FAILED, {**asked, "rows": as_rows(rows)})


def _row(one: Settled, now: datetime, schedule: Schedule) -> dict[str, Any]:
    """The message's new state, by the arrows: from `handed_over`, and from `unknown` for a late answer."""
    row, outcome = one.row, one.outcome
    due_at = provider_id = reason = rule = lease_until = None
    match outcome:
        case Unknown() | Transient() if one.again or (one.known and isinstance(outcome, Unknown)):
            asked = now + timedelta(seconds=outcome.wait) if isinstance(outcome, Transient) else None
            lease_until = schedule.following(row.id, row.attempts + 1, one.first_at, now, row.latest, asked)
            event, reason, rule = "ask_again" if lease_until else "lose", "no_answer", "R39"
        case Accepted():
            event, provider_id = "accept", outcome.provider_id
        case Transient():
            asked = now + timedelta(seconds=outcome.wait)
            due_at = schedule.following(row.id, row.attempts + 1, one.first_at, now, row.latest, asked)
            event, reason, rule = "transient", "put_off", "R39"
            if due_at is None:
                event, reason = "exhaust", "retries_exhausted"
                if row.latest is not None and now + schedule.delays[0] > row.latest:
                    reason, rule = "too_late", "R59"
        case Permanent():
            event, rule = "permanent", "R35"
            reason = "blocked" if outcome.scope == "sender" else f"{_of_reader(outcome)}_bounce"
        case _:
            event, reason, rule = "lose", "no_answer", "R39"
    return {
        "contact_id": row.contact_id,
        "id": row.id,
        "state": move("handed_over", event).to,
        "late": move("unknown", event).to if can("unknown", event) else "unknown",
        "reason": reason,
        "rule": rule,
        "due_at": due_at,
        "lease_until": lease_until,
        "provider_id": provider_id,
    }


def _attempt(one: Settled, by: str, outcome: Outcome) -> dict[str, Any]:
    return {
        "contact_id": one.row.contact_id,
        "message_pk": one.row.id,
        "number": one.row.attempts + 1,
        "transport": by,
        "outcome": type(outcome).__name__.lower(),
        "code": None if isinstance(outcome, Unknown) else outcome.code,
        "detail": outcome.text[:500],
    }


def _bounce(one: Settled, outcome: Permanent, now: datetime) -> Arrival:
    meaning = "blocked" if outcome.scope == "sender" else _of_reader(outcome)
    return Arrival(
        kind="rejected" if meaning == "blocked" else "bounced",
        occurred_at=now,
        provider=one.by,
        dedupe=f"hand-over:{one.row.attempts + 1}",
        message_pk=one.row.id,
        reason=meaning,
        data={"code": outcome.code, "text": outcome.text[:500], "at": "hand_over"},
    )


def _of_reader(outcome: Permanent) -> Verdict:
    return outcome.meaning or verdict(f"{outcome.code or ''} {outcome.text}")


_MESSAGES = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, id bigint, state text,
            late text, reason text, rule text, due_at timestamptz, lease_until timestamptz, provider_id text)
    )
    UPDATE messages m SET
        state = CASE m.state WHEN 'handed_over' THEN r.state WHEN 'unknown' THEN r.late ELSE m.state END,
        reason = CASE WHEN m.state = 'accepted' OR m.state = 'unknown' AND r.late = 'unknown' THEN m.reason
                      ELSE r.reason END,
        rule = CASE WHEN m.state = 'accepted' OR m.state = 'unknown' AND r.late = 'unknown' THEN m.rule
                    ELSE coalesce(r.rule, m.rule) END,
        attempts = m.attempts + 1,
        due_at = coalesce(r.due_at, m.due_at),
        provider_id = coalesce(r.provider_id, m.provider_id),
        accepted_at = CASE WHEN r.state = 'accepted' THEN coalesce(m.accepted_at, :now) ELSE m.accepted_at END,
        ended_at = CASE WHEN r.state IN ('accepted', 'failed') THEN coalesce(m.ended_at, :now) ELSE m.ended_at END,
        -- What is asked again is nobody's until then, and no late answer speaks for it any more.
        lease_until = CASE WHEN m.state = 'handed_over' THEN r.lease_until END,
        lease_token = CASE WHEN m.state = 'handed_over' AND r.lease_until IS NOT NULL THEN NULL ELSE m.lease_token END
    FROM r
    WHERE m.workspace_id = :ws AND m.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
      AND m.contact_id = r.contact_id AND m.id = r.id
      AND m.lease_token = :token AND m.state IN ('handed_over', 'unknown', 'accepted')
    RETURNING m.id
    """
)
_ATTEMPTS = text(
    """
    INSERT INTO attempts (workspace_id, contact_id, message_pk, number, transport, outcome, code, detail, at)
    SELECT :ws, r.contact_id, r.message_pk, r.number, r.transport, r.outcome, r.code, r.detail, :now
    FROM json_to_recordset(CAST(:rows AS json)) AS r(contact_id bigint, message_pk bigint, number integer,
                                                     transport text, outcome text, code text, detail text)
    """
)
_FAILED = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, id bigint, state text,
            reason text, rule text, verdict jsonb)
    )
    UPDATE messages m SET state = r.state, reason = r.reason, rule = r.rule, verdict = m.verdict || r.verdict,
        ended_at = :now, lease_token = NULL, lease_until = NULL
    FROM r
    WHERE m.workspace_id = :ws AND m.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
      AND m.contact_id = r.contact_id AND m.id = r.id
      AND m.state = 'leased' AND m.lease_token = :token
    """
)
