"""A whole hotel, from the API's door to its outbox, on a clock the test moves."""

from __future__ import annotations

import email
import email.policy
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage  # noqa: TID251 - reading, not writing
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select

from app.clock import FixedClock
from app.config import Settings
from app.contacts.models import Booking
from app.db import Database
from app.delivery.models import CapturedMail
from app.demo.seed import Loaded, found
from app.due import following
from app.enrollments.models import Enrollment
from app.house import House, furnish
from app.messages.models import Message
from app.serve.postgres import CarriedPostgres
from app.serve.valkey import CarriedValkey
from app.worker import run_due
from tests.conftest import START, copied, standing, superuser


@dataclass
class Hotel:
    """The demo hotel without its past."""

    house: House
    loaded: Loaded
    client: FlaskClient
    clock: FixedClock
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def report(self, type_: str, *, at: datetime | None = None, **given: Any) -> dict[str, Any]:
        """Post one event as the booking engine; returns its verdict. Nothing is done about it yet."""
        event = {
            "id": given.pop("id", f"e-{next(self._numbers)}"),
            "type": type_,
            "occurred_at": (at or self.clock.now()).isoformat(),
            "contact": given.pop("contact", {"external_id": "giulia", "email": "giulia@example.com", "language": "it"}),
            "data": given.pop("data", None) or ({"booking": given.pop("booking")} if "booking" in given else {}),
            **given,
        }
        return self.post([event])[0]

    def post(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Post events in one request; returns their verdicts."""
        answer = self.client.post(
            "/api/v1/events", json={"events": events}, headers={"Authorization": f"Bearer {self.loaded.api_key}"}
        )
        assert answer.status_code == 202, answer.get_data(as_text=True)
        verdicts: list[dict[str, Any]] = answer.json["events"] if answer.json else []
        return verdicts

    def work(self) -> None:
        """Let every stage do what is due."""
        run_due(self.house)

    def until(self, target: datetime) -> None:
        """Let time pass, with every stage at work whenever something falls due."""
        self.work()
        while True:
            with self.house.database.system() as session:
                instant = following(session, self.clock.now())
            if instant is None or instant > target:
                break
            self.clock.set(instant)
            self.work()
        self.clock.set(target)
        self.work()

    def after(self, length: timedelta) -> None:
        """Let so much time pass."""
        self.until(self.clock.now() + length)

    def mails(self, to: str | None = None) -> list[EmailMessage]:
        """What the outbox holds, oldest first, as the standard library reads it."""
        with self.house.database.work(self.loaded.workspace_id) as session:
            rows = session.scalars(select(CapturedMail).order_by(CapturedMail.id)).all()
        read = [email.message_from_bytes(row.raw, policy=email.policy.default) for row in rows]
        return [mail for mail in read if to is None or to in str(mail["To"])]

    def messages(self, **criteria: Any) -> list[Message]:
        """Message rows in the order of their planning."""
        with self.house.database.work(self.loaded.workspace_id) as session:
            return list(session.scalars(select(Message).filter_by(**criteria).order_by(Message.id)))

    def sent(self) -> list[tuple[str, datetime]]:
        """(template, instant of acceptance) of everything that went out."""
        return [(row.template, row.accepted_at) for row in self.messages(state="accepted") if row.accepted_at]

    def bookings(self) -> list[Booking]:
        """Booking rows."""
        with self.house.database.work(self.loaded.workspace_id) as session:
            return list(session.scalars(select(Booking).order_by(Booking.reference)))

    def enrollments(self) -> list[Enrollment]:
        """Enrollment rows."""
        with self.house.database.work(self.loaded.workspace_id) as session:
            return list(session.scalars(select(Enrollment).order_by(Enrollment.id)))


@pytest.fixture(scope="session")
def founded(postgres: CarriedPostgres, template: str, valkey: CarriedValkey) -> tuple[str, Loaded]:
    """The name of a database in which the hotel was founded, to be copied for each test, and how to post to it."""
    name = "template_hotel"
    superuser(postgres, f'CREATE DATABASE {name} TEMPLATE {template} OWNER "{postgres.role}"')
    house = furnish(settings_of(postgres.url(name), valkey.url), clock=FixedClock(START))
    loaded = found(house, START)
    house.close()
    return name, loaded


def settings_of(database_url: str, redis_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        secret="a test's secret of at least 32 characters",
        base_url="http://localhost",
        smtp_url="capture:",
    )


@contextmanager
def opened(
    postgres: CarriedPostgres,
    founded: tuple[str, Loaded],
    valkey: CarriedValkey,
    clock: FixedClock,
    kind: type[Database] = Database,
) -> Iterator[Hotel]:
    """A hotel in a database of its own, founded now, nobody in it."""
    name, loaded = founded
    for url in copied(postgres, name):
        with standing(settings_of(url, valkey.url), clock, kind(url)) as app:
            yield Hotel(app.extensions["percorso"], loaded, app.test_client(), clock)


@pytest.fixture
def hotel(
    postgres: CarriedPostgres, founded: tuple[str, Loaded], valkey: CarriedValkey, redis: Redis, clock: FixedClock
) -> Iterator[Hotel]:
    """The demo hotel, founded now, nobody in it."""
    with opened(postgres, founded, valkey, clock) as hotel:
        yield hotel


@pytest.fixture
def hotels(
    postgres: CarriedPostgres, founded: tuple[str, Loaded], valkey: CarriedValkey, redis: Redis
) -> Iterator[Callable[[], Hotel]]:
    """`hotels()` is another hotel of its own, on a clock of its own: for comparing lives that differ in one thing."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(opened(postgres, founded, valkey, FixedClock(START)))
