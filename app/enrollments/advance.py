"""Advance: every passage that is due takes as many steps as it can; what it wants said becomes planned messages.

The core (`journey/advance.py`) decides; this module claims, supplies facts, and writes back in one transaction with
SKIP LOCKED, so that a step and its message exist together or not at all. A passage that raises steps aside for an hour
with its error on the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.audience.facts import Facts
from app.consent import ledger
from app.db import Ran, as_rows, workspace_of
from app.enrollments import asking, effects, passages, programs, sight
from app.enrollments.effects import Done, Listeners
from app.enrollments.passages import Inside
from app.enrollments.pauses import Pause, pause_of
from app.enrollments.planned import as_planned
from app.journey import advance, entry
from app.journey.advance import AskConsent, Decision, Send, SetFields
from app.journey.carry import after_pause
from app.journey.durations import say
from app.journey.program import Program
from app.journey.waits import add
from app.messages.plan import plan
from app.queues import signal

log = structlog.get_logger()

QUERIES = 14 + sight.QUERIES + effects.QUERIES + asking.QUERIES
"""At most this many statements a batch: claim, programs, what passages see, contacts to be written locked, the ledger's
lock and requests for consent (where a step asks), live workflows (2, where somebody came to the end), messages sent
lately, update, visits, cancelled messages, planned messages, contact fields, and what steps bring about besides; and
one more where a stored passage cannot be read."""

_CLAIM = text(
    f"""
    SELECT {passages.COLUMNS}, w.paused_at, w.resumed_at, w.resume_rule
    FROM enrollments e
    JOIN workflows w ON w.workspace_id = e.workspace_id AND w.id = e.workflow_id AND w.status <> 'paused'
    WHERE e.workspace_id = :workspace_id AND e.status = 'active' AND e.wake_at <= :now
    ORDER BY e.wake_at
    LIMIT :limit
    FOR UPDATE OF e SKIP LOCKED
    """
)
_SET = text(
    """
    WITH r AS (SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, attributes jsonb,
        given jsonb, add_tags text[], remove_tags text[]))
    UPDATE contacts c SET attributes = c.attributes || r.attributes,
        first_name = CASE WHEN r.given ? 'first_name' THEN r.given ->> 'first_name' ELSE c.first_name END,
        last_name = CASE WHEN r.given ? 'last_name' THEN r.given ->> 'last_name' ELSE c.last_name END,
        language = CASE WHEN r.given ? 'language' THEN r.given ->> 'language' ELSE c.language END,
        zone = CASE WHEN r.given ? 'zone' THEN r.given ->> 'zone' ELSE c.zone END,
        country = CASE WHEN r.given ? 'country' THEN r.given ->> 'country' ELSE c.country END,
        tags = ARRAY(SELECT DISTINCT tag FROM unnest(c.tags || r.add_tags) AS tag
            WHERE tag <> ALL (r.remove_tags) ORDER BY tag),
        updated_at = :now
    FROM r
    WHERE c.workspace_id = :workspace_id AND c.id = ANY(ARRAY(SELECT contact_id FROM r)) AND c.id = r.contact_id
    """
)
_LOCK_CONTACTS = text(
    """
    SELECT id FROM contacts WHERE workspace_id = :workspace_id AND id = ANY(:contact_ids)
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    """
)


def run(session: Session, now: datetime, limit: int) -> Ran:
    """Let up to `limit` due passages of one workspace take their steps."""
    workspace_id = workspace_of(session)
    claimed = session.execute(_CLAIM, {"workspace_id": workspace_id, "now": now, "limit": limit}).all()
    if not claimed:
        return Ran(0, False)
    rows = passages.readable(session, claimed, now)
    pauses = {row.workflow_id: pause_of(row) for row in claimed}
    known = programs.of_versions(session, {row.version_id for row in rows})
    seen = sight.load(session, rows, known, now)
    facts = seen.facts
    sends: list[tuple[Inside, Send]] = []
    visits: list[tuple[Inside, Decision]] = []
    left: list[tuple[Inside, str]] = []
    fields: list[tuple[int, SetFields]] = []
    asks: list[tuple[Inside, AskConsent]] = []
    taken: list[tuple[Inside, advance.Advanced, bool]] = []
    for row in rows:
        try:
            moved, by_rule = _steps(known[row.version_id], row, seen.of(row), pauses[row.workflow_id], now)
        except Exception as error:
            row.stand_aside(error, now)
            log.exception("passage_stepped_aside", enrollment_id=row.id, workflow_id=row.workflow_id)
            continue
        taken.append((row, moved, by_rule))
    busy = _busy(session, workspace_id, taken)
    done = Done(now)
    over: list[Inside] = []
    for row, moved, by_rule in taken:
        if row.id in busy:
            continue
        row.attempts = 0
        row.become(moved.state, now)
        visits += [(row, decision) for decision in moved.trace]
        for effect in moved.effects:
            if isinstance(effect, Send):
                sends.append((row, effect))
            elif isinstance(effect, AskConsent):
                asks.append((row, effect))
            elif isinstance(effect, SetFields) and effect.target == "contact":
                fields.append((row.contact_id, effect))
            else:
                done.take(row, effect, known[row.version_id], facts[row.who])
        if moved.state.status != "active":
            over.append(row)
        if by_rule:
            left.append((row, moved.state.reason or "exit"))
    listeners = Listeners.among([each.program for each in programs.live(session)] if over else ())
    for row in over:
        done.over(row, known[row.version_id], facts[row.who], listeners)
    visits += asking.ask(session, asks, known, facts, now)
    planned, repeated = _not_sent_lately(session, workspace_id, sends, now)
    passages.write(session, rows, now)
    passages.write_visits(session, visits + repeated + done.visits)
    passages.cancel_messages(session, left, now)
    plan(session, [as_planned(row, send, known[row.version_id], now) for row, send in planned], now)
    _set_fields(session, workspace_id, fields, now)
    done.write(session)
    if busy or any(row.state.wake_at and row.state.wake_at <= now and not row.error for row in rows):
        signal(session, "advance")
    return Ran(len(claimed), len(claimed) == limit)


def _busy(session: Session, workspace_id: int, taken: Sequence[tuple[Inside, advance.Advanced, bool]]) -> set[int]:
    """The passages that write what somebody else is writing just now, a contact or the ledger; the rest is locked.

    Recording locks contacts and the ledger and then moves passages; here it is the other way round. So neither is
    waited for: such passages stay as they are and due, and are taken up again when the other is done. One query where
    any step writes a contact, one where any asks for consent.
    """
    writing: dict[int, int] = {}
    asking_: set[int] = set()
    for row, moved, _ in taken:
        for effect in moved.effects:
            if isinstance(effect, SetFields) and effect.target == "contact":
                writing[row.id] = row.contact_id
            elif isinstance(effect, AskConsent):
                asking_.add(row.id)
    busy: set[int] = set()
    if writing:
        asked = {"workspace_id": workspace_id, "contact_ids": sorted(set(writing.values()))}
        locked = set(session.scalars(_LOCK_CONTACTS, asked))
        busy |= {id_ for id_, contact_id in writing.items() if contact_id not in locked}
    if asking_ and not ledger.try_lock(session):
        busy |= asking_
    return busy


def _steps(
    program: Program, row: Inside, facts: Facts, pause: Pause | None, now: datetime
) -> tuple[advance.Advanced, bool]:
    """What became of one passage, and whether an exit rule (not a step) ended it."""
    ended = entry.exit_by_state(program, facts, now)
    if ended:
        return advance.leave(row.state, ended.reason, ended.outcome, ended.sentence, now), True
    rule = after_pause(program, row.state, pause.rule, now) if pause and pause.holds(row.state.until) else None
    if rule is None:
        return advance.advance(program, row.state, facts, now), False
    if rule.state.status != "active":
        return rule, True
    moved = advance.advance(program, rule.state, facts, now)
    return replace(moved, trace=rule.trace + moved.trace), False


_LATELY = text(
    """
    SELECT contact_id, template, max(coalesce(accepted_at, planned_at)) AS at FROM messages
    WHERE workspace_id = :workspace_id AND contact_id = ANY(:contact_ids) AND template = ANY(:templates)
        AND state NOT IN ('refused', 'cancelled', 'failed')
    GROUP BY 1, 2
    """
)


def _not_sent_lately(
    session: Session, workspace_id: int, sends: Sequence[tuple[Inside, Send]], now: datetime
) -> tuple[list[tuple[Inside, Send]], list[tuple[Inside, Decision]]]:
    """The sends to plan, and a decision for each that repeats what the person got within `skip_if_sent_within`.

    One query, none where no send has such a rule. Two passages of one person in the same batch count against each
    other, in the order of the batch.
    """
    bound = [(row, send) for row, send in sends if send.skip_if_sent_within]
    if not bound:
        return list(sends), []
    parameters = {
        "workspace_id": workspace_id,
        "contact_ids": sorted({row.contact_id for row, _ in bound}),
        "templates": sorted({send.template for _, send in bound}),
    }
    lately = {(row.contact_id, row.template): row.at for row in session.execute(_LATELY, parameters)}
    planned, repeated = [], []
    for row, send in sends:
        before = lately.get((row.contact_id, send.template))
        within = send.skip_if_sent_within
        if within and before and add(before, within, ZoneInfo("UTC")) > now:
            sentence = {
                "en": f"Not sent: the person got it less than {say(within, 'en')} before",
                "it": f"Non inviato: la persona l'ha ricevuto da meno di {say(within, 'it')}",
            }
            inputs = {"template": send.template, "sent_at": before.isoformat()}
            repeated.append((row, Decision(send.step_id, "sent_lately", sentence, now, inputs)))
            continue
        lately[row.contact_id, send.template] = now
        planned.append((row, send))
    return planned, repeated


def _set_fields(session: Session, workspace_id: int, fields: Sequence[tuple[int, SetFields]], now: datetime) -> None:
    """Write what `set` steps say of contacts: one statement. Two passages of one person keep the order of the batch."""
    if not fields:
        return
    merged: dict[int, dict[str, Any]] = {}
    for contact_id, effect in fields:
        row = merged.setdefault(
            contact_id, {"contact_id": contact_id, "attributes": {}, "given": {}, "add_tags": [], "remove_tags": []}
        )
        for path, value in effect.values.items():
            where, _, key = path.partition(".")
            if where == "attributes":
                row["attributes"][key] = value
            else:
                row["given"][where] = value
        row["add_tags"] += effect.add_tags
        row["remove_tags"] += effect.remove_tags
    parameters = {"workspace_id": workspace_id, "rows": as_rows(list(merged.values())), "now": now}
    session.execute(_SET, parameters)
