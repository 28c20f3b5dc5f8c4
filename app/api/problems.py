"""Everything that goes wrong under /api is answered in one shape: RFC 9457, with a type that the docs explain."""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from apiflask import APIBlueprint
from flask import Response, request
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from app.events.incoming import Problem

log = structlog.get_logger()

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: `name` ends its type, `cure` is what the docs advise."""

    name: str
    status: int
    title: str
    cure: str


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("malformed", 400, "The request is not JSON", "Send UTF-8 JSON; the detail says where it breaks."),
        Kind(
            "unauthenticated",
            401,
            "Who are you?",
            "Send `Authorization: Bearer <key>`, or sign the request as Standard Webhooks say and name the source "
            "in `X-Percorso-Source`. Keys end when they are revoked or their source is switched off.",
        ),
        Kind("forbidden", 403, "This key may not do that", "Use a key that has the scope named in the detail."),
        Kind("not-found", 404, "There is no such thing", "Check the path, and that the id exists in this workspace."),
        Kind("method-not-allowed", 405, "Not with this method", "The Allow header lists the methods."),
        Kind("too-large", 413, "The request is too large", "Send at most 8 MiB; split the batch."),
        Kind("unsupported-media-type", 415, "Only JSON is read", "Send `Content-Type: application/json`."),
        Kind("invalid", 422, "The request does not fit", "`errors` points at each place and says the cure."),
        Kind(
            "rate-limited",
            429,
            "Too many requests",
            "Wait as many seconds as Retry-After says. Batches of up to 1,000 events count as one request.",
        ),
        Kind("internal", 500, "Something broke here", "Send it again later; name the `instance` to us if it stays."),
        Kind("unavailable", 503, "Not just now", "The database is busy or away: send it again in a few seconds."),
    )
}
_BY_STATUS = {kind.status: kind for kind in KINDS.values()}


class ProblemError(Exception):
    """A request that is refused. Raise it anywhere under /api.

    Args:
        name: one of `KINDS`.
        detail: what is wrong in this case.
        errors: places in the request, with cures.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        name: str,
        detail: str,
        errors: Sequence[Problem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = KINDS[name]
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}


def answer(
    kind: Kind, detail: str, errors: Sequence[Problem] = (), headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """A problem as a response."""
    body = {
        "type": f"/api/v1/docs#problem-{kind.name}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        **more,
    }
    if errors:
        body["errors"] = [{"pointer": one.pointer, "detail": one.detail, "cure": one.cure} for one in errors]
    response = Response(msgspec.json.encode(body), kind.status, content_type=CONTENT_TYPE)
    response.headers.update(headers or {})
    return response


def _of_http(error: HTTPException) -> Response:
    kind = _BY_STATUS.get(error.code or 500, KINDS["malformed"] if (error.code or 500) < 500 else KINDS["internal"])
    headers = {name: value for name, value in error.get_headers() if name.lower() in {"allow", "retry-after"}}
    return answer(kind, error.description or kind.title, headers=headers)


def _of_problem(error: ProblemError) -> Response:
    return answer(error.kind, error.detail, error.errors, error.headers)


def _of_database(error: OperationalError) -> Response:
    log.warning("database_unavailable", error=str(error.orig).splitlines()[0])
    return answer(KINDS["unavailable"], "Nothing was kept of this request.", headers={"Retry-After": "5"})


def _of_anything(error: Exception) -> Response:
    """Whatever else: a number that stands in our log with the story, and nothing of it in the answer.

    The story is where it broke and on what kind of error: its message and locals may hold what people sent.
    """
    number = secrets.token_hex(8)
    log.error(
        "api_failed",
        instance=number,
        endpoint=request.endpoint,
        error=type(error).__name__,
        cause=type(getattr(error, "orig", error)).__name__,
        trace="".join(traceback.format_tb(error.__traceback__)),
    )
    return answer(
        KINDS["internal"], "It was noted; nothing was kept of this request.", instance=f"urn:percorso:{number}"
    )


def _of_routing() -> Response | None:
    """Before views: a path or method that does not exist under /api is answered as a problem, not as a page."""
    error = request.routing_exception
    if isinstance(error, HTTPException) and (error.code or 500) >= 400 and request.path.startswith("/api/"):
        return _of_http(error)
    return None


def install(blueprint: APIBlueprint) -> None:
    """Have `blueprint` answer all its errors as problems. By status code: those handlers win over the pages' own."""
    for status in (400, 401, 403, 404, 405, 406, 409, 411, 413, 414, 415, 422, 429, 431, 503):
        blueprint.register_error_handler(status, _of_http)
    blueprint.register_error_handler(ProblemError, _of_problem)
    blueprint.register_error_handler(OperationalError, _of_database)
    blueprint.register_error_handler(Exception, _of_anything)
    blueprint.before_app_request(_of_routing)
