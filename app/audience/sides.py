"""The two sides of a comparison as SQL: what a field or value is, whichever type it turns out to have in a row.

Values of JSON have the type they have, row by row, so a side is a set of expressions of which at most one is not NULL:
a text, a number, a truth, a day, an instant, a list. `conditions.evaluate` decides by the type a value has in Python;
the pieces here make the same decision with `coalesce`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from app.journey.durations import Duration
from app.journey.facts import Facts, temporal, zone


@dataclass(frozen=True, slots=True)
class Side:
    """One side. An expression is None where the side never has that type.

    `dated` says that it is a day or an instant by its kind (a column, `now`), not a text that may read as one.
    """

    text: str | None = None
    number: str | None = None
    truth: str | None = None
    day: str | None = None
    instant: str | None = None
    items: str | None = None
    known: str = "FALSE"
    dated: bool = False

    @property
    def there(self) -> Side:
        """The same as the left side of a comparison: an empty text is not there."""
        return replace(self, text=f"nullif({self.text}, '')") if self.text else self


NOTHING = Side()
"""A field that does not exist: not there, in nobody."""


def of_text(sql: str) -> Side:
    """A text; one in ISO form also counts as a day or an instant."""
    known = f"({sql} IS NOT NULL AND {sql} <> '')"
    return Side(text=sql, day=f"iso_day({sql})", instant=f"iso_instant({sql})", known=known)


def of_number(sql: str) -> Side:
    """A number."""
    return Side(number=sql, known=f"{sql} IS NOT NULL")


def of_day(sql: str) -> Side:
    """A column of type date."""
    return Side(day=sql, known=f"{sql} IS NOT NULL", dated=True)


def of_instant(sql: str) -> Side:
    """A column of type timestamptz."""
    return Side(instant=sql, known=f"{sql} IS NOT NULL", dated=True)


def of_json(sql: str) -> Side:
    """A value of type jsonb: whatever it is in each row."""

    def where(kind: str, value: str) -> str:
        return f"(CASE WHEN jsonb_typeof({sql}) = '{kind}' THEN {value} END)"

    text = where("string", f"{sql} #>> '{{}}'")
    return Side(
        text=text,
        number=where("number", f"CAST({sql} AS numeric)"),
        truth=where("boolean", f"CAST({sql} AS boolean)"),
        day=f"iso_day({text})",
        instant=f"iso_instant({text})",
        items=where("array", sql),
        known=f"(coalesce({sql}, 'null') NOT IN ('null', '\"\"', '[]', '{{}}'))",
    )


@dataclass(slots=True)
class Places:
    """The properties of a workspace: their facts by number, and of the one that speaks by default."""

    by_id: Mapping[int, Facts]
    default: Facts | None

    def every(self) -> Iterable[Facts]:
        """The facts a condition may be judged with."""
        yield {"property": self.default}
        for facts in self.by_id.values():
            yield {"property": facts}

    @property
    def one_zone(self) -> bool:
        """Whether days begin at the same instant everywhere."""
        return len({zone(facts, "property").key for facts in self.every()}) == 1


@dataclass(slots=True)
class Frame:
    """What a statement is being built with: its parameters, and the row of a booking that lines now speak of."""

    places: Places
    now: datetime
    parameters: dict[str, Any] = field(default_factory=dict)
    booking: str | None = None
    """Alias of the booking, None where no line speaks of one: then the default property speaks."""

    def bind(self, value: Any, type_: str) -> str:
        """A value as a parameter of a type. Values are never part of a statement's text."""
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f"CAST(:{name} AS {type_})"

    def constant(self, value: Any) -> Side:
        """A value of Python, typed as `conditions.evaluate` types it."""
        if isinstance(value, bool):
            bound = self.bind(value, "boolean")
            return Side(truth=bound, known="TRUE")
        if isinstance(value, int | float):
            return Side(number=self.bind(Decimal(repr(value)), "numeric"), known="TRUE")
        if isinstance(value, datetime):
            return Side(instant=self.bind(value, "timestamptz"), known="TRUE", dated=True)
        if isinstance(value, date):
            return Side(day=self.bind(value, "date"), known="TRUE", dated=True)
        if isinstance(value, str):
            read = temporal(value)
            side = Side(text=self.bind(value, "text"), known="TRUE" if value else "FALSE")
            if isinstance(read, datetime):
                return replace(side, instant=self.bind(read, "timestamptz"))
            return replace(side, day=self.bind(read, "date")) if read else side
        return NOTHING

    def by_place(self, of: Mapping[int | None, Any], type_: str) -> str:
        """A value that depends on the booking's property: one parameter where it is the same for all of them."""
        if self.booking is None or all(value == of[None] for value in of.values()):
            return self.bind(of[None], type_)
        cases = " ".join(
            f"WHEN {self.bind(number, 'bigint')} THEN {self.bind(value, type_)}"
            for number, value in of.items()
            if number is not None and value != of[None]
        )
        return f"(CASE {self.booking}.property_id {cases} ELSE {self.bind(of[None], type_)} END)"

    def facts_by_place(self) -> dict[int | None, Facts]:
        """The facts of each property, and under None of the one that speaks by default."""
        found: dict[int | None, Facts] = {None: {"property": self.places.default}}
        return found | {number: {"property": facts} for number, facts in self.places.by_id.items()}

    @property
    def zone(self) -> str:
        """The zone whose calendar days count."""
        return self.by_place({at: zone(facts, "property").key for at, facts in self.facts_by_place().items()}, "text")

    def property(self, keys: list[str]) -> Side:
        """`property.<keys>`: known when the statement is built, so each property's value is a parameter."""

        def value(facts: Any) -> str | None:
            for key in keys:
                facts = facts.get(key) if isinstance(facts, Mapping) else None
            return None if facts is None else msgspec.json.encode(facts).decode()

        values = {at: value(facts["property"]) for at, facts in self.facts_by_place().items()}
        return of_json(self.by_place(values, "jsonb"))


def ordered(operator: str, left: Side, right: Side, frame: Frame) -> str:
    """`left operator right` (one of = < <= > >=), false where the two cannot be compared."""
    if right.dated or left.dated:
        return in_time(operator, left, right, frame)
    parts = []
    if left.number and right.number:
        parts.append(f"{left.number} {operator} {right.number}")
    if left.truth and right.truth and operator in {"=", "<=", ">="}:
        # Two truths are equal or not to be compared.
        parts.append(f"nullif({left.truth} = {right.truth}, FALSE)")
    if left.text and right.text:
        parts.append(f'{left.text} COLLATE "C" {operator} {right.text} COLLATE "C"')
    return f"coalesce({', '.join(parts)}, FALSE)" if parts else "FALSE"


def in_time(operator: str, left: Side, right: Side, frame: Frame) -> str:
    """The same for days and instants: two instants as such, all else by the calendar day of the property's zone."""
    parts = []
    if left.instant and right.instant:
        parts.append(f"{left.instant} {operator} {right.instant}")
    if not (left.day is None and right.day is None):
        one, other = _day(left, frame), _day(right, frame)
        if one and other:
            parts.append(f"{one} {operator} {other}")
    return f"coalesce({', '.join(parts)}, FALSE)" if parts else "FALSE"


def _day(side: Side, frame: Frame) -> str | None:
    instant = f"CAST({side.instant} AT TIME ZONE {frame.zone} AS date)" if side.instant else None
    if side.day and instant:
        return f"coalesce({side.day}, {instant})"
    return side.day or instant


def equal(left: Side, right: Side, frame: Frame, *, strictly: str = "") -> str:
    """`conditions._equal`: a word equals only texts, a truth only truths; `strictly` names which of them it is."""
    if strictly == "text":
        return f"coalesce({left.text} = {right.text}, FALSE)" if left.text and not left.dated else "FALSE"
    if strictly == "truth":
        return f"coalesce({left.truth} = {right.truth}, FALSE)" if left.truth else "FALSE"
    return ordered("=", left, right, frame)


def moved(side: Side, by: Duration, frame: Frame) -> Side:
    """A day or instant moved by a length of time, as `conditions._moved` does: calendar days in the property's zone."""
    months, days = frame.bind(by.months, "integer"), frame.bind(by.days, "integer")
    day = instant = None
    if side.day:
        more = frame.bind(by.days + round(by.seconds / 86_400), "integer")
        day = f"(CAST({side.day} + make_interval(months => {months}) AS date) + {more})"
    if side.instant:
        instant = side.instant
        if by.months or by.days:
            instant = _on_another_day(side.instant, months, days, frame.zone)
        instant = f"({instant} + make_interval(secs => {frame.bind(by.seconds, 'double precision')}))"
    return Side(day=day, instant=instant, known=side.known, dated=True)


def _on_another_day(instant: str, months: str, days: str, zone_: str) -> str:
    """The same clock time on another day. Of two equal hours the first, unless it was in the second already."""
    local = f"({instant} AT TIME ZONE {zone_})"
    there = f"({local} + make_interval(months => {months}) + make_interval(days => {days}))"
    late = f"({there} AT TIME ZONE {zone_})"
    early = f"({late} - interval '1 hour')"
    twice = f"({early} AT TIME ZONE {zone_}) = {there}"
    second = f"(({instant} - interval '1 hour') AT TIME ZONE {zone_}) = {local}"
    return f"(CASE WHEN {twice} AND NOT {second} THEN {early} ELSE {late} END)"
