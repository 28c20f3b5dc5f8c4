"""Who passes the API's door, with what, and how often."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import select
from standardwebhooks.webhooks import Webhook
from werkzeug.test import TestResponse

from app.clock import FixedClock
from app.config import Settings
from app.db import Database
from app.events.models import ApiKey, Source
from app.events.sources import SCOPES, add_webhook_secret, new_key, new_webhook_secret, revoke_key
from app.web import create_app
from tests.api.conftest import Door, open_door, problem
from tests.events.feed import event


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x", "Bearer pk_live_00000000_x", "Basic YTpi", "Bearer \xe9", "Bearer a b c"]
)
def test_who_shows_no_good_key_is_told_how_to(door: Door, header: str) -> None:
    for method, path in (("POST", "/events"), ("GET", "/messages"), ("GET", "/contacts/x"), ("PUT", "/contacts/x")):
        answer = door.ask(method, path, headers={"Authorization": header}, json={} if method != "GET" else None)
        problem(answer, 401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_cut_or_changed_in_one_letter_opens_nothing(door: Door) -> None:
    for wrong in (door.key[:-1], door.key + "A", door.key[:-1] + ("A" if door.key[-1] != "A" else "B")):
        problem(replace(door, key=wrong).ask("GET", "/messages"), 401, "unauthenticated")
    assert door.ask("GET", "/messages").status_code == 200


def test_only_a_hash_of_a_key_and_a_sealed_secret_are_kept(door: Door, db: Database) -> None:
    with db.system() as session:
        (key,) = session.scalars(select(ApiKey)).all()
        (source,) = session.scalars(select(Source)).all()
    assert door.key.encode() not in key.secret_hash
    assert door.key.startswith(key.prefix)
    assert door.secret not in json.dumps(source.webhook_secrets)


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("events:write", "POST", "/events"),
        ("contacts:write", "PUT", "/contacts/x"),
        ("contacts:read", "GET", "/contacts/x"),
        ("contacts:read", "GET", "/contacts/x/timeline"),
        ("contacts:read", "GET", "/bookings/x"),
        ("messages:read", "GET", "/messages"),
        ("workflows:start", "POST", "/workflows/x/enrollments"),
        ("tasks:read", "GET", "/tasks"),
        ("tasks:write", "POST", "/tasks/1/done"),
    ],
)
def test_a_key_does_what_its_scopes_say_and_nothing_else(
    client: FlaskClient, db: Database, workspace_id: int, clock: FixedClock, scope: str, method: str, path: str
) -> None:
    others = [one for one in SCOPES if one != scope]
    door = open_door(client, db, workspace_id, clock, others)
    body: dict[str, Any] = {"json": {}} if method != "GET" else {}
    assert scope in problem(door.ask(method, path, **body), 403, "forbidden")["detail"]
    with db.work(workspace_id) as session:
        door.key = new_key(session, door.source_id, [scope], clock.now())
    assert door.ask(method, path, **body).status_code not in {401, 403}


def test_a_revoked_key_and_a_source_switched_off_end_at_once(door: Door, db: Database, clock: FixedClock) -> None:
    with db.work(door.workspace_id) as session:
        other = new_key(session, door.source_id, ["messages:read"], clock.now())
        key = session.scalars(select(ApiKey).where(ApiKey.prefix == door.key[:16])).one()
        assert revoke_key(session, key.id, clock.now())
        assert not revoke_key(session, key.id, clock.now())
    problem(door.ask("GET", "/messages"), 401, "unauthenticated")
    door.key = other
    assert door.ask("GET", "/messages").status_code == 200
    with db.work(door.workspace_id) as session:
        session.scalars(select(Source)).one().active = False
    problem(door.ask("GET", "/messages"), 401, "unauthenticated")


def test_the_use_of_a_key_is_noted_at_most_once_a_minute(door: Door, db: Database, clock: FixedClock) -> None:
    def used() -> datetime | None:
        with db.system() as session:
            return session.scalars(select(ApiKey.last_used_at)).one()

    assert used() is None
    started = clock.now()
    for seconds, noted in ((0, 0), (59, 0), (1, 60)):
        clock.advance(timedelta(seconds=seconds))
        door.ask("GET", "/messages")
        assert used() == started + timedelta(seconds=noted)


def test_a_key_needs_scopes_that_exist(door: Door, db: Database, clock: FixedClock) -> None:
    with db.work(door.workspace_id) as session, pytest.raises(ValueError, match="No such scope: root"):
        new_key(session, door.source_id, ["root"], clock.now())


def test_too_many_requests_are_told_when_to_come_back(
    settings: Settings, clock: FixedClock, db: Database, workspace_id: int
) -> None:
    app: APIFlask = create_app(replace(settings, event_rate=3), clock=clock, database=db)
    door = open_door(app.test_client(), db, workspace_id, clock)
    assert [door.ask("GET", "/messages").status_code for _ in range(3)] == [200] * 3
    answer = door.ask("GET", "/messages")
    problem(answer, 429, "rate-limited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_a_lost_redis_lets_everybody_pass(
    settings: Settings, clock: FixedClock, db: Database, workspace_id: int
) -> None:
    app = create_app(replace(settings, redis_url="redis://127.0.0.1:1/0"), clock=clock, database=db)
    door = open_door(app.test_client(), db, workspace_id, clock)
    assert door.report(event("e-1", "page.viewed"))[0]["status"] == "accepted"


# -- signatures ------------------------------------------------------------------------------------------------------


def signed(door: Door, body: str, headers: dict[str, str], source: str = "lago/pms", query: str = "") -> TestResponse:
    """A signed request, without a key."""
    named = {"X-Percorso-Source": source} if source else {}
    return door.client.post(
        f"/api/v1/events{query}", data=body, headers={**headers, **named}, content_type="application/json"
    )


def headers_for(secret: str, body: str, at: datetime, name: str = "msg_1") -> dict[str, str]:
    """What a sender with this secret sends along; made by the reference library."""
    return {
        "webhook-id": name,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(name, at, body),
    }


@pytest.mark.shared_data
def test_every_standard_webhooks_vector_holds_at_the_real_route(
    door: Door, db: Database, clock: FixedClock, shared: Path
) -> None:
    vectors = json.loads((shared / "data" / "standard_webhooks" / "vectors.json").read_text())["vectors"]
    assert len(vectors) >= 14
    for vector in vectors:
        now = datetime.fromtimestamp(vector["now"], UTC)
        clock.set(now)
        with db.work(door.workspace_id) as session:
            source = session.scalars(select(Source)).one()
            source.webhook_secrets = []
            add_webhook_secret(session, source, vector["secret"], now)
        answer = signed(door, vector["payload"], vector["headers"])
        # The payload is no event: a signature that holds gets as far as being told so.
        assert answer.status_code == (422 if vector["valid"] else 401), vector["name"]


def test_a_signed_event_is_recorded_and_a_replay_is_a_duplicate(door: Door, clock: FixedClock) -> None:
    body = json.dumps(event("e-1", "page.viewed"))
    headers = headers_for(door.secret, body, clock.now())
    first, replayed = signed(door, body, headers), signed(door, body, headers)
    assert [answer.get_json()["events"][0]["status"] for answer in (first, replayed)] == ["accepted", "duplicate"]


@pytest.mark.parametrize(
    ("source", "query"), [("lago/pms", ""), ("pms", ""), ("", "?source=pms"), ("", "?source=lago/pms")]
)
def test_the_source_is_named_in_the_header_or_the_address(
    door: Door, clock: FixedClock, source: str, query: str
) -> None:
    body = json.dumps(event("e-1", "page.viewed"))
    assert signed(door, body, headers_for(door.secret, body, clock.now()), source, query).status_code == 202


@pytest.mark.parametrize(
    ("source", "query"), [("", ""), ("nobody", ""), ("monte/pms", ""), ("lago/", ""), ("", "?source=%00")]
)
def test_a_source_that_is_not_there_signs_nothing(door: Door, clock: FixedClock, source: str, query: str) -> None:
    body = json.dumps(event("e-1", "page.viewed"))
    problem(signed(door, body, headers_for(door.secret, body, clock.now()), source, query), 401, "unauthenticated")


def test_a_signature_permits_reporting_and_nothing_else(door: Door, clock: FixedClock) -> None:
    headers = {**headers_for(door.secret, "", clock.now()), "X-Percorso-Source": "lago/pms"}
    problem(door.client.get("/api/v1/messages", headers=headers), 401, "unauthenticated")


def test_a_changed_body_is_refused(door: Door, clock: FixedClock) -> None:
    body = json.dumps(event("e-1", "page.viewed"))
    headers = headers_for(door.secret, body, clock.now())
    problem(signed(door, body.replace("e-1", "e-2"), headers), 401, "unauthenticated")


@pytest.mark.parametrize(("seconds", "status"), [(300, 202), (301, 401), (-300, 202), (-301, 401)])
def test_a_signature_is_good_for_five_minutes_of_the_houses_own_clock(
    door: Door, clock: FixedClock, seconds: int, status: int
) -> None:
    body = json.dumps(event("e-1", "page.viewed"))
    headers = headers_for(door.secret, body, clock.now())
    clock.advance(timedelta(seconds=seconds))
    assert signed(door, body, headers).status_code == status


def test_two_secrets_are_live_for_a_day_and_never_three(door: Door, db: Database, clock: FixedClock) -> None:
    secrets = [door.secret]
    for _ in range(2):
        with db.work(door.workspace_id) as session:
            secrets.append(new_webhook_secret(session, session.scalars(select(Source)).one(), clock.now()))

    def passing() -> list[bool]:
        body = json.dumps(event("e-1", "page.viewed"))
        answers: list[Any] = [signed(door, body, headers_for(one, body, clock.now())) for one in secrets]
        return [answer.status_code == 202 for answer in answers]

    assert passing() == [False, True, True]
    clock.advance(timedelta(hours=24))
    assert passing() == [False, False, True]


def test_secrets_open_after_the_houses_secret_was_changed(
    door: Door, settings: Settings, db: Database, clock: FixedClock
) -> None:
    body = json.dumps(event("e-1", "page.viewed"))
    headers = headers_for(door.secret, body, clock.now())
    new = "another secret, again of 32 characters or more"
    for previous, status in (((), 401), ((settings.secret,), 202)):
        app = create_app(replace(settings, secret=new, previous_secrets=previous), clock=clock, database=db)
        assert signed(replace(door, client=app.test_client()), body, headers).status_code == status


def test_a_secret_is_what_standard_webhooks_ask_for(door: Door) -> None:
    assert door.secret.startswith("whsec_")
    assert len(base64.b64decode(door.secret.removeprefix("whsec_"))) == 24
