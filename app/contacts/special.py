"""Data of special categories (R18): allergies, health, disability, religion and the like.

Its values are never on the contact, so that nothing that reads contacts (segments, conditions, templates, exports,
calls to other systems) can come upon one. They lie sealed in a table of their own, may be read by the roles that care
for the guest, each time with a line in the log of accesses, and go 30 days after the stay unless the guest asks to keep
them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.config import Settings
from app.contacts.models import AttributeDefinition, SpecialValue
from app.db import as_rows, settings_of, workspace_of
from app.sealed import opened, seal

ROLES = ("owner", "front_desk", "privacy_officer")
"""Who of the team may read them."""

KEPT_DAYS = 30
"""Days after the last departure; without any stay, after it was written down."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value, opened."""

    key: str
    value: Any
    """None where it was sealed under a secret that is no longer known."""
    keep: bool
    recorded_at: datetime
    reference: str | None = None
    """Of the booking or order it was told with."""


NOBODY = 0
"""Whose the values of an event are that is kept aside: no contact has this number."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a person: values by key, None to clear one."""

    contact_id: int
    values: Mapping[str, Any]
    version: str
    """Order key of the fact, as in `Contact.field_versions`: the newest holds, whatever order they arrive in."""
    booking_id: int | None = None
    """The booking or order that told it: each has its own values, which go after its own stay."""
    event_key: str | None = None
    """With `NOBODY`: source and id of the event, which says whose it is once that is known."""
    recorded_at: datetime | None = None
    """Where that was before now: keeping periods count from there."""


def write(session: Session, told: Sequence[Told], now: datetime) -> None:
    """Keep values, sealed; one that is older than what is kept changes nothing. One query, none for nothing."""
    if not told:
        return
    settings = settings_of(session)
    newest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in told:
        for key, value in one.values.items():
            place = {"contact_id": one.contact_id, "key": key, "booking_id": one.booking_id, "event_key": one.event_key}
            before = newest.get(tuple(place.values()))
            if before is None or before["version"] < one.version:
                newest[tuple(place.values())] = {
                    **place, "version": one.version, "value": value, "recorded_at": one.recorded_at
                }  # fmt: skip
    # Sealed before it goes anywhere: not even a statement's parameters hold it in clear.
    rows = [{"sealed": _sealed(settings, row.pop("value")), **row} for row in newest.values()]
    if rows:
        session.execute(_WRITE, {"ws": workspace_of(session), "now": now, "rows": as_rows(rows)})


def _sealed(settings: Settings, value: Any) -> str:
    """The value as JSON, sealed; nothing for none: the row then says only that an older value no longer holds."""
    return "" if value is None else seal(settings, json.dumps(value))


def of(session: Session, contact_id: int) -> list[Value]:
    """What is kept of one person, by key. One query. Whoever shows it to somebody writes `accesses.note`."""
    settings = settings_of(session)
    found: dict[tuple[str, int | None], Value] = {}
    for row in session.execute(_OF, {"ws": workspace_of(session), "contact": contact_id}):
        # The newest version of a key comes last.
        sealed = opened(settings, row.sealed) if row.sealed else None
        value = json.loads(sealed) if sealed is not None else None
        found[row.key, row.booking_id] = Value(row.key, value, row.keep, row.recorded_at, row.reference)
        if sealed == "null" or not row.sealed:
            del found[row.key, row.booking_id]
    return list(found.values())


def kept(session: Session, contact_id: int) -> bool:
    """Whether anything is kept of one person. One query."""
    return session.scalar(select(SpecialValue.id).where(SpecialValue.contact_id == contact_id).limit(1)) is not None


def keep(session: Session, contact_id: int, key: str, wanted: bool) -> None:
    """The guest asks to keep a value beyond the stay, or no longer. One query."""
    session.execute(_KEEP, {"ws": workspace_of(session), "contact": contact_id, "key": key, "keep": wanted})


def follow(session: Session, gone: Sequence[tuple[int, int, int]]) -> None:
    """Values told with a booking go with it to whom it belongs now. One query, none for nothing.

    Args:
        gone: booking, contact it was of, contact it is of.
    """
    if gone:
        rows = [{"booking_id": booking, "was": was, "contact_id": now} for booking, was, now in gone]
        session.execute(_FOLLOW, {"ws": workspace_of(session), "rows": as_rows(rows)})


def expire(session: Session, now: datetime) -> int:
    """Delete what is no longer needed for a stay and nobody asked to keep; gives how many values. One query."""
    return len(session.execute(_EXPIRE, {"ws": workspace_of(session), "now": now, "days": KEPT_DAYS}).scalars().all())


def mark(session: Session, key: str, now: datetime) -> int:
    """Make an attribute one of a special category, and take its values off all contacts. There is no way back: what has
    once been health data does not become a segment.

    Returns:
        How many contacts had a value. Two queries and two for each 1,000 of them.

    Raises LookupError where there is no such attribute.
    """
    definition = session.scalar(select(AttributeDefinition).where(AttributeDefinition.key == key).with_for_update())
    if definition is None:
        raise LookupError(f"There is no attribute {key!r}.")
    definition.special_category = True
    done = 0
    while rows := session.execute(_TAKE, {"ws": workspace_of(session), "key": key}).all():
        write(session, [Told(row.id, {key: row.value}, row.version or "") for row in rows], now)
        done += len(rows)
    return done


# A value has one place: whose it is, its key, and the booking or the event that told it.
_SAME = """s.workspace_id = :ws AND s.contact_id = r.contact_id AND s.key = r.key
           AND s.booking_id IS NOT DISTINCT FROM r.booking_id AND s.event_key IS NOT DISTINCT FROM r.event_key"""
_WRITE = text(
    f"""
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS g(
            contact_id bigint, key text, booking_id bigint, event_key text, version text, sealed text,
            recorded_at timestamptz)
    ), older AS (
        DELETE FROM special_values s USING r
        WHERE {_SAME} AND s.version < r.version
        RETURNING s.contact_id, s.key, s.keep
    )
    INSERT INTO special_values (workspace_id, contact_id, key, booking_id, event_key, sealed, version, keep,
                                recorded_at)
    SELECT :ws, r.contact_id, r.key, r.booking_id, r.event_key, r.sealed, r.version,
           EXISTS (SELECT FROM older o WHERE o.contact_id = r.contact_id AND o.key = r.key AND o.keep),
           coalesce(r.recorded_at, :now)
    FROM r
    WHERE NOT EXISTS (SELECT FROM special_values s WHERE {_SAME} AND s.version >= r.version)
    """
)
_OF = text(
    """
    SELECT s.key, s.sealed, s.keep, s.recorded_at, s.booking_id, b.reference
    FROM special_values s LEFT JOIN bookings b ON b.workspace_id = s.workspace_id AND b.id = s.booking_id
    WHERE s.workspace_id = :ws AND s.contact_id = :contact ORDER BY s.booking_id NULLS FIRST, s.key, s.version
    """
)
_FOLLOW = text(
    """
    UPDATE special_values s SET contact_id = r.contact_id
    FROM json_to_recordset(CAST(:rows AS json)) AS r(booking_id bigint, was bigint, contact_id bigint)
    WHERE s.workspace_id = :ws AND s.contact_id = r.was AND s.booking_id = r.booking_id
    """
)
_KEEP = text("UPDATE special_values SET keep = :keep WHERE workspace_id = :ws AND contact_id = :contact AND key = :key")
_EXPIRE = text(
    """
    DELETE FROM special_values s
    WHERE s.workspace_id = :ws AND NOT s.keep
      AND coalesce(
          CASE WHEN s.booking_id IS NULL THEN (
              SELECT max(b.departure) FROM bookings b
              WHERE b.workspace_id = :ws AND b.contact_id = s.contact_id AND b.cancelled_at IS NULL)
          ELSE (
              SELECT b.departure FROM bookings b
              WHERE b.workspace_id = :ws AND b.id = s.booking_id AND b.cancelled_at IS NULL) END,
          CAST(s.recorded_at AT TIME ZONE 'UTC' AS date)
      ) + CAST(:days AS int) < CAST(CAST(:now AS timestamptz) AT TIME ZONE 'UTC' AS date)
    RETURNING s.id
    """
)
_TAKE = text(
    """
    WITH mine AS (
        SELECT id, attributes -> :key AS value, field_versions ->> ('attributes.' || :key) AS version
        FROM contacts WHERE workspace_id = :ws AND attributes ? :key ORDER BY id LIMIT 1000 FOR UPDATE
    ), taken AS (
        UPDATE contacts c SET attributes = c.attributes - :key FROM mine
        WHERE c.workspace_id = :ws AND c.id = ANY(ARRAY(SELECT id FROM mine)) AND c.id = mine.id
    )
    SELECT id, value, version FROM mine
    """
)
