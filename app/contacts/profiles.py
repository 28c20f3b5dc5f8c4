"""A person's profile in memory: per field the newest fact wins, whatever order facts arrive in.

Pure. `field_versions` holds for each field the order key of the event that set it last: the instant it is ordered by,
then source and event id. A fact with a smaller key than the stored one changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from babel import Locale

from app.contacts.addresses import Email, normal_email, normal_phone
from app.contacts.attributes import KEY, MOST_DEFINITIONS, WrongTypeError, coerced, inferred

NAMES = ("first_name", "last_name")
PLAIN = (*NAMES, "language", "zone", "country")
COLUMNS = ("external_id", "email", "email_key", "phone", *PLAIN)
"""Text columns of a contact, in the order in which they are written."""

_LANGUAGE = re.compile(r"([A-Za-z]{2,3})([-_][A-Za-z0-9]{2,8})*")


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


@lru_cache(maxsize=1)
def _countries() -> frozenset[str]:
    return frozenset(code for code in map(str, Locale("en").territories) if len(code) == 2 and code.isalpha())


@dataclass(frozen=True, slots=True)
class Wrong:
    """A part of a person that was left out: JSON Pointer below the contact, what, and the cure."""

    where: str
    detail: str
    cure: str


@dataclass(slots=True)
class Person:
    """Whom an event speaks of, in normal form. `fields` holds what is to be set; None clears."""

    external_id: str | None = None
    email: Email | None = None
    phone: str | None = None
    is_relay: bool = False
    """The address is an agency's alias, which stands for one booking and proves no person (R34)."""
    fields: dict[str, Any] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    attributes: dict[str, Any] = field(default_factory=dict)
    wrong: list[Wrong] = field(default_factory=list)

    @property
    def nameless(self) -> bool:
        """Whether nothing says who it is: no id, no usable address, no usable number."""
        return not (self.external_id or self.email or self.phone)


@dataclass(slots=True, eq=False)
class Profile:
    """A contact's row while a batch is worked on. `id` is 0 until a new one is given its number."""

    id: int = 0
    values: dict[str, Any] = field(default_factory=lambda: dict.fromkeys(COLUMNS))
    tags: frozenset[str] = frozenset()
    attributes: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    is_new: bool = False
    adopted: bool = False
    changed: bool = False

    def tell(self, person: Person, version: str) -> None:
        """Lay what an event says of the person over the profile, field by field, newest fact first."""
        if person.external_id and self.values["external_id"] is None:
            self.values["external_id"], self.changed = person.external_id, True
        for name, value in person.fields.items():
            stamp = version
            if name == "email":
                # An agency's alias never takes the place of a person's own address (R34).
                stamp = ("0" if person.is_relay else "1") + version
            if not self._newer(name, stamp):
                continue
            if name == "email":
                self.values["email"] = value.address if value else None
                self.values["email_key"] = value.key if value else None
            else:
                self.values[name] = value
        for key, value in person.attributes.items():
            if not self._newer(f"attributes.{key}", version):
                continue
            if value is None:
                self.attributes.pop(key, None)
            else:
                self.attributes[key] = value
        if not person.tags <= self.tags:
            self.tags, self.changed = self.tags | person.tags, True

    def _newer(self, name: str, version: str) -> bool:
        if version <= self.versions.get(name, ""):
            return False
        # The version moves even where the value stays: a fact between the two must lose when it comes late.
        self.versions[name] = version
        self.changed = True
        return True


def person_of(given: Mapping[str, Any], country: str | None, relays: Collection[str] = ()) -> Person:
    """A person in normal form.

    Args:
        given: the fields of `contact` that were sent; None clears a field.
        country: ISO code that telephone numbers without a country code belong to.
        relays: domains of agencies' alias addresses.
    """
    person = Person(external_id=given.get("external_id") or None)
    if "email" in given:
        _email(person, given["email"])
        person.is_relay = person.email is not None and person.email.is_at(relays)
    if "phone" in given:
        _phone(person, given["phone"], country)
    for name in PLAIN:
        if name in given:
            _plain(person, name, given[name])
    person.tags = frozenset(given.get("tags") or ())
    return person


def _email(person: Person, text: str | None) -> None:
    person.email = normal_email(text) if text else None
    if text and person.email is None:
        person.wrong.append(Wrong("/email", "This is no e-mail address; it was left out.", "Send name@domain."))
    else:
        person.fields["email"] = person.email


def _phone(person: Person, text: str | None, country: str | None) -> None:
    person.phone = normal_phone(text, country) if text else None
    if text and person.phone is None:
        cure = "Send it with its country code, such as +39 0323 30416."
        person.wrong.append(Wrong("/phone", "This is no telephone number; it was left out.", cure))
    else:
        person.fields["phone"] = person.phone


def _plain(person: Person, name: str, text: str | None) -> None:
    text = text.strip() if text else None
    if not text:
        person.fields[name] = None
        return
    if name == "language":
        if not _LANGUAGE.fullmatch(text):
            person.wrong.append(Wrong("/language", "This is no language; it was left out.", "Send it, en, en-GB ..."))
            return
        parts = text.replace("_", "-").split("-")
        text = "-".join([parts[0].lower(), *(part.upper() if len(part) == 2 else part for part in parts[1:])])
    elif name == "zone" and text not in _zones():
        person.wrong.append(Wrong("/zone", "This is no time zone; it was left out.", "Send an IANA name: Europe/Rome."))
        return
    elif name == "country":
        text = text.upper()
        if text not in _countries():
            cure = "Send ISO 3166-1 alpha-2: IT, DE, GB ..."
            person.wrong.append(Wrong("/country", "This is no country; it was left out.", cure))
            return
    person.fields[name] = text


def typed_attributes(given: Mapping[str, Any], types: Mapping[str, str]) -> tuple[dict[str, Any], list[Wrong]]:
    """Attributes as their definitions want them, and what was left out.

    Args:
        given: as sent; None clears.
        types: key → type of every definition, new ones (`new_definitions`) included.
    """
    kept: dict[str, Any] = {}
    wrong: list[Wrong] = []
    for key, value in given.items():
        where = "/attributes/" + key.replace("~", "~0").replace("/", "~1")
        if value is None:
            kept[key] = None
        elif not KEY.fullmatch(key):
            cure = "Use small letters, digits and underscores, beginning with a letter, at most 63."
            wrong.append(Wrong(where, "This is no name for an attribute; it was left out.", cure))
        elif key not in types:
            cure = "Send a text, number, true/false, date, instant or list; or remove attributes no longer used."
            wrong.append(Wrong(where, "The attribute has no type; it was left out.", cure))
        else:
            try:
                kept[key] = coerced(value, types[key])
            except WrongTypeError as error:
                detail = f"The attribute is of type {types[key]}; this value was left out."
                wrong.append(Wrong(where, detail, f"Send what fits: {error}."))
    return kept, wrong


def new_definitions(given: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, str]:
    """Key → inferred type of those attributes that have no definition yet, as far as the workspace may have more."""
    new: dict[str, str] = {}
    for key, value in given.items():
        if value is None or key in types or not KEY.fullmatch(key) or len(types) + len(new) >= MOST_DEFINITIONS:
            continue
        type_ = inferred(value)
        if type_:
            new[key] = type_
    return new
