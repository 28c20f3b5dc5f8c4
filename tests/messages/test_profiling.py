"""R13 along the line: what a person did, or was thought to like, shapes marketing only with a consent to profiling."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from app.audience import catalogue as segments
from app.consent import ledger
from app.consent.ledger import Act
from app.contacts.models import AttributeDefinition
from app.enrollments import catalogue as workflows
from app.enrollments.models import Enrollment
from app.messages import compose
from app.messages.compose import Composed
from app.messages.models import Message
from tests.enrollments.test_engagement import ASKING
from tests.enrollments.test_stages import booked
from tests.hotel import Hotel
from tests.messages.broadcasts import people, send
from tests.messages.mailroom import Mailroom


@pytest.fixture
def mailroom(mailroom: Mailroom) -> Mailroom:
    """One in which `taste` is known to be an inference."""
    mailroom.make.add(AttributeDefinition, key="taste", type="text", inferred=True)
    return mailroom


@pytest.mark.parametrize(("profiled", "shown", "hidden"), [(True, "for-you", "for-all"), (False, "for-all", "for-you")])
def test_r13_the_generic_variant_is_rendered_without_a_consent_to_profiling(
    mailroom: Mailroom, profiled: bool, shown: str, hidden: str
) -> None:
    guest = mailroom.guest(attributes={"taste": "Barolo"})
    mailroom.say(guest)
    if profiled:
        mailroom.say(guest, purpose="profiling")
    number = mailroom.plan(guest, "picks")
    made = compose.preview(mailroom.session, mailroom.message(number), mailroom.now)
    assert isinstance(made, Composed), made
    assert f"https://lago.example/{shown}" in made.html
    assert hidden not in made.html + made.text
    assert ("Barolo" in made.html, "the lake" in made.html) == (profiled, not profiled)
    assert ("Barolo" in str(made.facts)) is profiled


CLICKERS = "all:\n  - contact.attributes.taste == wine\n"


def profile(hotel: Hotel, contact_id: int, address: str) -> None:
    """A person agrees to profiling."""
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        now = hotel.clock.now()
        proof = {"wording_version": "1"}
        ledger.append(
            session, [Act(contact_id, address, "email", "profiling", None, "granted", "web", now, now, proof)], now
        )


@pytest.mark.parametrize("inferred", [True, False])
def test_r13_a_broadcast_to_people_chosen_by_an_inference_reaches_those_who_agreed_to_profiling(
    hotel: Hotel, inferred: bool
) -> None:
    anna, bruno = people(hotel, ["anna", "bruno"], attributes={"taste": "wine"})
    profile(hotel, anna, "anna@example.com")
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        now, workspace_id = hotel.clock.now(), hotel.loaded.workspace_id
        taste = AttributeDefinition(
            workspace_id=workspace_id, key="taste", type="text", inferred=inferred, created_at=now
        )
        session.add(taste)
        session.flush()  # the segment names it
        segments.create(session, "wine-lovers", {"en": "Wine"}, CLICKERS, by="Marta", now=now)
    hotel.work()
    send(hotel, segment="wine-lovers")
    hotel.after(timedelta(minutes=2))
    ends = {row.contact_id: (row.state, row.reason) for row in hotel.messages()}
    assert ends == {
        anna: ("accepted", None),
        bruno: ("refused", "no_profiling") if inferred else ("accepted", None),
    }


PROMOTING = ASKING.replace("asking", "promoting").replace(
    "    send: in-stay-welcome\n", "    send: guest-voices\n    class: marketing\n    topic: newsletter\n"
)


@pytest.mark.parametrize(("agreed", "way"), [(True, "not clicked"), (False, "unknown")])
def test_r13_a_workflow_that_sends_marketing_sees_clicks_only_of_those_who_agreed_to_profiling(
    hotel: Hotel, agreed: bool, way: str
) -> None:
    granted = ["open_tracking", *(["profiling"] if agreed else [])]
    contact = {"external_id": "g-1", "email": "g1@example.com"}
    at = hotel.clock.now().isoformat()
    proof = {"method": "web", "wording_version": "1", "confirmed_at": at}
    hotel.post(
        [
            {
                "id": purpose,
                "type": "consent.granted",
                "occurred_at": at,
                "contact": contact,
                "data": {"purpose": purpose, **proof},
            }
            for purpose in granted
        ]
    )
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        workflows.publish(session, PROMOTING, by="Marta", now=hotel.clock.now())
    hotel.post([booked(1)])
    hotel.work()
    hotel.clock.advance(timedelta(days=2))
    hotel.work()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        found = session.scalars(select(Enrollment).where(Enrollment.key == "B-1")).all()
        ways = [row.state.get("fields", {}).get("way") for row in found]
        assert way in ways, session.scalars(select(Message.reason)).all()
