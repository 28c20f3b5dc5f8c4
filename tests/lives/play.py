"""A real hotel with people whose lives are played: every mail that leaves is held against the model."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage  # noqa: TID251 - reading, not writing
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.consent import chain
from app.contacts.models import Property
from app.content.catalogue import Library, push, read_library
from app.db import Database
from app.delivery import deliver, senders
from app.events.sources import signature
from app.signup import forms
from app.signup.document import Document
from app.worker import run_due
from tests.conftest import ROOT
from tests.hotel import Hotel
from tests.lives.lives import Act, story
from tests.lives.model import Truth, Word

SECRET = "whsec_" + base64.b64encode(b"a provider's secret").decode()
LISTS = ("marketing", "feedback")


class Killed(BaseException):
    """The worker is dead: nothing may catch this and go on."""


class Mortal(Database):
    """A database whose user dies just before one of its commits."""

    dies_before: int = 0
    """Commits from now; 0: lives on."""

    @contextmanager
    def _scoped(self, scope: str, workspace_id: int | None) -> Iterator[Session]:
        with super()._scoped(scope, workspace_id) as session:
            yield session
            if self.dies_before:
                self.dies_before -= 1
                if self.dies_before == 0:
                    raise Killed


@dataclass
class Guest:
    """One person, as the test knows them."""

    number: int
    truth: Truth
    mails: list[tuple[Any, EmailMessage]] = field(default_factory=list)
    """(message row, mail), oldest first."""
    booked: list[str] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    """What happened to them, as events of a story."""
    done: list[Act] = field(default_factory=list)
    """What they did, as it was drawn."""
    last_undo: tuple[datetime, str, list[Word], set[str]] | None = None

    @property
    def name(self) -> str:
        """Their id in the booking engine."""
        return f"p{self.number}"

    @property
    def address(self) -> str:
        """Their mailbox."""
        return f"{self.name}@example.com"


class WrongError(AssertionError):
    """A promise was broken; the message holds the person's story."""


class Play:
    """A hotel and some people, whose mails are all held against what they have said.

    Args:
        hotel: a hotel of its own, whose database is `Mortal`.
        people: how many people there are.
    """

    def __init__(self, hotel: Hotel, people: int) -> None:
        self.hotel = hotel
        hotel.house.redis.flushall()  # the limits of the world before this one, which began at the same instant
        self.counted: Counter[str] = Counter()
        self.guests = [Guest(number, Truth()) for number in range(people)]
        self._by_address = {guest.address: guest for guest in self.guests}
        self._seen = 0
        self.numbers = iter(range(1, 1_000_000))
        self.settled: dict[str, tuple[Guest, bool]] = {}
        """Reference → whose booking it is, and whether all stages have run since it was reported."""
        with self.work() as session:
            now = self.now()
            made = senders.add(session, "generic", "provider", [SECRET], [], now)
            self._reports_to = urlsplit(senders.address(hotel.house.settings, made)).path
            lago = session.scalars(select(Property.id)).one()
            form = forms.create(
                session, "Lives", lago, Document(topics=("newsletter",), notice_version="1"), "test", now
            )
            forms.publish(session, form, "test", now)
            _publish_offers(session, now)
            self.form = form.public_id

    def finish(self) -> None:
        """At the end: the ledger is whole, and no service mail was lost."""
        with self.work() as session:
            broken = chain.broken(session)
        assert broken is None, broken
        self._no_service_was_lost()

    # -- time and work -------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return self.hotel.clock.now()

    @contextmanager
    def work(self) -> Iterator[Session]:
        with self.hotel.house.database.work(self.hotel.loaded.workspace_id) as session:
            yield session

    def stages(self, dies_before: int) -> None:
        """Let the stages do what is due; where the worker dies, another takes over a minute later."""
        database = self.hotel.house.database
        assert isinstance(database, Mortal)
        database.dies_before = dies_before
        try:
            run_due(self.hotel.house)
        except Killed:
            self.counted["killed"] += 1
        finally:
            database.dies_before = 0
        self._judge()
        self.hotel.clock.advance(timedelta(minutes=1))
        with database.system() as session:
            deliver.recover(session, self.now())
        run_due(self.hotel.house)
        self._judge()
        self.settled = {reference: (guest, True) for reference, (guest, _) in self.settled.items()}

    def _judge(self) -> None:
        """Every mail that has left since the last look: did it have anything to stand on?"""
        with self.work() as session:
            rows = session.execute(_LEFT, {"ws": self.hotel.loaded.workspace_id, "seen": self._seen}).all()
        for row in rows:
            self._seen = row.captured
            guest = self._by_address[row.address]
            mail = email.message_from_bytes(row.raw, policy=email.policy.default)
            guest.mails.append((row, mail))
            self.counted[f"left: {row.class_}"] += 1
            self.counted[f"on: {row.basis}"] += 1
            if row.address in guest.truth.dead:
                self._wrong(guest, f"{row.template} went to an address that must get nothing")
            if row.class_ in LISTS and not guest.truth.may(row.address, row.class_, row.topic):
                self._wrong(guest, f"{row.template} ({row.class_}, {row.topic}) left without a basis; {row.basis}")

    def _no_service_was_lost(self) -> None:
        with self.work() as session:
            found = {row.reference: row for row in session.execute(_SERVICE, {"ws": self.hotel.loaded.workspace_id})}
        for reference, (guest, _) in self.settled.items():
            row = found.get(reference)
            if row is None:
                self._wrong(guest, f"nothing was even planned for booking {reference}")
            elif row.state == "unknown" and self.counted["killed"]:
                self.counted["in doubt"] += 1  # a worker died while it handed it over: shown to people, never resent
            elif row.left != 1 and not guest.truth.dead:
                self._wrong(guest, f"{row.left} confirmations of {reference} left; {row.state} {row.reason}")
            self.counted["confirmed"] += row.left if row else 0

    def story_of(self, guest: Guest) -> str:
        """A person's life so far, as a file for `flask workflows simulate FILE --workflow WORKFLOW`."""
        return story(f"Life of {guest.name}", guest.told, self.now())

    def _wrong(self, guest: Guest, why: str) -> None:
        raise WrongError(f"{why}\n\n{self.story_of(guest)}\n{guest.done}")

    # -- what people do ------------------------------------------------------------------------------------------

    def event(self, guest: Guest, type_: str, *, late: timedelta = timedelta(), **data: Any) -> None:
        now = self.now()
        booking = data.pop("booking", None)
        given: dict[str, Any] = {"booking": booking} if booking else data
        verdict = self.hotel.report(
            type_,
            at=now - late,
            contact={"external_id": guest.name, "email": guest.address, "language": "it"},
            data=given,
        )
        assert verdict["status"] == "accepted", verdict
        told: dict[str, Any] = {"at": written(now), "type": type_}
        if late:
            told["occurred_at"] = written(now - late)
        guest.told.append(told | ({"booking": booking} if booking else {"data": given}))

    def say(self, guest: Guest, topic: str, yes: bool, at: datetime | None = None, **more: Any) -> Word:
        word = Word(at or self.now(), more.pop("address", guest.address), topic, yes, **more)
        guest.truth.words.append(word)
        return word

    def report(self, guest: Guest, kind: str, reason: str) -> Any:
        if not guest.mails:
            return None
        row, mail = guest.mails[-1]
        number = f"r-{next(self.numbers)}"
        happened = {"id": number, "kind": kind, "reason": reason, "message_id": str(mail["Message-ID"]).strip()}
        body = json.dumps({"events": [happened | {"occurred_at": self.now().isoformat()}]}).encode()
        at = str(int(self.now().timestamp()))
        headers: Mapping[str, str] = {
            "webhook-id": number,
            "webhook-timestamp": at,
            "webhook-signature": "v1," + signature(SECRET, number, at, body),
        }
        answer = self.hotel.client.post(
            self._reports_to, data=body, headers=dict(headers), content_type="application/json"
        )
        assert answer.status_code < 300, answer.get_data(as_text=True)
        return row

    def links(self, guest: Guest, kinds: str) -> list[str]:
        return paths(guest.mails[-1][1], kinds) if guest.mails else []


OFFERS = "guest-offers"
"""What a broadcast on offers sends: of what is shipped none does that says nothing of a booking."""


def _publish_offers(session: Session, now: datetime) -> None:
    shipped = read_library(ROOT / "email_templates")
    source = {name: text for name, text in shipped.files.items() if name.startswith(("_", "guest-voices/"))}
    source = {name.replace("guest-voices/", f"{OFFERS}/"): text for name, text in source.items()}
    manifest = source[f"{OFFERS}/template.yaml"].replace("guest-voices", OFFERS)
    source[f"{OFFERS}/template.yaml"] = manifest.replace("topic: newsletter", "topic: offers")
    changes = push(session, Library(source, shipped.assets), now)
    assert [change.outcome for change in changes] == ["published"], changes


def paths(mail: EmailMessage, kinds: str) -> list[str]:
    """Paths of a mail's functional links of these kinds (`links.PATHS`)."""
    part = mail.get_body(("plain",))
    assert part is not None
    found = re.findall(r"http://localhost(/m/([a-z])/[^\s<>\")\]]+)", part.get_content())
    return [path for path, kind in dict.fromkeys(found) if kind in kinds]


def written(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S+00:00}"


_LEFT = text(
    """
    SELECT k.id AS captured, k.captured_at, k.raw, k.envelope_to AS address, m.id, m.class AS class_, m.topic,
           m.template, m.basis, m.ledger_line
    FROM captured_mails k JOIN messages m ON m.workspace_id = k.workspace_id AND m.id = k.message_pk
    WHERE k.workspace_id = :ws AND k.id > :seen ORDER BY k.id
    """
)
_SERVICE = text(
    """
    SELECT b.reference, count(k.id) AS left, max(m.state) AS state, max(m.reason) AS reason
    FROM bookings b
    JOIN messages m ON m.workspace_id = b.workspace_id AND m.booking_id = b.id AND m.template = 'booking-confirmation'
    LEFT JOIN captured_mails k ON k.workspace_id = m.workspace_id AND k.message_pk = m.id
    WHERE b.workspace_id = :ws GROUP BY b.reference
    """
)
