"""What recording promises of one batch: kept once, brought up to date, nothing lost for what is wrong beside it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.contacts.models import AttributeDefinition, Booking, Contact
from app.events.models import Event, EventConflict, EventWork
from app.events.record import OwnEvent, record_own
from tests.events.feed import GIULIA, NOW, event, report, stay
from tests.factories import Factory

MAY: dict[str, Any] = {
    "arrival": "2026-05-01",
    "departure": "2026-05-04",
    "adults": 2,
    "amount": 54000,
    "currency": "EUR",
}


def booking(session: Session, reference: str = "B-1") -> Booking:
    return session.scalars(select(Booking).where(Booking.reference == reference)).one()


def contacts(session: Session) -> list[Contact]:
    return list(session.scalars(select(Contact).order_by(Contact.id)))


def test_a_confirmed_booking_makes_contact_booking_event_and_work(session: Session) -> None:
    raw = stay("e-1", "confirmed", minutes=-5, channel="direct", room_type="Doppia", spa=True, **MAY)
    (verdict,) = report(session, [raw])
    assert (verdict.id, verdict.status, verdict.warnings) == ("e-1", "accepted", ())
    (person,) = contacts(session)
    assert (person.external_id, person.email, person.first_name) == ("g-1", "giulia@example.com", "Giulia")
    row = booking(session)
    assert (row.contact_id, row.status, row.arrival, row.nights) == (person.id, "confirmed", date(2026, 5, 1), 3)
    assert (row.amount, row.room_type, row.data, row.revision) == (54000, "Doppia", {"spa": True}, 1)
    assert row.booked_at == NOW - timedelta(minutes=5)
    kept = session.scalars(select(Event)).one()
    assert (kept.contact_id, kept.booking_id, kept.booking_reference) == (person.id, row.id, "B-1")
    assert kept.data == raw["data"]
    assert session.scalars(select(EventWork)).one().event_pk == kept.id


def test_an_event_sent_again_is_a_duplicate_and_changes_nothing(session: Session) -> None:
    raw = stay("e-1", "confirmed", **MAY)
    report(session, [raw])
    again = report(session, [raw, raw], now=NOW + timedelta(days=900))
    assert [(verdict.status, verdict.conflict) for verdict in again] == [("duplicate", False)] * 2
    assert len(session.scalars(select(Event)).all()) == 1
    assert booking(session).revision == 1


def test_two_of_one_id_in_one_batch_are_one_event(session: Session) -> None:
    verdicts = report(session, [event("e-1", "page.viewed"), event("e-1", "page.viewed")])
    assert [verdict.status for verdict in verdicts] == ["accepted", "duplicate"]


def test_the_same_id_with_another_body_is_a_recorded_conflict(session: Session) -> None:
    report(session, [stay("e-1", "confirmed", **MAY)])
    (verdict,) = report(session, [stay("e-1", "confirmed", **{**MAY, "adults": 5})])
    assert (verdict.status, verdict.conflict) == ("duplicate", True)
    assert booking(session).adults == 2
    assert session.scalars(select(EventConflict)).one().body["data"]["booking"]["adults"] == 5


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_conflicting_body_with_a_higher_sequence_wins_for_the_booking_in_either_order(
    session: Session, newest_first: bool
) -> None:
    bodies = [
        stay("e-1", "confirmed", **{**MAY, "adults": adults}, event_fields={"sequence": sequence})
        for sequence, adults in ((1, 2), (2, 5))
    ]
    for raw in reversed(bodies) if newest_first else bodies:
        report(session, [raw])
    assert booking(session).adults == 5


def test_ids_are_unique_within_a_source_only(session: Session) -> None:
    from app.events.record import Reporter

    report(session, [event("e-1", "page.viewed")])
    (verdict,) = report(session, [event("e-1", "page.viewed")], source=Reporter(2))
    assert verdict.status == "accepted"


def test_an_unknown_type_is_kept_and_flagged(session: Session) -> None:
    (verdict,) = report(session, [event("e-1", "spa.visited", data={"minutes": 50})])
    assert (verdict.status, verdict.unmapped) == ("accepted", True)
    kept = session.scalars(select(Event)).one()
    assert (kept.unmapped, kept.data) == (True, {"minutes": 50})


def test_what_belongs_to_nobody_is_rejected_with_pointer_and_cure_and_may_be_sent_again(session: Session) -> None:
    nobody = event("e-2", "page.viewed", contact={"first_name": "Anna"})
    ahead_of_booking = stay("e-3", "checked_in", contact=None)
    verdicts = report(session, [event("e-1", "page.viewed"), nobody, ahead_of_booking])
    assert [verdict.status for verdict in verdicts] == ["accepted", "rejected", "rejected"]
    assert [verdict.problems[0].pointer for verdict in verdicts[1:]] == ["/events/1/contact", "/events/2/contact"]
    assert "booking first" in verdicts[2].problems[0].cure
    report(session, [stay("e-4", "confirmed", **MAY)])
    assert [verdict.status for verdict in report(session, [ahead_of_booking])] == ["accepted"]
    assert booking(session).status == "checked_in"


def test_an_event_without_a_contact_belongs_to_whose_booking_it_is(session: Session) -> None:
    verdicts = report(
        session,
        [stay("e-2", "checked_in", contact=None), stay("e-1", "confirmed", minutes=-60, **MAY)],
    )
    assert [verdict.status for verdict in verdicts] == ["accepted", "accepted"]
    (person,) = contacts(session)
    assert {kept.contact_id for kept in session.scalars(select(Event))} == {person.id}
    assert booking(session).status == "checked_in"


def test_values_that_do_not_fit_are_left_out_with_a_warning_and_the_rest_counts(session: Session) -> None:
    raw = stay("e-1", "confirmed", **{**MAY, "adults": "many", "arrival": "soon", "currency": "euro", "amount": 9.5})
    raw["contact"] = {**GIULIA, "email": "not an address", "zone": "Mars/North", "language": "it_it", "shoe": 38}
    (verdict,) = report(session, [raw])
    assert verdict.status == "accepted"
    assert sorted(warning.pointer for warning in verdict.warnings) == [
        "/events/0/contact/email",
        "/events/0/contact/shoe",
        "/events/0/contact/zone",
        "/events/0/data/booking/adults",
        "/events/0/data/booking/amount",
        "/events/0/data/booking/arrival",
        "/events/0/data/booking/currency",
    ]
    assert all(warning.cure for warning in verdict.warnings)
    (person,) = contacts(session)
    assert (person.email, person.zone, person.language) == (None, None, "it-IT")
    assert booking(session).departure == date(2026, 5, 4)


def test_a_booking_without_a_reference_is_recorded_with_a_warning(session: Session) -> None:
    (verdict,) = report(session, [event("e-1", "booking.confirmed", data={"booking": {"arrival": "2026-05-01"}})])
    assert verdict.status == "accepted"
    assert verdict.warnings[0].pointer == "/events/0/data/booking"
    assert session.scalars(select(Booking)).all() == []


def test_the_newest_fact_wins_per_field_whatever_the_order(session: Session) -> None:
    report(session, [event("e-2", "contact.updated", minutes=-10, contact={**GIULIA, "language": "it"})])
    report(session, [event("e-1", "contact.updated", minutes=-20, contact={**GIULIA, "language": "de", "zone": None})])
    report(session, [event("e-3", "contact.updated", minutes=-5, contact={"external_id": "g-1", "country": "it"})])
    (person,) = contacts(session)
    assert (person.language, person.country) == ("it", "IT")


def test_a_null_clears_a_field(session: Session) -> None:
    report(session, [event("e-1", "contact.updated", minutes=-2, contact={**GIULIA, "attributes": {"vip": True}})])
    gone = {"external_id": "g-1", "email": None, "attributes": {"vip": None}}
    report(session, [event("e-2", "contact.updated", minutes=-1, contact=gone)])
    (person,) = contacts(session)
    assert (person.email, person.email_key, person.attributes) == (None, None, {})


def test_attributes_are_typed_by_their_first_value_and_coerced_from_then_on(session: Session, make: Factory) -> None:
    make.add(AttributeDefinition, key="points", type="number")
    first = {"points": "12", "since": "2020-05-01", "newsletter": False, "likes": ["spa"], "Bad Key": 1, "deep": {}}
    (verdict,) = report(session, [event("e-1", "contact.updated", contact={**GIULIA, "attributes": first})])
    assert sorted(warning.pointer for warning in verdict.warnings) == [
        "/events/0/contact/attributes/Bad Key",
        "/events/0/contact/attributes/deep",
    ]
    types = {row.key: row.type for row in session.scalars(select(AttributeDefinition))}
    assert types == {"points": "number", "since": "date", "newsletter": "bool", "likes": "list"}
    second = {"points": "a lot", "newsletter": "yes"}
    (verdict,) = report(session, [event("e-2", "contact.updated", minutes=1, contact={**GIULIA, "attributes": second})])
    assert [warning.pointer for warning in verdict.warnings] == ["/events/0/contact/attributes/points"]
    (person,) = contacts(session)
    assert person.attributes == {"points": 12, "since": "2020-05-01", "newsletter": True, "likes": ["spa"]}


@pytest.mark.parametrize(
    ("ahead", "ordered_by_claim", "warned", "quarantined"),
    [
        (timedelta(minutes=5), True, False, False),
        (timedelta(minutes=5, seconds=1), False, True, False),
        (timedelta(hours=24), False, True, False),
        (timedelta(hours=24, seconds=1), False, True, True),
    ],
)
def test_events_dated_in_the_future_are_taken_as_x15_says(
    session: Session, ahead: timedelta, ordered_by_claim: bool, warned: bool, quarantined: bool
) -> None:
    raw = {**stay("e-1", "confirmed", **MAY), "occurred_at": (NOW + ahead).isoformat()}
    (verdict,) = report(session, [raw])
    kept = session.scalars(select(Event)).one()
    assert kept.occurred_at == NOW + ahead
    assert kept.ordered_at == (NOW + ahead if ordered_by_claim else NOW)
    assert bool(verdict.warnings) == warned
    assert bool(verdict.quarantined) == quarantined
    assert (kept.contact_id == 0, bool(kept.quarantined)) == (quarantined, quarantined)
    assert len(session.scalars(select(EventWork)).all()) == (0 if quarantined else 1)
    assert len(session.scalars(select(Booking)).all()) == (0 if quarantined else 1)


def test_the_property_is_the_one_named_else_the_sources_else_the_default(session: Session, make: Factory) -> None:
    from app.events.record import Reporter

    default = make.property(code="lago", is_default=True)
    other, third = make.property(code="monte"), make.property(code="citta")
    source = Reporter(1, other.id)
    report(session, [stay("e-1", "confirmed", **MAY)], source=Reporter(1))
    report(session, [stay("e-2", "confirmed", reference="B-2", **MAY)], source=source)
    report(
        session, [stay("e-3", "confirmed", reference="B-3", **MAY, event_fields={"property": "CITTA"})], source=source
    )
    (verdict,) = report(session, [stay("e-4", "confirmed", reference="B-4", event_fields={"property": "mare"})])
    assert [booking(session, f"B-{n}").property_id for n in (1, 2, 3)] == [default.id, other.id, third.id]
    assert verdict.warnings[0].pointer == "/events/0/property"


def test_who_binds_waits_to_bookings_is_told_which_really_changed(session: Session) -> None:
    told: list[list[int]] = []

    def moved(_session: Session, ids: Any, now: datetime) -> None:
        assert now == NOW
        told.append(list(ids))

    first = stay("e-1", "confirmed", minutes=-9, **MAY)
    report(session, [first], moved=moved)
    report(session, [stay("e-2", "modified", minutes=-8, departure="2026-05-04")], moved=moved)
    report(session, [stay("e-3", "modified", minutes=-7, departure="2026-05-06"), first], moved=moved)
    assert told == [[booking(session).id]]
    assert booking(session).revision == 2


def test_an_agencys_cancel_and_rebook_are_known_as_a_pair_in_either_order(session: Session) -> None:
    old = stay("e-1", "confirmed", minutes=-900, reference="OTA-1", channel="ota", **MAY)
    cancel = stay("e-2", "cancelled", minutes=-8, reference="OTA-1")
    new = stay("e-3", "confirmed", minutes=-5, reference="OTA-2", channel="ota", **{**MAY, "departure": "2026-05-06"})
    unrelated = stay("e-4", "confirmed", minutes=-5, reference="OTA-3", channel="ota", arrival="2026-08-01")
    for raw in (new, unrelated, cancel, old):
        report(session, [raw])
    assert booking(session, "OTA-1").replaced_by == booking(session, "OTA-2").id
    assert booking(session, "OTA-2").replaced_by is None


def test_our_own_events_join_the_log_and_the_work(session: Session, make: Factory) -> None:
    person = make.contact()
    record_own(session, [OwnEvent(person.id, "message.clicked", NOW, {"url": "https://x.example"})], NOW)
    kept = session.scalars(select(Event)).one()
    assert (kept.source_id, kept.contact_id, kept.type) == (None, person.id, "message.clicked")
    assert session.scalars(select(EventWork)).one().event_pk == kept.id


def test_nobody_else_may_write_our_own_events(session: Session) -> None:
    (verdict,) = report(session, [event("e-1", "message.clicked")])
    assert (verdict.status, verdict.problems[0].pointer) == ("rejected", "/events/0/type")
