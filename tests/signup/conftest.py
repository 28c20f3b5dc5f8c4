"""A hotel with a live form, and people who fill it in."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.clock import FixedClock
from app.config import Settings
from app.consent import ledger
from app.consent.fold import words
from app.contacts.addresses import normal_email
from app.contacts.models import Contact
from app.db import Database, workspace_of
from app.messages.models import Message
from app.signup import forms, stage
from app.signup.document import Document
from app.signup.forms import Shown
from app.signup.models import SignupForm, Submission
from app.signup.receiving import Entry, Where, submission
from tests.messages.mailroom import Mailroom

DOCUMENT = Document(topics=("newsletter",), notice_version="2026-05")

FILLED = {"email": "anna@example.com", "notice": "yes", "newsletter": "yes", "language": "it", "version": "1"}
SITE = "https://www.example.com"
WAY = "/f/abcdefghjkmn"
Kept = Callable[[], list[Submission]]


@dataclass
class Hall:
    """The hotel's hall: a form lies on the table."""

    room: Mailroom
    form: SignupForm
    erased: list[int]

    @property
    def session(self) -> Session:
        """The unit of work."""
        return self.room.session

    def shown(self) -> Shown:
        """The form as people see it."""
        return replace(forms.drafted(self.session, self.form, DOCUMENT), state="live")

    def fill(self, address: str, newsletter: bool = True, **given: Any) -> None:
        """Somebody fills it in; the stage has not looked yet."""
        email = normal_email(address)
        assert email is not None
        where = given.pop("where", Where("/f/x", "203.0.113.7", "Mozilla"))
        fields: dict[str, Any] = {"email": email, "language": "it", "wants": newsletter, "topics": ("newsletter",)}
        self.session.add(submission(self.shown(), Entry(**fields | given), where, "work", self.room.now))
        self.session.flush()  # the stage reads by Core

    def work(self, limit: int = 500) -> None:
        """The stage, until it has nothing more to do."""
        while stage.run(self.session, self.room.now, limit, self._erase).done:
            pass

    def _erase(self, _session: Session, contact_id: int, _by: str, _now: Any) -> None:
        self.erased.append(contact_id)

    def contact(self, address: str) -> Contact:
        """Whoever has this address."""
        self.session.expire_all()
        return self.session.scalars(select(Contact).where(Contact.email_key == address.lower())).one()

    def held(self, address: str) -> dict[str, str]:
        """What the ledger says of an address."""
        contact = self.contact(address)
        return words(ledger.current(self.session, [contact.id]).get(contact.id, {}), address.lower())

    def mails(self, address: str) -> list[Message]:
        """Confirmation mails to somebody."""
        found = select(Message).where(
            Message.contact_id == self.contact(address).id, Message.class_ == "consent_request"
        )
        return list(self.session.scalars(found.order_by(Message.id)))

    def later(self, **length: Any) -> None:
        """Time passes, and the stage looks."""
        self.room.clock.advance(timedelta(**length))
        self.work()

    def count(self, table: str) -> int:
        """Rows of a table."""
        return int(self.session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


@pytest.fixture
def db(db: Database, settings: Settings) -> Database:
    """The rolled-back database, with the settings units of work ask for."""
    db.settings = settings
    return db


@pytest.fixture
def hall(db: Database, session: Session, clock: FixedClock) -> Hall:
    """The hotel with its live form."""
    room = Mailroom(session, clock)
    form = forms.create(session, "Newsletter", room.hotel.id, DOCUMENT, "Marta", clock.now())
    forms.publish(session, form, "Marta", clock.now())
    session.flush()
    assert workspace_of(session)
    return Hall(room, form, [])


@pytest.fixture
def site(
    db: Database,
    client: FlaskClient,
    work: Callable[[], AbstractContextManager[Session]],
    clock: FixedClock,
    redis: Redis,
) -> FlaskClient:
    """The web with a live form at `WAY`; Redis has counted nothing yet."""
    with work() as session:
        room = Mailroom(session, clock)
        document = Document(topics=("newsletter",), notice_version="2026-05", first_name=True)
        form = forms.create(session, "Newsletter", room.hotel.id, document, "Marta", clock.now())
        form.public_id, form.origins = WAY.rpartition("/")[2], [SITE]
        forms.publish(session, form, "Marta", clock.now())
    return client


@pytest.fixture
def kept(work: Callable[[], AbstractContextManager[Session]]) -> Callable[[], list[Submission]]:
    """What was written down."""

    def rows() -> list[Submission]:
        with work() as session:
            return list(session.scalars(select(Submission).order_by(Submission.id)))

    return rows
