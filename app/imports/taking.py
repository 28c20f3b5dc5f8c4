"""Taking rows in, a chunk at a time: the dry run and the real one are this one pass, of which the first does not write.

People are found and made by the rules of `contacts/identity.py`, fields are laid over by the newest fact, permission is
asked of the ledger. What an import may not do: lift a no, or take anybody back who was erased (R10, R37, R51); change
anybody whose data is restricted, of whom it only takes a no (R52); let a yes stand without its proof (R16); make a
child a contact (R12).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from app.consent import ledger
from app.consent.case import Suppressed
from app.consent.fold import Key, State, objected_at, standing
from app.consent.ledger import Act, Barred
from app.contacts import identity
from app.contacts.disposable import Domains
from app.contacts.profiles import COLUMNS, NAMES, Person, Profile
from app.contacts.projection import instant_text
from app.db import as_rows, workspace_of
from app.events import log
from app.events.record import OwnEvent, record_own
from app.imports import columns, rows
from app.imports.models import Import
from app.imports.rows import Ground, Told, Wish
from app.messages import asking
from app.messages.asking import Ask

CHUNK = 2_000
QUERIES_TO_CHECK = 15
"""Of a chunk's dry run, whatever its size: the import; the world, topics and attributes; the rows; suppressions;
candidates (twice where somebody is new), ghosts of earlier rows (likewise), locks and full rows; whose data is
restricted; ledger; verdicts;
what follows it."""
QUERIES_TO_TAKE = 27
"""Of a chunk that writes: those, fresh numbers, contacts made and changed, the ledger's four, suppressions and our own
events' three; asking for confirmations adds `asking.QUERIES`."""

_KEPT_OUT = {"unsubscribe", "complaint", "manual", "hard_bounce", "soft_bounces"}


@dataclass(slots=True, eq=False)
class _Taken:
    """One row on its way."""

    position: int
    told: Told
    profile: Profile | None = None
    verdict: str = "refused"
    permission: str | None = None
    before: dict[str, Any] | None = None
    made: bool = False


@dataclass(slots=True)
class Pass:
    """What a chunk did: rows by verdict, by permission, and how many messages it brought about."""

    verdicts: Counter[str] = field(default_factory=Counter)
    permissions: Counter[str] = field(default_factory=Counter)
    asked: int = 0


def file_of(one: Import) -> str:
    """What lines of the ledger call the file (R5): its import and the beginning of its hash."""
    return f"{one.id}:{one.file_hash[:16]}"


def ground_of(one: Import, reading: columns.Reading, world: log.World, now: datetime) -> Ground:
    """What the rows of this file are read by."""
    wanted = next((place for place in world.places if place.code == reading.property), None)
    place = wanted or next((place for place in world.places if place.is_default), None)
    return Ground(
        reading=reading,
        width=len(one.header),
        types={**reading.types, **world.types},
        country=place.country if place else None,
        zone=ZoneInfo(place.zone if place else "UTC"),
        relays=world.relays,
        at=one.created_at,
        now=now,
    )


def pass_over(
    session: Session, one: Import, found: Sequence[Row[Any]], domains: Domains, now: datetime, *, write: bool
) -> Pass:
    """Judge the rows of one chunk, and with `write` take them in; verdicts are written down in either case."""
    return _Chunk(session, one, domains, now, write=write).run(found)


class _Chunk:
    """The state of one pass over some rows."""

    def __init__(self, session: Session, one: Import, domains: Domains, now: datetime, *, write: bool) -> None:
        self.session, self.one, self.now, self.write, self.domains = session, one, now, write, domains
        self.connection, self.workspace_id = session.connection(), workspace_of(session)
        self.world = log.world(self.connection, self.workspace_id)
        self.reading = columns.of_json(one.mapping, len(one.header))
        self.ground = ground_of(one, self.reading, self.world, now)
        self.done = Pass()
        self.ghosts: dict[int, Profile] = {}
        self.asked = {"ws": self.workspace_id, "import": one.id}

    def run(self, found: Sequence[Row[Any]]) -> Pass:
        items = [_Taken(row.position, rows.told(row.cells, self.ground)) for row in found]
        first = items[0].position
        self.suppressed = ledger.suppressed(self.session, (pair for item in items for pair in _addresses(item.told)))
        for item in items:
            self._look_at(item.told)
        taken = [item for item in items if not item.told.refused]
        if self.write and (new := self._new_types()):
            log.define(self.connection, self.workspace_id, new, self.now)
        self._settle(taken, first)
        known = {item.profile.id for item in taken if item.profile and item.profile.id > 0}
        left_out = self._restricted(taken, known)
        taken = [item for item in taken if not item.told.refused]
        self._lay_over(taken, first)
        states = ledger.current(self.session, known)
        if self.write:
            self._number(taken)
        acts, asks = self._permissions([*taken, *left_out], states)
        if self.write:
            self._write(taken, acts, asks)
        self._note(items)
        for item in items:
            self.done.verdicts[item.verdict] += 1
            if item.permission:
                self.done.permissions[item.permission] += 1
        return self.done

    # -- who ---------------------------------------------------------------------------------------------------------

    def _look_at(self, told: Told) -> None:
        """What only the house's lists can say of a row."""
        if told.refused:
            return
        if any(one.reason == "erased" for pair in _addresses(told) for one in self.suppressed.get(pair, ())):
            told.refuse("erased")
            return
        email = told.person.email
        if email and not told.person.is_relay and self.domains.has(email.key):
            told.note("disposable", _column(self.reading, "email"))

    def _new_types(self) -> dict[str, str]:
        used = {one.removeprefix("attribute:") for one in self.reading.columns if one.startswith("attribute:")}
        return {key: self.ground.types.get(key, "text") for key in sorted(used - self.world.types.keys())}

    def _settle(self, taken: Sequence[_Taken], first: int) -> None:
        """Find or make everybody; known rows are locked until the end of the chunk."""
        people = [item.told.person for item in taken]

        def look_up() -> list[Any]:
            known: list[Any] = list(identity.candidates(self.connection, self.workspace_id, people))
            return known if self.write else known + self._ghosts(people, first)

        found = identity.settled(self.connection, self.workspace_id, people, look_up(), look_up, ghosts=self.ghosts)
        for item, profile in zip(taken, found, strict=True):
            item.profile = profile

    def _ghosts(self, people: Iterable[Person], first: int) -> list[Any]:
        """Those whom the dry run would have made of earlier rows of the file. One query."""
        keys = sorted({key for person in people if (key := _key(self.one.id, person))})
        found = []
        for row in self.session.execute(_GHOSTS, {**self.asked, "keys": keys, "first": first}):
            values = {**dict.fromkeys(COLUMNS), **{key: row.who.get(key) for key in _WHO}}
            ghost = Profile(id=-row.position, values=values)
            if row.who.get("birth_date"):
                ghost.attributes["birth_date"] = row.who["birth_date"]
            self.ghosts[ghost.id] = ghost
            found.append(SimpleNamespace(id=ghost.id, born=row.who.get("birth_date"), **values))
        return found

    def _restricted(self, taken: Sequence[_Taken], known: Collection[int]) -> list[_Taken]:
        """Refuse rows about people whose data is restricted: a list is no correction by the person or by the system
        that knows them. A no is taken all the same. Gives those that hold one. One query."""
        frozen = set(self.session.execute(_FROZEN, {"ws": self.workspace_id, "ids": sorted(known)}).scalars())
        for item in taken:
            if item.profile and item.profile.id in frozen:
                item.told.refuse("restricted")
                item.told.wishes = [wish for wish in item.told.wishes if wish.state in {"denied", "withdrawn"}]
        return [item for item in taken if item.told.refused and item.told.wishes]

    # -- what --------------------------------------------------------------------------------------------------------

    def _lay_over(self, taken: Sequence[_Taken], first: int) -> None:
        """Each row's facts over the profile, and what was there before."""
        seen: set[int] = set()
        known = sorted({item.profile.id for item in taken if item.profile and item.profile.id > 0})
        if self.write and known:
            seen |= set(self.session.execute(_SEEN, {**self.asked, "ids": known, "first": first}).scalars())
        seen |= set(self.ghosts)
        met: set[int] = set()
        for item in taken:
            profile = item.profile
            assert profile is not None, "a row that is taken in is somebody"
            is_again = id(profile) in met or profile.id in seen
            met.add(id(profile))
            item.made = profile.is_new and not is_again
            item.before = _lay(item, f"{instant_text(item.told.at)}|import:{self.one.id}:{item.position:07d}")
            if is_again:
                item.verdict = "repeat"
            elif profile.is_new:
                item.verdict = "new"
            else:
                item.verdict = "changed" if item.before else "same"

    def _number(self, taken: Sequence[_Taken]) -> None:
        new = list({id(item.profile): item.profile for item in taken if item.profile and item.profile.is_new}.values())
        numbers, _, _ = log.numbers(self.connection, len(new), 0, 0)
        for profile, number in zip(new, numbers, strict=True):
            profile.id = number

    # -- permission --------------------------------------------------------------------------------------------------

    def _permissions(
        self, taken: Sequence[_Taken], states: Mapping[int, Mapping[Key, State]]
    ) -> tuple[list[Act], list[Ask]]:
        acts: list[Act] = []
        asks: list[Ask] = []
        said: set[tuple[int, Key]] = set()
        for item in taken:
            assert item.profile is not None, "a row that is taken in is somebody"
            words = set()
            for wish in item.told.wishes:
                word, act = self._judged(item, wish, states.get(item.profile.id, {}), said)
                words.add(word)
                if act is not None and word == "pending" and self.reading.ask and act.topic and act.channel == "email":
                    asks.append(self._ask(item, act))
                elif act is not None:
                    acts.append(act)
            item.permission = next((word for word in _WORDS if word in words), "service_only")
        return acts, asks

    def _judged(
        self, item: _Taken, wish: Wish, states: Mapping[Key, State], said: set[tuple[int, Key]]
    ) -> tuple[str, Act | None]:
        """What becomes of one consent of a row: a word for it, and the line of the ledger it asks for."""
        told, person = item.told, item.told.person
        address = person.email.key if wish.channel == "email" and person.email else None
        address = person.phone if wish.channel != "email" else address
        if address is None:
            told.note("no_address")
            return "service_only", None
        key: Key = (address, wish.channel, wish.purpose, wish.topic)
        assert item.profile is not None
        about = (item.profile.id or id(item.profile), key)
        state = states.get(key)
        if wish.state in {"denied", "withdrawn"}:
            if (state and state.refused_at and state.refused_at >= wish.at) or about in said:
                return "refused", None
            said.add(about)
            return "refused", self._act(item, key, wish)
        if wish.state == "unproven" or person.is_relay:
            return "service_only", None
        word, _ = standing(states, address, wish.channel, wish.topic) if wish.purpose == "marketing" else ("", None)
        if _refuses(state) or word in {"denied", "withdrawn", "objected"} or objected_at(states):
            told.note("kept_no")
            return "kept_no", None
        if any(one.reason in _KEPT_OUT for one in self._of(wish.channel, address)):
            told.note("suppressed")
            return "kept_no", None
        if word == "granted" or (state is not None and state.granted) or about in said:
            return "as_before", None
        if state is not None and state.state == "pending" and wish.state == "pending":
            return "as_before", None
        said.add(about)
        return wish.state, self._act(item, key, wish)

    def _of(self, channel: str, address: str) -> tuple[Suppressed, ...]:
        return self.suppressed.get((channel, address), ())

    def _act(self, item: _Taken, key: Key, wish: Wish) -> Act:
        assert item.profile is not None
        address, channel, purpose, topic = key
        proof = {**item.told.proof, "import_file": file_of(self.one), "import_row": item.position}
        return Act(
            contact_id=item.profile.id,
            address=address,
            channel=channel,
            purpose=purpose,
            topic=topic,
            state=wish.state,
            method="import",
            requested_at=wish.at,
            confirmed_at=wish.confirmed_at,
            proof=proof,
        )

    def _ask(self, item: _Taken, act: Act) -> Ask:
        place = next((one for one in self.world.places if one.code == self.reading.property), None)
        assert act.topic is not None, "only a topic is asked for"
        return Ask(
            contact_id=act.contact_id,
            topic=act.topic,
            address=act.address,
            property_id=place.id if place else None,
            # They are asked by the words of our own page; those of the list are what it claims.
            proof={
                **{f"claimed_{key}" if key.startswith("wording") else key: value for key, value in act.proof.items()},
                "claimed_at": act.requested_at.isoformat(),
            },
            method="import",
        )

    # -- writing -----------------------------------------------------------------------------------------------------

    def _write(self, taken: Sequence[_Taken], acts: Sequence[Act], asks: Sequence[Ask]) -> None:
        profiles = list({id(item.profile): item.profile for item in taken if item.profile}.values())
        if any(profile.changed for profile in profiles):
            identity.write(self.connection, self.workspace_id, profiles, self.now)
        ledger.append(self.session, acts, self.now)
        barred = {
            item.told.person.email.key: Barred(
                "email", item.told.person.email.key, "hard_bounce", detail={"import": self.one.id}
            )
            for item in taken
            if item.told.bounced and item.told.person.email and not item.told.person.is_relay
        }
        ledger.suppress(self.session, list(barred.values()), self.now)
        if asks:
            self.done.asked += sum(one.why == "asked" for one in asking.ask(self.session, asks, self.now))
        came = {item.profile.id: item for item in reversed(taken) if item.profile and item.verdict != "repeat"}
        record_own(self.session, [self._event(number, item) for number, item in sorted(came.items())], self.now)

    def _event(self, number: int, item: _Taken) -> OwnEvent:
        data = {"import": self.one.id, "file": self.one.file_name, "source": item.told.proof.get("source")}
        kept = {key: value for key, value in data.items() if value}
        return OwnEvent(number, "contact.imported", self.now, kept, id=f"import:{self.one.id}:{number}")

    def _note(self, items: Sequence[_Taken]) -> None:
        """Write the verdicts down. One query."""
        given = [
            {
                "position": item.position,
                "key": _key(self.one.id, item.told.person),
                "who": None if self.write or item.verdict != "new" else _who(item.told.person),
                "verdict": item.verdict,
                "permission": item.permission,
                "notes": [[note.code, note.column] for note in item.told.notes],
                "contact_id": item.profile.id if item.profile and item.profile.id > 0 else None,
                "made": item.made and self.write,
                "before": item.before if self.write else None,
            }
            for item in items
        ]
        self.session.execute(_NOTE, {**self.asked, "rows": as_rows(given)})


_WORDS = ("granted", "pending", "refused", "kept_no", "as_before", "service_only")
"""What is said of a row of which several things hold: the first that does."""
_WHO = ("external_id", "email", "email_key", "phone", "first_name", "last_name")


def _refuses(state: State | None) -> bool:
    return state is not None and state.refused_at is not None


def _addresses(told: Told) -> list[tuple[str, str]]:
    person = told.person
    found = [("email", person.email.key)] if person.email else []
    return [*found, ("sms", person.phone), ("whatsapp", person.phone)] if person.phone else found


def _column(reading: columns.Reading, meaning: str) -> int | None:
    return next(iter(reading.places(meaning)), None)


def _key(import_id: int, person: Person) -> str | None:
    if person.email:
        return f"{import_id}:email:{person.email.key}"
    if person.external_id:
        return f"{import_id}:id:{person.external_id}"
    return f"{import_id}:phone:{person.phone}" if person.phone else None


def _who(person: Person) -> dict[str, Any]:
    email = {"email": person.email.address, "email_key": person.email.key} if person.email else {}
    names = {name: person.fields[name] for name in NAMES if person.fields.get(name)}
    born = person.attributes.get("birth_date")
    ids = {"external_id": person.external_id, "phone": person.phone, "birth_date": born}
    return {**email, **names, **{key: value for key, value in ids.items() if value}}


def _lay(item: _Taken, version: str) -> dict[str, Any]:
    """Lay a row over its profile; gives what that changed: field → [value, version] as they were, and tags added."""
    profile, person = item.profile, item.told.person
    assert profile is not None
    names = [*person.fields, *(f"attributes.{key}" for key in person.attributes)]
    old = {name: (_value(profile, name), profile.versions.get(name)) for name in names}
    tags, external_id = profile.tags, profile.values["external_id"]
    profile.tell(person, version)
    before: dict[str, Any] = {
        name: [*was, profile.versions[name]]
        for name, was in old.items()
        if profile.versions.get(name) != was[1] and (profile.is_new or _value(profile, name) != was[0])
    }
    if added := sorted(profile.tags - tags):
        before["tags"] = added
    if profile.values["external_id"] != external_id:
        before["external_id"] = [external_id, None, None]
    return before


def _value(profile: Profile, name: str) -> Any:
    if name.startswith("attributes."):
        return profile.attributes.get(name.removeprefix("attributes."))
    if name == "email":
        return [profile.values["email"], profile.values["email_key"]]
    return profile.values[name]


_FROZEN = text(
    "SELECT id FROM contacts WHERE workspace_id = :ws AND id = ANY(CAST(:ids AS bigint[])) AND frozen_at IS NOT NULL"
)
_GHOSTS = text(
    """
    SELECT r.position, r.who FROM unnest(CAST(:keys AS text[])) AS w (key) CROSS JOIN LATERAL (
        SELECT position, who, verdict FROM import_rows WHERE workspace_id = :ws AND key = w.key OFFSET 0) AS r
     WHERE r.position < :first AND r.verdict = 'new' AND r.who IS NOT NULL
    """
)
_SEEN = text(
    """
    SELECT DISTINCT r.contact_id FROM unnest(CAST(:ids AS bigint[])) AS w (id) CROSS JOIN LATERAL (
        SELECT contact_id, import_id, position FROM import_rows
         WHERE workspace_id = :ws AND contact_id = w.id OFFSET 0) AS r
     WHERE r.import_id = :import AND r.position < :first
    """
)
_NOTE = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS r (
            position integer, key text, who jsonb, verdict text, permission text, notes jsonb, contact_id bigint,
            made boolean, before jsonb)
    )
    UPDATE import_rows i SET key = r.key, who = r.who, verdict = r.verdict, permission = r.permission, notes = r.notes,
           contact_id = r.contact_id, made = r.made, before = r.before
      FROM r
     WHERE i.workspace_id = :ws AND i.import_id = :import AND i.position = ANY(ARRAY(SELECT position FROM r))
       AND i.position = r.position
    """
)
