"""The schemas of answers about segments and broadcasts; part of `description`."""

from __future__ import annotations

from typing import Any

from app.api.operation import Schema

_COUNT: Schema = {"type": "integer", "minimum": 0}
_REASONS: Schema = {"type": "object", "additionalProperties": _COUNT, "description": "Code of the reason: people."}


def schemas(segment: Schema, broadcast: Schema) -> dict[str, Any]:
    """By name. `segment` and `broadcast` are those of their columns."""
    text: Schema = {"type": ["string", "null"]}
    count = _of({"people": _COUNT, "may": _COUNT, "later": _COUNT, "refused": _REASONS, "done": {"type": "boolean"}})
    names = ("sent", "to_come", "delivered", "bounced", "complained", "clicked", "machines")
    results = _of({**dict.fromkeys(names, _COUNT), "refused": _REASONS})
    more = {"count": {"anyOf": [count, {"type": "null"}]}, "results": results}
    return {
        "Segment": segment,
        "Member": _of({"contact": text, "email": text, "since": {"type": "string", "format": "date-time"}}),
        "SegmentCount": _of(
            {
                "people": {**_COUNT, "description": "Everybody who was looked at."},
                "inside": _COUNT,
                "unknown": _COUNT,
                "at": {"type": "string", "format": "date-time"},
            }
        ),
        "Broadcast": broadcast,
        "BroadcastTold": {
            **broadcast,
            "required": [*broadcast["required"], *more],
            "properties": {**broadcast["properties"], **more},
        },
    }


def _of(properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}
