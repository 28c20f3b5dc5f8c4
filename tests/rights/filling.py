"""Somebody of whom there is a row in every table that can tell of a person, a mark in every personal column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import ARRAY, Boolean, CheckConstraint, Column, Date, DateTime, Integer, LargeBinary, Table, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.consent import ledger
from app.consent.ledger import Act
from app.contacts.models import Contact
from app.db import as_rows, settings_of, workspace_of
from app.rights import walk

MARK = "qxzpersonal"
"""Stands in every personal column of the person, and nowhere else."""
ADDRESS = f"{MARK}@example.com"
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def fill(session: Session, contact: Contact, now: datetime) -> dict[str, str]:
    """Give a person a row in every place of `walk.places`; table.column → the mark that stands there."""
    contact.email = contact.email_key = ADDRESS
    session.flush()
    ledger.append(
        session,
        [
            Act(
                contact.id,
                ADDRESS,
                "email",
                "marketing",
                "offers",
                "granted",
                "preference_centre",
                now,
                proof={"wording_version": "1", "wording": MARK},
            )
        ],
        now,
    )
    marks: dict[str, str] = {}
    for table in {key.referred_table for place in walk.places() for key in place.table.foreign_key_constraints} - {
        Contact.__table__
    }:
        _insert(session, table, {one.name: _value(table, one, contact, now, session) for one in table.columns}, 1)
    for number, place in enumerate(walk.places()):
        if place.name in {"consent_records", "consent_words"}:
            continue
        values = {column.name: _value(place.table, column, contact, now, session) for column in place.table.columns}
        marks |= {f"{place.name}.{column.name}": MARK for column in place.personal}
        if place.name == "contacts":
            _update(session, place.table, contact.id, {one.name: values[one.name] for one in place.personal})
        else:
            _insert(session, place.table, values, 900_000 + number)
    _also_the_conflict(session, contact.id)
    return marks


def _also_the_conflict(session: Session, contact_id: int) -> None:
    # What says whose a conflict is: the event that came first under its id.
    session.execute(
        text("UPDATE event_conflicts SET event_id = e.event_id, source_id = e.source_id FROM events e"
             " WHERE e.workspace_id = event_conflicts.workspace_id AND e.contact_id = :contact AND e.source_id = 1"),
        {"contact": contact_id},
    )  # fmt: skip


def _value(table: Table, column: Column[Any], contact: Contact, now: datetime, session: Session) -> Any:
    if column.name == "workspace_id":
        return workspace_of(session)
    if column.name in {"contact_id", "winner_id", "loser_id"}:
        return contact.id
    if table.name == "contacts" and column.name in {"email", "email_key"}:
        return ADDRESS
    if column.name == "address_hash":
        return ledger.suppression_hashes(settings_of(session), "email", ADDRESS)[0].hex()
    if column.name == "event_pk":
        return 987_654  # the numbers of the test's own events begin at 1
    one_of = _one_of(table, column)
    if one_of is not None:
        return one_of
    personal = bool(column.info.get("personal"))
    kind = column.type
    if isinstance(kind, JSONB) and "[" in str(getattr(column.server_default, "arg", "")):
        return [{"id": "1:x", "said": f"{ADDRESS} {MARK}", "fields": {}}] if personal else []
    if isinstance(kind, JSONB):
        return {"said": f"{ADDRESS} {MARK}"} if personal else {}
    if isinstance(kind, ARRAY):
        return [MARK] if personal else []
    if isinstance(kind, LargeBinary):
        return (MARK if personal else "00").encode().hex()
    if isinstance(kind, Boolean):
        return False
    if isinstance(kind, DateTime):
        return now.isoformat()
    if isinstance(kind, Date):
        return date(2026, 3, 1).isoformat()
    if isinstance(kind, Integer):
        return 1
    return f"{ADDRESS} {MARK}" if personal else "word"


def _one_of(table: Table, column: Column[Any]) -> Any:
    """The first value that a check allows."""
    for constraint in table.constraints:
        if isinstance(constraint, CheckConstraint):
            found = re.match(rf'"?{column.name}"? IN \(\'(\w+)\'', str(constraint.sqltext))
            if found:
                return found[1]
    return None


def _insert(session: Session, table: Table, values: Mapping[str, Any], number: int) -> None:
    if "id" in table.columns:
        values = {**values, "id": number}
    names = ", ".join(f'"{name}"' for name in values)
    columns = ", ".join(_read(column) for column in table.columns)
    types = ", ".join(f'"{column.name}" {_type(column)}' for column in table.columns)
    session.execute(
        text(f'INSERT INTO "{table.name}" ({names}) SELECT {columns}'
             f" FROM json_to_recordset(CAST(:rows AS json)) AS r({types})"),
        {"rows": as_rows([values])},
    )  # fmt: skip


def _update(session: Session, table: Table, contact_id: int, values: Mapping[str, Any]) -> None:
    columns = [table.columns[name] for name in values]
    sets = ", ".join(f'"{column.name}" = {_read(column)}' for column in columns)
    types = ", ".join(f'"{column.name}" {_type(column)}' for column in columns)
    session.execute(
        text(f'UPDATE "{table.name}" t SET {sets} FROM json_to_recordset(CAST(:rows AS json)) AS r({types})'
             " WHERE t.id = :id"),
        {"rows": as_rows([values]), "id": contact_id},
    )  # fmt: skip


def _type(column: Column[Any]) -> str:
    return "text" if isinstance(column.type, LargeBinary) else str(column.type.compile(dialect=_DIALECT))


def _read(column: Column[Any]) -> str:
    return f"decode(r.\"{column.name}\", 'hex')" if isinstance(column.type, LargeBinary) else f'r."{column.name}"'


def everything(session: Session) -> dict[str, str]:
    """Table → all its rows as text, of every table of the database that this unit of work may see."""
    names = session.scalars(
        text("SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r','p')"
             " AND NOT c.relispartition ORDER BY 1")
    ).all()  # fmt: skip
    return {
        name: "\n".join(session.scalars(text(f'SELECT t::text FROM "{name}" t')).all())
        for name in names
        if name != "alembic_version"
    }
