"""Lists over the API: handed in with what their columns mean, tried, confirmed with their number, taken back.

The desk (`app/imports/desk.py`) does it, by the limits and rules of the studio; the stage `imports` does the work, so
every act answers at once and is looked at by asking again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.api.bodies import read, unfit
from app.api.pages import Wanted
from app.api.problems import ProblemError
from app.contacts.attributes import TYPES
from app.imports import columns, desk
from app.imports.cells import plain
from app.imports.columns import MappingError, Reading
from app.imports.desk import NotNowError, Shown
from app.imports.files import UnreadableError
from app.imports.models import Import
from app.imports.notes import SENTENCES

TAKEN = ("new", "changed", "same")
"""Verdicts of rows that are a person each; a `repeat` is one of these once more."""

_Text = Annotated[str, Meta(max_length=columns.LONGEST)]


class MappingIn(Struct, forbid_unknown_fields=True):
    """How a file is read, laid over what is remembered or guessed."""

    columns: (
        Annotated[dict[str, _Text], Meta(description="Title of a column: what it means; empty: leave it out.")]
        | UnsetType
    ) = UNSET
    types: Annotated[dict[str, _Text], Meta(description="Key of a new attribute: its type.")] | UnsetType = UNSET
    constants: Annotated[dict[str, _Text], Meta(description="Proof that is the same for every row.")] | UnsetType = (
        UNSET
    )
    everyone: Annotated[_Text, Meta(description="A consent that every row says yes to.")] | UnsetType = UNSET
    property: Annotated[_Text, Meta(description="Code of the property whose clock and country hold.")] | UnsetType = (
        UNSET
    )
    dates: Literal["dmy", "mdy"] | UnsetType = UNSET
    international: bool | UnsetType = UNSET
    ask: Annotated[bool, Meta(description="Ask those whose yes was never confirmed, by one mail.")] | UnsetType = UNSET


class ConfirmIn(Struct, forbid_unknown_fields=True):
    """That it shall be taken in, with the number the dry run came to."""

    people: Annotated[int, Meta(ge=0, le=2**53)]


def received(session: Session, name: str, content: bytes, mapping: Any, by: str, now: datetime) -> dict[str, Any]:
    """Keep a file, say what its columns mean, and begin its dry run; raises ProblemError, and then nothing is kept."""
    wanted = read(mapping, MappingIn)
    try:
        one = desk.receive(session, name, content, by, now)
    except UnreadableError as error:
        raise unfit("/file", str(error), "Send a list as CSV or Excel.") from None
    here = desk.known(session)
    reading, _ = desk.suggested(session, one, here)
    try:
        desk.check(session, one.id, _laid_over(one, reading, wanted), now)
    except MappingError as error:
        place, code = next(iter(error.problems.items()))
        title = one.header[int(place)] if place.isdigit() else ""
        pointer = f"/mapping/columns/{_escaped(title)}" if place.isdigit() else f"/mapping/{place}"
        raise unfit(pointer, columns.SENTENCES[code], "`flask contacts import-columns` lists all meanings.") from None
    return told(session, one)


def _laid_over(one: Import, reading: Reading, wanted: MappingIn) -> Reading:
    given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not UNSET}
    named = given.pop("columns", {})
    places = {plain(title): place for place, title in enumerate(one.header)}
    meanings = list(reading.columns)
    for title, meaning in named.items():
        place = places.get(plain(title))
        if place is None:
            raise unfit(f"/mapping/columns/{_escaped(title)}", "No column has this title.", f"Titles: {one.header}.")
        meanings[place] = meaning
    if any(type_ not in TYPES for type_ in given.get("types", {}).values()):
        raise unfit("/mapping/types", columns.SENTENCES["bad_type"], f"Send one of {', '.join(TYPES)}.")
    return replace(reading, columns=tuple(meanings), **given)


def _escaped(title: str) -> str:
    return title.replace("~", "~0").replace("/", "~1")


def one_of(session: Session, number: str) -> Import:
    """An import by its number, locked until the end of this unit of work; raises ProblemError."""
    try:
        if number.isascii() and number.isdecimal() and len(number) < 19:
            return desk.one_of(session, int(number))
    except NotNowError:
        pass
    raise ProblemError("not-found", "No import has this number.")


def listed(session: Session, asked: Wanted[int]) -> Sequence[Import]:
    """Imports, newest first. One query."""
    query = select(Import).order_by(Import.id.desc()).limit(asked.limit + 1)
    return session.scalars(query if asked.after is None else query.where(Import.id < asked.after)).all()


def shown(one: Import) -> dict[str, Any]:
    """An import as JSON."""
    counted = one.expected if one.state == "checked" else one.tally
    return {
        "number": one.id,
        "file": one.file_name,
        "state": one.state,
        "rows": one.rows,
        "done": one.rows - one.place if one.state in {"undoing", "undone"} else one.place,
        "columns": dict(zip(one.header, one.mapping.get("columns") or [""] * len(one.header), strict=True)),
        "people": _people(one.expected),
        "verdicts": counted.get("verdict", {}),
        "permissions": counted.get("permission", {}),
        "undone": one.tally.get("undone", {}),
        "created_at": one.created_at,
        "created_by": one.created_by,
        "can_be_undone_until": one.next_at if one.state == "done" else None,
    }


def key(one: Import) -> int:
    """Where it stands in the list."""
    return one.id


def told(session: Session, one: Import) -> dict[str, Any]:
    """An import, and why rows were left out or in part. One query."""
    notes = [
        {"code": code, "rows": rows, "detail": SENTENCES[code].detail, "cure": SENTENCES[code].cure}
        for code, rows in desk.noted(session, one).items()
    ]
    return {**shown(one), "notes": notes}


def rows_of(session: Session, one: Import, asked: Wanted[int], verdict: str | None) -> Sequence[Shown]:
    """Rows in the order of the file. One query."""
    return desk.shown(session, one, verdict=verdict, after=asked.after or 0, limit=asked.limit + 1)


def shown_row(row: Shown) -> dict[str, Any]:
    """A row with its verdict as JSON; what stood in it is left out: the caller has the file."""
    notes = [
        {"code": code, "column": column, "detail": SENTENCES[code].detail, "cure": SENTENCES[code].cure}
        for code, column in row.notes
    ]
    return {"line": row.line, "verdict": row.verdict, "permission": row.permission, "notes": notes}


def row_key(row: Shown) -> int:
    """Where a row stands in its file."""
    return row.position


def confirmed(session: Session, one: Import, given: Any, now: datetime) -> dict[str, Any]:
    """Begin to take it in; raises ProblemError where the number is not what the dry run came to."""
    wanted = read(given, ConfirmIn)
    if one.state == "checked" and wanted.people != (people := _people(one.expected)):
        raise unfit("/people", f"The dry run came to {people} people.", "Look at it, and send that number.")
    try:
        return told(session, desk.take(session, one.id, now))
    except NotNowError as error:
        raise _not_now(error) from None


def undone(session: Session, one: Import, now: datetime) -> dict[str, Any]:
    """Begin to take it back; raises ProblemError."""
    try:
        return told(session, desk.undo(session, one.id, now))
    except NotNowError as error:
        raise _not_now(error) from None


def _not_now(error: NotNowError) -> ProblemError:
    return unfit("", str(error), "Ask for the import and look at its `state`.")


def _people(counted: Mapping[str, Any]) -> int:
    return sum(counted.get("verdict", {}).get(name, 0) for name in TAKEN)
