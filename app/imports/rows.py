"""One row of a file, read by its mapping: who it is, what the person has said, how that can be shown. Pure.

The person's yes counts only with its source, the version of the words, and its date; it permits only with the
confirmation from the mailbox or a signed scan beside them (R5, R6, R16). A no needs no proof.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from app.consent.ages import is_child
from app.contacts.addresses import normal_phone
from app.contacts.attributes import WrongTypeError
from app.contacts.profiles import Person, Wrong, person_of, typed_attributes
from app.imports import cells
from app.imports.columns import Reading, consent_of

LONGEST_NAME = 200
MOST_TAGS = 100


@dataclass(frozen=True, slots=True)
class Note:
    """Something about a row: a code of `notes.SENTENCES`, and the column it is about, from 0 (None: the row)."""

    code: str
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What the row says of one consent. `state` is what would stand in the ledger."""

    channel: str
    purpose: str
    topic: str | None
    state: str
    """granted, pending, denied or withdrawn; `unproven`: a yes that cannot be shown."""
    at: datetime
    confirmed_at: datetime | None = None


@dataclass(slots=True)
class Told:
    """A row, read."""

    person: Person
    at: datetime
    """The instant its facts are ordered by."""
    wishes: list[Wish] = field(default_factory=list)
    proof: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    bounced: bool = False
    """Where it comes from, mail to the address came back."""
    refused: bool = False

    def refuse(self, code: str, column: int | None = None) -> None:
        """The row is not taken in; the first reason stands first."""
        self.refused = True
        self.notes.insert(0, Note(code, column))

    def note(self, code: str, column: int | None = None) -> None:
        """Something was left out, or is worth knowing."""
        if Note(code, column) not in self.notes:
            self.notes.append(Note(code, column))


@dataclass(frozen=True, slots=True)
class Ground:
    """What every row of a file is read by."""

    reading: Reading
    width: int
    types: Mapping[str, str]
    """key → type of every attribute, the file's new ones included."""
    country: str | None
    zone: tzinfo
    relays: Collection[str]
    """Domains of booking sites' relay addresses (R34)."""
    at: datetime
    """When the file came: its rows are as old as that, unless a column says otherwise."""
    now: datetime


_WHERE = {"/email": "email", "/phone": "phone", "/language": "language", "/country": "country", "/zone": "zone"}


def told(row: Sequence[str], ground: Ground) -> Told:
    """A row as its mapping reads it.

    Args:
        row: its cells; too few are empty ones, too many refuse it, for then its values stand in wrong columns.
    """
    reading = ground.reading
    given: dict[str, tuple[str, int]] = {}
    tags: list[str] = []
    for place, meaning in enumerate(reading.columns):
        if not meaning or place >= len(row) or not row[place]:
            continue
        if meaning == "tags":
            tags += cells.items(row[place])
        else:
            given[meaning] = (row[place], place)
    read = _Row(ground, given)
    found = Told(read.person(tags), ground.at)
    read.into(found)
    if any(row[ground.width :]):
        found.refuse("ragged")
    elif found.person.nameless:
        found.refuse("nobody")
    elif is_child(
        found.person.attributes.get("birth_date"), found.person.attributes.get("age_band"), ground.now.date()
    ):
        found.refuse("child", _place(given, "attribute:birth_date"))
    if found.person.is_relay:
        found.note("relay", _place(given, "email"))
    return found


def _place(given: Mapping[str, tuple[str, int]], meaning: str) -> int | None:
    return given[meaning][1] if meaning in given else None


class _Row:
    """A row while it is read."""

    def __init__(self, ground: Ground, given: Mapping[str, tuple[str, int]]) -> None:
        self.ground, self.given = ground, given
        self.notes: list[Note] = []

    def person(self, tags: Sequence[str]) -> Person:
        """Whom the row is about, with all that could be read of it."""
        fields: dict[str, Any] = {}
        for name in ("email", "first_name", "last_name", "zone", "external_id"):
            if name in self.given:
                text, place = self.given[name]
                if len(text) > (254 if name == "email" else LONGEST_NAME):
                    self.notes.append(Note("too_long", place))
                else:
                    fields[name] = text
        if "full_name" in self.given and not fields.keys() & {"first_name", "last_name"}:
            fields |= _split(self.given["full_name"][0][:LONGEST_NAME])
        for name, known in (("language", cells.language), ("country", cells.country)):
            if name in self.given:
                # What is no word of ours goes on as it is: the one place where fields are checked refuses it.
                fields[name] = known(self.given[name][0]) or self.given[name][0]
        country = (fields.get("country") if len(fields.get("country") or "") == 2 else None) or self.ground.country
        if "phone" in self.given:
            fields["phone"] = self._phone(self.given["phone"][0], country)
        usable = [one for one in dict.fromkeys(tags) if len(one) <= LONGEST_NAME][:MOST_TAGS]
        person = person_of({**fields, "tags": usable}, country, self.ground.relays)
        person.attributes = self._attributes()
        for wrong in person.wrong:
            self.notes.append(Note("left_out_" + wrong.where[1:], _place(self.given, _WHERE.get(wrong.where, ""))))
        return person

    def _phone(self, text: str, country: str | None) -> str:
        """The number in E.164 where it is one, else as it stands."""
        bare = text.isascii() and text.isdigit()
        abroad = normal_phone("+" + text, None) if bare and len(text) >= 10 and not text.startswith("0") else None
        if self.ground.reading.international and abroad:
            return abroad
        return normal_phone(text, country) or abroad or text

    def _attributes(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for meaning, (text, place) in self.given.items():
            if not meaning.startswith("attribute:"):
                continue
            key = meaning.removeprefix("attribute:")
            type_ = self.ground.types.get(key, "text")
            wrong: list[Wrong] = []
            try:
                kept, wrong = typed_attributes(
                    {key: cells.typed(text, type_, self.ground.reading.dates, self.ground.zone)}, {key: type_}
                )
                values |= kept
            except WrongTypeError:
                self.notes.append(Note(f"not_{type_}", place))
            if wrong:
                self.notes.append(Note(f"not_{type_}", place))
        return values

    def into(self, found: Told) -> None:
        """Date the row, and read what it says of consents."""
        found.notes = self.notes
        changed = self._instant(found, "changed_at")
        if changed is not None:
            found.at = min(changed, self.ground.now)
        found.proof = self._proof()
        asked, confirmed = self._instant(found, "proof:requested_at"), self._instant(found, "proof:confirmed_at")
        for meaning, word, place in self._said(found):
            channel, purpose, topic = consent_of(meaning) or ("email", "marketing", None)
            if word == "no":
                at = self._instant(found, "refused") if meaning == _REFUSED else None
                state = "withdrawn" if meaning == _REFUSED else "denied"
                found.wishes.append(Wish(channel, purpose, topic, state, min(at or found.at, self.ground.now)))
                continue
            at = min(asked or confirmed or found.at, self.ground.now)
            missing = self._missing(found.proof, asked or confirmed)
            for code in missing:
                found.note(code, place)
            state = "unproven" if missing else "granted"
            shown = confirmed or found.proof.get("scan_id")
            if state == "granted" and (word == "pending" or not shown):
                state = "pending"
                found.note("unconfirmed", place)
            sure = min(confirmed, self.ground.now) if confirmed and state == "granted" else None
            found.wishes.append(Wish(channel, purpose, topic, state, at, sure))

    def _said(self, found: Told) -> list[tuple[str, str, int | None]]:
        """Every consent the row speaks of: what, `yes` / `no` / `pending`, and in which column. A no goes before."""
        spoken: list[tuple[str, str, int | None]] = []
        for meaning, (text, place) in self.given.items():
            if meaning == "refused":
                # A date says when it was; of words only a yes or its like says that there was one.
                if cells.said(text) not in {"no", "nothing"} or text.casefold() in {"suppressed", "unsubscribed"}:
                    spoken.append((_REFUSED, "no", place))
            elif meaning.startswith("consent:"):
                word = cells.said(text)
                if word is None:
                    found.note("unknown_word", place)
                elif word == "bounced":
                    found.bounced = True
                    found.note("bounced", place)
                elif word != "nothing":
                    spoken.append((meaning, word, place))
        everyone = self.ground.reading.everyone
        if everyone and everyone not in {meaning for meaning, _, _ in spoken} and everyone not in self.given:
            spoken.append((everyone, "yes", None))
        refused = any(word == "no" and meaning == _REFUSED for meaning, word, _ in spoken)
        if refused:
            spoken = [one for one in spoken if one[1] == "no" or not one[0].startswith("consent:email:marketing")]
        return sorted(spoken, key=lambda one: one[1] != "no")

    def _proof(self) -> dict[str, Any]:
        proof: dict[str, Any] = dict(self.ground.reading.constants)
        for meaning, (text, _) in self.given.items():
            name = meaning.removeprefix("proof:")
            if meaning.startswith("proof:") and name not in {"requested_at", "confirmed_at"}:
                proof[name] = text
        if proof.get("wording") and not proof.get("wording_version"):
            # The words themselves are there: their hash names them as well as a number would.
            proof["wording_version"] = "sha256:" + hashlib.sha256(proof["wording"].encode()).hexdigest()[:16]
        return proof

    @staticmethod
    def _missing(proof: Mapping[str, Any], at: datetime | None) -> list[str]:
        missing = [] if proof.get("source") else ["no_source"]
        missing += [] if proof.get("wording_version") else ["no_wording_version"]
        return missing if at else [*missing, "no_date"]

    def _instant(self, found: Told, meaning: str) -> datetime | None:
        if meaning not in self.given:
            return None
        text, place = self.given[meaning]
        if meaning == "refused" and cells.said(text) is not None:
            return None
        try:
            moment = cells.instant(text, self.ground.reading.dates, self.ground.zone)
        except WrongTypeError:
            found.note("not_date", place)
            return None
        if moment > self.ground.now:
            found.note("ahead", place)
            return None
        return moment


_REFUSED = "consent:email:marketing"
"""What an unsubscription from a list is a no to: all marketing by mail."""


def _split(name: str) -> dict[str, str]:
    """First and last name of `Giulia De Santis` or `De Santis, Giulia`."""
    last, comma, first = name.partition(",")
    if comma:
        return {key: text for key, text in (("first_name", first.strip()), ("last_name", last.strip())) if text}
    first, _, last = name.strip().partition(" ")
    return {key: text for key, text in (("first_name", first), ("last_name", last.strip())) if text}
