"""R13 along the line: what a person did, or was thought to like, shapes marketing only with a consent to profiling."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from app.audience import catalogue as segments
from app.consent import behaviour, ledger
from app.consent.ledger import Act
from app.contacts.models import AttributeDefinition, Contact
from app.enrollments import catalogue as workflows
from app.enrollments.models import Enrollment
from app.events.record import OwnEvent, record_own
from app.journey.condition_tree import fields
from app.journey.conditions import parse
from app.messages import compose
from app.messages.broadcast_preview import count_on
from app.messages.compose import Composed
from app.messages.models import Message
from tests.enrollments.test_engagement import ASKING
from tests.enrollments.test_stages import booked
from tests.hotel import Hotel
from tests.messages.broadcasts import people, send, the
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
    number = send(hotel, segment="wine-lovers")
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        counted = count_on(session, the(session, number), hotel.clock.now(), lambda: True)
    assert (counted.may, counted.refused) == ((1, {"no_profiling": 1}) if inferred else (2, {}))
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


def agree(hotel: Hotel, purposes: list[str]) -> None:
    """g-1 agrees to these."""
    at = hotel.clock.now().isoformat()
    proof = {"method": "web", "wording_version": "1", "confirmed_at": at}
    hotel.post(
        [
            {
                "id": f"agreed-{purpose}",
                "type": "consent.granted",
                "occurred_at": at,
                "contact": {"external_id": "g-1", "email": "g1@example.com"},
                "data": {"purpose": purpose, **({"topic": "newsletter"} if purpose == "marketing" else {}), **proof},
            }
            for purpose in purposes
        ]
    )


def taste_for_wine(hotel: Hotel, *, inferred: bool = True) -> None:
    """It is worked out of what people do who likes wine, and they are a segment; g-1 is one of them."""
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        now, workspace_id = hotel.clock.now(), hotel.loaded.workspace_id
        session.add(
            AttributeDefinition(workspace_id=workspace_id, key="taste", type="text", inferred=inferred, created_at=now)
        )
        session.flush()  # the segment names it
        segments.create(session, "wine-lovers", {"en": "Wine"}, CLICKERS, by="Marta", now=now)
    hotel.post(
        [
            {
                "id": "taste",
                "type": "contact.updated",
                "occurred_at": hotel.clock.now().isoformat(),
                "contact": {"external_id": "g-1", "email": "g1@example.com", "attributes": {"taste": "wine"}},
                "data": {},
            }
        ]
    )
    hotel.work()


CHOOSING = """
workflow: choosing
name: { en: Choosing, it: Scelta }
phase: retention
class: marketing
entry: [ { on: booking.confirmed } ]
key: booking.reference
steps:
  - id: which
    branch:
      - if: contact.segments WORD wine-lovers
        steps: [ { id: for-them, set: { enrollment.fields.way: wine } } ]
      - else: true
        steps: [ { id: for-all, set: { enrollment.fields.way: general } } ]
  - id: offer
    send: guest-voices
    topic: newsletter
"""


@pytest.mark.parametrize("word", ["has", "has not"])
@pytest.mark.parametrize(("agreed", "inferred"), [(True, True), (False, True), (False, False)])
def test_r13_a_branch_on_a_segment_that_rests_on_an_inference_goes_the_way_of_the_unknown(
    hotel: Hotel, word: str, agreed: bool, inferred: bool
) -> None:
    agree(hotel, ["marketing", *(["profiling"] if agreed else [])])
    taste_for_wine(hotel, inferred=inferred)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        workflows.publish(session, CHOOSING.replace("WORD", word), by="Marta", now=hotel.clock.now())
    hotel.post([booked(1)])
    hotel.work()
    known = "wine" if word == "has" else "general"
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        found = session.scalars(select(Enrollment).where(Enrollment.key == "B-1")).all()
        ways = [way for row in found if (way := row.state.get("fields", {}).get("way"))]
        sent = session.scalars(select(Message.reason).where(Message.step_id == "offer")).all()
    assert ways == [known if agreed or not inferred else "general"]
    assert len(sent) == 1
    assert "no_profiling" not in sent  # what is for everybody goes to who has not agreed, too


ENTERED = """
workflow: entering
name: { en: Entering, it: Ingresso }
phase: retention
class: marketing
entry: [ { on: ON } ]
key: contact.id
steps:
  - id: offer
    send: guest-voices
    topic: newsletter
"""


@pytest.mark.parametrize("agreed", [True, False])
@pytest.mark.parametrize("on", ["segment.entered, segment: wine-lovers", "page.viewed"])
def test_r13_marketing_that_behaviour_has_started_needs_a_consent_to_profiling(
    hotel: Hotel, on: str, agreed: bool
) -> None:
    agree(hotel, ["marketing", *(["profiling"] if agreed else [])])
    taste_for_wine(hotel)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        workflows.publish(session, ENTERED.replace("ON", on), by="Marta", now=hotel.clock.now())
        number = session.scalars(select(Contact.id).where(Contact.external_id == "g-1")).one()
        data = {"segment": "wine-lovers"} if on.startswith("segment") else {"url": "https://lago.example/wine"}
        record_own(session, [OwnEvent(number, on.partition(",")[0], hotel.clock.now(), data)], hotel.clock.now())
    hotel.work()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        ends = session.execute(select(Message.reason, Message.rule).where(Message.step_id == "offer")).all()
    assert len(ends) == 1
    assert (tuple(ends[0]) == ("no_profiling", "R13")) is not agreed


@pytest.mark.parametrize(
    ("condition", "needs"),
    [
        ("booking.amount >= 300", True), ("booking.nights >= 1", True), ("did page.viewed", True),
        ("booking.departure < now", False), ("booking.status == confirmed", False), ("did booking.confirmed", False),
    ],
)  # fmt: skip
def test_r13_how_people_stayed_and_what_they_looked_at_is_behaviour_and_that_they_stayed_is_not(
    mailroom: Mailroom, condition: str, needs: bool
) -> None:
    reads = behaviour.among(fields(parse(condition)))
    assert bool(reads) is needs
    guest = mailroom.guest()
    mailroom.say(guest)
    number = mailroom.plan(guest, "offer", terms={"reads": list(reads)})
    mailroom.gate()
    assert mailroom.message(number).reason == ("no_profiling" if needs else None)


def test_r13_the_stay_ahead_may_be_read_for_offers_about_it(mailroom: Mailroom) -> None:
    """J07: an upgrade for a booking that is still to come rests on that contract, not on the past."""
    guest = mailroom.guest()
    mailroom.say(guest)
    verdicts = []
    for visit, days in ((1, 10), (2, -1)):
        leaves = mailroom.now.date() + timedelta(days=days)
        stay = mailroom.make.booking(guest, arrival=leaves - timedelta(days=2), departure=leaves)
        terms = {"reads": ["booking.nights"]}
        number = mailroom.plan(guest, "offer", visit=visit, booking_id=stay.id, terms=terms)
        mailroom.gate()
        verdicts.append(mailroom.message(number).reason)
    assert verdicts == [None, "no_profiling"]
