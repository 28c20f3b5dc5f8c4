"""PURE: what a booking or order is, as a fold over everything that was ever said of it.

Each event that changes a booking leaves one claim on its row. `fold` puts the claims in their one true order and lays
them over each other, so the row is the same whatever order, however often and in whatever batches the events came
(X17-X21, X25-X28). Nothing here looks at a clock or a database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypedDict

NO_SHOW_WINS = timedelta(hours=24)
"""A no-show reported within this time of an (automatic) check-out is the truth (X26)."""

REPLACED_WITHIN = timedelta(minutes=10)
"""An OTA's cancellation and new booking this near to each other are one modification (X25)."""


class Claim(TypedDict, total=False):
    """What one event said of a booking, as JSON. `at`, what it is ordered by, has fixed width and sorts as text."""

    id: str
    """Source and event id: the claim's name."""
    type: str
    at: str
    occurred_at: str
    source: int
    sequence: int
    contact: int
    """Whom the event named; missing where it named nobody and the booking said who it is."""
    property: int
    """The property the event named."""
    fallback: int
    """The property its source speaks for, where it named none."""
    day: str
    """The calendar day of `occurred_at` at the property."""
    fields: dict[str, Any]


class Folded(TypedDict):
    """The state of a booking; `contact_id` is whom its newest claim names.

    Days are ISO text, instants ISO text in UTC, money minor units.
    """

    contact_id: int
    property_id: int | None
    status: str
    arrival: str | None
    departure: str | None
    nights: int | None
    adults: int | None
    children: int | None
    amount: int | None
    currency: str | None
    channel: str | None
    language: str | None
    room_type: str | None
    rate: str | None
    booked_at: str | None
    cancelled_at: str | None
    checked_in_at: str | None
    checked_out_at: str | None
    data: dict[str, Any]


COLUMNS = (
    "arrival",
    "departure",
    "nights",
    "adults",
    "children",
    "amount",
    "currency",
    "channel",
    "language",
    "room_type",
    "rate",
)
"""Fields of a claim that have a column of their own; all others are kept under `data`."""

STATUS_OF: dict[str, str] = {
    "booking.enquired": "enquired",
    "booking.abandoned": "abandoned",
    "booking.requested": "pending",
    "booking.confirmed": "confirmed",
    "booking.reinstated": "confirmed",
    "booking.checked_in": "checked_in",
    "booking.checked_out": "checked_out",
    "booking.no_show": "no_show",
    "booking.cancelled": "cancelled",
    "order.abandoned": "abandoned",
    "order.placed": "placed",
    "order.paid": "paid",
    "order.shipped": "shipped",
    "order.delivered": "delivered",
    "order.cancelled": "cancelled",
    "order.refunded": "refunded",
}
"""What each event makes of the status; `booking.modified` and `order.modified` leave it as it is."""

BOOKING_STATUSES = frozenset(
    {"enquired", "abandoned", "pending", "confirmed", "checked_in", "checked_out", "cancelled", "no_show"}
)
ORDER_STATUSES = frozenset({"abandoned", "placed", "paid", "shipped", "delivered", "cancelled", "refunded"})

_BEFORE_SALE = frozenset({"", "enquired", "abandoned", "pending"})
_SALES = frozenset({"confirmed", "placed", "paid"})
_RANK = {
    name: rank
    for rank, name in enumerate(
        (
            "booking.enquired",
            "booking.abandoned",
            "order.abandoned",
            "booking.requested",
            "booking.confirmed",
            "order.placed",
            "order.paid",
            "booking.modified",
            "order.modified",
            "booking.reinstated",
            "order.shipped",
            "booking.checked_in",
            "order.delivered",
            "booking.checked_out",
            "booking.no_show",
            "booking.cancelled",
            "order.cancelled",
            "order.refunded",
        )
    )
}
"""Which of two events of the same instant comes first in life."""


def instant_text(instant: datetime) -> str:
    """An instant as fixed-width UTC text, which sorts as the instants do."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)


def together(known: Sequence[Claim], new: Iterable[Claim]) -> list[Claim]:
    """All claims, each id once. Of two claims with one id the higher sequence, then the later instant stays (X18)."""
    by_id = {claim["id"]: claim for claim in known}
    for claim in new:
        there = by_id.get(claim["id"])
        if there is None or _weight(claim) > _weight(there):
            by_id[claim["id"]] = claim
    return in_order(list(by_id.values()))


def _weight(claim: Claim) -> tuple[int, str, str]:
    return claim.get("sequence", -1), claim["at"], repr(sorted(claim["fields"].items()))


def in_order(claims: list[Claim]) -> list[Claim]:
    """The one true order: by sequence where one source numbered them all, else by instant, kind of event, id."""
    if all("sequence" in claim for claim in claims) and len({claim["source"] for claim in claims}) == 1:
        return sorted(claims, key=lambda claim: (claim["sequence"], claim["at"], claim["id"]))
    return sorted(claims, key=lambda claim: (claim["at"], _RANK.get(claim["type"], 99), claim["id"]))


def fold(claims: Sequence[Claim]) -> Folded:
    """What the claims come to.

    Args:
        claims: as `together` gives them: at least one, each id once, in order.
    """
    fields: dict[str, Any] = {}
    status = ""
    booked_at = cancelled_at = checked_in_at = checked_out_at = no_show_at = None
    contact_id, property_id = 0, None
    for claim in claims:
        contact_id = claim.get("contact", contact_id)
        property_id = claim.get("property", property_id)
        fields.update(claim["fields"])
        told = claim["fields"].get("status") or STATUS_OF.get(claim["type"])
        if told is None or (told in _BEFORE_SALE and status not in _BEFORE_SALE):
            continue
        status = told
        if status in _SALES:
            booked_at = booked_at or claim["occurred_at"]
            cancelled_at = None
        elif status == "cancelled":
            cancelled_at = cancelled_at or claim["occurred_at"]
        elif status == "checked_in":
            cancelled_at, no_show_at, checked_in_at = None, None, checked_in_at or claim["occurred_at"]
        elif status == "checked_out":
            cancelled_at, checked_out_at = None, claim["occurred_at"]
            fields.update(_left_early(fields, claim))
        elif status == "no_show":
            cancelled_at, no_show_at = None, claim["occurred_at"]
    if status in {"checked_out", "no_show"} and no_show_at and checked_out_at:
        near = abs(_instant(checked_out_at) - _instant(no_show_at)) <= NO_SHOW_WINS
        status, checked_out_at = ("no_show", None) if near else (status, checked_out_at)
    fields.pop("status", None)
    fields.pop("reference", None)
    booked = fields.pop("booked_at", None) or booked_at
    columns = {name: fields.pop(name, None) for name in COLUMNS}
    nights = _nights(columns["arrival"], columns["departure"])
    return Folded(
        contact_id=contact_id,
        property_id=property_id or next((claim["fallback"] for claim in claims if "fallback" in claim), None),
        status=status or ("pending" if not claims[0]["type"].startswith("order.") else "placed"),
        arrival=columns["arrival"],
        departure=columns["departure"],
        nights=columns["nights"] if nights is None else nights,
        adults=columns["adults"],
        children=columns["children"],
        amount=columns["amount"],
        currency=columns["currency"],
        channel=columns["channel"],
        language=columns["language"],
        room_type=columns["room_type"],
        rate=columns["rate"],
        booked_at=booked,
        cancelled_at=cancelled_at,
        checked_in_at=checked_in_at,
        checked_out_at=checked_out_at,
        data={name: value for name, value in fields.items() if value is not None},
    )


def _left_early(fields: dict[str, Any], claim: Claim) -> dict[str, str]:
    """Who checks out before the day of departure has left on that day (X27); a late report moves nothing (X17)."""
    departure, arrival, day = fields.get("departure"), fields.get("arrival"), claim.get("day")
    if departure and day and day < departure and (not arrival or day >= arrival):
        return {"departure": day}
    return {}


def _nights(arrival: str | None, departure: str | None) -> int | None:
    if not arrival or not departure:
        return None
    return max((date.fromisoformat(departure) - date.fromisoformat(arrival)).days, 0)
