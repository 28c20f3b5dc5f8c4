"""The API described in OpenAPI 3.1: made from the very types that read requests and the columns that answers show.

What cannot be read off a type is said in `operations`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import ARRAY, BigInteger, Boolean, Date, DateTime, Integer, Table
from sqlalchemy.dialects.postgresql import JSONB

from app.api import (
    acting,
    audience,
    audience_shapes,
    broadcasting,
    form_operations,
    import_operations,
    importing,
    reading,
    result_shapes,
)
from app.api.operations import EXAMPLE_EVENT, OPERATIONS, REF, Operation, Schema, ref
from app.api.problems import CONTENT_TYPE, KINDS
from app.audience.models import Segment
from app.contacts.models import Booking, Contact
from app.enrollments.decisions import STAGES
from app.enrollments.models import Task
from app.events.catalogue import BOOKING_FIELDS, ORDER_FIELDS
from app.events.incoming import MOST, ContactIn, EventIn, Problem, Verdict
from app.messages.models import Broadcast, Message

BODIES = (
    *(audience.SegmentIn, audience.CountIn, broadcasting.BroadcastIn, broadcasting.ScheduleIn),
    *(importing.MappingIn, importing.ConfirmIn),
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
        "description": operation.about + (f"\n\nNeeds the scope `{operation.scope}`." if operation.scope else ""),
        "security": [{"key": []}, *([{"signature": []}] if operation.signed else [])] if operation.scope else [],
        "responses": {str(operation.status): _answered(operation)},
    }
    if operation.parameters:
        found["parameters"] = list(operation.parameters)
    if operation.body is not None:
        content: Schema = {"schema": operation.body}
        if operation.body_example is not None:
            content["example"] = operation.body_example
        found["requestBody"] = {"required": True, "content": {operation.body_type: content}}
    known = ("unauthenticated", "forbidden", "rate-limited") if operation.scope else ()
    for name in (*operation.problems, *known, "internal", "unavailable"):
        kind = KINDS[name]
        answer: Schema = {"description": kind.title, "content": {CONTENT_TYPE: {"schema": ref("ProblemDetails")}}}
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
    types = (EventIn, ContactIn, Problem, Verdict, acting.StartIn, *BODIES)
    _, found = msgspec.json.schema_components(types, ref_template=REF)
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
                "items": {"anyOf": [ref("EventIn"), {}]},
            }
        },
    }
    schemas["Verdicts"] = {
        "type": "object",
        "required": ["counts", "events"],
        "properties": {
            "counts": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
            "events": {"type": "array", "items": ref("Verdict"), "description": "In the order of the request."},
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
            "errors": {"type": "array", "items": ref("Problem")},
        },
    }
    contact = _columns(Contact.__table__, reading.CONTACT)
    schemas["Contact"] = contact
    warnings = {"type": "array", "items": ref("Problem")}
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
    schemas |= form_operations.schemas()
    schemas |= import_operations.schemas()
    schemas |= audience_shapes.schemas(
        _columns(Segment.__table__, audience.SEGMENT), _columns(Broadcast.__table__, (*broadcasting.BROADCAST, "class"))
    )
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
