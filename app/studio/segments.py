"""Segments: the list, one with its people, its rules and its history; making, changing and asking why."""

from __future__ import annotations

import re
from typing import Any

from flask import abort, request, url_for
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.audience import catalogue, definitions
from app.audience.catalogue import RefusedError
from app.audience.definitions import Definition, Vocabulary
from app.audience.models import Segment
from app.doors import opened_by
from app.journey import condition_words
from app.journey.places import LanguageError, Problem
from app.studio import access, pages, segment_form
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext, language
from app.studio.reading import segments as reading
from app.studio.segment_form import Form

OPERATORS = access.role("owner", "marketer")
EMPTY = "all: []\n"


def _named(unit: Session, name: str) -> Segment:
    try:
        return catalogue.named(unit, name)
    except catalogue.UnknownSegmentError:
        abort(404)


def _who() -> str:
    someone = access.person()
    return (someone.name or someone.email) if someone else ""


@blueprint.get(f"{HERE}/audience/segments")
@opened_by(access.member)
def segments() -> Response:
    """The list."""
    archived = "archived" in request.args
    with pages.unit() as unit:
        found = reading.listed(unit, archived=archived)
    said = {one.id: condition_words.in_words(catalogue.condition_of(one), language()) for one in found}
    return pages.answer("segments.html", found=found, said=said, archived=archived, tab="segments", at="contacts")


@blueprint.get(f"{HERE}/audience/segments/<name>")
@opened_by(access.member)
def segment(name: str) -> Response:
    """Who is in it, how many may be written to, and whether a person is."""
    text = request.args.get("q", "").strip()[:100]
    with pages.unit() as unit:
        row = _named(unit, name)
        found = reading.members(unit, row, pages.wanted())
        asked = reading.asked(unit, catalogue.condition_of(row), text, pages.now()) if text else None
        users = catalogue.used_by(unit, name)
    told, slow = _tally(catalogue.condition_of(row))
    return pages.answer(
        "segment_people.html",
        segment=row,
        said=condition_words.in_words(catalogue.condition_of(row), language()),
        found=found,
        asked=asked,
        users=users,
        text=text,
        told=told,
        slow=slow,
        tab="people",
        at="contacts",
    )


@blueprint.get(f"{HERE}/audience/segments/<name>/why/<int:contact_id>")
@opened_by(access.member)
def segment_why(name: str, contact_id: int) -> Response:
    """Why a person is in it, or not."""
    with pages.unit() as unit:
        row = _named(unit, name)
        told = reading.why(unit, catalogue.condition_of(row), contact_id, pages.now(), language())
    if told is None:
        abort(404)
    return pages.answer("segment_why.html", segment=row, told=told, tab="people", at="contacts")


@blueprint.get(f"{HERE}/audience/segments/<name>/history")
@opened_by(access.member)
def segment_history(name: str) -> Response:
    """What it was before, and who changed it."""
    with pages.unit() as unit:
        row = _named(unit, name)
        changes = catalogue.history(unit, row)
    return pages.answer("segment_history.html", segment=row, changes=changes, tab="history", at="contacts")


# -- the rules -------------------------------------------------------------------------------------------------------


@blueprint.get(f"{HERE}/audience/new-segment")
@opened_by(OPERATORS)
def segment_new() -> Response:
    """The form of a new one."""
    with pages.unit() as unit:
        words = definitions.vocabulary(unit)
    return _builder(None, Form(), EMPTY, words, {})


@blueprint.get(f"{HERE}/audience/segments/<name>/rules")
@opened_by(access.member)
def segment_rules(name: str) -> Response:
    """The form of an existing one."""
    with pages.unit() as unit:
        row, words = _named(unit, name), definitions.vocabulary(unit)
    given = {"title-en": row.title.get("en", ""), "title-it": row.title.get("it", ""), "name": row.name}
    form = None if request.args.get("as") == "text" else segment_form.of_source(row.source)
    return _builder(row, form, row.source, words, given)


@blueprint.post(f"{HERE}/audience/new-segment")
@opened_by(OPERATORS)
def segment_create() -> Response:
    """Make one, or show the form again: with a row more or less, as text, or with what is wrong."""
    return _sent(None)


@blueprint.post(f"{HERE}/audience/segments/<name>/rules")
@opened_by(OPERATORS)
def segment_save(name: str) -> Response:
    """Keep the rules, the titles and the name, or show the form again."""
    with pages.unit() as unit:
        row = _named(unit, name)
    return _sent(row)


def _sent(row: Segment | None) -> Response:
    given = {name: text for name, text in request.form.items() if name != "csrf_token"}
    act = given.get("act", "")
    with pages.unit() as unit:
        words = definitions.vocabulary(unit)
    form, source, _ = _read(given, words)
    if act == "text":
        return _builder(row, None, source, words, given)
    if act == "rows":
        form = segment_form.of_source(source)
        errors = {} if form else {"source": gettext("These rules lie too deep for rows, or cannot be read yet.")}
        return _builder(row, form, source, words, given, errors)
    if act and act != "save":
        return _builder(row, segment_form.changed(form, act) if form else None, source, words, given)
    return _kept(row, given, words)


def _read(given: dict[str, str], words: Vocabulary) -> tuple[Form | None, str, dict[int, segment_form.Row]]:
    if "source" in given:
        return None, given["source"].replace("\r\n", "\n"), {}
    form = segment_form.from_request(given)
    source, places = segment_form.to_source(form, words)
    return form, source, places


def _kept(row: Segment | None, given: dict[str, str], words: Vocabulary) -> Response:
    form, source, places = _read(given, words)
    title = {code: text for code in ("en", "it") if (text := given.get(f"title-{code}", "").strip()[:120])}
    name = given.get("name", "").strip().lower()[:80]
    name = name or re.sub(r"[^a-z0-9]+", "-", (title.get("en") or title.get("it") or "").lower()).strip("-")
    errors: dict[str, str] = {}
    if not title:
        errors["title"] = gettext("Give it a name that you will recognise.")
    try:
        definitions.read(source, words)
    except LanguageError as error:
        errors["source"] = "\n".join(
            gettext("Line %(line)s, column %(column)s: %(what)s", line=one.line, column=one.column, what=_told(one))
            for one in error.problems
        )
        if form:
            segment_form.mark(form, error.problems, places)
    if not errors:
        try:
            with pages.unit() as unit:
                kept = _keep(unit, row, name, title, source, backfill="backfill" in given)
            pages.tell(gettext("Saved. Who is in it is being worked out."))
            return pages.gone_to("studio.segment", name=kept)
        except RefusedError as error:
            errors["name"] = _refused(error)
    return _builder(row, form, source, words, given, errors, 422)


def _keep(unit: Session, row: Segment | None, name: str, title: dict[str, str], source: str, *, backfill: bool) -> str:
    by, now = _who(), pages.now()
    if row is None:
        catalogue.create(unit, name, title, source, by=by, now=now, backfill=backfill)
        return name
    catalogue.rename(unit, row.name, name, by=by, now=now)
    catalogue.retitle(unit, name, title, by=by, now=now)
    catalogue.edit(unit, name, source, by=by, now=now, backfill=backfill)
    return name


def _told(problem: Problem) -> str:
    return problem.message + (f" ({problem.cure})" if problem.cure else "")


def _refused(error: RefusedError) -> str:
    if error.users:
        return gettext("This rests on it: %(names)s. Change that first.", names=", ".join(error.users))
    if "already" in str(error):
        return gettext("Another segment has this short name. Choose a different one.")
    return gettext("Use small letters, figures and single dashes, such as past-guests.")


def _builder(
    row: Segment | None,
    form: Form | None,
    source: str,
    words: Vocabulary,
    given: dict[str, str],
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    offers = segment_form.offers(form, words) if form else {}
    return pages.answer(
        "segment_rules.html",
        status,
        segment=row,
        form=form,
        source=source,
        given=given,
        errors=errors or {},
        offers=offers,
        told=None,
        slow=False,
        unread=False,
        tab="rules",
        at="contacts",
    )


@blueprint.post(f"{HERE}/audience/count-segment")
@opened_by(access.member)
def segment_count() -> Response:
    """How many the rules as they stand in the form would hold for, and some of them."""
    given = dict(request.form.items())
    with pages.unit() as unit:
        words = definitions.vocabulary(unit)
    _, source, _ = _read(given, words)
    try:
        read: Definition | None = definitions.read(source, words)
    except LanguageError:
        read = None
    told, slow = _tally(read.condition) if read else (None, False)
    return pages.answer("segment_rules.html", told=told, slow=slow, unread=read is None, form=None)


def _tally(condition: Any) -> tuple[reading.Tally | None, bool]:
    """The count, and whether it was given up for taking too long."""
    try:
        with pages.unit() as unit:
            return reading.tally(unit, condition, pages.now()), False
    except OperationalError:
        return None, True


# -- put away, take out, copy ------------------------------------------------------------------------------------------


@blueprint.post(f"{HERE}/audience/segments/<name>/archive")
@opened_by(OPERATORS)
def segment_archive(name: str) -> Response:
    """Put it away, unless something that runs rests on it."""
    try:
        with pages.unit() as unit:
            _named(unit, name)
            catalogue.archive(unit, name, by=_who(), now=pages.now())
    except RefusedError as error:
        pages.tell(_refused(error), tone="wrong")
        return pages.gone_to("studio.segment", name=name)
    undo = url_for("studio.segment_restore", name=name)
    pages.tell(gettext("Put away. Nobody is in it any more."), undo=undo)
    return pages.gone_to("studio.segments")


@blueprint.post(f"{HERE}/audience/segments/<name>/restore")
@opened_by(OPERATORS)
def segment_restore(name: str) -> Response:
    """Take it out again."""
    with pages.unit() as unit:
        _named(unit, name)
        catalogue.restore(unit, name, by=_who(), now=pages.now())
    pages.tell(gettext("It is back. Who is in it is being worked out."))
    return pages.gone_to("studio.segment", name=name)


@blueprint.post(f"{HERE}/audience/segments/<name>/duplicate")
@opened_by(OPERATORS)
def segment_duplicate(name: str) -> Response:
    """The same rules under another name."""
    with pages.unit() as unit:
        _named(unit, name)
        taken = set(catalogue.names(unit, archived=True))
        new = next(f"{name[:70]}-{at}" for at in range(2, 10_000) if f"{name[:70]}-{at}" not in taken)
        catalogue.duplicate(unit, name, new, by=_who(), now=pages.now())
    pages.tell(gettext("Copied. Change the copy's name and rules here."))
    return pages.gone_to("studio.segment_rules", name=new)
