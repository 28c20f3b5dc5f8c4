"""What became of a message: one vocabulary for all providers, recorded once, with what follows from it.

    report → delivery event → state of the message → suppression and ledger (R35, R36) → our own event

Doors and transports translate a provider's words into an `Arrival`; nothing else here knows any provider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from app.consent.ledger import Barred, address_key, suppress
from app.db import as_rows, settings_of, workspace_of
from app.delivery.engagement import SETTLES, UNSETTLED
from app.events.record import OwnEvent, record_own
from app.messages import choices, streams
from app.messages.choices import Chosen, Leaving, Person, Wish
from app.messages.links import BadTokenError, read_bounce_address
from app.messages.states import can, move
from app.messages.voices import Voice

log = structlog.get_logger()

KINDS: Mapping[str, str] = {
    "accepted": "the provider took it and will try",
    "delivered": "the mailbox's server took it",
    "deferred": "the mailbox's server said later; the provider keeps trying",
    "bounced": "the mailbox's server refused it, at once or afterwards",
    "rejected": "the provider itself refused to send it",
    "complained": "the reader called it spam (ARF, feedback loop)",
    "opened": "the reader opened it; only where tracking is granted",
    "clicked": "the reader followed a link; only where tracking is granted",
    "unsubscribed": "the reader left, by a link or through the provider",
    "unknown": "the provider said something that has no place here; its words are kept",
}
"""Everything that can be reported of a message that has left."""

REASONS: Mapping[str, str] = {
    "hard": "of a bounce: no such mailbox or domain (R35)",
    "soft": "of a bounce: the mailbox has trouble, or the code is not known",
    "blocked": "of a bounce or a rejection: the sender is not trusted; never held against the address",
    "abuse": "of a complaint: spam",
    "not_spam": "of a complaint: taken back; never subscribes anybody again (R36)",
    "suppressed": "of a rejection: the provider has the address on its own list",
    "other": "told, but in no words of ours",
}
"""Why, where it matters to what happens next."""

SOFT_LIMIT = 5
SOFT_DAYS = 30
"""So many soft bounces in so many days with no delivery between suppress an address (R35)."""

AWAY = timedelta(days=1)
"""How far the clocks of two hosts may lie apart. Nothing is heard of a mail before it has left: of the months of events
only those since then are looked at."""

_EVENTS: Mapping[str, str] = {
    "delivered": "delivered",
    "bounced": "bounced",
    "complained": "complained",
    "opened": "opened",
    "clicked": "clicked",
    "unsubscribed": "unsubscribed",
    "accepted": "find_accepted",
    "rejected": "permanent",
}
"""Kind → event of `messages.states`; the other kinds move nothing."""

_LEFT = frozenset({"handed_over", "unknown", "accepted", "failed"})
"""States of messages that have, or may have, left the house."""

_OWN = frozenset({"delivered", "bounced", "complained", "opened", "clicked", "unsubscribed"})


@dataclass(frozen=True, slots=True)
class Arrival:
    """One report. The message is named by our number, its bounce address (VERP), its Message-ID, or its provider's id.

    `dedupe` is the provider's id of the report or a hash of it: the same one for the same message is recorded once.
    """

    kind: str
    occurred_at: datetime
    provider: str
    dedupe: str
    message_pk: int | None = None
    bounce_address: str | None = None
    message_id: str | None = None
    provider_id: str | None = None
    reason: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no kind of delivery event; it is one of {', '.join(KINDS)}.")
        if self.reason is not None and self.reason not in REASONS:
            raise ValueError(f"{self.reason!r} is no reason; it is one of {', '.join(REASONS)}.")


@dataclass(frozen=True, slots=True)
class Tracked:
    """What `record` did with its arrivals."""

    recorded: int
    duplicates: int
    unmatched: tuple[Arrival, ...]
    """Speak of no message of this workspace."""
    fresh: tuple[tuple[Arrival, int], ...] = field(default=(), compare=False)
    """What was recorded, each with the number of its message."""


QUERIES = 4
"""Messages, known reports, insert, update; opens and clicks cost one more, to be looked at again; bounces cost up to 9,
whatever their number: one for soft bounces, one to suppress, three for our own events, four to look at the stream
(R38); complaints those of `choices.leave` besides."""


def record(session: Session, arrivals: Sequence[Arrival], now: datetime) -> Tracked:
    """Record reports and what follows from them, once each; see `QUERIES`.

    - A hard bounce suppresses the address the message went to; the fifth soft one in 30 days does too (R35).
    - A complaint withdraws marketing and feedback on that address, in the ledger, and suppresses it for both (R36).
    - `unsubscribed` is recorded here; the withdrawal is the caller's, who knows what the person has left.
    - Who opened or clicked is not known yet: a hit is `unsettled` and means nothing until `hits.run` has sorted it.

    Args:
        session: a unit of work of one workspace.
        arrivals: reports in the order they came.
        now: when they came.
    """
    if not arrivals:
        return Tracked(0, 0, ())
    named = [_number_of(session, arrival) for arrival in arrivals]
    found = session.execute(
        _MESSAGES,
        {
            "ws": workspace_of(session),
            "pks": [number for number in named if number is not None],
            "ids": [one.message_id for one in arrivals if one.message_id],
            "provided": [one.provider_id for one in arrivals if one.provider_id],
        },
    ).all()
    by_number = {row.id: row for row in found}
    by_message_id = {row.message_id: row for row in found if row.message_id}
    by_provider = {row.provider_id: row for row in found if row.provider_id}
    matched: list[tuple[Arrival, Row[Any]]] = []
    unmatched: list[Arrival] = []
    for arrival, number in zip(arrivals, named, strict=True):
        row = (
            by_number.get(number or 0) or by_message_id.get(arrival.message_id) or by_provider.get(arrival.provider_id)
        )
        if row is None:
            unmatched.append(arrival)
        else:
            matched.append((arrival, row))
    fresh = _unseen(session, matched)
    if fresh:
        _write(session, fresh, now)
        _follow(session, fresh, now)
        if any(arrival.kind in {"bounced", "complained"} for arrival, _ in fresh):
            streams.watch(session, now)
    told = tuple((arrival, row.id) for arrival, row in fresh)
    return Tracked(len(fresh), len(matched) - len(fresh), tuple(unmatched), told)


def _number_of(session: Session, arrival: Arrival) -> int | None:
    if arrival.message_pk is not None:
        return arrival.message_pk
    if arrival.bounce_address:
        try:
            ref = read_bounce_address(settings_of(session), arrival.bounce_address)
        except BadTokenError:
            return None
        return ref.message_id if ref.workspace_id == workspace_of(session) else None
    return None


def _unseen(session: Session, matched: Sequence[tuple[Arrival, Row[Any]]]) -> list[tuple[Arrival, Row[Any]]]:
    """Those not recorded yet. The messages are locked, so two callers with the same report come after each other."""
    if not matched:
        return []
    rows = session.execute(
        _SEEN,
        {
            "ws": workspace_of(session),
            "pks": [row.id for _, row in matched],
            "dedupes": [arrival.dedupe for arrival, _ in matched],
            "since": min(row.left_at for _, row in matched) - AWAY,
        },
    )
    seen = {(row.message_pk, row.provider, row.dedupe) for row in rows}
    fresh = []
    for arrival, row in matched:
        key = (row.id, arrival.provider, arrival.dedupe)
        if key not in seen:
            seen.add(key)
            fresh.append((arrival, row))
    return fresh


def _write(session: Session, fresh: Sequence[tuple[Arrival, Row[Any]]], now: datetime) -> None:
    """The delivery events, and where the messages stand now."""
    lines: list[dict[str, Any]] = []
    hits: list[dict[str, Any]] = []
    stand: dict[int, dict[str, Any]] = {}
    for arrival, row in fresh:
        lines.append(
            {
                "contact_id": row.contact_id,
                "message_pk": row.id,
                "kind": arrival.kind,
                "reason": arrival.reason,
                "occurred_at": arrival.occurred_at,
                "provider": arrival.provider,
                "dedupe": arrival.dedupe,
                "data": data_of(arrival) if not _is_erased(row) else {"code": arrival.data.get("code")},
            }
        )
        if _waits(arrival):
            due_at = now + SETTLES[arrival.kind]
            hits.append({"contact_id": row.contact_id, "message_pk": row.id, "due_at": due_at})
        now_at = stand.setdefault(row.id, {"contact_id": row.contact_id, "id": row.id, "state": row.state})
        event = _EVENTS.get(arrival.kind)
        if event and can(now_at["state"], event):
            now_at["state"] = move(now_at["state"], event).to
        elif row.state not in _LEFT:
            # A report about a mail that, as far as we know, never left: kept and told, for a person to look at.
            log.warning("odd_report", message=row.id, state=now_at["state"], kind=arrival.kind)
        if arrival.kind in _INSTANTS and arrival.reason != "not_spam" and not _waits(arrival):
            now_at.setdefault(_INSTANTS[arrival.kind], arrival.occurred_at)
    session.execute(_INSERT, {"ws": workspace_of(session), "now": now, "rows": as_rows(lines)})
    session.execute(_UPDATE, {"ws": workspace_of(session), "now": now, "rows": as_rows(list(stand.values()))})
    if hits:
        session.execute(_HITS, {"ws": workspace_of(session), "rows": as_rows(hits)})


def _waits(arrival: Arrival) -> bool:
    """Whether it is an open or a click of which nobody knows yet who it was."""
    return arrival.kind in SETTLES and "class" not in arrival.data


def data_of(arrival: Arrival) -> dict[str, Any]:
    """What is kept of it."""
    return {**arrival.data, "class": UNSETTLED} if _waits(arrival) else dict(arrival.data)


def _follow(session: Session, fresh: Sequence[tuple[Arrival, Row[Any]]], now: datetime) -> None:
    """Suppressions, the ledger and our own events."""
    barred: list[Barred] = []
    complaints: list[Leaving] = []
    own: list[OwnEvent] = []
    soft = []
    for arrival, row in fresh:
        detail = {"message_pk": row.id, "provider": arrival.provider}
        if _is_erased(row):
            barred += _of_nobody(arrival, row)
            continue
        if arrival.kind == "bounced" and row.address:
            if arrival.reason == "hard":
                barred.append(Barred(row.channel, row.address, "hard_bounce", "all", detail))
            elif arrival.reason != "blocked":
                soft.append(row)
        if arrival.kind == "complained" and arrival.reason != "not_spam" and row.address:
            person = Person(row.contact_id, (address_key(row.address),), row.channel, row.id)
            voice = Voice("complaint", "", arrival.provider, message_pk=row.id, provider=arrival.provider)
            complaints.append(Leaving(person, _COMPLAINED, voice, arrival.occurred_at, bar="complaint"))
        if arrival.kind in _OWN and arrival.reason != "not_spam" and not _waits(arrival):
            own.append(own_event(arrival.kind, arrival.occurred_at, arrival.data, row, arrival.reason))
    if soft:
        barred += _worn_out(session, soft, now)
    suppress(session, barred, now)
    choices.leave(session, complaints, now)
    record_own(session, own, now)


def _is_erased(row: Row[Any]) -> bool:
    """Whether the mail left and nothing says any more to whom: its reader has been erased since (R51)."""
    return row.address is None and row.state in _LEFT


def _of_nobody(arrival: Arrival, row: Row[Any]) -> list[Barred]:
    """What a report still changes for somebody who has been erased: the hash of the address it names, and no more.

    It brings back no profile: no ledger line, no event, nothing of what the provider said (X33).
    """
    told = arrival.data.get("recipient")
    if not isinstance(told, str) or "@" not in told:
        return []
    if arrival.kind == "bounced" and arrival.reason == "hard":
        return [Barred(row.channel, told, "hard_bounce")]
    if arrival.kind == "complained" and arrival.reason != "not_spam":
        return [Barred(row.channel, told, "complaint", "marketing")]
    return []


def _worn_out(session: Session, rows: Sequence[Row[Any]], now: datetime) -> list[Barred]:
    """Addresses that have now bounced softly once too often."""
    counted = session.execute(
        _SOFT,
        {
            "ws": workspace_of(session),
            "now": now,
            "days": SOFT_DAYS,
            "limit": SOFT_LIMIT,
            "contacts": sorted({row.contact_id for row in rows}),
            "addresses": sorted({row.address for row in rows}),
        },
    )
    return [Barred(row.channel, row.address, "soft_bounces", "all", {"bounces": row.bounces}) for row in counted]


def own_event(
    kind: str, occurred_at: datetime, told: Mapping[str, Any], row: Row[Any], reason: str | None = None
) -> OwnEvent:
    """What a delivery event is to workflows: `message.<kind>`. `row` is the message, with the name of its workflow."""
    data: dict[str, Any] = {
        "message_id": row.id,
        "workflow": row.workflow,
        "step": row.step_id,
        "template": row.template,
    }
    if kind == "bounced":
        data |= {"reason": str(told.get("code") or reason or ""), "hard": reason == "hard"}
    elif kind == "clicked":
        data["url"] = told.get("url")
    elif kind == "unsubscribed":
        data["topic"] = row.topic
    return OwnEvent(row.contact_id, f"message.{kind}", occurred_at, data, row.booking_id)


_COMPLAINED = (Wish("marketing", None, False), Wish("feedback", None, False))
"""What who presses "this is spam" has had enough of (R36)."""


def leave(session: Session, leaving: Leaving, now: datetime) -> Chosen:
    """Somebody leaves by a link of a mail of ours: `choices.leave`, and the mail is marked as the one they left by."""
    chosen = choices.leave(session, [leaving], now)[0]
    if chosen.lines:
        pk = leaving.person.message_id
        seen = f"{leaving.voice.method}:{pk}"
        record(session, [Arrival("unsubscribed", now, "percorso", seen, message_pk=pk)], now)
    return chosen


_INSTANTS = {
    "delivered": "delivered_at",
    "bounced": "bounced_at",
    "complained": "complained_at",
    "clicked": "clicked_at",
}
"""Kind → the column that keeps when it first happened."""

_MESSAGES = text(
    """
    SELECT m.id, m.contact_id, m.state, m.message_id, m.provider_id, m.channel, m.address, m.topic, m.template,
           m.step_id, m.booking_id, coalesce(m.handed_over_at, m.planned_at) AS left_at,
           (SELECT w.name FROM workflows w WHERE w.workspace_id = :ws AND w.id = m.workflow_id) AS workflow
    FROM messages m
    WHERE m.workspace_id = :ws AND (m.id = ANY(CAST(:pks AS bigint[])) OR m.message_id = ANY(CAST(:ids AS text[]))
        OR m.provider_id = ANY(CAST(:provided AS text[])))
    ORDER BY m.contact_id, m.id FOR UPDATE OF m
    """
)
_SEEN = text(
    """
    SELECT message_pk, provider, dedupe FROM delivery_events
    WHERE workspace_id = :ws AND message_pk = ANY(CAST(:pks AS bigint[])) AND dedupe = ANY(CAST(:dedupes AS text[]))
      AND received_at >= :since
    """
)
_INSERT = text(
    """
    INSERT INTO delivery_events (workspace_id, contact_id, message_pk, kind, reason, occurred_at, provider, dedupe,
                                 data, received_at)
    SELECT :ws, r.*, :now
    FROM json_to_recordset(CAST(:rows AS json)) AS r(contact_id bigint, message_pk bigint, kind text, reason text,
                                                     occurred_at timestamptz, provider text, dedupe text, data jsonb)
    """
)
_HITS = text(
    """
    INSERT INTO hits AS h (workspace_id, contact_id, message_pk, due_at)
    SELECT :ws, contact_id, message_pk, min(due_at)
    FROM json_to_recordset(CAST(:rows AS json)) AS r(contact_id bigint, message_pk bigint, due_at timestamptz)
    GROUP BY contact_id, message_pk
    ON CONFLICT (workspace_id, contact_id, message_pk) DO UPDATE SET due_at = least(h.due_at, excluded.due_at)
    """
)
_UPDATE = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS given(contact_id bigint, id bigint, state text,
            delivered_at timestamptz, bounced_at timestamptz, complained_at timestamptz, clicked_at timestamptz)
    )
    UPDATE messages m SET
        state = r.state,
        reason = CASE WHEN r.state <> m.state AND r.state = 'accepted' THEN NULL ELSE m.reason END,
        accepted_at = CASE WHEN r.state = 'accepted' THEN coalesce(m.accepted_at, :now) ELSE m.accepted_at END,
        ended_at = CASE WHEN r.state IN ('accepted', 'failed') THEN coalesce(m.ended_at, :now) ELSE m.ended_at END,
        delivered_at = coalesce(m.delivered_at, r.delivered_at),
        bounced_at = coalesce(m.bounced_at, r.bounced_at),
        complained_at = coalesce(m.complained_at, r.complained_at),
        clicked_at = coalesce(m.clicked_at, r.clicked_at)
    FROM r
    WHERE m.workspace_id = :ws AND m.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
      AND m.contact_id = r.contact_id AND m.id = r.id
    """
)
_SOFT = text(
    """
    SELECT m.channel, m.address, count(*) AS bounces
    FROM delivery_events d
    JOIN messages m ON m.workspace_id = :ws AND m.contact_id = d.contact_id AND m.id = d.message_pk
    WHERE d.workspace_id = :ws AND d.contact_id = ANY(CAST(:contacts AS bigint[])) AND d.kind = 'bounced'
      AND d.reason IS DISTINCT FROM 'hard' AND d.reason IS DISTINCT FROM 'blocked'
      AND d.occurred_at > :now - make_interval(days => :days) AND m.address = ANY(CAST(:addresses AS text[]))
      AND d.occurred_at > coalesce((SELECT max(x.delivered_at) FROM messages x
          WHERE x.workspace_id = :ws AND x.contact_id = d.contact_id AND x.address = m.address), '-infinity')
    GROUP BY m.channel, m.address HAVING count(*) >= :limit
    """
)
