"""R18: data of special categories lies sealed, apart from contacts, and goes after the stay; R34: so do aliases."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, timedelta
from typing import Any

import pytest
from apiflask import APIFlask
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.audience import facts as audience
from app.audience.facts import Who
from app.cli.contacts import group
from app.clock import FixedClock
from app.consent.policy import Policy
from app.contacts import relays, special
from app.contacts.models import AttributeDefinition, Contact, SpecialValue
from app.contacts.sensitive_names import tells
from app.db import Database
from app.enrollments import catalogue
from app.journey.places import LanguageError
from app.rights import apart
from app.rights.models import RetentionMark
from tests.events.feed import event, report
from tests.factories import Factory

SECRET = "peanuts, severe"


@pytest.fixture
def make(db: Database, session: Session, clock: FixedClock) -> Factory:
    """Rows for this test."""
    return Factory(session, clock)


def known(session: Session, contact_id: int) -> dict[str, Any]:
    """Key → value."""
    return {one.key: one.value for one in special.of(session, contact_id)}


def tell(session: Session, name: str, minutes: int = 0, **attributes: object) -> None:
    """A system reports attributes of Anna, as of an instant."""
    contact = {"external_id": "anna", "attributes": attributes}
    report(session, [event(name, "contact.updated", minutes=minutes, contact=contact)])


def test_r18_what_an_event_tells_is_sealed_and_never_on_the_contact(db: Database, session: Session) -> None:
    tell(session, "e1", allergies=SECRET, vip=True)
    anna = session.scalars(select(Contact).where(Contact.external_id == "anna")).one()
    assert anna.attributes == {"vip": True}
    assert known(session, anna.id) == {"allergies": SECRET}
    kept = session.scalars(select(SpecialValue)).one()
    assert "peanuts" not in kept.sealed
    everything = session.execute(text("SELECT to_jsonb(e)::text FROM events e")).scalars().all()
    assert "peanuts" not in "".join(everything)
    assert session.scalars(
        select(AttributeDefinition.special_category).where(AttributeDefinition.key == "allergies")
    ).one()


def test_r18_the_newest_fact_holds_whatever_order_they_come_in(db: Database, session: Session) -> None:
    tell(session, "e1", diet="vegan")
    tell(session, "e2", minutes=-60, diet="kosher")
    anna = session.scalars(select(Contact.id).where(Contact.external_id == "anna")).one()
    assert known(session, anna) == {"diet": "vegan"}
    tell(session, "e3", minutes=2, diet=None)
    assert known(session, anna) == {}


@pytest.mark.parametrize(
    ("key", "is_special"),
    [
        ("allergies", True),
        ("food_allergy", True),
        ("dieta", True),
        ("wheelchair", True),
        ("religione", True),
        ("health_notes", True),
        ("favourite_room", False),
        ("healthclub_member", True),
        ("audiet", False),
        ("loyalty_tier", False),
    ],
)
def test_r18_names_that_tell_are_taken_for_special(key: str, is_special: bool) -> None:
    assert tells(key) is is_special


def test_r18_marking_an_attribute_takes_it_off_everybody(make: Factory, session: Session, clock: FixedClock) -> None:
    make.add(AttributeDefinition, key="note", type="text")
    anna = make.contact(attributes={"note": SECRET, "vip": True})
    make.contact(attributes={"vip": True})
    assert special.mark(session, "note", clock.now()) == 1
    session.expire_all()
    assert session.get_one(Contact, (anna.workspace_id, anna.id)).attributes == {"vip": True}
    assert known(session, anna.id) == {"note": SECRET}
    with pytest.raises(LookupError):
        special.mark(session, "nothing", clock.now())


def test_r18_nothing_that_reads_facts_sees_it_and_no_workflow_may_ask(
    make: Factory, session: Session, clock: FixedClock
) -> None:
    make.property(is_default=True)
    make.add(AttributeDefinition, key="diet", type="text", special_category=True)
    anna = make.contact()
    special.write(session, [special.Told(anna.id, {"diet": SECRET}, "1")], clock.now())
    assert SECRET not in str(audience.load(session, [Who(anna.id)], clock.now()))
    asking = (
        "workflow: menus\nname: { en: Menus, it: Menu }\nphase: retention\nclass: transactional\n"
        "entry:\n  - on: booking.confirmed\n    if: [ contact.attributes.diet == vegan ]\n"
        "steps:\n  - id: out\n    exit: done\n"
    )
    with pytest.raises(LanguageError, match="diet"):
        catalogue.publish(session, asking, by="Marta", now=clock.now())


@pytest.mark.parametrize(("keep", "left"), [(False, 0), (True, 1)])
def test_r18_it_goes_thirty_days_after_the_stay_unless_the_guest_asks_to_keep_it(
    make: Factory, session: Session, clock: FixedClock, keep: bool, left: int
) -> None:
    anna = make.contact()
    make.booking(anna, arrival=date(2026, 3, 10), departure=date(2026, 3, 12))
    special.write(session, [special.Told(anna.id, {"diet": "vegan"}, "1")], clock.now())
    special.keep(session, anna.id, "diet", keep)
    clock.set(clock.now().replace(month=4, day=11))
    assert special.expire(session, clock.now()) == 0
    clock.set(clock.now().replace(month=4, day=12))
    special.expire(session, clock.now())
    assert len(special.of(session, anna.id)) == left


def test_r18_a_later_stay_keeps_it_and_without_any_stay_it_goes_too(
    make: Factory, session: Session, clock: FixedClock
) -> None:
    anna, bruno = make.contact(), make.contact()
    make.booking(anna, arrival=date(2026, 6, 1), departure=date(2026, 6, 3))
    for one in (anna, bruno):
        special.write(session, [special.Told(one.id, {"diet": "vegan"}, "1")], clock.now())
    clock.advance(timedelta(days=60))
    assert special.expire(session, clock.now()) == 1
    assert known(session, anna.id) == {"diet": "vegan"}


def test_r34_a_masked_address_is_hidden_sixty_days_after_the_last_stay(
    make: Factory, session: Session, clock: FixedClock
) -> None:
    past, coming, own = (
        make.contact(email="a.1@guest.booking.com"),
        make.contact(email="b.2@m.expediapartnercentral.com"),
        make.contact(email="c@guest.booking.com.example.org"),
    )
    for person, day in ((past, date(2026, 1, 8)), (coming, date(2026, 1, 9)), (own, date(2025, 1, 1))):
        make.booking(person, arrival=day - timedelta(days=2), departure=day)
    policy = Policy()
    assert relays.hide(session, clock.now(), policy.relay_suffixes, policy.relay_days) == 1
    session.expire_all()
    assert [session.get_one(Contact, (one.workspace_id, one.id)).email for one in (past, coming, own)] == [
        None,
        "b.2@m.expediapartnercentral.com",
        "c@guest.booking.com.example.org",
    ]


def test_r18_r13_an_attribute_is_marked_at_a_terminal(
    app: APIFlask, work: Callable[[], AbstractContextManager[Session]], clock: FixedClock
) -> None:
    with work() as session:
        make = Factory(session, clock)
        make.add(AttributeDefinition, key="note", type="text")
        anna = make.contact(attributes={"note": SECRET}).id
    told = app.test_cli_runner().invoke(group, ["attribute", "note", "--special", "--inferred"])
    assert told.output.startswith("note: special, inferred; 1 values sealed\n")
    with work() as session:
        assert known(session, anna) == {"note": SECRET}
        due = session.scalars(select(RetentionMark.task).where(RetentionMark.due_at <= clock.now())).all()
        assert set(due) == set(apart.TASKS), "bookings and events follow at once, in batches"
    assert app.test_cli_runner().invoke(group, ["attribute", "nothing", "--special"]).exit_code == 2
