"""Workflows: the list, and one of them as flow, source and people."""

from __future__ import annotations

from typing import Any

from flask import abort, request
from werkzeug.wrappers import Response

from app.doors import opened_by
from app.studio import access, pages, yaml_lines
from app.studio.blueprint import HERE, blueprint
from app.studio.reading import workflows as reading

OPERATORS = access.role("owner", "marketer")


@blueprint.get(f"{HERE}/workflows")
@opened_by(access.member)
def workflows() -> Response:
    """Every workflow by phase, with live numbers."""
    with pages.unit() as unit:
        archived = request.args.get("archived") == "1"
        by_phase = reading.listed(unit, pages.property_id(), archived=archived)
    return pages.answer("workflows.html", by_phase=by_phase, archived=archived, at="workflows")


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
        numbers = reading.numbers_of(unit, [row.id])
        chosen = next((key for key, number in numbers.items() if str(number) == request.args.get("version")), None)
        people = reading.people(
            unit, row, wanted, status=status if status != "all" else None, step=step or None, text=text,
            version_id=chosen,
        )  # fmt: skip
    return pages.answer(
        "workflow_people.html", workflow=row, version=version, people=people, status=status, step=step, text=text,
        sentences=reading.step_sentences(version), numbers=numbers, version_id=chosen, tab="people", at="workflows",
    )  # fmt: skip
