"""Anna has got an offer; her links, and a client that follows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.clock import FixedClock
from app.config import Settings
from app.consent import ledger
from app.consent.fold import words
from app.contacts.models import Contact
from app.db import Database
from app.messages import compose, links
from app.messages.compose import Composed
from app.messages.links import PATHS, Purpose, Ref
from app.messages.rows import load_rows
from tests.messages.mailroom import Mailroom

PHONE = "+393471234567"


@dataclass
class Reader:
    """Anna with her mail in front of her."""

    client: FlaskClient
    settings: Settings
    work: Callable[[], AbstractContextManager[Session]]
    clock: FixedClock
    workspace_id: int
    contact_id: int
    message_id: int
    address: str

    @property
    def ref(self) -> Ref:
        """What the links of her mail speak of."""
        return Ref(self.workspace_id, self.contact_id, self.message_id)

    def path(self, purpose: Purpose, *numbers: int) -> str:
        """A link of her mail."""
        return f"/m/{PATHS[purpose]}/{links.sign(self.settings, purpose, numbers or self.ref)}"

    def get(self, purpose: Purpose, *numbers: int, **given: Any) -> TestResponse:
        """Follow a link."""
        return self.client.get(self.path(purpose, *numbers), **given)

    def post(self, purpose: Purpose, data: dict[str, str] | None = None, **given: Any) -> TestResponse:
        """Press a button."""
        return self.client.post(self.path(purpose), data=data or {}, **given)

    def consents(self) -> dict[str, str]:
        """What holds for her now."""
        with self.work() as session:
            return words(ledger.current(session, [self.contact_id]).get(self.contact_id, {}), self.address)

    def rows(self) -> dict[str, int]:
        """Table → how many rows, for everything a link might touch."""
        tables = (
            *("consent_records", "suppressions", "events", "event_work", "delivery_events", "messages", "contacts"),
        )
        with self.work() as session:
            return {table: session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in tables}

    def reached_by_sms(self) -> None:
        """She has a number, and agreed to offers by SMS, though nothing is sent there yet; and to being followed and
        profiled by mail."""
        with self.mailroom() as room:
            contact = room.session.scalars(select(Contact).where(Contact.id == self.contact_id)).one()
            contact.phone = PHONE
            room.say(contact, address=PHONE, channel="sms")
            for purpose in ("open_tracking", "profiling"):
                room.say(contact, purpose=purpose)
        self.clock.advance(timedelta(minutes=1))

    @contextmanager
    def mailroom(self) -> Iterator[Mailroom]:
        """The hotel, to do more in it."""
        with self.work() as session:
            room = Mailroom.__new__(Mailroom)
            room.session, room.clock = session, self.clock
            yield room


@pytest.fixture
def read(
    client: FlaskClient,
    settings: Settings,
    work: Callable[[], AbstractContextManager[Session]],
    db: Database,
    clock: FixedClock,
    workspace_id: int,
) -> Callable[..., Reader]:
    """`read(template, granted=("marketing",), ...)` gives a Reader whose mail was made, sent and kept."""

    def given(template: str = "offer", granted: tuple[str, ...] = ("marketing",), **contact: Any) -> Reader:
        with work() as session:
            room = Mailroom(session, clock)
            guest = room.guest(**contact)
            for purpose in granted:
                room.say(guest, purpose=purpose)
            clock.advance(timedelta(minutes=1))
            number = room.plan(guest, template)
            rows = load_rows(session, [number])
            made = compose.compose(compose.load(session, rows, clock.now()), rows[0])
            assert isinstance(made, Composed), made
            room.change(
                number,
                state="accepted",
                accepted_at=clock.now(),
                handed_over_at=clock.now(),
                facts=made.facts,
                language=made.language,
                template_version_id=made.template_version_id,
                address=made.address,
                subject=made.subject,
                message_id=made.message_id,
            )
            clock.advance(timedelta(hours=1))
            return Reader(client, settings, work, clock, workspace_id, guest.id, number, guest.email_key or "")

    return given


@pytest.fixture
def reader(read: Callable[..., Reader]) -> Reader:
    """Anna, who agreed to offers and got one."""
    return read()
