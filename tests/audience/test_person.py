"""One person against a segment: what a booking means there, and why somebody is in it or not."""

from __future__ import annotations

from datetime import date

import pytest
from sqlalchemy.orm import Session

from app.audience import person, segments
from app.clock import FixedClock
from app.journey.condition_source import read
from tests.factories import Factory


@pytest.fixture
def guest(session: Session, make: Factory) -> int:
    """An Italian with two bookings: a direct one that was cancelled, and one through an agency that stands."""
    make.property(is_default=True)
    contact = make.contact(language="it")
    make.booking(contact, channel="direct", status="cancelled", reference="OLD", arrival=date(2026, 1, 5))
    make.booking(contact, channel="Booking.com", status="confirmed", reference="NEW", arrival=date(2026, 5, 1))
    session.flush()  # what follows reads with plain SQL
    return contact.id


@pytest.mark.parametrize(
    ("source", "inside"),
    [
        (["booking.status == confirmed", "booking.channel == direct"], False),  # not of one and the same booking
        (["booking.status == confirmed", "booking.channel == Booking.com"], True),
        (["booking.status == confirmed", {"any": ["booking.channel == direct", "booking.nights > 9"]}], False),
        ([{"none": ["booking.status == confirmed"]}], False),
        ([{"none": ["booking.status == no_show"]}, "contact.language == it"], True),
        (["booking.status == confirmed", {"none": ["booking.channel == direct"]}], False),  # none of them at all
        (["booking.reference is unknown"], False),
        (["clicked upsell"], None),
    ],
)
def test_all_lines_speak_of_one_booking_and_none_of_no_booking_at_all(
    session: Session, clock: FixedClock, guest: int, source: list[object], inside: bool | None
) -> None:
    condition = read(source)
    who = person.people(session, [guest], clock.now())[guest]
    assert person.judge(condition, who, clock.now()) is inside
    assert segments.judged(session, {1: condition}, [guest], clock.now()) == {guest: {1: inside}}


def test_who_has_no_booking_is_looked_at_without_one(session: Session, clock: FixedClock, make: Factory) -> None:
    alone = make.contact(language="it").id
    session.flush()  # what follows reads with plain SQL
    assert segments.inside(session, read(["booking.reference is unknown"]), clock.now(), limit=9) == [alone]
    assert segments.inside(session, read(["booking.channel != direct"]), clock.now(), limit=9) == [alone]
    assert segments.inside(session, read(["booking.channel == direct"]), clock.now(), limit=9) == []


@pytest.mark.parametrize(
    ("language", "why"), [("en", "booking channel is direct — it was"), ("it", "canale di prenotazione è")]
)
def test_each_line_says_why_of_the_booking_that_fits_best(
    session: Session, clock: FixedClock, guest: int, language: str, why: str
) -> None:
    condition = read(["contact.language == it", "booking.status == confirmed", "booking.channel == direct"])
    who = person.people(session, [guest], clock.now())[guest]
    lines, spoken = person.told(condition, who, clock.now(), language)
    assert spoken is not None
    assert spoken["booking"]["reference"] in {"OLD", "NEW"}
    assert [line.verdict for line in lines].count(True) == 2
    (wrong,) = [line for line in lines if not line.verdict]
    assert wrong.line in {"booking.status == confirmed", "booking.channel == direct"}
    assert lines[0].line == "contact.language == it"
    assert any(why in line.why for line in lines)


def test_a_page_goes_on_after_a_number_and_back_before_one(session: Session, clock: FixedClock, make: Factory) -> None:
    ids = [make.contact(language="it").id for _ in range(5)]
    session.flush()  # what follows reads with plain SQL
    condition = read(["contact.language == it"])
    assert segments.inside(session, condition, clock.now(), limit=2) == ids[:2]
    assert segments.inside(session, condition, clock.now(), after=ids[1], limit=2) == ids[2:4]
    assert segments.inside(session, condition, clock.now(), before=ids[4], limit=2) == ids[2:4]


def test_the_count_tells_whom_marketing_may_reach(session: Session, clock: FixedClock, guest: int) -> None:
    counted = segments.count(session, read(["contact.language == it"]), clock.now())
    assert (counted.inside, counted.with_address, counted.with_consent) == (1, 1, 0)
    assert guest
