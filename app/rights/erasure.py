"""Erasing a person (R51): everything marked personal goes; what is left says nothing of anybody.

In one unit of work, in this order: what waits is taken back, passages end, consents end in the ledger, the addresses
are suppressed by keyed hash, and every personal column of every table is emptied, or its row deleted where it cannot
be. What is kept, and why, stands in the receipt (docs/decisions/0005-what-outlives-an-erasure.md):

- the lines of the ledger, which are the proof of what the person agreed to, under restriction;
- the keyed hashes of their addresses, so that nobody writes to them for marketing after a re-import;
- rows without personal data (a message of that template was sent that day), so that figures stay right;
- for 30 days, where a workflow tells other systems (GDPR 19), the ids those systems gave the person: they stand in
  `contact.erased` and in what follows from it, and `forget` empties them.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.consent import ledger
from app.consent.ledger import Barred
from app.contacts.identity import PEOPLE_LOCK
from app.db import workspace_of
from app.enrollments import programs
from app.events.record import OwnEvent, record_own
from app.journey.consents import ERASED
from app.messages import choices
from app.messages.choices import Leaving, Person, Wish
from app.messages.states import WAITING
from app.messages.voices import Voice
from app.rights import walk
from app.rights.walk import Place, Whole

KEPT: Mapping[str, str] = {"consent_records": "proof"}
"""Tables whose personal columns stay, under restriction, and why."""

DELETED = frozenset(
    {
        *("captured_mails", "contact_aliases", "contact_changes", "contact_merges", "consent_words", "event_work"),
        *("broadcast_recipients", "hits", "segment_members", "special_values"),
    }
)
"""Tables whose rows go whole: without what they say of a person they mean nothing."""

_SENTENCE = """'{"sentence": {"en": "Erased.", "it": "Cancellato."}, "inputs": {}}'::jsonb"""
INSTEAD: Mapping[str, str] = {
    # Unique among the person's rows, so each needs a word of its own.
    "bookings.reference": "'erased-' || t.id",
    "enrollments.key": "'erased-' || t.id",
    # What figures count by stays apart, under a word that nobody can trace back: the salt is thrown away.
    "enrollments.goal_event": "'erased-' || left(md5(:salt || t.goal_event), 16)",
    "enrollments.goal_booking": "'erased-' || left(md5(:salt || t.goal_booking), 16)",
    "enrollments.state": "(SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(t.state) WHERE key IN"
    " ('entered_at', 'moment', 'visits', 'done', 'variants', 'rounds', 'marks', 'outcome'))"
    " || jsonb_build_object('status', t.status, 'key', 'erased-' || t.id, 'reason', t.end_reason)",
    # Whoever shows a decision expects a sentence; that a draw was kept is counted.
    "step_visits.detail": f"CASE WHEN t.detail #>> '{{inputs,by}}' = 'kept'"
    f" THEN jsonb_set({_SENTENCE}, '{{inputs,by}}', '\"kept\"') ELSE {_SENTENCE} END",
    "entry_refusals.detail": _SENTENCE,
}
"""Personal columns that are not simply emptied."""

QUERIES = 27
"""Besides one for each place of `walk.places`."""

TOLD_WITHIN = timedelta(days=30)
"""As long are the ids of other systems kept for these to be told: a call is tried for a day, then again by hand."""


@dataclass(frozen=True)
class Receipt:
    """What an erasure did, in numbers; it holds no data of the person."""

    contact_id: int
    at: datetime
    emptied: Mapping[str, int] = field(default_factory=dict)
    """Table → rows emptied or deleted."""
    kept: Mapping[str, int] = field(default_factory=dict)
    """proof: lines of the ledger; suppressed: addresses known by their hash; counted: rows that name nobody."""
    cancelled: int = 0
    """Messages taken back."""
    ended: int = 0
    """Passages ended."""
    forget_at: datetime | None = None
    """When the ids of other systems go, where any are kept so that these can be told."""

    def as_json(self) -> dict[str, Any]:
        """For `rights_requests.receipt`."""
        return {
            "at": self.at.isoformat(),
            "emptied": dict(self.emptied),
            "kept": dict(self.kept),
            "cancelled": self.cancelled,
            "ended": self.ended,
        }


def erase(session: Session, contact_id: int, by: str, now: datetime, *, tell: bool = False) -> Receipt:
    """Erase a person and every contact that became part of them; done twice it does nothing more.

    Args:
        session: a unit of work of one workspace; nobody records or merges people of it meanwhile.
        contact_id: any of the person's contacts.
        by: `person`, or who of the team did it.
        tell: let workflows that hear of it know by what ids other systems know the person; whoever asks for it sees to
            it that `forget` is called at `Receipt.forget_at`.

    Raises:
        walk.NobodyError: there is no such contact.
    """
    session.execute(_ALONE, {"key": PEOPLE_LOCK, "ws": workspace_of(session)})
    person = walk.whole(session, contact_id)
    if person.erased:
        return Receipt(person.contact_id, now)
    cancelled, ended = stop(session, person, now)
    _end_consents(session, person, by, now)
    asked = person.asked(session) | {"now": now, "salt": secrets.token_hex(16)}
    emptied = _emptied(session, asked)
    session.execute(_SHELL, asked)
    ids = person.external_ids if tell and person.external_ids and _heard(session) else ()
    record_own(session, [OwnEvent(person.contact_id, ERASED, now, {"by": _who(by), **_known_as(ids)})], now)
    kept = session.execute(_KEPT, asked).one()
    return Receipt(
        person.contact_id,
        now,
        emptied,
        {"proof": kept.proof, "suppressed": kept.suppressed, "counted": kept.counted},
        cancelled,
        ended,
        now + TOLD_WITHIN if ids else None,
    )


def forget(session: Session, contact_id: int, now: datetime) -> None:
    """What was kept of an erased person so that other systems could be told goes too; who was not told is not any more.

    It costs what `erase` costs.
    """
    person = walk.whole(session, contact_id)
    if person.erased:
        stop(session, person, now)
        _emptied(session, person.asked(session) | {"now": now, "salt": secrets.token_hex(16)})


def _emptied(session: Session, asked: Mapping[str, Any]) -> dict[str, int]:
    """Empty or delete a person's rows in every table but the proof; table → how many. One query a place."""
    return {
        place.name: count
        for place in walk.places()
        if place.name not in KEPT and (count := _empty(session, place, asked))
    }


def _heard(session: Session) -> bool:
    """Whether a workflow begins with an erasure. Two queries."""
    return any(ERASED in one.program.starts_on for one in programs.live(session))


def _known_as(ids: Sequence[str]) -> dict[str, Any]:
    also = {"also": list(ids[1:])} if ids[1:] else {}
    return {"external_id": ids[0], **also} if ids else {}


def stop(session: Session, person: Whole, now: datetime) -> tuple[int, int]:
    """Take back what waits for a person and end their passages; how many of each. Three queries."""
    asked = {"ws": workspace_of(session), "people": list(person.people), "waiting": list(WAITING), "now": now}
    cancelled = len(session.execute(_CANCEL, asked).all())
    ended = len(session.execute(_END, asked).all())
    session.execute(_CALLS, asked)
    return cancelled, ended


def _end_consents(session: Session, person: Whole, by: str, now: datetime) -> None:
    """What was granted, or asked for, ends in the ledger; where nothing was ever said, no line is made."""
    leavings = []
    for contact_id, states in ledger.current(session, person.people).items():
        for (address, channel, purpose, topic), state in states.items():
            if state.state in {"granted", "pending"} and purpose != "notice":
                whose = Person(contact_id, (address,), channel)
                voice = Voice("erasure", "", _who(by))
                leavings.append(Leaving(whose, (Wish(purpose, topic, False),), voice, now))
    if leavings:
        choices.leave(session, leavings, now)
    # Service mail of a later booking still goes: only marketing and requests for an opinion are barred.
    barred = [Barred(channel, address, "erased", "marketing") for channel, address in person.addresses]
    ledger.suppress(session, barred, now)


def _who(by: str) -> str:
    return "person" if by == "person" else "staff"


def _empty(session: Session, place: Place, asked: Mapping[str, Any]) -> int:
    """Empty or delete a person's rows of one table; how many. One query."""
    mine = f"t.workspace_id = :ws AND {place.where}" if "workspace_id" in place.table.columns else place.where
    if place.name in DELETED or place.goes:
        return len(session.execute(text(f'DELETE FROM "{place.name}" t WHERE {mine} RETURNING 1'), asked).all())
    if not place.personal:
        return 0
    values = ", ".join(
        f'"{column.name}" = {INSTEAD.get(f"{place.name}.{column.name}", walk.empty(column))}'
        for column in place.personal
    )
    return len(session.execute(text(f'UPDATE "{place.name}" t SET {values} WHERE {mine} RETURNING 1'), asked).all())


_ALONE = text("SELECT pg_advisory_xact_lock(:key, CAST(:ws AS integer))")
_CANCEL = text(
    """
    UPDATE messages SET state = 'cancelled', reason = 'erased', rule = 'R51', ended_at = :now
    WHERE workspace_id = :ws AND contact_id = ANY(:people) AND state = ANY(:waiting)
      AND NOT coalesce(terms ? 'needed', false)
    RETURNING id
    """
)
_END = text(
    """
    UPDATE enrollments SET status = 'exited', end_reason = 'erased', ended_at = :now, wake_at = NULL, waits_for = '{}',
                           step_id = NULL
    WHERE workspace_id = :ws AND contact_id = ANY(:people) AND status = 'active' RETURNING id
    """
)
_CALLS = text(
    """
    WITH calls AS (
        UPDATE calls SET state = 'failed', next_at = NULL, token = NULL, ended_at = :now
        WHERE workspace_id = :ws AND contact_id = ANY(:people) AND next_at IS NOT NULL
    )
    UPDATE tasks SET done_at = :now, done_by = 'erasure'
    WHERE workspace_id = :ws AND contact_id = ANY(:people) AND done_at IS NULL
    """
)
_SHELL = text(
    """
    UPDATE contacts SET erased_at = :now, updated_at = :now, frozen_at = NULL
    WHERE workspace_id = :ws AND id = ANY(:people)
    """
)
_KEPT = text(
    """
    SELECT (SELECT count(*) FROM consent_records WHERE workspace_id = :ws AND contact_id = ANY(:people)) AS proof,
           (SELECT count(DISTINCT (channel, address_hash)) FROM suppressions
             WHERE workspace_id = :ws AND address_hash = ANY(:hashes) AND lifted_at IS NULL) AS suppressed,
           (SELECT count(*) FROM messages WHERE workspace_id = :ws AND contact_id = ANY(:people))
         + (SELECT count(*) FROM bookings WHERE workspace_id = :ws AND contact_id = ANY(:people)) AS counted
    """
)
