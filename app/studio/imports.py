"""Imports: the list, handing a file in, saying what its columns mean, the dry run, taking it in, taking it back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask import Response as FlaskResponse
from flask import abort, request, stream_with_context
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.doors import house, opened_by
from app.imports import columns, desk, files
from app.imports.columns import Known, MappingError, Reading
from app.imports.desk import NotNowError
from app.imports.files import UnreadableError
from app.imports.models import Import
from app.studio import access, import_words, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext, ngettext
from app.studio.reading.paging import page

OPERATORS = access.role("owner", "marketer")
_SAMPLES = 3
"""Values of a column shown beside it."""
_ROWS = 50


@blueprint.before_app_request
def room_for_a_file() -> None:
    """A file may be larger than other requests, where somebody who is signed in hands one in."""
    if request.endpoint == "studio.import_receive" and access.person() is not None:
        request.max_content_length = files.LARGEST + 1024 * 1024


def _who() -> str:
    someone = access.person()
    return (someone.name or someone.email) if someone else ""


def _one(unit: Session, number: int) -> Import:
    found = unit.get(Import, (access.here().workspace_id, number))
    if found is None:
        abort(404)
    return found


@blueprint.get(f"{HERE}/audience/imports")
@opened_by(access.member)
def imports() -> Response:
    """The list, and where a file is handed in."""
    return _list({})


def _list(errors: Mapping[str, str], status: int = 200) -> Response:
    with pages.unit() as unit:
        found = page(unit, select(Import), Import.id, pages.wanted(), lambda row: int(row[0].id))
    return pages.answer(
        "imports.html", status, found=found, errors=errors, said=import_words, largest=files.LARGEST // 1024 // 1024,
        tab="imports", at="contacts",
    )  # fmt: skip


@blueprint.post(f"{HERE}/audience/imports")
@opened_by(OPERATORS)
def import_receive() -> Response:
    """Read the file and go on to its columns; what cannot be read is said beside the field."""
    given = request.files.get("file")
    if given is None or not given.filename:
        return _list({"file": str(import_words.UNREADABLE["none"])}, 422)
    with given.stream as held:
        content = held.read()
    try:
        with pages.unit() as unit:
            number = desk.receive(unit, given.filename, content, _who(), pages.now()).id
    except UnreadableError as error:
        return _list({"file": str(import_words.UNREADABLE[error.code]) % error.values}, 422)
    return pages.gone_to("studio.import_columns", number=number)


# -- columns ---------------------------------------------------------------------------------------------------------


@blueprint.get(f"{HERE}/audience/imports/<int:number>/columns")
@opened_by(OPERATORS)
def import_columns(number: int) -> Response:
    """What each column means: as remembered, or guessed."""
    with pages.unit() as unit:
        one = _one(unit, number)
        if one.state not in {"uploaded", "checked"}:
            return pages.gone_to("studio.import_", number=number)
        here = desk.known(unit)
        reading, remembered = desk.suggested(unit, one, here)
        return _columns(unit, one, here, reading, {}, remembered=remembered)


@blueprint.post(f"{HERE}/audience/imports/<int:number>/columns")
@opened_by(OPERATORS)
def import_check(number: int) -> Response:
    """Keep what the columns mean and begin the dry run, or show the form again."""
    with pages.unit() as unit:
        one = _one(unit, number)
        here = desk.known(unit)
    reading = _reading(one, request.form, here)
    try:
        with pages.unit() as unit:
            desk.check(unit, number, reading, pages.now())
    except NotNowError as error:
        pages.tell(_refused(error), tone="wrong")
        return pages.gone_to("studio.import_", number=number)
    except MappingError as error:
        problems = {place: str(import_words.PROBLEMS[code]) for place, code in error.problems.items()}
        with pages.unit() as unit:
            return _columns(unit, _one(unit, number), here, reading, problems, status=422)
    return pages.gone_to("studio.import_", number=number)


def _columns(
    unit: Session,
    one: Import,
    here: Known,
    reading: Reading,
    errors: Mapping[str, str],
    *,
    remembered: bool = False,
    status: int = 200,
) -> Response:
    some = [row.cells for row in desk.head(unit, one, columns.SAMPLE)]
    samples = [
        list(dict.fromkeys(row[place] for row in some if place < len(row) and row[place]))[:_SAMPLES]
        for place in range(len(one.header))
    ]
    return pages.answer(
        "import_columns.html", status, one=one, reading=reading, samples=samples, errors=errors, said=import_words,
        choices=import_words.choices(here, reading), consents=import_words.consents(here), remembered=remembered,
        twin=desk.earlier(unit, one), at="contacts",
    )  # fmt: skip


def _reading(one: Import, form: Mapping[str, str], here: Known) -> Reading:
    """The mapping as the form says it. A new attribute is named like its column."""
    chosen: list[str] = []
    before = columns.of_json(one.mapping, len(one.header)).types if one.mapping else {}
    types: dict[str, str] = {}
    for place, name in enumerate(one.header):
        value = form.get(f"c{place}", "")[:300]
        kind, _, rest = value.partition(":")
        if kind == "new":
            key = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")[:60]
            key = key if key[:1].isalpha() else f"x_{key}"
            value, types[key] = f"attribute:{key}", rest
        elif kind == "attribute" and rest not in here.types:
            types[rest] = before.get(rest) or ("date" if rest == "birth_date" else "text")
        chosen.append(value)
    return columns.of_json(
        {
            "columns": chosen,
            "types": types,
            "dates": form.get("dates", "dmy"),
            "international": "international" in form,
            "everyone": form.get("everyone", "")[:300],
            "constants": {name: form.get(f"all-{name}", "")[:2_000] for name in import_words.STATED},
            "property": form.get("reads", "")[:200],
            "ask": "ask" in form,
        },
        len(one.header),
    )


# -- one -------------------------------------------------------------------------------------------------------------


@blueprint.get(f"{HERE}/audience/imports/<int:number>")
@opened_by(access.member)
def import_(number: int) -> Response:
    """How far it is, what the dry run found, what came of it."""
    with pages.unit() as unit:
        one = _one(unit, number)
        noted = desk.noted(unit, one) if one.state not in desk.WORKING else {}
        twin = desk.earlier(unit, one) if one.state == "checked" else None
    reading = columns.of_json(one.mapping, len(one.header))
    if one.state == "uploaded" and access.may("owner", "marketer"):
        return pages.gone_to("studio.import_columns", number=number)
    counted = one.expected if one.state == "checked" else one.tally
    return pages.answer(
        "import.html", one=one, reading=reading, counted=counted, people=_people(counted), noted=noted, twin=twin,
        progress=desk.progress(one, pages.now()), working=one.state in desk.WORKING, said=import_words, at="contacts",
    )  # fmt: skip


def _people(counted: Mapping[str, Any]) -> int:
    """How many people rows that are taken in speak of."""
    verdicts = counted.get("verdict", {})
    return sum(verdicts.get(name, 0) for name in ("new", "changed", "same"))


@blueprint.get(f"{HERE}/audience/imports/<int:number>/rows")
@opened_by(access.member)
def import_rows(number: int) -> Response:
    """The rows behind a figure."""
    asked = {name: request.args.get(name, "")[:40] or None for name in ("verdict", "permission", "code")}
    after = request.args.get("after", "0")
    with pages.unit() as unit:
        one = _one(unit, number)
        place = int(after) if after.isdecimal() and len(after) < 10 else 0
        found = desk.shown(unit, one, after=place, limit=_ROWS + 1, **asked)
    more = found[_ROWS - 1].position if len(found) > _ROWS else None
    return pages.answer(
        "import_rows.html", one=one, found=found[:_ROWS], more=more, asked=asked, said=import_words,
        reading=columns.of_json(one.mapping, len(one.header)), at="contacts",
    )  # fmt: skip


@blueprint.get(f"{HERE}/audience/imports/<int:number>/rows.csv")
@opened_by(OPERATORS)
def import_file(number: int) -> Response:
    """The rows of a verdict with their reasons, to be mended and handed in again."""
    verdict = request.args.get("verdict", "refused")[:40] or None
    with pages.unit() as unit:
        one = _one(unit, number)
    workspace_id, database = access.here().workspace_id, house().database

    def lines() -> Iterator[Sequence[object]]:
        yield desk.told_header(one)
        with database.work(workspace_id) as unit:
            for some in desk.pages_of(unit, one, verdict):
                yield from (desk.told_row(row, len(one.header)) for row in some)

    name = f"import-{one.id}-{verdict or 'rows'}.csv"
    return FlaskResponse(
        stream_with_context(files.written(lines())),
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@blueprint.post(f"{HERE}/audience/imports/<int:number>/take")
@opened_by(OPERATORS)
def import_take(number: int) -> Response:
    """Take it in."""
    return _done(number, lambda unit: desk.take(unit, number, pages.now()))


@blueprint.post(f"{HERE}/audience/imports/<int:number>/undo")
@opened_by(OPERATORS)
def import_undo(number: int) -> Response:
    """Take it back, where the number of people was typed."""
    with pages.unit() as unit:
        people = _people(_one(unit, number).tally)
    if request.form.get("people", "").strip() != str(people):
        said = ngettext("Type %(num)s: it is one person.", "Type %(num)s: so many people are concerned.", people)
        pages.tell(said, tone="wrong")
        return pages.gone_to("studio.import_", number=number)
    return _done(number, lambda unit: desk.undo(unit, number, pages.now()))


@blueprint.post(f"{HERE}/audience/imports/<int:number>/discard")
@opened_by(OPERATORS)
def import_discard(number: int) -> Response:
    """Throw a file away that nothing was taken in from."""
    try:
        with pages.unit() as unit:
            desk.discard(unit, number)
    except NotNowError as error:
        pages.tell(_refused(error), tone="wrong")
        return pages.gone_to("studio.import_", number=number)
    pages.tell(gettext("Thrown away. Nothing of the file is kept."))
    return pages.gone_to("studio.imports")


def _done(number: int, act: Any) -> Response:
    try:
        with pages.unit() as unit:
            act(unit)
    except NotNowError as error:
        if error.code == "unknown":
            abort(404)
        pages.tell(_refused(error), tone="wrong")
    return pages.gone_to("studio.import_", number=number)


def _refused(error: NotNowError) -> str:
    if error.code == "unknown":
        abort(404)
    return str(import_words.REFUSED[error.code])
