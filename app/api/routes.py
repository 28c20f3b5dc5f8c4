"""The routes of /api/v1: each parses, makes one call, answers."""

from __future__ import annotations

from collections import Counter

from flask import Response

from app.api import acting, pages, putting, reading, receiving
from app.api.access import caller
from app.api.offering import body, body_of_request, idempotency_key, json, offered, unit
from app.api.problems import ProblemError
from app.doors import house
from app.enrollments import results
from app.enrollments.explain import NobodyError, explain, find_contact
from app.messages.models import STATES


@offered
def post_events() -> Response:
    """Report one event or up to 1,000."""
    batch = receiving.read_batch(body_of_request())
    verdicts = receiving.take(house(), caller(), batch)
    counts = Counter(verdict.status for verdict in verdicts)
    return json({"counts": counts, "events": [receiving.shown(verdict) for verdict in verdicts]})


@offered
def put_contact(external_id: str) -> Response:
    """Create or change a contact."""
    event = putting.event_of(external_id, body(), house().clock.now())
    return json(putting.put(house(), caller(), event))


@offered
def get_contact(external_id: str) -> Response:
    """One contact."""
    with unit() as session:
        found = reading.contact(session, external_id)
    if found is None:
        raise ProblemError("not-found", "No contact has this external id.")
    return json(reading.shown_contact(found))


@offered
def get_timeline(external_id: str) -> Response:
    """What happened to a contact, newest first."""
    asked = pages.wanted(reading.TimeKey)
    with unit() as session:
        found = reading.contact(session, external_id)
        if found is None:
            raise ProblemError("not-found", "No contact has this external id.")
        rows = reading.timeline(session, found.id, asked)
    return json(pages.page(rows, asked, reading.shown_moment, reading.moment_key))


@offered
def get_booking(reference: str) -> Response:
    """One booking, or with `kind=order` one order."""
    kind = pages.one_of("kind", ("booking", "order")) or "booking"
    with unit() as session:
        found = reading.booking(session, reference, kind)
    if found is None:
        raise ProblemError("not-found", f"No {kind} has this reference.")
    return json(found)


@offered
def get_messages() -> Response:
    """Messages, newest first, with the verdicts on them."""
    asked = pages.wanted(int)
    state = pages.one_of("state", STATES)
    contact, workflow, reason = (pages.plain(name) for name in ("contact", "workflow", "reason"))
    with unit() as session:
        rows = reading.messages(session, asked, contact=contact, workflow=workflow, state=state, reason=reason)
    return json(pages.page(rows, asked, reading.shown_message, reading.message_key))


@offered
def get_why() -> Response:
    """Every decision about a person and a workflow, or about a message."""
    contact, workflow, message = pages.plain("contact"), pages.plain("workflow"), pages.number("message")
    if message is None and (contact is None or workflow is None):
        missing = "contact" if contact is None else "workflow"
        raise pages.needed(missing, "Send contact and workflow, or message.")
    parts = house()
    try:
        with unit() as session:
            contact_id = find_contact(session, contact) if contact is not None else None
            told = explain(session, contact_id, parts.clock.now(), workflow=workflow, message_id=message)
    except NobodyError as error:
        raise ProblemError("not-found", str(error)) from None
    return json(told.as_json())


@offered
def get_results(name: str) -> Response:
    """What a workflow brought: lift against people held out, and its splits."""
    parts = house()
    with unit() as session:
        found = results.of(session, name, parts.clock.now())
    if found is None:
        raise ProblemError("not-found", f"There is no published workflow {name!r}.")
    return json(results.as_json(found))


@offered
def post_enrollment(name: str) -> Response:
    """Start a workflow for somebody."""
    return json(acting.start(house(), caller(), name, body(), idempotency_key()))


@offered
def get_tasks() -> Response:
    """What people are to do, newest first."""
    asked = pages.wanted(int)
    state = pages.one_of("state", ("open", "done")) or "open"
    team, contact = pages.plain("team"), pages.plain("contact")
    with unit() as session:
        rows = acting.tasks_of(session, asked, is_done=state == "done", team=team, contact=contact)
    return json(pages.page(rows, asked, acting.shown_task, acting.task_key))


@offered
def post_task_done(number: str) -> Response:
    """Say that a task is done."""
    return json(acting.tick_off(house(), caller(), number))
