"""Public holidays by country: business days skip them, and SMS and WhatsApp keep quiet on them (R47). Pure.

The calendars are those of the `holidays` library, of which only what holds in a whole country is taken: a town's patron
saint closes a town, a canton's day a canton. Italy's, which counts where no country is known, is held by a test to law
260 of 27 May 1949 as it stands today, with Saint Francis (law 151 of 8 October 2025) from 2026 on.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache

import holidays as calendars

COUNTRY = "IT"
"""Whose calendar counts where nothing else is known."""


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(calendars.list_supported_countries(include_aliases=False))


def known(country: str | None) -> bool:
    """Whether the calendar of a country (ISO 3166, two letters) is known here."""
    return country in _known()


@lru_cache(maxsize=1024)
def holidays(year: int, country: str = COUNTRY) -> frozenset[date]:
    """The public holidays of a year; none for a country whose calendar is not known here."""
    return frozenset(calendars.country_holidays(country, years=year)) if known(country) else frozenset()


def is_holiday(day: date, country: str = COUNTRY) -> bool:
    """Whether the day is a public holiday there; Sundays are not counted among them."""
    return day in holidays(day.year, country)
