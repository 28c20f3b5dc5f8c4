"""Lengths of time as people write them: `3 days`, `-7 days`, `1 hour 30 minutes`.

Months, days, business days and seconds are kept apart because they add differently: a day is a calendar day (23 to 25
hours around a change of the clocks), a business day is no Saturday, Sunday or holiday, an hour is always an hour (RULES
X5).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SECONDS = {"second": 1, "minute": 60, "hour": 3600}
_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "year": 12}
_PART = re.compile(r"\s*(\d+)\s*([a-z]+(?:\s+days?)?)\s*", re.IGNORECASE)
_ITALIAN = {
    "second": ("secondo", "secondi"),
    "minute": ("minuto", "minuti"),
    "hour": ("ora", "ore"),
    "day": ("giorno", "giorni"),
    "business day": ("giorno lavorativo", "giorni lavorativi"),
    "week": ("settimana", "settimane"),
    "month": ("mese", "mesi"),
    "year": ("anno", "anni"),
}


class DurationError(ValueError):
    """The text is no length of time; the message says what one looks like."""


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time; negative parts mean "before". All parts have one sign."""

    months: int = 0
    days: int = 0
    seconds: int = 0
    business: int = 0

    def __neg__(self) -> Duration:
        return Duration(-self.months, -self.days, -self.seconds, -self.business)

    @property
    def negative(self) -> bool:
        """True where it points backwards."""
        return self.months < 0 or self.days < 0 or self.seconds < 0 or self.business < 0

    @property
    def zero(self) -> bool:
        """True where it has no length."""
        return not (self.months or self.days or self.seconds or self.business)

    def __abs__(self) -> Duration:
        return -self if self.negative else self


NO_TIME = Duration()


def longer(one: Duration, other: Duration) -> bool:
    """Whether a length of time is surely longer than another, months counted with 28 days."""
    first, second = ((each.months * 28 + each.days + each.business) * 86_400 + each.seconds for each in (one, other))
    return first > second


def parse(text: str, *, business: bool = False) -> Duration:
    """Read `3 days`, `+2 hours`, `-1 week`, `1 hour 30 minutes`; raises DurationError with a usable message.

    `2 business days` only where `business` says that somebody there knows the holidays.
    """
    body = text.strip().lower()
    sign = -1 if body.startswith("-") else 1
    body = body.lstrip("+-").strip()
    months = days = seconds = working = 0
    at = 0
    while at < len(body):
        part = _PART.match(body, at)
        if part is None:
            raise DurationError(f"{text!r} is no length of time; write for example 3 days, 2 hours or 30 minutes")
        amount, unit = int(part[1]), part[2]
        unit = " ".join(unit.removesuffix("s").split())
        if unit == "business day":
            if not business:
                raise DurationError("business days have no meaning here; write days")
            working += amount
        elif unit in _SECONDS:
            seconds += amount * _SECONDS[unit]
        elif unit in _DAYS:
            days += amount * _DAYS[unit]
        elif unit in _MONTHS:
            months += amount * _MONTHS[unit]
        else:
            raise DurationError(f"{part[2]!r} is no unit of time; write minutes, hours, days, weeks, months or years")
        at = part.end()
    if not body:
        raise DurationError("a length of time is missing; write for example 3 days")
    if max(months // 12, days // 366, seconds // 31_622_400) > 50:
        raise DurationError(f"{text!r} is longer than 50 years")
    if working > 1000:
        raise DurationError(f"{text!r} is more than 1000 business days")
    return Duration(sign * months, sign * days, sign * seconds, sign * working)


def write(duration: Duration) -> str:
    """The canonical text, which `parse` reads back as the same value."""
    body = " ".join(_counted(count, unit, "en") for count, unit in _parts(abs(duration)))
    return f"-{body}" if duration.negative else body


def say(duration: Duration, language: str) -> str:
    """The length in plain words ("3 days", "3 giorni"), without its direction."""
    return " ".join(_counted(count, unit, language) for count, unit in _parts(abs(duration)))


def _parts(duration: Duration) -> list[tuple[int, str]]:
    parts: list[tuple[int, str]] = []
    years, months = divmod(duration.months, 12)
    weeks, days = divmod(duration.days, 7) if duration.days % 7 == 0 and duration.days > 7 else (0, duration.days)
    hours, rest = divmod(duration.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    named = ((years, "year"), (months, "month"), (weeks, "week"), (days, "day"), (duration.business, "business day"))
    for count, unit in (*named, (hours, "hour"), (minutes, "minute"), (seconds, "second")):
        if count:
            parts.append((count, unit))
    return parts or [(0, "minute")]


def _counted(count: int, unit: str, language: str) -> str:
    if language == "it":
        one, many = _ITALIAN[unit]
        return f"{count} {one if count == 1 else many}"
    return f"{count} {unit}" + ("" if count == 1 else "s")
