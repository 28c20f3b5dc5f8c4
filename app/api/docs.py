"""The API's description for machines, and the same as a page for people: no script, nothing from elsewhere."""

from __future__ import annotations

import json as standard_json
import re
from typing import Any

from apiflask import APIBlueprint
from flask import Response, render_template
from markupsafe import Markup, escape

from app.api import description, operations, problems
from app.api.offering import json
from app.api.operations import OPERATIONS
from app.api.problems import KINDS
from app.doors import anyone, house, opened_by
from app.events.catalogue import BOOKING_FIELDS, ORDER_FIELDS
from app.events.catalogue import KINDS as EVENTS
from app.events.sources import SCOPES

blueprint = APIBlueprint("api_docs", __name__, url_prefix="/api/v1", enable_openapi=False, template_folder="templates")
problems.install(blueprint)


@blueprint.get("/openapi.json")
@opened_by(anyone)
def openapi() -> Response:
    """The description in OpenAPI 3.1."""
    return json(description.document())


@blueprint.get("/docs")
@opened_by(anyone)
def docs() -> str:
    """The description as a page."""
    return render_template(
        "api/docs.html",
        base_url=house().settings.base_url,
        operations=OPERATIONS,
        document=description.document(),
        events=EVENTS,
        booking_fields=BOOKING_FIELDS,
        order_fields=ORDER_FIELDS,
        problems=KINDS.values(),
        scopes=SCOPES,
        example=operations.EXAMPLE_EVENT,
        pretty=_pretty,
        marked=_marked,
    )


def _pretty(value: Any) -> str:
    """JSON in the order it was written in."""
    return standard_json.dumps(value, indent=2, ensure_ascii=False)


def _marked(sentence: str) -> Markup:
    """A sentence with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))  # noqa: S704 (escaped before)
