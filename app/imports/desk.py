"""What people do with a file: hand it in, say what its columns mean, look at the dry run, take it in, take it back.

Every act locks the import's row; an act that does not fit its state is refused with a code, never half done.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from app.contacts.sensitive_names import tells, tells_of_a_child
from app.db import as_rows, workspace_of
from app.imports import columns, files
from app.imports.columns import Known, Reading
from app.imports.models import Import
from app.imports.notes import REFUSING, SENTENCES
from app.imports.stage import FORGET_UNUSED_AFTER
from app.queues import signal

AT_ONCE = 5_000
"""Rows of a file written in one statement."""
LONGEST_NAME = 200
WORKING = frozenset({"checking", "taking", "undoing"})


class NotNowError(ValueError):
    """The act does not fit the import's state. `code` is `unknown`, `working`, `not_checked`, `not_done`, `forgotten`
    or `begun`."""

    def __init__(self, code: str) -> None:
        super().__init__(REFUSALS[code])
        self.code = code


REFUSALS: Mapping[str, str] = {
    "unknown": "There is no such import.",
    "working": "It is being worked on; wait until that is done.",
    "not_checked": "Let it be checked first.",
    "not_done": "Nothing of it has been taken in.",
    "forgotten": "It can be undone for 30 days; they are over.",
    "begun": "It has been taken in already.",
}


def receive(session: Session, name: str, content: bytes, by: str, now: datetime) -> Import:
    """Keep a file's rows; nothing of it counts yet. One statement for every 5,000 rows, and two.

    What stands under a title of a special category is not kept at all, not even until somebody looks (R18).

    Args:
        name: the file's name, as the team calls it.
        by: who hands it in.

    Raises:
        UnreadableError: it is no list; nothing is kept.
    """
    sheet = files.read(content)
    one = Import(
        workspace_id=workspace_of(session),
        file_name=name.replace("\\", "/").rpartition("/")[2].replace("\x00", "")[:LONGEST_NAME] or "list",
        file_hash=sheet.digest,
        size=len(content),
        header=list(sheet.header),
        shape=sheet.shape,
        rows=0,
        state="uploaded",
        mapping={},
        place=0,
        expected={},
        tally={},
        created_at=now,
        created_by=by,
        next_at=now + FORGET_UNUSED_AFTER,
    )
    session.add(one)
    session.flush()
    asked = {"ws": workspace_of(session), "import": one.id}
    special = {place for place, title in enumerate(sheet.header) if tells(title) or tells_of_a_child(title)}
    while some := list(islice(sheet.rows, AT_ONCE)):
        given = [
            {"position": place, "line": line, "cells": _without(cells, special)}
            for place, (line, cells) in enumerate(some, start=one.rows + 1)
        ]
        session.execute(_KEEP, {**asked, "rows": as_rows(given)})
        one.rows += len(some)
    return one


def _without(cells: Sequence[str], special: Collection[int]) -> Sequence[str]:
    return ["" if place in special else cell for place, cell in enumerate(cells)] if special else cells


def known(session: Session) -> Known:
    """What columns can mean here. One query."""
    row = session.execute(_KNOWN, {"ws": workspace_of(session)}).one()
    return Known(row.types or {}, frozenset(row.special or ()), tuple(row.topics or ()), tuple(row.properties or ()))


def suggested(session: Session, one: Import, here: Known) -> tuple[Reading, bool]:
    """How the file would be read: as it was said, else as files of its shape were read last, else as is guessed.

    Returns:
        The mapping, and whether it is remembered from another file.
    """
    width = len(one.header)
    if one.mapping:
        return columns.of_json(one.mapping, width), False
    kept = session.execute(_REMEMBERED, {"ws": workspace_of(session), "shape": one.shape}).scalar()
    if kept is not None:
        return columns.of_json(kept, width), True
    return columns.guessed(one.header, [row.cells for row in head(session, one, columns.SAMPLE)], here), False


def head(session: Session, one: Import, most: int) -> Sequence[Row[Any]]:
    """The first rows of the file. One query."""
    return session.execute(_HEAD, {"ws": workspace_of(session), "import": one.id, "limit": most}).all()


def earlier(session: Session, one: Import) -> Import | None:
    """The newest import of the very same file that was taken in, if any."""
    return session.scalars(
        select(Import)
        .where(Import.file_hash == one.file_hash, Import.id != one.id, Import.state.in_(("taking", "done")))
        .order_by(Import.id.desc())
        .limit(1)
    ).first()


def one_of(session: Session, number: int) -> Import:
    """An import, locked until the unit of work ends.

    Raises:
        NotNowError: there is none of this number.
    """
    found = session.scalars(select(Import).where(Import.id == number).with_for_update()).first()
    if found is None:
        raise NotNowError("unknown")
    return found


def check(session: Session, number: int, reading: Reading, now: datetime) -> Import:
    """Take this as the meaning of its columns, remember it, and begin the dry run.

    Raises:
        MappingError: it cannot be read so.
        NotNowError: it is being worked on, or was taken in.
    """
    one = one_of(session, number)
    if one.state in WORKING:
        raise NotNowError("working")
    if one.state not in {"uploaded", "checked"}:
        raise NotNowError("begun")
    columns.checked(reading, known(session))
    one.mapping = reading.as_json()
    asked = {"ws": workspace_of(session), "shape": one.shape, "mapping": _json(one.mapping), "now": now}
    session.execute(_REMEMBER, asked)
    _begin(session, one, "checking", now)
    return one


def take(session: Session, number: int, now: datetime) -> Import:
    """Begin to take it in.

    Raises:
        NotNowError: it was not checked, or is being worked on.
    """
    one = one_of(session, number)
    if one.state in WORKING:
        raise NotNowError("working")
    if one.state != "checked":
        raise NotNowError("begun" if one.state in {"done", "undone"} else "not_checked")
    _begin(session, one, "taking", now)
    return one


def undo(session: Session, number: int, now: datetime) -> Import:
    """Begin to take it back.

    Raises:
        NotNowError: nothing was taken in, or its rows are forgotten.
    """
    one = one_of(session, number)
    if one.state in WORKING:
        raise NotNowError("working")
    if one.state != "done":
        raise NotNowError("not_done")
    if one.next_at is None:
        raise NotNowError("forgotten")
    kept = one.tally
    _begin(session, one, "undoing", now)
    one.tally, one.place = kept, one.rows
    return one


def discard(session: Session, number: int) -> None:
    """Throw a file away that nothing was taken in from; its rows are gone at once.

    Raises:
        NotNowError: it is being worked on, or was taken in.
    """
    one = one_of(session, number)
    if one.state in WORKING:
        raise NotNowError("working")
    if one.state not in {"uploaded", "checked"}:
        raise NotNowError("begun")
    session.execute(_DROP, {"ws": workspace_of(session), "import": one.id})
    one.state, one.next_at = "discarded", None


def _begin(session: Session, one: Import, state: str, now: datetime) -> None:
    one.state, one.place, one.tally = state, 0, {}
    one.begun_at, one.finished_at, one.next_at = now, None, now
    signal(session, "imports")


# -- how far it is ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pass is."""

    done: int
    rows: int
    rate: int
    """Rows a second since it began."""
    left: timedelta | None
    """How long the rest takes at that rate; None: cannot be told yet."""


def progress(one: Import, now: datetime) -> Progress:
    """How far the present pass is."""
    done = one.rows - one.place if one.state in {"undoing", "undone"} else one.place
    until = one.finished_at or now
    seconds = max((until - one.begun_at).total_seconds(), 0.001) if one.begun_at else 0.001
    rate = round(done / seconds) if done else 0
    left = timedelta(seconds=round((one.rows - done) / rate)) if rate and one.state in WORKING else None
    return Progress(done, one.rows, rate, left)


# -- the rows behind a figure ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shown:
    """A row and what became of it."""

    position: int
    line: int
    cells: Sequence[str]
    verdict: str | None
    permission: str | None
    notes: Sequence[tuple[str, str | None]]
    """Code, and the name of the column it is about."""
    contact_id: int | None


def shown(
    session: Session,
    one: Import,
    *,
    verdict: str | None = None,
    permission: str | None = None,
    code: str | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[Shown]:
    """Rows in the order of the file, some of them. One query."""
    asked = {
        "ws": workspace_of(session),
        "import": one.id,
        "verdict": verdict,
        "permission": permission,
        "code": _json([[code]]) if code else None,
        "after": after,
        "limit": limit,
    }
    return [
        Shown(
            position=row.position,
            line=row.line,
            cells=row.cells,
            verdict=row.verdict,
            permission=row.permission,
            notes=[(name, one.header[place] if place is not None else None) for name, place in row.notes],
            contact_id=row.contact_id,
        )
        for row in session.execute(_SHOWN, asked)
    ]


def noted(session: Session, one: Import) -> dict[str, int]:
    """Code of a note → rows that have it, the most frequent first. One query."""
    found = session.execute(_NOTED, {"ws": workspace_of(session), "import": one.id})
    return {row.code: row.rows for row in found}


def told_header(one: Import) -> list[str]:
    """The header of `told_row`."""
    return ["line", "verdict", "permission", "reason", "cure", "column", *one.header]


def told_row(row: Shown, width: int) -> list[object]:
    """A row with its verdict, as a line of a file that can be mended and handed in again."""
    first = next((pair for pair in row.notes if pair[0] in REFUSING), None) or next(iter(row.notes), None)
    sentence = SENTENCES[first[0]] if first else None
    said = [sentence.detail, sentence.cure, first[1] or ""] if sentence and first else ["", "", ""]
    cells = [*row.cells[:width], *[""] * (width - len(row.cells)), *row.cells[width:]]
    return [row.line, row.verdict or "", row.permission or "", *said, *cells]


def pages_of(session: Session, one: Import, verdict: str | None, size: int = 2_000) -> Iterator[list[Shown]]:
    """All rows with a verdict, page by page. One query each."""
    after = 0
    while some := shown(session, one, verdict=verdict, after=after, limit=size):
        yield some
        after = some[-1].position


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


_KEEP = text(
    """
    INSERT INTO import_rows (workspace_id, import_id, position, line, cells)
    SELECT :ws, :import, r.position, r.line, r.cells
      FROM json_to_recordset(CAST(:rows AS json)) AS r (position integer, line integer, cells jsonb)
    """
)
_KNOWN = text(
    """
    SELECT (SELECT jsonb_object_agg(key, type) FROM attribute_definitions WHERE workspace_id = :ws) AS types,
           (SELECT jsonb_agg(key) FROM attribute_definitions WHERE workspace_id = :ws AND special_category) AS special,
           (SELECT jsonb_agg(name ORDER BY position, name) FROM topics
             WHERE workspace_id = :ws AND archived_at IS NULL) AS topics,
           (SELECT jsonb_agg(code ORDER BY is_default DESC, code) FROM properties
             WHERE workspace_id = :ws) AS properties
    """
)
_HEAD = text(
    """
    SELECT position, line, cells FROM import_rows WHERE workspace_id = :ws AND import_id = :import
     ORDER BY position LIMIT :limit
    """
)
_REMEMBERED = text("SELECT mapping FROM import_mappings WHERE workspace_id = :ws AND shape = :shape")
_REMEMBER = text(
    """
    INSERT INTO import_mappings AS known (workspace_id, shape, mapping, used_at)
    VALUES (:ws, :shape, CAST(:mapping AS jsonb), :now)
    ON CONFLICT (workspace_id, shape) DO UPDATE SET mapping = excluded.mapping, used_at = excluded.used_at
    """
)
_SHOWN = text(
    """
    SELECT position, line, cells, verdict, permission, notes, contact_id FROM import_rows
     WHERE workspace_id = :ws AND import_id = :import AND position > :after
       AND (CAST(:verdict AS text) IS NULL OR verdict = CAST(:verdict AS text))
       AND (CAST(:permission AS text) IS NULL OR permission = CAST(:permission AS text))
       AND (CAST(:code AS text) IS NULL OR notes @> CAST(:code AS jsonb))
     ORDER BY position LIMIT :limit
    """
)
_NOTED = text(
    """
    SELECT n.note ->> 0 AS code, count(DISTINCT i.position) AS rows
      FROM import_rows i CROSS JOIN LATERAL jsonb_array_elements(i.notes) AS n (note)
     WHERE i.workspace_id = :ws AND i.import_id = :import AND i.notes <> '[]'
     GROUP BY 1 ORDER BY 2 DESC, 1
    """
)
_DROP = text("DELETE FROM import_rows WHERE workspace_id = :ws AND import_id = :import")
