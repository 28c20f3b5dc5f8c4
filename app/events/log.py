"""The event log itself: keys that let each event in once for ever, the events, and the work they leave. Plain SQL."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import msgspec
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from app.consent.policy import RELAY_SUFFIXES
from app.contacts.identity import PEOPLE_LOCK
from app.contacts.sensitive_names import tells
from app.db import settings_of

_encode = msgspec.json.Encoder().encode

# enable_seqscan: a plan made while a table was empty is kept until statistics come, and reading the whole table for
# each of a thousand look-ups would take a second by then. Every look-up of this unit of work has its index.
_WORLD = text(
    f"""
    SELECT pg_advisory_xact_lock_shared({PEOPLE_LOCK}, CAST(:workspace AS integer)),
           set_config('enable_seqscan', 'off', true),
           (SELECT jsonb_agg(jsonb_build_array(id, code, zone, country, is_default) ORDER BY id)
              FROM properties WHERE workspace_id = :workspace) AS properties,
           (SELECT jsonb_object_agg(key, type) FROM attribute_definitions WHERE workspace_id = :workspace) AS types,
           (SELECT jsonb_agg(key) FROM attribute_definitions
             WHERE workspace_id = :workspace AND special_category) AS special,
           (SELECT settings->'relay_suffixes' FROM workspaces WHERE id = :workspace) AS relays
    """
)
_KEYS = text(
    """
    INSERT INTO event_keys (workspace_id, source_id, event_id, body_hash, received_at)
    SELECT :workspace, :source, event_id, body_hash, :now
      FROM unnest(CAST(:ids AS text[]), CAST(:hashes AS bytea[])) AS x (event_id, body_hash)
    ON CONFLICT DO NOTHING RETURNING event_id
    """
)
_HASHES = text(
    """
    SELECT k.event_id, k.body_hash FROM unnest(CAST(:ids AS text[])) AS x (id) CROSS JOIN LATERAL (
        SELECT event_id, body_hash FROM event_keys
         WHERE workspace_id = :workspace AND source_id = :source AND event_id = x.id OFFSET 0) AS k
    """
)
_CONFLICTS = text(
    """
    INSERT INTO event_conflicts (workspace_id, source_id, event_id, body, received_at)
    SELECT :workspace, :source, event_id, CAST(body AS jsonb), :now
      FROM unnest(CAST(:ids AS text[]), CAST(:bodies AS text[])) AS x (event_id, body)
    """
)
_DEFINE = text(
    """
    INSERT INTO attribute_definitions AS known (workspace_id, key, type, special_category, created_at)
    SELECT :workspace, key, type, special, :now
      FROM unnest(CAST(:keys AS text[]), CAST(:types AS text[]), CAST(:special AS bool[])) AS x (key, type, special)
    ON CONFLICT (workspace_id, key) DO UPDATE SET key = known.key
    RETURNING key, type
    """
)
_NUMBERS = text(
    """
    SELECT ARRAY(SELECT nextval('contacts_id_seq') FROM generate_series(1, :contacts)) AS contacts,
           ARRAY(SELECT nextval('bookings_id_seq') FROM generate_series(1, :bookings)) AS bookings,
           ARRAY(SELECT nextval('events_id_seq') FROM generate_series(1, :events)) AS events
    """
)
_OWN_NUMBERS = text(
    """
    SELECT ARRAY(SELECT nextval('events_id_seq') FROM generate_series(1, :events)) AS events,
           ARRAY(SELECT key FROM attribute_definitions WHERE workspace_id = :workspace AND special_category) AS special
    """
)
_APPEND = text(
    """
    WITH x AS MATERIALIZED (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS x (
            id bigint, contact_id bigint, event_id text, type text, occurred_at timestamptz, ordered_at timestamptz,
            sequence bigint, property_id bigint, booking_id bigint, booking_reference text, unmapped boolean,
            quarantined text, data jsonb)
    ), kept AS (
        INSERT INTO events (workspace_id, id, contact_id, received_at, source_id, event_id, type, occurred_at,
                            ordered_at, sequence, property_id, booking_id, booking_reference, unmapped, quarantined,
                            data)
        SELECT :workspace, id, contact_id, :now, CAST(:source AS bigint), event_id, type, occurred_at, ordered_at,
               sequence, property_id, booking_id, booking_reference, unmapped, quarantined, data
          FROM x
    ), seen AS (
        -- At most once a minute, and never waiting: this row is everybody's.
        UPDATE sources s SET last_event_at = :now,
               clock_ahead_at = CASE WHEN :ahead THEN :now ELSE s.clock_ahead_at END
         WHERE s.workspace_id = :workspace AND s.id = (
            SELECT id FROM sources
             WHERE workspace_id = :workspace AND id = CAST(:source AS bigint)
               AND (last_event_at IS NULL OR last_event_at NOT BETWEEN :now - interval '1 minute' AND :now OR :ahead)
               FOR NO KEY UPDATE SKIP LOCKED)
    )
    INSERT INTO event_work (workspace_id, contact_id, event_pk, received_at)
    SELECT :workspace, contact_id, id, :now FROM x WHERE quarantined IS NULL
    """
)


@dataclass(frozen=True, slots=True)
class Place:
    """A property as recording needs it."""

    id: int
    code: str
    zone: str
    country: str | None
    is_default: bool


@dataclass(frozen=True, slots=True)
class World:
    """What a workspace has that events refer to: properties, and attribute types by key."""

    places: tuple[Place, ...]
    types: dict[str, str]
    relays: frozenset[str]
    """Domains of agencies' alias addresses: those known to all, and the workspace's own."""
    special: frozenset[str]
    """Attributes of a special category: their values never come onto a contact (R18)."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the event log, ready to be written."""

    id: int
    contact_id: int
    event_id: str
    type: str
    occurred_at: datetime
    ordered_at: datetime
    sequence: int | None
    property_id: int | None
    booking_id: int | None
    booking_reference: str | None
    unmapped: bool
    quarantined: str | None
    data: msgspec.Raw


def world(connection: Connection, workspace_id: int) -> World:
    """Properties and attribute types; from here to the end of the unit of work no two people are merged. One query."""
    row = connection.execute(_WORLD, {"workspace": workspace_id}).one()
    places = tuple(Place(*values) for values in row.properties or ())
    relays = frozenset(RELAY_SUFFIXES) | frozenset(row.relays or ())
    return World(places, row.types or {}, relays, frozenset(row.special or ()))


def let_in(
    connection: Connection, workspace_id: int, source_id: int, hashes: dict[str, bytes], now: datetime
) -> set[str]:
    """Those ids that this source never sent before; they are taken now, in a fixed order. One query."""
    ids = sorted(hashes)
    wanted = {"workspace": workspace_id, "source": source_id, "now": now}
    found = connection.execute(_KEYS, {**wanted, "ids": ids, "hashes": [hashes[name] for name in ids]})
    return set(found.scalars())


def first_hashes(connection: Connection, workspace_id: int, source_id: int, ids: Iterable[str]) -> dict[str, bytes]:
    """Event id → hash of the body it first came with. One query."""
    found = connection.execute(_HASHES, {"workspace": workspace_id, "source": source_id, "ids": sorted(ids)})
    return {row.event_id: row.body_hash for row in found}


def note_conflicts(
    connection: Connection, workspace_id: int, source_id: int, bodies: Sequence[tuple[str, bytes]], now: datetime
) -> None:
    """Keep bodies that came under an id already used. One query."""
    wanted = {"workspace": workspace_id, "source": source_id, "now": now}
    ids = [name for name, _ in bodies]
    connection.execute(_CONFLICTS, {**wanted, "ids": ids, "bodies": [body.decode() for _, body in bodies]})


def define(connection: Connection, workspace_id: int, types: dict[str, str], now: datetime) -> dict[str, str]:
    """Keep definitions for these attributes; gives the types in force, another's where it was first. One query."""
    keys = sorted(types)
    wanted = {"workspace": workspace_id, "now": now, "keys": keys, "types": [types[key] for key in keys]}
    wanted["special"] = [tells(key) for key in keys]
    return {row.key: row.type for row in connection.execute(_DEFINE, wanted)}


def numbers(
    connection: Connection, contacts: int, bookings: int, events: int
) -> tuple[list[int], list[int], list[int]]:
    """Fresh row numbers for so many contacts, bookings and events. One query."""
    row = connection.execute(_NUMBERS, {"contacts": contacts, "bookings": bookings, "events": events}).one()
    return row.contacts, row.bookings, row.events


def own_numbers(connection: Connection, workspace_id: int, events: int) -> tuple[list[int], frozenset[str]]:
    """Fresh row numbers for so many own events, and the attributes that are of a special category. One query."""
    row = connection.execute(_OWN_NUMBERS, {"workspace": workspace_id, "events": events}).one()
    return row.events, frozenset(row.special)


@lru_cache(maxsize=16)
def body_key(secret: str) -> bytes:
    """The key under which the hashes of events are kept."""
    return hmac.digest(secret.encode(), b"percorso:event-bodies", "sha256")


_KEYED = b"\x01"
"""Begins a hash under a key; what was recorded before there was one is the plain hash, one byte shorter."""


def keyed(key: bytes, digest: bytes) -> bytes:
    """The hash of a body as it is kept: it outlives the event, and must not confirm a guess at what stood in it."""
    return _KEYED + hashlib.blake2b(digest, key=key, digest_size=32).digest()


def is_of(session: Session, stored: bytes, digest: bytes) -> bool:
    """Whether a kept hash is of the body with this one, under whatever secret it was kept."""
    settings, stored = settings_of(session), bytes(stored)
    if not stored.startswith(_KEYED) or len(stored) == len(digest):
        return hmac.compare_digest(stored, digest)
    return any(stored == keyed(body_key(secret), digest) for secret in (settings.secret, *settings.previous_secrets))


def append(
    connection: Connection,
    workspace_id: int,
    source_id: int | None,
    lines: Sequence[Line],
    now: datetime,
    *,
    ahead: bool = False,
) -> None:
    """Write the events and the work they leave, and when the source was last heard of. One query.

    Args:
        source_id: None for our own events.
        ahead: an event was dated more than five minutes into the future (X15).
    """
    wanted = {"workspace": workspace_id, "source": source_id, "now": now, "ahead": ahead}
    connection.execute(_APPEND, {**wanted, "rows": _encode(lines).decode()})
