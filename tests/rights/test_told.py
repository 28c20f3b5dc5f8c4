"""R3, R51, R52: who is named to other houses, through the API's door and over a real socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from standardwebhooks import Webhook

from app.contacts.models import Contact
from app.enrollments import advance, catalogue, endpoints, enrol, explain
from app.enrollments.models import Call
from app.rights import requests
from tests.hotel import Hotel
from tests.receiver import Answering, listening

HEAD = "name: { en: Tell, it: Avvisa }\nphase: retention\nclass: transactional\n"
GUEST = {"external_id": "giulia", "email": "giulia@example.com", "language": "it"}


@pytest.fixture
def other() -> Iterator[Answering]:
    with listening(Answering()) as answering:
        yield answering


@pytest.fixture(autouse=True)
def may_call_here(hotel: Hotel) -> None:
    """The hotel's house may call this machine."""
    hotel.house = replace(hotel.house, settings=replace(hotel.house.settings, calls_allow=("127.0.0.0/8",)))


def workflow(name: str, on: str, webhook: str) -> str:
    steps = f"steps:\n  - id: tell\n    webhook: {webhook}\n"
    return f"workflow: {name}\n{HEAD}entry:\n  - on: {on}\nreenter: always\n{steps}"


def set_up(hotel: Hotel, url: str, *sources: str, shares: bool) -> str:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        secret = endpoints.add(session, "partner", url, hotel.clock.now(), shares=shares)
        for source in sources:
            catalogue.publish(session, source, by="test", now=hotel.clock.now())
    return secret


def called(hotel: Hotel, other: Answering) -> list[dict[str, Any]]:
    """Let everything happen that is due; what the other house was told of, in order."""
    hotel.work()
    return [json.loads(body)["data"] for _, body in other.took]


def only_asked(hotel: Hotel) -> None:
    """Let the passage come to its call, which is not made yet."""
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        enrol.run(session, hotel.clock.now(), 50)
        advance.run(session, hotel.clock.now(), 50)


def agrees(hotel: Hotel, *, yes: bool = True) -> None:
    said = {"purpose": "third_party_sharing", "method": "web" if yes else "preference_centre", "wording_version": "1"}
    confirmed = {"confirmed_at": hotel.clock.now().isoformat()} if yes else {}
    kind = "consent.granted" if yes else "consent.withdrawn"
    assert hotel.report(kind, contact=GUEST, data={**said, **confirmed})["status"] == "accepted"


def why(hotel: Hotel) -> list[tuple[str, str]]:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        contact = session.scalars(select(Contact)).one()
        told = explain.explain(session, contact.id, hotel.clock.now(), workflow="tell")
        return [(one.code, one.sentence["en"]) for one in told.decisions if one.stage == "step"]


SHARING = workflow(
    "tell", "custom.asked", "{ endpoint: partner, shares: true, data: { mail: { from: contact.email } } }"
)


def test_r3_nobody_is_named_to_a_third_party_without_having_agreed_to_that(hotel: Hotel, other: Answering) -> None:
    set_up(hotel, other.url, SHARING, shares=True)
    hotel.report("consent.granted", contact=GUEST, data={"topic": "offers", "method": "api", "wording_version": "1"})
    hotel.report("custom.asked", contact=GUEST)
    assert called(hotel, other) == []
    assert ("not_shared", "Partner not called: the person has not agreed to sharing") in why(hotel)
    agrees(hotel)
    hotel.report("custom.asked", contact=GUEST)
    (told,) = called(hotel, other)
    assert told["data"] == {"mail": "giulia@example.com"}


def test_r3_who_takes_it_back_before_the_call_is_made_is_not_named(hotel: Hotel, other: Answering) -> None:
    set_up(hotel, other.url, SHARING, shares=True)
    agrees(hotel)
    hotel.report("custom.asked", contact=GUEST)
    only_asked(hotel)
    hotel.clock.advance(timedelta(minutes=1))
    agrees(hotel, yes=False)
    assert called(hotel, other) == []
    assert why(hotel)[-1][0] == "not_shared"
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        (call,) = session.scalars(select(Call))
        assert (call.state, call.tries[-1]["outcome"], call.next_at) == ("failed", "not_shared", None)


def test_r3_a_live_workflow_that_does_not_say_it_shares_is_held_by_what_the_endpoint_is(
    hotel: Hotel, other: Answering
) -> None:
    set_up(hotel, other.url, workflow("tell", "custom.asked", "partner"), shares=False)
    hotel.report("custom.asked", contact=GUEST)
    assert len(called(hotel, other)) == 1, "whoever works for us is told"
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        session.execute(text("UPDATE call_endpoints SET shares = true"))
    hotel.report("custom.asked", contact=GUEST)
    assert len(called(hotel, other)) == 1


def test_r52_of_whom_use_is_restricted_nobody_is_told_anything(hotel: Hotel, other: Answering) -> None:
    set_up(hotel, other.url, workflow("tell", "custom.asked", "partner"), shares=False)
    hotel.report("custom.asked", contact=GUEST)
    only_asked(hotel)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        number = session.scalars(select(Contact.id)).one()
        requests.restrict(session, number, "Carla", hotel.clock.now(), frozen=True)
    assert called(hotel, other) == []
    assert why(hotel)[-1][0] == "restricted"


def test_r51_other_systems_are_told_whom_to_erase_by_the_id_they_gave_and_that_is_gone_a_month_later(
    hotel: Hotel, other: Answering
) -> None:
    erased = workflow("erased", "contact.erased", "{ endpoint: partner, shares: true }")
    secret = set_up(hotel, other.url, erased, SHARING, shares=True)
    hotel.report("custom.asked", contact=GUEST)
    hotel.work()
    workspace = hotel.loaded.workspace_id
    with hotel.house.database.work(workspace) as session:
        number = session.scalars(select(Contact.id)).one()
        requests.erase_by_team(session, number, "Carla", "seen at the desk", hotel.clock.now())
    hotel.after(timedelta(hours=2))
    (told,) = called(hotel, other)
    assert told["contact"] == {"id": number, "external_id": "giulia"}
    assert "data" not in told
    headers, body = other.took[0]
    assert Webhook(secret).verify(body, headers)["type"] == "workflow.call"
    assert traces(hotel) != set()
    hotel.after(timedelta(days=31))
    assert traces(hotel) == set()
    assert called(hotel, other) == [told], "and nothing is said twice"


def test_r51_where_nobody_passes_it_on_the_ids_are_gone_at_once(hotel: Hotel) -> None:
    hotel.report("custom.asked", contact=GUEST)
    hotel.work()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        number = session.scalars(select(Contact.id)).one()
        requests.erase_by_team(session, number, "Carla", "seen at the desk", hotel.clock.now())
    hotel.after(timedelta(hours=2))
    assert traces(hotel) == set()


def traces(hotel: Hotel) -> set[str]:
    """The tables in which the guest's id still stands."""
    found = set()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        for name in session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all():
            if session.scalar(text(f"""SELECT count(*) FROM "{name}" t WHERE CAST(t AS text) LIKE '%giulia%'""")):
                found.add(name)
    return found
