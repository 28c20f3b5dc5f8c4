"""Date arithmetic: when a wait ends. Instants go in and come out aware and in UTC; wall clocks live in zones.

- A clock time that a day does not have (the hour lost in spring) moves forward by the gap: 02:30 becomes 03:30 (X5).
- A clock time that a day has twice is its first occurrence, once (X6).
- Days, weeks and months are calendar days and months of the zone; hours and minutes are exact.
- A rule and a zone are kept, not an instant, so a changed zone database is honoured at the next reading (X7, R58).
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.core import get_global

from app.journey.durations import Duration
from app.journey.facts import Facts, lookup, temporal
from app.journey.facts import zone as zone_of
from app.journey.holidays import is_holiday
from app.journey.program import Clock, Dated, For, Latest, Until, Window

MIDNIGHT = time(0, 0)


class NeverOpensError(ValueError):
    """The quiet hours of the given zones leave no moment of any day."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """The hours of a day in which nothing is sent, from `start` up to `end`, over midnight where end comes first.

    `closed` are whole weekdays (0 is Monday), `holidays` the country whose public holidays are whole days too. Equal
    start and end: no quiet hours, only closed days.
    """

    start: time
    end: time
    closed: tuple[int, ...] = ()
    holidays: str | None = None

    def closes(self, day: date) -> bool:
        """Whether nothing is sent on that day at all."""
        return day.weekday() in self.closed or (self.holidays is not None and is_holiday(day, self.holidays))


def at_clock(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The instant at which the clocks of `zone` show `at` on `day`, by X5 and X6."""
    return datetime.combine(day, at.replace(fold=0), tzinfo=zone).astimezone(UTC)


def is_business_day(day: date, country: str | None) -> bool:
    """Whether offices work: Monday to Friday, and no public holiday of the country (None: holidays not known)."""
    return day.weekday() < 5 and not (country is not None and is_holiday(day, country))


def move_business_days(day: date, by: int, country: str | None) -> date:
    """The by-th business day after (or before) a day; from a Saturday one business day on is Monday."""
    step = 1 if by > 0 else -1
    while by:
        day += timedelta(days=step)
        if is_business_day(day, country):
            by -= step
    return day


def country_of(facts: Facts) -> str | None:
    """The country (ISO 3166, two letters) whose public holidays hold: the property's, or that of its zone."""
    named = lookup(facts, "property.country")
    if isinstance(named, str) and len(named) == 2:
        return named.upper()
    zone = lookup(facts, "property.zone")
    return _zone_countries().get(zone) if isinstance(zone, str) else None


@lru_cache(maxsize=1)
def _zone_countries() -> Mapping[str, str]:
    """Zone to country, from the CLDR data that Babel carries."""
    countries: Mapping[str, str] = get_global("zone_territories")
    return countries


def move_day(day: date, by: Duration, country: str | None = None) -> date:
    """The calendar day some months, days and business days away; the 31st becomes the last of a shorter month."""
    if by.months:
        year, month = divmod(day.year * 12 + day.month - 1 + by.months, 12)
        month += 1
        day = date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
    return move_business_days(day + timedelta(days=by.days), by.business, country)


def add(instant: datetime, by: Duration, zone: ZoneInfo, country: str | None = None) -> datetime:
    """An instant moved by a duration: calendar days at the same clock time of `zone`, then exact seconds."""
    moved = instant
    if by.months or by.days or by.business:
        local = instant.astimezone(zone)
        # A moment in the second of two equal hours stays in the second, when nothing moved it off that day.
        moved = datetime.combine(move_day(local.date(), by, country), local.time(), tzinfo=zone)
    return moved.astimezone(UTC) + timedelta(seconds=by.seconds)


def dated(value: date, offset: Duration, at: time | None, zone: ZoneInfo, country: str | None = None) -> datetime:
    """The instant `offset` from a day or instant, at a clock time.

    A day without a clock time means its midnight; an instant without one keeps its own.
    """
    if isinstance(value, datetime):
        if at is None:
            return add(value, offset, zone, country)
        day = value.astimezone(zone).date()
    else:
        day = value
    return _dated(day, offset, at or MIDNIGHT, zone, country)


@lru_cache(maxsize=8192)
def _dated(day: date, offset: Duration, at: time, zone: ZoneInfo, country: str | None) -> datetime:
    """Kept, since the guests of one day wait for the same moments."""
    return at_clock(move_day(day, offset, country), at, zone) + timedelta(seconds=offset.seconds)


def next_clock(after: datetime, at: time, weekdays: Sequence[int], zone: ZoneInfo) -> datetime:
    """The first instant from `after` on at which the clock shows `at`, on one of the weekdays (none: any)."""
    day = after.astimezone(zone).date()
    for ahead in range(9):
        candidate = day + timedelta(days=ahead)
        if weekdays and candidate.weekday() not in weekdays:
            continue
        instant = at_clock(candidate, at, zone)
        if instant >= after:
            return instant
    raise ValueError(f"weekdays out of range: {tuple(weekdays)}")


def next_in_window(after: datetime, start: time, end: time, weekdays: Sequence[int], zone: ZoneInfo) -> datetime:
    """`after` itself inside the window, else when it next opens. The weekday is the one on which it opens."""
    day = after.astimezone(zone).date()
    for ahead in range(-1, 10):
        candidate = day + timedelta(days=ahead)
        if weekdays and candidate.weekday() not in weekdays:
            continue
        opens = at_clock(candidate, start, zone)
        closes = at_clock(candidate if end > start else candidate + timedelta(days=1), end, zone)
        if after < closes:
            return max(after, opens)
    raise ValueError(f"weekdays out of range: {tuple(weekdays)}")


def is_quiet(instant: datetime, quiet: Quiet, zone: ZoneInfo) -> bool:
    """Whether the moment lies in the quiet hours of one zone."""
    local = instant.astimezone(zone)
    if quiet.closes(local.date()):
        return True
    clock = local.time()
    if quiet.start <= quiet.end:
        return quiet.start <= clock < quiet.end
    return clock >= quiet.start or clock < quiet.end


def next_opening(instant: datetime, quiet: Quiet, zones: Sequence[ZoneInfo]) -> datetime:
    """The first moment from `instant` on that is quiet in none of the zones (R47, X22).

    Raises NeverOpensError where two weeks hold no such moment.
    """
    moment = instant.astimezone(UTC)
    limit = moment + timedelta(days=15)
    while moment < limit:
        loud = True
        for zone in zones:
            if is_quiet(moment, quiet, zone):
                moment = _quiet_ends(moment, quiet, zone)
                loud = False
        if loud:
            return moment
    raise NeverOpensError(f"quiet from {quiet.start} to {quiet.end} in {', '.join(z.key for z in zones)} never opens")


def _quiet_ends(moment: datetime, quiet: Quiet, zone: ZoneInfo) -> datetime:
    """The next instant at which the clock of one zone may end its quiet: the end of the hours, or midnight."""
    local = moment.astimezone(zone)
    tomorrow = at_clock(local.date() + timedelta(days=1), MIDNIGHT, zone)
    end = at_clock(local.date(), quiet.end, zone)
    ends = [tomorrow] if quiet.closes(local.date()) else [tomorrow, end]
    later = [candidate for candidate in ends if candidate > moment]
    return min(later) if later else moment + timedelta(hours=1)


def resolve(until: Until | Latest, moment: datetime, facts: Facts) -> datetime | None:
    """When a wait that was reached at `moment` ends; None where the date it hangs on is not known.

    A date so far out that it cannot be reckoned with counts as not known.
    """
    zone = zone_of(facts, until.zone)
    try:
        match until:
            case For():
                reached = add(moment, until.duration, zone, country_of(facts) if until.duration.business else None)
                return reached if until.at is None else next_clock(_day_of(reached, zone), until.at, (), zone)
            case Clock():
                return next_clock(moment, until.at, until.weekdays, zone)
            case Window():
                return next_in_window(moment, until.start, until.end, until.weekdays, zone)
            case Dated():
                value = temporal(lookup(facts, until.ref))
                country = country_of(facts) if until.offset.business else None
                return None if value is None else dated(value, until.offset, until.at, zone, country)
    except (OverflowError, ValueError):
        return None


def _day_of(instant: datetime, zone: ZoneInfo) -> datetime:
    """The first instant of the day an instant lies in."""
    return at_clock(instant.astimezone(zone).date(), MIDNIGHT, zone)
