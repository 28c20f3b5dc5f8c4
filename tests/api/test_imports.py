"""Lists over the API: tried, confirmed with their number, taken in by the stage, taken back; each request once."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from app.clock import FixedClock
from app.consent.models import Topic
from app.contacts.models import Contact
from app.db import Database
from app.events.sources import new_key
from app.imports import stage
from app.imports.files import LARGEST
from app.imports.models import Import
from tests.api.conftest import Door, problem

LIST = b"E-mail,Nome,Opt in\nada@example.com,Ada,yes\nbad,Bo,no\neva@example.com,Eva,\n"
MAPPING = {"columns": {"Opt in": "consent:email:marketing/newsletter"}, "constants": {"source": "fair"}}


@pytest.fixture
def desk(door: Door, db: Database, clock: FixedClock) -> Door:
    with db.work(door.workspace_id) as session:
        session.add(
            Topic(workspace_id=door.workspace_id, name="newsletter", title={"en": "News"}, created_at=clock.now())
        )
    return door


def hand_in(door: Door, content: bytes = LIST, mapping: Any = MAPPING, key: str | None = None) -> Any:
    file = FileStorage(io.BytesIO(content), "list.csv")
    boundary, body = encode_multipart({"file": file, "mapping": json.dumps(mapping)})
    headers = {"Idempotency-Key": key} if key else {}
    form = f'multipart/form-data; boundary="{boundary}"'
    return door.ask("POST", "/imports", data=body, content_type=form, headers=headers)


def work(door: Door, db: Database, clock: FixedClock) -> None:
    for _ in range(6):
        with db.work(door.workspace_id) as session:
            stage.run(session, clock.now())


def people(door: Door, db: Database) -> int:
    with db.work(door.workspace_id) as session:
        return session.scalar(select(func.count()).select_from(Contact)) or 0


def test_a_list_is_tried_looked_at_taken_in_and_back(desk: Door, db: Database, clock: FixedClock) -> None:
    answer = hand_in(desk)
    assert answer.status_code == 202, answer.get_data(as_text=True)
    one = answer.get_json()
    assert (one["state"], one["rows"], one["columns"]["Opt in"]) == (
        "checking", 3, "consent:email:marketing/newsletter",
    )  # fmt: skip
    assert one["columns"]["E-mail"] == "email", "what is not said is guessed"
    work(desk, db, clock)
    assert people(desk, db) == 0, "nothing counts yet"
    one = desk.ask("GET", f"/imports/{one['number']}").get_json()
    assert (one["state"], one["verdicts"], one["people"]) == ("checked", {"new": 2, "refused": 1}, 2)
    assert {note["code"] for note in one["notes"]} >= {"nobody", "no_wording_version"}
    first = desk.ask("GET", f"/imports/{one['number']}/rows?limit=2").get_json()
    second = desk.ask("GET", f"/imports/{one['number']}/rows?limit=2&cursor={first['next']}").get_json()
    assert [row["line"] for row in first["data"] + second["data"]] == [2, 3, 4]
    (refused,) = desk.ask("GET", f"/imports/{one['number']}/rows?verdict=refused").get_json()["data"]
    assert (refused["line"], refused["notes"][0]["code"]) == (3, "nobody")
    assert refused["notes"][0]["cure"]
    assert desk.ask("POST", f"/imports/{one['number']}/confirm", json={"people": 2}).status_code == 202
    work(desk, db, clock)
    assert people(desk, db) == 2
    one = desk.ask("GET", f"/imports/{one['number']}").get_json()
    assert (one["state"], one["can_be_undone_until"] is not None) == ("done", True)
    assert desk.ask("POST", f"/imports/{one['number']}/undo").status_code == 202
    work(desk, db, clock)
    assert people(desk, db) == 0
    (listed,) = desk.ask("GET", "/imports").get_json()["data"]
    assert (listed["state"], listed["undone"]["removed"], listed["created_by"]) == ("undone", 2, "api:pms")


def test_the_number_confirmed_is_the_one_the_dry_run_came_to(desk: Door, db: Database, clock: FixedClock) -> None:
    number = hand_in(desk).get_json()["number"]
    answer = problem(desk.ask("POST", f"/imports/{number}/confirm", json={"people": 2}), 422, "invalid")
    assert "worked on" in answer["errors"][0]["detail"]
    work(desk, db, clock)
    answer = problem(desk.ask("POST", f"/imports/{number}/confirm", json={"people": 20}), 422, "invalid")
    assert answer["errors"][0] == {
        "pointer": "/people",
        "detail": "The dry run came to 2 people.",
        "cure": "Look at it, and send that number.",
    }
    work(desk, db, clock)
    assert people(desk, db) == 0


def test_the_same_request_under_the_same_key_is_one_import(desk: Door, db: Database, clock: FixedClock) -> None:
    first = hand_in(desk, key="may").get_json()
    assert hand_in(desk, key="may").get_json() == first
    problem(hand_in(desk, LIST + b"leo@example.com,Leo,\n", key="may"), 422, "invalid")
    work(desk, db, clock)
    for _ in range(2):
        answer = desk.ask(
            "POST", f"/imports/{first['number']}/confirm", json={"people": 2}, headers={"Idempotency-Key": "go"}
        )
        assert answer.status_code == 202
    with db.work(desk.workspace_id) as session:
        assert session.scalar(select(func.count()).select_from(Import)) == 1


@pytest.mark.parametrize(
    ("content", "mapping", "pointer"),
    [
        (b"", {}, "/file"),
        (b"just\nsome\ntext\n", {}, "/file"),
        (LIST, {"columns": {"Opt in": "consent:email:marketing/nothing"}}, "/mapping/columns/Opt in"),
        (LIST, {"columns": {"No/such": "email"}}, "/mapping/columns/No~1such"),
        (LIST, {"columns": {"E-mail": ""}}, "/mapping/columns"),
        (LIST, {"columns": {"Opt in": "attribute:allergies"}}, "/mapping/columns/Opt in"),
        (LIST, {"types": {"points": "colour"}}, "/mapping/types"),
        (LIST, {"property": "elsewhere"}, "/mapping/property"),
        (LIST, {"colums": {}}, ""),
        (LIST, [], ""),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place_and_nothing_of_it_is_kept(
    desk: Door, db: Database, content: bytes, mapping: Any, pointer: str
) -> None:
    answer = problem(hand_in(desk, content, mapping), 422, "invalid")
    assert answer["errors"][0]["pointer"] == pointer
    assert answer["errors"][0]["cure"]
    with db.work(desk.workspace_id) as session:
        assert session.scalar(select(func.count()).select_from(Import)) == 0


def test_a_request_without_a_file_or_of_another_kind_is_refused(desk: Door) -> None:
    problem(desk.ask("POST", "/imports", json={"file": "x"}), 415, "unsupported-media-type")
    problem(desk.ask("POST", "/imports", data={"mapping": "{}"}, content_type="multipart/form-data"), 422, "invalid")
    problem(hand_in(desk, LIST, "{"), 422, "invalid")
    problem(desk.ask("GET", "/imports/4711"), 404, "not-found")
    problem(desk.ask("GET", "/imports/x/rows"), 404, "not-found")


def test_a_file_may_be_larger_than_other_requests_and_no_larger_than_the_studio_takes(desk: Door) -> None:
    row = b"e%07d@example.com," + b"E" * 3_900 + b",\n"
    large = LIST + b"".join(row % n for n in range(2_500))
    assert 8 * 1024 * 1024 < len(large) < LARGEST
    assert hand_in(desk, large).status_code == 202
    problem(hand_in(desk, LIST + b"x" * (LARGEST + 2 * 1024 * 1024)), 413, "too-large")


def test_a_key_needs_the_scope(desk: Door, db: Database, clock: FixedClock) -> None:
    with db.work(desk.workspace_id) as session:
        desk.key = new_key(session, desk.source_id, ("imports:read",), clock.now())
    problem(hand_in(desk), 403, "forbidden")
    assert desk.ask("GET", "/imports").status_code == 200
