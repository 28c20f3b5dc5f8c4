"""A stay as an iCalendar file that a mail carries: RFC 5545, published as RFC 5546 section 3.2.1 wants it. Pure.

Times are written in the property's zone, with the zone's own changes of clock during the stay beside them, so that no
reader has to know the zone by its name. A property that does not say from when and until when gives whole days.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LINE = 75
"""Octets of a line before it is folded (RFC 5545 section 3.1)."""

_STATUS = {"cancelled": "CANCELLED", "no_show": "CANCELLED", "pending": "TENTATIVE", "enquired": "TENTATIVE"}
"""Status of a booking → of the entry; a cancelled one takes the entry out of the guest's calendar."""
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


def of_booking(facts: Mapping[str, Any], *, namespace: str, organizer: str, now: datetime) -> str | None:
    """The calendar file of the booking that a mail is about; None where there is none with an arrival.

    Args:
        facts: `booking` and `property`, as mails see them.
        namespace: what makes the booking's reference unique among all houses: the entry's UID is made of both, so that
            a later file about the booking replaces the entry instead of adding one.
        organizer: the address that the mail is from.
        now: when the file is made.
    """
    booking, place = facts.get("booking"), facts["property"]
    if not booking or not isinstance(booking.get("arrival"), date):
        return None
    uid = uuid.uuid5(uuid.NAMESPACE_URL, f"{namespace}/{booking.get('kind')}/{booking['reference']}")
    zone, times = _times(booking, place)
    about = [booking["reference"], place.get("phone"), (place.get("links") or {}).get("website")]
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Percorso//Percorso//EN",
        "METHOD:PUBLISH",
        *zone,
        "BEGIN:VEVENT",
        f"UID:{uid}",
        f"DTSTAMP:{now.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        f"SEQUENCE:{int(booking.get('revision') or 0)}",
        f"ORGANIZER;CN={_quoted(place['name'])}:mailto:{organizer}",
        f"SUMMARY:{_text(place['name'])}",
        *times,
        f"STATUS:{_STATUS.get(str(booking.get('status')), 'CONFIRMED')}",
        "TRANSP:TRANSPARENT",
        f"LOCATION:{_text(_address(place))}",
        f"DESCRIPTION:{_text(chr(10).join(str(one) for one in about if one))}",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(f"{folded}\r\n" for line in lines for folded in _folded(line))


def _times(booking: Mapping[str, Any], place: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The zone, where times need one, and beginning and end."""
    arrival, departure = booking["arrival"], booking.get("departure")
    first, last = _clock(place.get("checkin_from")), _clock(place.get("checkout_until"))
    zone = _zone(place.get("zone"))
    if zone is None or first is None or last is None or not isinstance(departure, date) or departure <= arrival:
        # The end is the first day that is no more of it, and the day of leaving is.
        end = (departure if isinstance(departure, date) and departure >= arrival else arrival) + timedelta(days=1)
        return [], [f"DTSTART;VALUE=DATE:{arrival:%Y%m%d}", f"DTEND;VALUE=DATE:{end:%Y%m%d}"]
    start, end_ = datetime.combine(arrival, first), datetime.combine(departure, last)
    return list(_observed(zone, start, end_)), [
        f"DTSTART;TZID={zone.key}:{start:%Y%m%dT%H%M%S}",
        f"DTEND;TZID={zone.key}:{end_:%Y%m%dT%H%M%S}",
    ]


def _observed(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[str]:
    """VTIMEZONE with what the zone's clocks show during the stay: the offset at its start, and each change after it."""
    yield from ("BEGIN:VTIMEZONE", f"TZID:{zone.key}")
    at = start.replace(tzinfo=zone)
    yield from _observance(at.astimezone(UTC) - timedelta(days=1), at, at)
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while hour < end.replace(tzinfo=zone).astimezone(UTC):
        following = hour + timedelta(hours=1)
        before, after = hour.astimezone(zone), following.astimezone(zone)
        if before.utcoffset() != after.utcoffset():
            yield from _observance(following, before, after)
        hour = following
    yield "END:VTIMEZONE"


def _observance(onset: datetime, before: datetime, after: datetime) -> Iterator[str]:
    kind = "DAYLIGHT" if after.dst() else "STANDARD"
    shift = before.utcoffset() or timedelta()
    yield f"BEGIN:{kind}"
    yield f"DTSTART:{onset.astimezone(UTC).replace(tzinfo=None) + shift:%Y%m%dT%H%M%S}"
    yield f"TZOFFSETFROM:{before:%z}"
    yield f"TZOFFSETTO:{after:%z}"
    yield f"TZNAME:{after:%Z}"
    yield f"END:{kind}"


def _zone(name: Any) -> ZoneInfo | None:
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError):
        return None


def _clock(value: Any) -> time | None:
    try:
        return time.fromisoformat(str(value)).replace(tzinfo=None)
    except ValueError:
        return None


def _address(place: Mapping[str, Any]) -> str:
    given = place.get("address") or {}
    town = " ".join(str(given[name]) for name in ("postcode", "town") if given.get(name))
    return ", ".join(str(one) for one in (place["name"], given.get("street"), town, place.get("country")) if one)


def _text(value: str) -> str:
    """A value of type TEXT (section 3.3.11): what has a meaning of its own is escaped."""
    plain = _CONTROL.sub(" ", value.replace("\r\n", "\n").replace("\r", "\n"))
    return plain.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _quoted(value: str) -> str:
    """A parameter's value: in quotes, which none can stand in."""
    return '"' + _CONTROL.sub(" ", value).replace("\n", " ").replace('"', "'") + '"'


def _folded(line: str) -> Iterator[str]:
    """A line in pieces of at most 75 octets, cut between characters; each but the first begins with a space."""
    piece, taken = "", 0
    for character in line:
        size = len(character.encode("utf-8", "replace"))
        if taken + size > LINE:
            yield piece
            piece, taken = " ", 1
        piece, taken = piece + character, taken + size
    yield piece
