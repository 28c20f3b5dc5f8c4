"""A source with a key and a webhook secret, for tests that come in by the API's door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.clock import FixedClock
from app.db import Database
from app.events.models import Source
from app.events.sources import SCOPES, new_key, new_webhook_secret
from tests.api.post import Post


@dataclass
class Door:
    """Asks the API as one source; `key` may be exchanged."""

    client: FlaskClient
    workspace_id: int
    source_id: int
    key: str
    secret: str

    def ask(self, method: str, path: str, **given: Any) -> TestResponse:
        """A request with the source's key."""
        headers = {"Authorization": f"Bearer {self.key}", **given.pop("headers", {})}
        return self.client.open(f"/api/v1{path}", method=method, headers=headers, **given)

    def report(self, *raws: Any) -> Any:
        """Post events as one batch; gives the verdicts."""
        answer = self.ask("POST", "/events", json={"events": list(raws)})
        assert answer.status_code == 202, answer.get_data(as_text=True)
        return answer.get_json()["events"]


def open_door(
    client: FlaskClient, db: Database, workspace_id: int, clock: FixedClock, scopes: Sequence[str] = tuple(SCOPES)
) -> Door:
    """A new source of a workspace, by the slug `pms`."""
    with db.work(workspace_id) as session:
        source = Source(workspace_id=workspace_id, slug="pms", name="PMS", webhook_secrets=[], created_at=clock.now())
        session.add(source)
        session.flush()
        key = new_key(session, source.id, scopes, clock.now())
        secret = new_webhook_secret(session, source, clock.now())
        return Door(client, workspace_id, source.id, key, secret)


@pytest.fixture
def door(client: FlaskClient, db: Database, workspace_id: int, clock: FixedClock) -> Door:
    """The API as a source of the test's workspace sees it, with every scope."""
    return open_door(client, db, workspace_id, clock)


@pytest.fixture
def post(app: APIFlask, client: FlaskClient, db: Database, workspace_id: int, clock: FixedClock) -> Post:
    """The test's workspace, to which providers report."""
    return Post(app, client, db, workspace_id, clock)


def problem(answer: TestResponse, status: int, name: str) -> dict[str, Any]:
    """The answer's body, which must be a problem of this kind."""
    assert answer.status_code == status, answer.get_data(as_text=True)
    assert answer.content_type == "application/problem+json"
    body: dict[str, Any] = answer.get_json()
    assert body["type"] == f"/api/v1/docs#problem-{name}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body
