"""One event on its way through `record`: read against what the workspace has, with what may not lie in the open taken
out of it before anything else looks at it (R12, R18). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET

from app.contacts.bookings import BookingRow
from app.contacts.profiles import Person, Profile, person_of
from app.contacts.projection import instant_text
from app.contacts.sensitive_names import tells
from app.contacts.special import NOBODY
from app.contacts.special import Told as Secret
from app.events import apart, claims
from app.events.apart import Apart, TooDeepError
from app.events.incoming import CONTACT_FIELDS, Incoming, Problem, Verdict, pointer
from app.events.log import Place, World

CLOCK_SKEW = timedelta(minutes=5)
"""An event dated this far ahead of us is taken as it is (X15)."""
QUARANTINE = timedelta(hours=24)
"""One dated further ahead than this is kept and not acted on (X15)."""


@dataclass(slots=True, eq=False)
class Item:
    """One event, and what becomes of it while its batch is recorded."""

    position: int
    event: Incoming
    place: Place | None
    named: Place | None
    person: Person
    told: claims.Told | None
    ordered_at: datetime
    quarantined: str | None
    apart: Apart
    """What its data told of special categories; the event itself no longer has it."""
    special: dict[str, Any] = field(default_factory=dict)
    """Attributes and tags of a special category."""
    profile: Profile | None = None
    row: BookingRow | None = None
    contradicts: bool = False
    """Another event came first under its id: it is only kept to be looked at (X18) ..."""
    corrects: bool = False
    """... but for what it says of its booking, under a higher sequence."""
    aside: dict[str, Any] = field(default_factory=dict)
    """Of one that is only kept to be looked at: what was taken out of it, by where it stood."""

    @property
    def version(self) -> str:
        """Order key of what it tells, as in `Contact.field_versions`."""
        return f"{instant_text(self.ordered_at)}|{self.event.id}"

    @property
    def is_named(self) -> bool:
        """Whether it says itself whom it is about."""
        return not self.person.nameless

    @property
    def owner(self) -> int:
        """Whom an event belongs to that names nobody: whose booking it is about; 0 where there is none."""
        return self.row.owner if self.row else 0

    def ahead(self, now: datetime) -> bool:
        """Whether it is dated further into the future than clocks may differ."""
        return self.event.occurred_at - now > CLOCK_SKEW

    def skew(self, now: datetime) -> list[Problem]:
        """What its sender is told of the date."""
        if not self.ahead(now):
            return []
        detail = "The event is dated in the future; it is ordered by the time of receipt."
        if self.quarantined:
            detail = "The event is dated more than 24 hours ahead; it is kept and not acted on."
        return [Problem(self.event.at + "/occurred_at", detail, "Set the clock of the sending system.")]

    def body(self, marked: frozenset[str]) -> bytes:
        """The event as it was sent, for whoever looks into it, without what may not lie in the open: see `aside`."""
        event = self.event
        found = apart.of_body(msgspec.json.decode(event.body), event.type, marked, event.occurred_at.date())
        self.aside = {".".join(map(str, path)): value for path, value in found.special if value is not None}
        return _encode(found.left)

    def secrets(self, source_id: int) -> Iterator[Secret]:
        """What it told of special categories, and whose that is: nobody's yet, where the event is only kept."""
        if self.aside:
            yield Secret(NOBODY, self.aside, self.version, event_key=f"{source_id}:{self.event.id}")
        if self.corrects or not (self.contradicts or self.quarantined):
            if self.profile and self.special:
                yield Secret(self.profile.id, self.special, self.version)
            if self.apart.special:
                whose = self.profile.id if self.profile and self.row is None else self.owner
                values = apart.by_field(self.apart.special, self.told.ref[0] if self.told else None)
                version = f"{self.version}|{self.event.sequence or 0:020}"
                yield Secret(whose, values, version, booking_id=self.row.id if self.row else None)


def item_of(
    position: int, event: Incoming | Verdict, world: World, property_id: int | None, now: datetime
) -> Item | Verdict:
    """An event of a batch, or the verdict that it is rejected.

    Args:
        property_id: the property that speaks where the event names none.
    """
    if isinstance(event, Verdict):
        return event
    try:
        taken = _taken_apart(event, world.special)
    except TooDeepError as error:
        return event.rejected("/data", f"The event cannot be kept: {error}.", "Send fewer levels.")
    named = _named(event, world)
    place = named or next((one for one in world.places if one.id == property_id), None)
    place = place or next((one for one in world.places if one.is_default), None)
    given = {}
    if event.contact is not None:
        given = {name: value for name in CONTACT_FIELDS if (value := getattr(event.contact, name)) is not UNSET}
    person = person_of(given, place.country if place else None, world.relays)
    for wrong in person.wrong:
        event.warn("/contact" + wrong.where, wrong.detail, wrong.cure)
    secret_tags = sorted(tag for tag in person.tags if tells(tag))
    person.tags = person.tags.difference(secret_tags)
    told = claims.told(event)
    if person.nameless and told is None:
        cure = "Send contact.external_id, a valid email or a phone; or the reference of a booking known here."
        return event.rejected("/contact", "Nothing says whom the event is about.", cure)
    ahead = event.occurred_at - now
    return Item(
        position=position,
        event=event,
        place=place,
        named=named,
        person=person,
        told=told,
        ordered_at=now if ahead > CLOCK_SKEW else event.occurred_at,
        quarantined="dated more than 24 hours ahead" if ahead > QUARANTINE else None,
        apart=taken,
        special={"tags": secret_tags} if secret_tags else {},
    )


def _taken_apart(event: Incoming, marked: frozenset[str]) -> Apart:
    day = event.occurred_at.date()
    taken = apart.of_data(event.data, event.type, marked, day)
    event.data = taken.left
    for path, value in taken.special:
        if value is not None:
            cure = "Nothing: who cares for the guest reads it in the studio."
            event.warn("/data" + pointer(path), "It may tell of a special category; it is kept sealed (R18).", cure)
    children = [("/data", path) for path in taken.children]
    if event.contact is not None and event.contact.attributes:
        attributes = apart.of_attributes(event.contact.attributes, day)
        event.contact.attributes = attributes.left
        children += [("/contact/attributes", path) for path in attributes.children]
    for where, path in children:
        event.warn(where + pointer(path), "Of a child only an age band is kept (R12).", "Send an age band.")
    return taken


def _named(event: Incoming, world: World) -> Place | None:
    if event.property_code is None:
        return None
    wanted = event.property_code.casefold()
    named = next((one for one in world.places if one.code.casefold() == wanted), None)
    if named is None:
        event.warn("/property", "No property has this code; it was left out.", "Send a code from the settings.")
    return named


_encode = msgspec.json.Encoder().encode
