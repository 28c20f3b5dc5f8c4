"""Whether a condition speaks of fields that exist, with operators and values that fit their types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.journey.condition_lines import to_line
from app.journey.condition_tree import (
    Compare,
    Condition,
    Day,
    Did,
    Engaged,
    Group,
    Many,
    Moment,
    Money,
    Number,
    Ref,
    Single,
    Span,
    Text,
    Truth,
)
from app.journey.known import OPEN_FIELDS, PURPOSES, ROOTS, EventShape, FieldType, Known, event_shape
from app.journey.nearest import cure

_ORDER = ("<", "<=", ">", ">=", "before", "after")
_ALLOWED: Mapping[FieldType, tuple[str, ...]] = {
    "text": ("==", "!=", "in", "not in", "contains", "starts with"),
    "number": ("==", "!=", "in", "not in", "<", "<=", ">", ">="),
    "money": ("==", "!=", "<", "<=", ">", ">="),
    "bool": ("==", "!="),
    "date": ("==", "!=", *_ORDER, "within", "within next", "within last"),
    "instant": (*_ORDER, "within", "within next", "within last"),
    "list": ("has", "has not"),
}
_ENGAGEMENT = {"message.clicked": "clicked", "message.opened": "opened"}
_CONSENTS = ("granted", "denied", "withdrawn", "pending")


@dataclass(frozen=True, slots=True)
class ConditionProblem:
    """Something wrong with a line that reads well: a name or a type."""

    code: str
    message: str
    cure: str
    part: str = ""
    """The word of the line it is about, by which its column is found."""


def operators(kind: FieldType) -> tuple[str, ...]:
    """The operators that suit a field of this type."""
    every = tuple(dict.fromkeys(name for some in _ALLOWED.values() for name in some))
    return (*_ALLOWED.get(kind, every), "is known", "is unknown")


def type_of(path: str, known: Known, events: Iterable[EventShape] = ()) -> FieldType | None:
    """The type of a path, or None where there is no such field. `event.x` is looked up in the given events."""
    if path == "now":
        return "instant"
    if path in known.barred:
        return None
    if path in known.fields:
        return known.fields[path]
    root, _, rest = path.partition(".")
    if root == "consent" and rest:
        return "text" if known.topics is None or rest in known.topics or rest in PURPOSES else None
    if root == "event" and rest:
        shapes = list(events)
        types = {shape.fields[rest] for shape in shapes if rest in shape.fields}
        if types:
            return types.pop() if len(types) == 1 else "any"
        return "any" if not shapes or any(shape.open for shape in shapes) else None
    return "any" if any(path.startswith(prefix) and path != prefix for prefix in OPEN_FIELDS) else None


def names(known: Known, events: Iterable[EventShape] = ()) -> list[str]:
    """Every path a condition may name."""
    topics = [f"consent.{topic}" for topic in known.topics or ()]
    return sorted({*known.fields, *topics, *(f"event.{name}" for shape in events for name in shape.fields)})


def check(
    condition: Condition, known: Known, events: Iterable[EventShape] = (), steps: Iterable[str] | None = None
) -> list[ConditionProblem]:
    """Names and types against what is known.

    `events` are those that `event.x` may be read from, `steps` the ids of the steps that send.
    """
    shapes = list(events)
    if isinstance(condition, Group):
        return [problem for one in condition.conditions for problem in check(one, known, shapes, steps)]
    if isinstance(condition, Engaged):
        ids = None if steps is None else list(steps)
        if ids is None or condition.step in ids:
            return []
        message = f"{condition.act} names the step {condition.step}, which does not exist or sends nothing"
        return [ConditionProblem("unknown-step", message, cure(condition.step, ids), condition.step)]
    if isinstance(condition, Did):
        return _check_did(condition, known)
    return _check_compare(condition, known, shapes)


def _check_did(condition: Did, known: Known) -> list[ConditionProblem]:
    """The event must be one there is; what was done with a message is asked by its step, since it may not be known."""
    name = condition.event
    if name in _ENGAGEMENT:
        message = f"{name} cannot be known of those who are not tracked"
        return [ConditionProblem("engagement", message, f"write {_ENGAGEMENT[name]} and the id of a step", name)]
    if event_shape(name, known.events) is not None:
        return []
    else_say = "an event of your own is called custom.<name>"
    return [ConditionProblem("unknown-event", f"there is no event {name}", cure(name, known.events, else_say), name)]


def _check_compare(condition: Compare, known: Known, events: list[EventShape]) -> list[ConditionProblem]:
    kind = type_of(condition.field, known, events)
    if kind is None:
        return [_unknown_field(condition.field, known, events)]
    if kind == "any" or condition.operator in ("is known", "is unknown"):
        return []
    if condition.operator not in _ALLOWED[kind]:
        allowed = ", ".join((*_ALLOWED[kind], "is known", "is unknown"))
        message = f"{condition.field} is {_A[kind]}; {condition.operator} does not fit"
        return [ConditionProblem("wrong-operator", message, f"one of: {allowed}", condition.operator)]
    values = condition.value.values if isinstance(condition.value, Many) else (condition.value,)
    problems = []
    for value in values:
        if value is not None:
            problems += _check_value(condition.field, kind, value, known, events)
    return problems


_A: Mapping[FieldType, str] = {
    "text": "a text",
    "number": "a number",
    "money": "an amount of money",
    "bool": "true or false",
    "date": "a day",
    "instant": "an instant",
    "list": "a list",
    "any": "of any type",
}


def _check_value(
    field: str, kind: FieldType, value: Single, known: Known, events: list[EventShape]
) -> list[ConditionProblem]:
    written = to_line(Compare(field, "==", value)).removeprefix(f"{field} == ")
    if isinstance(value, Ref):
        other = type_of(value.path, known, events)
        if other is None:
            return [_unknown_field(value.path, known, events)]
        fits = other in ("any", kind) or {other, kind} <= {"date", "instant"}
        if not value.offset.zero and other not in ("date", "instant", "any"):
            message = f"{value.path} is {_A[other]}; only days and instants can be moved by a time"
            return [ConditionProblem("wrong-type", message, "", value.path)]
        kinds = _A[other]
    else:
        fits = isinstance(value, _FITTING[kind])
        kinds = {
            Text: "a text",
            Number: "a number",
            Money: "an amount of money",
            Truth: "true or false",
            Day: "a day",
            Moment: "an instant",
            Span: "a length of time",
        }[type(value)]
    if not fits:
        message = f"{field} is {_A[kind]}, {written} is {kinds}"
        return [ConditionProblem("wrong-type", message, _EXAMPLE_OF.get(kind, ""), written)]
    root, _, topic = field.partition(".")
    if root == "consent" and isinstance(value, Text) and value.text not in _CONSENTS:
        message = f"consent.{topic} is never {written}"
        return [ConditionProblem("wrong-value", message, cure(value.text, _CONSENTS), written)]
    return []


_FITTING: Mapping[FieldType, tuple[type, ...]] = {
    "text": (Text,),
    "number": (Number,),
    "money": (Money,),
    "bool": (Truth,),
    "date": (Day, Moment, Span),
    "instant": (Day, Moment, Span),
    "list": (Text, Number),
    "any": (Text, Number, Money, Truth, Day, Moment, Span),
}
_EXAMPLE_OF: Mapping[FieldType, str] = {
    "text": 'put it in quotes: "12"',
    "number": "write a number, such as 3",
    "money": "write an amount with its currency, such as 120 EUR",
    "bool": "write true or false",
    "date": "write a day such as 2026-12-24, or now, or another date field",
    "instant": "write now, now - 3 days, or a day such as 2026-12-24",
}


def _unknown_field(path: str, known: Known, events: list[EventShape]) -> ConditionProblem:
    root = path.split(".", maxsplit=1)[0]
    candidates = names(known, events)
    if root == "event":
        candidates = [name for name in candidates if name.startswith("event.")] or candidates
        heard = ", ".join(sorted(shape.name for shape in events))
        return ConditionProblem(
            "unknown-field", f"{heard or 'the event'} has no field {path}", cure(path, candidates), path
        )
    else_say = "a field starts with " + ", ".join(ROOTS)
    return ConditionProblem("unknown-field", f"there is no field {path}", cure(path, candidates, else_say), path)
