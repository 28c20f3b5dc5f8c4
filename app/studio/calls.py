"""Settings: where workflows call other houses, and what came of the latest calls."""

from __future__ import annotations

from typing import Any

from flask import abort, request
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from app.doors import opened_by
from app.enrollments import calls, endpoints
from app.enrollments.endpoints import EndpointRefusedError
from app.enrollments.models import Call, CallEndpoint
from app.studio import access, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.languages import gettext
from app.studio.reading.paging import page

OWNERS = access.role("owner")


@blueprint.get(f"{HERE}/settings/calls")
@opened_by(access.member)
def call_endpoints() -> Response:
    """Endpoints, and the latest calls."""
    return _page()


def _page(status: int = 200, **more: Any) -> Response:
    state = request.args.get("state", "")
    with pages.unit() as unit:
        listed = unit.scalars(select(CallEndpoint).order_by(CallEndpoint.name)).all()
        query = select(Call)
        if state in {"waiting", "done", "failed"}:
            query = query.where(Call.state == state)
        found = page(unit, query, Call.id, pages.wanted(), lambda row: int(row[0].id))
    context: dict[str, Any] = {"given": {}, "errors": {}, "shown": None} | more
    return pages.answer(
        "settings_calls.html", status, endpoints=listed, found=found, state=state, tab="calls", at="settings", **context
    )


def _endpoint(unit: Session, endpoint_id: int) -> CallEndpoint:
    found = unit.scalar(select(CallEndpoint).where(CallEndpoint.id == endpoint_id))
    if found is None:
        abort(404)
    return found


@blueprint.post(f"{HERE}/settings/calls")
@opened_by(OWNERS)
def endpoint_create() -> Response:
    """Keep a new endpoint; its secret is shown this once."""
    name, url = request.form.get("name", "").strip().lower()[:60], request.form.get("url", "").strip()
    errors, secret = _looked_at(name, url), ""
    if not errors:
        with pages.unit() as unit:
            try:
                secret = endpoints.add(unit, name, url, pages.now(), shares="shares" in request.form)
            except EndpointRefusedError:
                errors["name"] = gettext("Another endpoint has this name. Choose a different one.")
    if errors:
        return _page(422, given=request.form, errors=errors)
    return _page(shown={"secret": secret, "name": name})


def _looked_at(name: str, url: str) -> dict[str, str]:
    errors = {}
    if not endpoints.NAME.fullmatch(name):
        errors["name"] = gettext("Use lower-case letters, figures and dashes, such as housekeeping.")
    try:
        endpoints.checked_url(url)
    except EndpointRefusedError:
        errors["url"] = gettext("Write the whole address: https://, the host, the path; no name and password in it.")
    return errors


@blueprint.post(f"{HERE}/settings/calls/<int:endpoint_id>/<what>")
@opened_by(OWNERS)
def endpoint_act(endpoint_id: int, what: str) -> Response:
    """Make a new secret, switch on or off, say whose it is, send a trial call, or make all failed calls once more."""
    if what not in {"rotate", "switch", "shares", "trial", "again"}:
        abort(404)
    shown, told = None, ""
    with pages.unit() as unit:
        endpoint = _endpoint(unit, endpoint_id)
        if what == "rotate":
            shown = {"secret": endpoints.rotate(unit, endpoint, pages.now()), "name": endpoint.name}
        elif what == "switch":
            endpoints.switch(endpoint, not endpoint.active)
            told = gettext("It is called again.") if endpoint.active else gettext("It is not called any more.")
        elif what == "shares":
            endpoint.shares = not endpoint.shares
            told = gettext("From now on only who has agreed to sharing is named to it.")
            if not endpoint.shares:
                told = gettext("It counts as working for you: nobody is asked for sharing.")
        elif what == "trial":
            calls.trial(unit, endpoint.name, pages.now())
            told = gettext("A trial call is on its way; look below in a moment.")
        else:
            count = calls.all_again(unit, endpoint.name, pages.now())
            told = gettext("Made once more: %(count)s", count=count)
    if shown:
        return _page(shown=shown)
    pages.tell(told)
    return pages.gone_to("studio.call_endpoints")


@blueprint.post(f"{HERE}/settings/calls/made/<int:call_id>/again")
@opened_by(OWNERS)
def call_again(call_id: int) -> Response:
    """Make one call once more."""
    with pages.unit() as unit:
        if not calls.again(unit, call_id, pages.now()):
            abort(404)
    pages.tell(gettext("The call is made once more, under the same id."))
    return pages.gone_to("studio.call_endpoints")
