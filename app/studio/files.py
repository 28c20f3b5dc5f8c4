"""The studio's own files: built ones are named by their content and kept by browsers for ever."""

from __future__ import annotations

from flask import send_from_directory
from werkzeug.wrappers import Response

from app.doors import anyone, opened_by
from app.studio.assets import STATIC
from app.studio.blueprint import blueprint


@blueprint.get("/static/<path:name>")
@opened_by(anyone)
def static(name: str) -> Response:
    """A built file."""
    hashed = name.startswith("dist/assets/")
    response = send_from_directory(STATIC, name, max_age=31_536_000 if hashed else 3600)
    if hashed:
        response.cache_control.immutable = True
    response.cache_control.public = True
    return response


@blueprint.get("/favicon.ico")
@opened_by(anyone)
def favicon() -> Response:
    """The mark."""
    return send_from_directory(STATIC, "mark.svg", max_age=86_400, mimetype="image/svg+xml")
