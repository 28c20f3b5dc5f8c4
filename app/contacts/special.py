"""Data of special categories (R18): allergies, health, disability, religion and the like.

Its values are never on the contact, so that nothing that reads contacts (segments, conditions, templates, exports,
calls to other systems) can come upon one. They lie sealed in a table of their own, may be read by the roles that care
for the guest, each time with a line in the log of accesses, and go 30 days after the stay unless the guest asks to keep
them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.contacts.models import AttributeDefinition, SpecialValue
from app.db import as_rows, settings_of, workspace_of
from app.sealed import opened, seal

ROLES = ("owner", "front_desk", "privacy_officer")
"""Who of the team may read them."""

KEPT_DAYS = 30
"""Days after the last departure; without any stay, after it was written down."""

_TELLING = re.compile(
    r"(^|_)(allerg\w*|intoleran\w*|intolleran\w*|celia\w*|coeliac\w*|diet|diets|dietary|dieta|disab\w*|handicap\w*|"
    r"wheelchair\w*|accessibility|accessibilita|mobility|medical\w*|medic\w*|health\w*|salute|illness\w*|malatti\w*|"
    r"pregnan\w*|gravidanza|religio\w*|kosher|halal|ethnic\w*|sexual\w*)(_|$)"
)


def tells(key: str) -> bool:
    """Whether an attribute's name says that it is of a special category: it is then taken for one from its first value
    on, since whoever sends it has not been asked yet."""
    return _TELLING.search(key) is not None


@dataclass(frozen=True, slots=True)
class Value:
    """One value, opened."""

    key: str
    value: Any
    """None where it was sealed under a secret that is no longer known."""
    keep: bool
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a person: values by key, None to clear one."""

    contact_id: int
    values: Mapping[str, Any]
    version: str
    """Order key of the fact, as in `Contact.field_versions`: the newest holds, whatever order they arrive in."""


def write(session: Session, told: Sequence[Told], now: datetime) -> None:
    """Keep values, sealed; one that is older than what is kept changes nothing. One query, none for nothing."""
    if not told:
        return
    settings = settings_of(session)
    newest: dict[tuple[int, str], dict[str, Any]] = {}
    for one in told:
        for key, value in one.values.items():
            row = {"contact_id": one.contact_id, "key": key, "version": one.version, "value": value}
            before = newest.get((one.contact_id, key))
            if before is None or before["version"] < one.version:
                newest[one.contact_id, key] = row
    # Sealed before it goes anywhere: not even a statement's parameters hold it in clear.
    rows = [{"sealed": seal(settings, json.dumps(row.pop("value"))), **row} for row in newest.values()]
    if rows:
        session.execute(_WRITE, {"ws": workspace_of(session), "now": now, "rows": as_rows(rows)})


def of(session: Session, contact_id: int) -> list[Value]:
    """What is kept of one person, by key. One query. Whoever shows it to somebody writes `accesses.note`."""
    settings = settings_of(session)
    found: dict[str, Value] = {}
    rows = session.scalars(
        select(SpecialValue)
        .where(SpecialValue.contact_id == contact_id)
        .order_by(SpecialValue.key, SpecialValue.version)
    )
    for row in rows:  # the newest version of a key comes last
        sealed = opened(settings, row.sealed) if row.sealed else None
        value = json.loads(sealed) if sealed is not None else None
        found[row.key] = Value(row.key, value, row.keep, row.recorded_at)
        if sealed == "null" or not row.sealed:
            del found[row.key]
    return list(found.values())


def kept(session: Session, contact_id: int) -> bool:
    """Whether anything is kept of one person. One query."""
    return session.scalar(select(SpecialValue.id).where(SpecialValue.contact_id == contact_id).limit(1)) is not None


def keep(session: Session, contact_id: int, key: str, wanted: bool) -> None:
    """The guest asks to keep a value beyond the stay, or no longer. One query."""
    session.execute(_KEEP, {"ws": workspace_of(session), "contact": contact_id, "key": key, "keep": wanted})


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


_WRITE = text(
    """
    WITH r AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json))
            AS g(contact_id bigint, key text, version text, sealed text)
    ), older AS (
        DELETE FROM special_values s USING r
        WHERE s.workspace_id = :ws AND s.contact_id = r.contact_id AND s.key = r.key AND s.version < r.version
        RETURNING s.contact_id, s.key, s.keep
    )
    INSERT INTO special_values (workspace_id, contact_id, key, sealed, version, keep, recorded_at)
    SELECT :ws, r.contact_id, r.key, r.sealed, r.version,
           EXISTS (SELECT FROM older o WHERE o.contact_id = r.contact_id AND o.key = r.key AND o.keep), :now
    FROM r
    WHERE NOT EXISTS (SELECT FROM special_values s WHERE s.workspace_id = :ws AND s.contact_id = r.contact_id
                      AND s.key = r.key AND s.version >= r.version)
    """
)
_KEEP = text("UPDATE special_values SET keep = :keep WHERE workspace_id = :ws AND contact_id = :contact AND key = :key")
_EXPIRE = text(
    """
    DELETE FROM special_values s
    WHERE s.workspace_id = :ws AND NOT s.keep
      AND coalesce(
          (SELECT max(b.departure) FROM bookings b
           WHERE b.workspace_id = :ws AND b.contact_id = s.contact_id AND b.cancelled_at IS NULL),
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
