"""Why / why not: every decision about one person and one workflow, on one page."""

from __future__ import annotations

from flask import abort
from werkzeug.wrappers import Response

from app.doors import opened_by
from app.enrollments.explain import NobodyError, explain
from app.studio import access, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.reading import chain, people


@blueprint.get(f"{HERE}/audience/contacts/<int:contact_id>/why/<name>")
@opened_by(access.member)
def why(contact_id: int, name: str) -> Response:
    """One person and one workflow: each decision with its inputs, its rule and its time, and what happens next."""
    with pages.unit() as unit:
        try:
            told = explain(unit, contact_id, pages.now(), workflow=name)
        except NobodyError:
            abort(404)
        met = people.standings(unit, contact_id)
    if told.contact.merged_into is not None:
        return pages.gone_to("studio.why", contact_id=told.contact.merged_into, name=name)
    return pages.answer(
        "why.html", told=told, contact=told.contact, workflow=told.workflow, links=chain.chain(told.decisions),
        met=met, at="contacts",
    )  # fmt: skip
