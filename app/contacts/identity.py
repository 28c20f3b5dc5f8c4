"""Who is it? Finds the contact an event speaks of, or makes one; in batches, and safely beside others doing the same.

By external id first. An address alone finds its one holder, but never one whose name or birth date differs, for
families and offices share addresses (X12). Somebody known by an address only is adopted when an external id comes with
that address. An agency's alias proves nothing (R34).

Beside others: who is not known yet is looked up again under a lock on his id and addresses (`identity_locks`), then
known rows are locked in the order of their numbers. Every caller takes locks in this one order, so none can deadlock.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, text

from app.contacts.profiles import COLUMNS, NAMES, Person, Profile

PEOPLE_LOCK = 7_239_002
"""Advisory lock class: held shared while people are recorded, alone while two are merged."""

_encode = msgspec.json.Encoder().encode

# Each value is looked up by itself (LATERAL): with `= ANY(array)` a planner without fresh statistics reads all rows.
_LIGHT = "c.id, c.external_id, c.email, c.email_key, c.phone, c.first_name, c.last_name"
_CANDIDATES = text(
    f"""
    SELECT {_LIGHT}, c.attributes->'birth_date' AS born
      FROM unnest(CAST(:ids AS text[])) AS w (value) CROSS JOIN LATERAL (
        SELECT * FROM contacts WHERE workspace_id = :workspace AND external_id = w.value OFFSET 0) AS c
    UNION ALL
    SELECT {_LIGHT}, c.attributes->'birth_date'
      FROM unnest(CAST(:emails AS text[])) AS w (value) CROSS JOIN LATERAL (
        SELECT * FROM contacts WHERE workspace_id = :workspace AND email_key = w.value OFFSET 0) AS c
    UNION ALL
    SELECT {_LIGHT}, c.attributes->'birth_date'
      FROM unnest(CAST(:phones AS text[])) AS w (value) CROSS JOIN LATERAL (
        SELECT * FROM contacts WHERE workspace_id = :workspace AND phone = w.value OFFSET 0) AS c
    UNION ALL
    SELECT {_LIGHT.replace("c.external_id", "w.value")}, c.attributes->'birth_date'
      FROM unnest(CAST(:ids AS text[])) AS w (value)
      CROSS JOIN LATERAL (
        SELECT contact_id FROM contact_aliases
         WHERE workspace_id = :workspace AND external_id = w.value OFFSET 0) AS a
      JOIN contacts c ON c.workspace_id = :workspace AND c.id = a.contact_id
    """
)
_ROWS = text(
    """
    SELECT c.* FROM unnest(CAST(:ids AS bigint[])) AS w (id) CROSS JOIN LATERAL (
        SELECT id, external_id, email, email_key, phone, first_name, last_name, language, zone, country, tags,
               attributes, field_versions
          FROM contacts WHERE workspace_id = :workspace AND id = w.id FOR NO KEY UPDATE) AS c
    """
)
_LOCK = text(
    """
    INSERT INTO identity_locks AS known (workspace_id, key)
    SELECT :workspace, key FROM unnest(CAST(:keys AS bigint[])) AS key
    ON CONFLICT (workspace_id, key) DO UPDATE SET key = known.key WHERE false
    """
)
# One JSON document for all rows: fifty arrays would cost the client more to write than the database to store.
_GIVEN = """json_to_recordset(CAST(:rows AS json)) AS x (
        id bigint, external_id text, email text, email_key text, phone text, first_name text, last_name text,
        language text, zone text, country text, tags text[], attributes jsonb, versions jsonb)"""
_INSERT = text(
    f"""
    INSERT INTO contacts (workspace_id, id, external_id, email, email_key, phone, first_name, last_name, language, zone,
                          country, tags, attributes, field_versions, created_at, updated_at)
    SELECT :workspace, id, external_id, email, email_key, phone, first_name, last_name, language, zone, country,
           tags, attributes, versions, :now, :now
      FROM {_GIVEN}
    """
)
_UPDATE = text(
    f"""
    WITH x AS (SELECT * FROM {_GIVEN})
    UPDATE contacts c SET external_id = x.external_id, email = x.email, email_key = x.email_key, phone = x.phone,
           first_name = x.first_name, last_name = x.last_name, language = x.language, zone = x.zone,
           country = x.country, tags = x.tags, attributes = x.attributes,
           field_versions = x.versions, updated_at = :now
      FROM x
     WHERE c.workspace_id = :workspace AND c.id = ANY(ARRAY(SELECT id FROM x)) AND c.id = x.id
    """
)


class Directory:
    """The contacts a batch may concern, found by id or address; new ones join as they are met.

    Args:
        rows: as `candidates` gives them. With `profiles` (full rows, locked) it is what is written later.
    """

    def __init__(self, rows: Sequence[Row[Any]], profiles: Iterable[Profile] = ()) -> None:
        self._profiles: dict[int, Profile] = {profile.id: profile for profile in profiles}
        self._by_id: dict[str, Profile] = {}
        self._by_email: dict[str, list[Profile]] = defaultdict(list)
        self._by_phone: dict[str, list[Profile]] = defaultdict(list)
        for row in rows:
            profile = self._profiles.get(row.id)
            if profile is None:
                profile = self._profiles[row.id] = Profile(id=row.id)
                for name in ("external_id", "email", "email_key", "phone", *NAMES):
                    profile.values[name] = getattr(row, name)
                if row.born is not None:
                    profile.attributes["birth_date"] = row.born
            if row.external_id:
                self._by_id[row.external_id] = profile
        for profile in self._profiles.values():
            self._index(profile)

    def _index(self, profile: Profile) -> None:
        values = profile.values
        if values["external_id"]:
            self._by_id[values["external_id"]] = profile
        for index, name in ((self._by_email, "email_key"), (self._by_phone, "phone")):
            if values[name] and profile not in index[values[name]]:
                index[values[name]].append(profile)

    def get(self, contact_id: int) -> Profile | None:
        """The profile of a known contact."""
        return self._profiles.get(contact_id)

    def profile_of(self, person: Person) -> Profile:
        """The contact that `person` is: found, adopted, or new (then `is_new`, and found by the next who asks)."""
        profile = self._known(person)
        if profile is None:
            profile = Profile(is_new=True, changed=True)
        if person.external_id and profile.values["external_id"] is None:
            profile.values["external_id"], profile.adopted, profile.changed = person.external_id, True, True
        if profile.is_new or profile.adopted:
            # So that the batch's next event with this address finds the same person.
            if person.email and not profile.values["email_key"]:
                profile.values["email"], profile.values["email_key"] = person.email.address, person.email.key
            if person.phone and not profile.values["phone"]:
                profile.values["phone"] = person.phone
            for name in NAMES:
                if profile.values[name] is None:
                    profile.values[name] = person.fields.get(name)
            self._index(profile)
        return profile

    def _known(self, person: Person) -> Profile | None:
        if person.external_id:
            profile = self._by_id.get(person.external_id)
            if profile is not None:
                return profile
            if person.email is None or person.is_relay:
                return None
            waiting = [one for one in self._by_email[person.email.key] if one.values["external_id"] is None]
            return _first(one for one in waiting if _may_be(one, person))
        if person.email:
            same = [one for one in self._by_email[person.email.key] if _may_be(one, person)]
            if person.is_relay:
                return _first(one for one in same if one.values["external_id"] is None)
            if same:
                return _best(same, person)
        if person.phone:
            same = [one for one in self._by_phone[person.phone] if _may_be(one, person)]
            if person.email:
                same = [one for one in same if not one.values["email_key"] and not one.values["external_id"]]
            return _best(same, person) if same else None
        return None


def _first(profiles: Iterable[Profile]) -> Profile | None:
    return min(profiles, key=lambda one: (one.is_new, one.id), default=None)


def _best(same: Sequence[Profile], person: Person) -> Profile | None:
    """Of several holders of one address: who bears the name, else who is known by the address alone, else nobody."""
    named = [one for one in same if _named_alike(one, person)]
    if named:
        return _first(named)
    alone = [one for one in same if one.values["external_id"] is None]
    if alone:
        return _first(alone)
    return same[0] if len(same) == 1 else None


def _may_be(profile: Profile, person: Person) -> bool:
    """False where names or birth dates are known on both sides and differ."""
    for name in NAMES:
        mine, theirs = profile.values[name], person.fields.get(name)
        if mine and theirs and mine.casefold() != theirs.casefold():
            return False
    mine, theirs = profile.attributes.get("birth_date"), person.attributes.get("birth_date")
    return not (mine and theirs and mine != theirs)


def _named_alike(profile: Profile, person: Person) -> bool:
    return all(profile.values[name] and person.fields.get(name) for name in NAMES)


def candidates(connection: Connection, workspace_id: int, persons: Iterable[Person]) -> Sequence[Row[Any]]:
    """Every contact that holds an id, former id, address or number of one of `persons`. One query, no lock."""
    persons = list(persons)
    wanted = {
        "workspace": workspace_id,
        "ids": [person.external_id for person in persons if person.external_id],
        "emails": [person.email.key for person in persons if person.email],
        "phones": [person.phone for person in persons if person.phone],
    }
    return connection.execute(_CANDIDATES, wanted).all()


def lock_keys(person: Person) -> list[int]:
    """What to lock before `person` is made or adopted."""
    keys = [f"id:{person.external_id}"] if person.external_id else []
    keys += [f"email:{person.email.key}"] if person.email else []
    keys += [f"phone:{person.phone}"] if person.phone else []
    return [lock_key(key) for key in keys]


def lock_key(name: str) -> int:
    """The 64-bit key in `identity_locks` for something that does not exist yet."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)


def lock_unknown(connection: Connection, workspace_id: int, keys: Iterable[int]) -> None:
    """Hold these keys until the unit of work ends; waits for whoever holds one. One query."""
    connection.execute(_LOCK, {"workspace": workspace_id, "keys": sorted(set(keys))})


def locked_profiles(connection: Connection, workspace_id: int, ids: Iterable[int]) -> list[Profile]:
    """The full rows, locked until the unit of work ends. One query."""
    found = connection.execute(_ROWS, {"workspace": workspace_id, "ids": sorted(set(ids))})
    return [
        Profile(
            id=row.id,
            values={name: getattr(row, name) for name in COLUMNS},
            tags=frozenset(row.tags),
            attributes=row.attributes,
            versions=row.field_versions,
        )
        for row in found
    ]


def settled(
    connection: Connection,
    workspace_id: int,
    people: Sequence[Person],
    rows: Sequence[Row[Any]],
    again: Callable[[], Sequence[Row[Any]]],
    also: Iterable[int] = (),
    ghosts: Mapping[int, Profile] | None = None,
) -> list[Profile]:
    """Who everybody is, found or made; their rows are locked from here on. One query, three where somebody is new.

    Args:
        people: none of them nameless.
        rows: their `candidates`.
        again: looks the candidates up once more, when what nobody knows yet is held.
        also: further keys to hold with it (`lock_key`).
        ghosts: profiles that stand for people who do not exist, by the number they have in `rows`; `again` may add
            to them.

    Returns:
        A profile for each of `people`, in order; the same one where two are one person.
    """
    # Who bears an id comes first, so that the order within a batch decides nothing.
    order = sorted(range(len(people)), key=lambda place: people[place].external_id is None)
    imagined = ghosts if ghosts is not None else {}
    locked: dict[int, Profile] = {}

    def found() -> list[Profile]:
        directory = Directory(rows, [*locked.values(), *imagined.values()])
        profiles = {place: directory.profile_of(people[place]) for place in order}
        return [profiles[place] for place in range(len(people))]

    profiles = found()
    keys = [
        key
        for person, profile in zip(people, profiles, strict=True)
        if profile.is_new or profile.adopted
        for key in lock_keys(person)
    ]
    keys += also
    if keys:
        lock_unknown(connection, workspace_id, keys)
        rows = again()
        profiles = found()
    while missing := {profile.id for profile in profiles if profile.id} - locked.keys() - imagined.keys():
        locked |= {profile.id: profile for profile in locked_profiles(connection, workspace_id, missing)}
        profiles = found()
    return profiles


def write(connection: Connection, workspace_id: int, profiles: Sequence[Profile], now: datetime) -> None:
    """Insert the new profiles and update the changed ones: at most two queries."""
    new = [profile for profile in profiles if profile.is_new]
    changed = [profile for profile in profiles if profile.changed and not profile.is_new]
    for statement, rows in ((_INSERT, new), (_UPDATE, changed)):
        if rows:
            given = _encode([_row(profile) for profile in rows]).decode()
            connection.execute(statement, {"workspace": workspace_id, "now": now, "rows": given})


def _row(profile: Profile) -> dict[str, Any]:
    return {
        "id": profile.id,
        "tags": sorted(profile.tags),
        "attributes": profile.attributes,
        "versions": profile.versions,
        **profile.values,
    }


def array_text(items: Sequence[str]) -> str:
    """A text[] as PostgreSQL writes it, for arrays within arrays."""
    return "{" + ",".join('"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' for item in items) + "}"
