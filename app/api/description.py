"""The API described in OpenAPI 3.1: made from the very types that read requests and the columns that answers show.

`OPERATIONS` says of each route what cannot be read off a type; a test holds it against the routes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import ARRAY, BigInteger, Boolean, Date, DateTime, Integer, Table
from sqlalchemy.dialects.postgresql import JSONB

from app.api import acting, pages, reading, result_shapes
from app.api.problems import CONTENT_TYPE, KINDS
from app.contacts.models import Booking, Contact
from app.enrollments.decisions import STAGES
from app.enrollments.models import Task
from app.events.catalogue import BOOKING_FIELDS, ORDER_FIELDS
from app.events.catalogue import KINDS as EVENTS
from app.events.incoming import MOST, ContactIn, EventIn, Problem, Verdict
from app.messages.models import STATES, Message

Schema = dict[str, Any]

REF = "#/components/schemas/{name}"
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


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path."""

    method: str
    path: str
    name: str
    summary: str
    about: str
    scope: str
    status: int
    answer: Schema
    parameters: Sequence[Schema] = ()
    body: Schema | None = None
    body_example: Any = None
    problems: Sequence[str] = ()
    signed: bool = False
    curl: str = ""
    answer_example: Any = field(default=None)


def _ref(name: str) -> Schema:
    return {"$ref": REF.format(name=name)}


def _in_path(name: str, about: str, example: str) -> Schema:
    schema = {"type": "string", "minLength": 1, "maxLength": 200}
    return {"name": name, "in": "path", "required": True, "description": about, "schema": schema, "example": example}


def _query(name: str, about: str, **schema: Any) -> Schema:
    return {"name": name, "in": "query", "required": False, "description": about, "schema": {**schema}}


_TEXT = {"type": "string", "maxLength": 200}
_PAGE = (
    _query("limit", "Rows of a page.", type="integer", minimum=1, maximum=pages.MOST, default=pages.DEFAULT),
    _query("cursor", "`next` of the page before.", type="string"),
)
_EXTERNAL_ID = _in_path("external_id", "Your id of the person.", "guest-1093")


def _page_of(name: str) -> Schema:
    rows = {"type": "array", "items": _ref(name)}
    following = {"type": ["string", "null"], "description": "Cursor of the page after this one; null on the last."}
    return {"type": "object", "required": ["data", "next"], "properties": {"data": rows, "next": following}}


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
        answer=_ref("Verdicts"),
        parameters=(_query("source", "Who signed, where no header says so: `workspace/source`.", **_TEXT),),
        body={"anyOf": [_ref("EventIn"), _ref("Batch")]},
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
        answer=_ref("ContactPut"),
        parameters=(_EXTERNAL_ID,),
        body=_ref("ContactFields"),
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
        answer=_ref("Contact"),
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
        answer=_page_of("Moment"),
        parameters=(_EXTERNAL_ID, *_PAGE),
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
        answer=_ref("Booking"),
        parameters=(
            _in_path("reference", "What its sender calls it.", "LAGO-2381"),
            _query(
                "kind", "A booking, or a shop's order.", type="string", enum=["booking", "order"], default="booking"
            ),
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
        answer=_page_of("Message"),
        parameters=(
            _query("contact", "External id of the contact.", **_TEXT),
            _query("workflow", "Name of the workflow.", **_TEXT),
            _query("state", "Where the message stands.", type="string", enum=list(STATES)),
            _query("reason", "Code of its last verdict or outcome.", **_TEXT),
            *_PAGE,
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
        answer=_ref("Why"),
        parameters=(
            _query("contact", "External id or address of the person.", **_TEXT),
            _query("workflow", "Name of the workflow.", **_TEXT),
            _query("message", "Id of a message.", type="integer", minimum=1),
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
        answer=_ref("Results"),
        parameters=(_in_path("name", "Name of the workflow.", "win-back"),),
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
        answer=_ref("Started"),
        parameters=(
            _in_path("name", "Name of the workflow.", "win-back"),
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "Your id of this wish.",
                "schema": {"type": "string", "maxLength": 200},
            },
        ),
        body=_ref("StartIn"),
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
        answer=_page_of("Task"),
        parameters=(
            _query("state", "Open or done.", type="string", enum=["open", "done"], default="open"),
            _query("team", "Whose work it is, as the workflow's `to` says.", **_TEXT),
            _query("contact", "External id of the contact.", **_TEXT),
            *_PAGE,
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
        answer=_ref("Task"),
        parameters=(_in_path("number", "Id of the task.", "12"),),
        problems=("not-found", "invalid"),
    ),
)


@lru_cache(maxsize=1)
def document() -> Schema:
    """The whole description."""
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(f"/api/v1{operation.path}", {})[operation.method] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Percorso API",
            "version": "1.0",
            "description": "Report what happens in your systems; read what Percorso knows and did about it.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "A key of the source, `pk_live_...`."},
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "webhook-signature",
                    "description": (
                        "Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`, and the source in "
                        "`X-Percorso-Source` (or `?source=`) as `workspace/source`."
                    ),
                },
            },
        },
    }


def _described(operation: Operation) -> Schema:
    found: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"{operation.about}\n\nNeeds the scope `{operation.scope}`.",
        "security": [{"key": []}, *([{"signature": []}] if operation.signed else [])],
        "responses": {str(operation.status): _answered(operation)},
    }
    if operation.parameters:
        found["parameters"] = list(operation.parameters)
    if operation.body is not None:
        content: Schema = {"schema": operation.body}
        if operation.body_example is not None:
            content["example"] = operation.body_example
        found["requestBody"] = {"required": True, "content": {"application/json": content}}
    general = ("unauthenticated", "forbidden", "rate-limited", "internal", "unavailable")
    for name in (*operation.problems, *general):
        kind = KINDS[name]
        answer: Schema = {"description": kind.title, "content": {CONTENT_TYPE: {"schema": _ref("ProblemDetails")}}}
        if name in {"rate-limited", "unavailable"}:
            answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
        found["responses"][str(kind.status)] = answer
    return found


def _answered(operation: Operation) -> Schema:
    content: Schema = {"schema": operation.answer}
    if operation.answer_example is not None:
        content["example"] = operation.answer_example
    return {"description": operation.summary, "content": {"application/json": content}}


def _schemas() -> Schema:
    _, found = msgspec.json.schema_components((EventIn, ContactIn, Problem, Verdict, acting.StartIn), ref_template=REF)
    schemas: Schema = dict(found)
    # What shows as empty is left out of a verdict, so only these two are always there.
    schemas["Verdict"]["required"] = ["id", "status"]
    schemas["EventIn"]["examples"] = [EXAMPLE_EVENT]
    fields = {name: schema for name, schema in schemas["ContactIn"]["properties"].items() if name != "external_id"}
    schemas["ContactFields"] = {"type": "object", "description": "What is to be set.", "properties": fields}
    schemas["BookingData"] = _fields(BOOKING_FIELDS, "What `data.booking` may hold; anything else is kept too.")
    schemas["OrderData"] = _fields(ORDER_FIELDS, "What `data.order` may hold; anything else is kept too.")
    schemas["Batch"] = {
        "type": "object",
        "required": ["events"],
        "properties": {
            "events": {
                "type": "array",
                "maxItems": MOST,
                "description": "Events as EventIn describes. Whatever stands here is judged by itself.",
                "items": {"anyOf": [_ref("EventIn"), {}]},
            }
        },
    }
    schemas["Verdicts"] = {
        "type": "object",
        "required": ["counts", "events"],
        "properties": {
            "counts": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
            "events": {"type": "array", "items": _ref("Verdict"), "description": "In the order of the request."},
        },
    }
    schemas["ProblemDetails"] = {
        "type": "object",
        "description": "RFC 9457.",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string", "description": "Names a failure in our log."},
            "errors": {"type": "array", "items": _ref("Problem")},
        },
    }
    contact = _columns(Contact.__table__, reading.CONTACT)
    schemas["Contact"] = contact
    warnings = {"type": "array", "items": _ref("Problem")}
    schemas["ContactPut"] = {
        **contact,
        "required": [*contact["required"], "warnings"],
        "properties": {**contact["properties"], "warnings": warnings},
    }
    schemas["Booking"] = _columns(
        Booking.__table__, reading.BOOKING, {"contact": "External id of its contact.", "property": "Code."}
    )
    more = {"contact": "External id of its contact.", "workflow": "Name of the workflow that sent it."}
    schemas["Message"] = _columns(Message.__table__, (*reading.MESSAGE, "class"), more)
    schemas["Moment"] = {
        "type": "object",
        "required": ["at", "kind", "what", "booking", "detail"],
        "properties": {
            "at": {"type": "string", "format": "date-time"},
            "kind": {"enum": ["event", "message", "consent"]},
            "what": {"type": "string", "description": "Type of event, template of message, state of consent."},
            "booking": {"type": ["string", "null"], "description": "Reference of the booking it is about."},
            "detail": {"type": "object"},
        },
    }
    schemas["Why"] = _why()
    schemas["Results"] = result_shapes.results()
    schemas["Started"] = {
        "type": "object",
        "required": ["workflow", "contact", "status"],
        "properties": {
            "workflow": {"type": "string"},
            "contact": {"type": "string"},
            "status": {"enum": ["accepted", "duplicate"]},
        },
    }
    about = {"contact": "External id of the person.", "booking": "Reference.", "booking_status": "Where it stands."}
    schemas["Task"] = _columns(Task.__table__, acting.TASK, {**about, "workflow": "Name of the workflow."})
    return schemas


def _why() -> Schema:
    nothing: Schema = {"type": "null"}
    text: Schema = {"type": "string"}
    sentence = {"type": "object", "required": ["en", "it"], "additionalProperties": text}
    told: Schema = {
        "code": text,
        "sentence": sentence,
        "inputs": {"type": "object", "description": "What the decision was read from."},
    }
    check: Schema = {**told, "check": text, "allowed": {"type": "boolean"}, "rule": text}
    decision: Schema = {
        **told,
        "at": {"anyOf": [{"type": "string", "format": "date-time"}, nothing]},
        "stage": {"enum": list(STAGES)},
        "rule": {"type": ["string", "null"], "description": "The rule it rests on, such as R46."},
        "step": {"type": ["string", "null"]},
        "passage": {"type": ["integer", "null"], "description": "The enrollment it belongs to."},
        "link": {"anyOf": [{"type": "object", "properties": {"kind": text, "id": {}}}, nothing]},
        "checks": {
            "type": "array",
            "description": "The gate's questions in the order asked.",
            "items": {"type": "object", "required": list(check), "properties": check},
        },
    }
    found: Schema = {
        "contact": text,
        "workflow": {"type": ["string", "null"]},
        "message": {"type": ["integer", "null"]},
        "zone": {"type": "string", "description": "The clock that sentences tell moments on."},
        "cut": {"type": "boolean", "description": "Older decisions were left out."},
        "decisions": {
            "type": "array",
            "items": {"type": "object", "required": list(decision), "properties": decision},
        },
    }
    return {"type": "object", "required": list(found), "properties": found}


_FIELD_TYPES: Mapping[str, Schema] = {
    "text": {"type": "string"},
    "number": {"type": "number"},
    "money": {"type": "integer"},
    "bool": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "instant": {"type": "string", "format": "date-time"},
    "list": {"type": "array"},
    "any": {},
}


def _fields(fields: Sequence[Any], about: str) -> Schema:
    properties = {
        field.name: {**_FIELD_TYPES[field.type], **({"description": field.about} if field.about else {})}
        for field in fields
    }
    return {"type": "object", "description": about, "required": ["reference"], "properties": properties}


def _columns(table: Any, names: Sequence[str], texts: Mapping[str, str] | None = None) -> Schema:
    """The schema of an answer that shows these columns; `texts` are further fields, texts or null."""
    assert isinstance(table, Table)
    properties: Schema = {
        name: {"type": ["string", "null"], "description": about} for name, about in (texts or {}).items()
    }
    for name in names:
        column = table.columns[name]
        schema = _column_type(column.type)
        properties[name] = {"anyOf": [schema, {"type": "null"}]} if column.nullable else schema
    return {"type": "object", "required": list(properties), "properties": properties}


def _column_type(type_: Any) -> Schema:
    if isinstance(type_, DateTime):
        return {"type": "string", "format": "date-time"}
    if isinstance(type_, Date):
        return {"type": "string", "format": "date"}
    if isinstance(type_, BigInteger | Integer):
        return {"type": "integer"}
    if isinstance(type_, Boolean):
        return {"type": "boolean"}
    if isinstance(type_, ARRAY):
        return {"type": "array", "items": {"type": "string"}}
    return {"type": ["object", "array"]} if isinstance(type_, JSONB) else {"type": "string"}
