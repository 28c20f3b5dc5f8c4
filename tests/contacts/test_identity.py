"""Who an event is about: by id, by address, shared, adopted, alias."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.contacts.models import Contact
from tests.events.feed import event, report
from tests.factories import Factory

ADA = {"email": "Ada@Example.com", "first_name": "Ada", "last_name": "Rossi"}


def people(session: Session, *contacts: dict[str, Any]) -> list[Contact]:
    """The contacts there are once these were reported one after the other."""
    for place, contact in enumerate(contacts):
        report(session, [event(f"e-{place}", "page.viewed", minutes=place - 60, contact=contact)])
    return list(session.scalars(select(Contact).order_by(Contact.id)))


def test_an_address_finds_its_one_holder_however_it_is_written(session: Session) -> None:
    (person,) = people(
        session, {**ADA, "external_id": "a"}, {"email": " ada@EXAMPLE.com. "}, {"email": "ada@example.com"}
    )
    assert (person.external_id, person.email_key) == ("a", "ada@example.com")


def test_a_plus_tag_is_another_address(session: Session) -> None:
    assert len(people(session, ADA, {"email": "ada+shop@example.com"})) == 2


def test_who_shares_an_address_under_another_name_is_another_person(session: Session) -> None:
    found = people(session, ADA, {"email": "ada@example.com", "first_name": "Bruno", "last_name": "Rossi"})
    assert [person.first_name for person in found] == ["Ada", "Bruno"]


def test_who_was_born_on_another_day_is_another_person(session: Session) -> None:
    older, younger = ({**ADA, "attributes": {"birth_date": day}} for day in ("1960-01-02", "1990-01-02"))
    assert len(people(session, older, younger, older)) == 2


def test_an_external_id_adopts_who_was_known_by_the_address_only(session: Session) -> None:
    (person,) = people(session, ADA, {"external_id": "a-1", "email": "ada@example.com"}, {"external_id": "a-1"})
    assert (person.external_id, person.first_name) == ("a-1", "Ada")


def test_an_external_id_never_takes_over_another_ones_contact(session: Session) -> None:
    found = people(session, {**ADA, "external_id": "a-1"}, {**ADA, "external_id": "a-2"})
    assert [person.external_id for person in found] == ["a-1", "a-2"]


def test_an_address_shared_by_several_speaks_for_none_of_them_unless_named(session: Session) -> None:
    office = {"email": "office@example.com"}
    one, two = ({**office, "external_id": n, "first_name": n, "last_name": "X"} for n in ("o1", "o2"))
    found = people(session, one, two, office, office, {**office, "first_name": "o2", "last_name": "x"})
    assert [person.external_id for person in found] == ["o1", "o2", None]


def test_an_agencys_alias_neither_adopts_nor_replaces_a_persons_own_address(session: Session) -> None:
    alias = "xyz.123@guest.booking.com"
    found = people(
        session,
        {"email": alias},
        {"external_id": "a-1", "email": alias},
        {"external_id": "a-2", "email": "ada@example.com"},
        {"external_id": "a-2", "email": alias},
    )
    assert [(person.external_id, person.email) for person in found] == [
        (None, alias),
        ("a-1", alias),
        ("a-2", "ada@example.com"),
    ]


def test_a_number_is_read_as_the_property_dials_it_and_finds_its_holder(session: Session, make: Factory) -> None:
    make.property(country="IT", is_default=True)
    (person,) = people(session, {"phone": "0323 304160"}, {"phone": "+39 0323 304160", "email": "ada@example.com"})
    assert (person.phone, person.email) == ("+390323304160", "ada@example.com")


@pytest.mark.parametrize("ids_first", [True, False])
def test_within_a_batch_the_order_decides_nothing(session: Session, ids_first: bool) -> None:
    batch = [
        event("e-1", "page.viewed", contact={"external_id": "a-1", "email": "ada@example.com"}),
        event("e-2", "page.viewed", contact={"email": "ada@example.com"}),
        event("e-3", "page.viewed", contact={"external_id": "a-1"}),
    ]
    report(session, batch if ids_first else batch[::-1])
    (person,) = session.scalars(select(Contact)).all()
    assert person.external_id == "a-1"


def test_tags_are_added_by_events(session: Session) -> None:
    (person,) = people(session, {**ADA, "tags": ["vip", 'a "b", \\c']}, {**ADA, "tags": ["spa"]})
    assert person.tags == sorted(["vip", "spa", 'a "b", \\c'])
