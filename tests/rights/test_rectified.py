"""R52: what is corrected is in every message that has not left, and to whom it goes; who is restricted gets none."""

from __future__ import annotations

from datetime import timedelta

from app.enrollments import catalogue
from tests.hotel import Hotel

GUEST = {"external_id": "giulia", "email": "giulia@exmaple.com", "first_name": "Guilia", "language": "en"}
RIGHT = {"external_id": "giulia", "email": "giulia@example.com", "first_name": "Giulia"}
BOOKED = {"reference": "RS-1", "arrival": "2026-03-20", "departure": "2026-03-22"}
WORKFLOW = """
workflow: later
name: { en: Later, it: Dopo }
phase: retention
class: transactional
entry: [ { on: custom.asked } ]
steps:
  - { id: a-day, wait: { for: 1 day } }
  - { id: tell, send: booking-confirmation }
"""


def test_r52_a_correction_is_in_every_message_that_waits(hotel: Hotel) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        catalogue.publish(
            session, WORKFLOW.replace("custom.asked", "booking.modified"), by="test", now=hotel.clock.now()
        )
    hotel.report("booking.confirmed", contact=GUEST, booking=BOOKED)
    hotel.work()
    hotel.report("booking.modified", contact=GUEST, booking={**BOOKED, "adults": 3})
    hotel.work()
    before = len(hotel.mails())
    hotel.report("contact.updated", contact=RIGHT)
    hotel.after(timedelta(days=1, hours=1))
    mails = hotel.mails()[before:]
    assert mails, "the message left"
    assert {str(mail["To"]).rpartition("<")[2].strip(">") for mail in mails} == {"giulia@example.com"}
    assert all("Guilia" not in mail.as_string() for mail in mails)
