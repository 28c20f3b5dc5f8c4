"""A workflow document becomes a checked model; what is wrong is told with file, line, column and cure.

`read` is the only way in. YAML 1.2 by ruamel (comments and order stay for later edits of the same document), shape by
the models of `model`, meaning by `checks`.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent

from app.journey.checks import check
from app.journey.known import Known
from app.journey.model import BLOCKS, LATER, LATER_KEYS, STEPS, Block, Workflow, keys_of
from app.journey.nearest import cure
from app.journey.places import LanguageError, Path, Places, Problem, plain

__all__ = ["LanguageError", "Problem", "Workflow", "json_schema", "load", "read"]

_LARGEST = 256_000
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


def read(text: str, *, file: str, known: Known) -> Workflow:
    """The workflow in a document; raises LanguageError with every problem found."""
    root = load(text, file)
    places = Places(file, text, root)
    try:
        workflow = Workflow.model_validate(plain(root))
    except ValidationError as error:
        raise LanguageError([_told(details, places) for details in error.errors()]) from None
    problems = check(workflow, known, places)
    if problems:
        raise LanguageError(problems)
    return workflow


def load(text: str, file: str) -> Any:
    """The document with comments, order and positions; raises LanguageError where it is no YAML mapping."""
    if len(text) > _LARGEST:
        raise LanguageError([Problem(file, 1, 1, "", "too-large", f"the file is larger than {_LARGEST} characters")])
    try:
        if "*" in text:
            _refuse_aliases(text, file)
        root = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        raise LanguageError([_unreadable(error, file)]) from None
    except (YAMLError, ValueError) as error:
        raise LanguageError([Problem(file, 1, 1, "", "yaml", str(error).splitlines()[0])]) from None
    if not isinstance(root, dict):
        message = "a workflow is a mapping of keys and values"
        raise LanguageError([Problem(file, 1, 1, "", "wrong-type", message, "start with workflow: its-name")])
    return root


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a workflow document, for editors that complete and check."""
    schema = Workflow.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _refuse_aliases(text: str, file: str) -> None:
    """Aliases make a step stand in two places with one id, and can swell a small file beyond all bounds."""
    for event in YAML(typ="rt").parse(text):
        if isinstance(event, AliasEvent):
            mark = event.start_mark
            message = "YAML aliases (*name) are not for workflows"
            raise LanguageError([Problem(file, mark.line + 1, mark.column + 1, "", "alias", message, "write it out")])


def _unreadable(error: MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    message = (error.problem or "cannot be read as YAML").split("\n")[0]
    help_ = "put the whole condition in quotes where it holds [ ] or a colon" if "flow" in str(error.context) else ""
    if "duplicate key" in message:
        message, help_ = re.sub(r" with value.*| \(original.*", "", message), "keep one of them"
    return Problem(file, line, column, "", "yaml", message, help_)


def _told(details: ErrorDetails, places: Places) -> Problem:
    """One pydantic error in our words, at its place."""
    loc: Path = details["loc"]
    path = tuple(part for part in loc if not str(part).startswith("step:"))
    kind, context = details["type"], details.get("ctx") or {}
    name = next((str(part) for part in reversed(path) if isinstance(part, str)), "this")
    if kind == "extra_forbidden":
        return _unknown_key(loc, path, places)
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
        return places.problem(path, "empty", f"{name} is empty", "add at least one")
    return places.problem(path, "wrong-value", f"{name}: " + details["msg"].removeprefix("Value error, "))


def _quote(value: Any, kind: str) -> str:
    if kind == "string_type" and isinstance(value, (int, float, bool)):
        return f'write it in quotes: "{value}"'
    return ""


def _unknown_key(loc: Path, path: Path, places: Places) -> Problem:
    key = str(path[-1])
    block = _block(loc[:-1])
    if key in LATER_KEYS and block is Workflow:
        return places.problem(path, "not-yet", f"{key} is not available yet", f"remove {key}", on_key=True)
    if key in STEPS and block in STEPS.values():
        message = f"a step does one thing; {key} stands beside another"
        return places.problem(path, "two-in-one", message, f"make {key} a step of its own", on_key=True)
    return places.problem(path, "unknown-key", f"unknown key {key}", cure(key, keys_of(block)), on_key=True)


def _block(loc: Path) -> type[Block]:
    """The model that the keys at this place belong to."""
    for part in reversed(loc):
        if isinstance(part, str):
            return STEPS[part[5:]] if part.startswith("step:") else BLOCKS.get(part, Workflow)
    return Workflow


def _no_kind(path: Path, places: Places) -> Problem:
    step = places.at(path)
    keys = [str(key) for key in step] if isinstance(step, dict) else []
    for key in keys:
        if key in LATER:
            message = f"the step {key} is not available yet"
            return places.problem((*path, key), "not-yet", message, "one of: " + ", ".join(STEPS), on_key=True)
    strange = [key for key in keys if key not in ("id", "class", "topic")]
    if strange:
        message = f"unknown kind of step: {strange[0]}"
        return places.problem((*path, strange[0]), "unknown-step-kind", message, cure(strange[0], STEPS), on_key=True)
    return places.problem(path, "no-step-kind", "a step says what it does", "one of: " + ", ".join(STEPS))
