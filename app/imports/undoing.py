"""Taking an import back: what it made and nobody touched since goes, what it changed returns to what it was.

What somebody has said or done since stays as it is, and is counted. Permission it brought ends by a new line of the
ledger; nothing is deleted there. A no it brought stays: no system takes back a no (R10).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.orm import Session

from app.consent import ledger
from app.consent.fold import Line, by_key, settle
from app.consent.ledger import Act
from app.contacts import identity
from app.contacts.profiles import Profile
from app.db import workspace_of
from app.events import log
from app.imports.models import Import
from app.imports.taking import file_of

LEAVES_NO_TRACE = frozenset(
    {
        *("import_rows", "consent_records", "consent_words", "contact_changes", "segment_members", "event_work"),
        *("entry_refusals", "data_accesses"),
    }
)
"""Tables in which a row says nothing of what happened since: the import's own, what follows from there being a
contact, and that somebody looked at it."""
GOES = ("segment_members", "consent_words", "event_work", "entry_refusals", "events")
"""What goes with a contact that only the import made."""
OWN_EVENTS = ("contact.imported", "segment.entered", "segment.left")
"""Events that are no touch: they followed from the import."""


def undo(session: Session, one: Import, found: Sequence[Row[Any]], now: datetime) -> Counter[str]:
    """Take a chunk's rows back, the last one first; gives how many of what.

    removed: contacts that only the import made; kept: made by it, but something has happened since; restored: contacts
    whose fields are what they were; newer: fields that somebody has told anew since; ended: permissions withdrawn;
    standing: permissions given elsewhere too, which stand; refusals: a no that came with it, and stays.
    """
    connection, workspace_id = session.connection(), workspace_of(session)
    log.world(connection, workspace_id)  # no two people are merged meanwhile
    ids = sorted({row.contact_id for row in found if row.contact_id})
    done: Counter[str] = Counter()
    if not ids:
        return done
    profiles = {one.id: one for one in identity.locked_profiles(connection, workspace_id, ids)}
    _end_permissions(session, one, [number for number in ids if number in profiles], now, done)
    made = {row.contact_id for row in found if row.made and row.contact_id in profiles}
    touched = {number for number in made if _told_by_others(profiles[number], one.id)}
    touched |= _touched(connection, workspace_id, sorted(made - touched))
    gone = made - touched
    # A further row about somebody whom an earlier one made: that one decides.
    brought = set(connection.execute(_BROUGHT, {"ws": workspace_id, "import": one.id, "ids": ids}).scalars())
    done["removed"] += len(gone)
    done["kept"] += len(touched)
    for row in found:
        profile = profiles.get(row.contact_id)
        if profile is None or row.contact_id in brought or not row.before:
            continue
        done["restored"] += _restore(profile, row.before, done)
    changed = [profile for number, profile in profiles.items() if profile.changed and number not in gone]
    identity.write(connection, workspace_id, changed, now)
    if gone:
        _remove(connection, workspace_id, sorted(gone))
    return done


def _restore(profile: Profile, before: Mapping[str, Any], done: Counter[str]) -> int:
    """Put a row's fields back where nothing newer has been said; 1 where any was."""
    back = 0
    for name, was in before.items():
        if name == "tags":
            if profile.tags & set(was):
                profile.tags, back = profile.tags - set(was), 1
            continue
        if name == "external_id":
            done["newer"] += 1  # an id once given is what other systems find the person by
            continue
        value, version, ours = was
        if profile.versions.get(name) != ours:
            done["newer"] += 1
            continue
        back = 1
        if version is None:
            profile.versions.pop(name, None)
        else:
            profile.versions[name] = version
        _put(profile, name, value)
    profile.changed = profile.changed or bool(back)
    return back


def _put(profile: Profile, name: str, value: Any) -> None:
    if name.startswith("attributes."):
        key = name.removeprefix("attributes.")
        if value is None:
            profile.attributes.pop(key, None)
        else:
            profile.attributes[key] = value
    elif name == "email":
        profile.values["email"], profile.values["email_key"] = value
    else:
        profile.values[name] = value


def _told_by_others(profile: Profile, import_id: int) -> bool:
    ours = f"|import:{import_id}:"
    return any(ours not in version for version in profile.versions.values())


def _touched(connection: Connection, workspace_id: int, ids: Sequence[int]) -> set[int]:
    """Whom anything has happened to since, asked of every table that speaks of contacts: one added later too."""
    if not ids:
        return set()
    asked = {"ws": workspace_id, "ids": list(ids), "own": list(OWN_EVENTS)}
    found = set(connection.execute(_MERGED, asked).scalars())
    for table in connection.execute(_TABLES).scalars():
        if table in LEAVES_NO_TRACE:
            continue
        some = "AND type <> ALL(:own)" if table == "events" else ""
        # The name comes from the database's own catalogue.
        statement = text(
            f'SELECT DISTINCT contact_id FROM "{table}" WHERE workspace_id = :ws AND contact_id = ANY(:ids) {some}'
        )
        found |= set(connection.execute(statement, asked).scalars())
    return found


def _remove(connection: Connection, workspace_id: int, ids: Sequence[int]) -> None:
    asked = {"ws": workspace_id, "ids": list(ids)}
    for table in GOES:
        connection.execute(
            text(f"DELETE FROM {table} WHERE workspace_id = :ws AND contact_id = ANY(:ids)"),
            asked,
        )
    connection.execute(_FORGET_ROWS, asked)
    connection.execute(_DELETE, asked)
    # What the triggers of these tables noted of people who are gone.
    connection.execute(text("DELETE FROM contact_changes WHERE workspace_id = :ws AND contact_id = ANY(:ids)"), asked)


def _end_permissions(session: Session, one: Import, ids: Sequence[int], now: datetime, done: Counter[str]) -> None:
    """End what this file permitted, where nothing else permits it too."""
    file = file_of(one)
    asked = {"ws": workspace_of(session), "ids": list(ids), "file": file}
    brought: dict[int, list[Row[Any]]] = {}
    for row in session.execute(_LINES, asked):
        brought.setdefault(row.contact_id, []).append(row)
    if not brought:
        return
    known = ledger.lines(session, brought)
    acts: list[Act] = []
    for contact_id, its in sorted(brought.items()):
        numbers = {row.line for row in its}
        said = by_key(known.get(contact_id, ()))
        for row in its:
            if row.state not in {"granted", "pending"}:
                done["refusals"] += 1
                continue
            key = (row.address, row.channel, row.purpose, row.topic)
            others = [line for line in said.get(key, ()) if line.line not in numbers]
            if _holds(others):
                done["standing"] += 1
                continue
            if settle(said[key]).line != row.line:
                continue  # ended already
            done["ended"] += 1
            at = row.confirmed_at or row.requested_at
            proof = {"import_file": file, "undoes_line": row.line, "undone_at": now.isoformat()}
            acts.append(Act(contact_id, *key[:2], row.purpose, row.topic, "expired", "import_undone", at, None, proof))
    ledger.append(session, acts, now)


def _holds(lines: Sequence[Line]) -> bool:
    return bool(lines) and settle(lines).granted


_LINES = text(
    """
    SELECT contact_id, line, address, channel, purpose, topic, state, requested_at, confirmed_at FROM consent_records
     WHERE workspace_id = :ws AND contact_id = ANY(:ids) AND proof ->> 'import_file' = :file AND state <> 'expired'
     ORDER BY line
    """
)
_BROUGHT = text(
    """
    SELECT contact_id FROM import_rows
     WHERE workspace_id = :ws AND contact_id = ANY(:ids) AND import_id = :import AND made
    """
)
_MERGED = text(
    """
    SELECT winner_id FROM contact_merges WHERE workspace_id = :ws AND winner_id = ANY(:ids)
    UNION SELECT loser_id FROM contact_merges WHERE workspace_id = :ws AND loser_id = ANY(:ids)
    """
)
_TABLES = text(
    """
    SELECT c.relname FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'contact_id' AND NOT a.attisdropped
      JOIN pg_attribute w ON w.attrelid = c.oid AND w.attname = 'workspace_id' AND NOT w.attisdropped
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
     ORDER BY c.relname
    """
)
_FORGET_ROWS = text("UPDATE import_rows SET contact_id = NULL WHERE workspace_id = :ws AND contact_id = ANY(:ids)")
_DELETE = text("DELETE FROM contacts WHERE workspace_id = :ws AND id = ANY(:ids)")
