"""What `POST /api/v1/events` answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from apiflask import APIFlask
from sqlalchemy import func, select

from app.clock import FixedClock
from app.config import Settings
from app.db import Database
from app.events.incoming import MOST
from app.events.models import Event
from app.web import create_app
from tests.api.conftest import Door, open_door, problem
from tests.events.feed import event, stay


def test_a_batch_is_answered_with_one_verdict_per_event(door: Door) -> None:
    batch = [stay("e-1", "confirmed"), stay("e-1", "confirmed"), {"id": "x"}]
    answer = door.ask("POST", "/events", json={"events": batch})
    assert answer.status_code == 202
    told = answer.get_json()
    assert told["counts"] == {"accepted": 1, "duplicate": 1, "rejected": 1}
    assert [verdict["status"] for verdict in told["events"]] == ["accepted", "duplicate", "rejected"]
    (one,) = told["events"][2]["problems"]
    assert one["pointer"] == "/events/2/type"
    assert one["cure"]


def test_one_event_alone_is_taken_as_it_is(door: Door) -> None:
    answer = door.ask("POST", "/events", json=stay("e-1", "confirmed"))
    assert (answer.status_code, answer.get_json()["events"]) == (202, [{"id": "e-1", "status": "accepted"}])


def test_one_event_alone_that_is_rejected_is_a_problem_with_pointer_and_cure(door: Door) -> None:
    for raw, pointer in (
        ({**event("e-1", "page.viewed"), "occurred_at": "yesterday"}, "/occurred_at"),
        (event("e-1", "page.viewed", contact=None), "/contact"),
        (event("e-1", "page.viewed", contact={"email": "nobody"}), "/contact"),
        ({**event("e-1", "page.viewed"), "sequence": -1}, "/sequence"),
    ):
        body = problem(door.ask("POST", "/events", json=raw), 422, "invalid")
        assert body["errors"][0]["pointer"] == pointer
        assert body["errors"][0]["cure"]


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        (b"", 400, "malformed"),
        (b"{", 400, "malformed"),
        (b'{"events": "\xff"}', 400, "malformed"),
        (b'"\\ud800"', 400, "malformed"),
        (b"[" * 100_000, 400, "malformed"),
        (b'{"events": [' + b"[" * 100_000, 400, "malformed"),
        (b"[]", 422, "invalid"),
        (b"5", 422, "invalid"),
        (b'{"events": {}}', 422, "invalid"),
        (b'{"events": null}', 422, "invalid"),
    ],
)
def test_a_body_that_holds_no_events_is_a_problem(door: Door, body: bytes, status: int, name: str) -> None:
    problem(door.ask("POST", "/events", data=body, content_type="application/json"), status, name)


def test_a_thousand_events_at_a_time_and_not_one_more(door: Door) -> None:
    batch = [event(f"e-{n}", "page.viewed") for n in range(MOST)]
    assert {verdict["status"] for verdict in door.report(*batch)} == {"accepted"}
    answer = door.ask("POST", "/events", json={"events": [*batch, event("one-more", "page.viewed")]})
    assert problem(answer, 422, "invalid")["errors"][0]["pointer"] == "/events"


def test_too_many_bytes_are_not_read(door: Door) -> None:
    answer = door.ask("POST", "/events", data=b" " * (8 * 1024 * 1024 + 1), content_type="application/json")
    problem(answer, 413, "too-large")


def test_only_json_is_read(door: Door) -> None:
    body = json.dumps(event("e-1", "page.viewed"))
    problem(door.ask("POST", "/events", data=body, content_type="text/plain"), 415, "unsupported-media-type")
    for content_type in ("application/json; charset=utf-8", "application/cloudevents+json"):
        assert door.ask("POST", "/events", data=body, content_type=content_type).status_code == 202


def test_what_no_database_text_can_hold_is_rejected_and_not_a_failure(door: Door) -> None:
    odd: list[Any] = [
        event("e-1", "page.viewed", data={"x": "\x00"}),
        event("e-2", "page.viewed", contact={"external_id": "a\x00"}),
        event("e-3", "page.viewed", data={"\x00": 1}),
        event("e-4", "page.viewed", data={"x": "\\u0000"}),
        event("e-5", "page.viewed", data={"n": 2**80, "f": 1e308, "z": -0.0}),
    ]
    assert [verdict["status"] for verdict in door.report(*odd)] == ["rejected"] * 3 + ["accepted"] * 2


def test_paths_and_methods_that_are_not_there_are_problems_too(door: Door) -> None:
    problem(door.ask("GET", "/nothing"), 404, "not-found")
    answer = door.ask("DELETE", "/events")
    problem(answer, 405, "method-not-allowed")
    assert "POST" in answer.headers["Allow"]


def test_accepted_events_are_committed_before_the_answer(
    database: Database, settings: Settings, clock: FixedClock, redis: Any
) -> None:
    """On a database where commits are commits, seen from another connection as soon as the answer is there."""
    from app.accounts.models import Workspace

    app: APIFlask = create_app(settings, clock=clock, database=database)
    with database.system() as session:
        workspace = Workspace(slug="lago", name="Lago", settings={}, created_at=clock.now())
        session.add(workspace)
        session.flush()
        number = workspace.id
    door = open_door(app.test_client(), database, number, clock)
    door.report(event("e-1", "page.viewed"))
    other = Database(str(database.engine.url.render_as_string(hide_password=False)))
    with other.work(number) as session:
        assert session.scalar(select(func.count()).select_from(Event)) == 1
    other.close()
    signals = app.extensions["percorso"].signals
    assert signals.depth()["enrol"] == 1
    app.extensions["percorso"].redis.close()


def test_a_failure_of_ours_has_a_number_and_says_nothing_else(door: Door, db: Database) -> None:
    with db.system() as session:
        session.connection().exec_driver_sql("ALTER TABLE event_keys RENAME TO gone")
    body = problem(door.ask("POST", "/events", json=event("e-1", "page.viewed")), 500, "internal")
    assert body["instance"].startswith("urn:percorso:")
    assert "event_keys" not in json.dumps(body)
