"""What the API offers, operation by operation: what cannot be read off a type. A test holds it against the routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.api import audience_operations, form_operations, import_operations
from app.api.operation import IDEMPOTENCY_KEY, PAGE, REF, TEXT, Operation, Schema, in_path, page_of, query, ref
from app.events.catalogue import KINDS as EVENTS
from app.events.incoming import MOST
from app.messages.models import STATES

EXAMPLE_EVENT: Mapping[str, Any] = {
    "id": "evt_20931",
    "type": "booking.confirmed",
    "occurred_at": "2026-11-22T10:15:00+01:00",
    "contact": {
        "external_id": "guest-1093",
        "email": "giulia@example.com",
        "first_name": "Giulia",
        "last_name": "Bianchi",
        "language": "it",
    },
    "data": next(event.example for event in EVENTS if event.name == "booking.confirmed"),
}
_EXTERNAL_ID = in_path("external_id", "Your id of the person.", "guest-1093")

__all__ = ["EXAMPLE_EVENT", "OPERATIONS", "REF", "Operation", "Schema", "ref"]

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="post",
        path="/events",
        name="post_events",
        summary="Report what happened",
        about=(
            f'One event, or `{{"events": [...]}}` with up to {MOST}. When the answer is there, every accepted event is '
            "kept for good. Each event is judged by itself: `accepted`, `duplicate` (its id came before; with "
            "`conflict` where the body differs) or `rejected` with a pointer and a cure. Send again whatever you are "
            "not sure of, in any order. One event alone that is rejected answers 422."
        ),
        scope="events:write",
        signed=True,
        status=202,
        answer=ref("Verdicts"),
        parameters=(query("source", "Who signed, where no header says so: `workspace/source`.", type="string"),),
        body={"anyOf": [ref("EventIn"), ref("Batch")]},
        body_example=EXAMPLE_EVENT,
        answer_example={"counts": {"accepted": 1}, "events": [{"id": "evt_20931", "status": "accepted"}]},
        problems=("malformed", "too-large", "unsupported-media-type", "invalid"),
        curl="-d @event.json",
    ),
    Operation(
        method="put",
        path="/contacts/{external_id}",
        name="put_contact",
        summary="Create or change a contact",
        about=(
            "Sets the fields sent; a field left out stays, null clears it. It counts as a `contact.updated` event of "
            "this instant. `warnings` says what did not fit and was left out."
        ),
        scope="contacts:write",
        status=200,
        answer=ref("ContactPut"),
        parameters=(_EXTERNAL_ID,),
        body=ref("ContactFields"),
        body_example={"email": "giulia@example.com", "language": "it", "attributes": {"loyalty_points": 120}},
        problems=("malformed", "too-large", "unsupported-media-type", "invalid"),
        curl="""-d '{"email": "giulia@example.com", "language": "it"}'""",
    ),
    Operation(
        method="get",
        path="/contacts/{external_id}",
        name="get_contact",
        summary="One contact",
        about="A former id of a merged contact gives the contact it became part of.",
        scope="contacts:read",
        status=200,
        answer=ref("Contact"),
        parameters=(_EXTERNAL_ID,),
        problems=("not-found", "invalid"),
    ),
    Operation(
        method="get",
        path="/contacts/{external_id}/timeline",
        name="get_timeline",
        summary="What happened to a contact",
        about="Events, messages and consent, newest first.",
        scope="contacts:read",
        status=200,
        answer=page_of("Moment"),
        parameters=(_EXTERNAL_ID, *PAGE),
        problems=("not-found", "invalid"),
    ),
    Operation(
        method="get",
        path="/bookings/{reference}",
        name="get_booking",
        summary="One booking or order",
        about="As everything reported of it comes to, whatever order it was reported in.",
        scope="contacts:read",
        status=200,
        answer=ref("Booking"),
        parameters=(
            in_path("reference", "What its sender calls it.", "LAGO-2381"),
            query("kind", "A booking, or a shop's order.", type="string", enum=["booking", "order"], default="booking"),
        ),
        problems=("not-found", "invalid"),
    ),
    Operation(
        method="get",
        path="/messages",
        name="get_messages",
        summary="Messages, sent or not, and why",
        about="Newest first. `verdict` holds every judgement with its rule and inputs.",
        scope="messages:read",
        status=200,
        answer=page_of("Message"),
        parameters=(
            query("contact", "External id of the contact.", **TEXT),
            query("workflow", "Name of the workflow.", **TEXT),
            query("state", "Where the message stands.", type="string", enum=list(STATES)),
            query("reason", "Code of its last verdict or outcome.", **TEXT),
            *PAGE,
        ),
        problems=("invalid",),
    ),
    Operation(
        method="get",
        path="/why",
        name="get_why",
        summary="Why a person got a message, or did not",
        about=(
            "Every decision in order, with its inputs, its rule and its time, as it was kept when it was made: events "
            "that started nothing, waits, branches, each question of the gate, attempts, what came back, and what "
            "happens next. Send `contact` and `workflow`, or `message`. Sentences are in English and Italian."
        ),
        scope="messages:read",
        status=200,
        answer=ref("Why"),
        parameters=(
            query("contact", "External id or address of the person.", **TEXT),
            query("workflow", "Name of the workflow.", **TEXT),
            query("message", "Id of a message.", type="integer", minimum=1),
        ),
        problems=("invalid", "not-found"),
        curl="-G -d contact=guest-1093 -d workflow=pre-arrival",
    ),
    Operation(
        method="get",
        path="/workflows/{name}/results",
        name="get_results",
        summary="What a workflow brought",
        about=(
            "People it was tried on against people held out, and the variants of its splits, counted by person. "
            "Intervals are at 95 % and hold for one look at a time fixed beforehand; amounts are in minor units."
        ),
        scope="messages:read",
        status=200,
        answer=ref("Results"),
        parameters=(in_path("name", "Name of the workflow.", "win-back"),),
        problems=("not-found",),
    ),
    Operation(
        method="post",
        path="/workflows/{name}/enrollments",
        name="post_enrollment",
        summary="Start a workflow for a person",
        about=(
            "For workflows with the entry `on: api`. The wish is kept as the event `workflow.started`; whether the "
            "person may enter (re-entry, conditions, holdout) is decided a moment later like for any event, and `/why` "
            "tells it. Send an `id` or the header `Idempotency-Key`: of several wishes under one id only the first "
            "counts, for ever; the others answer `duplicate`, and 422 where they say something else."
        ),
        scope="workflows:start",
        status=202,
        answer=ref("Started"),
        parameters=(
            in_path("name", "Name of the workflow.", "win-back"),
            IDEMPOTENCY_KEY,
        ),
        body=ref("StartIn"),
        body_example={"contact": "guest-1093", "id": "wish-77", "data": {"offer": "spring"}},
        answer_example={"workflow": "win-back", "contact": "guest-1093", "status": "accepted"},
        problems=("malformed", "too-large", "unsupported-media-type", "invalid", "not-found"),
        curl="""-d '{"contact": "guest-1093", "id": "wish-77"}'""",
    ),
    Operation(
        method="get",
        path="/tasks",
        name="get_tasks",
        summary="What people are to do",
        about="Tasks that workflows have asked of a team, newest first: open ones, or with `state=done` those done.",
        scope="tasks:read",
        status=200,
        answer=page_of("Task"),
        parameters=(
            query("state", "Open or done.", type="string", enum=["open", "done"], default="open"),
            query("team", "Whose work it is, as the workflow's `to` says.", **TEXT),
            query("contact", "External id of the contact.", **TEXT),
            *PAGE,
        ),
        problems=("invalid",),
    ),
    Operation(
        method="post",
        path="/tasks/{number}/done",
        name="post_task_done",
        summary="Say that a task is done",
        about=(
            "It counts as the event `task.done` of the same person and booking, once, so that a workflow can wait for "
            "it. Done already, it stays as it is."
        ),
        scope="tasks:write",
        status=200,
        answer=ref("Task"),
        parameters=(in_path("number", "Id of the task.", "12"),),
        problems=("not-found", "invalid"),
    ),
    *audience_operations.OPERATIONS,
    *form_operations.OPERATIONS,
    *import_operations.OPERATIONS,
)
