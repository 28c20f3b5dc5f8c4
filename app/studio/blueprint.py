"""The studio's routes hang on this.

Every address of a workspace begins with /w/<workspace>: it can be sent to a colleague, and two tabs can show two.
"""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from flask import current_app, g, request
from flask_wtf.csrf import CSRFProtect
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from app.studio import access, pages

blueprint = APIBlueprint("studio", __name__, template_folder="templates", enable_openapi=False)
csrf = CSRFProtect()
HERE = "/w/<workspace>"


@blueprint.before_request
def same_origin() -> None:
    """Whatever changes something carries the form's token; htmx sends it as a header."""
    csrf.protect()


@blueprint.url_value_preprocessor
def take_workspace(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    """The guard and the frame need the workspace of the address; views need not take it."""
    if values is not None and "workspace" in values:
        g.workspace = values.pop("workspace")


@blueprint.url_defaults
def carry(endpoint: str, values: dict[str, Any]) -> None:
    """Addresses stay in the workspace, and with the property that the page is about."""
    if not current_app.url_map.is_endpoint_expecting(endpoint, "workspace"):
        return
    if "workspace" not in values and "workspace" in g:
        values["workspace"] = g.workspace
    if "property" not in values and request.args.get("property"):
        values["property"] = request.args["property"]


@blueprint.app_errorhandler(access.Turned)
def turned(error: access.Turned) -> Response:
    """A guard sends the visitor elsewhere."""
    return error.response


@blueprint.errorhandler(HTTPException)
def failed(error: HTTPException) -> Response:
    """A page that says what happened, what it means, and what to try."""
    if error.response is not None:
        return error.response  # type: ignore[return-value]
    return pages.failure(error.code or 500)
