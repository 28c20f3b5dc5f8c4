"""The small types of the workflow language: how a length of time, a clock time or a list of names is written.

Each reads strictly, says what to write where it cannot, and tells editors (JSON Schema) every form it takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import CoreSchema

from app.journey.durations import Duration
from app.journey.durations import parse as parse_duration
from app.journey.schedules import RuleError
from app.journey.schedules import read as read_rule

_SLUG = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)$")
_PATH = r"^[a-z_]+(\.[\w-]+)+$"


class Block(BaseModel):
    """A mapping of the document: no unknown keys, no guessed types."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, populate_by_name=True, use_attribute_docstrings=True
    )


def read_duration(value: Any) -> Duration:
    """A length of time out of a document; raises ValueError with what to write."""
    if not isinstance(value, str):
        raise ValueError("a length of time is a text such as 3 days")  # noqa: TRY004 - pydantic takes ValueError only
    return parse_duration(value)


def _read_working(value: Any) -> Duration:
    if not isinstance(value, str):
        raise ValueError("a length of time is a text such as 3 days")  # noqa: TRY004 - pydantic takes ValueError only
    return parse_duration(value, business=True)


def read_clock(value: Any) -> time:
    """A clock time out of a document; raises ValueError with what to write."""
    match = _CLOCK.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('a clock time is written "16:00", in quotes')
    return time(int(match[1]), int(match[2]))


def _read_day(value: Any) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError("a day is written 2026-12-24")


def _read_recurrence(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a recurrence is a text such as FREQ=WEEKLY;BYDAY=MO")  # noqa: TRY004 - as above
    try:
        read_rule(value)
    except RuleError as error:
        raise ValueError(str(error)) from None
    return value


def _read_percent(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch(r"\d{1,3}\s*%", value):
        return int(value.rstrip("% "))
    return value


def listed(value: Any) -> Any:
    """One name as a list of one."""
    return [value] if isinstance(value, str) else value


@dataclass(frozen=True, slots=True, eq=False)
class Also:
    """Tells editors of a second way of writing a value, which a validator before it understands."""

    form: Mapping[str, Any]

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Both forms, the short one first."""
        return {"anyOf": [dict(self.form), handler(schema)]}


def short_for(key: str) -> BeforeValidator:
    """`wait: 3 days` is short for `wait: { for: 3 days }`."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


A_LENGTH = Also({"type": "string", "examples": ["3 days", "2 business days", "2 hours"]})
"""The short form is a length of time."""

A_TEXT = Also({"type": "string"})
"""The short form is any text."""

_CONDITION_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "examples": ["booking.nights >= 3", "contact.language in [it, de]"]},
        {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "object"}]}},
        {
            "type": "object",
            "properties": {join: {"type": "array", "items": {}} for join in ("all", "any", "none")},
            "additionalProperties": False,
        },
    ],
}
ConditionSource = Annotated[Any, WithJsonSchema(_CONDITION_SCHEMA)]
"""As written; `checks` reads it, since only there are names, types and columns known."""

_DURATION = {"type": "string", "examples": ["3 days", "-7 days", "2 hours"]}
_WORKING = {"type": "string", "examples": ["3 days", "2 business days", "2 hours"]}
Length = Annotated[Duration, PlainValidator(read_duration), WithJsonSchema(_DURATION)]
"""A length of time: `3 days`."""
WorkingLength = Annotated[Duration, PlainValidator(_read_working), WithJsonSchema(_WORKING)]
"""A length of time in which business days may be counted: `2 business days`."""
_CLOCK_SCHEMA = {"type": "string", "pattern": r"^([01]?\d|2[0-3]):([0-5]\d)$", "examples": ["16:00"]}
ClockTime = Annotated[time, PlainValidator(read_clock), WithJsonSchema(_CLOCK_SCHEMA)]
"""A time of day: `"16:00"`."""
Day = Annotated[
    date, PlainValidator(_read_day), WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-12-24"]})
]
"""A calendar day: `2026-12-24`."""
Recurrence = Annotated[
    str,
    PlainValidator(_read_recurrence),
    WithJsonSchema({"type": "string", "examples": ["FREQ=WEEKLY;BYDAY=MO", "FREQ=MONTHLY;BYDAY=1TU"]}),
]
"""A rule of RFC 5545: `FREQ=WEEKLY;BYDAY=MO`."""
Slug = Annotated[str, Field(pattern=_SLUG, max_length=60)]
"""A name in small letters, digits and single dashes."""
PathName = Annotated[str, Field(pattern=_PATH, max_length=120)]
"""A path into the facts: `booking.arrival`."""
Text = Annotated[str, Field(min_length=1, max_length=500)]
Address = Annotated[str, Field(min_length=1, max_length=320), AfterValidator(str.lower)]
"""A mail address, in small letters as it is compared."""
Texts = dict[str, str]
"""A text by language: `{ en: ..., it: ... }`."""
_ONE_OR_MANY = Also({"type": "string"})
Names = Annotated[list[str], BeforeValidator(listed), Field(min_length=1), _ONE_OR_MANY]
"""One name or a list of them."""
Tags = Annotated[list[str], BeforeValidator(listed), _ONE_OR_MANY]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
Weekdays = Annotated[list[Weekday], BeforeValidator(listed), Also({"enum": list(get_args(Weekday))})]
Percent = Annotated[
    int,
    BeforeValidator(_read_percent),
    Field(ge=0, le=90),
    Also({"type": "string", "pattern": r"^\d{1,2} ?%$", "examples": ["10%"]}),
]
"""A percentage as a whole number, with or without its sign: `10` or `10%`."""


class From(Block):
    """A value read from the facts at that moment."""

    from_: Annotated[str, Field(alias="from", pattern=_PATH)]
    """The path it is read from, such as `event.amount`; what is not known is left out."""


def _read_value(value: Any) -> Any:
    if isinstance(value, Mapping) and set(value) == {"from"} and isinstance(value["from"], str):
        return From.model_validate(dict(value))
    if value is None or isinstance(value, (str, int, float, bool, From)):
        return value
    raise ValueError("a value is a text, a number, true or false, or { from: a path such as event.amount }")


_SCALAR = ["string", "number", "boolean", "null"]
Value = Annotated[
    Any,
    PlainValidator(_read_value),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": _SCALAR},
                {
                    "type": "object",
                    "properties": {"from": {"type": "string", "pattern": _PATH, "examples": ["event.amount"]}},
                    "required": ["from"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
"""A value as it stands, or `{ from: path }`: read from the facts at that moment."""
