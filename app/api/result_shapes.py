"""How the API describes the results of a workflow; the figures are those of `enrollments/results.py` `as_json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]


def results() -> Schema:
    """The schema of `GET /workflows/{name}/results`."""
    number: Schema = {"type": "number"}
    count: Schema = {"type": "integer", "minimum": 0}
    name: Schema = {"type": "string"}

    def known(properties: Mapping[str, Any]) -> Schema:
        return {"type": "object", "required": list(properties), "properties": dict(properties)}

    def or_nothing(schema: Schema) -> Schema:
        return {"anyOf": [schema, {"type": "null"}]}

    interval = or_nothing(known({"estimate": number, "low": number, "high": number}))
    tally = known(
        {"people": count, "goals": count, "amount": {"type": "integer"}, "squares": number}
        | dict.fromkeys(("open", "sent", "observable", "clicked"), count)
    )
    hint = or_nothing(known({"gap": number, "smaller": count, "larger": count}))
    lift = known(
        {
            "by": {"enum": ["workflow", "workspace"], "description": "Who holds the control group out."},
            "treated": tally,
            "control": tally,
            "difference": interval,
            "relative": interval,
            "per_person": interval,
            "hint": hint,
            "verdict": {"enum": ["empty", "open", "better", "worse"]},
        }
    )
    variant = known({"name": name, "weight": count, "tally": tally, "goal": interval, "click": interval})
    instant: Schema = {"type": "string", "format": "date-time"}
    split = known(
        {
            "step_id": name,
            "variants": {"type": "array", "items": variant},
            "by": or_nothing({"enum": ["goal", "click"]}),
            "min_sample": count,
            "confidence": number,
            "opens": or_nothing(instant),
            "state": {"enum": ["running", "looked", "decided"]},
            "winner": or_nothing(name),
            "decided_at": or_nothing(instant),
            "decided_by": or_nothing(name),
            "since": {**count, "description": "People who passed after the decision."},
            "figures": {"type": "object", "description": "Counts and verdict at the look or the choice."},
            "hint": hint,
            "undoable": {"type": "boolean"},
        }
    )
    return known(
        {
            "workflow": name,
            "goal": or_nothing(name),
            "currency": name,
            "confidence": number,
            "lifts": {"type": "array", "items": lift},
            "splits": {"type": "array", "items": split},
        }
    )
