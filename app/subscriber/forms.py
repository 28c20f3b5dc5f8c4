"""/f/: sign-up forms on pages of their own, in the property's brand; the same page serves as a frame on another site.

There is no cookie and nobody is signed in, so there is nothing that another site could make a visitor's browser do in
their name: a forged request is a request like any other, and ends at the mailbox. Hence no token against forgery.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from apiflask import APIBlueprint
from flask import abort, jsonify, redirect, request, send_from_directory
from werkzeug.wrappers import Response

from app.doors import anyone, house, opened_by
from app.rights import notice as keeping
from app.rights import retention_periods
from app.signup import effort, forms
from app.signup.forms import Shown
from app.signup.receiving import TRAP, TooManyError, Where, read, take
from app.subscriber import visitors
from app.subscriber.pages import LARGEST_FORM, bad_link, language_of, page, secluded, unit
from app.subscriber.texts import say
from app.subscriber.visitors import Visitor

blueprint = APIBlueprint("forms", __name__, url_prefix="/f", enable_openapi=False)

EMPTY: Mapping[str, Any] = {"given": {}, "topics": (), "purposes": ()}
"""A form that nobody has filled in."""

SCRIPTS = Path(__file__).parent / "scripts"


@blueprint.get("/<public_id>")
@opened_by(anyone)
def show(public_id: str) -> Response:
    """The form, empty."""
    form = forms.shown(house().database, public_id)
    if form is None:
        return bad_link()
    visitor = _visitor(form)
    language = language_of(visitor)
    if not form.live:
        return page("form_closed", visitor, language, status=410, framed=_framed())
    return _page(form, visitor, language)


@blueprint.post("/<public_id>")
@opened_by(anyone)
def send(public_id: str) -> Response:
    """Take it, or show it again with what is wrong. The answer to a known address is that to any other."""
    if (request.content_length or 0) > LARGEST_FORM:
        return bad_link(413)
    given = {name: text for name, text in request.form.items() if len(text) <= 4000 and "\x00" not in text}
    parts = house()
    number = given.get("version", "")
    # Whoever pasted the form into a page shows the words it had then: the ledger must name those.
    as_seen = forms.shown(parts.database, public_id, int(number) if number.isdecimal() and len(number) < 9 else 0)
    form = as_seen or forms.shown(parts.database, public_id)
    if form is None:
        return bad_link()
    visitor = _visitor(form)
    language = language_of(visitor)
    if not form.live:
        return page("form_closed", visitor, language, status=410, framed=_framed())
    if as_seen is None:
        return _page(form, visitor, language, 422, given=given, notice=say("form_renewed", language))
    ticked: dict[str, Any] = {"topics": request.form.getlist("topic"), "purposes": request.form.getlist("purpose")}
    entry, wrong = read(form, given, language=given.get("language") or language, **ticked)
    if entry is None:
        said = say("form_wrong", language)
        return _page(form, visitor, language, 422, given=given, **ticked, wrong=wrong, notice=said)
    try:
        take(
            parts,
            form,
            entry,
            Where(request.path, request.remote_addr, request.user_agent.string or None, request.headers.get("Origin")),
            trapped=bool(given.get(TRAP)),
            work=given.get("altcha", ""),
            now=parts.clock.now(),
        )
    except TooManyError as error:
        said = say("form_too_many", language, minutes=ceil(error.wait / 60))
        again = _page(form, visitor, language, 429, given=given, **ticked, notice=said)
        again.headers["Retry-After"] = str(error.wait)
        return again
    framed = "&embed=1" if _framed() else ""
    return secluded(redirect(f"/f/{public_id}/thanks?lang={language}{framed}", 303))


@blueprint.get("/<public_id>/thanks")
@opened_by(anyone)
def thanks(public_id: str) -> Response:
    """What comes next; the same for everybody."""
    form = forms.shown(house().database, public_id)
    if form is None:
        return bad_link()
    visitor = _visitor(form)
    return page("form_thanks", visitor, language_of(visitor), policy=_frames(form), form=form, framed=_framed())


@blueprint.get("/<public_id>/periods")
@opened_by(anyone)
def periods(public_id: str) -> Response:
    """How long what is given here is kept: what the form's notice leads to, so it stays when the form is closed."""
    form = forms.shown(house().database, public_id)
    if form is None:
        return bad_link()
    with unit(form.workspace_id) as session:
        visitor = visitors.of_property(session, form.property_id)
        language = language_of(visitor)
        kept = keeping.lines(retention_periods.in_force(session), language)
    return page("periods", visitor, language, kept=kept)


@blueprint.get("/<public_id>/draft/<mark>")
@opened_by(anyone)
def draft(public_id: str, mark: str) -> Response:
    """The form as it is being worked on, in a frame of the studio; it cannot be sent from there."""
    form = forms.draft(house().database, house().settings, public_id, mark)
    if form is None:
        return bad_link()
    visitor = _visitor(form)
    shown: dict[str, Any] = {"wrong": {}, "notice": "", "base": "", "drafted": True, "framed": False}
    policy = "frame-ancestors 'self'"
    return page("form", visitor, language_of(visitor), policy=policy, form=form, **EMPTY, **shown)


@blueprint.get("/<public_id>/challenge")
@opened_by(anyone)
def challenge(public_id: str) -> Response:
    """A task for the browser, to this house's own pages and to the sites the form may stand on."""
    parts = house()
    form = forms.shown(parts.database, public_id)
    if form is None or not form.live:
        abort(404)
    response: Response = jsonify(effort.challenge(parts.settings, public_id))
    response.headers.update(form.shared_with(request.headers.get("Origin")))
    response.headers["Vary"] = "Origin"
    return secluded(response)


@blueprint.get("/assets/<name>")
@opened_by(anyone)
def script(name: str) -> Response:
    """The two scripts, for this house's pages and for those a form was pasted into."""
    if name not in {"form.js", "altcha-pbkdf2.js"}:
        abort(404)
    response = send_from_directory(SCRIPTS, name, mimetype="text/javascript", max_age=3600)
    response.headers["Cache-Control"] = "public, max-age=3600"
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def _page(
    form: Shown,
    visitor: Visitor,
    language: str,
    status: int = 200,
    *,
    given: Mapping[str, str] | None = None,
    topics: Sequence[str] = (),
    purposes: Sequence[str] = (),
    wrong: Mapping[str, str] | None = None,
    notice: str = "",
) -> Response:
    policy = f"script-src 'self'; worker-src 'self'; connect-src 'self'; {_frames(form)}"
    filled: dict[str, Any] = {"given": given or {}, "topics": topics, "purposes": purposes}
    shown: dict[str, Any] = {**filled, "wrong": wrong or {}, "notice": notice}
    return page("form", visitor, language, status=status, policy=policy, form=form, base="", framed=_framed(), **shown)


def _frames(form: Shown) -> str:
    return "frame-ancestors " + (" ".join(form.origins) or "'none'")


def _framed() -> bool:
    return request.args.get("embed") == "1"


def _visitor(form: Shown) -> Visitor:
    with unit(form.workspace_id) as session:
        return visitors.of_property(session, form.property_id)
