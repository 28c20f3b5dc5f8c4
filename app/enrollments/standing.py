"""What a reported cancellation still means when its turn comes: perhaps nothing, as life went on (X21, X25)."""

from __future__ import annotations

from app.audience.facts import Facts
from app.journey.entry import Event, NotEntered
from app.journey.sentences import both


def void(event: Event, facts: Facts) -> NotEntered | None:
    """Why a cancellation is none, or None where it is one (and for every other event).

    Args:
        event: as reported.
        facts: of the person with the booking that the event is about, as they are now.

    `undone`: the booking stands, as something newer was reported of it, delivered before or with the cancellation.
    `replaced`: a portal cancelled the booking to make it anew; the pair is one modification.
    """
    booking = facts.get("booking")
    if event.type != "booking.cancelled" or not booking or booking["reference"] != event.booking:
        return None
    if booking["status"] != "cancelled":
        return NotEntered("undone", both("the booking stands again", "la prenotazione è di nuovo valida"))
    if booking.get("replaced"):
        text = both("the portal made the booking anew", "il portale ha rifatto la prenotazione")
        return NotEntered("replaced", text)
    return None
