"""Public holidays of Italy: business days skip them, and SMS and WhatsApp keep quiet on them (R47). Pure.

Law 260 of 27 May 1949 as it stands today; the Epiphany came back in 1986, the Republic's day in 2001, and Saint Francis
by law 151 of 8 October 2025, from 2026 on. A town's own patron saint is left out: he closes a town, not a country.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

COUNTRY = "IT"
"""The one country whose calendar is known here."""

_EVERY_YEAR = ((1, 1), (1, 6), (4, 25), (5, 1), (6, 2), (8, 15), (11, 1), (12, 8), (12, 25), (12, 26))
_FRANCIS, _FRANCIS_SINCE = (10, 4), 2026


def easter(year: int) -> date:
    """Easter Sunday of a Gregorian year (Meeus/Jones/Butcher)."""
    golden = year % 19
    century, of_century = divmod(year, 100)
    leaps, no_leaps = divmod(century, 4)
    moon = (19 * golden + century - leaps - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    fours, rest = divmod(of_century, 4)
    sunday = (32 + 2 * no_leaps + 2 * fours - moon - rest) % 7
    late = (golden + 11 * moon + 22 * sunday) // 451
    month, day = divmod(moon + sunday - 7 * late + 114, 31)
    return date(year, month, day + 1)


@lru_cache(maxsize=64)
def holidays(year: int, country: str = COUNTRY) -> frozenset[date]:
    """The public holidays of a year; none for a country whose calendar is not known here."""
    if country != COUNTRY:
        return frozenset()
    days = [date(year, month, day) for month, day in _EVERY_YEAR]
    if year >= _FRANCIS_SINCE:
        days.append(date(year, *_FRANCIS))
    sunday = easter(year)
    return frozenset((*days, sunday, sunday + timedelta(days=1)))


def is_holiday(day: date, country: str = COUNTRY) -> bool:
    """Whether the day is a public holiday there; Sundays are not counted among them."""
    return day in holidays(day.year, country)
