"""What a workflow brought: against people held out, and the variants of its splits; ending a split by hand."""

from __future__ import annotations

from flask import abort, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.doors import opened_by
from app.enrollments import experiments, results
from app.enrollments.models import Workflow
from app.studio import access, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext
from app.studio.reading import results as reading
from app.studio.reading import workflows

OPERATORS = access.role("owner", "marketer")


@blueprint.get(f"{HERE}/workflows/<name>/results")
@opened_by(access.member)
def workflow_results(name: str) -> Response:
    """Lift against people held out, and every split."""
    with pages.unit() as unit:
        found = workflows.one(unit, name)
        if found is None:
            abort(404)
        row, version = found
        figures = results.load(unit, row, pages.now())
        counted = workflows.numbers(unit, workflow_id=row.id).get(row.id, workflows.Numbers())
    return pages.answer(
        "workflow_results.html",
        workflow=row,
        version=version,
        results=figures,
        numbers=counted,
        lifts=reading.lifts(figures) if figures else (),
        splits=reading.splits(figures) if figures else (),
        tab="results",
        at="workflows",
    )


@blueprint.post(f"{HERE}/workflows/<name>/results/<step_id>/choose")
@opened_by(OPERATORS)
def split_choose(name: str, step_id: str) -> Response:
    """End a split: everybody who comes to it from now on goes one way."""
    variant = request.form.get("variant", "")
    with pages.unit() as unit:
        row = _workflow(unit, name)
        try:
            experiments.choose(unit, row, step_id, variant, by=_by(), now=pages.now())
        except experiments.UnknownSplitError:
            abort(404)
    text = gettext("From now on everybody goes the way of %(variant)s.", variant=variant)
    pages.tell(text, undo=url_for("studio.split_undo", name=name, step_id=step_id))
    return pages.gone_to("studio.workflow_results", name=name)


@blueprint.post(f"{HERE}/workflows/<name>/results/<step_id>/undo")
@opened_by(OPERATORS)
def split_undo(name: str, step_id: str) -> Response:
    """Take a decision back while nobody has passed since."""
    with pages.unit() as unit:
        row = _workflow(unit, name)
        try:
            experiments.undo(unit, row, step_id, pages.now())
        except experiments.UnknownSplitError:
            abort(404)
        except experiments.TooLateError:
            pages.tell(gettext("It cannot be undone: people have passed since."), tone="wrong")
            return pages.gone_to("studio.workflow_results", name=name)
    pages.tell(gettext("People are divided again."))
    return pages.gone_to("studio.workflow_results", name=name)


def _workflow(unit: Session, name: str) -> Workflow:
    found = workflows.one(unit, name)
    if found is None:
        abort(404)
    return found[0]


def _by() -> str:
    someone = access.person()
    return (someone.name or someone.email) if someone else "studio"
