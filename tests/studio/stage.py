"""The stage of the studio's tests: the demo hotel, some days into a season in which a little of everything happened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.accounts.models import Workspace
from app.accounts.sign_in import add_person, admit
from app.clock import FixedClock
from app.config import Settings
from app.contacts.models import Contact
from app.db import Database
from app.delivery.models import CapturedMail
from app.delivery.track import Arrival, record
from app.demo.seed import found
from app.due import following
from app.enrollments.catalogue import publish
from app.enrollments.models import Workflow, WorkflowVersion
from app.house import House
from app.serve.postgres import CarriedPostgres
from app.serve.valkey import CarriedValkey
from app.web import create_app
from app.worker import run_due
from tests.conftest import START, copied, standing, superuser

HERE = "/w/riva-serena"
PASSWORD = "a long enough password"
OWNER, ANALYST, STRANGER = "owner@riva.example", "analyst@riva.example", "owner@elsewhere.example"
NOW = START + timedelta(days=9)
"""Where the stage's clock stands."""


@dataclass(frozen=True)
class Stage:
    """The hotel, its application and its database."""

    app: APIFlask
    house: House
    workspace_id: int
    elsewhere_id: int
    clock: FixedClock

    def signed_in(self, email: str = OWNER, language: str = "en") -> FlaskClient:
        """A client in which somebody has signed in through the form."""
        client = self.app.test_client()
        client.post("/preferences", data={"csrf_token": token(client, "/sign-in"), "language": language})
        given = {"csrf_token": token(client, "/sign-in"), "email": email, "password": PASSWORD}
        answer = client.post("/sign-in", data=given)
        assert answer.status_code == 303, answer.text
        return client

    def work(self) -> Any:
        """A unit of work in the hotel's workspace."""
        return self.house.database.work(self.workspace_id)

    def ids(self, kind: Any, **criteria: Any) -> list[int]:
        """Numbers of the hotel's rows of a kind, oldest first."""
        with self.work() as session:
            return list(session.scalars(select(kind.id).filter_by(**criteria).order_by(kind.id)))


def token(client: FlaskClient, page: str) -> str:
    """The form token of a page."""
    return token_in(client.get(page))


def token_in(answer: TestResponse) -> str:
    """The form token in an answer."""
    held = re.search(r'name="csrf_token" value="([^"]+)"', answer.text)
    assert held, answer.text[:500]
    return held[1]


def settings_for(database_url: str, redis_url: str) -> Settings:
    """Settings of the stage: mails are kept in the outbox."""
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        secret="a test's secret of at least 32 characters",
        base_url="http://localhost",
        smtp_url="capture:",
    )


def _until(house: House, clock: FixedClock, target: datetime) -> None:
    run_due(house)
    while True:
        with house.database.system() as session:
            instant = following(session, clock.now())
        if instant is None or instant > target:
            break
        clock.set(instant)
        run_due(house)
    clock.set(target)
    run_due(house)


def build(app: APIFlask, clock: FixedClock) -> tuple[int, int]:
    """Let nine days pass at a newly founded hotel; gives the numbers of its workspace and of another."""
    house: House = app.extensions["percorso"]
    loaded = found(house, START)
    client, sent = app.test_client(), iter(range(1, 1000))
    key = {"Authorization": f"Bearer {loaded.api_key}"}

    def report(type_: str, who: str, language: str = "it", **data: Any) -> None:
        event = {
            "id": f"e-{next(sent)}",
            "type": type_,
            "occurred_at": clock.now().isoformat(),
            "contact": {
                "external_id": who,
                "email": f"{who}@example.com",
                "first_name": who.title(),
                "last_name": "Rossi" if language == "it" else "Miller",
                "language": language,
            },
            "data": data,
        }
        answer = client.post("/api/v1/events", json={"events": [event]}, headers=key)
        assert answer.status_code == 202, answer.text

    def stay(reference: str, first: int, nights: int, **more: Any) -> dict[str, Any]:
        arrival = START.date() + timedelta(days=first)
        room = {"reference": reference, "arrival": str(arrival), "departure": str(arrival + timedelta(days=nights))}
        return {"booking": {**room, "adults": 2, "amount": 42_000, "currency": "EUR", "channel": "direct", **more}}

    proof = {"method": "web", "wording": "Sì, scrivetemi.", "wording_version": "2026-1", "language": "it"}
    for who, topic in (("giulia", "offers"), ("elena", "newsletter")):
        report("consent.granted", who, topic=topic, confirmed_at=clock.now().isoformat(), **proof)
    report("booking.confirmed", "giulia", **stay("RS-1", 20, 3))
    report("booking.confirmed", "henry", "en", **stay("RS-2", 2, 2, channel="Booking.com"))
    report("booking.confirmed", "paolo", **stay("RS-3", 12, 1))
    report("booking.abandoned", "sara", **stay("CART-1", 30, 2))
    _until(house, clock, START + timedelta(days=2, hours=6))
    report("booking.checked_in", "henry", "en", booking={"reference": "RS-2"})
    report("booking.cancelled", "paolo", booking={"reference": "RS-3"})
    _until(house, clock, START + timedelta(days=4))
    report("booking.checked_out", "henry", "en", booking={"reference": "RS-2"})
    report("kiosk.touched", "sara", button="blue")
    _until(house, clock, NOW)
    with house.database.work(loaded.workspace_id) as session:
        kept = session.scalars(select(CapturedMail).order_by(CapturedMail.id)).all()
        for kind, reason, mail in (("clicked", None, kept[0]), ("bounced", "hard", kept[-1])):
            # A minute ago: by now it is known that nothing speaks against a person.
            at = NOW - timedelta(minutes=1)
            record(session, [Arrival(kind, at, "simulated", f"stage-{kind}", mail.message_pk, reason=reason)], at)
        version = session.execute(
            select(WorkflowVersion)
            .join(Workflow, Workflow.live_version_id == WorkflowVersion.id)
            .where(Workflow.name == "pre-arrival")
        ).scalar_one()
        publish(session, version.source.replace("wait: 30 minutes", "wait: 45 minutes"), by="Marta", now=NOW)
    run_due(house)
    with house.database.system() as session:
        elsewhere = Workspace(slug="elsewhere", name="Elsewhere", settings={}, created_at=NOW)
        session.add(elsewhere)
        session.flush()  # its number is asked for
        for email, workspace_id, role in (
            (OWNER, loaded.workspace_id, "owner"),
            (ANALYST, loaded.workspace_id, "analyst"),
            (STRANGER, elsewhere.id, "owner"),
        ):
            person = add_person(session, email, PASSWORD, NOW, name=email.split("@")[0].title())
            admit(session, person.id, workspace_id, role, NOW)  # type: ignore[arg-type]
        elsewhere_id = elsewhere.id
    with house.database.work(elsewhere_id) as session:
        session.add(
            Contact(workspace_id=elsewhere_id, email="secret@elsewhere.example", created_at=NOW, updated_at=NOW)
        )
    return loaded.workspace_id, elsewhere_id


_lived: dict[str, tuple[str, int, int]] = {}


@pytest.fixture(scope="session")
def lived(postgres: CarriedPostgres, template: str, valkey: CarriedValkey) -> tuple[str, int, int]:
    """The name of a database in which nine days have passed at the hotel, and the numbers of both workspaces."""
    if "built" not in _lived:  # two conftests offer this fixture, and one database serves both
        name, clock = "template_studio", FixedClock(START)
        superuser(postgres, f'CREATE DATABASE {name} TEMPLATE {template} OWNER "{postgres.role}"')
        app = create_app(settings_for(postgres.url(name), valkey.url), clock=clock)
        _lived["built"] = (name, *build(app, clock))
        app.extensions["percorso"].close()
    return _lived["built"]


@pytest.fixture
def stage(
    postgres: CarriedPostgres, lived: tuple[str, int, int], valkey: CarriedValkey, redis: Redis
) -> Iterator[Stage]:
    """The hotel on the ninth day, in a database of this test's own."""
    name, workspace_id, elsewhere_id = lived
    for url in copied(postgres, name):
        clock = FixedClock(NOW)
        with standing(settings_for(url, valkey.url), clock, Database(url), testing=False) as app:
            yield Stage(app, app.extensions["percorso"], workspace_id, elsewhere_id, clock)
