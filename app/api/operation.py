"""One operation of the API as its description has it, and the parts that several share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.api import pages

Schema = dict[str, Any]

REF = "#/components/schemas/{name}"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path."""

    method: str
    path: str
    name: str
    summary: str
    about: str
    scope: str | None
    """What a key must allow; None: it is open to everybody, and no key is looked at."""
    status: int
    answer: Schema
    parameters: Sequence[Schema] = ()
    body: Schema | None = None
    body_example: Any = None
    body_type: str = "application/json"
    problems: Sequence[str] = ()
    signed: bool = False
    curl: str = ""
    answer_example: Any = field(default=None)


def ref(name: str) -> Schema:
    """A schema of the description by its name."""
    return {"$ref": REF.format(name=name)}


def in_path(name: str, about: str, example: str) -> Schema:
    """A part of the path."""
    schema = {"type": "string", "minLength": 1, "maxLength": 200}
    return {"name": name, "in": "path", "required": True, "description": about, "schema": schema, "example": example}


def query(name: str, about: str, **schema: Any) -> Schema:
    """A parameter behind the question mark."""
    return {"name": name, "in": "query", "required": False, "description": about, "schema": {**schema}}


IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Your id of this wish: sent again with the same body it changes nothing and is answered the same.",
    "schema": {"type": "string", "maxLength": 200},
}
TEXT = {"type": "string", "maxLength": 200}
PAGE = (
    query("limit", "Rows of a page.", type="integer", minimum=1, maximum=pages.MOST, default=pages.DEFAULT),
    query("cursor", "`next` of the page before.", type="string"),
)


def page_of(name: str) -> Schema:
    """A page of rows of this schema."""
    rows = {"type": "array", "items": ref(name)}
    following = {"type": ["string", "null"], "description": "Cursor of the page after this one; null on the last."}
    return {"type": "object", "required": ["data", "next"], "properties": {"data": rows, "next": following}}
