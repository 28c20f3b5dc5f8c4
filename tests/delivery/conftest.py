"""A house that really delivers: committed rows in a throwaway database, a real SMTP server, a clock the test moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from app.accounts.models import Workspace
from app.clock import FixedClock
from app.config import Settings
from app.contacts.models import Contact, Property
from app.content.catalogue import Library, push
from app.db import Ran
from app.delivery import deliver, senders, ways
from app.delivery.models import Attempt, DeliveryEvent
from app.delivery.sender_checks import Outward
from app.house import House, furnish
from app.messages.models import Message
from tests.delivery.fakes.providers import PROVIDERS
from tests.delivery.fakes.server import Asked, Fake, Said
from tests.factories import Factory
from tests.sink import Sink

TEMPLATE = """template: {name}
name: {{en: A note, it: Un biglietto}}
description: {{en: A few words, it: Due parole}}
phase: retention
class: {class_}
{topic}layout: none
fields:
  contact.first_name: {{type: text, sample: Anna}}
"""
BODY = """<mjml><mj-body><mj-section><mj-column>
<mj-text>{{ t.hello }} {{ contact.first_name }}</mj-text>
%s
</mj-column></mj-section></mj-body></mjml>"""
FOOT = """<mj-text>{{ property.name }} {{ property.address.street }} {{ property.vat }} {{ property.cin }}
<a href="{{ unsubscribe_url }}">{{ t.leave }}</a> <a href="{{ notice_url }}">{{ t.notice }}</a></mj-text>"""
TEXTS = "subject: '{word} {{{{ contact.first_name }}}}'\npreheader: '{word}'\nhello: {word}\nleave: X\nnotice: P\n"


def library() -> Library:
    """Two templates: `note`, a service mail, and `news`, which needs consent."""
    files = {}
    for name, class_, topic, foot in (("note", "transactional", "", ""), ("news", "marketing", "offers", FOOT)):
        topic_line = f"topic: {topic}\n" if topic else ""
        files[f"{name}/template.yaml"] = TEMPLATE.format(name=name, class_=class_, topic=topic_line)
        files[f"{name}/body.mjml"] = BODY % foot
        files[f"{name}/texts.en.yaml"] = TEXTS.format(word="Hello")
        files[f"{name}/texts.it.yaml"] = TEXTS.format(word="Ciao")
    return Library(files, frozenset())


@dataclass
class Post:
    """A workspace with messages to deliver."""

    house: House
    workspace_id: int
    clock: FixedClock

    def plan(self, *emails: str, **given: Any) -> list[int]:
        """One ready message to a new contact at each address; the ids."""
        now = self.clock.now()
        with self.house.database.work(self.workspace_id) as session:
            make = Factory(session, self.clock)
            ids = []
            for email in emails:
                contact = make.contact(external_id=email, email=email, first_name="Anna", language="it")
                fields: dict[str, Any] = {"template": "note", "class_": "transactional", "state": "ready"}
                fields |= {"contact_id": contact.id, "planned_at": now, "due_at": now, **given}
                ids.append(make.add(Message, **fields).id)
        return ids

    def run(self, limit: int = 500) -> Ran:
        """One batch of delivery."""
        return deliver.run(self.house, self.workspace_id, limit, lambda *_: {})

    def message(self, id_: int) -> Message:
        """A message as it is now."""
        with self.house.database.work(self.workspace_id) as session:
            return session.scalars(select(Message).where(Message.id == id_)).one()

    def states(self) -> Mapping[str, int]:
        """State → how many messages."""
        with self.house.database.work(self.workspace_id) as session:
            return Counter(session.scalars(select(Message.state)))

    def change(self, id_: int, **fields: Any) -> None:
        """Write to a message past every rule."""
        with self.house.database.work(self.workspace_id) as session:
            message = session.scalars(select(Message).where(Message.id == id_)).one()
            for name, value in fields.items():
                setattr(message, name, value)

    def attempts(self, id_: int) -> list[Attempt]:
        """The tries of a message."""
        with self.house.database.work(self.workspace_id) as session:
            return list(session.scalars(select(Attempt).where(Attempt.message_pk == id_).order_by(Attempt.number)))

    def reports(self, id_: int) -> list[DeliveryEvent]:
        """What was reported of a message."""
        with self.house.database.work(self.workspace_id) as session:
            return list(session.scalars(select(DeliveryEvent).where(DeliveryEvent.message_pk == id_)))

    def contact_of(self, id_: int) -> Contact:
        """Who a message is for."""
        with self.house.database.work(self.workspace_id) as session:
            statement = select(Contact).join(Message, Message.contact_id == Contact.id).where(Message.id == id_)
            return session.scalars(statement).one()


def found(house: House, now: datetime) -> int:
    """A workspace with a hotel and two templates."""
    with house.database.system() as session:
        workspace = Workspace(slug="verbano", name="Hotel Verbano", settings={}, created_at=now)
        session.add(workspace)
        session.flush()  # its number is asked for
        workspace_id = workspace.id
    with house.database.work(workspace_id) as session:
        Factory(session, house.clock).add(
            Property,
            code="verbano",
            name="Hotel Verbano",
            zone="Europe/Rome",
            language="it",
            sender_name="Hotel Verbano",
            sender_email="ciao@verbano.example",
            cin="IT103001A1",
            vat="IT01234567890",
            address={"street": "Via Lago 1"},
            links={"notice": "https://verbano.example/privacy"},
            is_default=True,
        )
        changes = push(session, library(), now)
        assert [change.outcome for change in changes] == ["published"] * 2, changes
    return workspace_id


def add(post: Post, provider: str, name: str, fake: Fake, streams: tuple[str, ...] = ways.STREAMS) -> None:
    """Have mails go out by a provider that a fake plays."""
    about = PROVIDERS[provider]
    with post.house.database.work(post.workspace_id) as session:
        outward = Outward(about.credentials, {**about.options, "base": fake.url}, streams)
        senders.add(session, provider, name, (), (), post.clock.now(), outward)


@pytest.fixture
def open_post(settings: Settings, database_url: str, clock: FixedClock) -> Iterator[Callable[..., Post]]:
    """`open_post(smtp_url, **settings)` gives a Post in the throwaway database."""
    houses: list[House] = []

    def opened(smtp_url: str, **changed: Any) -> Post:
        given = {"database_url": database_url, "smtp_url": smtp_url, "lease_seconds": 20, **changed}
        house = furnish(replace(settings, **given), clock=clock)
        houses.append(house)
        return Post(house, found(house, clock.now()), clock)

    yield opened
    ways.hang_up()
    for house in houses:
        house.close()


@pytest.fixture
def fakes() -> Iterator[Callable[..., Fake]]:
    """`fakes(answer)` is a provider on this machine until the test ends."""
    made: list[Fake] = []

    def play(answer: Callable[[Asked], Said]) -> Fake:
        made.append(Fake(answer).__enter__())
        return made[-1]

    yield play
    for one in made:
        if not one.over.is_set():
            one.close()


@pytest.fixture
def post(open_post: Callable[..., Post], smtp: Sink) -> Post:
    """A Post that delivers to `smtp`."""
    return open_post(smtp.url)
