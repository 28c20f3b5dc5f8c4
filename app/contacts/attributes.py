"""Typed attributes: a value is made to fit its definition when it is written, so no condition ever meets a wrong type.

Pure. Definitions are rows (`AttributeDefinition`); who writes contacts loads them, and keeps the ones inferred here.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

TYPES = ("text", "number", "money", "bool", "date", "instant", "list")
MOST_DEFINITIONS = 500
"""Attributes a workspace may have: more are a sender's bug (a key per order, say)."""
KEY = re.compile(r"[a-z][a-z0-9_]{0,62}")
LONGEST_TEXT = 2_000
LONGEST_LIST = 200

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}")
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,9})?")


class WrongTypeError(ValueError):
    """The value cannot be made to fit; the message says what would."""


def inferred(value: Any) -> str | None:
    """The type a first value speaks for, or None where it fits none (an object, say)."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, list):
        return "list"
    if isinstance(value, str):
        if _DAY.fullmatch(value) and _fits(value, "date"):
            return "date"
        return "instant" if _INSTANT.match(value) and _fits(value, "instant") else "text"
    return None


def _fits(value: str, type_: str) -> bool:
    try:
        coerced(value, type_)
    except WrongTypeError:
        return False
    return True


def coerced(value: Any, type_: str) -> Any:
    """`value` as JSON of type `type_` (dates `2026-05-01`, instants in UTC, money whole minor units).

    Raises:
        WrongTypeError: it does not fit.
    """
    if type_ == "text":
        return _text(value)
    if type_ in {"number", "money"}:
        return _number(value, whole=type_ == "money")
    if type_ == "bool":
        return _bool(value)
    if type_ == "date":
        return _day(value)
    if type_ == "instant":
        return _instant(value)
    return _list(value)


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise WrongTypeError("a text is needed")
    text = str(value)
    if len(text) > LONGEST_TEXT:
        raise WrongTypeError(f"a text of at most {LONGEST_TEXT} characters is needed")
    return text


def _number(value: Any, *, whole: bool) -> int | float:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WrongTypeError("a number is needed")
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    number: int | float = value
    if whole and not isinstance(number, int):
        raise WrongTypeError("a whole number of minor units (cents) is needed")
    if abs(number) >= 2**63:
        raise WrongTypeError("a smaller number is needed")
    return number


def _bool(value: Any) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    raise WrongTypeError("true or false is needed")


def _day(value: Any) -> str:
    try:
        if isinstance(value, str) and len(value) >= 10:
            return date.fromisoformat(value[:10]).isoformat()
    except ValueError:
        pass
    raise WrongTypeError("a date such as 2026-05-01 is needed")


def _instant(value: Any) -> str:
    try:
        if isinstance(value, str) and len(value) >= 16:
            instant = datetime.fromisoformat(value)
            if instant.tzinfo is not None:
                return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        pass
    raise WrongTypeError("an instant with its offset, such as 2026-05-01T10:00:00+02:00, is needed")


def _list(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > LONGEST_LIST:
        raise WrongTypeError(f"a list of at most {LONGEST_LIST} texts is needed")
    return [_text(item) for item in value]
