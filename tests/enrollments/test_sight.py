"""The same facts wherever a passage is looked at: when steps are taken, at the gate, and before a pause is over."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from app.audience import catalogue as segments
from app.due import following
from app.enrollments import pauses
from app.enrollments.models import Workflow
from tests.enrollments.test_engagement import ASKING, begin, click, hotel_workflow, track, ways
from tests.enrollments.test_stages import booked
from tests.hotel import Hotel

COUNTING = ASKING.replace("asking", "counting").replace("      - unknown: true\n", "")
COUNTING = COUNTING.split("        steps: [ { id: nobody-knows", maxsplit=1)[0].replace(
    "clicked offer within 3 days", "did page.viewed at least 2 times within 7 days"
)
LEAVING = """
workflow: leaving
name: { en: Leaving, it: Uscita }
phase: retention
class: transactional
entry:
  - on: booking.confirmed
key: booking.reference
exit:
  - { if: EXIT, reason: enough }
steps:
  - id: offer
    send: in-stay-welcome
"""
NOTES = ("send: in-stay-welcome", "set: { enrollment.fields.seen: true }")


def viewed(hotel: Hotel, number: int, times: int) -> None:
    """Somebody looks at pages."""
    who = {"external_id": f"g-{number}", "email": f"g{number}@example.com"}
    for _ in range(times):
        hotel.clock.advance(timedelta(minutes=1))
        hotel.report("page.viewed", contact=who, data={"url": "https://example.com"})


def test_a_condition_counts_what_has_happened_to_the_person(hotel: Hotel) -> None:
    begin(hotel, COUNTING, 1, 2, 3)
    viewed(hotel, 1, 2)
    viewed(hotel, 2, 1)
    hotel.after(timedelta(days=1))
    assert ways(hotel, "counting") == {"B-1": "clicked", "B-2": "not clicked", "B-3": "not clicked"}


def test_what_happened_too_long_ago_does_not_count(hotel: Hotel) -> None:
    hotel.post([booked(1)])
    viewed(hotel, 1, 2)
    hotel.after(timedelta(days=7))
    again = booked(1)
    again["id"], again["data"]["booking"]["reference"] = "again", "B-9"
    again["occurred_at"] = hotel.clock.now().isoformat()
    begin(hotel, COUNTING)
    hotel.post([again])
    hotel.after(timedelta(days=1))
    assert ways(hotel, "counting") == {"B-9": "not clicked"}


@pytest.mark.parametrize(
    ("condition", "sent"),
    [
        ("contact.segments has vip", False),
        ("contact.segments has not vip", True),
        ("did page.viewed at least 2 times", False),
        ("not did page.viewed", True),
    ],
)
def test_an_exit_means_the_same_at_the_gate(hotel: Hotel, condition: str, sent: bool) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        words = {"en": "VIP", "it": "VIP"}
        segments.create(session, "vip", words, "all: [ contact.tags has vip ]\n", by="Marta", now=hotel.clock.now())
    one = booked(1)
    one["contact"]["tags"] = ["vip"]
    hotel.post([one])
    viewed(hotel, 1, 2)
    hotel.work()
    begin(hotel, LEAVING.replace("EXIT", condition))
    again = booked(1)
    again["id"], again["data"]["booking"]["reference"] = "again", "B-9"
    hotel.post([again])
    hotel.work()
    workflow_id = number_of(hotel, "leaving")
    assert [row.state for row in hotel.messages(workflow_id=workflow_id)] == (["accepted"] if sent else [])


def number_of(hotel: Hotel, name: str) -> int:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return hotel_workflow(session, name)


def test_the_preview_of_a_resumed_workflow_knows_clicks(hotel: Hotel) -> None:
    clicked = ASKING.replace("did, set: { enrollment.fields.way: clicked }", "did, send: in-stay-welcome")
    track(hotel, 1)
    track(hotel, 2)
    begin(hotel, clicked, 1, 2)
    click(hotel, "B-1", "asking", url="https://example.com")
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        pauses.pause(session, "asking", hotel.clock.now())
    hotel.clock.advance(timedelta(days=1))
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        row = session.get_one(Workflow, (hotel.loaded.workspace_id, number_of(hotel, "asking")))
        assert pauses.preview(session, row, hotel.clock.now()).goes_out == 1


@pytest.mark.parametrize(("named", "stops"), [("vip", 24), ("others", 0)], ids=["heard of by a workflow", "by nobody"])
def test_the_moving_clock_stops_at_a_look_only_where_a_workflow_may_hear_of_it(
    hotel: Hotel, named: str, stops: int
) -> None:
    hotel.after(timedelta(hours=1))
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        lately = "all: [ contact.created_at within last 7 days ]\n"
        segments.create(session, "vip", {"en": "VIP", "it": "VIP"}, lately, by="Marta", now=hotel.clock.now())
        segments.create(session, "others", {"en": "O", "it": "A"}, "all: []\n", by="Marta", now=hotel.clock.now())
    hotel.work()
    heard = LEAVING.replace("on: booking.confirmed", f"{{ on: segment.entered, segment: {named} }}", 1)
    begin(hotel, heard.replace("key: booking.reference\n", "").replace("EXIT", "contact.tags has x").replace(*NOTES))
    assert len(instants(hotel, timedelta(hours=24))) == stops


def instants(hotel: Hotel, length: timedelta) -> list[datetime]:
    """Where the clock would stop in that time."""
    found, end = [], hotel.clock.now() + length
    with hotel.house.database.system() as session:
        at = following(session, hotel.clock.now())
    while at is not None and at <= end:
        found.append(at)
        hotel.clock.set(at)
        hotel.work()
        with hotel.house.database.system() as session:
            at = following(session, hotel.clock.now())
    return found
