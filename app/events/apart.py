"""What may not lie in the open is taken out of what was sent, before any row is written (R12, R18). Pure.

One walk over the whole payload, however deep: values of special categories and free text about a guest (see
`sensitive_names`) are handed back, to be sealed; children are left as an age band by the day of arrival, without name,
birth date or age. Whatever is recorded, kept aside or kept for a look, is what this walk left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any

from app.contacts.sensitive_names import LONGEST, Says, band_of_word, banded, is_text, normal, says, some, tells
from app.events.catalogue import BY_NAME, FIELD_TYPES
from app.events.strangers import Path

ADULT = 18
"""Years from which a companion is no child; the bands below are infant (under 2), child (under 14) and teen."""

DEEPEST = 100
"""Levels of a payload; nobody's booking has more, and each costs a step of the stack."""

_NOTHING = Says.NOTHING
# Tuples: members of an Enum are found faster by what they are than by their hash, which is a call for each.
_CHILDREN = (Says.CHILDREN, Says.CHILDRENS_AGES, Says.CHILDRENS_BIRTHS, Says.CHILDRENS_NAMES)
_PERSON = (Says.BIRTH, Says.AGE, Says.KIND)
_ALL = tuple(one for one in Says if one is not Says.NOTHING)
_OF_CONTACT = (*_CHILDREN, Says.SPECIAL, Says.WISH)
_OF_ATTRIBUTES = (*_CHILDREN, Says.SPECIAL)
_LABELS = ("name", "key", "label", "field", "title", "question", "code", "type", "fieldName", "field_name", "Name")
_ANSWERS = frozenset({"value", "values", "answer", "answers", "response", "text", "content", "Value"})
_ARRIVALS = some(
    "arrival arrival_date check_in checkin check_in_date checkin_date start_utc scheduled_start_utc data_arrivo"
)
_STAYS = ("booking", "stay", "reservation", "order")
_OF_ITSELF = some(
    "birth_date birthdate date_of_birth dob birthday birth born born_on data_nascita data_di_nascita nascita"
    " nato_il nata_il compleanno"
)
_NAMES = some("first_name last_name firstname lastname given_name surname family_name nome cognome")
_PEOPLE = some(
    "guest guests companion companions traveller travellers traveler travelers passenger passengers occupant"
    " occupants person persons people pax participant participants additional_guests ospite ospiti accompagnatore"
    " accompagnatori viaggiatori occupancy"
)
_NO_PERSON = frozenset({"reference", "arrival", "departure", "items", "guests", "room_type", "rooms", *_STAYS})
_COUNTS = frozenset({"count", "quantity", "number", "total"})
_DAY = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_EUROPEAN = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(?!\d)")
_plain = lru_cache(maxsize=50_000)(normal)


class TooDeepError(ValueError):
    """The payload has more than `DEEPEST` levels."""


@dataclass(slots=True)
class Apart:
    """What is left of a payload, and what was taken out of it."""

    left: Any
    special: list[tuple[Path, Any]] = field(default_factory=list)
    """Where it stood, and the value; None where there was none, which clears what was told before."""
    children: list[Path] = field(default_factory=list)
    """Where an age band stands now, or a child's name no longer does."""


def of_data(data: dict[str, Any], type_: str, marked: frozenset[str], occurred: date) -> Apart:
    """The data of an event.

    Args:
        type_: of the event; free text that the catalogue has a field for stays.
        marked: attributes that the team has marked as special: fields so named are special too.
        occurred: the day that ages are worked out for where the data name no arrival.
    """
    return _walked(data, _ALL, marked, _KNOWN.get(type_, _NONE), data, occurred)


def of_attributes(attributes: dict[str, Any], occurred: date) -> Apart:
    """A person's attributes without what they tell of children. What is special of them is told by definitions."""
    return _walked(attributes, _CHILDREN, frozenset(), frozenset(), attributes, occurred)


def of_body(raw: Mapping[str, Any], type_: str, marked: frozenset[str], occurred: date) -> Apart:
    """A whole event as it was sent, fields that nobody knows included: for what is only kept to be looked at."""
    data = raw.get("data")
    given = data if isinstance(data, dict) else {}
    whole = _walked({k: v for k, v in raw.items() if k not in _PARTS}, _ALL, marked, frozenset(), given, occurred)
    parts: dict[str, Apart] = {}
    if isinstance(data, dict):
        parts["data"] = of_data(data, type_, marked, occurred)
    if isinstance(contact := raw.get("contact"), dict):
        parts["contact"] = _of_contact(contact, marked, given, occurred)
    for name, part in parts.items():
        whole.left[name] = part.left
        whole.special += [((name, *path), value) for path, value in part.special]
        whole.children += [(name, *path) for path in part.children]
    whole.left |= {name: raw[name] for name in _PARTS & raw.keys() - parts.keys()}
    return whole


def by_field(special: Sequence[tuple[Path, Any]], about: str | None) -> dict[str, Any]:
    """What was taken, as it is kept: one value for each field of the data, or of the booking or order.

    A value from deeper within is kept as `{"1.allergies": "nuts"}` under its field (`guests`), so that the field's next
    list of guests takes the place of the whole.

    Args:
        about: `booking` or `order`: what stood under it is a field of its own.
    """
    found: dict[str, Any] = {}
    for path, value in special:
        name, *within = map(str, path[1:] if path[0] == about and len(path) > 1 else path)
        if not within:
            found[name] = value
        elif value is not None:
            there = found.get(name)
            found[name] = {**(there if isinstance(there, dict) else {}), ".".join(within): value}
        else:
            found.setdefault(name, None)
    return found


_PARTS = frozenset({"data", "contact"})
_NONE: frozenset[str] = frozenset()
_KNOWN = {name: frozenset(one.name for one in kind.fields) for name, kind in BY_NAME.items()}


def _of_contact(contact: dict[str, Any], marked: frozenset[str], data: dict[str, Any], occurred: date) -> Apart:
    attributes, tags = contact.get("attributes"), contact.get("tags")
    whole = _walked(
        {k: v for k, v in contact.items() if k != "attributes"}, _OF_CONTACT, marked, frozenset(), data, occurred
    )
    if isinstance(attributes, dict):
        part = _walked(attributes, _OF_ATTRIBUTES, marked, frozenset(), data, occurred)
        whole.left = {**whole.left, "attributes": part.left}
        whole.special += [(("attributes", *path), value) for path, value in part.special]
        whole.children += [("attributes", *path) for path in part.children]
    if isinstance(tags, list) and (telling := [one for one in tags if isinstance(one, str) and tells(one)]):
        whole.left = {**whole.left, "tags": [one for one in tags if one not in telling]}
        whole.special.append((("tags",), telling))
    return whole


def _walked(
    value: dict[str, Any],
    heeds: tuple[Says, ...],
    marked: frozenset[str],
    known: frozenset[str],
    data: dict[str, Any],
    occurred: date,
) -> Apart:
    found = Apart(None)
    found.left = _Walk(heeds, marked, known, data, occurred, found).object(value, (), "")
    return found


@dataclass(slots=True)
class _Walk:
    heeds: tuple[Says, ...]
    marked: frozenset[str]
    known: frozenset[str]
    data: dict[str, Any]
    occurred: date
    found: Apart
    arrival: date | None = None

    def any(self, value: Any, path: Path, parent: str) -> Any:
        """The value without what may not stay; the very same object where nothing was taken."""
        if len(path) > DEEPEST:
            raise TooDeepError(f"more than {DEEPEST} levels")
        if isinstance(value, dict):
            return self.object(value, path, parent)
        if isinstance(value, list):
            made = [self.any(one, (*path, place), parent) for place, one in enumerate(value)]
            return value if all(a is b for a, b in zip(made, value, strict=True)) else made
        return value

    def object(self, given: dict[str, Any], path: Path, parent: str) -> Any:
        """An object without what may not stay: perhaps only an age band, where it is a child."""
        left: dict[str, Any] | None = None  # copied only once something changes: most payloads tell nothing
        persons: list[tuple[str, Says]] = []
        for key, value in given.items():
            what = says(key)
            if what is not _NOTHING or self.marked:
                what = self.heeded(key, what, path)
            if what in _PERSON:
                persons.append((key, what))
                what = _NOTHING
            if what is _NOTHING:
                if type(value) is dict or type(value) is list:
                    made = self.any(value, (*path, key), key)
                    if made is not value:
                        left = dict(given) if left is None else left
                        left[key] = made
            elif _is_figure(value) and (what is Says.CHILDREN or what is Says.WISH or is_text(key)):
                continue  # so many children, so many requests: a figure tells of nobody
            elif what in _CHILDREN:
                left = dict(given) if left is None else left
                self.child(left, key, what, (*path, key))
            else:
                left = dict(given) if left is None else left
                self.take(left, key, what, (*path, key))
        whole = given if left is None else left
        if not _ANSWERS.isdisjoint(whole):
            whole = self.answers(whole, path)
        return self.person(whole, persons, path, parent) if persons else whole

    def heeded(self, key: str, what: Says, path: Path) -> Says:
        """What a name says, as far as it matters here."""
        if self.marked and what is not Says.SPECIAL and Says.SPECIAL in self.heeds and self.is_marked(key, path):
            return Says.SPECIAL
        if what is Says.NOTHING or what not in self.heeds:
            return Says.NOTHING
        return Says.NOTHING if what is Says.WISH and not path and key in self.known else what

    def is_marked(self, key: str, path: Path) -> bool:
        """Whether the team marked an attribute of this name. What the house itself needs of an event stays."""
        if key not in self.marked and _plain(key[:LONGEST]) not in self.marked:
            return False
        needed = FIELD_TYPES.get(path[0], {}) if len(path) == 1 else () if path else self.known  # type: ignore[call-overload]
        return key not in needed and not (not path and key in _STAYS)

    # -- R18 -------------------------------------------------------------------------------------------------------

    def take(self, left: dict[str, Any], key: str, what: Says, path: Path) -> None:
        value = left[key]
        if (what is Says.WISH or is_text(key)) and isinstance(value, dict | list) and value and not any(_texts(value)):
            left[key] = self.any(value, path, key)
            return
        del left[key]
        self.found.special.append((path, value if _says_something(value) else None))

    def answers(self, given: dict[str, Any], path: Path) -> dict[str, Any]:
        """A pair of a label and its value, as forms and shops send them: `{"name": "Allergies", "value": "nuts"}`."""
        answered = sorted(_ANSWERS & given.keys())
        for name in _LABELS:
            label = given.get(name)
            if not isinstance(label, str) or name in answered:
                continue
            what = self.heeded(label, says(label), (*path, ""))
            if what in {Says.NOTHING, Says.BIRTH, Says.AGE, Says.KIND}:
                continue
            given = dict(given)
            for one in answered:
                if what in _CHILDREN:
                    self.answer_of_child(given, one, what, (*path, one))
                elif _says_something(given[one]):
                    self.found.special.append(((*path, label[:LONGEST]), given.pop(one)))
            return given
        return given

    # -- R12 -------------------------------------------------------------------------------------------------------

    def child(self, left: dict[str, Any], key: str, what: Says, path: Path) -> None:
        """A field about children: a count stays, anything else becomes bands, names go."""
        value = self.any(left[key], path, "guests")
        if what is Says.CHILDREN:
            if not _says_something(value) or _is_count(value):
                left[key] = value
                return
            made = self.bands(value, _word(key))
            if made != left[key]:
                self.found.children.append(path)
            left[key] = made
            return
        del left[key]
        self.found.children.append(path)
        if what is not Says.CHILDRENS_NAMES and _says_something(value):
            several = _several(value, what)
            left[banded(key, isinstance(several, list))] = self.bands(several, _word(key))

    def answer_of_child(self, given: dict[str, Any], key: str, what: Says, path: Path) -> None:
        if what is Says.CHILDREN and (isinstance(given[key], int | float) or _is_count(given[key])):
            return
        self.found.children.append(path)
        value = given.pop(key)
        if what is not Says.CHILDRENS_NAMES and _says_something(value):
            given["age_band"] = self.bands(_several(value, what), None)

    def bands(self, value: Any, default: str | None) -> Any:
        """The same shape with an age band for each child."""
        if isinstance(value, list):
            return [
                self.bands(one, default) if isinstance(one, dict | list) else self.band(one, default) for one in value
            ]
        if not isinstance(value, dict):
            return self.band(value, default)
        lists = [one for one in value.values() if isinstance(one, list)]
        made: dict[str, Any] = {k: v for k, v in value.items() if _plain(k) in _COUNTS and isinstance(v, int | float)}
        if lists:
            made["age_bands"] = [self.band_of(one, default) for some in lists for one in some]
        else:
            made["age_band"] = self.band_of(value, default)
        return made

    def band_of(self, value: Any, default: str | None) -> str:
        if not isinstance(value, dict):
            return self.band(value, default)
        if isinstance(there := value.get("age_band"), str) and there in _BANDS:
            return there
        kinds = {what: one for key, one in value.items() if (what := says(key)) in _ALL}
        for what in (Says.BIRTH, Says.AGE, Says.CHILDRENS_BIRTHS, Says.CHILDRENS_AGES):
            if what in kinds and (band := self.band(kinds[what], None)) != "unknown":
                return band
        kind = kinds.get(Says.KIND)
        return (band_of_word(kind) if isinstance(kind, str) else None) or default or "unknown"

    def band(self, value: Any, default: str | None) -> str:
        """The band of an age, a birth date or a word."""
        years = self.years(value)
        if years is not None:
            return _band(years)
        if isinstance(value, str):
            return value if value in _BANDS else band_of_word(value) or default or "unknown"
        return default or "unknown"

    def years(self, value: Any) -> int | None:
        """The age that a number or a birth date comes to on the day of arrival."""
        if isinstance(value, str) and value.strip().isdigit():
            value = int(value) if len(value.strip()) <= 4 else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            if 0 <= value < 130:
                return int(value)
            return self.day().year - int(value) if 1900 <= value <= 2200 else None
        born = _date(value)
        if born is None:
            return None
        day = self.day()
        return day.year - born.year - ((day.month, day.day) < (born.month, born.day))

    def day(self) -> date:
        """The day of arrival, else the day of the event."""
        if self.arrival is None:
            self.arrival = next(_arrivals(self.data), self.occurred)
        return self.arrival

    def person(self, given: dict[str, Any], told: Sequence[tuple[str, Says]], path: Path, parent: str) -> Any:
        """An object that tells an age: of a child nothing stays but the band; of a booking with one, only the field."""
        people = _plain(parent[:LONGEST]) in _PEOPLE
        alone = path and path not in {("booking",), ("order",)} and not _NO_PERSON & given.keys()
        for key, what in told:
            value = given.get(key)
            if what is Says.BIRTH:
                years = self.years(value) if isinstance(value, str) else None
                if years is None or years >= ADULT:
                    continue
                self.found.children.append(path if alone else (*path, key))
                if alone and _plain(key) in _OF_ITSELF:
                    return self.counted(given, _band(years))
                given = {k: v for k, v in given.items() if k != key} | {banded(key, False): _band(years)}
            elif alone and (people or _NAMES & {_plain(one[:LONGEST]) for one in given}):
                band = self.band(value, None) if what is Says.AGE else _kind(value)
                if band in _MINOR:
                    self.found.children.append(path)
                    return self.counted(given, band)
        return given

    def counted(self, given: Mapping[str, Any], band: str) -> dict[str, Any]:
        return {k: v for k, v in given.items() if _plain(k) in _COUNTS and isinstance(v, int)} | {"age_band": band}


_MINOR = frozenset({"infant", "child", "teen"})
_SURE = frozenset({"infant", "teen"})
_BANDS = _MINOR | {"adult", "unknown"}


def _band(years: int) -> str:
    return "infant" if years < 2 else "child" if years < 14 else "teen" if years < ADULT else "adult"


def _kind(value: Any) -> str | None:
    return band_of_word(value) if isinstance(value, str) else None


def _word(key: str) -> str | None:
    """The band of children of whom no more is told than what the field is called: of `children` that is none."""
    return next((band for part in normal(key[:LONGEST]).split("_") if (band := band_of_word(part)) in _SURE), None)


def _several(value: Any, what: Says) -> Any:
    """Ages in one text (`3, 7`) as a list of them."""
    numbers = _numbers(value) if what is Says.CHILDRENS_AGES and isinstance(value, str) else []
    return numbers if len(numbers) > 1 else value


def _numbers(text: str) -> list[str]:
    return re.findall(r"\d+", text) if re.fullmatch(r"[\d\s,;/&+-]+|[\d\s,;]+(and|e)[\d\s]+", text) else []


def _is_figure(value: Any) -> bool:
    return type(value) is int or type(value) is float or type(value) is bool


def _is_count(value: Any) -> bool:
    return isinstance(value, str) and (not value.strip() or value.strip().isdigit())


def _says_something(value: Any) -> bool:
    return value is not None and value not in ("", [], {}) and not (isinstance(value, str) and not value.strip())


def _texts(value: Any) -> Iterator[bool]:
    """Whether anything in it is a text."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _texts(one)
    else:
        yield isinstance(value, str) and bool(value.strip())


def _arrivals(data: Mapping[str, Any]) -> Iterator[date]:
    for part in (*(data.get(name) for name in _STAYS), data):
        if isinstance(part, dict):
            for key, value in part.items():
                if _plain(key[:LONGEST]) in _ARRIVALS and (found := _date(value)):
                    yield found


def _date(value: Any) -> date | None:
    if not isinstance(value, str):
        return None
    text = value.strip()[:30]
    try:
        if found := _DAY.match(text):
            return date(int(found[1]), int(found[2]), int(found[3]))
        if found := _EUROPEAN.match(text):
            return date(int(found[3]), int(found[2]), int(found[1]))
    except ValueError:
        return None
    return None
