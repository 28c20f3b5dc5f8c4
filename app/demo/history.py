"""Real bookings as dated events: what a booking engine would have reported of each row of the hotel booking data.

Pure: rows in, events out. The events are what `POST /api/v1/events` takes. The data hold days, not hours, and no
people; hours are the desk's usual ones and people are made up from the row's number, the same at every run.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

SLICE = Path(__file__).parent / "data" / "hotel_bookings.csv"

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_LANGUAGES = {"ITA": "it", "CHE": "it", "SMR": "it"}
"""The data say where guests are from, not what they speak: Italian for these, English for all others."""
_CHANNELS = {
    "Online TA": "ota",
    "Offline TA/TO": "agency",
    "Groups": "group",
    "Corporate": "corporate",
    "Aviation": "corporate",
}
_ROOMS = {"A": "Camera Lago", "D": "Camera Giardino", "E": "Junior Suite", "F": "Suite Isola", "G": "Suite Famiglia"}
_BOARDS = {"BB": "bed_and_breakfast", "HB": "half_board", "FB": "full_board", "SC": "room_only"}


@dataclass(frozen=True)
class Stay:
    """One row of the data."""

    number: int
    status: str
    """Check-Out, Canceled or No-Show."""
    status_on: date
    booked_on: date
    arrival: date
    departure: date
    adults: int
    children: int
    country: str | None
    segment: str
    room: str
    board: str
    deposit: str
    changes: int
    requests: int
    cents_a_night: int
    returning: bool

    @property
    def nights(self) -> int:
        """Nights of the stay; 0 for a day use."""
        return (self.departure - self.arrival).days


def read(path: Path, limit: int | None = None, hotel: str | None = None) -> Iterator[Stay]:
    """The rows of a file (.csv, .csv.gz) in its order; `hotel` keeps only those of one. Rows without a guest are kept.

    Raises:
        OSError: the file cannot be read.
        KeyError, ValueError: it is not the hotel booking data.
    """
    with (
        gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as raw,
        io.TextIOWrapper(raw, encoding="utf-8") as lines,
    ):
        taken = 0
        for number, row in enumerate(csv.DictReader(lines), start=1):
            if hotel and row["hotel"] != hotel:
                continue
            if limit is not None and taken >= limit:
                return
            taken += 1
            yield _stay(number, row)


def _stay(number: int, row: dict[str, str]) -> Stay:
    arrival = date(
        int(row["arrival_date_year"]),
        _MONTHS.index(row["arrival_date_month"]) + 1,
        int(row["arrival_date_day_of_month"]),
    )
    nights = int(row["stays_in_weekend_nights"]) + int(row["stays_in_week_nights"])
    return Stay(
        number=number,
        status=row["reservation_status"],
        status_on=date.fromisoformat(row["reservation_status_date"]),
        booked_on=arrival - timedelta(days=int(row["lead_time"])),
        arrival=arrival,
        departure=arrival + timedelta(days=nights),
        adults=int(row["adults"]),
        children=sum(int(float(row[name])) for name in ("children", "babies") if row[name] not in {"NA", ""}),
        country=None if row["country"] in {"NULL", ""} else row["country"],
        segment=row["market_segment"],
        room=row["reserved_room_type"],
        board=row["meal"],
        deposit=row["deposit_type"],
        changes=int(row["booking_changes"]),
        requests=int(row["total_of_special_requests"]),
        cents_a_night=round(float(row["adr"]) * 100),
        returning=row["is_repeated_guest"] == "1",
    )


def events_of(
    stay: Stay, run: str, zone: ZoneInfo, shift: timedelta = timedelta(), consent_every: int = 0
) -> list[dict[str, Any]]:
    """What happened to one booking, oldest first.

    Args:
        stay: the booking.
        run: begins every id and reference, so that the same rows can be replayed again as other bookings.
        zone: the hotel's zone, in which the days of the data lie.
        shift: moves all dates by whole days.
        consent_every: every so-many-th guest, when booking, asks for offers and agrees to be asked for an opinion.
    """

    def at(day: date, clock: str) -> datetime:
        return datetime.combine(day + shift, time.fromisoformat(clock), zone).astimezone(UTC)

    reference = f"{run}-{stay.number}"
    contact = {
        "external_id": f"guest-{run}-{stay.number}",
        "email": f"guest.{run}.{stay.number}@example.com",
        "language": _LANGUAGES.get(stay.country or "", "en"),
    }
    booking: dict[str, Any] = {
        "reference": reference,
        "arrival": (stay.arrival + shift).isoformat(),
        "departure": (stay.departure + shift).isoformat(),
        "adults": stay.adults,
        "children": stay.children,
        "amount": max(stay.cents_a_night, 0) * stay.nights,
        "currency": "EUR",
        "channel": _CHANNELS.get(stay.segment, "direct"),
        "room_type": _ROOMS.get(stay.room, "Camera Classica"),
        "board": _BOARDS.get(stay.board, "room_only"),
        "deposit_type": stay.deposit,
        "special_requests": stay.requests,
    }
    told: list[tuple[datetime, str, dict[str, Any]]] = []
    booked = at(stay.booked_on, "09:30")
    told.append((booked, "booking.confirmed", {"booking": booking}))
    if consent_every and stay.number % consent_every == 0:
        told += [(booked, "consent.granted", _consent(topic, booked)) for topic in ("offers", "feedback")]
    ends = {
        "Canceled": ("booking.cancelled", "17:30"),
        "No-Show": ("booking.no_show", "23:30"),
        "Check-Out": ("booking.checked_out", "10:00"),
    }
    kind, clock = ends[stay.status]
    ended = max(at(stay.status_on, clock), booked + timedelta(minutes=30))
    last = min(ended, at(stay.arrival, "14:00"))
    for change in range(1, stay.changes + 1):
        moment = booked + (last - booked) * change / (stay.changes + 1)
        day = max(moment.astimezone(zone).date(), booked.astimezone(zone).date())
        moment = min(max(datetime.combine(day, time(9, 30), zone).astimezone(UTC), booked), last)
        told.append((moment, "booking.modified", {"booking": {"reference": reference, "changes": change}}))
    if stay.status == "Check-Out":
        arrived = min(max(at(stay.arrival, "15:00"), booked + timedelta(minutes=15)), ended)
        told.append((arrived, "booking.checked_in", {"booking": {"reference": reference}}))
    told.append((ended, kind, {"booking": {"reference": reference}}))
    return [
        {
            "id": f"{reference}-{sequence}",
            "type": name,
            "occurred_at": moment.isoformat(),
            "contact": contact,
            "data": data,
            "sequence": sequence,
        }
        for sequence, (moment, name, data) in enumerate(told, start=1)
    ]


def _consent(topic: str, confirmed_at: datetime) -> dict[str, Any]:
    wording = {
        "offers": "Desidero ricevere offerte da Albergo Riva Serena.",
        "feedback": "Potete chiedermi un'opinione dopo il soggiorno.",
    }[topic]
    return {
        **({"topic": topic} if topic != "feedback" else {"purpose": "feedback"}),
        "method": "web",
        "wording": wording,
        "wording_version": "1",
        "language": "it",
        "page": "/prenota",
        "confirmed_at": confirmed_at.isoformat(),
    }
