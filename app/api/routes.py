"""The routes of /api/v1: each parses, makes one call, answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from apiflask import APIBlueprint
from flask import Response, request
from sqlalchemy.orm import Session

from app.api import acting, pages, problems, putting, reading, receiving
from app.api.access import caller, may
from app.api.once import once
from app.api.problems import ProblemError
from app.doors import house, opened_by
from app.enrollments import results
from app.enrollments.explain import NobodyError, explain, find_contact
from app.messages.models import STATES

blueprint = APIBlueprint("api", __name__, url_prefix="/api/v1", enable_openapi=False)
problems.install(blueprint)


def json(body: Any, status: int = 200) -> Response:
    """An answer in JSON; days and instants as ISO text."""
    return Response(msgspec.json.encode(body), status, content_type="application/json")


def body_of_request() -> bytes:
    """The bytes sent, if they claim to be JSON."""
    sent = request.mimetype
    if sent and sent != "application/json" and not sent.endswith("+json"):
        raise ProblemError("unsupported-media-type", f"The body is {sent}.")
    return request.get_data()


@blueprint.post("/events")
@opened_by(may("events:write", signed=True))
def post_events() -> Response:
    """Report one event or up to 1,000."""
    pages.only("source")
    batch = receiving.read_batch(body_of_request())
    verdicts = receiving.take(house(), caller(), batch)
    counts = Counter(verdict.status for verdict in verdicts)
    return json({"counts": counts, "events": [receiving.shown(verdict) for verdict in verdicts]}, 202)


@blueprint.put("/contacts/<path:external_id>")
@opened_by(may("contacts:write"))
def put_contact(external_id: str) -> Response:
    """Create or change a contact."""
    pages.only()
    given = receiving.read_json(body_of_request())
    event = putting.event_of(external_id, given, house().clock.now())
    return json(putting.put(house(), caller(), event))


@blueprint.get("/contacts/<path:external_id>")
@opened_by(may("contacts:read"))
def get_contact(external_id: str) -> Response:
    """One contact."""
    pages.only()
    with house().database.work(caller().workspace_id) as session:
        found = reading.contact(session, external_id)
    if found is None:
        raise ProblemError("not-found", "No contact has this external id.")
    return json(reading.shown_contact(found))


@blueprint.get("/contacts/<path:external_id>/timeline")
@opened_by(may("contacts:read"))
def get_timeline(external_id: str) -> Response:
    """What happened to a contact, newest first."""
    pages.only("limit", "cursor")
    asked = pages.wanted(reading.TimeKey)
    with house().database.work(caller().workspace_id) as session:
        found = reading.contact(session, external_id)
        if found is None:
            raise ProblemError("not-found", "No contact has this external id.")
        rows = reading.timeline(session, found.id, asked)
    return json(pages.page(rows, asked, reading.shown_moment, reading.moment_key))


@blueprint.get("/bookings/<path:reference>")
@opened_by(may("contacts:read"))
def get_booking(reference: str) -> Response:
    """One booking, or with `kind=order` one order."""
    pages.only("kind")
    kind = pages.one_of("kind", ("booking", "order")) or "booking"
    with house().database.work(caller().workspace_id) as session:
        found = reading.booking(session, reference, kind)
    if found is None:
        raise ProblemError("not-found", f"No {kind} has this reference.")
    return json(found)


@blueprint.get("/messages")
@opened_by(may("messages:read"))
def get_messages() -> Response:
    """Messages, newest first, with the verdicts on them."""
    pages.only("contact", "workflow", "state", "reason", "limit", "cursor")
    asked = pages.wanted(int)
    state = pages.one_of("state", STATES)
    contact, workflow, reason = (pages.plain(name) for name in ("contact", "workflow", "reason"))
    with house().database.work(caller().workspace_id) as session:
        rows = reading.messages(session, asked, contact=contact, workflow=workflow, state=state, reason=reason)
    return json(pages.page(rows, asked, reading.shown_message, reading.message_key))


@blueprint.get("/why")
@opened_by(may("messages:read"))
def get_why() -> Response:
    """Every decision about a person and a workflow, or about a message."""
    pages.only("contact", "workflow", "message")
    contact, workflow, message = pages.plain("contact"), pages.plain("workflow"), pages.number("message")
    if message is None and (contact is None or workflow is None):
        missing = "contact" if contact is None else "workflow"
        raise pages.needed(missing, "Send contact and workflow, or message.")
    parts = house()
    try:
        with parts.database.work(caller().workspace_id) as session:
            contact_id = find_contact(session, contact) if contact is not None else None
            told = explain(session, contact_id, parts.clock.now(), workflow=workflow, message_id=message)
    except NobodyError as error:
        raise ProblemError("not-found", str(error)) from None
    return json(told.as_json())


@blueprint.get("/workflows/<name>/results")
@opened_by(may("messages:read"))
def get_results(name: str) -> Response:
    """What a workflow brought: lift against people held out, and its splits."""
    pages.only()
    parts = house()
    with parts.database.work(caller().workspace_id) as session:
        found = results.of(session, name, parts.clock.now())
    if found is None:
        raise ProblemError("not-found", f"There is no published workflow {name!r}.")
    return json(results.as_json(found))


@blueprint.post("/workflows/<name>/enrollments")
@opened_by(may("workflows:start"))
def post_enrollment(name: str) -> Response:
    """Start a workflow for somebody."""
    pages.only()
    given = receiving.read_json(body_of_request())
    return json(acting.start(house(), caller(), name, given, idempotency_key()), 202)


@blueprint.get("/tasks")
@opened_by(may("tasks:read"))
def get_tasks() -> Response:
    """What people are to do, newest first."""
    pages.only("state", "team", "contact", "limit", "cursor")
    asked = pages.wanted(int)
    state = pages.one_of("state", ("open", "done")) or "open"
    team, contact = pages.plain("team"), pages.plain("contact")
    with house().database.work(caller().workspace_id) as session:
        rows = acting.tasks_of(session, asked, is_done=state == "done", team=team, contact=contact)
    return json(pages.page(rows, asked, acting.shown_task, acting.task_key))


@blueprint.post("/tasks/<number>/done")
@opened_by(may("tasks:write"))
def post_task_done(number: str) -> Response:
    """Say that a task is done."""
    pages.only()
    return json(acting.tick_off(house(), caller(), number))


def idempotency_key() -> str | None:
    """The header of that name; raises ProblemError where it is none."""
    given = request.headers.get("Idempotency-Key", "").strip()
    if len(given) > 200 or "\x00" in given:
        raise ProblemError("invalid", "Idempotency-Key is longer than 200 characters, or holds U+0000.")
    return given or None


def kept(asked: tuple[str, Any], work: Callable[[Session, str, datetime], dict[str, Any]], status: int) -> Response:
    """Do something that changes rows, once for its Idempotency-Key. Committed when answered."""
    parts, who, key = house(), caller(), idempotency_key()
    now = parts.clock.now()

    def done(session: Session) -> dict[str, Any]:
        return once(session, who, key, asked, now, lambda: work(session, f"api:{who.slug}", now))

    return json(receiving.in_one_piece(parts, who.workspace_id, done), status)
