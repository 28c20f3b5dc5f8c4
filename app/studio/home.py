"""Home and finding."""

from __future__ import annotations

from flask import abort, g, request, session
from werkzeug.wrappers import Response

from app.doors import opened_by
from app.studio import access, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import zone
from app.studio.reading import finding
from app.studio.reading import home as reading


@blueprint.get(f"{HERE}/")
@opened_by(access.member)
def home() -> Response:
    """What needs attention, how much goes out, where people are."""
    session["workspace"] = g.workspace
    with pages.unit() as unit:
        told = reading.home(unit, pages.now(), zone(), pages.property_id())
    return pages.answer("home.html", home=told, at="home")


@blueprint.get(f"{HERE}/<path:_rest>")
@opened_by(access.member)
def nothing(_rest: str) -> Response:
    """An address that no page has, answered within the frame."""
    abort(404)


@blueprint.get(f"{HERE}/find")
@opened_by(access.member)
def find() -> Response:
    """Pages, people, workflows and templates that a text may mean: the palette's list, or a page of its own."""
    text = request.args.get("q", "").strip()[:100]
    with pages.unit() as unit:
        groups = finding.find(unit, text)
    return pages.answer("find.html", groups=groups, text=text, at="")
