"""From the API's door to the outbox: what a guest gets and does not get, and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.hotel import Hotel

ROME = ZoneInfo("Europe/Rome")
STAY = {
    "reference": "RS-1",
    "arrival": "2026-05-12",
    "departure": "2026-05-15",
    "adults": 2,
    "amount": 54_000,
    "currency": "EUR",
    "channel": "direct",
    "room_type": "Camera Lago",
}


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ROME).astimezone(UTC)


def test_a_booking_is_followed_to_the_doorstep_in_the_guests_language_at_the_hotels_hours(hotel: Hotel) -> None:
    assert hotel.report("booking.confirmed", booking=STAY)["status"] == "accepted"
    hotel.until(local("2026-05-12 12:00"))
    assert hotel.sent() == [
        ("booking-confirmation", datetime(2026, 3, 10, 9, 0, tzinfo=UTC)),
        ("pre-arrival-direct", local("2026-05-11 16:00")),
    ]
    confirmation, eve = hotel.mails("giulia@example.com")
    text = confirmation.get_body(("plain",))
    assert text is not None
    said = text.get_content().replace("\xa0", " ")
    assert "12 mag 2026\r\nmartedì, dalle 15:00" in said
    assert "Totale, IVA compresa: 540,00 €" in said
    assert "List-Unsubscribe" not in confirmation, "a service mail is not a list"
    assert eve["From"].addresses[0].addr_spec == "ciao@rivaserena.example"


def test_the_upgrade_is_refused_without_consent_and_says_why(hotel: Hotel) -> None:
    hotel.report("booking.confirmed", booking=STAY)
    hotel.until(local("2026-05-05 12:00"))
    (upgrade,) = hotel.messages(template="room-upgrade")
    assert (upgrade.state, upgrade.rule) == ("refused", "R1")
    assert upgrade.verdict[-1]["checks"], "every check is kept with its inputs"


def test_the_same_event_twice_is_one_booking_and_one_mail(hotel: Hotel) -> None:
    first = hotel.report("booking.confirmed", id="same", booking=STAY)
    hotel.work()
    second = hotel.report("booking.confirmed", id="same", booking=STAY)
    hotel.work()
    assert (first["status"], second["status"]) == ("accepted", "duplicate")
    assert len(hotel.mails()) == len(hotel.bookings()) == 1


def test_a_cancellation_before_its_booking_leaves_nothing_to_say(hotel: Hotel) -> None:
    booked = hotel.clock.now() - timedelta(minutes=10)
    hotel.report("booking.cancelled", booking={"reference": "RS-1"}, sequence=2)
    hotel.work()
    hotel.report("booking.confirmed", at=booked, booking=STAY, sequence=1)
    hotel.until(local("2026-05-16 12:00"))
    assert [row.status for row in hotel.bookings()] == ["cancelled"]
    assert hotel.bookings()[0].arrival is not None, "the late booking still fills in what it knows"
    assert hotel.sent() == []


def test_a_cancellation_stops_what_was_planned(hotel: Hotel) -> None:
    hotel.report("booking.confirmed", booking=STAY)
    hotel.until(local("2026-05-01 12:00"))
    hotel.report("booking.cancelled", booking={"reference": "RS-1"})
    hotel.until(local("2026-05-20 12:00"))
    assert "pre-arrival-direct" not in [template for template, _ in hotel.sent()]
    passage, told = [row for row in hotel.enrollments() if row.key == "RS-1"]
    assert (passage.status, passage.end_reason) == ("exited", "booking.cancelled")
    assert told.status == "finished", "a passage of its own says that it is cancelled"


def test_a_moved_arrival_moves_the_wait_with_it_both_ways(hotel: Hotel) -> None:
    hotel.report("booking.confirmed", booking=STAY)
    hotel.until(local("2026-05-01 12:00"))
    hotel.report("booking.modified", booking={"reference": "RS-1", "arrival": "2026-06-02", "departure": "2026-06-04"})
    hotel.until(local("2026-05-20 12:00"))
    hotel.report("booking.modified", booking={"reference": "RS-1", "arrival": "2026-05-28", "departure": "2026-05-30"})
    hotel.until(local("2026-05-29 12:00"))
    eve = [at for template, at in hotel.sent() if template == "pre-arrival-direct"]
    assert eve == [local("2026-05-27 16:00")]


def test_a_message_is_not_sent_after_its_latest_however_long_the_outage(hotel: Hotel) -> None:
    hotel.report("booking.confirmed", booking=STAY)
    hotel.work()
    hotel.clock.set(local("2026-05-14 10:00"))
    hotel.work()
    assert "pre-arrival-direct" not in [template for template, _ in hotel.sent()]
