"""Where a person's data lies: every column marked personal, in every table, found by asking the models.

Exports and erasures both walk these places, so that what one shows the other removes. A new table with a `contact_id`
is found by itself; one without must be named in `FOUND_BY`, and a test fails until it is.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, Column, Date, LargeBinary, Row, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

import app
from app.consent import ledger
from app.db import Base, settings_of, workspace_of

FOUND_BY: Mapping[str, str] = {
    "contacts": "t.id = ANY(:people)",
    "contact_merges": "(t.winner_id = ANY(:people) OR t.loser_id = ANY(:people))",
    "suppressions": "t.address_hash = ANY(:hashes)",
    "event_conflicts": "EXISTS (SELECT 1 FROM events e WHERE e.workspace_id = t.workspace_id"
    " AND e.contact_id = ANY(:people) AND e.source_id = t.source_id AND e.event_id = t.event_id)",
    "special_values": "(t.contact_id = ANY(:people) OR (t.contact_id = 0 AND EXISTS (SELECT 1 FROM events e"
    " WHERE e.workspace_id = t.workspace_id AND e.contact_id = ANY(:people)"
    " AND t.event_key = e.source_id || ':' || e.event_id)))",
    "unmatched_reports": "CAST(t.data AS text) ILIKE ANY(CAST(:patterns AS text[]))",
    "senders": "t.last_error ILIKE ANY(CAST(:patterns AS text[]))",
}
"""Tables without a `contact_id` that may hold a person's data, and how that person's rows are found."""

OF_THE_TEAM = frozenset({"users", "test_addresses"})
"""Tables that hold data of colleagues, not of contacts."""


@dataclass(frozen=True)
class Place:
    """One table, and which of its columns are personal."""

    table: Table
    personal: tuple[Column[Any], ...]
    where: str
    """SQL over `t` and the parameters of `Whole.asked`."""

    @property
    def name(self) -> str:
        """The table's name."""
        return self.table.name

    @property
    def goes(self) -> bool:
        """Whether a row cannot be emptied: what is personal is part of its key, or cannot be nothing."""
        return any(
            column.primary_key or (not column.nullable and isinstance(column.type, Date)) for column in self.personal
        )


@dataclass(frozen=True)
class Whole:
    """One person, with all contacts that have become part of them."""

    contact_id: int
    """The survivor."""
    people: tuple[int, ...]
    addresses: tuple[tuple[str, str], ...]
    """(channel, normalised address), every one that is or was known."""
    erased: bool
    external_ids: tuple[str, ...]
    """What other systems call the person, the survivor's id first."""

    def asked(self, session: Session) -> dict[str, Any]:
        """The parameters that the conditions of places name."""
        settings = settings_of(session)
        return {
            "ws": workspace_of(session),
            "people": list(self.people),
            "hashes": [
                digest
                for channel, address in self.addresses
                for digest in ledger.suppression_hashes(settings, channel, address)
            ],
            "patterns": [f"%{_literal(address)}%" for _, address in self.addresses],
        }


class NobodyError(LookupError):
    """There is no such contact."""


@cache
def places() -> tuple[Place, ...]:
    """Every table with something personal of contacts, and every other that tells of them, by name."""
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if module.name.endswith(".models"):
            importlib.import_module(module.name)
    found = []
    for table in Base.metadata.sorted_tables:
        personal = tuple(column for column in table.columns if column.info.get("personal"))
        if table.name in FOUND_BY:
            found.append(Place(table, personal, FOUND_BY[table.name]))
        elif "contact_id" in table.columns:
            found.append(Place(table, personal, "t.contact_id = ANY(:people)"))
        elif personal and table.name not in OF_THE_TEAM:
            raise LookupError(f"{table.name} holds personal data, but nothing says whose: see FOUND_BY.")
    return tuple(sorted(found, key=lambda place: place.name))


def whole(session: Session, contact_id: int) -> Whole:
    """The person a contact belongs to; two queries. Raises NobodyError."""
    rows = people_of(session, contact_id)
    people = tuple(row.id for row in rows)
    known = {("email", row.email_key) for row in rows if row.email_key}
    known |= {(channel, row.phone) for row in rows if row.phone for channel in ("sms", "whatsapp")}
    told = session.execute(_TOLD, {"ws": workspace_of(session), "people": list(people)})
    known |= {(row.channel, ledger.address_key(row.address)) for row in told}
    ids = tuple(row.external_id for row in rows if row.external_id)
    return Whole(people[0], people, tuple(sorted(known)), rows[0].erased_at is not None, ids)


def people_of(session: Session, contact_id: int) -> Sequence[Row[Any]]:
    """The contact that this number leads to, and all who have become part of it; the survivor first. One query.

    Raises:
        NobodyError: there is no such contact.
    """
    rows = session.execute(_PEOPLE, {"ws": workspace_of(session), "contact": contact_id}).all()
    if not rows:
        raise NobodyError(f"There is no contact {contact_id}.")
    return rows


def empty(column: Column[Any]) -> str:
    """SQL for a personal column with nothing in it."""
    if column.nullable:
        return "NULL"
    if isinstance(column.type, LargeBinary):
        return "''::bytea"
    if isinstance(column.type, ARRAY):
        return "'{}'"
    if isinstance(column.type, JSONB):
        # A list stays a list: whoever reads the row expects one.
        return f"CASE jsonb_typeof(\"{column.name}\") WHEN 'array' THEN '[]'::jsonb ELSE '{{}}'::jsonb END"
    if isinstance(column.type, Text):
        return "''"
    return "DEFAULT"


def _literal(address: str) -> str:
    return address.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


_PEOPLE = text(
    """
    WITH RECURSIVE up AS (
        SELECT id, merged_into FROM contacts WHERE workspace_id = :ws AND id = :contact
        UNION
        SELECT c.id, c.merged_into FROM contacts c JOIN up ON c.id = up.merged_into WHERE c.workspace_id = :ws
    ), whole AS (
        SELECT id FROM up WHERE merged_into IS NULL
        UNION
        SELECT c.id FROM contacts c JOIN whole ON c.merged_into = whole.id WHERE c.workspace_id = :ws
    )
    SELECT id, external_id, email, email_key, phone, first_name, last_name, erased_at FROM contacts
    WHERE workspace_id = :ws AND id IN (SELECT id FROM whole) ORDER BY merged_into IS NOT NULL, id
    """
)
_TOLD = text(
    """
    SELECT channel, address FROM consent_records WHERE workspace_id = :ws AND contact_id = ANY(:people)
    UNION
    SELECT channel, address FROM messages WHERE workspace_id = :ws AND contact_id = ANY(:people) AND address <> ''
    """
)
