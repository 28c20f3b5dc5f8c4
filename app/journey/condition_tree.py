"""What a condition is once read: a plain, frozen tree that goes to JSON and back.

The same tree is evaluated for one person (`conditions.evaluate`) and compiled to SQL for a segment, so nothing in it
may depend on Python.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from app.journey.durations import NO_TIME, Duration

Operator = Literal[
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "in",
    "not in",
    "has",
    "has not",
    "is known",
    "is unknown",
    "contains",
    "starts with",
    "within",
    "within next",
    "within last",
    "before",
    "after",
]


@dataclass(frozen=True, slots=True)
class Text:
    """A word or a quoted text."""

    text: str
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class Number:
    """A whole or decimal number."""

    number: int | float
    kind: Literal["number"] = "number"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount with its currency, in minor units: `120 EUR` is 12000 EUR."""

    minor: int
    currency: str
    kind: Literal["money"] = "money"


@dataclass(frozen=True, slots=True)
class Truth:
    """true or false."""

    truth: bool
    kind: Literal["truth"] = "truth"


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day."""

    day: date
    kind: Literal["day"] = "day"


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant, with its offset from UTC."""

    instant: datetime
    kind: Literal["moment"] = "moment"


@dataclass(frozen=True, slots=True)
class Ref:
    """Another field, or `now`, moved by an offset: `booking.arrival - 7 days`."""

    path: str
    offset: Duration = NO_TIME
    kind: Literal["ref"] = "ref"


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time, as in `within 7 days`."""

    duration: Duration
    kind: Literal["span"] = "span"


Single = Annotated[Text | Number | Money | Truth | Day | Moment | Ref | Span, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Many:
    """The values of `in [it, de]`."""

    values: tuple[Single, ...]
    kind: Literal["many"] = "many"


Value = Annotated[
    Text | Number | Money | Truth | Day | Moment | Ref | Span | Many,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, slots=True)
class Compare:
    """`field operator value`; `is known` and `is unknown` have no value."""

    field: str
    operator: Operator
    value: Value | None = None
    kind: Literal["compare"] = "compare"


@dataclass(frozen=True, slots=True)
class Engaged:
    """`clicked <step> within 7 days`: what a person did with the message of a step of this passage."""

    act: Literal["clicked", "opened"]
    step: str
    within: Duration | None = None
    kind: Literal["engaged"] = "engaged"


@dataclass(frozen=True, slots=True)
class Did:
    """`did <event> at least 2 times within 365 days`: what has happened to a person, whatever it was about."""

    event: str
    times: int = 1
    within: Duration | None = None
    negated: bool = False
    """`not did`: it has not happened so often."""
    kind: Literal["did"] = "did"


@dataclass(frozen=True, slots=True)
class Group:
    """Several conditions: all of them, any of them, or none of them."""

    join: Literal["all", "any", "none"]
    conditions: tuple[Condition, ...]
    kind: Literal["group"] = "group"


Condition = Annotated[Compare | Engaged | Did | Group, Field(discriminator="kind")]

DID = "did."
"""What the paths begin with that stand for what has happened: `did.booking.confirmed`."""

ALWAYS = Group("all", ())
"""The condition of no lines: true."""

_ADAPTER: TypeAdapter[Any] = TypeAdapter(Condition)


def to_json(condition: Condition) -> dict[str, Any]:
    """The tree as JSON values."""
    tree: dict[str, Any] = _ADAPTER.dump_python(condition, mode="json")
    return tree


def from_json(tree: dict[str, Any]) -> Condition:
    """The tree back from what `to_json` gave; raises pydantic.ValidationError where it is none."""
    condition: Condition = _ADAPTER.validate_python(tree)
    return condition


def constant(value: Single) -> Any:
    """A written value as Python has it; None for a length of time, money and references, which have rules of theirs."""
    match value:
        case Text():
            return value.text
        case Number():
            return value.number
        case Truth():
            return value.truth
        case Day():
            return value.day
        case Moment():
            return value.instant
        case _:
            return None


def fields(condition: Condition) -> frozenset[str]:
    """Every path the condition reads, without `now`."""
    return frozenset(path for path in _paths(condition) if path != "now")


def _paths(condition: Condition) -> Iterable[str]:
    match condition:
        case Group():
            for one in condition.conditions:
                yield from _paths(one)
        case Engaged():
            yield f"engagement.{condition.act}.{condition.step}"
        case Did():
            yield DID + condition.event
        case Compare():
            yield condition.field
            values = condition.value.values if isinstance(condition.value, Many) else (condition.value,)
            yield from (value.path for value in values if isinstance(value, Ref))


def segments_in(condition: Condition) -> frozenset[str]:
    """The segments that it asks about by name."""
    match condition:
        case Group():
            return frozenset(name for one in condition.conditions for name in segments_in(one))
        case Compare(field="contact.segments", value=Text() as named):
            return frozenset({named.text})
        case _:
            return frozenset()


def rests_on_engagement(condition: Condition) -> bool:
    """Whether it may be None: some line asks what a person did with a message."""
    return any(path.startswith("engagement.") for path in _paths(condition))
