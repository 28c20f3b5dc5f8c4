"""The one-line grammar, both ways: `booking.nights >= 3` to a tree and back.

line      = field operator value | field ("is known" | "is unknown") | ("clicked" | "opened") step ["within" time]
          | ["not"] "did" event ["at least" number "times"] ["within" time]
operator  = == != < <= > >= | in | not in | has | has not | contains | starts with
          | within | within next | within last | before | after
value     = word | "quoted text" | number | amount CUR | true | false | 2026-12-24 | 2026-12-24T18:00+01:00
          | now [± time] | field [± time] | [value, value]
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import cast

from app.journey.condition_tree import (
    Compare,
    Condition,
    Day,
    Did,
    Engaged,
    Many,
    Moment,
    Money,
    Number,
    Operator,
    Ref,
    Single,
    Span,
    Text,
    Truth,
    Value,
)
from app.journey.durations import NO_TIME, DurationError
from app.journey.durations import parse as parse_duration
from app.journey.durations import write as write_duration
from app.journey.known import ROOTS
from app.journey.nearest import cure

_DID = re.compile(r"(not\s+)?did(?:\s+|$)")
_EVENT = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+")
_TIMES = re.compile(r"at\s+least\s+(\d+)\s+times?(?![\w.-])")
_FIELD = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)*")
_SYMBOLS = ("==", "!=", "<=", ">=", "<", ">")
_WORDS = (
    "is unknown",
    "is known",
    "not in",
    "in",
    "has not",
    "has",
    "contains",
    "starts with",
    "within next",
    "within last",
    "within",
    "before",
    "after",
)
OPERATORS: tuple[str, ...] = (*_SYMBOLS, *_WORDS)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?$")
_MONEY = re.compile(r"(\d+(?:\.\d{1,2})?)\s*([A-Z]{3})$")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}$")
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}")
_MOVED = re.compile(r"([A-Za-z_][\w.-]*)\s+([+-])\s*(\d.*)$")
_NO_CENTS = frozenset({"JPY", "KRW", "ISK", "CLP", "VND"})
MOST_TIMES = 100
"""The most that `at least` may ask for: so many events of a kind are looked at for one person."""
_DID_EXAMPLE = "for example: did booking.confirmed at least 2 times within 365 days"
_EXAMPLE = "write: field operator value, for example booking.nights >= 3"


class ConditionError(ValueError):
    """A line that cannot be read. `column` counts from 0 within the line."""

    def __init__(self, message: str, column: int = 0, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        self.cure = cure


def parse(line: str) -> Condition:
    """Read one line; raises ConditionError with the column at which it went wrong."""
    start = len(line) - len(line.lstrip())
    did = _DID.match(line, start)
    if did is not None and (did[1] or not _starts_operator(line, did.end())):
        return _did(line, did)
    field = _FIELD.match(line, start)
    if field is None:
        raise ConditionError("a condition starts with the name of a field", start, _EXAMPLE)
    if field[0] in ("clicked", "opened") and line[field.end() :].strip():
        return _engaged(line, field)
    at = _skip(line, field.end())
    operator = _operator(line, at)
    after = _skip(line, at + len(operator[0]))
    rest = line[after:].rstrip()
    name = operator[1]
    if name in ("is known", "is unknown"):
        if rest:
            raise ConditionError(f"nothing may follow {name}", after, f"remove {rest!r}")
        return Compare(field[0], name)
    if not rest:
        raise ConditionError(f"a value is missing after {name}", len(line.rstrip()), _EXAMPLE)
    return Compare(field[0], name, _value(rest, after, name))


def to_line(condition: Compare | Engaged | Did) -> str:
    """The canonical line of a condition, which `parse` reads back as the same tree."""
    if isinstance(condition, Did):
        times = f" at least {condition.times} times" if condition.times != 1 else ""
        within = f" within {write_duration(condition.within)}" if condition.within else ""
        return f"{'not ' if condition.negated else ''}did {condition.event}{times}{within}"
    if isinstance(condition, Engaged):
        within = f" within {write_duration(condition.within)}" if condition.within else ""
        return f"{condition.act} {condition.step}{within}"
    if condition.value is None:
        return f"{condition.field} {condition.operator}"
    return f"{condition.field} {condition.operator} {write(condition.value)}"


def write(value: Value) -> str:
    """A value as it stands in a line."""
    match value:
        case Text():
            return value.text if _bare(value.text) else '"' + value.text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case Number():
            return repr(value.number)
        case Money():
            return f"{_major(value)} {value.currency}"
        case Truth():
            return "true" if value.truth else "false"
        case Day():
            return value.day.isoformat()
        case Moment():
            return value.instant.isoformat()
        case Span():
            return write_duration(value.duration)
        case Many():
            return "[" + ", ".join(write(one) for one in value.values) + "]"
        case Ref():
            if value.offset.zero:
                return value.path
            sign = "-" if value.offset.negative else "+"
            return f"{value.path} {sign} {write_duration(abs(value.offset))}"


def _skip(line: str, at: int) -> int:
    while at < len(line) and line[at].isspace():
        at += 1
    return at


def _operator(line: str, at: int) -> tuple[str, Operator]:
    """The operator as written (words may be far apart) and by its name."""
    for symbol in _SYMBOLS:
        if line.startswith(symbol, at):
            return symbol, cast(Operator, symbol)
    for words in _WORDS:
        found = re.compile(r"\s+".join(words.split()) + r"(?![\w.-])").match(line, at)
        if found:
            return found[0], cast(Operator, words)
    written = line[at:].split(" ", 1)[0] if line[at:] else ""
    if not written:
        raise ConditionError("an operator is missing", len(line.rstrip()), _EXAMPLE)
    if written == "=":
        raise ConditionError("unknown operator '='", at, "write == for equal")
    raise ConditionError(f"unknown operator {written!r}", at, cure(written, OPERATORS, "write for example =="))


def _engaged(line: str, act: re.Match[str]) -> Engaged:
    at = _skip(line, act.end())
    step = _FIELD.match(line, at)
    if step is None:
        raise ConditionError(f"the id of a step is missing after {act[0]}", at, "for example: clicked upsell")
    rest = _skip(line, step.end())
    if rest >= len(line.rstrip()):
        return _engagement(act[0], step[0], None)
    if not re.match(r"within\s", line[rest:]):
        raise ConditionError(
            f"only 'within <time>' may follow {act[0]} {step[0]}",
            rest,
            f"for example: {act[0]} {step[0]} within 7 days",
        )
    at = _skip(line, rest + len("within"))
    return _engagement(act[0], step[0], _span(line[at:].rstrip(), at))


def _starts_operator(line: str, at: int) -> bool:
    """Whether a field of that name is compared with something, which no event's name looks like."""
    return any(line.startswith(symbol, at) for symbol in _SYMBOLS)


def _did(line: str, head: re.Match[str]) -> Did:
    at = head.end()
    event = _EVENT.match(line, at)
    if event is None:
        raise ConditionError("the name of an event is missing after did", at, _DID_EXAMPLE)
    at, times = _skip(line, event.end()), 1
    counted = _TIMES.match(line, at)
    if counted is not None:
        times = int(counted[1])
        if not 1 <= times <= MOST_TIMES:
            raise ConditionError(f"at least {times} times is not to be asked for", at, f"write 1 to {MOST_TIMES}")
        at = _skip(line, counted.end())
    negated = head[1] is not None
    if at >= len(line.rstrip()):
        return Did(event[0], times, None, negated)
    if not re.match(r"within\s", line[at:]):
        message = f"only 'at least <number> times' and 'within <time>' may follow did {event[0]}"
        raise ConditionError(message, at, _DID_EXAMPLE)
    at = _skip(line, at + len("within"))
    return Did(event[0], times, _span(line[at:].rstrip(), at).duration, negated)


def _engagement(act: str, step: str, within: Span | None) -> Engaged:
    duration = within.duration if within else None
    return Engaged("clicked" if act == "clicked" else "opened", step, duration)


def _span(text: str, column: int) -> Span:
    try:
        duration = parse_duration(text)
    except DurationError as error:
        raise ConditionError(str(error), column, "for example: within 7 days") from None
    if duration.negative:
        raise ConditionError("a span cannot be negative", column, f"write {write_duration(abs(duration))}")
    return Span(duration)


def _value(text: str, column: int, operator: Operator) -> Value:
    if operator in ("within", "within next", "within last"):
        return _span(text, column)
    if operator in ("in", "not in"):
        if not (text.startswith("[") and text.endswith("]")):
            raise ConditionError(f"{operator} needs a list", column, f"write {operator} [{text.strip('[]')}]")
        return Many(tuple(_single(part, column + 1 + at) for at, part in _split(text[1:-1])))
    return _single(text, column)


def _split(text: str) -> list[tuple[int, str]]:
    """The parts between commas outside quotes, each with its place."""
    parts: list[tuple[int, str]] = []
    start, quote = 0, ""
    for at, letter in enumerate(text + ","):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == ",":
            part = text[start:at]
            parts.append((start + len(part) - len(part.lstrip()), part.strip()))
            start = at + 1
    return [] if not text.strip() else parts


def _single(text: str, column: int) -> Single:
    if not text:
        raise ConditionError("a value is missing", column, _EXAMPLE)
    if text[0] in "\"'":
        if len(text) < 2 or text[-1] != text[0]:
            raise ConditionError("a quote is not closed", column, f"end the text with {text[0]}")
        return Text(re.sub(r"\\(.)", r"\1", text[1:-1]))
    if text in ("true", "false"):
        return Truth(text == "true")
    if _NUMBER.match(text):
        return Number(float(text) if "." in text else int(text))
    money = _MONEY.match(text)
    if money:
        factor = 1 if money[2] in _NO_CENTS else 100
        return Money(int(Decimal(money[1]) * factor), money[2])
    if _DAY.match(text) or _MOMENT.match(text):
        return _temporal(text, column)
    moved = _MOVED.match(text)
    if moved and (moved[1] == "now" or moved[1].split(".")[0] in ROOTS):
        try:
            offset = parse_duration(moved[2] + moved[3])
        except DurationError as error:
            raise ConditionError(str(error), column + moved.start(3), "for example: now + 3 days") from None
        return Ref(moved[1], offset)
    if text == "now" or ("." in text and text.split(".", maxsplit=1)[0] in ROOTS and _FIELD.fullmatch(text)):
        return Ref(text, NO_TIME)
    stray = re.search(r"[\[\]<>=!\"]", text)
    if stray or re.search(r"\s(and|or|e|o)\s", text):
        raise ConditionError(
            f"{text!r} is no value",
            column,
            "write one condition a line; several lines all have to hold (or use any:); put odd texts in quotes",
        )
    return Text(text)


def _temporal(text: str, column: int) -> Single:
    try:
        if _DAY.match(text):
            return Day(date.fromisoformat(text))
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ConditionError(f"{text!r} is no date", column, "write for example 2026-12-24") from None
    if instant.tzinfo is None:
        raise ConditionError(f"{text!r} says no zone", column, f"write {text}+01:00, or Z for UTC")
    return Moment(instant)


def _major(value: Money) -> str:
    if value.currency in _NO_CENTS:
        return str(value.minor)
    whole, cents = divmod(value.minor, 100)
    return f"{whole}.{cents:02}" if cents else str(whole)


def _bare(text: str) -> bool:
    """Whether a text may stand without quotes and be read back as the same text."""
    if not text or text != text.strip() or re.search(r"[,\[\]<>=!\"'\\]", text):
        return False
    try:
        return _single(text, 0) == Text(text)
    except ConditionError:
        return False
