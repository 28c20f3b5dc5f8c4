"""Calls out: what `webhook` steps asked for is taken from its table, called, and written down.

    transaction 1   lease due calls, at most a few of each endpoint; load the endpoints
    no transaction  call, several at once; nobody holds a database connection meanwhile
    transaction 2   outcomes, under the token of the lease

Whom a call is about is looked at once more in transaction 1, as a message is at its lease: nobody whose data is
restricted is spoken of to anybody (R52), and nobody without a consent to it to those who use it for themselves (R3).
Who is erased is the exception: whoever was told of them has to hear it (GDPR 19), and nothing else is left to tell.

Exactly once cannot be had over HTTP. A worker that dies between 1 and 2 leaves a lease that runs out: that try is
counted as `unknown` and the call is made again, under the same `webhook-id`, by which the other side knows it.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from app.clock import SystemClock
from app.consent import ledger
from app.consent.ages import is_child
from app.consent.sharing import may_share
from app.db import Ran, as_rows, workspace_of
from app.enrollments import endpoints, passages
from app.enrollments.calling import Answer, Unsaid, post
from app.enrollments.endpoints import Target
from app.enrollments.models import CallEndpoint
from app.house import House
from app.journey.program import Sentence
from app.journey.state import Decision
from app.queues import signal

log = structlog.get_logger()

QUERIES = 8
"""Claim, lease, endpoints, people, the ledger (where a call shares); outcomes, endpoints, what was not said and why."""

AT_ONCE = 8
EACH = 8
"""Calls of one endpoint in one batch, so that a slow one does not stand in the way of the others."""
MOST = 32
LEASE = timedelta(seconds=150)
"""Far longer than `MOST` calls take where every one of them times out."""

DELAYS = tuple(timedelta(seconds=seconds) for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600))
SPREAD = 0.2
"""Each delay is stretched by up to this part of itself, so that what failed together does not come back together."""
GIVE_UP = timedelta(days=5)
"""An endpoint that has taken nothing for so long is switched off."""
KEPT_TRIES = 10

UNSAID: Mapping[Unsaid, Sentence] = {
    "not_shared": {
        "en": "not called: the person has not agreed to sharing, or no longer does",
        "it": "non chiamato: la persona non ha acconsentito alla comunicazione a terzi, o non più",
    },
    "restricted": {
        "en": "not called: the use of this person's data is restricted",
        "it": "non chiamato: il trattamento dei dati di questa persona è limitato",
    },
}
"""Outcomes of calls that were not made because of whom they are about."""
_RULES = {"not_shared": "R3", "restricted": "R52"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call that a step asks for; once for (enrollment, step, visit)."""

    contact_id: int
    enrollment_id: int | None
    workflow_id: int | None
    step_id: str
    visit: int
    endpoint: str
    payload: Mapping[str, Any]
    shares: bool = False
    """The step says that the other side uses it for itself."""


@dataclass(frozen=True, slots=True)
class _Leased:
    """One call as the threads need it."""

    contact_id: int
    id: int
    enrollment_id: int | None
    workflow_id: int | None
    step_id: str
    endpoint: str
    payload: Mapping[str, Any]
    attempts: int
    """The try that is made now included."""
    created_at: datetime
    barred: Unsaid | None
    """Why the person may not be spoken of."""


_INSERT = text(
    """
    INSERT INTO calls (workspace_id, contact_id, enrollment_id, workflow_id, step_id, visit, endpoint, payload, shares,
        state, next_at, created_at)
    SELECT :workspace_id, contact_id, enrollment_id, workflow_id, step_id, visit, endpoint, payload, shares, 'waiting',
        :now, :now
    FROM json_to_recordset(CAST(:rows AS json)) AS r(contact_id bigint, enrollment_id bigint, workflow_id bigint,
        step_id text, visit int, endpoint text, payload jsonb, shares boolean)
    ON CONFLICT DO NOTHING
    """
)
_CLAIM = text(
    """
    SELECT c.contact_id, c.id, c.enrollment_id, c.workflow_id, c.step_id, c.endpoint, c.payload, c.shares, c.attempts,
        c.state, c.created_at
    FROM calls c
    WHERE c.workspace_id = :workspace_id AND c.next_at <= :now AND c.id IN (
        SELECT id FROM (
            SELECT id, row_number() OVER (PARTITION BY endpoint ORDER BY next_at, id) AS place FROM (
                SELECT id, endpoint, next_at FROM calls
                WHERE workspace_id = :workspace_id AND next_at <= :now
                ORDER BY next_at LIMIT 2000) AS due) AS ranked
        WHERE place <= :each)
    ORDER BY c.next_at LIMIT :limit
    FOR UPDATE OF c SKIP LOCKED
    """
)
_LEASE = text(
    f"""
    WITH r AS (SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, id bigint))
    UPDATE calls c SET state = 'leased', token = :token, next_at = :until, attempts = c.attempts + 1,
        first_at = coalesce(c.first_at, :now),
        tries = CASE WHEN c.state = 'leased' THEN jsonb_path_query_array(
            c.tries || jsonb_build_array(jsonb_build_object('at', CAST(:now AS timestamptz), 'outcome', 'unknown',
                'said', 'The worker was gone before the answer.')), '$[last - {KEPT_TRIES - 1} to last]')
            ELSE c.tries END
    FROM r
    WHERE c.workspace_id = :workspace_id AND c.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
        AND c.contact_id = r.contact_id AND c.id = r.id
    """
)
_SETTLE = text(
    f"""
    WITH r AS (SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, id bigint, state text,
        next_at timestamptz, ended_at timestamptz, tried jsonb))
    UPDATE calls c SET state = r.state, token = NULL, next_at = r.next_at, ended_at = r.ended_at,
        tries = jsonb_path_query_array(c.tries || jsonb_build_array(r.tried), '$[last - {KEPT_TRIES - 1} to last]')
    FROM r
    WHERE c.workspace_id = :workspace_id AND c.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
        AND c.contact_id = r.contact_id AND c.id = r.id AND c.token = :token
    RETURNING c.id
    """
)
_HEARD = text(
    """
    UPDATE call_endpoints e SET last_at = :now, last_outcome = r.outcome,
        failing_since = CASE WHEN r.ok THEN NULL ELSE coalesce(e.failing_since, :now) END,
        active = e.active AND NOT r.gone
            AND NOT (NOT r.ok AND coalesce(e.failing_since, :now) <= CAST(:now AS timestamptz) - r.give_up),
        stopped_reason = CASE WHEN NOT e.active THEN e.stopped_reason WHEN r.gone THEN 'gone'
            WHEN NOT r.ok AND coalesce(e.failing_since, :now) <= CAST(:now AS timestamptz) - r.give_up THEN 'failing'
            END
    FROM json_to_recordset(CAST(:rows AS json)) AS r(id bigint, outcome text, ok boolean, gone boolean,
        give_up interval)
    WHERE e.workspace_id = :workspace_id AND e.id = r.id
    """
)
_PEOPLE = text(
    """
    SELECT id, email_key, frozen_at IS NOT NULL AS frozen, erased_at IS NOT NULL AS erased,
        attributes ->> 'birth_date' AS birth_date, attributes ->> 'age_band' AS age_band
    FROM contacts WHERE workspace_id = :workspace_id AND id = ANY(:people)
    """
)
_AGAIN = text(
    """
    UPDATE calls SET state = 'waiting', next_at = :now, attempts = 0, first_at = NULL, ended_at = NULL
    WHERE workspace_id = :workspace_id AND state IN ('failed', 'done') AND id = :call_id
    """
)
_ALL_AGAIN = text(
    """
    UPDATE calls SET state = 'waiting', next_at = :now, attempts = 0, first_at = NULL, ended_at = NULL
    WHERE workspace_id = :workspace_id AND state = 'failed' AND endpoint = :endpoint
    """
)


def ask(session: Session, wanted: Sequence[Wanted], now: datetime) -> None:
    """Write down calls to be made, in the unit of work of the step that asks; one query.

    A repetition is passed over.
    """
    if not wanted:
        return
    rows = [
        {
            "contact_id": one.contact_id,
            "enrollment_id": one.enrollment_id,
            "workflow_id": one.workflow_id,
            "step_id": one.step_id,
            "visit": one.visit,
            "endpoint": one.endpoint,
            "payload": one.payload,
            "shares": one.shares,
        }
        for one in wanted
    ]
    session.execute(_INSERT, {"workspace_id": workspace_of(session), "rows": as_rows(rows), "now": now})
    signal(session, "calls")


def again(session: Session, call_id: int, now: datetime) -> bool:
    """Make a call that is at an end once more, by somebody's hand; false where it is not at an end."""
    asked = {"workspace_id": workspace_of(session), "call_id": call_id, "now": now}
    done: Any = session.execute(_AGAIN, asked)
    signal(session, "calls")
    return bool(done.rowcount)


def all_again(session: Session, endpoint: str, now: datetime) -> int:
    """Make every failed call of an endpoint once more; how many."""
    asked = {"workspace_id": workspace_of(session), "endpoint": endpoint, "now": now}
    done: Any = session.execute(_ALL_AGAIN, asked)
    signal(session, "calls")
    return int(done.rowcount)


def run(house: House, workspace_id: int, limit: int) -> Ran:
    """Make up to `limit` (never more than `MOST`) due calls of one workspace."""
    now = house.clock.now()
    most = min(limit, MOST)
    token = secrets.token_hex(8)
    with house.database.work(workspace_id) as session:
        leased, targets = _lease(session, house, now, most, token)
    if not leased:
        return Ran(0, False)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="calls") as threads:
        answers = list(threads.map(lambda one: _call(house, targets.get(one.endpoint), one), leased))
    with house.database.work(workspace_id) as session:
        _settle(session, token, leased, answers, targets, house.clock.now())
    # A batch that was cut to each endpoint's share may have left others of the same endpoints behind.
    return Ran(len(leased), len(leased) >= min(most, EACH))


def _lease(
    session: Session, house: House, now: datetime, limit: int, token: str
) -> tuple[list[_Leased], Mapping[str, Target]]:
    workspace_id = workspace_of(session)
    asked = {"workspace_id": workspace_id, "now": now, "limit": limit, "each": EACH}
    rows = session.execute(_CLAIM, asked).all()
    if not rows:
        return [], {}
    keys = [{"contact_id": row.contact_id, "id": row.id} for row in rows]
    lost = [row.id for row in rows if row.state == "leased"]
    if lost:
        log.warning("calls_unknown", workspace_id=workspace_id, calls=lost)
    session.execute(
        _LEASE, {"workspace_id": workspace_id, "token": token, "until": now + LEASE, "now": now, "rows": as_rows(keys)}
    )
    names = {row.endpoint for row in rows}
    known = session.scalars(select(CallEndpoint).where(CallEndpoint.name.in_(names)))
    targets = {row.name: endpoints.target(house.settings, row, now) for row in known}
    sharing = {row.id for row in rows if row.shares or (row.endpoint in targets and targets[row.endpoint].shares)}
    barred = _barred(session, rows, sharing, now)
    leased = [
        _Leased(
            contact_id=row.contact_id,
            id=row.id,
            enrollment_id=row.enrollment_id,
            workflow_id=row.workflow_id,
            step_id=row.step_id,
            endpoint=row.endpoint,
            payload=row.payload,
            attempts=row.attempts + 1,
            created_at=row.created_at,
            barred=barred.get(row.id),
        )
        for row in rows
    ]
    return leased, targets


def _barred(session: Session, rows: Sequence[Row[Any]], sharing: Collection[int], now: datetime) -> dict[int, Unsaid]:
    """Calls that must not be made, and why. One query, and one where any of them shares."""
    asked = {"workspace_id": workspace_of(session), "people": sorted({row.contact_id for row in rows})}
    people = {row.id: row for row in session.execute(_PEOPLE, asked)}
    asking = sorted({row.contact_id for row in rows if row.id in sharing})
    states = ledger.current(session, asking) if asking else {}
    found: dict[int, Unsaid] = {}
    for row in rows:
        person = people.get(row.contact_id)
        if person is None or person.erased:
            continue  # a trial call is about nobody
        child = is_child(person.birth_date, person.age_band, now.date())
        if person.frozen:
            found[row.id] = "restricted"
        elif row.id in sharing and (child or not may_share(states.get(person.id, {}), person.email_key or "")):
            found[row.id] = "not_shared"
    return found


def _call(house: House, target: Target | None, call: _Leased) -> Answer:
    if call.barred is not None:
        return Answer(call.barred, said=UNSAID[call.barred]["en"])
    if target is None:
        return Answer("stopped", said=f"There is no endpoint named {call.endpoint}.")
    if not target.active:
        return Answer("stopped", said="The endpoint is switched off.")
    body = msgspec.json.encode(
        {"type": "workflow.call", "timestamp": call.created_at.isoformat(), "data": dict(call.payload)}
    )
    # Real time, whatever the demo's clock shows: the other side compares it with its own.
    headers = endpoints.signed(target, f"call_{call.id}", SystemClock().now(), body)
    return post(target.url, headers, body, house.settings.calls_allow)


def following(call_id: int, tries: int, now: datetime, retry_after: int | None = None) -> datetime | None:
    """The instant of the next try after `tries` of them; None where the call is given up.

    Args:
        retry_after: seconds that the other side asked us to wait; at most the longest delay is.
    """
    if tries > len(DELAYS):
        return None
    part = zlib.crc32(f"{call_id}:{tries}".encode()) / 2**32
    delay = DELAYS[tries - 1] * (1 + SPREAD * part)
    if retry_after:
        delay = max(delay, min(timedelta(seconds=retry_after), DELAYS[-1]))
    return now + delay


def _settle(
    session: Session,
    token: str,
    leased: Sequence[_Leased],
    answers: Sequence[Answer],
    targets: Mapping[str, Target],
    now: datetime,
) -> None:
    """Transaction 2. A worker whose lease had run out writes nothing: the call is another's by then."""
    workspace_id = workspace_of(session)
    rows = []
    for call, answer in zip(leased, answers, strict=True):
        next_at = None
        if answer.outcome not in {"ok", "gone", "blocked", "stopped", *UNSAID}:
            next_at = following(call.id, call.attempts, now, answer.retry_after)
        tried = {"at": now, "outcome": answer.outcome, "status": answer.status, "said": answer.said, "ms": answer.ms}
        state = "done" if answer.outcome == "ok" else "waiting" if next_at else "failed"
        rows.append(
            {
                "contact_id": call.contact_id,
                "id": call.id,
                "state": state,
                "next_at": next_at,
                "ended_at": None if next_at else now,
                "tried": tried,
            }
        )
    asked = {"workspace_id": workspace_id, "token": token, "now": now}
    held = set(session.scalars(_SETTLE, {**asked, "rows": as_rows(rows)}))
    if len(held) < len(rows):
        log.warning("calls_lease_lost", workspace_id=workspace_id, calls=len(rows) - len(held))
    heard: dict[int, Answer] = {}
    for call, answer in zip(leased, answers, strict=True):
        target = targets.get(call.endpoint)
        if target is not None and answer.outcome not in {"stopped", *UNSAID}:
            before = heard.get(target.id)
            # One that was taken among several that were not: the endpoint lives.
            heard[target.id] = before if before is not None and before.outcome == "ok" else answer
    if heard:
        states = [
            {
                "id": id_,
                "outcome": answer.outcome if answer.status is None else f"{answer.outcome} {answer.status}",
                "ok": answer.outcome == "ok",
                "gone": answer.outcome == "gone",
                "give_up": f"{GIVE_UP.total_seconds()} seconds",
            }
            for id_, answer in sorted(heard.items())
        ]
        session.execute(_HEARD, {"workspace_id": workspace_id, "now": now, "rows": as_rows(states)})
    _note_unsaid(session, [call for call in leased if call.id in held], now)


def _note_unsaid(session: Session, leased: Sequence[_Leased], now: datetime) -> None:
    """Say in the trace of each passage what was not told, and why. One query where there is any."""
    told = []
    for call in leased:
        if call.barred is not None and call.enrollment_id is not None and call.workflow_id is not None:
            inputs = {"endpoint": call.endpoint, "rule": _RULES[call.barred]}
            decision = Decision(call.step_id, call.barred, UNSAID[call.barred], now, inputs)
            told.append((passages.Of(call.contact_id, call.enrollment_id, call.workflow_id), decision))
    passages.write_decisions(session, told)


def trial(session: Session, endpoint: str, now: datetime) -> None:
    """Ask for a call that says no more than that it is one, to see whether the other side takes it."""
    number = session.scalar(text("SELECT count(*) FROM calls WHERE enrollment_id IS NULL")) or 0
    ask(session, [replace(_TRIAL, endpoint=endpoint, visit=int(number) + 1)], now)


_TRIAL = Wanted(0, None, None, "trial", 1, "", {"trial": True})
