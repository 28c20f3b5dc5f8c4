"""JSON Schema (2020-12) of workflow and story documents, so that an editor completes, explains and checks.

Made from the models, whose docstrings become the descriptions. Names that somebody has to exist are listed where they
are known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import TypeAdapter

from app.journey.checking.ground import OWN, WAYS_IN
from app.journey.known import CUSTOM, Known
from app.journey.model import Workflow
from app.journey.stories import Story

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def of_workflows(known: Known | None = None) -> dict[str, Any]:
    """The schema of a workflow document; with `known`, events, templates, topics and segments are completed by name."""
    schema = _plain(Workflow.model_json_schema(by_alias=True))
    if known is not None:
        _name(schema, known)
    return {"$schema": _DIALECT, "title": "Percorso workflow", **schema}


def of_stories() -> dict[str, Any]:
    """The schema of a file of stories."""
    schema = _plain(TypeAdapter(list[Story]).json_schema(by_alias=True))
    return {"$schema": _DIALECT, "title": "Percorso stories", **schema}


def _plain(node: Any, *, names: bool = False) -> Any:
    """Without what only says in other words that a key may be left out: titles made of names, null and its default."""
    if isinstance(node, list):
        return [_plain(one) for one in node]
    if not isinstance(node, Mapping):
        return node
    plain = {
        key: _plain(value, names=key in ("properties", "$defs"))
        for key, value in node.items()
        if names or not (key == "title" or (key == "default" and value in (None, [], {})))
    }
    if not names and isinstance(plain.get("anyOf"), list):
        return _without_null(plain)
    return plain


def _without_null(plain: dict[str, Any]) -> dict[str, Any]:
    forms = [form for form in plain["anyOf"] if form != {"type": "null"}]
    if len(forms) == 1:
        rest = {key: value for key, value in plain.items() if key != "anyOf"}
        return {**forms[0], **rest}
    return {**plain, "anyOf": forms}


def _name(schema: dict[str, Any], known: Known) -> None:
    """Put the names there are where they may stand."""
    blocks: Mapping[str, Any] = schema["$defs"]
    events = sorted({*known.events, *(name for name in OWN if "." in name)})
    own = {"type": "string", "pattern": rf"^{CUSTOM[:-1]}\.", "description": "An event of your own."}
    for block in ("Entry", "ExitRule", "Goal"):
        ways = [*WAYS_IN, *events] if block == "Entry" else events
        _choose(blocks[block], "on", {"enum": ways}, own)
    on = {"anyOf": [{"enum": events}, own]}
    _choose(blocks["Awaited"], "on", on, {"type": "array", "items": on, "minItems": 1})
    for names, places in (
        (known.templates, (("Send", "send"), ("Renewed", "send"), ("ConsentBody", "template"))),
        (known.topics, (("Send", "topic"), ("Entry", "topic"), ("ExitRule", "topic"), ("ConsentBody", "topic"))),
        (known.segments, (("Entry", "segment"),)),
        (known.workflows, (("StartBody", "workflow"), ("StopBody", "workflow"))),
        (known.endpoints, (("WebhookBody", "endpoint"),)),
        (known.senders, (("Send", "sender"),)),
    ):
        _listed(blocks, names, places)


def _listed(blocks: Mapping[str, Any], names: Collection[str] | None, places: Collection[tuple[str, str]]) -> None:
    for block, field in places if names else ():
        _choose(blocks[block], field, {"enum": sorted(names or ())})


def _choose(block: Mapping[str, Any], field: str, *forms: Mapping[str, Any]) -> None:
    said = block["properties"][field].get("description", "")
    block["properties"][field] = (
        {"description": said, "anyOf": list(forms)}
        if len(forms) > 1
        else {
            "description": said,
            **forms[0],
        }
    )
