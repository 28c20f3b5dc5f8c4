"""Two contacts that are one person become one, and can be two again for thirty days (X11).

Whatever carries a `contact_id` moves, found by asking the database, so a table added later moves too. What moved is
kept, row by row, which is what the undoing goes by. The ledger of consent is append-only and does not move; what
becomes of permission is the business of whoever calls (`events/merging.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.contacts.identity import PEOPLE_LOCK, array_text
from app.contacts.profiles import COLUMNS, PLAIN
from app.db import workspace_of

UNDO_WITHIN = timedelta(days=30)
STAY = frozenset({"consent_records", "consent_words", "contact_merges", "contact_changes", "segment_members"})
"""Tables whose rows keep the contact they were written for."""

_encode = msgspec.json.Encoder().encode

_ALONE = text(f"SELECT pg_advisory_xact_lock({PEOPLE_LOCK}, CAST(:workspace AS integer))")
_BOTH = text(
    """
    SELECT id, external_id, email, email_key, phone, first_name, last_name, language, zone, country, tags, attributes,
           field_versions, merged_into, erased_at
      FROM contacts WHERE workspace_id = :workspace AND id IN (:winner, :loser) ORDER BY id FOR UPDATE
    """
)
_TABLES = text(
    """
    SELECT c.relname AS name,
           array_agg(a.attname ORDER BY k.place) FILTER (WHERE a.attname NOT IN ('workspace_id', 'contact_id')) AS key
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
      JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
      CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (column_number, place)
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.column_number
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND EXISTS (SELECT 1 FROM pg_attribute w WHERE w.attrelid = c.oid AND w.attname = 'workspace_id')
       AND EXISTS (SELECT 1 FROM pg_attribute w WHERE w.attrelid = c.oid AND w.attname = 'contact_id')
     GROUP BY c.relname ORDER BY c.relname
    """
)
_PASSAGES = text(
    """
    UPDATE enrollments e SET passage = e.passage + w.most
      FROM (SELECT workflow_id, key, max(passage) AS most FROM enrollments
             WHERE workspace_id = :workspace AND contact_id = :winner GROUP BY workflow_id, key) AS w
     WHERE e.workspace_id = :workspace AND e.contact_id = :loser AND e.workflow_id = w.workflow_id AND e.key = w.key
    """
)
_COLLAPSE = text(
    """
    UPDATE enrollments e SET status = 'exited', end_reason = 'merged', ended_at = :now, wake_at = NULL
      FROM (SELECT id, wake_at, row_number() OVER (PARTITION BY workflow_id, key ORDER BY entered_at, id) AS place
              FROM enrollments WHERE workspace_id = :workspace AND contact_id = :winner AND status = 'active') AS twice
     WHERE e.workspace_id = :workspace AND e.contact_id = :winner AND e.id = twice.id AND twice.place > 1
    RETURNING e.id, twice.wake_at
    """
)
_REVIVE = text(
    """
    UPDATE enrollments e SET status = 'active', end_reason = NULL, ended_at = NULL, wake_at = x.wake_at
      FROM jsonb_to_recordset(:ended) AS x (id bigint, wake_at timestamptz)
     WHERE e.workspace_id = :workspace AND e.id = x.id AND e.status = 'exited' AND e.end_reason = 'merged'
    """
).bindparams(bindparam("ended", type_=JSONB))
_CALL_OFF = text(
    """
    UPDATE messages SET state = 'cancelled', reason = 'exited:merged', rule = 'R60', ended_at = :now
     WHERE workspace_id = :workspace AND contact_id = :winner AND enrollment_id = ANY(:ended)
       AND state IN ('planned', 'deferred', 'ready')
    RETURNING id
    """
)
# Judged anew by whatever holds then.
_PLAN_AGAIN = text(
    """
    UPDATE messages SET state = 'planned', reason = NULL, rule = NULL, ended_at = NULL
     WHERE workspace_id = :workspace AND contact_id IN (:winner, :loser) AND id = ANY(:called_off)
       AND state = 'cancelled' AND reason = 'exited:merged'
    """
)
_WRITE = text(
    """
    UPDATE contacts SET external_id = :external_id, email = :email, email_key = :email_key, phone = :phone,
           first_name = :first_name, last_name = :last_name, language = :language, zone = :zone, country = :country,
           tags = CAST(:tags AS text[]), attributes = CAST(:attributes AS jsonb),
           field_versions = CAST(:versions AS jsonb), merged_into = :merged_into, updated_at = :now
     WHERE workspace_id = :workspace AND id = :id
    """
)
# Of how often to be written to, the stricter of the two holds (X11); an undoing leaves it so.
_STRICTER = text(
    """
    UPDATE contacts w SET pace = coalesce(w.pace, l.pace), paused_until = greatest(w.paused_until, l.paused_until),
           frozen_at = coalesce(w.frozen_at, l.frozen_at)
      FROM contacts l
     WHERE w.workspace_id = :workspace AND w.id = :winner AND l.workspace_id = :workspace AND l.id = :loser
    """
)
_ALIAS = text(
    """
    INSERT INTO contact_aliases (workspace_id, external_id, contact_id, merge_id)
    VALUES (:workspace, :external_id, :winner, :merge)
    ON CONFLICT (workspace_id, external_id) DO UPDATE SET contact_id = excluded.contact_id, merge_id = excluded.merge_id
    """
)
_KEEP = text(
    """
    INSERT INTO contact_merges (workspace_id, winner_id, loser_id, moved, merged_at, merged_by)
    VALUES (:workspace, :winner, :loser, '{}', :now, :by) RETURNING id
    """
)
_NOTE = text("UPDATE contact_merges SET moved = :moved WHERE workspace_id = :workspace AND id = :merge").bindparams(
    bindparam("moved", type_=JSONB)
)
_FIND = text(
    """
    SELECT id, winner_id, loser_id, moved, merged_at, undone_at FROM contact_merges
     WHERE workspace_id = :workspace AND id = :merge FOR UPDATE
    """
)
_UNDONE = text(
    """
    WITH gone AS (DELETE FROM contact_aliases WHERE workspace_id = :workspace AND merge_id = :merge)
    UPDATE contact_merges SET undone_at = :now WHERE workspace_id = :workspace AND id = :merge
    """
)


class MergeRefusedError(ValueError):
    """The two cannot be merged, or the merge cannot be undone; the message says why."""


def merge(session: Session, winner: int, loser: int, by: str, now: datetime) -> int:
    """Make `loser` part of `winner`: rows, names and ids; gives the number of the merge.

    No event of the workspace is recorded meanwhile. Of two passages through the same workflow for the same key the
    older goes on. Per field the newest fact wins, as always.

    Raises:
        MergeRefusedError: one does not exist, is erased or merged already, or they are one.
    """
    connection, workspace_id = session.connection(), workspace_of(session)
    rows = _both(connection, workspace_id, winner, loser)
    mine, theirs = rows.get(winner), rows.get(loser)
    if mine is None or theirs is None:
        raise MergeRefusedError("Two different contacts are needed.")
    if any(one["merged_into"] or one["erased_at"] for one in (mine, theirs)):
        raise MergeRefusedError("One of the two is erased or was merged already.")
    wanted = {"workspace": workspace_id, "winner": winner, "loser": loser, "now": now}
    number: int = connection.execute(_KEEP, {**wanted, "by": by}).scalar_one()
    connection.execute(_PASSAGES, wanted)
    moved = {table: _move(connection, workspace_id, table, key, loser, winner) for table, key in _tables(connection)}
    ended = [
        {"id": row.id, "wake_at": row.wake_at and row.wake_at.isoformat()}
        for row in connection.execute(_COLLAPSE, wanted)
    ]
    # What the passage that goes on will say is not said twice.
    called_off = connection.scalars(_CALL_OFF, {**wanted, "ended": [one["id"] for one in ended]}).all()
    whole, taken = _united(mine, theirs)
    empty: dict[str, Any] = {**dict.fromkeys(COLUMNS), "tags": [], "attributes": {}, "field_versions": {}}
    _write(connection, workspace_id, loser, empty, winner, now)
    _write(connection, workspace_id, winner, whole, None, now)
    connection.execute(_STRICTER, wanted)
    if theirs["external_id"] and mine["external_id"]:
        connection.execute(_ALIAS, {**wanted, "external_id": theirs["external_id"], "merge": number})
    kept = {
        "winner": _plain(mine),
        "loser": _plain(theirs),
        "taken": taken,
        "rows": {table: some for table, some in moved.items() if some},
        "ended": ended,
        "called_off": list(called_off),
    }
    connection.execute(_NOTE, {"workspace": workspace_id, "merge": number, "moved": kept})
    return number


def undo_merge(session: Session, merge_id: int, now: datetime) -> tuple[int, int]:
    """Make two of one again; gives winner and loser.

    What came after the merge stays with the winner; a field of his that has changed since stays as it is.

    Raises:
        MergeRefusedError: no such merge, undone already, older than thirty days, or the winner was merged since.
    """
    connection, workspace_id = session.connection(), workspace_of(session)
    connection.execute(_ALONE, {"workspace": workspace_id})
    found = connection.execute(_FIND, {"workspace": workspace_id, "merge": merge_id}).one_or_none()
    if found is None or found.undone_at is not None:
        raise MergeRefusedError("There is no such merge to undo.")
    if now - found.merged_at > UNDO_WITHIN:
        raise MergeRefusedError("A merge can be undone for thirty days.")
    winner, loser, kept = found.winner_id, found.loser_id, found.moved
    rows = _both(connection, workspace_id, winner, loser)
    if rows[winner]["merged_into"] or rows[loser]["merged_into"] != winner:
        raise MergeRefusedError("The contact was merged again since: undo that first.")
    keys = dict(_tables(connection))
    for table, some in kept["rows"].items():
        _move(connection, workspace_id, table, keys[table], winner, loser, some)
    connection.execute(_REVIVE, {"workspace": workspace_id, "ended": kept["ended"]})
    both = {"workspace": workspace_id, "winner": winner, "loser": loser}
    connection.execute(_PLAN_AGAIN, {**both, "called_off": kept.get("called_off", [])})
    _write(connection, workspace_id, winner, _as_before(rows[winner], kept), None, now)
    _write(connection, workspace_id, loser, kept["loser"], None, now)
    connection.execute(_UNDONE, {"workspace": workspace_id, "merge": merge_id, "now": now})
    return winner, loser


def _both(connection: Connection, workspace_id: int, winner: int, loser: int) -> dict[int, dict[str, Any]]:
    wanted = {"workspace": workspace_id, "winner": winner, "loser": loser}
    connection.execute(_ALONE, {"workspace": workspace_id})
    return {row.id: dict(row._mapping) for row in connection.execute(_BOTH, wanted)} if winner != loser else {}


def _tables(connection: Connection) -> list[tuple[str, list[str]]]:
    return [(row.name, row.key) for row in connection.execute(_TABLES) if row.name not in STAY]


def _move(
    connection: Connection, workspace_id: int, table: str, key: list[str], source: int, target: int, only: Any = None
) -> list[list[Any]]:
    """Hand rows of one table from one contact to another; gives their keys. Names come from the catalogue alone."""
    name = ", ".join(f'"{column}"' for column in key)
    some = f"AND jsonb_build_array({name}) IN (SELECT jsonb_array_elements(:only))" if only is not None else ""
    statement = text(
        f'UPDATE "{table}" SET contact_id = :target WHERE workspace_id = :workspace AND contact_id = :source {some}'
        f" RETURNING jsonb_build_array({name}) AS key"
    )
    wanted: dict[str, Any] = {"workspace": workspace_id, "source": source, "target": target}
    if only is not None:
        statement = statement.bindparams(bindparam("only", type_=JSONB))
        wanted["only"] = only
    return [row.key for row in connection.execute(statement, wanted)]


def _united(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The winner's profile with what the loser's knows newer or alone, and the version of each field so taken."""
    whole = {name: mine[name] for name in COLUMNS}
    whole["attributes"], whole["field_versions"] = dict(mine["attributes"]), dict(mine["field_versions"])
    whole["tags"] = sorted({*mine["tags"], *theirs["tags"]})
    taken: dict[str, str] = {}

    def newer(field: str, is_empty: bool) -> bool:
        version = theirs["field_versions"].get(field, "")
        if is_empty or version > mine["field_versions"].get(field, ""):
            taken[field] = whole["field_versions"][field] = version
            return True
        return False

    for name in ("email", "phone", *PLAIN):
        if theirs[name] is not None and newer(name, mine[name] is None):
            whole[name] = theirs[name]
            if name == "email":
                whole["email_key"] = theirs["email_key"]
    for key, value in theirs["attributes"].items():
        if newer(f"attributes.{key}", key not in mine["attributes"]):
            whole["attributes"][key] = value
    if whole["external_id"] is None and theirs["external_id"] is not None:
        whole["external_id"], taken["external_id"] = theirs["external_id"], ""
    return whole, taken


def _as_before(present: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """The winner's profile without what it took of the loser's, save what was told anew since."""
    back = {name: present[name] for name in COLUMNS}
    back["attributes"], versions = dict(present["attributes"]), dict(present["field_versions"])
    before, theirs = kept["winner"], kept["loser"]
    back["tags"] = sorted({*present["tags"]} - ({*theirs["tags"]} - {*before["tags"]}))
    for field, version in kept["taken"].items():
        if field == "external_id":
            back["external_id"] = before["external_id"]
            continue
        if versions.get(field, "") != version:
            continue
        versions.pop(field, None)
        if field in before["field_versions"]:
            versions[field] = before["field_versions"][field]
        if field.startswith("attributes."):
            key = field.removeprefix("attributes.")
            back["attributes"].pop(key, None)
            if key in before["attributes"]:
                back["attributes"][key] = before["attributes"][key]
        else:
            back[field] = before[field]
            if field == "email":
                back["email_key"] = before["email_key"]
    back["field_versions"] = versions
    return back


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in (*COLUMNS, "tags", "attributes", "field_versions")}


def _write(
    connection: Connection,
    workspace_id: int,
    contact_id: int,
    profile: Mapping[str, Any],
    merged_into: int | None,
    now: datetime,
) -> None:
    connection.execute(
        _WRITE,
        {
            "workspace": workspace_id,
            "id": contact_id,
            "now": now,
            "merged_into": merged_into,
            "tags": array_text(profile["tags"]),
            "attributes": _encode(profile["attributes"]).decode(),
            "versions": _encode(profile["field_versions"]).decode(),
            **{name: profile[name] for name in COLUMNS},
        },
    )
