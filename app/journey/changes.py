"""What differs between two sources of a workflow, told by step: added, removed, moved, which fields changed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

Kind = Literal["added", "removed", "changed", "moved"]

WHOLE = ""
"""In the place of a step id: the workflow itself (its entry, exits, goal and so on)."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of a step: as it was and as it is, in the words of the file; None where it was not there."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class StepChange:
    """What became of one step. `after` is the id of the step before it in the file, for what was added or moved."""

    step: str
    kind: Kind
    fields: tuple[FieldChange, ...] = ()
    after: str | None = None


def changes(before: str, after: str) -> tuple[StepChange, ...]:
    """What turned one source into the other, in the order of the new file, what was removed at the end.

    Works on any YAML, also on a draft that does not check; a source that is no YAML at all has no steps.
    """
    old, new = _steps(before), _steps(after)
    kept = _order_kept([step for step in old if step in new], [step for step in new if step in old])
    found: list[StepChange] = []
    previous: str | None = None
    for step, fields in new.items():
        if step not in old:
            found.append(StepChange(step, "added", _fields({}, fields), previous))
        elif differing := _fields(old[step], fields):
            found.append(StepChange(step, "changed", differing, None if step in kept else previous))
        elif step not in kept:
            found.append(StepChange(step, "moved", (), previous))
        previous = step or None
    found += [StepChange(step, "removed", _fields(fields, {})) for step, fields in old.items() if step not in new]
    return tuple(found)


def _order_kept(old: list[str], new: list[str]) -> set[str]:
    blocks = SequenceMatcher(a=old, b=new, autojunk=False).get_matching_blocks()
    return {step for block in blocks for step in old[block.a : block.a + block.size]}


def _steps(source: str) -> dict[str, Mapping[str, Any]]:
    """Step id → its own fields, without the steps inside it; the workflow's own come first."""
    try:
        document = YAML(typ="safe").load(source)
    except YAMLError:
        return {}
    if not isinstance(document, dict):
        return {}
    found: dict[str, Mapping[str, Any]] = {WHOLE: {name: value for name, value in document.items() if name != "steps"}}
    for step in _walk(document.get("steps")):
        found.setdefault(str(step["id"]), {name: _shallow(value) for name, value in step.items() if name != "id"})
    return found


def _walk(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        for one in value:
            yield from _walk(one)
    elif isinstance(value, dict):
        if "id" in value:
            yield value
        for one in value.values():
            if isinstance(one, dict | list):
                yield from _walk(one)


def _shallow(value: Any) -> Any:
    """A value without the steps inside it: of a lane only its condition is the branch's own."""
    if isinstance(value, list):
        return [_shallow(one) for one in value if not (isinstance(one, dict) and "id" in one)]
    if isinstance(value, dict):
        return {name: _shallow(one) for name, one in value.items() if name != "steps"}
    return value


def _fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    names = [*after, *(name for name in before if name not in after)]
    return tuple(
        FieldChange(name, _said(before, name), _said(after, name))
        for name in names
        if before.get(name) != after.get(name) or (name in before) != (name in after)
    )


def _said(fields: Mapping[str, Any], name: str) -> str | None:
    return _inline(fields[name]) if name in fields else None


def _inline(value: Any) -> str:
    """A value on one line, as a person would write it."""
    match value:
        case dict():
            return "{ " + ", ".join(f"{key}: {_inline(one)}" for key, one in value.items()) + " }" if value else "{}"
        case list():
            return "[" + ", ".join(_inline(one) for one in value) + "]"
        case bool():
            return "true" if value else "false"
        case None:
            return "–"
        case _:
            return str(value)
