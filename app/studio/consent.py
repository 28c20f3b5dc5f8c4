"""Consent: the ledger, line by line, and the addresses that must not be written to."""

from __future__ import annotations

from flask import abort, request
from werkzeug.wrappers import Response

from app.doors import opened_by
from app.studio import access, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.reading import consent as reading


@blueprint.get(f"{HERE}/consent")
@opened_by(access.member)
def ledger() -> Response:
    """The lines, newest first."""
    text = request.args.get("q", "").strip()[:100]
    state, purpose = request.args.get("state", ""), request.args.get("purpose", "")
    with pages.unit() as unit:
        found = reading.ledger(unit, pages.wanted(), text=text, state=state, purpose=purpose)
        topics = reading.topic_titles(unit)
    return pages.answer(
        "ledger.html", found=found, text=text, state=state, purpose=purpose, topics=topics, tab="ledger", at="ledger"
    )


@blueprint.get(f"{HERE}/consent/lines/<int:line>")
@opened_by(access.member)
def ledger_line(line: int) -> Response:
    """One line with its proof."""
    with pages.unit() as unit:
        found = reading.line(unit, line)
        topics = reading.topic_titles(unit)
    if found is None:
        abort(404)
    return pages.answer("ledger_line.html", line=found[0], contact=found[1], topics=topics, tab="ledger", at="ledger")


@blueprint.get(f"{HERE}/consent/suppressions")
@opened_by(access.member)
def suppressions() -> Response:
    """Addresses that must not be written to."""
    reason = request.args.get("reason", "")
    with pages.unit() as unit:
        found = reading.suppressions(unit, pages.wanted(), reason=reason)
    return pages.answer("suppressions.html", found=found, reason=reason, tab="suppressions", at="ledger")
