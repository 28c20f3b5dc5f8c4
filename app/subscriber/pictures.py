"""/assets/mail/: the drawings in mails. One address for everybody: asking for one says nothing of anyone."""

from __future__ import annotations

import re
from pathlib import Path

from apiflask import APIBlueprint
from flask import Response, abort, send_from_directory

from app.doors import anyone, opened_by

blueprint = APIBlueprint("pictures", __name__, enable_openapi=False)
FOLDER = Path(__file__).resolve().parents[2] / "email_templates" / "_assets"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)?\.png")


@blueprint.get("/assets/mail/<path:name>")
@opened_by(anyone)
def picture(name: str) -> Response:
    """One drawing; a day in any cache. Nothing is written down: not who asked, nor that anybody did (R14)."""
    if not _NAME.fullmatch(name):
        abort(404)
    response = send_from_directory(FOLDER, name, mimetype="image/png", max_age=86_400)
    response.headers["Cache-Control"] = "public, max-age=86400"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
