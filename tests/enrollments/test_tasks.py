"""Tasks from the step that asks to the person who ticks them off; workflows started by hand and by backends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from app import cli
from app.enrollments import catalogue, starting, tasks
from app.enrollments.models import Enrollment, EntryRefusal, Task
from app.events.models import Event
from app.events.sources import SCOPES, new_key
from tests.hotel import Hotel

DESK = """
workflow: desk
name: { en: Desk, it: Banco }
phase: retention
class: transactional
entry:
  - on: manual
  - on: api
reenter: always
steps:
  - id: call
    task: { to: front_desk, text: { en: Call the guest, it: Chiamare l'ospite } }
  - id: done
    wait_for: { on: task.done, up_to: 3 days }
    then:
      - id: called
        set: { contact.attributes.called: true }
"""
STAY = """
workflow: stay
name: { en: Stay, it: Soggiorno }
phase: retention
class: transactional
entry:
  - on: api
key: booking.reference
steps:
  - id: note
    set: { enrollment.fields.seen: true }
"""


@pytest.fixture
def desk(hotel: Hotel) -> Hotel:
    """The hotel with two workflows to be started, and Giulia with a booking."""
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        for source in (DESK, STAY):
            catalogue.publish(session, source, by="test", now=hotel.clock.now())
    hotel.report("booking.confirmed", booking={"reference": "RS-1", "arrival": "2026-06-01", "departure": "2026-06-03"})
    hotel.work()
    return hotel


def ask(hotel: Hotel, method: str, path: str, **given: Any) -> TestResponse:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        source_id = session.scalar(select(Event.source_id).where(Event.source_id.is_not(None)))
        key = new_key(session, int(source_id or 0), SCOPES, hotel.clock.now())
    headers = {"Authorization": f"Bearer {key}", **given.pop("headers", {})}
    return hotel.client.open(f"/api/v1{path}", method=method, headers=headers, **given)


def rows(hotel: Hotel, model: Any, **criteria: Any) -> list[Any]:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return list(session.scalars(select(model).filter_by(**criteria).order_by(model.id)))


def start(hotel: Hotel, workflow: str = "desk", **body: Any) -> TestResponse:
    headers = body.pop("headers", {})
    return ask(hotel, "POST", f"/workflows/{workflow}/enrollments", json={"contact": "giulia", **body}, headers=headers)


def test_a_backend_starts_a_workflow_once_under_one_id_and_its_data_are_there_to_read(desk: Hotel) -> None:
    first, second = (start(desk, id="wish-1", data={"room": 7}) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.get_json()["status"] == "duplicate"
    assert start(desk, headers={"Idempotency-Key": "wish-2"}).get_json()["status"] == "accepted"
    assert start(desk, headers={"Idempotency-Key": "wish-2"}).get_json()["status"] == "duplicate"
    desk.work()
    event, _ = rows(desk, Event, type="workflow.started")
    assert (event.data["room"], event.data["by"]) == (7, "api")
    assert "wish" not in event.event_id, "what a caller calls it may hold anything, and ids outlive the person"
    assert len(rows(desk, Task)) == 1, "the second met the first inside"
    assert "already_inside" in [one.code for one in rows(desk, EntryRefusal)]


@pytest.mark.parametrize(
    ("workflow", "body", "status", "pointer"),
    [
        ("nothing", {}, 404, None),
        ("pre-arrival", {}, 422, ""),
        ("desk", {"contact": "nobody"}, 422, "/contact"),
        ("desk", {"contact": 7}, 422, "/contact"),
        ("desk", {"booking": "RS-9"}, 422, "/booking"),
        ("desk", {"data": {"workflow": "other"}}, 422, "/data"),
        ("desk", {"data": {"x": "\x00"}}, 422, "/data"),
        ("desk", {"data": {"x": "y" * 20_000}}, 422, "/data"),
        ("desk", {"more": 1}, 422, ""),
        ("stay", {}, 422, "/booking"),
    ],
)
def test_what_cannot_be_started_is_told_where(
    desk: Hotel, workflow: str, body: dict[str, Any], status: int, pointer: str | None
) -> None:
    answer = start(desk, workflow, **body)
    assert answer.status_code == status, answer.text
    if pointer is not None:
        assert answer.get_json()["errors"][0]["pointer"] == pointer
    assert rows(desk, Event, type="workflow.started") == []


def test_one_id_for_two_different_wishes_is_refused(desk: Hotel) -> None:
    start(desk, id="wish-1", data={"room": 7})
    assert start(desk, id="wish-1", data={"room": 8}).get_json()["errors"][0]["pointer"] == "/id"


def test_a_workflow_about_a_booking_is_started_for_that_booking(desk: Hotel) -> None:
    start(desk, "stay", booking="RS-1")
    desk.work()
    assert [row.key for row in rows(desk, Enrollment) if row.event["type"] == "workflow.started"] == ["RS-1"]


def test_a_task_is_ticked_off_once_and_lets_who_waits_for_it_go_on(desk: Hotel) -> None:
    start(desk)
    desk.work()
    (task,) = ask(desk, "GET", "/tasks?team=front_desk").get_json()["data"]
    assert (task["contact"], task["what"]["it"], task["workflow"]) == ("giulia", "Chiamare l'ospite", "desk")
    for _ in range(2):
        assert ask(desk, "POST", f"/tasks/{task['id']}/done").get_json()["done_by"].startswith("api:")
    desk.work()
    assert len(rows(desk, Event, type="task.done")) == 1
    assert ask(desk, "GET", "/contacts/giulia").get_json()["attributes"]["called"] is True
    assert ask(desk, "GET", "/tasks").get_json()["data"] == []
    assert len(ask(desk, "GET", "/tasks?state=done").get_json()["data"]) == 1
    assert ask(desk, "POST", "/tasks/999/done").status_code == 404
    assert ask(desk, "GET", "/tasks?contact=nobody").get_json()["data"] == []


SELLING = DESK.replace("workflow: desk", "workflow: selling").replace("class: transactional", "class: marketing")


def test_r19_a_marketing_call_waits_for_a_look_at_the_opposition_register_of_the_last_15_days(desk: Hotel) -> None:
    with desk.house.database.work(desk.loaded.workspace_id) as session:
        catalogue.publish(session, SELLING, by="test", now=desk.clock.now())
    start(desk, "selling")
    desk.work()
    (task,) = ask(desk, "GET", "/tasks?team=front_desk").get_json()["data"]
    done = f"/tasks/{task['id']}/done"
    assert ask(desk, "POST", done).status_code == 422
    (row,) = rows(desk, Task)
    for listed, days, answer in ((False, 16, 422), (True, 0, 422), (False, 15, 200)):
        with desk.house.database.work(desk.loaded.workspace_id) as session:
            looked_at = desk.clock.now() - timedelta(days=days)
            tasks.register_looked_at(session, row.contact_id, listed, looked_at)
        assert ask(desk, "POST", done).status_code == answer, (listed, days)


def test_r19_a_call_the_booking_needs_waits_for_no_register(desk: Hotel) -> None:
    start(desk)
    desk.work()
    (task,) = ask(desk, "GET", "/tasks?team=front_desk").get_json()["data"]
    assert ask(desk, "POST", f"/tasks/{task['id']}/done").status_code == 200


def test_a_workflow_is_started_from_the_command_line_and_only_one_that_may_be(desk: Hotel) -> None:
    app = desk.client.application
    if "workflows" not in app.cli.commands:
        cli.register(app)
    run = app.test_cli_runner().invoke
    told = run(args=["workflows", "start", "desk", "--contact", "giulia@example.com", "--data", "room=7", "--id", "a"])
    assert told.output == "Recorded.\n"
    again = run(args=["workflows", "start", "desk", "--contact", "giulia", "--data", "room=7", "--id", "a"])
    assert "before" in again.output
    refused = run(args=["workflows", "start", "stay", "--contact", "giulia"])
    assert (refused.exit_code, "on: manual" in refused.output) == (1, True)
    desk.work()
    assert len(rows(desk, Task)) == 1
    with desk.house.database.work(desk.loaded.workspace_id) as session:
        assert [one.program.workflow for one in starting.startable(session, "manual")] == ["desk"]
