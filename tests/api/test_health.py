"""What machines that look after us are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.clock import FixedClock
from app.config import Settings
from app.db import Database
from app.web import create_app
from tests.factories import Factory


def _figures(client: FlaskClient, **asked: object) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics", **asked)
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_a_process_is_alive_though_its_servers_are_away(client: FlaskClient, settings: Settings) -> None:
    away = replace(settings, database_url="postgresql+psycopg://x@127.0.0.1:1/x", redis_url="redis://127.0.0.1:1/0")
    other = create_app(away)
    assert other.test_client().get("/healthz").status_code == 200
    answer = other.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json == {
        "ready": False,
        "checks": {"database": "failed", "redis": "failed", "migrations": "failed"},
    }
    other.extensions["percorso"].close()


def test_ready_when_database_redis_and_migrations_are(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {"ready": True, "checks": {"database": "ok", "redis": "ok", "migrations": "ok"}}


def test_not_ready_on_a_database_of_another_version(settings: Settings, database: Database, database_url: str) -> None:
    with database.system() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    app = create_app(replace(settings, database_url=database_url), database=database)
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, (answer.json or {})["checks"]["migrations"]) == (503, "failed")


@pytest.fixture
def guarded(settings: Settings, clock: FixedClock, db: Database) -> Iterator[FlaskClient]:
    app = create_app(replace(settings, metrics_token="a long token"), clock=clock, database=db)
    yield app.test_client()
    app.extensions["percorso"].close()


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.0.2.7", {}, 403),
        ("192.0.2.7", {"Authorization": "Bearer a long token"}, 200),
        ("192.0.2.7", {"Authorization": "Bearer another"}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "192.0.2.7", "Authorization": "Bearer a long token"}, 200),
    ],
)
def test_figures_are_for_this_host_or_the_token(
    guarded: FlaskClient, address: str, headers: dict[str, str], status: int
) -> None:
    answer = guarded.get("/metrics", headers=headers, environ_overrides={"REMOTE_ADDR": address})
    assert answer.status_code == status


def test_without_a_token_nobody_gets_in_with_an_empty_one(client: FlaskClient) -> None:
    answer = client.get(
        "/metrics", headers={"Authorization": "Bearer "}, environ_overrides={"REMOTE_ADDR": "192.0.2.7"}
    )
    assert answer.status_code == 403


def test_signals_that_wait_are_counted_by_stage(app: APIFlask, redis: Redis, client: FlaskClient) -> None:
    Queue("deliver", connection=redis, serializer=JSONSerializer).enqueue("app.worker.drain")
    figures = _figures(client)
    assert figures["percorso_signals_waiting", "deliver"] == 1
    assert figures["percorso_signals_waiting", "enrol"] == 0


def test_the_lag_of_a_stage_is_the_age_of_its_oldest_due_row(
    client: FlaskClient,
    make: Factory,
    clock: FixedClock,
    work: Callable[[], AbstractContextManager[Session]],
) -> None:
    contact = make.contact()
    make.session.execute(
        text(
            "INSERT INTO messages (workspace_id, contact_id, template, class, state, planned_at, due_at)"
            " VALUES (current_setting('percorso.workspace')::bigint, :contact, 't', 'transactional', 'ready', :at, :at)"
        ),
        {"contact": contact.id, "at": clock.now()},
    )
    make.session.commit()
    clock.advance(timedelta(seconds=90))
    figures = _figures(client)
    assert figures["percorso_oldest_due_seconds", "deliver"] == 90
    assert figures["percorso_oldest_due_seconds", "gate"] == 0
    assert figures["percorso_waiting_messages", "ready"] == 1
    assert figures["percorso_recent_messages", "", "ready"] == 1
    assert figures["percorso_rows_total", "messages"] >= 1


def test_figures_come_without_redis_and_say_so(settings: Settings, clock: FixedClock, db: Database) -> None:
    app = create_app(replace(settings, redis_url="redis://127.0.0.1:1/0"), clock=clock, database=db)
    figures = _figures(app.test_client())
    assert figures["percorso_redis_up",] == 0
    assert figures["percorso_database_up",] == 1
