"""Reading the nested plain dict of facts by dotted paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Facts = Mapping[str, Any]
"""One nested plain dict per (person, passage). Besides what conditions see (contact, booking, property, event,
enrollment, consent, engagement) the core reads

    past_events      [(type, occurred_at), ...] of the same key, so that an exit that came before its entry counts (X19)
    contact_events   the same over all keys of the contact, for rules with `scope: contact`

Both may be missing, which reads as "none". Engagement is

    {"tracked": True|False, "clicked": {step id: instant}, "opened": {step id: instant}}

and without it (or untracked) nobody can say that a person did *not* click."""


_MAPPINGS = (dict, Mapping)
"""Nearly every level is a dict, which is told at once; asking whether it is some other mapping takes ten times that."""


@lru_cache(maxsize=4096)
def _steps(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def lookup(facts: Facts, path: str) -> Any:
    """The value at a dotted path, or None where there is none. `event.x` also looks into the event's data."""
    steps = _steps(path)
    value: Any = facts
    for step in steps:
        if not isinstance(value, _MAPPINGS):
            return None
        value = value.get(step)
        if value is None:
            break
    if value is None and steps[0] == "event" and len(steps) > 1 and steps[1] != "data":
        return lookup(facts, "event.data." + path.removeprefix("event."))
    return value


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def known_zone(name: str) -> bool:
    """Whether the zone database has it."""
    return _zone(name) is not None


def zone(facts: Facts, whose: str) -> ZoneInfo:
    """The zone meant by `property`, `contact` or a name.

    A person without a zone lives by the property's (X22), a property without one by UTC.
    """
    if whose == "contact":
        named = _named(lookup(facts, "contact.zone"))
        return named or zone(facts, "property")
    if whose == "property":
        return _named(lookup(facts, "property.zone")) or ZoneInfo("UTC")
    return _zone(whose) or zone(facts, "property")


def _named(name: Any) -> ZoneInfo | None:
    return _zone(name) if isinstance(name, str) and name else None


_DAY = re.compile(r"(?:19|2\d)\d\d-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(
    r"(?:19|2\d)\d\d-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{6}|\.\d{3})?)?(?:Z|[+-]\d\d:[0-5]\d)?", re.ASCII
)


def temporal(value: Any) -> date | datetime | None:
    """A day or an aware instant out of a value; texts in ISO form count, since JSON has no dates.

    The forms are `2026-05-01` and `2026-05-01T10:00`, with seconds and thousandths or millionths where known, and `Z`
    or an offset (none: UTC); from 1900 on. SQL reads the very same (`iso_day`, `iso_instant` in the migrations).
    """
    if isinstance(value, str):
        try:
            if _DAY.fullmatch(value):
                value = date.fromisoformat(value)
            elif _INSTANT.fullmatch(value):
                value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return value if isinstance(value, date) else None


def as_json(value: Any) -> Any:
    """A fact as JSON: days and instants in ISO form, sets as lists, and what JSON does not know as text."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): as_json(one) for name, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_json(one) for one in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
