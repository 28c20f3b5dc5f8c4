"""Workflows: the list, and one of them as flow, source, people and versions."""

from __future__ import annotations

from typing import Any

from flask import abort, request, url_for
from werkzeug.wrappers import Response

from app.doors import opened_by
from app.enrollments import pauses
from app.studio import access, pages, yaml_lines
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext, in_words
from app.studio.reading import workflows as reading

OPERATORS = access.role("owner", "marketer")


@blueprint.get(f"{HERE}/workflows")
@opened_by(access.member)
def workflows() -> Response:
    """Every workflow by phase, with live numbers."""
    with pages.unit() as unit:
        by_phase = reading.listed(unit, pages.property_id())
    return pages.answer("workflows.html", by_phase=by_phase, at="workflows")


def _one(unit: Any, name: str) -> tuple[Any, Any]:
    found = reading.one(unit, name)
    if found is None:
        abort(404)
    return found


@blueprint.get(f"{HERE}/workflows/<name>")
@opened_by(access.member)
def workflow(name: str) -> Response:
    """The flow of cards."""
    with pages.unit() as unit:
        row, version = _one(unit, name)
        drawn = reading.drawn(unit, row, version)
        numbers = reading.numbers(unit, workflow_id=row.id).get(row.id, reading.Numbers())
        titles = reading.template_titles(unit)
    return pages.answer(
        "workflow_flow.html",
        workflow=row,
        version=version,
        flow=drawn,
        numbers=numbers,
        titles=titles,
        tab="flow",
        at="workflows",
    )


@blueprint.get(f"{HERE}/workflows/<name>/yaml")
@opened_by(access.member)
def workflow_source(name: str) -> Response:
    """The source of the live version."""
    with pages.unit() as unit:
        row, version = _one(unit, name)
    lines = yaml_lines.coloured(version.source if version else row.draft or "")
    return pages.answer("workflow_yaml.html", workflow=row, version=version, lines=lines, tab="yaml", at="workflows")


@blueprint.get(f"{HERE}/workflows/<name>/people")
@opened_by(access.member)
def workflow_people(name: str) -> Response:
    """Who is where, until when."""
    status, step = request.args.get("status", "active"), request.args.get("step", "")
    text = request.args.get("q", "").strip()[:100]
    with pages.unit() as unit:
        row, version = _one(unit, name)
        wanted = pages.wanted()
        people = reading.people(
            unit, row, wanted, status=status if status != "all" else None, step=step or None, text=text
        )
    return pages.answer(
        "workflow_people.html", workflow=row, version=version, people=people, status=status, step=step, text=text,
        sentences=reading.step_sentences(version), tab="people", at="workflows",
    )  # fmt: skip


@blueprint.get(f"{HERE}/workflows/<name>/versions")
@opened_by(access.member)
def workflow_versions(name: str) -> Response:
    """Every published version and what it changed."""
    with pages.unit() as unit:
        row, version = _one(unit, name)
        changes = reading.versions(unit, row)
    return pages.answer(
        "workflow_versions.html", workflow=row, version=version, changes=changes, tab="versions", at="workflows"
    )


@blueprint.post(f"{HERE}/workflows/<name>/pause")
@opened_by(OPERATORS)
def workflow_pause(name: str) -> Response:
    """Nobody enters, nobody moves, nothing planned goes out, until it is resumed."""
    with pages.unit() as unit:
        row, _ = _one(unit, name)
        pauses.pause(unit, name, pages.now())
    text = gettext("%(name)s is paused.", name=in_words(row.title, name))
    pages.tell(text, undo=url_for("studio.workflow_resume", name=name))
    return pages.gone_to("studio.workflow", name=name)


@blueprint.post(f"{HERE}/workflows/<name>/resume")
@opened_by(OPERATORS)
def workflow_resume(name: str) -> Response:
    """It goes on; what became too late meanwhile is not sent."""
    with pages.unit() as unit:
        row, _ = _one(unit, name)
        pauses.resume(unit, name, pages.now())
    text = gettext("%(name)s runs again.", name=in_words(row.title, name))
    pages.tell(text, undo=url_for("studio.workflow_pause", name=name))
    return pages.gone_to("studio.workflow", name=name)
