"""R18, R12: whatever a system sends, no table holds health, diet or a child's birth date in the open."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, text

from app.clock import FixedClock
from app.contacts import special
from app.contacts.models import AttributeDefinition, Booking, Contact, SpecialValue
from app.db import Database
from app.events.models import Event
from app.events.record import OwnEvent, record_own
from tests.api.conftest import Door
from tests.rights.filling import everything

SECRET = "qxzallergy"
"""Stands wherever a guest's health is told, and must stand nowhere."""
CHILD = ("Lucaqxz", "2019-08-11", "2019", "11/08/2019")
GIULIA = {"external_id": "g-1", "email": "giulia@example.com", "first_name": "Giulia"}


def sent(name: str, data: Mapping[str, Any], type_: str = "booking.confirmed", **more: Any) -> dict[str, Any]:
    """An event of Giulia's."""
    return {"id": name, "type": type_, "occurred_at": "2026-03-10T08:00:00Z", "contact": GIULIA, "data": data, **more}


def stay(**fields: Any) -> dict[str, Any]:
    """Data of a booking."""
    return {"booking": {"reference": "B-1", "arrival": "2026-05-01", "departure": "2026-05-04", **fields}}


def in_the_open(db: Database, *marks: str) -> list[str]:
    """The tables that hold any of these texts."""
    with db.system() as session:
        return [name for name, rows in everything(session).items() if any(mark in rows for mark in marks)]


def kept(db: Database, workspace_id: int) -> dict[str, Any]:
    """Field → value, of Giulia, as those who care for her read it."""
    with db.work(workspace_id) as session:
        giulia = session.scalars(select(Contact.id).where(Contact.external_id == "g-1")).one()
        return {one.key: one.value for one in special.of(session, giulia)}


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (stay(dietary_requirements=SECRET), {"dietary_requirements": SECRET}),
        (stay(specialRequests=SECRET, board="half"), {"specialRequests": SECRET}),
        (stay(Notes=SECRET), {"Notes": SECRET}),
        (stay(esigenze_alimentari=[SECRET]), {"esigenze_alimentari": [SECRET]}),
        (stay(guests=[{"name": "A"}, {"name": "B", "allergies": SECRET}]), {"guests": {"1.allergies": SECRET}}),
        (stay(meta_data=[{"id": 7, "key": "Allergies?", "value": SECRET}]), {"meta_data": {"0.Allergies?": SECRET}}),
        (stay(wheelchair={"needs": SECRET}), {"wheelchair": {"needs": SECRET}}),
        ({**stay(), "stay": {"room": {"accessibilità": SECRET}}}, {"stay": {"room.accessibilità": SECRET}}),
        (
            stay(comments=[{"comment": {"text": {"value": SECRET}, "commentTitle": "General Notes"}}]),
            {"comments": [{"comment": {"text": {"value": SECRET}, "commentTitle": "General Notes"}}]},
        ),
    ],
)  # fmt: skip
def test_r18_no_table_holds_in_the_open_what_a_booking_tells(
    door: Door, db: Database, workspace_id: int, data: dict[str, Any], found: dict[str, Any]
) -> None:
    (verdict,) = door.report(sent("e1", data))
    assert verdict["status"] == "accepted"
    assert any("R18" in one["detail"] for one in verdict["warnings"])
    assert in_the_open(db, SECRET) == []
    assert kept(db, workspace_id) == found
    with db.work(workspace_id) as session:
        assert session.scalars(select(Booking.arrival)).one() == date(2026, 5, 1)


def test_r18_what_is_not_special_stays_where_it_was(door: Door, db: Database, workspace_id: int) -> None:
    data = {**stay(board="half", special_requests=2, cot=True), "utm": {"source": "x", "type": "cpc"}}
    (verdict,) = door.report(sent("e1", data))
    assert "warnings" not in verdict
    with db.work(workspace_id) as session:
        assert session.scalars(select(Event.data)).one() == data
        assert session.scalars(select(Booking.data)).one() == {"board": "half", "special_requests": 2, "cot": True}
        assert session.scalars(select(SpecialValue.id)).all() == []


@pytest.mark.parametrize("minutes", [10, 60 * 48])
def test_r18_neither_does_an_event_dated_ahead(door: Door, db: Database, clock: FixedClock, minutes: int) -> None:
    at = (clock.now() + timedelta(minutes=minutes)).isoformat()
    contact = {**GIULIA, "attributes": {"diet": SECRET}, "tags": [f"allergic_{SECRET}"], "religion": SECRET}
    door.report(sent("e1", stay(diet=SECRET), occurred_at=at, contact=contact, halal=SECRET))
    assert in_the_open(db, SECRET) == []


def test_r18_a_contradicting_event_neither_and_it_is_still_known_for_one(
    door: Door, db: Database, workspace_id: int
) -> None:
    first = sent("e1", stay(diet="vegan"), contact={**GIULIA, "attributes": {"allergies": "none"}})
    other = sent("e1", stay(diet=SECRET), contact={**GIULIA, "attributes": {"allergies": SECRET}})
    assert [door.report(raw)[0]["status"] for raw in (first, first, other)] == ["accepted", "duplicate", "duplicate"]
    assert "conflict" not in door.report(first)[0]
    assert door.report(other)[0]["conflict"] is True
    assert in_the_open(db, SECRET) == []
    assert kept(db, workspace_id) == {"diet": "vegan", "allergies": "none"}
    with db.work(workspace_id) as session:
        aside = session.scalars(select(SpecialValue).where(SpecialValue.contact_id == special.NOBODY)).all()
        assert {(one.key, one.event_key) for one in aside} == {
            ("data.booking.diet", f"{door.source_id}:e1"),
            ("contact.attributes.allergies", f"{door.source_id}:e1"),
        }


def test_r18_a_correction_under_a_higher_sequence_corrects_what_is_sealed_too(
    door: Door, db: Database, workspace_id: int
) -> None:
    door.report(sent("e1", stay(diet="vegan"), sequence=1))
    door.report(sent("e1", stay(diet=SECRET), sequence=2))
    assert kept(db, workspace_id) == {"diet": SECRET}
    assert in_the_open(db, SECRET) == []


def test_r18_the_hash_of_an_event_confirms_no_guess(door: Door, db: Database) -> None:
    raw = sent("e1", stay(diet="vegan"))
    door.report(raw)
    with db.system() as session:
        stored = session.execute(text("SELECT body_hash FROM event_keys")).scalar_one()
    from_outside = hashlib.sha256(msgspec.json.encode(raw, order="deterministic")).digest()
    assert len(bytes(stored)) == 33
    assert from_outside not in bytes(stored)


def test_r18_what_the_team_marked_is_taken_out_wherever_it_stands(
    door: Door, db: Database, workspace_id: int, clock: FixedClock
) -> None:
    with db.work(workspace_id) as session:
        session.add(
            AttributeDefinition(
                workspace_id=workspace_id, key="cuscino", type="text", special_category=True, created_at=clock.now()
            )
        )
    door.report(sent("e1", {**stay(cuscino=SECRET), "form": {"Cuscino": SECRET}}))
    assert in_the_open(db, SECRET) == []
    assert kept(db, workspace_id) == {"cuscino": SECRET, "form": {"Cuscino": SECRET}}


def test_r18_each_stay_keeps_its_own_and_a_stay_that_changes_hands_takes_it_along(
    door: Door, db: Database, workspace_id: int
) -> None:
    door.report(sent("e1", stay(diet="vegan")), sent("e2", {"booking": {"reference": "B-2", "diet": "kosher"}}))
    with db.work(workspace_id) as session:
        giulia = session.scalars(select(Contact.id)).one()
        assert [(one.reference, one.value) for one in special.of(session, giulia)] == [
            ("B-1", "vegan"), ("B-2", "kosher"),
        ]  # fmt: skip
    anna = {"external_id": "a-1", "email": "anna@example.com"}
    door.report(
        sent("e3", {"booking": {"reference": "B-2"}}, "booking.modified", contact=anna,
             occurred_at="2026-03-10T08:30:00Z")
    )  # fmt: skip
    assert kept(db, workspace_id) == {"diet": "vegan"}
    with db.work(workspace_id) as session:
        anna_id = session.scalars(select(Contact.id).where(Contact.external_id == "a-1")).one()
        assert [one.value for one in special.of(session, anna_id)] == ["kosher"]


def test_r18_a_field_that_comes_empty_clears_what_was_told(door: Door, db: Database, workspace_id: int) -> None:
    door.report(sent("e1", stay(diet=SECRET)))
    door.report(sent("e2", stay(diet=None), "booking.modified", occurred_at="2026-03-10T08:30:00Z"))
    assert kept(db, workspace_id) == {}
    door.report(sent("e3", stay(diet=SECRET), "booking.modified", occurred_at="2026-03-10T08:10:00Z"))
    assert kept(db, workspace_id) == {}, "what is older than the clearing came late"


def test_r18_one_who_is_started_by_a_system_tells_nothing_either(
    door: Door, db: Database, workspace_id: int, clock: FixedClock
) -> None:
    door.report(sent("e1", stay()))
    with db.work(workspace_id) as session:
        giulia = session.scalars(select(Contact.id)).one()
        record_own(session, [OwnEvent(giulia, "workflow.asked", clock.now(), {"diet": SECRET, "menu": 2})],
                   clock.now())  # fmt: skip
    assert in_the_open(db, SECRET) == []
    assert kept(db, workspace_id) == {"diet": SECRET}


CHILDREN = [
    (stay(children=[{"name": CHILD[0], "birth_date": CHILD[1]}]), "children", [{"age_band": "child"}]),
    (stay(kids=[{"firstName": CHILD[0], "dateOfBirth": CHILD[3]}]), "kids", [{"age_band": "child"}]),
    (stay(children_ages=[1, 6, 15]), "children_age_bands", ["infant", "child", "teen"]),
    (stay(childAges="1, 6"), "child_age_bands", ["infant", "child"]),
    (stay(eta_bambini=[6]), "bambini_age_bands", ["child"]),
    (stay(child_1_dob=CHILD[1]), "child_1_age_band", "child"),
    (stay(bambini=[CHILD[0]]), "bambini", ["unknown"]),
    (
        stay(guests=[{"name": "Anna", "birth_date": "1985-01-02"}, {"name": CHILD[0], "BirthDate": "2019-08-11T00Z"}]),
        "guests",
        [{"name": "Anna", "birth_date": "1985-01-02"}, {"age_band": "child"}],
    ),
    (stay(guests=[{"type": "adult", "count": 2}, {"type": "child", "count": 1, "name": CHILD[0]}]),
     "guests", [{"type": "adult", "count": 2}, {"count": 1, "age_band": "child"}]),
    (stay(companions=[{"first_name": CHILD[0], "age": 6}]), "companions", [{"age_band": "child"}]),
    (stay(occupants=[{"first_name": CHILD[0], "category": "Infant"}]), "occupants", [{"age_band": "infant"}]),
]  # fmt: skip


@pytest.mark.parametrize(("data", "name", "left"), CHILDREN)
def test_r12_of_a_child_only_an_age_band_is_kept(
    door: Door, db: Database, workspace_id: int, data: dict[str, Any], name: str, left: Any
) -> None:
    (verdict,) = door.report(sent("e1", data))
    assert any("R12" in one["detail"] for one in verdict["warnings"])
    assert in_the_open(db, *CHILD) == []
    with db.work(workspace_id) as session:
        event = session.scalars(select(Event.data)).one()
        assert event["booking"][name] == left
        assert session.scalars(select(Contact.external_id)).all() == ["g-1"]


def test_r12_a_count_of_children_and_adults_as_they_are_stay(door: Door, db: Database, workspace_id: int) -> None:
    data = stay(children=2, infants="1", guests=[{"name": "Anna", "age": 41}], items=[{"name": "Whisky", "age": 16}])
    assert "warnings" not in door.report(sent("e1", data))[0]
    with db.work(workspace_id) as session:
        assert session.scalars(select(Event.data)).one() == data


def test_r12_a_childs_birthday_is_no_attribute_that_could_start_anything(
    door: Door, db: Database, workspace_id: int, clock: FixedClock
) -> None:
    guest = {
        **GIULIA,
        "attributes": {"child_birth_date": CHILD[1], "children_names": [CHILD[0]], "birth_date": "1985-01-02"},
    }
    door.report(sent("e1", {}, "contact.updated", contact=guest))
    assert in_the_open(db, *CHILD) == []
    with db.work(workspace_id) as session:
        assert session.scalars(select(Contact.attributes)).one() == {
            "child_age_band": "child",
            "birth_date": "1985-01-02",
        }


def test_r12_the_band_is_of_the_day_of_arrival(door: Door, db: Database, workspace_id: int) -> None:
    data = stay(children=[{"birth_date": "2024-05-01"}, {"birth_date": "2024-05-02"}])
    door.report(sent("e1", data))
    with db.work(workspace_id) as session:
        assert session.scalars(select(Event.data)).one()["booking"]["children"] == [
            {"age_band": "child"}, {"age_band": "infant"},
        ]  # fmt: skip


def test_r12_r18_what_a_child_must_not_eat_is_kept_without_who_it_is(
    door: Door, db: Database, workspace_id: int
) -> None:
    door.report(sent("e1", stay(children=[{"name": CHILD[0], "birth_date": CHILD[1], "allergies": SECRET}])))
    assert in_the_open(db, SECRET, *CHILD) == []
    assert kept(db, workspace_id) == {"children": {"0.allergies": SECRET}}
