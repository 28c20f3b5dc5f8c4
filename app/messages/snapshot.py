"""Facts as JSON and back, dates and instants kept apart from texts: so that a mail can be made again, the very same.

Only what a mail may show of a person is kept with it (`paths`, `pruned`): the rest is nobody's business later.

A day becomes `{"$day": "2026-11-22"}`, an instant `{"$at": "2026-11-22T10:00:00+00:00"}`, a clock time `{"$clock": …}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

_PLAIN = frozenset({str, int, float, bool, type(None)})
"""Nearly all that facts hold: told by its type alone, since every mail's facts pass through here."""


class Paths(dict[str, "Paths | None"]):
    """Facts as a tree of names; None: all that lies beneath."""


def paths(wanted: Iterable[str]) -> Paths:
    """The tree of dotted paths; `booking.guests[].name` asks for the whole list."""
    tree = Paths()
    for path in wanted:
        whole, _, _ = path.partition("[")
        here, names = tree, whole.split(".")
        for name in names[:-1]:
            inner = here.setdefault(name, Paths())
            if inner is None:
                break
            here = inner
        else:
            here[names[-1]] = None
    return tree


def pruned(value: Mapping[str, Any], tree: Paths) -> dict[str, Any]:
    """The facts that a tree names, as far as they are there."""
    return {
        name: pruned(value[name], inner) if inner is not None and isinstance(value[name], Mapping) else value[name]
        for name, inner in tree.items()
        if name in value
    }


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
