"""Segments and broadcasts over the API: made once, counted, scheduled with their number, cancelled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app.accounts.models import Workspace
from app.audience import membership
from app.clock import FixedClock
from app.db import Database
from app.events.models import ApiAnswer
from app.events.sources import new_key
from app.messages.models import Broadcast
from tests.api.conftest import Door, open_door, problem
from tests.messages.mailroom import Mailroom

ITALIANS = {"all": ["contact.language == it"]}


@pytest.fixture
def hotel(door: Door, db: Database, clock: FixedClock) -> Door:
    """Templates, a topic, and three guests: Anna and Bruno have said yes to offers, Carl has not."""
    with db.work(door.workspace_id) as session:
        room = Mailroom(session, clock)
        for name, language in (("anna", "it"), ("bruno", "it"), ("carl", "de")):
            guest = room.guest(external_id=name, email=f"{name}@example.com", language=language)
            if name != "carl":
                room.say(guest)
    return door


def settle(db: Database, door: Door, clock: FixedClock) -> None:
    """Let segments fill."""
    with db.work(door.workspace_id) as session:
        while membership.run(session, clock.now(), 500).done:
            pass


def italians(door: Door, **more: Any) -> Any:
    body = {"name": "italians", "title": {"en": "Italians"}, "rules": ITALIANS, **more}
    return door.ask("POST", "/segments", json=body)


def test_a_segment_is_made_filled_listed_and_its_members_come_in_pages(
    hotel: Door, db: Database, clock: FixedClock
) -> None:
    made = italians(hotel)
    assert made.status_code == 201
    assert made.get_json()["members"] == 0
    assert made.get_json()["source"] == "all:\n  - contact.language == it\n"
    settle(db, hotel, clock)
    assert hotel.ask("GET", "/segments/italians").get_json()["members"] == 2
    first = hotel.ask("GET", "/segments/italians/members?limit=1").get_json()
    second = hotel.ask("GET", f"/segments/italians/members?limit=1&cursor={first['next']}").get_json()
    assert [row["contact"] for row in first["data"] + second["data"]] == ["anna", "bruno"]
    assert second["next"] is None
    hotel.ask("POST", "/segments", json={"name": "all-of-them", "rules": "all:\n  - contact.email is known\n"})
    names: list[str] = []
    cursor = ""
    while cursor is not None:
        page = hotel.ask("GET", f"/segments?limit=1{cursor and f'&cursor={cursor}'}").get_json()
        names += [row["name"] for row in page["data"]]
        cursor = page["next"]
    assert names == ["all-of-them", "italians"]


def test_rules_are_counted_without_a_segment(hotel: Door) -> None:
    answer = hotel.ask("POST", "/segment-counts", json={"rules": ITALIANS})
    assert {name: answer.get_json()[name] for name in ("people", "inside", "unknown")} == {
        "people": 3, "inside": 2, "unknown": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        ({"name": "x", "rules": {"all": ["contact.langage == it"]}}, "/rules", "langage"),
        ({"name": "x", "rules": []}, "/rules", "object or a text"),
        ({"name": "Not A Name", "rules": ITALIANS}, "/name", ""),
        ({"name": "x", "rules": ITALIANS, "title": {"fr": "X"}}, "/title", "en and it"),
        ({"name": "x"}, "", "rules"),
        ({"name": "x", "rules": ITALIANS, "colour": "red"}, "", "colour"),
    ],
)
def test_rules_that_do_not_fit_are_told_with_their_place(hotel: Door, body: Any, pointer: str, says: str) -> None:
    told = problem(hotel.ask("POST", "/segments", json=body), 422, "invalid")
    (error, *_) = told["errors"]
    assert error["pointer"] == pointer
    assert says in error["detail"]
    assert error["cure"]


def test_under_one_key_the_same_request_is_done_once_and_another_is_refused(hotel: Door, db: Database) -> None:
    key = {"Idempotency-Key": "seg-1"}
    body = {"name": "italians", "rules": ITALIANS}
    first = hotel.ask("POST", "/segments", json=body, headers=key)
    again = hotel.ask("POST", "/segments", json=dict(reversed(body.items())), headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.get_json() == again.get_json()
    other = hotel.ask("POST", "/segments", json={**body, "name": "others"}, headers=key)
    assert "another request" in problem(other, 422, "invalid")["errors"][0]["detail"]
    with db.work(hotel.workspace_id) as session:
        assert session.scalar(select(func.count()).select_from(ApiAnswer)) == 1


def test_what_failed_under_a_key_may_be_tried_again_under_it(hotel: Door) -> None:
    key = {"Idempotency-Key": "seg-2"}
    body = {"name": "italians", "rules": {"all": ["contact.langage == it"]}}
    problem(hotel.ask("POST", "/segments", json=body, headers=key), 422, "invalid")
    assert hotel.ask("POST", "/segments", json={**body, "rules": ITALIANS}, headers=key).status_code == 201


def draft(door: Door, **more: Any) -> Any:
    body = {"name": "May", "template": "offer", **more}
    return door.ask("POST", "/broadcasts", json=body)


def test_a_broadcast_is_written_counted_scheduled_and_told(hotel: Door, db: Database, clock: FixedClock) -> None:
    italians(hotel)
    settle(db, hotel, clock)
    made = draft(hotel, segment="italians")
    assert made.status_code == 201, made.get_data(as_text=True)
    at = f"/broadcasts/{made.get_json()['id']}"
    early = hotel.ask("POST", f"{at}/schedule", json={"people": 2})
    assert problem(early, 422, "invalid")["errors"][0]["pointer"] == "/people"
    count = hotel.ask("POST", f"{at}/count").get_json()["count"]
    assert (count["people"], count["may"] + count["later"], count["done"]) == (2, 2, True)
    wrong = hotel.ask("POST", f"{at}/schedule", json={"people": 200})
    assert "another number" in problem(wrong, 422, "invalid")["errors"][0]["detail"]
    gone = hotel.ask("POST", f"{at}/schedule", json={"people": 2}).get_json()
    assert (gone["state"], gone["confirmed_by"], gone["confirmed_for"]) == ("scheduled", "api:pms", 2)
    assert hotel.ask("GET", "/broadcasts?state=scheduled").get_json()["data"][0]["id"] == made.get_json()["id"]
    assert hotel.ask("GET", at).get_json()["results"]["sent"] == 0


def test_a_broadcast_that_is_cancelled_sends_nothing_more(hotel: Door, db: Database) -> None:
    at = f"/broadcasts/{draft(hotel).get_json()['id']}"
    assert problem(hotel.ask("POST", f"{at}/cancel"), 422, "invalid")["errors"][0]["pointer"] == ""
    people = sum(hotel.ask("POST", f"{at}/count").get_json()["count"][name] for name in ("may", "later"))
    hotel.ask("POST", f"{at}/schedule", json={"people": people})
    assert hotel.ask("POST", f"{at}/cancel").get_json()["state"] == "stopped"
    with db.work(hotel.workspace_id) as session:
        assert session.scalars(select(Broadcast.next_at)).one() is None


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"template": "nothing"}, "/template"),
        ({"segment": "nobody"}, "/segment"),
        ({"timing": "at"}, "/at"),
        ({"timing": "at", "at": "2020-01-01T10:00:00Z"}, "/at"),
        ({"timing": "local"}, "/day"),
        ({"timing": "local", "day": "2020-01-01", "time": "10:00"}, "/day"),
        ({"property": "elsewhere"}, "/property"),
        ({"window_hours": 0}, "/window_hours"),
    ],
)
def test_a_broadcast_that_does_not_fit_says_where(hotel: Door, more: Any, pointer: str) -> None:
    assert problem(draft(hotel, **more), 422, "invalid")["errors"][0]["pointer"] == pointer


def test_the_same_schedule_sent_again_under_its_key_is_answered_the_same(hotel: Door) -> None:
    at = f"/broadcasts/{draft(hotel).get_json()['id']}"
    counted = hotel.ask("POST", f"{at}/count").get_json()["count"]
    given: dict[str, Any] = {
        "json": {"people": counted["may"] + counted["later"]},
        "headers": {"Idempotency-Key": "go"},
    }
    first = hotel.ask("POST", f"{at}/schedule", **given)
    assert first.get_json()["state"] == "scheduled"
    assert hotel.ask("POST", f"{at}/schedule", **given).get_json() == first.get_json()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/segments"), ("POST", "/segments"), ("GET", "/broadcasts"), ("POST", "/broadcasts/1/schedule")],
)
def test_each_needs_its_own_scope(hotel: Door, db: Database, clock: FixedClock, method: str, path: str) -> None:
    with db.work(hotel.workspace_id) as session:
        hotel.key = new_key(session, hotel.source_id, ("events:write", "messages:read"), clock.now())
    problem(hotel.ask(method, path, json={}), 403, "forbidden")


def test_nothing_of_another_workspace_is_shown(
    hotel: Door, client: FlaskClient, db: Database, clock: FixedClock
) -> None:
    italians(hotel)
    number = draft(hotel).get_json()["id"]
    with db.system() as session:
        elsewhere = Workspace(slug="elsewhere", name="Elsewhere", settings={}, created_at=clock.now())
        session.add(elsewhere)
        session.flush()
        other = elsewhere.id
    stranger = open_door(client, db, other, clock)
    assert stranger.ask("GET", "/segments").get_json()["data"] == []
    problem(stranger.ask("GET", "/segments/italians/members"), 404, "not-found")
    problem(stranger.ask("GET", f"/broadcasts/{number}"), 404, "not-found")
    problem(stranger.ask("POST", f"/broadcasts/{number}/cancel"), 404, "not-found")


def test_a_key_is_forgotten_after_a_month(hotel: Door, db: Database, clock: FixedClock) -> None:
    italians(hotel, name="one")
    hotel.ask("POST", "/segments", json={"name": "two", "rules": ITALIANS}, headers={"Idempotency-Key": "old"})
    clock.advance(timedelta(days=31))
    hotel.ask("POST", "/segments", json={"name": "three", "rules": ITALIANS}, headers={"Idempotency-Key": "new"})
    with db.work(hotel.workspace_id) as session:
        assert list(session.scalars(select(ApiAnswer.key))) == ["new"]


def test_a_key_whose_month_is_over_may_stand_for_something_else(hotel: Door, db: Database, clock: FixedClock) -> None:
    key = {"Idempotency-Key": "every-year"}
    assert hotel.ask("POST", "/segments", json={"name": "one", "rules": ITALIANS}, headers=key).status_code == 201
    clock.advance(timedelta(days=31))
    body = {"name": "two", "rules": ITALIANS}
    again = hotel.ask("POST", "/segments", json=body, headers=key)
    assert (again.status_code, again.get_json()["name"]) == (201, "two")
    assert hotel.ask("POST", "/segments", json=body, headers=key).get_json() == again.get_json()
    with db.work(hotel.workspace_id) as session:
        assert session.scalar(select(func.count()).select_from(ApiAnswer)) == 1
