"""What pydantic found, told in our words at its line and column, with a cure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pydantic_core import ErrorDetails

from app.journey.model import BLOCKS, LATER, LATER_KEYS, STEPS, Block, Workflow, keys_of
from app.journey.nearest import cure
from app.journey.places import Path, Places, Problem

_TYPES = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of keys and values",
    "model_type": "a mapping of keys and values",
    "model_attributes_type": "a mapping of keys and values",
}
_MISSING = {
    "id": "add id: a-short-name, which never changes its meaning",
    "workflow": "add workflow: the-name-of-this-file",
    "phase": "one of: awareness, reviews, consideration, retention, advocacy",
    "class": "one of: transactional, feedback, marketing, consent_request",
    "entry": "add entry: with at least one - on: <event>",
    "steps": "add steps: with at least one step",
    "on": "add on: <event>",
}

_KINDS = "one of: " + ", ".join(STEPS)


def block_of(loc: Path) -> type[Block]:
    """The model that the keys at a place of a workflow belong to."""
    for part in reversed(loc):
        if isinstance(part, str):
            return STEPS[part[5:]] if part.startswith("step:") else BLOCKS.get(part, Workflow)
    return Workflow


def told(details: ErrorDetails, places: Places, block_of: Callable[[Path], type[Block]] = block_of) -> Problem:
    """One pydantic error in our words, at its place."""
    loc: Path = details["loc"]
    path = tuple(part for part in loc if not str(part).startswith("step:"))
    kind, context = details["type"], details.get("ctx") or {}
    name = next((str(part) for part in reversed(path) if isinstance(part, str)), "this")
    if kind == "extra_forbidden":
        return _unknown_key(path, places, block_of(loc[:-1]))
    if kind == "missing":
        missing = str(path[-1])
        return places.problem(path[:-1], "missing", f"{missing} is missing", _MISSING.get(missing, f"add {missing}:"))
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return _no_kind(path, places)
    if kind == "literal_error":
        expected = [part.strip("' ") for part in re.split(r",| or ", str(context.get("expected", "")))]
        value = details["input"]
        return places.problem(path, "wrong-value", f"{name} cannot be {value!r}", cure(str(value), expected))
    if kind in _TYPES:
        return places.problem(path, "wrong-type", f"{name} must be {_TYPES[kind]}", _quote(details["input"], kind))
    if kind == "string_pattern_mismatch":
        message = f"{details['input']!r} is no name for {name}"
        return places.problem(
            path, "wrong-name", message, "small letters, digits and single dashes, such as week-before"
        )
    if kind == "too_short":
        least = int(context.get("min_length", 1))
        if least > 1:
            return places.problem(path, "empty", f"{name} needs {least} at least", f"add at least {least}")
        return places.problem(path, "empty", f"{name} is empty", "add at least one")
    return places.problem(path, "wrong-value", f"{name}: " + details["msg"].removeprefix("Value error, "))


def _quote(value: Any, kind: str) -> str:
    if kind == "string_type" and isinstance(value, (int, float, bool)):
        return f'write it in quotes: "{value}"'
    if kind == "string_type" and value is None:
        return "write a text; one that holds a comma or a colon stands in quotes"
    return ""


def _unknown_key(path: Path, places: Places, block: type[Block]) -> Problem:
    key = str(path[-1])
    if key in LATER_KEYS and block is Workflow:
        return places.problem(path, "not-yet", f"{key} is not available yet", f"remove {key}", on_key=True)
    if key in STEPS and block in STEPS.values():
        message = f"a step does one thing; {key} stands beside another"
        return places.problem(path, "two-in-one", message, f"make {key} a step of its own", on_key=True)
    return places.problem(path, "unknown-key", f"unknown key {key}", cure(key, keys_of(block)), on_key=True)


def _no_kind(path: Path, places: Places) -> Problem:
    step = places.at(path)
    keys = [str(key) for key in step] if isinstance(step, dict) else []
    for key in keys:
        if key in LATER:
            message = f"the step {key} is not available yet"
            return places.problem((*path, key), "not-yet", message, _KINDS, on_key=True)
    strange = [key for key in keys if key not in ("id", "class", "topic")]
    if strange:
        message = f"unknown kind of step: {strange[0]}"
        return places.problem(
            (*path, strange[0]), "unknown-step-kind", message, cure(strange[0], STEPS, _KINDS), on_key=True
        )
    return places.problem(path, "no-step-kind", "a step says what it does", _KINDS)
