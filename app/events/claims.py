"""What an event says of a booking or order, typed: the claim that goes onto the row. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from app.contacts.attributes import WrongTypeError, coerced
from app.contacts.bookings import Ref
from app.contacts.projection import BOOKING_STATUSES, ORDER_STATUSES, Claim, instant_text
from app.events.catalogue import BY_NAME, FIELD_TYPES, About
from app.events.incoming import Incoming, escaped

_COUNTS = frozenset({"adults", "children", "nights"})
_STATUSES: Mapping[About, frozenset[str]] = {"booking": BOOKING_STATUSES, "order": ORDER_STATUSES}
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Told:
    """The booking or order an event is about. `fields` is None where the event does not change it."""

    ref: Ref
    fields: dict[str, Any] | None


def told(event: Incoming) -> Told | None:
    """Which booking or order the event is about, and what it says of it. Warns of fields that do not fit."""
    kind = BY_NAME.get(event.type)
    projects = kind.projects if kind else None
    for about in ("booking", "order") if projects != "order" else ("order",):
        given = event.data.get(about)
        if given is None:
            continue
        if not isinstance(given, dict) or not _usable(given.get("reference")):
            cure = f'Send data.{about} as an object with a "reference" of 1 to 200 characters.'
            event.warn(f"/data/{about}", f"The {about} has no usable reference; it was not brought up to date.", cure)
            return None
        return Told((about, given["reference"]), _typed(event, about, given) if about == projects else None)
    if projects:
        cure = f'Send data.{projects} with at least a "reference".'
        event.warn("/data", f"The event names no {projects}; nothing was brought up to date.", cure)
    return None


def _usable(reference: Any) -> bool:
    return isinstance(reference, str) and 0 < len(reference) <= 200


def _typed(event: Incoming, about: About, given: dict[str, Any]) -> dict[str, Any]:
    types = FIELD_TYPES[about]
    fields: dict[str, Any] = {}
    for name, value in given.items():
        type_ = types.get(name) or ("number" if name in _COUNTS else "any")
        if value is None or type_ == "any":
            fields[name] = value
            continue
        try:
            fields[name] = _one(name, value, type_, about)
        except WrongTypeError as error:
            where = f"/data/{about}/{escaped(name)}"
            event.warn(where, f"The value of {name} does not fit; it was left out.", f"Send what fits: {error}.")
    arrival, departure = fields.get("arrival"), fields.get("departure")
    if arrival and departure and departure < arrival:
        del fields["departure"]
        event.warn(f"/data/{about}/departure", "The departure lies before the arrival; it was left out.", "Check both.")
    return fields


def _one(name: str, value: Any, type_: str, about: About) -> Any:
    value = coerced(value, type_)
    if name in _COUNTS and not (isinstance(value, int) and 0 <= value <= 10_000):
        raise WrongTypeError("a whole number from 0 to 10000 is needed")
    if name == "currency":
        value = value.upper()
        if not _CURRENCY.fullmatch(value):
            raise WrongTypeError("an ISO 4217 code such as EUR is needed")
    if name == "status" and value not in _STATUSES[about]:
        raise WrongTypeError("one of " + ", ".join(sorted(_STATUSES[about])) + " is needed")
    return value


def claim(
    event: Incoming,
    fields: dict[str, Any],
    *,
    source_id: int,
    ordered_at: str,
    contact_id: int | None,
    property_id: int | None,
    fallback_id: int | None,
    zone: str,
) -> Claim:
    """The claim of one event.

    Args:
        fields: as `told` typed them.
        ordered_at: the instant it is ordered by, as `instant_text` writes it.
        contact_id: the contact the event names, if it names one.
        property_id: the property the event names.
        fallback_id: the property that speaks where no event names one.
        zone: IANA zone of that property, for the calendar day.
    """
    made = Claim(
        id=f"{source_id}:{event.id}",
        type=event.type,
        at=ordered_at,
        occurred_at=instant_text(event.occurred_at),
        source=source_id,
        fields=fields,
    )
    if contact_id is not None:
        made["contact"] = contact_id
    if event.sequence is not None:
        made["sequence"] = event.sequence
    if property_id is not None:
        made["property"] = property_id
    elif fallback_id is not None:
        made["fallback"] = fallback_id
    if event.type == "booking.checked_out":
        made["day"] = event.occurred_at.astimezone(ZoneInfo(zone)).date().isoformat()
    return made
