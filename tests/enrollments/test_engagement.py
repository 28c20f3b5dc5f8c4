"""What a person did with a passage's own messages decides that passage, as far as it may be known."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.audience import catalogue as segments
from app.contacts.models import Contact
from app.delivery.engagement import SETTLES
from app.delivery.track import Arrival, record
from app.enrollments import catalogue
from app.enrollments.models import Enrollment, Workflow
from app.messages.models import Message
from tests.enrollments.test_stages import booked
from tests.hotel import Hotel

ASKING = """
workflow: asking
name: { en: Asking, it: Domanda }
phase: retention
class: transactional
entry:
  - on: booking.confirmed
key: booking.reference
steps:
  - id: offer
    send: in-stay-welcome
  - id: pause
    wait: { for: 1 day }
  - id: clicked-it
    branch:
      - if: [ clicked offer within 3 days ]
        steps: [ { id: did, set: { enrollment.fields.way: clicked } } ]
      - else: true
        steps: [ { id: did-not, set: { enrollment.fields.way: not clicked } } ]
      - unknown: true
        steps: [ { id: nobody-knows, set: { enrollment.fields.way: unknown } } ]
"""
AWAITING = (
    ASKING.split("  - id: pause", maxsplit=1)[0].replace("asking", "awaiting")
    + """
  - id: click
    wait_for: { if: [ clicked offer ], up_to: 3 days }
    then: [ { id: did, set: { enrollment.fields.way: clicked } } ]
    timeout: [ { id: did-not, set: { enrollment.fields.way: too late } } ]
    unknown: [ { id: nobody-knows, set: { enrollment.fields.way: unknown } } ]
"""
)
BELONGING = ASKING.split("      - unknown", maxsplit=1)[0].replace("asking", "belonging")
BELONGING = BELONGING.replace("clicked offer within 3 days", "contact.segments has vip")


def begin(hotel: Hotel, source: str, *people: int) -> None:
    """Publish, and let these people in."""
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        catalogue.publish(session, source, by="Marta", now=hotel.clock.now())
    hotel.post([booked(number) for number in people])
    hotel.work()


def track(hotel: Hotel, number: int) -> None:
    """A person agrees to be tracked."""
    proof = {"wording": "Sì", "wording_version": "1", "language": "it", "confirmed_at": hotel.clock.now().isoformat()}
    event: dict[str, Any] = {
        "id": f"t-{number}",
        "type": "consent.granted",
        "occurred_at": hotel.clock.now().isoformat(),
        "contact": {"external_id": f"g-{number}", "email": f"g{number}@example.com"},
        "data": {"purpose": "open_tracking", "method": "web", **proof},
    }
    hotel.post([event])


def click(hotel: Hotel, key: str, workflow: str, **data: Any) -> None:
    """Somebody, or something, follows a link in the message of the step `offer`."""
    hotel.clock.advance(timedelta(minutes=1))
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        message = session.scalars(
            select(Message)
            .join(Enrollment, Enrollment.id == Message.enrollment_id)
            .where(
                Enrollment.key == key,
                Message.step_id == "offer",
                Enrollment.workflow_id == hotel_workflow(session, workflow),
            )
        ).one()
        now = hotel.clock.now()
        record(session, [Arrival("clicked", now, "test", f"{key}-{len(data)}", message.id, data=data)], now)
    hotel.clock.advance(SETTLES["clicked"])
    hotel.work()


def hotel_workflow(session: Any, name: str) -> int:
    """The number of a workflow."""
    return int(session.scalars(select(Workflow.id).where(Workflow.name == name)).one())


def ways(hotel: Hotel, workflow: str) -> dict[str, Any]:
    """Key -> the way each passage of a workflow went."""
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        rows = session.scalars(select(Enrollment).where(Enrollment.workflow_id == hotel_workflow(session, workflow)))
        return {row.key: row.state.get("fields", {}).get("way") for row in rows}


def test_who_is_tracked_clicked_or_did_not_and_of_others_nobody_knows(hotel: Hotel) -> None:
    track(hotel, 1)
    track(hotel, 2)
    begin(hotel, ASKING, 1, 2, 3)
    click(hotel, "B-1", "asking", url="https://example.com")
    hotel.clock.advance(timedelta(days=1))
    hotel.work()
    assert ways(hotel, "asking") == {"B-1": "clicked", "B-2": "not clicked", "B-3": "unknown"}


def test_a_machine_that_follows_links_has_not_clicked(hotel: Hotel) -> None:
    track(hotel, 1)
    begin(hotel, ASKING, 1)
    click(hotel, "B-1", "asking", machine=True)
    hotel.clock.advance(timedelta(days=1))
    hotel.work()
    assert ways(hotel, "asking") == {"B-1": "not clicked"}


def test_a_click_in_another_passage_of_the_same_person_does_not_count(hotel: Hotel) -> None:
    track(hotel, 1)
    begin(hotel, ASKING, 1)
    second = booked(1)
    second["id"], second["data"]["booking"]["reference"] = "b-1-again", "B-9"
    hotel.post([second])
    hotel.work()
    click(hotel, "B-9", "asking")
    hotel.clock.advance(timedelta(days=1))
    hotel.work()
    assert ways(hotel, "asking") == {"B-1": "not clicked", "B-9": "clicked"}


def test_a_wait_for_a_click_ends_with_the_click(hotel: Hotel) -> None:
    track(hotel, 1)
    track(hotel, 2)
    begin(hotel, AWAITING, 1, 2)
    hotel.clock.advance(timedelta(hours=2))
    click(hotel, "B-1", "awaiting")
    assert ways(hotel, "awaiting") == {"B-1": "clicked", "B-2": None}
    hotel.clock.advance(timedelta(days=3))
    hotel.work()
    assert ways(hotel, "awaiting") == {"B-1": "clicked", "B-2": "too late"}


def test_a_branch_knows_who_is_in_a_segment(hotel: Hotel) -> None:
    hotel.post([booked(1), booked(2)])
    hotel.work()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        segments.create(
            session, "vip", {"en": "VIP"}, "all:\n  - contact.tags has vip\n", by="M", now=hotel.clock.now()
        )
        session.scalars(select(Contact).where(Contact.external_id == "g-1")).one().tags = ["vip"]
    hotel.work()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        catalogue.publish(session, BELONGING, by="Marta", now=hotel.clock.now())
    again = [booked(1), booked(2)]
    for number, event in enumerate(again):
        event["id"], event["data"]["booking"]["reference"] = f"again-{number}", f"C-{number + 1}"
    hotel.post(again)
    hotel.work()
    hotel.clock.advance(timedelta(days=1))
    hotel.work()
    assert ways(hotel, "belonging") == {"C-1": "clicked", "C-2": "not clicked"}
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert segments.used_by(session, "vip") == ["belonging"]
        with pytest.raises(segments.RefusedError, match="belonging"):
            segments.archive(session, "vip", by="Marta", now=hotel.clock.now())
        with pytest.raises(segments.RefusedError, match="belonging"):
            segments.rename(session, "vip", "best", by="Marta", now=hotel.clock.now())


GREETED = """
workflow: greeted
name: { en: Greeted, it: Accolti }
phase: retention
class: transactional
entry:
  - on: segment.entered
    segment: vip
exit:
  - on: segment.left
    if: [ event.segment == vip ]
steps:
  - id: note
    set: { contact.attributes.greeted: true }
  - id: stay
    wait: { for: 30 days }
"""


def test_who_comes_into_a_segment_starts_and_who_leaves_it_is_out(hotel: Hotel) -> None:
    hotel.post([booked(1), booked(2)])
    hotel.work()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        segments.create(session, "vip", {"en": "VIP"}, "all: [ contact.tags has vip ]", by="M", now=hotel.clock.now())
    hotel.work()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        catalogue.publish(session, GREETED, by="Marta", now=hotel.clock.now())

    def status(*tags: str) -> list[str]:
        with hotel.house.database.work(hotel.loaded.workspace_id) as session:
            session.scalars(select(Contact).where(Contact.external_id == "g-1")).one().tags = list(tags)
        hotel.work()
        with hotel.house.database.work(hotel.loaded.workspace_id) as session:
            number = hotel_workflow(session, "greeted")
            rows = session.scalars(select(Enrollment).where(Enrollment.workflow_id == number)).all()
            return [row.status for row in rows]

    assert status() == []
    assert status("vip") == ["active"]
    assert status("vip", "golf") == ["active"]
    assert status("golf") == ["exited"]
