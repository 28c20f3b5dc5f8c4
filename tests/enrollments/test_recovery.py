"""R9 through the whole line: what was left unfinished is recalled once, to who was told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from app.enrollments import catalogue
from app.messages.models import Message
from tests.conftest import START
from tests.hotel import Hotel

TWICE = """
workflow: cart
name: { en: Cart, it: Carrello }
phase: consideration
class: transactional
entry:
  - on: booking.abandoned
key: booking.reference
steps:
  - id: soon
    wait: { for: 1 hour }
  - id: first
    send: abandoned-reminder
  - id: later
    wait: { for: 4 hours }
  - id: second
    send: abandoned-reminder
"""


def guest(name: str) -> dict[str, Any]:
    return {"external_id": name, "email": f"{name}@example.com", "first_name": name.title(), "language": "it"}


def leaves(hotel: Hotel, name: str, reference: str) -> None:
    """Somebody begins a booking and leaves it."""
    arrival = START.date() + timedelta(days=40)
    stay = {"reference": reference, "arrival": str(arrival), "departure": str(arrival + timedelta(days=2))}
    hotel.report("booking.abandoned", contact=guest(name), booking={**stay, "adults": 2, "channel": "direct"})


def told(hotel: Hotel, name: str, **more: Any) -> None:
    """The notice was before their eyes; a workflow of the house and this one both want to recall."""
    at = hotel.clock.now().isoformat()
    words = {"wording": "Informativa", "wording_version": "1", "language": "it", "confirmed_at": at}
    hotel.report("consent.granted", contact=guest(name), data={"purpose": "notice", "method": "web", **words, **more})


def ends(hotel: Hotel) -> list[tuple[str | None, str, str | None]]:
    """How every mail about something unfinished ended, whichever workflow wanted it: basis or reason, and rule."""
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        rows = session.scalars(select(Message).where(Message.template == "abandoned-reminder")).all()
        return sorted((row.basis or row.reason, row.state, row.rule) for row in rows)


def publish(hotel: Hotel) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        catalogue.publish(session, TWICE, by="Marta", now=hotel.clock.now())


def test_r9_the_reminder_goes_once_on_the_notice_and_the_second_is_refused(hotel: Hotel) -> None:
    publish(hotel)
    told(hotel, "sara", recovery_mentioned=True)
    leaves(hotel, "sara", "CART-1")
    hotel.after(timedelta(hours=9))
    refused = ("recovery_sent", "refused", "R9")
    assert ends(hotel) == [("recovery", "accepted", "R9"), refused, refused]


def test_r9_who_was_told_of_no_such_reminder_gets_none(hotel: Hotel) -> None:
    publish(hotel)
    told(hotel, "nora")
    leaves(hotel, "nora", "CART-2")
    hotel.after(timedelta(hours=9))
    assert set(ends(hotel)) == {("recovery_no_notice", "refused", "R9")}


def test_r9_who_says_no_between_planning_and_sending_gets_none(hotel: Hotel) -> None:
    publish(hotel)
    told(hotel, "sara", recovery_mentioned=True)
    leaves(hotel, "sara", "CART-1")
    hotel.report("consent.withdrawn", contact=guest("sara"), data={"purpose": "marketing", "method": "staff"})
    hotel.after(timedelta(hours=2))
    assert set(ends(hotel)) == {("recovery_refused", "refused", "R9")}
