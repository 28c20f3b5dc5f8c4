"""What was recorded before it was known to be special: taken out of the open, batch by batch (R12, R18).

Intake takes health, diet, children's birth dates and the like out of every event (`events/apart.py`). Two things bring
them into rows all the same: they were recorded by an earlier release, or the team says only later that an attribute is
of a special category. The retention stage then goes through everybody once, in the order of their numbers, and does to
what is stored what intake does to what is sent. Done twice it does nothing more; killed, it goes on where it was.

What an event or a booking told is sealed with its person; a copy of it elsewhere (a passage's event, a call's payload)
is only cut out. A mail that was rendered with such a value stays as it was sent, until mails have had their time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, TextClause, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.contacts import special
from app.contacts.identity import PEOPLE_LOCK
from app.contacts.models import AttributeDefinition
from app.contacts.projection import instant_text
from app.contacts.sensitive_names import tells
from app.contacts.special import Told
from app.db import as_rows, settings_of, workspace_of
from app.events import apart, log
from app.events.apart import Apart, TooDeepError
from app.rights.models import RetentionMark

TASKS = ("unsealed", "unsealed_conflicts", "unsealed_quarantined")
"""Their names among the tasks of the retention stage: the last of a batch, so that it is over soon once they lock."""

MOST_PEOPLE = 100
"""In one batch: nobody records an event meanwhile, so it must be over in a moment."""
MOST_ROWS = 500
"""In one batch of events that are kept aside."""

QUERIES = 25
"""Of one batch at most, however many people it holds."""

STEMS = (
    "allerg|intoller|intoler|celiac|celiach|coeliac|glut|lactos|lattos|vegan|vegetar|diet|food|meal|aliment|disab"
    "|handicap|wheelchair|rotelle|carrozzina|accessib|mobil|prm|medic|health|salute|illness|malatti|patolog|diabet"
    "|epilep|autis|deaf|_dog|guida|pregnan|gravidan|incinta|religio|kosher|halal|ethnic|etnia|racial|sexual|sessual"
    "|union|sindacat|political|biometric|genetic|special|request|richiest|esigen|assisten|necessit|note|comment|remark"
    '|osservazion|annotazion|wish|desider|requirement|need|preferen|child(?!ren": ?[0-9])|kid|infant|baby|babies'
    '|toddler|minor|teen|bambin|figli|neonat|ragazz|birth|dob"|born|nascita|nat[oa]|complean|guest|companion|travel'
    "|passenger|occupan|person|people|pax|participant|ospit|accompagn|viaggiator|first_?name|last_?name|surname"
    "|family_?name|given_?name|cognome"
)
"""Part of every name that may tell of something, for the database to leave out rows that surely tell nothing."""

_COPIES = (
    ("enrollments", "event"),
    ("enrollments", "state"),
    ("messages", "facts"),
    ("calls", "payload"),
    ("step_visits", "detail"),
    ("entry_refusals", "detail"),
    ("tasks", "what"),
)
"""Table and column that hold a copy of what an event or a booking told."""
_PARTS = ("event", "booking", "order", "data", "inputs", "fields")
"""Of such a copy, what may have come from outside."""


def again(session: Session, now: datetime) -> None:
    """Have the stage go through everything from the beginning, from now on. One query."""
    begin = {"after_id": 0, "due_at": now, "begun_at": None}
    rows = [{"workspace_id": workspace_of(session), "task": task, **begin} for task in TASKS]
    session.execute(
        insert(RetentionMark).values(rows).on_conflict_do_update(index_elements=["workspace_id", "task"], set_=begin)
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """What one batch came to."""

    last: int
    """The last person or row looked at."""
    changed: int
    """Rows that had something in the open."""
    more: bool
    """There may be more."""


def people(session: Session, after: int, now: datetime) -> Batch:
    """All that is kept of the next people behind number `after`; see `QUERIES`. One query where there is nobody."""
    ws = workspace_of(session)
    ids = list(session.scalars(_PEOPLE, {"ws": ws, "after": after, "limit": MOST_PEOPLE}))
    if not ids:
        return Batch(after, 0, more=False)
    # Nobody records an event or merges people until this is committed, so no other period may follow in its batch.
    session.execute(_ALONE, {"key": PEOPLE_LOCK, "ws": ws})
    work = _Work(session, now)
    work.contacts(ids)
    work.bookings(ids)
    work.events(work.found(_EVENTS, people=ids))
    work.merges(ids)
    for table, column in _COPIES:
        work.copies(table, column, ids)
    work.seal()
    return Batch(ids[-1], work.changed, more=True)


def conflicts(session: Session, after: int, now: datetime) -> Batch:
    """The next bodies that contradicted an event; what they tell is nobody's, as at intake. Four queries at most."""
    rows = session.execute(_CONFLICTS, {"ws": workspace_of(session), "after": after, "limit": MOST_ROWS}).all()
    if not rows:
        return Batch(after, 0, more=False)
    work, changes = _Work(session, now), []
    for row in rows:
        found = _of_body(row.body, str(row.body.get("type")), work.marked, row.received_at.date())
        if found.special or found.children:
            changes.append({"id": row.id, "value": found.left})
            work.aside(found, f"{row.source_id}:{row.event_id}", row.received_at)
    work.write(_SET_CONFLICTS, changes)
    work.seal()
    return Batch(rows[-1].id, work.changed, more=len(rows) == MOST_ROWS)


def quarantined(session: Session, after: int, now: datetime) -> Batch:
    """The next events that are dated ahead and kept aside. Six queries at most."""
    rows = session.execute(_QUARANTINED, {"ws": workspace_of(session), "after": after, "limit": MOST_ROWS}).all()
    if not rows:
        return Batch(after, 0, more=False)
    work = _Work(session, now)
    work.events(rows)
    work.seal()
    return Batch(rows[-1].id, work.changed, more=len(rows) == MOST_ROWS)


class _Work:
    """One batch: what is marked, what was taken out, and how many rows changed."""

    def __init__(self, session: Session, now: datetime) -> None:
        self.session = session
        self.now = now
        self.ws = workspace_of(session)
        self.marked = _marked(session)
        # Part of a name as the team spells it, and as senders may.
        self.names = "|".join([STEMS, *(key.replace("_", "[_ -]?") for key in sorted(self.marked))])
        self.secrets: list[Told] = []
        self.changed = 0

    def found(self, statement: TextClause, **asked: Any) -> Sequence[Row[Any]]:
        """Rows that may tell of something."""
        return self.session.execute(statement, {"ws": self.ws, "names": self.names, **asked}).all()

    def write(self, statement: TextClause, changes: Sequence[Mapping[str, Any]]) -> None:
        """Put back what is left of rows. One query, none for nothing."""
        if changes:
            self.session.execute(statement, {"ws": self.ws, "rows": as_rows(changes)})
            self.changed += len(changes)

    def seal(self) -> None:
        """Keep what was taken out, sealed. One query, none for nothing."""
        special.write(self.session, self.secrets, self.now)

    def aside(self, found: Apart, event_key: str, at: datetime) -> None:
        """What an event told that is only kept to be looked at."""
        values = {".".join(map(str, path)): value for path, value in found.special if value is not None}
        self.secrets.append(Told(special.NOBODY, values, "", event_key=event_key, recorded_at=at))

    def contacts(self, ids: Sequence[int]) -> None:
        """Attributes and tags."""
        changes = []
        for row in self.found(_CONTACTS, people=ids):
            found = apart.of_attributes(row.attributes, row.updated_at.date())
            told = {key: value for key, value in found.left.items() if key in self.marked or tells(key)}
            telling = sorted(tag for tag in row.tags if tells(tag))
            if not (told or telling or found.children):
                continue
            left = {key: value for key, value in found.left.items() if key not in told}
            changes.append({"id": row.id, "attributes": left, "tags": [tag for tag in row.tags if tag not in telling]})
            for key, value in told.items():
                version = row.field_versions.get(f"attributes.{key}", "")
                self.secrets.append(Told(row.id, {key: value}, version, recorded_at=row.updated_at))
            if telling:
                self.secrets.append(Told(row.id, {"tags": telling}, "", recorded_at=row.updated_at))
        self.write(_SET_CONTACTS, changes)

    def bookings(self, ids: Sequence[int]) -> None:
        """What each event said of a booking or order, and what it came to."""
        changes = []
        for row in self.found(_BOOKINGS, people=ids):
            day = row.arrival or row.created_at.date()
            whole = _of_data({row.kind: row.data}, "", self.marked, day)
            taken = self._of_booking(row, whole, "")
            claims = []
            for claim in row.claims:
                found = _of_data({row.kind: claim.get("fields", {})}, claim.get("type", ""), self.marked, day)
                _, _, event_id = claim.get("id", "").partition(":")
                version = f"{claim.get('at', '')}|{event_id}|{claim.get('sequence', 0):020}"
                taken |= self._of_booking(row, found, version)
                claims.append({**claim, "fields": found.left[row.kind]})
            if taken:
                key = {"contact_id": row.contact_id, "id": row.id}
                changes.append({**key, "data": whole.left[row.kind], "claims": claims})
        self.write(_SET_BOOKINGS, changes)

    def _of_booking(self, row: Row[Any], found: Apart, version: str) -> bool:
        if found.special:
            values = apart.by_field(found.special, row.kind)
            self.secrets.append(Told(row.contact_id, values, version, booking_id=row.id, recorded_at=row.created_at))
        return bool(found.special or found.children)

    def events(self, rows: Sequence[Row[Any]]) -> None:
        """Data of events; the hashes they are known again by are put under the house's key with them."""
        changes = []
        for row in rows:
            day, raw = row.occurred_at.date(), row.data.get("event") if row.quarantined else None
            if isinstance(raw, dict):
                found = _of_body(raw, row.type, self.marked, day)
                self.aside(found, f"{row.source_id}:{row.event_id}", row.received_at)
                left = {**row.data, "event": found.left}
            else:
                found = _of_data(row.data, row.type, self.marked, day)
                left = found.left
                if found.special:
                    about = next((one for one in ("booking", "order") if one in row.data), None)
                    values = apart.by_field(found.special, about if row.booking_id else None)
                    version = f"{instant_text(row.ordered_at)}|{row.event_id}|{row.sequence or 0:020}"
                    self.secrets.append(
                        Told(row.contact_id, values, version, booking_id=row.booking_id, recorded_at=row.received_at)
                    )
            if found.special or found.children:
                changes.append(
                    {"contact_id": row.contact_id, "id": row.id, "received_at": row.received_at.isoformat(),
                     "value": left, "source_id": row.source_id or 0, "event_id": row.event_id}
                )  # fmt: skip
        self.write(_SET_EVENTS, changes)
        if changes:
            self._keyed(changes)

    def _keyed(self, changes: Sequence[Mapping[str, Any]]) -> None:
        """Hashes that were kept before there was a key: what they are of can be guessed no more. Two queries."""
        key = log.body_key(settings_of(self.session).secret)
        plain = self.session.execute(_HASHES, {"ws": self.ws, "rows": as_rows(changes)}).all()
        rows = [
            {"source_id": one.source_id, "event_id": one.event_id,
             "hash": log.keyed(key, bytes(one.body_hash)).hex()}
            for one in plain
        ]  # fmt: skip
        if rows:
            self.session.execute(_SET_HASHES, {"ws": self.ws, "rows": as_rows(rows)})

    def merges(self, ids: Sequence[int]) -> None:
        """Profiles as they were before two people became one: an undoing must bring nothing back."""
        changes = []
        for row in self.found(_MERGES, people=ids):
            moved = dict(row.moved)
            for side in ("winner", "loser"):
                profile = moved.get(side) or {}
                left = self.plain(profile.get("attributes") or {}, row.merged_at.date())
                tags = [tag for tag in profile.get("tags") or [] if not tells(tag)]
                moved[side] = {**profile, "attributes": left, "tags": tags}
            if moved != row.moved:
                changes.append({"id": row.id, "value": moved})
        self.write(_SET_MERGES, changes)

    def copies(self, table: str, column: str, ids: Sequence[int]) -> None:
        """What a passage, a message or a call took over of an event or a booking."""
        changes = []
        for row in self.found(_read_copies(table, column), people=ids):
            left = self._copy(row.value)
            if left != row.value:
                changes.append({"contact_id": row.contact_id, "id": row.id, "value": left})
        self.write(_set_copies(table, column), changes)

    def _copy(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        day = self.now.date()
        if value.keys() >= {"id", "type", "occurred_at"}:  # an event as a passage keeps it
            return _of_data(value, str(value["type"]), self.marked, day).left
        parts = {name: value[name] for name in _PARTS if name in value}
        left = {**value, **_of_data(parts, "", self.marked, day).left}
        if isinstance(person := value.get("contact"), dict) and isinstance(mine := person.get("attributes"), dict):
            left["contact"] = {**person, "attributes": self.plain(mine, day)}
        return left

    def plain(self, attributes: dict[str, Any], day: date) -> dict[str, Any]:
        """Attributes without those of special categories, and without what they tell of children."""
        left: dict[str, Any] = apart.of_attributes(attributes, day).left
        return {key: value for key, value in left.items() if key not in self.marked and not tells(key)}


def _of_data(data: dict[str, Any], type_: str, marked: frozenset[str], day: date) -> Apart:
    """As at intake. What is deeper than anybody looks is not kept: one such row would stop the stage for good."""
    try:
        return apart.of_data(data, type_, marked, day)
    except TooDeepError:
        return Apart({name: {} for name in data}, children=[()])


def _of_body(raw: Mapping[str, Any], type_: str, marked: frozenset[str], day: date) -> Apart:
    try:
        return apart.of_body(raw, type_, marked, day)
    except TooDeepError:
        return Apart({}, children=[()])


def _marked(session: Session) -> frozenset[str]:
    """Attributes of special categories, those among them whose name tells it and that nobody has marked yet."""
    found = session.scalars(select(AttributeDefinition)).all()
    for one in found:
        one.special_category = one.special_category or tells(one.key)
    return frozenset(one.key for one in found if one.special_category)


_ALONE = text("SELECT pg_advisory_xact_lock(:key, CAST(:ws AS integer))")
_PEOPLE = text("SELECT id FROM contacts WHERE workspace_id = :ws AND id > :after ORDER BY id LIMIT :limit")
_CONTACTS = text(
    """
    SELECT id, attributes, tags, field_versions, updated_at FROM contacts
    WHERE workspace_id = :ws AND id = ANY(:people) AND concat(attributes, tags) ~* :names ORDER BY id FOR UPDATE
    """
)
_SET_CONTACTS = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS x(id bigint, attributes jsonb, tags text[])
    )
    UPDATE contacts c SET attributes = r.attributes, tags = r.tags FROM r
    WHERE c.workspace_id = :ws AND c.id = ANY(ARRAY(SELECT id FROM r)) AND c.id = r.id
    """
)
_BOOKINGS = text(
    """
    SELECT contact_id, id, kind, arrival, data, claims, created_at FROM bookings
    WHERE workspace_id = :ws AND contact_id = ANY(:people) AND concat(data, claims) ~* :names
    ORDER BY kind, reference FOR UPDATE
    """
)
_SET_BOOKINGS = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS x(
            contact_id bigint, id bigint, data jsonb, claims jsonb)
    )
    UPDATE bookings b SET data = r.data, claims = r.claims FROM r
    WHERE b.workspace_id = :ws AND b.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
      AND b.contact_id = r.contact_id AND b.id = r.id
    """
)
_OF_EVENT = """contact_id, id, received_at, source_id, event_id, type, occurred_at, ordered_at, sequence, booking_id,
           quarantined, data"""
_EVENTS = text(
    f"""
    SELECT {_OF_EVENT} FROM events
    WHERE workspace_id = :ws AND contact_id = ANY(:people) AND CAST(data AS text) ~* :names ORDER BY contact_id, id
    """
)
_QUARANTINED = text(
    f"""
    SELECT {_OF_EVENT} FROM events WHERE workspace_id = :ws AND contact_id = 0 AND id > :after ORDER BY id LIMIT :limit
    """
)
_SET_EVENTS = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json))
            AS x(contact_id bigint, id bigint, received_at timestamptz, value jsonb)
    )
    UPDATE events e SET data = r.value FROM r
    WHERE e.workspace_id = :ws AND e.contact_id = ANY(ARRAY(SELECT contact_id FROM r))
      AND e.contact_id = r.contact_id AND e.id = r.id AND e.received_at = r.received_at
    """
)
_HASHES = text(
    """
    SELECT k.source_id, k.event_id, k.body_hash
    FROM json_to_recordset(CAST(:rows AS json)) AS r(source_id bigint, event_id text)
    JOIN event_keys k ON k.workspace_id = :ws AND k.source_id = r.source_id AND k.event_id = r.event_id
    WHERE length(k.body_hash) = 32
    """
)
_SET_HASHES = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS x(source_id bigint, event_id text, hash text)
    )
    UPDATE event_keys k SET body_hash = decode(r.hash, 'hex') FROM r
    WHERE k.workspace_id = :ws AND k.event_id = ANY(ARRAY(SELECT event_id FROM r))
      AND k.source_id = r.source_id AND k.event_id = r.event_id
    """
)
_CONFLICTS = text(
    """
    SELECT id, source_id, event_id, body, received_at FROM event_conflicts
    WHERE workspace_id = :ws AND id > :after ORDER BY id LIMIT :limit
    """
)
_SET_CONFLICTS = text(
    """
    UPDATE event_conflicts c SET body = r.value
    FROM json_to_recordset(CAST(:rows AS json)) AS r(id bigint, value jsonb)
    WHERE c.workspace_id = :ws AND c.id = r.id
    """
)
_MERGES = text(
    """
    SELECT id, moved, merged_at FROM contact_merges
    WHERE workspace_id = :ws AND (winner_id = ANY(:people) OR loser_id = ANY(:people))
      AND CAST(moved AS text) ~* :names ORDER BY id FOR UPDATE
    """
)
_SET_MERGES = text(
    """
    UPDATE contact_merges m SET moved = r.value
    FROM json_to_recordset(CAST(:rows AS json)) AS r(id bigint, value jsonb)
    WHERE m.workspace_id = :ws AND m.id = r.id
    """
)


def _read_copies(table: str, column: str) -> TextClause:
    return text(
        f'SELECT contact_id, id, "{column}" AS value FROM {table} WHERE workspace_id = :ws'
        " AND contact_id = ANY(:people)"
        f' AND CAST("{column}" AS text) ~* :names ORDER BY contact_id, id FOR UPDATE'
    )


def _set_copies(table: str, column: str) -> TextClause:
    return text(
        "WITH r AS (SELECT * FROM json_to_recordset(CAST(:rows AS json))"
        " AS x(contact_id bigint, id bigint, value jsonb))"
        f' UPDATE {table} t SET "{column}" = r.value FROM r WHERE t.workspace_id = :ws'
        " AND t.contact_id = ANY(ARRAY(SELECT contact_id FROM r)) AND t.contact_id = r.contact_id AND t.id = r.id"
    )
