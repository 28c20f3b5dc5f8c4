"""What was recorded of people, page by page, as a replay needs it: events, bookings, consents and mails as of any time.

A page is a fixed number of queries (`QUERIES`), whatever it holds, and is let go before the next is read. Everything
carries the instant from which it was known, so that a replay never sees what came later. Only a contact's own fields
are those of today: their past values are not kept.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.audience.facts import contact_facts, property_facts, segments_of
from app.consent import ledger
from app.consent.case import Purchase, Suppressed
from app.consent.fold import Key, Line, State, fold, words
from app.contacts.models import Contact, Property
from app.contacts.projection import Claim, Folded, in_order
from app.contacts.projection import fold as fold_claims
from app.db import settings_of, workspace_of
from app.journey.facts import Facts
from app.journey.simulate import Happening

QUERIES = 9
"""A page: ids, contacts, bookings, events, consent, when its lines were written, suppressions, messages, segments."""

CALENDAR = ("date.reached", "schedule.fired")
"""Our own events that the replay makes by itself, as the draft's calendar says."""

PAGE = 500
IMPORTED_AFTER = timedelta(days=2)
"""An event reported later than this after it happened is taken for imported history: it is replayed at the time it
happened, for nobody's mail would have waited for the import."""
_LOOK_BACK = timedelta(days=32)


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when history is replayed."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose history is looked at: people with an event of these `types` in the span; with `stays` also whoever has a
    booking that ends in it or later; or `everybody`."""

    types: tuple[str, ...]
    stays: bool = False
    everybody: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail that really went out."""

    id: int
    at: datetime
    class_: str
    template: str
    topic: str | None
    booking_id: int | None


@dataclass(slots=True)
class Stay:
    """A booking or order with what was ever said of it, and from when each was known."""

    id: int
    kind: str
    reference: str
    known: list[tuple[datetime, Claim]]
    _at: list[datetime] = field(default_factory=list)
    _seen: dict[int, Folded] = field(default_factory=dict)
    _bought: dict[int, Purchase] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known.sort(key=lambda one: one[0])
        self._at = [at for at, _ in self.known]

    def folded(self, now: datetime) -> Folded | None:
        """What was known of it at an instant; None: nothing yet. Nobody counts the same claims twice."""
        count = bisect_right(self._at, now)
        if not count:
            return None
        if count not in self._seen:
            self._seen[count] = fold_claims(in_order([claim for _, claim in self.known[:count]]))
        return self._seen[count]

    def facts(self, now: datetime) -> Facts | None:
        """`booking.*` as it was known at an instant, with the number of its property under `_property`."""
        told = self.folded(now)
        if told is None:
            return None
        return {
            "kind": self.kind,
            "reference": self.reference,
            "status": told["status"],
            "arrival": _day(told["arrival"]),
            "departure": _day(told["departure"]),
            "nights": told["nights"],
            "adults": told["adults"],
            "children": told["children"],
            "amount": told["amount"],
            "currency": told["currency"],
            "channel": told["channel"],
            "language": told["language"],
            "room_type": told["room_type"],
            "rate": told["rate"],
            "created_at": _instant(told["booked_at"]),
            "cancelled_at": _instant(told["cancelled_at"]),
            "data": told["data"],
            "_property": told["property_id"],
        }

    def purchase(self, now: datetime) -> Purchase | None:
        """The same as the rules of consent read it."""
        count = bisect_right(self._at, now)
        if count in self._bought:
            return self._bought[count]
        told = self.folded(now)
        if told is None:
            return None
        refunded = told["status"] == "refunded" or str(told["data"].get("refunded", "")).lower() == "true"
        self._bought[count] = Purchase(
            booking_id=self.id,
            status=told["status"],
            amount=told["amount"],
            channel=told["channel"],
            departure=_day(told["departure"]),
            refunded=refunded,
            arrival=_day(told["arrival"]),
            abandoned_at=self._abandoned(count) if told["status"] == "abandoned" else None,
        )
        return self._bought[count]

    def _abandoned(self, count: int) -> datetime | None:
        """When it was last left unfinished, by the first so many claims."""
        told = [claim["occurred_at"] for _, claim in self.known[:count] if claim["type"].endswith(".abandoned")]
        return max((at for one in told if (at := _instant(one)) is not None), default=None)


@dataclass(slots=True)
class Recorded:
    """One person as recorded. `happenings` lie within the span, `before` came earlier; both in the order of time."""

    contact_id: int
    contact: Facts
    address: str | None
    phone: str | None
    frozen_at: datetime | None
    erased_at: datetime | None
    before: tuple[Happening, ...]
    happenings: tuple[Happening, ...]
    stays: Mapping[str, Stay]
    sent: tuple[Sent, ...]
    barred: tuple[tuple[datetime, datetime | None, str, Suppressed], ...]
    segments: frozenset[str]
    """Those the person was in when the span began, as far as entering and leaving was recorded since."""
    imported: int
    """How many of its events were reported so late that they count as imported."""
    lines: tuple[Line, ...] = ()
    lines_at: tuple[datetime, ...] = ()
    _states: dict[int, Mapping[Key, State]] = field(default_factory=dict)
    _words: dict[int, Mapping[str, str]] = field(default_factory=dict)

    def states(self, now: datetime) -> Mapping[Key, State]:
        """What the ledger said at an instant."""
        count = bisect_right(self.lines_at, now)
        if count not in self._states:
            self._states[count] = fold(self.lines[:count])
        return self._states[count]

    def consent(self, now: datetime) -> Mapping[str, str]:
        """The same as conditions read it."""
        count = bisect_right(self.lines_at, now)
        if count not in self._words:
            self._words[count] = words(self.states(now), self.address or "")
        return self._words[count]

    def suppressed(self, channel: str, now: datetime) -> tuple[Suppressed, ...]:
        """Why the address must not be written to at an instant."""
        return tuple(
            one for since, lifted, of, one in self.barred
            if of == channel and since <= now and (lifted is None or lifted > now)
        )  # fmt: skip


def count_people(session: Session, wanted: Wanted, span: Span) -> int:
    """How many people there are to look at; one query."""
    query = _COUNT if not (wanted.stays or wanted.everybody) else _COUNT_ALL
    return int(session.scalar(query, _asked(session, wanted, span)) or 0)


def properties(session: Session) -> dict[int | None, Facts]:
    """Every property by its number, and under None the one that speaks by default; one query."""
    found: dict[int | None, Facts] = {}
    rows = session.execute(select(*Property.__table__.columns).where(Property.workspace_id == workspace_of(session)))
    for row in sorted(rows.all(), key=lambda one: one.id):
        found[row.id] = property_facts(row)
        if row.is_default or None not in found:
            found[None] = found[row.id]
    return found


def people(
    session: Session,
    wanted: Wanted,
    span: Span,
    *,
    share: float = 1.0,
    contact_id: int | None = None,
    replaces: str = "",
    page: int = PAGE,
) -> Iterator[list[Recorded]]:
    """Pages of people, by number; `QUERIES` queries each.

    Args:
        session: a unit of work of one workspace; only read from.
        wanted: whose history.
        span: from when to when.
        share: of them, the part to look at, drawn by the number of the contact: the same people every time.
        contact_id: this person alone.
        replaces: the workflow whose own mails are left out, since the replayed one stands in its place.
        page: people of a page.
    """
    asked = _asked(session, wanted, span) | {"share": round(share * 10_000), "page": page, "one": contact_id}
    query = _IDS if not (wanted.stays or wanted.everybody) else _IDS_ALL
    after = 0
    while True:
        ids = list(session.scalars(query, {**asked, "after": after}))
        if ids:
            yield _load(session, ids, span, replaces)
        if len(ids) < page or contact_id is not None:
            return
        after = ids[-1]


def _asked(session: Session, wanted: Wanted, span: Span) -> dict[str, Any]:
    given = {"ws": workspace_of(session), "types": list(wanted.types), "since": span.since, "until": span.until}
    return {**given, "everybody": wanted.everybody}


def _load(session: Session, ids: Sequence[int], span: Span, replaces: str) -> list[Recorded]:
    asked = {"ws": workspace_of(session), "ids": list(ids), "since": span.since - _LOOK_BACK, "until": span.until}
    contacts = session.execute(select(*Contact.__table__.columns).where(Contact.id.in_(ids), _mine(session))).all()
    events: dict[int, list[tuple[datetime, Any]]] = {}
    known_at: dict[str, datetime] = {}
    imported: dict[int, int] = {}
    for row in session.execute(_EVENTS, asked):
        if row.type in CALENDAR or (row.data.get("caused_by") or {}).get("workflow") == replaces:
            continue  # the replay makes these by itself
        late = row.received_at - row.ordered_at > IMPORTED_AFTER
        at = row.ordered_at if late else row.received_at
        imported[row.contact_id] = imported.get(row.contact_id, 0) + late
        events.setdefault(row.contact_id, []).append((at, row))
        known_at[f"{row.source_id}:{row.event_id}"] = at
    stays: dict[int, dict[str, Stay]] = {}
    for row in session.execute(_BOOKINGS, asked):
        known = [(known_at.get(claim["id"]) or _instant(claim["at"]) or span.until, claim) for claim in row.claims]
        stays.setdefault(row.contact_id, {})[row.reference] = Stay(row.id, row.kind, row.reference, known)
    lines = ledger.lines(session, ids)
    written: dict[int, datetime] = {row.line: row.recorded_at for row in session.execute(_WRITTEN, asked)}
    sent: dict[int, list[Sent]] = {}
    for row in session.execute(_SENT, {**asked, "replaces": replaces}):
        one = Sent(row.id, row.at, row.class_, row.template, row.topic, row.booking_id)
        sent.setdefault(row.contact_id, []).append(one)
    barred = _barred(session, asked, contacts)
    inside = segments_of(session, ids)
    found = []
    for row in sorted(contacts, key=lambda one: one.id):
        theirs = sorted(events.get(row.id, ()), key=lambda one: (one[0], one[1].id))
        of = stays.get(row.id, {})
        happened = [(at, _happening(at, event, of)) for at, event in theirs]
        told = lines.get(row.id, ())
        found.append(
            Recorded(
                row.id,
                {**contact_facts(row), "id": row.id},
                row.email_key,
                row.phone,
                row.frozen_at,
                row.erased_at,
                tuple(one for at, one in happened if at < span.since),
                tuple(one for at, one in happened if at >= span.since),
                of,
                tuple(sent.get(row.id, ())),
                tuple(barred.get(row.id, ())),
                _segments_then(inside.get(row.id, ()), (one for at, one in happened if at >= span.since)),
                imported.get(row.id, 0),
                tuple(sorted(told, key=lambda line: (written[line.line], line.line))),
                tuple(sorted(written[line.line] for line in told)),
            )
        )
    return found


def _segments_then(now: Sequence[str], since: Iterable[Happening]) -> frozenset[str]:
    """What holds now, with what was recorded since taken back: the first change of each tells what was before it."""
    first: dict[str, bool] = {}
    for one in since:
        if one.type in {"segment.entered", "segment.left"}:
            first.setdefault(str(one.data.get("segment")), one.type == "segment.left")
    return frozenset({name for name in now if name not in first} | {name for name, was in first.items() if was})


def _mine(session: Session) -> Any:
    return Contact.workspace_id == workspace_of(session)


def _happening(at: datetime, row: Any, stays: Mapping[str, Stay]) -> Happening:
    booking: Mapping[str, Any] | None = None
    if row.booking_reference is not None:
        stay = stays.get(row.booking_reference)
        booking = {"reference": row.booking_reference, **((stay.facts(at) if stay else None) or {})}
    return Happening(at, row.type, row.ordered_at, row.data, booking)


def _barred(
    session: Session, asked: Mapping[str, Any], contacts: Sequence[Any]
) -> dict[int, list[tuple[datetime, datetime | None, str, Suppressed]]]:
    settings = settings_of(session)
    whose: dict[bytes, list[int]] = {}
    for row in contacts:
        for channel, address in (("email", row.email_key), ("sms", row.phone)):
            for digest in ledger.suppression_hashes(settings, channel, address) if address else ():
                whose.setdefault(digest, []).append(row.id)
    if not whose:
        return {}
    found: dict[int, list[tuple[datetime, datetime | None, str, Suppressed]]] = {}
    for row in session.execute(_SUPPRESSED, {"ws": asked["ws"], "hashes": list(whose)}):
        for contact_id in whose[row.address_hash]:
            one = (row.recorded_at, row.lifted_at, row.channel, Suppressed(row.reason, row.scope))
            found.setdefault(contact_id, []).append(one)
    return found


def _day(value: str | None) -> date | None:
    return date.fromisoformat(value) if value else None


def _instant(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value).astimezone(UTC) if value else None


_IN_SPAN = """
    e.workspace_id = :ws AND e.type = ANY(:types) AND e.quarantined IS NULL AND e.contact_id <> 0
      AND e.ordered_at <= :until
      AND (e.received_at >= :since OR e.ordered_at >= :since)
"""
_COUNT = text(f"SELECT count(DISTINCT e.contact_id) FROM events e WHERE {_IN_SPAN}")
_IDS = text(
    f"""
    SELECT e.contact_id FROM events e
    WHERE {_IN_SPAN} AND e.contact_id > :after
      AND (CAST(:one AS bigint) IS NULL OR e.contact_id = :one)
      AND (:share >= 10000 OR abs(hashint8(e.contact_id)::bigint) % 10000 < :share)
      AND EXISTS (SELECT 1 FROM contacts c WHERE c.workspace_id = e.workspace_id AND c.id = e.contact_id
          AND c.merged_into IS NULL)
    GROUP BY e.contact_id ORDER BY e.contact_id LIMIT :page
    """
)
_ANYBODY = f"""
    FROM contacts c
    WHERE c.workspace_id = :ws AND c.merged_into IS NULL AND c.erased_at IS NULL
      AND (:everybody
           OR EXISTS (SELECT 1 FROM bookings b WHERE b.workspace_id = c.workspace_id AND b.contact_id = c.id
               AND coalesce(b.departure, CAST(:since AS date)) >= CAST(:since AS date) - 366)
           OR EXISTS (SELECT 1 FROM events e WHERE {_IN_SPAN} AND e.contact_id = c.id))
"""
_COUNT_ALL = text(f"SELECT count(*) {_ANYBODY}")
_IDS_ALL = text(
    f"""
    SELECT c.id {_ANYBODY} AND c.id > :after
      AND (CAST(:one AS bigint) IS NULL OR c.id = :one)
      AND (:share >= 10000 OR abs(hashint8(c.id)::bigint) % 10000 < :share)
    ORDER BY c.id LIMIT :page
    """
)
_EVENTS = text(
    """
    SELECT contact_id, id, event_id, source_id, type, received_at, ordered_at, booking_reference, data FROM events
    WHERE workspace_id = :ws AND contact_id = ANY(:ids) AND quarantined IS NULL AND ordered_at <= :until
    """
)
_BOOKINGS = text(
    "SELECT contact_id, id, kind, reference, claims FROM bookings WHERE workspace_id = :ws AND contact_id = ANY(:ids)"
)
_WRITTEN = text("SELECT line, recorded_at FROM consent_records WHERE workspace_id = :ws AND contact_id = ANY(:ids)")
_SENT = text(
    """
    SELECT m.contact_id, m.id, coalesce(m.handed_over_at, m.accepted_at) AS at, m.class AS class_, m.template, m.topic,
        m.booking_id
    FROM messages m
    WHERE m.workspace_id = :ws AND m.contact_id = ANY(:ids) AND m.state IN ('handed_over', 'unknown', 'accepted')
      AND coalesce(m.handed_over_at, m.accepted_at) BETWEEN :since AND :until
      AND NOT EXISTS (SELECT 1 FROM workflows w WHERE w.workspace_id = m.workspace_id AND w.id = m.workflow_id
          AND w.name = :replaces)
    ORDER BY at
    """
)
_SUPPRESSED = text(
    """
    SELECT channel, address_hash, reason, scope, recorded_at, lifted_at FROM suppressions
    WHERE workspace_id = :ws AND address_hash = ANY(:hashes)
    """
)
