"""The gate: may this person get this message, on this channel, now? Asked before anything is rendered.

`consent/rules.py` decides; this module claims what is due, brings the rules what they need, and keeps the verdict. The
same judgement is asked for once more by delivery, in the transaction that takes the lease (`judge`), since consent may
be withdrawn and a cap filled while a message waits.

Why the frequency cap holds with several workers. At the gate, batches of one workspace take turns (an advisory lock),
and a message that has passed counts from that moment as if sent. At the lease two workers may judge two messages of one
person at once; neither sees the other's uncommitted lease, but each sees the other's message at least as `ready`. A
ready message counts against every one that ranks below it, and rank (priority, then age) is the same to both: so of
those waiting together only as many pass as the cap has room for, whoever is first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.consent.case import ConsentFacts, Contacted, Decision, Held, Request
from app.consent.rules import decide, decide_among
from app.db import Ran, as_rows, workspace_of
from app.messages import grounds as grounds_of
from app.messages import lanes
from app.messages.grounds import Grounds, Moment, Other, request_of
from app.messages.rows import MessageRow
from app.messages.states import move
from app.messages.warming import Turns
from app.queues import signal

Left = Callable[[Session, Sequence[Any], Mapping[int, Mapping[str, Any]], datetime], Mapping[int, str]]
"""Message id → why its passage is over; see `enrollments.exits.left`, which stands above and is handed in."""

QUERIES = 3 + grounds_of.QUERIES
"""The lock, the claim, the grounds and the verdicts; and what `left` asks (one at most)."""

_LOCK = 0x67617465 << 32
_GONE = frozenset({"leased", "handed_over", "unknown", "accepted"})


def run(session: Session, now: datetime, limit: int, left: Left) -> Ran:
    """Judge up to `limit` due messages of one workspace; `QUERIES` queries and what `left` asks.

    A contact with events that the entry rules have not looked at yet is passed over: a cancellation that is recorded
    is acted on before any message is judged.
    """
    rows = claim(session, now, limit)
    if not rows:
        return Ran(0, False)
    known = grounds_of.load(session, rows, now)
    decisions = judge(session, rows, now, "gate", left, known)
    record(session, rows, decisions, now, "gate")
    known.write_turns(session)
    if any(decision.allowed for decision in decisions.values()):
        signal(session, "deliver")
    return Ran(len(rows), len(rows) >= limit)


def claim(session: Session, now: datetime, limit: int) -> list[Any]:
    """About `limit` due messages that nobody has judged yet, locked, lane by lane; until the end of this unit of work
    nobody else of this workspace judges at the gate. Two queries.
    """
    session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK | workspace_of(session)})
    return lanes.due(session, ("planned", "deferred"), now, limit)


def judge(
    session: Session,
    rows: Sequence[MessageRow],
    now: datetime,
    moment: Moment,
    left: Left,
    grounds: Grounds | None = None,
) -> dict[int, Decision]:
    """Message id → decision, for a batch in which one person may stand several times.

    Args:
        session: the unit of work; at the lease, the one that takes it.
        rows: the messages; those of one person are judged by rank, and what passes counts for those after it.
        now: the instant of judgement.
        moment: `gate` or `lease`.
        left: whose passage is over.
        grounds: from `grounds.load` for these rows and this instant, where the caller has them already.
    """
    known = grounds if grounds is not None else grounds_of.load(session, rows, now)
    gone = left(session, rows, known.told, now)
    turns = known.turns if moment == "gate" else None
    of_contact: dict[int, list[MessageRow]] = {}
    for row in rows:
        of_contact.setdefault(row.contact_id, []).append(row)
    decisions: dict[int, Decision] = {}
    for contact_id, theirs in of_contact.items():
        contacted, rivals = _sides(known.others.get(contact_id, ()), moment)
        waiting = sorted((request_of(row) for row in theirs), key=lambda request: request.rank)
        for request in waiting:  # those after it rank below it and cannot stand in its way
            number = request.message_id
            policy = known.policies.get(number, known.policy)
            domain = known.domain_of(number, request.class_) if turns is not None else None
            held = turns.held(domain, request.class_, request.since is not None) if turns and domain else None
            channel = request.channel
            if number in known.channels:
                options = {
                    one: _completed(facts, contacted, rivals, gone.get(number), held if one == "email" else None)
                    for one, facts in known.channels[number].items()
                }
                channel, decision = decide_among(request, options, now, policy)
                known.choose(number, channel)
            else:
                facts = _completed(known.facts[number], contacted, rivals, gone.get(number), held)
                decision = decide(request, facts, now, policy)
            decisions[number] = decision
            if turns is not None and domain is not None and channel == "email":
                _keep_turn(turns, domain, request, held, decision)
            if decision.allowed:
                contacted.append(Contacted(number, request.class_, now, request.booking_id, request.topic))
            elif decision.until is not None:
                rivals.append(replace(request, due_at=decision.until))
    return decisions


def _keep_turn(turns: Turns, domain: int, request: Request, held: Held | None, decision: Decision) -> None:
    """Where a sender domain warms up: what goes takes a place of its day, what waits for one has been promised it."""
    if decision.allowed:
        turns.take(domain, request.class_)
    elif held is not None and decision.outcome == "deferred":
        turns.book(domain, held.until)


def _completed(
    facts: ConsentFacts,
    contacted: Sequence[Contacted],
    rivals: Sequence[Request],
    left: str | None,
    held: Held | None = None,
) -> ConsentFacts:
    if not contacted and not rivals and left is None and held is None:
        return facts
    return replace(facts, contacted=tuple(contacted), rivals=tuple(rivals), left=left, held=held or facts.held)


def _sides(others: Sequence[Other], moment: Moment) -> tuple[list[Contacted], list[Request]]:
    """Other messages as taken slots and as rivals. At the gate what has passed it counts as sent; at the lease what is
    ready is a rival (see above), and what is still to be judged no longer matters."""
    taken = _GONE | {"ready"} if moment == "gate" else _GONE
    waiting = frozenset({"planned", "deferred"}) if moment == "gate" else frozenset({"ready"})
    return (
        [other.contacted() for other in others if other.state in taken],
        [other.request for other in others if other.state in waiting],
    )


def record(
    session: Session,
    rows: Sequence[MessageRow],
    decisions: Mapping[int, Decision],
    now: datetime,
    moment: Moment,
    lease: tuple[int, datetime] | None = None,
    waits: Collection[int] = (),
) -> None:
    """Keep the verdicts, one query: the reason, rule, basis and line of each, and the state it leads to.

    One whose passage is over is cancelled, any other refusal is `refused`, and one put off is judged again at `due_at`.

    Args:
        lease: its token and its end, where whoever judges also sends: what may go is leased in the same statement,
            since each write of a message row is paid for in all of its indexes.
        waits: those put off that need no further judgement at the gate: they stay ready, for their instant.
    """
    values: list[dict[str, Any]] = []
    for row in rows:
        decision = decisions[row.id]
        event = "wait" if row.id in waits else "lease" if lease and decision.allowed else _event(decision)
        state = move(row.state, event).to
        values.append(
            {
                "id": row.id,
                "contact_id": row.contact_id,
                "state": state,
                "reason": None if decision.allowed else decision.code,
                "rule": decision.rule,
                "verdict": [decision.as_json(now, moment)],
                "basis": decision.basis,
                "ledger_line": decision.ledger_line,
                "due_at": decision.until,
                "channel": decision.channel,
                "ended_at": now if state in {"refused", "cancelled"} else None,
            }
        )
    token, until = lease or (None, None)
    session.execute(_VERDICTS, {"ws": workspace_of(session), "token": token, "until": until, "rows": as_rows(values)})


def _event(decision: Decision) -> str:
    if decision.allowed:
        return "allow"
    if decision.outcome == "deferred":
        return "defer"
    return "leave" if decision.code == "exited" else "refuse"


_VERDICTS = text(
    """
    WITH v AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(id bigint, contact_id bigint, state text,
            reason text, rule text, verdict jsonb, basis text, ledger_line bigint, due_at timestamptz,
            channel text, ended_at timestamptz)
    )
    UPDATE messages m
    SET state = v.state, reason = v.reason, rule = v.rule, basis = v.basis,
        -- What is paused or throttled is judged again and again: only the first and the newest of these are kept.
        verdict = CASE WHEN v.reason IN ('paused', 'throttled') AND m.reason = v.reason
                            AND jsonb_array_length(m.verdict) > 1
            THEN (m.verdict - (-1)) || v.verdict ELSE m.verdict || v.verdict END,
        ledger_line = v.ledger_line, due_at = coalesce(v.due_at, m.due_at), ended_at = v.ended_at,
        channel = coalesce(v.channel, m.channel),
        lease_token = CASE WHEN v.state = 'leased' THEN CAST(:token AS bigint) END,
        lease_until = CASE WHEN v.state = 'leased' THEN CAST(:until AS timestamptz) END
    FROM v
    WHERE m.workspace_id = :ws AND m.contact_id = ANY(ARRAY(SELECT contact_id FROM v))
      AND m.contact_id = v.contact_id AND m.id = v.id
    """
)
