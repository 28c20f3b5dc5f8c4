"""The studio's two languages: which one a page speaks, its texts, and dates, money and numbers as people say them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_time, format_timedelta, get_timezone_name
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, format_percent, get_currency_precision
from babel.support import NullTranslations, Translations
from flask import Flask, g, has_request_context, request, session
from flask_babel import Babel, Domain, get_locale
from flask_babel import gettext as _gettext
from flask_babel import ngettext as _ngettext
from markupsafe import Markup

LANGUAGES: Mapping[str, str] = {"en": "English", "it": "Italiano"}
CATALOGUES = Path(__file__).parent / "translations"


def gettext(text: str, **values: Any) -> str:
    """A text in the reader's language, with values filled in."""
    return str(_gettext(text, **values))


def ngettext(one: str, many: str, number: int, **values: Any) -> str:
    """The same with a number, `num`, that may need another form of words."""
    return str(_ngettext(one, many, number, **values))


@cache
def catalogue(language: str) -> NullTranslations:
    """A language's texts, made from its `.po` when first asked for: nothing compiled can lie about."""
    source = CATALOGUES / language / "LC_MESSAGES" / "messages.po"
    if not source.exists():
        return NullTranslations()
    compiled = BytesIO()
    with source.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled)


class _Catalogues(Domain):  # type: ignore[misc]
    """Flask-Babel's domain, reading the catalogues above."""

    def get_translations(self) -> NullTranslations:
        return catalogue(language())


def chosen() -> str:
    """The language of this request: the person's, else the one picked at the door, else the browser's."""
    if not has_request_context():
        return "en"
    someone = g.get("person")
    wanted = (someone.language if someone else None) or session.get("language")
    if wanted in LANGUAGES:
        return str(wanted)
    return request.accept_languages.best_match(LANGUAGES) or "en"


def language() -> str:
    """`en` or `it`."""
    locale = get_locale()
    return locale.language if locale and locale.language in LANGUAGES else "en"


def in_words(texts: Mapping[str, str] | None, otherwise: str = "") -> str:
    """One text of several languages: the reader's, else English, else any."""
    if not texts:
        return otherwise
    return texts.get(language()) or texts.get("en") or next(iter(texts.values()), otherwise)


def _locale() -> Locale:
    return get_locale() or Locale("en")


def _locale_of_numbers() -> Locale:
    # English pages are read in Europe: day before month, 24 hours.
    return Locale("en", "GB") if language() == "en" else _locale()


def zone() -> ZoneInfo:
    """The zone of what is shown: the property's."""
    return ZoneInfo(g.get("zone") or "Europe/Rome")


def exact(instant: datetime) -> str:
    """An instant to the second with its zone, for hover and focus."""
    locale, local = _locale_of_numbers(), instant.astimezone(zone())
    words = format_datetime(local, "EEEE d MMMM y, HH:mm:ss", tzinfo=zone(), locale=locale)
    name = get_timezone_name(local, width="short", locale=locale)
    return f"{words} {name} ({zone().key}), {format_time(instant, 'HH:mm', tzinfo=UTC, locale=locale)} UTC"


def said(instant: datetime, now: datetime) -> str:
    """An instant as people say it: "in 5 minutes", "tomorrow 16:00", "Thursday 16:00", "12 Aug 16:00"."""
    locale, local = _locale_of_numbers(), instant.astimezone(zone())
    if instant.year > 9000:
        return gettext("when it is resumed")
    apart = instant - now
    if abs(apart) < timedelta(minutes=1):
        return gettext("now")
    if abs(apart) < timedelta(hours=1):
        return str(format_timedelta(apart, add_direction=True, locale=locale))
    clock = format_time(local, "HH:mm", tzinfo=zone(), locale=locale)
    days = (local.date() - now.astimezone(zone()).date()).days
    if days == 0:
        return gettext("today %(clock)s", clock=clock)
    if days == 1:
        return gettext("tomorrow %(clock)s", clock=clock)
    if days == -1:
        return gettext("yesterday %(clock)s", clock=clock)
    if 1 < days < 7:
        return f"{format_date(local.date(), 'EEEE', locale=locale)} {clock}"
    year = "" if local.year == now.astimezone(zone()).year else " y"
    return f"{format_date(local.date(), 'd MMM' + year, locale=locale)} {clock}"


def when(instant: datetime | None, now: datetime, *, focus: bool = False, otherwise: str = "–") -> Markup:
    """A `<time>` in words, the exact instant on hover and, with `focus`, on focus."""
    if instant is None:
        return Markup('<span class="quiet">{}</span>').format(otherwise)
    return Markup('<time datetime="{}" data-exact="{}"{}>{}</time>').format(
        instant.astimezone(UTC).isoformat(timespec="seconds"),
        exact(instant),
        Markup(' tabindex="0"') if focus else "",
        said(instant, now),
    )


def day(value: date | None) -> str:
    """A calendar day: 12 Aug 2026."""
    return "–" if value is None else str(format_date(value, "d MMM y", locale=_locale_of_numbers()))


def face(instant: datetime) -> str:
    """An instant to the minute, with its day: Sunday 22 November 2026, 06:46."""
    return str(
        format_datetime(instant.astimezone(zone()), "EEEE d MMMM y, HH:mm", tzinfo=zone(), locale=_locale_of_numbers())
    )


def moment(instant: datetime) -> str:
    """An instant to the minute, short: 21 Nov 2026, 10:00."""
    return str(
        format_datetime(instant.astimezone(zone()), "d MMM y, HH:mm", tzinfo=zone(), locale=_locale_of_numbers())
    )


def weekday(instant: datetime) -> str:
    """The day of an instant in words: Sunday 22 November."""
    said = str(format_date(instant.astimezone(zone()).date(), "EEEE d MMMM", locale=_locale_of_numbers()))
    return said[:1].upper() + said[1:]


def percent(part: int, whole: int) -> str:
    """A share: 12 %."""
    return str(format_percent(part / whole, locale=_locale_of_numbers()))


def share(part: float, places: int = 0) -> str:
    """A share from 0 to 1 with so many places behind the point: 12.3 %."""
    pattern = "#,##0" + ("." + "0" * places if places else "") + "%"
    return str(format_percent(part, format=pattern, locale=_locale_of_numbers()))


def number(value: float) -> str:
    """A number as the reader writes it."""
    return str(format_decimal(value, locale=_locale_of_numbers()))


def money(minor: int | None, currency: str | None) -> str:
    """Minor units as money."""
    if minor is None:
        return "–"
    currency = currency or "EUR"
    return str(format_currency(minor / 10 ** get_currency_precision(currency), currency, locale=_locale_of_numbers()))


def length(apart: timedelta) -> str:
    """A length of time, roughly: 3 hours."""
    return str(format_timedelta(apart, locale=_locale_of_numbers()))


def value(given: Any) -> str:
    """Any input of a decision, readable."""
    if given is None:
        return "–"
    if isinstance(given, bool):
        return gettext("yes") if given else gettext("no")
    if isinstance(given, int | float):
        return number(given)
    if isinstance(given, list | tuple):
        return ", ".join(value(one) for one in given) or "–"
    if isinstance(given, dict):
        return "; ".join(f"{key}: {value(one)}" for key, one in given.items()) or "–"
    text = str(given)
    if len(text) >= 19 and text[4:5] == "-" and text[10:11] == "T":
        try:
            return exact(datetime.fromisoformat(text))
        except ValueError:
            return text
    return text


class _Babel(Babel):  # type: ignore[misc]
    domain_instance = _Catalogues()


def speak(app: Flask) -> None:
    """Give `app` its languages."""
    _Babel(app, locale_selector=chosen)


_STREAM = re.compile(r"(complaints|bounces): (\d+) of (\d+)")


def stream_figures(why: str) -> str:
    """Why a stream is paused or warned of, such as `complaints: 3 of 1000`; anything else as it was written."""
    match = _STREAM.fullmatch(why)
    if match is None:
        return why
    count, of = number(int(match[2])), number(int(match[3]))
    if match[1] == "complaints":
        return gettext("%(count)s spam complaints among the last %(of)s mails delivered", count=count, of=of)
    return gettext("%(count)s addresses that do not exist among the last %(of)s mails", count=count, of=of)
