"""Edit a workflow, publish it with a choice for who is inside, look at its versions, let it rest or close it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, cast

from flask import abort, g, request, url_for
from werkzeug.wrappers import Response

from app.doors import opened_by
from app.enrollments import catalogue, pauses, versions
from app.enrollments.catalogue import NameTakenError
from app.enrollments.models import Workflow, WorkflowVersion
from app.enrollments.pauses import NotNowError
from app.enrollments.versions import Choice, Preview
from app.journey import language
from app.journey.carry import AfterPause
from app.journey.changes import StepChange, changes
from app.journey.compiler import compile_program
from app.journey.places import LanguageError, Problem
from app.journey.program import Program
from app.studio import access, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext, in_words, ngettext
from app.studio.reading import workflows as reading
from app.studio.workflows import OPERATORS

STAY = "-"
"""In the form of a mapping: nothing is said of this step."""
LEAVE = "exit"


def _one(unit: Any, name: str) -> tuple[Workflow, WorkflowVersion | None]:
    found = reading.one(unit, name)
    if found is None:
        abort(404)
    return found


# -- the draft -------------------------------------------------------------------------------------------------------


@blueprint.get(f"{HERE}/workflows/<name>/edit")
@opened_by(OPERATORS)
def workflow_edit(name: str) -> Response:
    """The source as it is being written, with what is wrong with it."""
    with pages.unit() as unit:
        row, version = _one(unit, name)
        source = row.draft if row.draft is not None else version.source if version else ""
        _, problems = _compiled(unit, name, source)
    return _editor(row, version, source, problems)


@blueprint.post(f"{HERE}/workflows/<name>/edit")
@opened_by(OPERATORS)
def workflow_keep(name: str) -> Response:
    """Keep the draft, right or wrong; where it is right and that was asked for, on to publishing."""
    source = request.form.get("source", "").replace("\r\n", "\n")
    with pages.unit() as unit:
        row, version = _one(unit, name)
        program, problems = _compiled(unit, name, source)
        catalogue.keep_draft(unit, name, source, pages.now())
    if request.form.get("then") == "publish":
        if program is not None:
            return pages.gone_to("studio.workflow_publish", name=name)
        return _editor(row, version, source, problems, 422)
    text = ngettext(
        "Draft kept. %(num)s thing is to be put right.",
        "Draft kept. %(num)s things are to be put right.",
        len(problems),
    )
    pages.tell(text if problems else gettext("Draft kept. It reads well."))
    return pages.gone_to("studio.workflow_edit", name=name)


def _editor(
    row: Workflow, version: WorkflowVersion | None, source: str, problems: Sequence[Problem], status: int = 200
) -> Response:
    return pages.answer(
        "workflow_edit.html", status, workflow=row, version=version, source=source, problems=problems,
        lines=source.splitlines(), tab="yaml", at="workflows",
    )  # fmt: skip


def _compiled(unit: Any, name: str, source: str) -> tuple[Program | None, Sequence[Problem]]:
    try:
        program = compile_program(language.read(source, file=f"{name}.yaml", known=catalogue.known(unit)))
    except LanguageError as error:
        return None, error.problems
    if program.workflow != name:
        what = gettext(
            "The workflow is called %(name)s here; a copy under another name is made with Duplicate.", name=name
        )
        return None, (Problem(f"{name}.yaml", 1, 1, "workflow", "other-name", what),)
    return program, ()


# -- publishing ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be published: the draft, or an earlier version once more."""

    source: str
    number: int | None
    """The version that is gone back to; None: the draft."""


@blueprint.get(f"{HERE}/workflows/<name>/publish")
@opened_by(OPERATORS)
def workflow_publish(name: str) -> Response:
    """What would change, and what each choice does to the people inside, counted now."""
    with pages.unit() as unit:
        row, version = _one(unit, name)
        return _confirm(unit, row, version, _wanted_source(unit, row, version))


@blueprint.post(f"{HERE}/workflows/<name>/publish")
@opened_by(OPERATORS)
def workflow_published(name: str) -> Response:
    """Publish it."""
    choice = request.form.get("choice", "pin")
    if choice not in {"pin", "follow", "map"}:
        abort(400)
    with pages.unit() as unit:
        row, version = _one(unit, name)
        wanted = _wanted_source(unit, row, version)
        if request.form.get("source_mark") != _mark(wanted.source):
            pages.tell(gettext("The draft has changed since you looked at it. Look again."), tone="wrong")
            return pages.gone_to("studio.workflow_publish", name=name, version=wanted.number)
        try:
            done = catalogue.publish(
                unit,
                wanted.source,
                by=_who(),
                now=pages.now(),
                file=f"{name}.yaml",
                sector=row.sector,
                note=request.form.get("note", "").strip()[:500],
                on_inside=cast("Choice", choice),
                mapping=_mapping(),
            )
        except (LanguageError, versions.MappingError):
            return _confirm(unit, row, version, wanted, 422)
    if not done.changed:
        pages.tell(gettext("Nothing was published: this is what is live already."))
    else:
        moved = done.inside.count("goes_on", "moves", "leaves") if done.inside and choice != "pin" else 0
        text = gettext("Version %(number)s is live.", number=done.number)
        told = ngettext("%(num)s person goes over to it.", "%(num)s people go over to it.", moved) if moved else ""
        pages.tell(f"{text} {told}".strip())
    return pages.gone_to("studio.workflow_versions", name=name)


def _who() -> str:
    person = g.get("person")
    return str(person.name or person.email) if person else "studio"


def _wanted_source(unit: Any, row: Workflow, version: WorkflowVersion | None) -> Wanted:
    number = request.values.get("version", "")
    if number:
        old = versions.numbered(unit, row.name, int(number)) if number.isdecimal() and len(number) < 9 else None
        if old is None:
            abort(404)
        return Wanted(old.source, old.number)
    return Wanted(row.draft if row.draft is not None else version.source if version else "", None)


def _mark(source: str) -> str:
    """A short name of a text: what was looked at is what is published."""
    return sha256(source.encode()).hexdigest()[:16]


def _mapping() -> dict[str, str | None]:
    """Old step → new one, as the form says; what stays as it is is left out."""
    given = {name[4:]: value for name, value in request.form.items() if name.startswith("map-")}
    return {old: None if value == LEAVE else value for old, value in given.items() if value != STAY}


def _confirm(unit: Any, row: Workflow, version: WorkflowVersion | None, wanted: Wanted, status: int = 200) -> Response:
    program, problems = _compiled(unit, row.name, wanted.source)
    before = version.source if version else ""
    pinned: Preview | None = None
    following: Preview | None = None
    if program is not None:
        pinned = versions.preview(unit, row.id, program, "pin", {})
        following = versions.preview(unit, row.id, program, "follow", {})
    return pages.answer(
        "workflow_publish.html", status, workflow=row, version=version, wanted=wanted, problems=problems,
        steps=changes(before, wanted.source), lines=reading.compared(before, wanted.source), pinned=pinned,
        following=following, targets=[op.id for op in program.ops if op.id] if program else [], note=_note(wanted),
        source_mark=_mark(wanted.source), stay=STAY, leave=LEAVE, same=before == wanted.source, tab="versions",
        at="workflows",
    )  # fmt: skip


def _note(wanted: Wanted) -> str:
    given = request.form.get("note", "")
    return given or (gettext("Back to version %(number)s", number=wanted.number) if wanted.number else "")


# -- versions --------------------------------------------------------------------------------------------------------


@blueprint.get(f"{HERE}/workflows/<name>/versions")
@opened_by(access.member)
def workflow_versions(name: str) -> Response:
    """Every published version with who is inside it, and any two of them compared."""
    with pages.unit() as unit:
        row, version = _one(unit, name)
        listed = reading.versions(unit, row)
        inside = versions.by_version(unit, row.id)
        move = versions.newest_move(unit, row.id)
    compared, steps = _compared(listed)
    return pages.answer(
        "workflow_versions.html", workflow=row, version=version, listed=listed, inside=inside, move=move,
        compared=compared, steps=steps, tab="versions", at="workflows",
    )  # fmt: skip


def _compared(listed: Sequence[WorkflowVersion]) -> tuple[reading.Change | None, Sequence[StepChange]]:
    """The two versions the address asks for; without any, the last two."""
    by_number = {version.number: version for version in listed}
    asked = [request.args.get(name, "") for name in ("from", "to")]
    numbers = [int(text) for text in asked if text.isdecimal() and len(text) < 9]
    if len(numbers) != 2:
        numbers = [version.number for version in listed[1::-1]] if len(listed) > 1 else []
    if len(numbers) != 2 or any(number not in by_number for number in numbers):
        return None, ()
    old, new = by_number[numbers[0]], by_number[numbers[1]]
    return reading.Change(old, new, reading.compared(old.source, new.source)), changes(old.source, new.source)


# -- rest ------------------------------------------------------------------------------------------------------------


@blueprint.get(f"{HERE}/workflows/<name>/manage")
@opened_by(OPERATORS)
def workflow_manage(name: str) -> Response:
    """Pause, resume with a look at what that sets going, archive, restore, duplicate."""
    return _manage(name)


def _manage(name: str, status: int = 200, errors: Mapping[str, str] | None = None) -> Response:
    with pages.unit() as unit:
        row, version = _one(unit, name)
        inside = sum(versions.by_version(unit, row.id).values())
        waiting = row.status == "paused"
        previews = [(rule, pauses.preview(unit, row, pages.now(), rule)) for rule in pauses.RULES] if waiting else []
    return pages.answer(
        "workflow_manage.html", status, workflow=row, version=version, inside=inside, previews=previews,
        rules=pauses.RULES, errors=errors or {}, given=request.form.get("new_name", ""), tab="manage", at="workflows",
    )  # fmt: skip


def _rule(otherwise: AfterPause | None) -> AfterPause | None:
    given = request.form.get("when_resumed", "")
    return cast("AfterPause", given) if given in pauses.RULES else otherwise


@blueprint.post(f"{HERE}/workflows/<name>/pause")
@opened_by(OPERATORS)
def workflow_pause(name: str) -> Response:
    """Nobody enters, nobody moves, nothing planned goes out, until it is resumed."""
    with pages.unit() as unit:
        row, _ = _one(unit, name)
        try:
            pauses.pause(unit, name, pages.now(), _rule("late_rules") or "late_rules")
        except NotNowError:
            abort(409)
    text = gettext("%(name)s is paused.", name=in_words(row.title, name))
    pages.tell(text, undo=url_for("studio.workflow_resume", name=name), when_resumed="late_rules")
    return pages.gone_to("studio.workflow", name=name)


@blueprint.post(f"{HERE}/workflows/<name>/resume")
@opened_by(OPERATORS)
def workflow_resume(name: str) -> Response:
    """It goes on; what became too late meanwhile is not sent."""
    with pages.unit() as unit:
        row, _ = _one(unit, name)
        pauses.resume(unit, name, pages.now(), _rule(None))
    text = gettext("%(name)s runs again.", name=in_words(row.title, name))
    pages.tell(text, undo=url_for("studio.workflow_pause", name=name))
    return pages.gone_to("studio.workflow", name=name)


@blueprint.post(f"{HERE}/workflows/<name>/archive")
@opened_by(OPERATORS)
def workflow_archive(name: str) -> Response:
    """Nobody enters any more; who is inside finishes or leaves."""
    inside = request.form.get("inside", "finish")
    if inside not in {"finish", "exit"}:
        abort(400)
    with pages.unit() as unit:
        row, _ = _one(unit, name)
        pauses.archive(unit, name, pages.now(), by=_who(), inside=cast('Literal["finish", "exit"]', inside))
    text = gettext("%(name)s is archived.", name=in_words(row.title, name))
    pages.tell(text, undo=url_for("studio.workflow_restore", name=name))
    return pages.gone_to("studio.workflow", name=name)


@blueprint.post(f"{HERE}/workflows/<name>/restore")
@opened_by(OPERATORS)
def workflow_restore(name: str) -> Response:
    """It takes people in again."""
    with pages.unit() as unit:
        row, _ = _one(unit, name)
        gone = pauses.restore(unit, name, pages.now())
    text = gettext("%(name)s is open again.", name=in_words(row.title, name))
    told = ngettext("%(num)s person had left.", "%(num)s people had left.", gone) if gone else ""
    pages.tell(f"{text} {told}".strip())
    return pages.gone_to("studio.workflow", name=name)


@blueprint.post(f"{HERE}/workflows/<name>/duplicate")
@opened_by(OPERATORS)
def workflow_duplicate(name: str) -> Response:
    """A draft of the same source under another name."""
    new_name = request.form.get("new_name", "").strip()
    with pages.unit() as unit:
        _one(unit, name)
        try:
            catalogue.duplicate(unit, name, new_name, pages.now())
        except NameTakenError:
            new_name = ""
    if not new_name:
        wrong = gettext("Choose a name that is not taken: small letters, digits and hyphens, such as pre-arrival-2.")
        return _manage(name, 422, {"new_name": wrong})
    pages.tell(gettext("%(name)s is a draft.", name=new_name))
    return pages.gone_to("studio.workflow_edit", name=new_name)
