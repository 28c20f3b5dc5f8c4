"""Ways in that the calendar opens: a date of somebody's, once or every year, and rules of RFC 5545. Pure.

Both are kept as rules on the wall clock of a zone and worked out anew at each reading, so that changes of the clocks
and of the zone database are honoured (X5 to X7).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from app.journey.facts import Facts, lookup, temporal
from app.journey.facts import zone as zone_of
from app.journey.program import Dated, EntryRule
from app.journey.waits import at_clock, country_of, dated

_FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY")
_PARTS = (
    "FREQ",
    "INTERVAL",
    "COUNT",
    "UNTIL",
    "WKST",
    "BYDAY",
    "BYMONTHDAY",
    "BYYEARDAY",
    "BYWEEKNO",
    "BYMONTH",
    "BYSETPOS",
)
_ANCHOR = date(2020, 1, 1)
"""Any day: a rule is tried from here when it is read."""

_LAST_YEARS = date(9979, 1, 1)
"""From here on a rule is looked through for its first occurrence: one that has none in twenty years has none. The
library looks for one until the calendar ends, in the year 9999, whatever `until` says: from today that takes seconds.
"""

_FILLERS = (date(1900, 1, 1), date(1970, 1, 1))
_OLDEST = 1902


class RuleError(ValueError):
    """The text is no recurrence that we take; the message says what one looks like."""


def read(text: str) -> dict[str, str]:
    """The parts of a recurrence rule; raises RuleError with a usable message."""
    parts: dict[str, str] = {}
    for part in text.strip().removeprefix("RRULE:").split(";"):
        name, equals, value = part.partition("=")
        name = name.strip().upper()
        if name in ("DTSTART", "BYHOUR", "BYMINUTE", "BYSECOND"):
            raise RuleError(f"{name} does not stand in the rule; write at: for the clock time and starts: for the day")
        if not equals or name not in _PARTS:
            raise RuleError(f"{part.strip()!r} is no part of a recurrence; write for example FREQ=WEEKLY;BYDAY=MO")
        parts[name] = value.strip().upper()
    if parts.get("FREQ") not in _FREQUENCIES:
        raise RuleError("a recurrence says FREQ=YEARLY, MONTHLY, WEEKLY or DAILY, for example FREQ=WEEKLY;BYDAY=MO")
    try:
        _rule(text, _ANCHOR)
        # How often it is left out hangs on the day it starts from, which is not known here.
        endless = ";".join(
            f"{name}={value}" for name, value in parts.items() if name not in ("UNTIL", "COUNT", "INTERVAL")
        )
        never = next(iter(_rule(endless, _LAST_YEARS)), None) is None
    except (ValueError, TypeError) as error:
        raise RuleError(f"{error}; write for example FREQ=MONTHLY;BYDAY=1TU") from None
    if never:
        raise RuleError(f"{text} never comes; write for example FREQ=MONTHLY;BYDAY=1TU")
    return parts


def needs_start(text: str) -> bool:
    """Whether the rule hangs on the day it starts from: it counts, leaves some out, or does not say which day."""
    parts = read(text)
    says_which = parts["FREQ"] == "DAILY" or any(name in parts for name in ("BYDAY", "BYMONTHDAY", "BYYEARDAY"))
    return "COUNT" in parts or parts.get("INTERVAL", "1") != "1" or not says_which


@lru_cache(maxsize=256)
def _rule(text: str, start: date) -> rrule:
    body = re.sub(r"\s", "", text).removeprefix("RRULE:")
    rule = rrulestr(body, dtstart=datetime.combine(start, time(0)))
    if not isinstance(rule, rrule):
        raise ValueError("one rule at a time")  # noqa: TRY004 - told like the library's own errors
    return rule


def fires(rule: EntryRule, zone: ZoneInfo, after: datetime, until: datetime, most: int = 1000) -> list[datetime]:
    """The instants of a schedule behind `after` and up to `until`, at most so many.

    Each is the clock time `at` (none: midnight) of the day in `zone`; a clock time that a day lacks moves on (X5), one
    that it has twice comes once (X6).
    """
    if rule.rrule is None:
        return []
    # A rule that hangs on no day is counted from shortly before, so that looking costs the same in ten years' time.
    days = _rule(rule.rrule, rule.starts or date(after.year - 1, 1, 1))
    day = datetime.combine(after.astimezone(zone).date() - timedelta(days=1), time(0))
    found: list[datetime] = []
    # Midnights in the rule, clock times only here: so neither a gap nor a repeated hour can lose or double one.
    for following in days.xafter(day):
        instant = at_clock(following.date(), rule.at or time(0), zone)
        if instant > until or len(found) == most:
            break
        if instant > after:
            found.append(instant)
    return found


def next_fire(rule: EntryRule, zone: ZoneInfo, after: datetime) -> datetime | None:
    """The next instant of a schedule, or None where there is none within ten years."""
    return next(iter(fires(rule, zone, after, after + timedelta(days=3660), 1)), None)


def occasions(rule: EntryRule, facts: Facts, after: datetime, until: datetime) -> list[datetime]:
    """The instants behind `after` and up to `until` at which a date of this person (or booking) opens the way in.

    Once, or on each later year's day with `recur: yearly`; somebody born on 29 February has their day on the 28th of
    other years, and dates that stand for "not known" are none (X31).
    """
    if rule.date is None:
        return []
    value = temporal(lookup(facts, rule.date.ref))
    if value is None or is_filler(value):
        return []
    zone = zone_of(facts, rule.date.zone)
    if rule.recur is None:
        instant = _instant(value, rule.date, zone, facts)
        return [instant] if instant is not None and after < instant <= until else []
    found = []
    for year in range(max(value.year + 1, after.year - 1), until.year + 2):
        instant = _instant(in_year(value, year), rule.date, zone, facts)
        if instant is not None and after < instant <= until:
            found.append(instant)
    return found


def _instant(value: date, rule: Dated, zone: ZoneInfo, facts: Facts) -> datetime | None:
    try:
        return dated(value, rule.offset, rule.at, zone, country_of(facts) if rule.offset.business else None)
    except (OverflowError, ValueError):
        return None


def in_year(value: date, year: int) -> date:
    """The same day (or instant) in another year; 29 February is the 28th where there is none."""
    try:
        return value.replace(year=year)
    except ValueError:
        return value.replace(year=year, day=28)


def is_filler(value: date) -> bool:
    """Whether a date is one that systems write when they know none: 1 January 1900 or 1970, or older than anybody."""
    day = value.astimezone(UTC).date() if isinstance(value, datetime) else value
    return day in _FILLERS or day.year < _OLDEST
