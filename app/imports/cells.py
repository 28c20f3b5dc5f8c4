"""What people write into cells, as values: days, instants, numbers, lists, countries, languages, yes and no. Pure.

Nothing is guessed that could be meant otherwise: a day such as 03/04/2024 is read in the order the file's mapping
says, and what does not fit is an error with what would.
"""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from typing import Any, Literal

from babel import Locale

from app.contacts.attributes import WrongTypeError, coerced

Order = Literal["dmy", "mdy"]
Said = Literal["yes", "no", "pending", "nothing", "bounced"]

_SPOKEN = ("en", "it", "de", "fr", "es")
"""Languages in which names of countries and languages are understood."""

_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_TURNED = re.compile(r"(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4}|\d{2})")
_YEAR_FIRST = re.compile(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})")
_CLOCK = re.compile(
    r"[ T,]+(\d{1,2})[:.](\d{2})(?:[:.](\d{2})(?:\.\d{1,9})?)?\s*([AaPp][Mm])?\s*(Z|UTC|[+-]\d{2}:?\d{2})?"
)
_CENTURY = 30
"""A year of two figures above this is of the last century."""


def plain(text: str) -> str:
    """Letters and figures alone, small, without accents: what headers and words are compared by."""
    bare = unicodedata.normalize("NFKD", text)
    return "".join(one for one in bare.casefold() if one.isalnum())


def day(text: str, order: Order) -> date:
    """The day a cell names, whatever stands behind it.

    Raises:
        WrongTypeError: it names none.
    """
    return _day(text, order)[0]


def instant(text: str, order: Order, zone: tzinfo) -> datetime:
    """The instant a cell names, in UTC; a day alone is its beginning. Without an offset it is the clock of `zone`.

    Raises:
        WrongTypeError: it names none.
    """
    found, rest = _day(text, order)
    hour = minute = second = 0
    offset: str | None = None
    if rest:
        clock = _CLOCK.fullmatch(rest)
        if clock is None:
            raise WrongTypeError("an instant such as 2024-05-01 10:00 is needed")
        hour, minute, second = int(clock[1]), int(clock[2]), int(clock[3] or 0)
        if clock[4]:
            hour = hour % 12 + (12 if clock[4].lower() == "pm" else 0)
        offset = clock[5]
    try:
        moment = datetime(found.year, found.month, found.day, hour, minute, second, tzinfo=zone)
        if offset:
            moment = datetime.fromisoformat(moment.replace(tzinfo=None).isoformat() + offset.replace("UTC", "Z"))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise WrongTypeError("an instant such as 2024-05-01 10:00 is needed") from None


def _day(text: str, order: Order) -> tuple[date, str]:
    text = text.strip()
    iso = _ISO.match(text) or _YEAR_FIRST.match(text)
    turned = None if iso else _TURNED.match(text)
    found = iso or turned
    if found is not None:
        if iso:
            year, month, number = (int(part) for part in iso.groups())
        else:
            first, second, year = (int(part) for part in found.groups())
            number, month = (first, second) if order == "dmy" else (second, first)
            if len(found[3]) == 2:
                year += 1900 if year > _CENTURY else 2000
        try:
            return date(year, month, number), text[found.end() :]
        except ValueError:
            pass
    raise WrongTypeError("a date such as 2024-05-01 is needed")


def order_of(values: Iterable[str], otherwise: Order = "dmy") -> Order:
    """Whether the days of a column begin with the day or the month, told by those that can be read one way only."""
    for value in values:
        turned = _TURNED.match(value.strip())
        if turned and int(turned[1]) > 12:
            return "dmy"
        if turned and int(turned[2]) > 12:
            return "mdy"
    return otherwise


def items(text: str) -> list[str]:
    """The parts of a list in a cell: `a, b`, `a; b`, `"a","b"` or `["a", "b"]`."""
    text = text.strip()
    if text.startswith("["):
        try:
            given = json.loads(text)
        except ValueError:
            given = None
        if isinstance(given, list):
            return [str(one).strip() for one in given if str(one).strip()]
    delimiter = ";" if ";" in text else "|" if "|" in text and "," not in text else ","
    try:
        (row,) = csv.reader([text], delimiter=delimiter, skipinitialspace=True) if text else [[]]
    except (csv.Error, ValueError):
        row = text.split(delimiter)
    return [one for part in row if (one := part.strip().strip('"'))]


def typed(text: str, type_: str, order: Order, zone: tzinfo) -> Any:
    """A cell as a value of an attribute's type.

    Raises:
        WrongTypeError: it does not fit.
    """
    if type_ == "date":
        return day(text, order).isoformat()
    if type_ == "instant":
        return instant(text, order, zone).isoformat().replace("+00:00", "Z")
    if type_ == "list":
        return coerced(items(text), type_)
    if type_ == "bool":
        heard = said(text)
        if heard not in {"yes", "no"}:
            raise WrongTypeError("yes or no is needed")
        return heard == "yes"
    if type_ == "number":
        return coerced(_number(text), type_)
    if type_ == "money":
        return coerced(round(float(_number(re.sub(r"[€$£]|[A-Z]{3}", "", text))) * 100), type_)
    return coerced(text, type_)


def _number(text: str) -> int | float:
    bare = re.sub(r"[\s'’]", "", text)
    if "," in bare and "." in bare:
        thousands, point = (".", ",") if bare.rfind(",") > bare.rfind(".") else (",", ".")
        bare = bare.replace(thousands, "").replace(point, ".")
    elif re.fullmatch(r"-?\d{1,3}(,\d{3})+", bare) or re.fullmatch(r"-?\d{1,3}(\.\d{3}){2,}", bare):
        bare = re.sub(r"[.,]", "", bare)
    else:
        bare = bare.replace(",", ".")
    if not re.fullmatch(r"-?\d{1,15}(\.\d{1,9})?", bare):
        raise WrongTypeError("a number is needed")
    return float(bare) if "." in bare else int(bare)


@lru_cache(maxsize=1)
def _countries() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for language in _SPOKEN:
        for code, name in Locale(language).territories.items():
            if len(code) == 2 and code.isalpha():
                found.setdefault(plain(str(name)), str(code))
    return {
        **found, "uk": "GB", "unitedkingdom": "GB", "england": "GB", "inghilterra": "GB", "usa": "US",
        "unitedstatesofamerica": "US", "statiunitidamerica": "US", "holland": "NL", "olanda": "NL",
    }  # fmt: skip


@lru_cache(maxsize=1)
def _languages() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for language in _SPOKEN:
        for code, name in Locale(language).languages.items():
            if len(code) == 2:
                found.setdefault(plain(str(name)), str(code))
    return found


@lru_cache(maxsize=2_048)
def country(text: str) -> str | None:
    """ISO 3166-1 alpha-2 of a code or a name in one of five languages; None: no country is known by it."""
    if re.fullmatch(r"[A-Za-z]{2}", text) and text.upper() in set(_countries().values()):
        return text.upper()
    return _countries().get(plain(text))


@lru_cache(maxsize=2_048)
def language(text: str) -> str | None:
    """BCP 47 of a code or a name in one of five languages; None: no language is known by it."""
    if re.fullmatch(r"[A-Za-z]{2}([-_][A-Za-z0-9]{2,8})*", text) and text[:2].lower() in set(_languages().values()):
        return text
    return _languages().get(plain(text))


_WORDS: Mapping[Said, str] = {
    "yes": "yes y true vero 1 x ok si s ja oui optin optedin subscribe subscribed granted given accepted accept active"
    " attivo iscritto iscritta confirmed confermato concesso acconsento acconsentito angemeldet abonne",
    "no": "no n false falso 0 nein non nicht optout optedout unsubscribe unsubscribed unsub denied withdrawn refused"
    " disiscritto disiscritta cancellato revocato rifiutato negato abgemeldet desabonne suppressed blocked blocklisted"
    " blacklisted complained complaint spam objected",
    "pending": "pending unconfirmed notconfirmed daconfermare inattesa inattesadiconferma nonconfermato unbestatigt",
    "nothing": "never neversubscribed notsubscribed nonsubscribed noniscritto transactional unknown none null na"
    " nonspecificato sconosciuto",
    "bounced": "cleaned bounced bounce hardbounce hardbounced invalid undeliverable",
}
_SAID: Mapping[str, Said] = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}


def said(text: str) -> Said | None:
    """What a cell says of a consent; None: no word we know."""
    return _SAID.get(plain(text)) if text.strip() else "nothing"
