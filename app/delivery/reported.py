"""What a provider's webhook reports: recorded once, withdrawals obeyed, and what is of no mail of ours kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.consent import ledger
from app.consent.ledger import address_key
from app.db import as_rows, workspace_of
from app.delivery import senders, track
from app.delivery.providers.webhooks import Report, code_of
from app.delivery.senders import Known
from app.delivery.track import Arrival
from app.messages import choices
from app.messages.choices import Leaving, Wish
from app.messages.voices import Voice


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the reports of one request."""

    recorded: int
    known: int
    """Said before."""
    unmatched: int
    """Of no message of this workspace, and kept as such."""
    untracked: int
    """Opens and clicks of people who have not granted that: not kept at all (R14, R15)."""


QUERIES = 6
"""Those of `track.record`, the unmatched, the sender. Opens and clicks cost two more, whatever their number;
withdrawals at the provider one more and those of `choices.leave`."""


def take(session: Session, sender: Known, reports: Sequence[Report], now: datetime) -> Taken:
    """Record what a request reports, in a unit of work of the sender's workspace; see `QUERIES`.

    Who unsubscribes by the provider's own link or button gets nothing more through it: all marketing is withdrawn.
    """
    arrivals = [_arrival(sender, one, now) for one in reports]
    allowed = _allowed(session, arrivals)
    tracked = track.record(session, allowed, now)
    _leave(session, [(one, message) for one, message in tracked.fresh if one.kind == "unsubscribed"], now)
    kept = _keep(session, sender, tracked.unmatched, now)
    senders.note(session, sender, "taken", now)
    known = tracked.duplicates + len(tracked.unmatched) - kept
    return Taken(tracked.recorded, known, kept, len(arrivals) - len(allowed))


_OF_READERS = frozenset({"opened", "clicked"})


def _allowed(session: Session, arrivals: Sequence[Arrival]) -> Sequence[Arrival]:
    """Without the opens and clicks of our mails that a provider tells although the reader has not granted tracking.

    What a provider adds to our mails is its customer's to switch off; until that is done, nothing of it is kept.
    """
    told = [one for one in arrivals if one.kind in _OF_READERS]
    if not told:
        return arrivals
    given = {
        "ws": workspace_of(session),
        "ids": [one.message_id for one in told if one.message_id],
        "provided": [one.provider_id for one in told if one.provider_id],
    }
    rows = session.execute(_READERS, given).all()
    held = ledger.current(session, {row.contact_id for row in rows}) if rows else {}
    refused: set[str] = set()
    for row in rows:
        state = held.get(row.contact_id, {}).get((address_key(row.address or ""), row.channel, "open_tracking", None))
        if state is None or not state.granted:
            refused |= {name for name in (row.message_id, row.provider_id) if name}
    return [one for one in arrivals if one.kind not in _OF_READERS or not refused & {one.message_id, one.provider_id}]


def _arrival(sender: Known, report: Report, now: datetime) -> Arrival:
    told = {"raw": dict(report.raw), "recipient": report.recipient, "code": code_of(report), "url": report.url}
    told["reported_at"] = report.reported_at.isoformat() if report.reported_at else None
    return Arrival(
        kind=report.kind,
        # A provider's clock may go before ours; nothing was reported before it happened.
        occurred_at=min(report.occurred_at or now, now),
        provider=sender.provider,
        dedupe=report.dedupe,
        message_id=report.sent_as or report.message_id,
        provider_id=report.provider_id,
        reason=report.reason,
        data={name: value for name, value in told.items() if value is not None},
    )


def _leave(session: Session, left: Sequence[tuple[Arrival, int]], now: datetime) -> None:
    people = choices.people_of_messages(session, [message for _, message in left])
    leavings = []
    for arrival, message in left:
        if message in people:
            voice = Voice("provider_unsubscribe", "", arrival.provider, message_pk=message, provider=arrival.provider)
            leavings.append(Leaving(people[message], (Wish("marketing", None, False),), voice, now))
    choices.leave(session, leavings, now)


def _keep(session: Session, sender: Known, unmatched: Sequence[Arrival], now: datetime) -> int:
    """How many of them were not known."""
    if not unmatched:
        return 0
    rows: list[dict[str, Any]] = [
        {
            "kind": one.kind,
            "reason": one.reason,
            "dedupe": one.dedupe,
            "message_id": one.message_id,
            "provider_id": one.provider_id,
            "occurred_at": one.occurred_at,
            "data": one.data,
        }
        for one in unmatched
    ]
    given = {"ws": workspace_of(session), "sender": sender.id, "provider": sender.provider, "now": now}
    return len(session.execute(_KEEP, {**given, "rows": as_rows(rows)}).all())


_READERS = text(
    """
    SELECT contact_id, address, channel, message_id, provider_id FROM messages
    WHERE workspace_id = :ws
      AND (message_id = ANY(CAST(:ids AS text[])) OR provider_id = ANY(CAST(:provided AS text[])))
    """
)
_KEEP = text(
    """
    INSERT INTO unmatched_reports (workspace_id, sender_id, provider, kind, reason, dedupe, message_id, provider_id,
                                   occurred_at, received_at, data)
    SELECT :ws, :sender, :provider, kind, reason, dedupe, message_id, provider_id, occurred_at, :now, data
    FROM json_to_recordset(CAST(:rows AS json)) AS r(kind text, reason text, dedupe text, message_id text,
                                                     provider_id text, occurred_at timestamptz, data jsonb)
    ON CONFLICT DO NOTHING RETURNING id
    """
)
