"""Record: each event is stored once, and contact and booking are brought up to date, whatever order they come in.

`record` takes up to 1,000 events of one source in a fixed number of queries: 9 where everybody is known, at most 20
with new people, new bookings, new attributes, doubles and conflicts among them, one more where any tells of a special
category, and one where a booking with such values changes hands. Locks are taken in one order everywhere (event ids,
attribute definitions, identity locks, contact rows, booking rows, each sorted), so two requests that bring the same
event, person or booking at the same instant wait for each other and never deadlock.

What follows from an event is not decided here: a row of `event_work` says that the entry rules have yet to look at it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import Connection, Row
from sqlalchemy.orm import Session

from app.consent import ledger, requests
from app.contacts import bookings, identity, special
from app.contacts.bookings import BookingRow, Ref
from app.contacts.profiles import Profile, new_definitions, typed_attributes
from app.contacts.projection import REPLACED_WITHIN, Claim, instant_text
from app.contacts.sensitive_names import tells
from app.db import settings_of, workspace_of
from app.events import apart, claims, consents, log, strangers
from app.events.incoming import MOST, Incoming, Verdict
from app.events.items import Item, item_of
from app.events.log import Line
from app.queues import signal

OWN_SOURCE = 0
"""Under which our own events keep their ids in `event_keys`; no source has this number."""

Moved = Callable[[Session, Sequence[int], datetime], object]
"""Called in the same unit of work with the ids of bookings whose state really changed, so that waits move with them."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Reporter:
    """The source that reports: its number, and the property it speaks for where an event names none."""

    id: int
    property_id: int | None = None


@dataclass(frozen=True, slots=True)
class OwnEvent:
    """Something Percorso itself noticed of a person, or brought about: a click, a bounce, a date that came."""

    contact_id: int
    type: str
    occurred_at: datetime
    data: dict[str, Any] = field(default_factory=dict)
    booking_id: int | None = None
    booking_reference: str | None = None
    """With `booking_id`: passages keyed by the booking hear only an event that names it."""
    property_id: int | None = None
    id: str | None = None
    """What it is an event of, in words that are the same whenever it is noticed (`date:7:0:12:2027-05-14`): an event
    of this id is recorded once for ever. None: each is another one. It must hold nothing of a person but numbers, as
    it outlives them."""


def record(
    session: Session,
    source: Reporter,
    events: Sequence[Incoming | Verdict],
    now: datetime,
    moved: Moved | None = None,
) -> list[Verdict]:
    """Store events and bring up to date what they speak of; the caller commits before it answers.

    Args:
        source: who reports; ids of events are unique within it, for ever.
        events: at most 1,000, as `incoming.read` gives them. A verdict (unreadable) stays in its place.
        now: the instant of receipt.
        moved: what is to happen with bookings that changed.

    Returns:
        One verdict for each event, in order.
    """
    if len(events) > MOST:
        raise ValueError(f"At most {MOST} events at a time.")
    return _Recording(session, source, now).run(events, moved)


def is_repeated(session: Session, own: OwnEvent) -> bool:
    """Whether an own event with an `id` that was recorded before says what the first one said. One query."""
    first = log.first_hashes(session.connection(), workspace_of(session), OWN_SOURCE, [own.id or ""])
    stored = first.get(own.id or "")
    return stored is not None and log.is_of(session, stored, _said(own))


def _of_nobody_else(own: OwnEvent) -> dict[str, Any]:
    """Its data without what they tell of a friend (R17): a caller who starts a workflow may send anything."""
    if not strangers.may_hold(_encode(own.data)):
        return own.data
    left: dict[str, Any] = strangers.without({"data": own.data})[0]["data"]
    return left


def _said(own: OwnEvent) -> bytes:
    return sha256(_encode((own.contact_id, own.booking_id, own.data))).digest()


def record_own(session: Session, own_events: Sequence[OwnEvent], now: datetime) -> list[OwnEvent]:
    """Append our own events; they are looked at by the entry rules like any other.

    Args:
        own_events: any number. Those with an `id` that was recorded before, now or years ago, are left out.

    Returns:
        Those that were recorded. Two queries, one more where any has an `id`, and one where any tells of a special
        category.
    """
    if not own_events:
        return []
    connection, workspace_id = session.connection(), workspace_of(session)
    named = {own.id: own for own in reversed(own_events) if own.id is not None}
    if named:
        key = log.body_key(settings_of(session).secret)
        hashes = {name: log.keyed(key, _said(own)) for name, own in named.items()}
        taken = log.let_in(connection, workspace_id, OWN_SOURCE, hashes, now)
        own_events = [own for own in own_events if own.id is None or (own.id in taken and named[own.id] is own)]
        if not own_events:
            return []
    ids, marked = log.own_numbers(connection, workspace_id, len(own_events))
    parts = [apart.of_data(_of_nobody_else(own), own.type, marked, own.occurred_at.date()) for own in own_events]
    secret = [
        special.Told(own.contact_id, apart.by_field(one.special, None), f"{instant_text(own.occurred_at)}|own-{number}",
                     booking_id=own.booking_id)
        for number, own, one in zip(ids, own_events, parts, strict=True)
        if one.special
    ]  # fmt: skip
    special.write(session, secret, now)
    lines = [
        Line(
            id=number,
            contact_id=own.contact_id,
            event_id=own.id or f"own-{number}",
            type=own.type,
            occurred_at=own.occurred_at,
            ordered_at=own.occurred_at,
            sequence=None,
            property_id=own.property_id,
            booking_id=own.booking_id,
            booking_reference=own.booking_reference,
            unmapped=False,
            quarantined=None,
            data=msgspec.Raw(_encode(one.left)),
        )
        for number, own, one in zip(ids, own_events, parts, strict=True)
    ]
    log.append(connection, workspace_id, None, lines, now)
    signal(session, "enrol")
    return list(own_events)


class _Recording:
    """One call of `record`, phase by phase. The order of the phases is the order of the locks."""

    def __init__(self, session: Session, source: Reporter, now: datetime) -> None:
        self.session = session
        self.source = source
        self.now = now
        self.connection: Connection = session.connection()
        self.workspace_id = workspace_of(session)
        self.verdicts: dict[int, Verdict] = {}
        self.corrections: list[Item] = []

    def run(self, events: Sequence[Incoming | Verdict], moved: Moved | None) -> list[Verdict]:
        self.world = log.world(self.connection, self.workspace_id)
        read = [
            item_of(place, event, self.world, self.source.property_id, self.now) for place, event in enumerate(events)
        ]
        self.verdicts |= {place: one for place, one in enumerate(read) if isinstance(one, Verdict)}
        items = [one for one in read if isinstance(one, Item)]
        items = self._attributed(items)
        items = self._unseen(items)
        kept = [item for item in items if item.quarantined is None]
        if kept:
            self._type_attributes(kept)
            self._resolve(kept)
        self._write(items, kept, moved)
        return [self.verdicts[position] for position in range(len(events))]

    # -- whose -----------------------------------------------------------------------------------------------------

    def _attributed(self, items: list[Item]) -> list[Item]:
        """Look up people and bookings, and reject what belongs to nobody. Two queries."""
        self.refs: dict[Ref, tuple[int, int]] = {}
        self._look_up(items)
        coming = {item.told.ref for item in items if item.told and item.told.fields is not None and item.is_named}
        left = []
        for item in items:
            if item.person.nameless and item.told and item.told.ref not in self.refs and item.told.ref not in coming:
                cure = "Send contact.external_id, email or phone with it, or send the booking first."
                detail = "No contact is named, and the booking is not known here."
                self.verdicts[item.position] = item.event.rejected("/contact", detail, cure)
            else:
                left.append(item)
        return left

    def _look_up(self, items: Sequence[Item]) -> Sequence[Row[Any]]:
        self.rows = identity.candidates(self.connection, self.workspace_id, (item.person for item in items))
        refs = {item.told.ref for item in items if item.told}
        if refs:
            self.refs = bookings.known(self.connection, self.workspace_id, refs)
        return self.rows

    # -- once for ever -------------------------------------------------------------------------------------------

    def _unseen(self, items: list[Item]) -> list[Item]:
        """Let each (source, id) in once; note bodies that contradict the first. One to three queries."""
        first: dict[str, Item] = {}
        for item in items:
            first.setdefault(item.event.id, item)
        key = log.body_key(settings_of(self.session).secret)
        hashes = {name: log.keyed(key, item.event.body_hash) for name, item in first.items()}
        taken = log.let_in(self.connection, self.workspace_id, self.source.id, hashes, self.now) if hashes else set()
        seen = hashes.keys() - taken
        if seen:
            hashes |= log.first_hashes(self.connection, self.workspace_id, self.source.id, seen)
        fresh: list[Item] = []
        conflicts: list[Item] = []
        for item in items:
            event = item.event
            if event.id in taken and first[event.id] is item:
                fresh.append(item)
                continue
            conflict = not log.is_of(self.session, hashes[event.id], event.body_hash)
            self.verdicts[item.position] = Verdict(event.id, "duplicate", conflict=conflict)
            if conflict:
                item.contradicts = True
                conflicts.append(item)
        if conflicts:
            bodies = [(item.event.id, item.body(self.world.special)) for item in conflicts]
            log.note_conflicts(self.connection, self.workspace_id, self.source.id, bodies, self.now)
        self.corrections = conflicts
        return fresh

    # -- people --------------------------------------------------------------------------------------------------

    def _type_attributes(self, items: Sequence[Item]) -> None:
        """Make attributes fit their definitions, inferring those of new ones. At most one query."""
        types = dict(self.world.types)
        given = [(item, item.event.contact.attributes or {}) for item in items if item.event.contact is not None]
        new: dict[str, str] = {}
        for _, attributes in given:
            new |= new_definitions(attributes, types | new)
        if new:
            types |= log.define(self.connection, self.workspace_id, new, self.now)
        for item, attributes in given:
            if attributes:
                kept, wrong = typed_attributes(attributes, types)
                secret = {key for key in kept if key in self.world.special or tells(key)}
                item.special |= {key: kept.pop(key) for key in secret}
                item.person.attributes = kept
                for one in wrong:
                    item.event.warn("/contact" + one.where, one.detail, one.cure)

    def _resolve(self, items: Sequence[Item]) -> None:
        """Find or make everybody; their rows are locked from here on. Two queries, five where somebody is new."""
        named = [item for item in items if item.is_named]
        coming = [
            identity.lock_key(":".join(item.told.ref))
            for item in items
            if item.told and item.told.fields is not None and item.told.ref not in self.refs
        ]
        people = [item.person for item in named]
        found = identity.settled(
            self.connection, self.workspace_id, people, self.rows, lambda: self._look_up(items), coming
        )
        for item, profile in zip(named, found, strict=True):
            item.profile = profile
            profile.tell(item.person, item.version)

    # -- writing -------------------------------------------------------------------------------------------------

    def _write(self, items: Sequence[Item], kept: Sequence[Item], moved: Moved | None) -> None:
        rows = self._booking_rows(kept)
        profiles = list({id(item.profile): item.profile for item in kept if item.profile}.values())
        new_profiles = [profile for profile in profiles if profile.is_new]
        new_rows = [row for row in rows.values() if row.is_new]
        if not items and not rows:
            return
        contact_ids, booking_ids, event_ids = log.numbers(self.connection, len(new_profiles), len(new_rows), len(items))
        for profile, number in zip(new_profiles, contact_ids, strict=True):
            profile.id = number
        for row, number in zip(new_rows, booking_ids, strict=True):
            row.id = number
        self._claim(kept)
        changed = [row for row in rows.values() if row.new_claims and row.refold()]
        replaced: list[int] = []
        if any(profile.changed for profile in profiles):
            identity.write(self.connection, self.workspace_id, profiles, self.now)
        if changed:
            bookings.write(self.connection, self.workspace_id, changed, self.now)
            replaced = self._pair(changed)
            gone_over = [row for row in changed if not row.is_new and row.owner != row.contact_id]
            special.follow(self.session, [(row.id, row.contact_id, row.owner) for row in gone_over])
        self._note_consents(kept)
        lines = [self._line(item, number) for item, number in zip(items, event_ids, strict=True)]
        special.write(
            self.session,
            [one for item in [*items, *self.corrections] for one in item.secrets(self.source.id)],
            self.now,
        )
        if lines:
            ahead = any(item.ahead(self.now) for item in items)
            log.append(self.connection, self.workspace_id, self.source.id, lines, self.now, ahead=ahead)
        shifted = [row.id for row in changed if row.moved and not row.is_new]
        shifted += [number for number in replaced if number not in shifted]
        if moved is not None and shifted:
            moved(self.session, shifted, self.now)
        if kept:
            signal(self.session, "enrol")

    def _booking_rows(self, items: Sequence[Item]) -> dict[Ref, BookingRow]:
        """Lock the bookings concerned and begin the new ones. At most one query."""
        concerned = [*items, *(item for item in self.corrections if item.told and item.told.ref in self.refs)]
        refs = {item.told.ref for item in concerned if item.told and item.told.ref in self.refs}
        rows: dict[Ref, BookingRow] = {}
        if refs:
            found = bookings.locked_rows(self.connection, self.workspace_id, refs)
            rows = {(row.kind, row.reference): row for row in found}
        for item in items:
            if item.told is None:
                continue
            if item.told.ref not in rows and item.told.fields is not None:
                rows[item.told.ref] = BookingRow(*item.told.ref, is_new=True)
        for item in concerned:
            item.row = rows.get(item.told.ref) if item.told else None
        return rows

    def _claim(self, items: Sequence[Item]) -> None:
        for item in items:
            if item.row and item.told and item.told.fields is not None:
                item.row.new_claims.append(self._claim_of(item, item.told.fields, item.profile))
        for item in self.corrections:
            # The same id with another body corrects what it said of this booking if it bears a higher sequence (X18).
            if item.row is None or item.told is None or not item.told.fields or item.event.sequence is None:
                continue
            claim = self._claim_of(item, item.told.fields, None)
            first = next((one for one in item.row.claims if one["id"] == claim["id"]), None)
            if first is not None and claim["sequence"] > first.get("sequence", -1):
                if "contact" in first:
                    claim["contact"] = first["contact"]
                item.row.new_claims.append(claim)
                item.corrects = True

    def _claim_of(self, item: Item, fields: dict[str, Any], profile: Profile | None) -> Claim:
        return claims.claim(
            item.event,
            fields,
            source_id=self.source.id,
            ordered_at=instant_text(item.ordered_at),
            contact_id=profile.id if profile else None,
            property_id=item.named.id if item.named else None,
            fallback_id=item.place.id if item.place else None,
            zone=item.place.zone if item.place else "UTC",
        )

    def _pair(self, rows: Sequence[BookingRow]) -> list[int]:
        """The bookings that turn out to have been made anew by the portal that cancelled them."""
        contacts = {
            row.owner
            for row in rows
            if row.folded and row.kind == "booking" and (row.folded["channel"] or "direct").lower() != "direct"
        }
        if contacts:
            within = f"{REPLACED_WITHIN.total_seconds()} seconds"
            return bookings.pair_replaced(self.connection, self.workspace_id, contacts, within)
        return []

    def _note_consents(self, items: Sequence[Item]) -> None:
        """Write reported consents into the ledger: no query without any, else the ledger's own four, and one where any
        waits for the person's confirmation."""
        reported = []
        for item in items:
            if item.event.type not in consents.TYPES or item.profile is None:
                continue
            values = item.profile.values
            act = consents.act_of(
                item.event,
                source_id=self.source.id,
                contact_id=item.profile.id,
                email=item.person.email.address if item.person.email else values["email"],
                phone=item.person.phone or values["phone"],
                upto=item.ordered_at,
            )
            if act is not None:
                reported.append((item.event, act, item.place.id if item.place else None))
        lines = ledger.append(self.session, [act for _, act, _ in reported], self.now)
        wanted = consents.waiting(reported, lines)
        requests.write(self.session, wanted, once=True)
        if any(one.mail_due for one in wanted):
            signal(self.session, "signups")

    def _line(self, item: Item, number: int) -> Line:
        event = item.event
        self.verdicts[item.position] = Verdict(
            event.id,
            "accepted",
            warnings=tuple(item.skew(self.now) + event.warnings),
            unmapped=not event.mapped,
            quarantined=item.quarantined,
        )
        contact_id = 0
        if item.quarantined is None:
            contact_id = item.profile.id if item.profile else item.owner
        return Line(
            id=number,
            contact_id=contact_id,
            event_id=event.id,
            type=event.type,
            occurred_at=event.occurred_at,
            ordered_at=item.ordered_at,
            sequence=event.sequence,
            property_id=item.place.id if item.place else None,
            booking_id=item.row.id if item.row else None,
            booking_reference=item.told.ref[1] if item.told else None,
            unmapped=not event.mapped,
            quarantined=item.quarantined,
            data=msgspec.Raw(
                _encode(event.data) if item.quarantined is None else b'{"event":' + item.body(self.world.special) + b"}"
            ),
        )
