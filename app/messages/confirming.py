"""What pressing the button of a confirmation mail does: the second half of a double opt-in (R6).

A link names one pending line; the lines of the same act (`asking.py`) are confirmed with it, once, within seven days,
and not where a no came since.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.consent import ledger
from app.consent.case import CAPPED
from app.consent.fold import Key, State, fold, objected_at
from app.consent.ledger import Act
from app.consent.models import ConsentRecord
from app.consent.policy import Policy
from app.consent.wordings import VERSION
from app.db import workspace_of
from app.messages.voices import Voice, tell

About = tuple[str, str | None]
"""What is confirmed: a purpose, and with marketing its topic (None: all)."""

LIFTED_BY_CONFIRMING = ("unsubscribe", "complaint", "erased")
"""Suppressions that a fresh double opt-in of the person lifts, and nothing else does (R37)."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What pressing the button did."""

    outcome: str
    """confirmed; already (pressed before); expired (after seven days); refused (a no came since, or no request)."""
    contact_id: int
    lines: tuple[int, ...] = ()
    """The new lines."""
    asked: tuple[int, ...] = ()
    """The pending lines of the request."""
    about: tuple[About, ...] = ()
    """What the request was about."""


@dataclass(frozen=True, slots=True)
class Pending:
    """What a confirmation link speaks of, for the page with its button."""

    contact_id: int
    message_id: int | None
    """The newest mail that asked; None where none went out from here."""
    about: tuple[About, ...]
    wordings: tuple[str, ...]
    """The sentences agreed to, as the ledger keeps them."""


def confirm(session: Session, contact_id: int, number: int, voice: Voice, now: datetime) -> Confirmed:
    """Confirm a request from its mailbox: the second half of a double opt-in (R6).

    Args:
        contact_id, number: as the link names them; where the contact has become part of another since, that one's.
        voice: how the person spoke.
        now: when.
    """
    contact_id, number = _survivor(session, contact_id, number)
    # People first, then the ledger: the order in which everybody locks.
    session.execute(_LOCK, {"ws": workspace_of(session), "contact": contact_id})
    ledger.lock(session)
    records = ledger.history(session, contact_id)
    first = next((one for one in records if one.line == number and one.state == "pending"), None)
    if first is None:
        return Confirmed("refused", contact_id)
    group = [one for one in records if one.state == "pending" and _together(one, first)]
    about = tuple(dict.fromkeys((one.purpose, one.topic) for one in group))
    states = fold(ledger.lines(session, [contact_id]).get(contact_id, []))
    standing = {one.line: _stands(states, one, now) for one in group}
    acts = [_granted(one, voice, now) for one in group if standing[one.line] == "pending"]
    asked = tuple(one.line for one in group)
    if not acts:
        return Confirmed(standing[number], contact_id, (), asked, about)
    numbers = ledger.append(session, acts, now)
    if any(act.purpose in CAPPED for act in acts):
        why = f"double opt-in, line {numbers[0]}"
        ledger.lift(session, first.channel, first.address, LIFTED_BY_CONFIRMING, why, now)
    tell(session, acts, numbers, now)
    _close(session, contact_id, asked, now)
    return Confirmed("confirmed", contact_id, tuple(numbers), asked, tuple((act.purpose, act.topic) for act in acts))


def look(session: Session, contact_id: int, number: int) -> Pending:
    """What `confirm` would confirm; changes nothing. Two queries, one more for each merge of the contact."""
    contact_id, number = _survivor(session, contact_id, number)
    records = [one for one in ledger.history(session, contact_id) if one.state == "pending"]
    first = next((one for one in records if one.line == number), None)
    group = [one for one in records if first is not None and _together(one, first)]
    message_id = session.scalar(_MAIL, {"ws": workspace_of(session), "contact": contact_id})
    wordings = tuple(dict.fromkeys(str(one.proof["wording"]) for one in group if one.proof.get("wording")))
    about = tuple(dict.fromkeys((one.purpose, one.topic) for one in group))
    return Pending(contact_id, message_id, about, wordings)


def _close(session: Session, contact_id: int, lines: Sequence[int], now: datetime) -> None:
    """Close the request that these lines stood for, so that nothing more comes of it."""
    wanted = {"ws": workspace_of(session), "contact": contact_id, "lines": list(lines)}
    session.execute(_CLOSE, {**wanted, "now": now})


def _together(one: ConsentRecord, first: ConsentRecord) -> bool:
    """Whether two pending lines are one request: asked for over one address, by one act."""
    return (one.requested_at, one.address, one.channel, one.method) == (
        first.requested_at,
        first.address,
        first.channel,
        first.method,
    )


def _stands(states: Mapping[Key, State], one: ConsentRecord, now: datetime) -> str:
    """pending, or what has become of a line that was."""
    held = states[one.address, one.channel, one.purpose, one.topic]
    if held.granted and held.at >= one.requested_at:
        return "already"
    general = states.get((one.address, one.channel, one.purpose, None))
    noes = [state.refused_at for state in (held, general) if state is not None and state.refused_at is not None]
    objection = objected_at(states)
    if any(moment >= one.requested_at for moment in (*noes, *([objection] if objection else []))):
        return "refused"
    if held.state != "pending" or now > one.requested_at + Policy().pending_for:
        return "expired"
    return "pending"


def _granted(asked: ConsentRecord, voice: Voice, now: datetime) -> Act:
    return Act(
        contact_id=asked.contact_id,
        address=asked.address,
        channel=asked.channel,
        purpose=asked.purpose,
        topic=asked.topic,
        state="granted",
        method=asked.method,
        requested_at=asked.requested_at,
        confirmed_at=now,
        proof={
            **asked.proof,
            "confirmed": voice.proof(),
            "token_id": f"line {asked.line}",
            "wording_version": asked.proof.get("wording_version") or VERSION,
        },
    )


def _survivor(session: Session, contact_id: int, number: int) -> tuple[int, int]:
    """The contact a link's contact has become, and the line as it was said again there (X11)."""
    while True:
        wanted = {"ws": workspace_of(session), "contact": contact_id, "line": number}
        row = session.execute(_MERGED, wanted).first()
        if row is None:
            return contact_id, number
        contact_id, number = row.merged_into, row.line or 0


_LOCK = text("SELECT FROM contacts WHERE workspace_id = :ws AND id = :contact FOR NO KEY UPDATE")
_CLOSE = text(
    """
    UPDATE consent_requests SET state = 'confirmed', next_at = NULL, ended_at = :now
    WHERE workspace_id = :ws AND contact_id = :contact AND lines && CAST(:lines AS bigint[]) AND state = 'pending'
    """
)
_MAIL = text(
    "SELECT max(id) FROM messages WHERE workspace_id = :ws AND contact_id = :contact AND class = 'consent_request'"
)
_MERGED = text(
    """
    SELECT c.merged_into, (
        SELECT max(r.line) FROM consent_records r
        WHERE r.workspace_id = c.workspace_id AND r.contact_id = c.merged_into
          AND r.proof ->> 'merged_line' = CAST(:line AS text)) AS line
    FROM contacts c WHERE c.workspace_id = :ws AND c.id = :contact AND c.merged_into IS NOT NULL
    """
)
