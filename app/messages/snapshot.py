"""Facts as JSON and back, dates and instants kept apart from texts: so that a mail can be made again, the very same.

A day becomes `{"$day": "2026-11-22"}`, an instant `{"$at": "2026-11-22T10:00:00+00:00"}`, a clock time `{"$clock": …}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

_PLAIN = frozenset({str, int, float, bool, type(None)})
"""Nearly all that facts hold: told by its type alone, since every mail's facts pass through here."""


def freeze(value: Any) -> Any:
    """The same value in plain JSON types."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        return {str(key): one if type(one) in _PLAIN else freeze(one) for key, one in value.items()}
    if isinstance(value, datetime):
        return {"$at": value.astimezone(UTC).isoformat()}
    if isinstance(value, date):
        return {"$day": value.isoformat()}
    if isinstance(value, time):
        return {"$clock": value.isoformat()}
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): freeze(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [freeze(one) for one in value]
    return value


def thaw(value: Any) -> Any:
    """What `freeze` was given (tuples and sets come back as lists)."""
    if isinstance(value, dict):
        if len(value) == 1:
            ((key, one),) = value.items()
            if key == "$at":
                return datetime.fromisoformat(one)
            if key == "$day":
                return date.fromisoformat(one)
            if key == "$clock":
                return time.fromisoformat(one)
        return {key: thaw(one) for key, one in value.items()}
    if isinstance(value, list):
        return [thaw(one) for one in value]
    return value
