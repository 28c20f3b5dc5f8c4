"""What the description says of an operation is its route: path, method, door and parameters are said there alone."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from apiflask import APIBlueprint
from flask import Response, request
from sqlalchemy.orm import Session

from app.api import pages, problems, receiving
from app.api.access import caller, may
from app.api.once import once
from app.api.operations import OPERATIONS
from app.api.problems import ProblemError
from app.doors import house, opened_by

View = TypeVar("View", bound=Callable[..., Response])

blueprint = APIBlueprint("api", __name__, url_prefix="/api/v1", enable_openapi=False)
problems.install(blueprint)

_OPERATIONS = {operation.name: operation for operation in OPERATIONS}
_WITH_SLASHES = frozenset({"external_id", "reference"})
"""Parts of paths that are other systems' names of things, slashes and all."""


def offered(view: View) -> View:
    """Put a view on the route of the operation of its name, behind its scope.

    Parameters that the description does not know are refused: a misspelt filter would otherwise show everything.
    """
    operation = _OPERATIONS[view.__name__]
    if operation.scope is None:
        raise ValueError(f"{operation.name} is open to everybody: what is offered here asks for a key.")
    path = re.sub(r"{(\w+)}", lambda part: f"<{'path:' if part[1] in _WITH_SLASHES else ''}{part[1]}>", operation.path)
    takes = tuple(one["name"] for one in operation.parameters if one["in"] == "query")

    @opened_by(may(operation.scope, signed=operation.signed))
    @functools.wraps(view)
    def strict(**parts: str) -> Response:
        pages.only(*takes)
        answer = view(**parts)
        answer.status_code = operation.status
        return answer

    blueprint.add_url_rule(path, operation.name, strict, methods=[operation.method.upper()])
    return view


def unit() -> AbstractContextManager[Session]:
    """A unit of work in the workspace of who asks."""
    return house().database.work(caller().workspace_id)


def json(answer: Any, status: int = 200) -> Response:
    """An answer in JSON; days and instants as ISO text. What is `offered` has the status of its description."""
    return Response(msgspec.json.encode(answer), status, content_type="application/json")


def body_of_request() -> bytes:
    """The bytes sent, if they claim to be JSON."""
    sent = request.mimetype
    if sent and sent != "application/json" and not sent.endswith("+json"):
        raise ProblemError("unsupported-media-type", f"The body is {sent}.")
    return request.get_data()


def body() -> Any:
    """The JSON sent."""
    return receiving.read_json(body_of_request())


def idempotency_key() -> str | None:
    """The header of that name; raises ProblemError where it is none."""
    sent = request.headers.get("Idempotency-Key", "").strip()
    if len(sent) > 200 or "\x00" in sent:
        raise ProblemError("invalid", "Idempotency-Key is longer than 200 characters, or holds U+0000.")
    return sent or None


def kept(asked: tuple[str, Any], work: Callable[[Session, str, datetime], dict[str, Any]]) -> Response:
    """Do something that changes rows, once for its Idempotency-Key. Committed when answered.

    Args:
        asked: the operation and its body: what the key stands for.
        work: does it; takes the unit of work, who asks (`api:pms`) and the instant, gives the answer.
    """
    parts, who, key = house(), caller(), idempotency_key()
    now = parts.clock.now()

    def done(session: Session) -> dict[str, Any]:
        return once(session, who, key, asked, now, lambda: work(session, f"api:{who.slug}", now))

    return json(receiving.in_one_piece(parts, who.workspace_id, done))
