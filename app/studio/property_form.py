"""The form of a property: its fields in groups, what may be wrong with each, and how they are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from babel.numbers import is_currency
from email_validator import EmailNotValidError, validate_email
from flask_babel import lazy_gettext

from app.contacts.models import Property
from app.studio.languages import LANGUAGES, gettext

_ = lazy_gettext
_ZONES = tuple(
    sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "posix/")))
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `place` is the column, or `column.key` inside a JSON column; `kind` is what it must hold."""

    place: str
    label: Any
    kind: str = "text"
    needed: bool = False
    hint: Any = ""
    choices: Sequence[tuple[str, str]] = ()
    wide: bool = False
    autocomplete: str = "off"


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that belong together."""

    title: Any
    about: Any
    fields: Sequence[Field]


GROUPS = (
    Group(
        _("Who it is"),
        _("Shown to guests in every mail."),
        (
            Field("name", _("Name"), needed=True),
            Field("email", _("Address for guests"), "email"),
            Field("phone", _("Telephone"), "phone"),
            Field("links.website", _("Website"), "url", hint=_("Starts with https://")),
            Field("address.street", _("Street")),
            Field("address.postcode", _("Postcode")),
            Field("city", _("Town")),
            Field("address.province", _("Province")),
            Field("country", _("Country"), "country", hint=_("Two letters, such as IT")),
        ),
    ),
    Group(
        _("How it writes"),
        _("Replies must reach a person: guests do answer."),
        (
            Field("sender_name", _("Sender's name"), needed=True),
            Field("sender_email", _("Sender's address"), "email", needed=True),
            Field("reply_to", _("Replies go to"), "email"),
            Field(
                "language",
                _("Language when a guest's is not known"),
                "choice",
                needed=True,
                choices=tuple(LANGUAGES.items()),
            ),
        ),
    ),
    Group(
        _("When"),
        _("Waits such as “16:00, 1 day before arrival” follow the hotel's own clock."),
        (
            Field("zone", _("Time zone"), "zone", needed=True, hint=_("Such as Europe/Rome")),
            Field("checkin_from", _("Check-in from"), "clock"),
            Field("checkout_until", _("Check-out until"), "clock"),
            Field("currency", _("Currency"), "currency", needed=True, hint=_("Three letters, such as EUR")),
        ),
    ),
    Group(
        _("What the law asks for"),
        _("Marketing mails name the controller and, in Italy, show the CIN."),
        (
            Field("controller", _("Data controller"), hint=_("The company's legal name"), wide=True),
            Field("vat", _("VAT number")),
            Field("cin", _("CIN"), hint=_("Codice Identificativo Nazionale")),
            Field("links.notice", _("Privacy notice"), "url", hint=_("Starts with https://"), wide=True),
        ),
    ),
)
FIELDS = tuple(field for group in GROUPS for field in group.fields)


def of_property(chosen: Property) -> dict[str, str]:
    """What the form shows of a property."""
    return {field.place: str(_read(chosen, field.place) or "") for field in FIELDS}


def _read(chosen: Property, place: str) -> Any:
    column, _dot, key = place.partition(".")
    kept = getattr(chosen, column)
    return kept.get(key) if key else kept


def problems(given: Mapping[str, str]) -> dict[str, str]:
    """What is wrong, by field, each with its cure; empty where nothing is."""
    found = {}
    for field in FIELDS:
        text = given.get(field.place, "")
        if not text:
            if field.needed:
                found[field.place] = gettext("This is needed.")
            continue
        if len(text) > 300:
            found[field.place] = gettext("At most 300 characters.")
            continue
        wrong = _wrong(field, text)
        if wrong:
            found[field.place] = wrong
    return found


def _wrong(field: Field, text: str) -> str | None:
    match field.kind:
        case "email":
            try:
                validate_email(text, check_deliverability=False, test_environment=True)
            except EmailNotValidError:
                return gettext("This is no mail address. It should look like name@example.com.")
        case "url":
            parts = urlsplit(text)
            if parts.scheme not in {"http", "https"} or not parts.netloc:
                return gettext("This is no web address. It should start with https://.")
        case "zone":
            if text not in _ZONES:
                return gettext("There is no such time zone. Choose one of the list, such as Europe/Rome.")
        case "clock":
            if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
                return gettext("Write a time such as 15:00.")
        case "currency":
            if not (len(text) == 3 and is_currency(text.upper())):
                return gettext("Write the three letters of a currency, such as EUR.")
        case "country":
            if not re.fullmatch(r"[A-Za-z]{2}", text):
                return gettext("Write two letters, such as IT.")
        case "choice":
            if text not in dict(field.choices):
                return gettext("Choose one of the list.")
        case "phone":
            if not re.fullmatch(r"[+\d][\d ()./-]{4,30}", text):
                return gettext("Write it with its country, such as +39 0323 000000.")
        case _:
            return None
    return None


def apply(chosen: Property, given: Mapping[str, str], now: datetime) -> None:
    """Keep what `problems` found nothing wrong with."""
    for field in FIELDS:
        text: str | None = given.get(field.place, "")
        if field.kind in {"currency", "country"} and text:
            text = text.upper()
        column, _dot, key = field.place.partition(".")
        if key:
            kept = dict(getattr(chosen, column))
            if text:
                kept[key] = text
            else:
                kept.pop(key, None)
            setattr(chosen, column, kept)
        else:
            setattr(chosen, column, text if text or field.needed else None)
    chosen.updated_at = now


def zones() -> Sequence[str]:
    """Every time zone of a place."""
    return _ZONES
