"""How dates, money and numbers are written for one reader, in their language and on their clock.

Every function takes the `Reader` first; environment.py offers them to templates as filters. Babel does the writing;
results are remembered, since the same dates and prices come again and again in a batch.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - the filters below are named as templates name them
from datetime import datetime as DateTime  # noqa: N812
from datetime import time as Time  # noqa: N812
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel import dates as babel_dates
from babel import numbers as babel_numbers

_HABITS: Final = {"en": "en_GB"}
"""A bare language is written as Europe writes it: 24-hour clock, day before month."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: a locale Babel knows, and the IANA zone whose clock they live by."""

    locale: str
    zone: str


@lru_cache(maxsize=4096)
def reader_of(locale: str, zone: str) -> Reader:
    """The reader of a language tag (`it`, `en-GB`) and a zone; raises ValueError for what does not exist."""
    tag = locale.replace("-", "_")
    tag = _HABITS.get(tag, tag)
    try:
        Locale.parse(tag)
        ZoneInfo(zone)
    except (UnknownLocaleError, KeyError) as error:
        raise ValueError(f"no such locale or zone: {locale}, {zone}") from error
    return Reader(tag, zone)


def date(reader: Reader, value: Any) -> str:
    """`22 nov 2026`."""
    return _date(_day(reader, value), reader.locale, "medium")


def date_long(reader: Reader, value: Any) -> str:
    """`domenica 22 novembre 2026`."""
    return _date(_day(reader, value), reader.locale, "full")


def weekday(reader: Reader, value: Any) -> str:
    """`domenica`."""
    return _date(_day(reader, value), reader.locale, "EEEE")


def time(reader: Reader, value: Any) -> str:
    """`16:00`, of an instant on the reader's clock, or of a time as it stands (`15:00`)."""
    if isinstance(value, Time):
        return _time(value.hour, value.minute, reader.locale)
    if isinstance(value, str) and re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", value):
        hour, minute = value.split(":")[:2]
        return _time(int(hour), int(minute), reader.locale)
    moment = _moment(reader, value)
    return _time(moment.hour, moment.minute, reader.locale)


def datetime(reader: Reader, value: Any) -> str:
    """`22 nov 2026, 16:00`, on the reader's clock."""
    moment = _moment(reader, value)
    return f"{_date(moment.date(), reader.locale, 'medium')}, {_time(moment.hour, moment.minute, reader.locale)}"


def money(reader: Reader, value: Any, currency: str) -> str:
    """`1.234,50 €` of an amount in minor units (cents) and its ISO 4217 currency."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("money is an integer of minor units")
    return _money(value, str(currency), reader.locale)


def number(reader: Reader, value: Any, decimals: int | None = None) -> str:
    """`1.234,5`; with `decimals` exactly so many digits after the point."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise TypeError("not a number")
    return _number(value, None if decimals is None else max(0, min(int(decimals), 10)), reader.locale)


def plural(reader: Reader, value: Any, one: str, other: str) -> str:
    """The word that goes with a number, by the reader's language: `plural('notte', 'notti')`."""
    return one if _is_one(value, reader.locale) else other


FILTERS: Final[dict[str, Callable[..., str]]] = {
    f.__name__: f for f in (date, date_long, weekday, time, datetime, money, number, plural)
}
"""What templates get, by name."""


@lru_cache(maxsize=8192)
def _is_one(value: float | Decimal, locale: str) -> bool:
    return Locale.parse(locale).plural_form(value) == "one"


@lru_cache(maxsize=8192)
def _date(value: Date, locale: str, style: str) -> str:
    return babel_dates.format_date(value, style, locale=locale)


@lru_cache(maxsize=4096)
def _time(hour: int, minute: int, locale: str) -> str:
    return babel_dates.format_time(Time(hour, minute), "short", locale=locale)


@lru_cache(maxsize=32768)
def _money(value: int, currency: str, locale: str) -> str:
    exponent = babel_numbers.get_currency_precision(currency)
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise ValueError(currency)
    written = babel_numbers.format_currency(Decimal(value).scaleb(-exponent), currency, locale=locale)
    return re.sub(r"(?<=[A-Za-z])(?=\d)", "\xa0", written)  # CLDR asks for the space, Babel forgets it


@lru_cache(maxsize=8192)
def _number(value: float | Decimal, decimals: int | None, locale: str) -> str:
    if decimals is None:
        return babel_numbers.format_decimal(value, locale=locale)
    pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
    return babel_numbers.format_decimal(value, pattern, locale=locale)


def _day(reader: Reader, value: Any) -> Date:
    if isinstance(value, str):
        value = DateTime.fromisoformat(value) if "T" in value or " " in value else Date.fromisoformat(value)
    if isinstance(value, DateTime):
        return _moment(reader, value).date()
    if isinstance(value, Date):
        return value
    raise TypeError("not a date")


def _moment(reader: Reader, value: Any) -> DateTime:
    if isinstance(value, str):
        value = DateTime.fromisoformat(value)
    if not isinstance(value, DateTime):
        raise TypeError("not an instant")
    return value.astimezone(ZoneInfo(reader.zone)) if value.tzinfo else value


def url_part(value: str) -> str:
    """A value made fit for the middle of a URL."""
    return quote(value, safe="/:@!$'()*,;~-._")


def phone_part(value: str) -> str:
    """A phone number made fit for `tel:` and `sms:`."""
    return re.sub(r"[^0-9+*#,;]", "", value)


def one_line(value: str) -> str:
    """A text as one line fit for a header: no line breaks, no control characters, spaces single."""
    return " ".join(re.sub(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+", " ", value).split(" ")).strip()
