"""Plays a world of lives through the doors of a real hotel, and holds every mail that leaves against the model."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.message import EmailMessage  # noqa: TID251 - reading, not writing
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.consent import chain
from app.contacts.models import Contact, Property
from app.db import Database
from app.delivery import deliver, senders
from app.events.merging import merge
from app.events.sources import signature
from app.rights import erasure
from app.signup import forms
from app.signup.document import Document
from app.worker import run_due
from tests.hotel import Hotel
from tests.imports import lists
from tests.lives.lives import TOPICS, Act, World, story, timeline
from tests.lives.model import ALL, Truth, Word
from tests.messages import broadcasts

SECRET = "whsec_" + base64.b64encode(b"a provider's secret").decode()
LISTS = ("marketing", "feedback")
CONFIRM_WITHIN = timedelta(days=7)
UNDO_WITHIN = timedelta(hours=24)
_LINK = re.compile(r"http://localhost(/[a-z]/[^\s\"'<>&]+)")


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


class _Form(HTMLParser):
    """The boxes of a page, with what is ticked and written in each."""

    def __init__(self) -> None:
        super().__init__()
        self.ticked: dict[str, bool] = {}
        self.other: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes one control."""
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        if tag != "input" or not name:
            return
        if given.get("type") == "checkbox":
            self.ticked[name] = "checked" in given
        elif given.get("type") == "hidden" or (given.get("type") == "radio" and "checked" in given):
            self.other[name] = value


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
    """A world being played.

    Args:
        hotel: a hotel of its own, whose database is `Mortal`.
        world: who does what.
    """

    def __init__(self, hotel: Hotel, world: World) -> None:
        self.hotel, self.world = hotel, world
        self.counted: Counter[str] = Counter()
        self.guests = [Guest(number, Truth()) for number in range(len(world.lives))]
        self._by_address = {guest.address: guest for guest in self.guests}
        self._seen = 0
        self._numbers = iter(range(1, 1_000_000))
        self._settled: dict[str, tuple[Guest, bool]] = {}
        """Reference → whose booking it is, and whether all stages have run since it was reported."""
        with self._work() as session:
            now = self._now()
            made = senders.add(session, "generic", "provider", [SECRET], [], now)
            self._reports_to = urlsplit(senders.address(hotel.house.settings, made)).path
            lago = session.scalars(select(Property.id)).one()
            form = forms.create(
                session, "Lives", lago, Document(topics=("newsletter",), notice_version="1"), "test", now
            )
            forms.publish(session, form, "test", now)
            self._form = form.public_id

    def run(self) -> Counter[str]:
        """Play it to its end; gives what happened, counted.

        Raises WrongError, with the story of whom it went wrong for.
        """
        for instant, (hop, doings) in enumerate(zip(self.world.hops, timeline(self.world), strict=True)):
            self.hotel.clock.advance(timedelta(hours=hop))
            for person, act in doings:
                self.hotel.clock.advance(timedelta(seconds=1))
                self._do(self.guests[person], act)
            if instant in self.world.broadcasts:
                broadcasts.send(self.hotel, name=f"At {instant}")
                self.counted["broadcast"] += 1
            self._stages(self.world.kills[instant])
        with self._work() as session:
            broken = chain.broken(session)
        assert broken is None, broken
        self._no_service_was_lost()
        return self.counted

    # -- time and work -------------------------------------------------------------------------------------------

    def _now(self) -> datetime:
        return self.hotel.clock.now()

    @contextmanager
    def _work(self) -> Iterator[Session]:
        with self.hotel.house.database.work(self.hotel.loaded.workspace_id) as session:
            yield session

    def _stages(self, dies_before: int) -> None:
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
            deliver.recover(session, self._now())
        run_due(self.hotel.house)
        self._judge()
        self._settled = {reference: (guest, True) for reference, (guest, _) in self._settled.items()}

    def _judge(self) -> None:
        """Every mail that has left since the last look: did it have anything to stand on?"""
        with self._work() as session:
            rows = session.execute(_LEFT, {"ws": self.hotel.loaded.workspace_id, "seen": self._seen}).all()
        for row in rows:
            self._seen = row.captured
            guest = self._by_address[row.address]
            mail = email.message_from_bytes(row.raw, policy=email.policy.default)
            guest.mails.append((row, mail))
            self.counted[f"left: {row.class_}"] += 1
            if row.address in guest.truth.dead:
                self._wrong(guest, f"{row.template} went to an address that must get nothing")
            if row.class_ in LISTS and not guest.truth.may(row.address, row.class_, row.topic):
                self._wrong(guest, f"{row.template} ({row.class_}, {row.topic}) left without a basis; {row.basis}")

    def _no_service_was_lost(self) -> None:
        with self._work() as session:
            found = {row.reference: row for row in session.execute(_SERVICE, {"ws": self.hotel.loaded.workspace_id})}
        for reference, (guest, _) in self._settled.items():
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
        return story(f"Life of {guest.name}", guest.told, self._now())

    def _wrong(self, guest: Guest, why: str) -> None:
        raise WrongError(f"{why}\n\n{self.story_of(guest)}\n{self.world.lives[guest.number]}")

    # -- what people do ------------------------------------------------------------------------------------------

    def _do(self, guest: Guest, act: Act) -> None:
        self.counted[act.what] += 1
        HOW[act.what](self, guest, act.n)

    def _event(self, guest: Guest, type_: str, *, late: timedelta = timedelta(), **data: Any) -> None:
        now = self._now()
        booking = data.pop("booking", None)
        given: dict[str, Any] = {"booking": booking} if booking else data
        verdict = self.hotel.report(
            type_,
            at=now - late,
            contact={"external_id": guest.name, "email": guest.address, "language": "it"},
            data=given,
        )
        assert verdict["status"] == "accepted", verdict
        told: dict[str, Any] = {"at": _written(now), "type": type_}
        if late:
            told["occurred_at"] = _written(now - late)
        guest.told.append(told | ({"booking": booking} if booking else {"data": given}))

    def _say(self, guest: Guest, topic: str, yes: bool, at: datetime | None = None, **more: Any) -> Word:
        word = Word(at or self._now(), more.pop("address", guest.address), topic, yes, **more)
        guest.truth.words.append(word)
        return word

    def book(self, guest: Guest, n: int) -> None:
        """A booking at the hotel's own desk or site."""
        self._book(guest, "direct" if n % 2 else "phone", 9 if n > 3 else 1)

    def book_by_portal(self, guest: Guest, _n: int) -> None:
        """A booking through a portal, which gave the real address."""
        self._book(guest, "ota", 9)

    def _book(self, guest: Guest, channel: str, ahead: int) -> None:
        reference = f"{guest.name.upper()}-{next(self._numbers)}"
        arrival = self._now().date() + timedelta(days=ahead)
        booking = {
            "reference": reference,
            "arrival": arrival.isoformat(),
            "departure": (arrival + timedelta(days=1)).isoformat(),
            "channel": channel,
            "amount": 30_000,
            "currency": "EUR",
            "adults": 2,
        }
        self._event(guest, "booking.confirmed", booking=booking)
        guest.booked.append(reference)
        guest.truth.bookings[reference] = channel != "ota"
        self._settled[reference] = (guest, False)

    def cancel(self, guest: Guest, _n: int) -> None:
        """The newest booking is cancelled."""
        if not guest.booked:
            return
        reference = guest.booked.pop()
        self._event(guest, "booking.cancelled", booking={"reference": reference})
        guest.truth.bookings.pop(reference, None)
        if not self._settled[reference][1]:
            del self._settled[reference]  # before anybody could say that it stood: whether a mail goes is open

    def check_out(self, guest: Guest, _n: int) -> None:
        """The stay is over: a review may be asked for, if they agreed to be asked."""
        if guest.booked:
            self._event(guest, "booking.checked_out", booking={"reference": guest.booked[-1]})

    def abandon(self, guest: Guest, _n: int) -> None:
        """They began to book and stopped."""
        arrival = (self._now() + timedelta(days=40)).date()
        booking = {"reference": f"A-{next(self._numbers)}", "arrival": arrival.isoformat()}
        self._event(guest, "booking.abandoned", booking=booking | {"departure": (arrival + timedelta(3)).isoformat()})

    def read_notice(self, guest: Guest, n: int) -> None:
        """The privacy notice was shown; mostly with the right to refuse."""
        offered = n > 1
        self._event(
            guest, "consent.granted", purpose="notice", method="api", wording_version="n1", refusal_offered=offered
        )
        if offered:
            guest.truth.notices.add(guest.address)

    def agree(self, guest: Guest, n: int) -> None:
        """A yes, confirmed from the mailbox, that another system heard."""
        self._agree(guest, n, timedelta())

    def agree_late(self, guest: Guest, n: int) -> None:
        """The same, reported days later."""
        self._agree(guest, n, timedelta(days=1 + n))

    def _agree(self, guest: Guest, n: int, late: timedelta) -> None:
        at = self._now() - late
        topic = _topic(n)
        proof: dict[str, Any] = {"method": "web", "confirmed_at": at.isoformat(), "wording_version": "w1"}
        self._event(guest, "consent.granted", late=late, **_about(topic), **proof)
        self._say(guest, topic, True, at)

    def agree_without_proof(self, guest: Guest, n: int) -> None:
        """A system says they agreed, and cannot show what to."""
        self._event(guest, "consent.granted", **_about(_topic(n)), method="api")

    def agree_by_file(self, guest: Guest, n: int) -> None:
        """A feed says they agreed, and can show it; it lifts no no."""
        topic = _topic(n)
        proof: dict[str, Any] = {"method": "import", "import_file": "guests.csv", "wording_version": "w1"}
        proof["confirmed_at"] = self._now().isoformat()  # without it the yes is only pending
        self._event(guest, "consent.granted", **_about(topic), **proof)
        self._say(guest, topic, True, by_system=True)

    def give_feedback_consent(self, guest: Guest, _n: int) -> None:
        """They agree to be asked for their opinion."""
        self._event(guest, "consent.granted", purpose="feedback", method="api", wording_version="w1")
        self._say(guest, "feedback", True)

    def withdraw(self, guest: Guest, n: int) -> None:
        """Another system heard a no."""
        topic = TOPICS[n % 2]
        self._event(guest, "consent.withdrawn", topic=topic)
        self._say(guest, topic, False)

    def withdraw_late(self, guest: Guest, n: int) -> None:
        """The same, reported days later."""
        topic, late = TOPICS[n % 2], timedelta(days=1 + n)
        self._event(guest, "consent.withdrawn", late=late, topic=topic)
        self._say(guest, topic, False, self._now() - late)

    def withdraw_all(self, guest: Guest, _n: int) -> None:
        """A no to all marketing on this address."""
        self._event(guest, "consent.withdrawn")
        self._say(guest, ALL, False)

    # -- what they do with their mails ---------------------------------------------------------------------------

    def one_click(self, guest: Guest, n: int) -> None:
        """Their mailbox unsubscribes them from the newest mail of a list; some do it twice."""
        found = next(((row, mail) for row, mail in reversed(guest.mails) if row.class_ in LISTS), None)
        if found is None:
            return
        row, mail = found
        path = urlsplit(str(mail["List-Unsubscribe"]).split(">")[0].strip("<")).path
        for _ in range(1 + n % 2):
            answer = self.hotel.client.post(path, data={"List-Unsubscribe": "One-Click"})
            assert (answer.status_code, answer.headers.get("Set-Cookie")) == (200, None)
        topic = "feedback" if row.class_ == "feedback" else row.topic
        self._say(guest, topic, False, address=row.address)
        guest.told.append({"at": _written(self._now()), "type": "consent.withdrawn", "data": {"topic": topic}})

    def look_at_links(self, guest: Guest, _n: int) -> None:
        """A scanner follows every link of the newest mail: nothing may come of it."""
        for path in self._links(guest, "upkvz"):
            assert self.hotel.client.get(path).status_code < 500
            assert self.hotel.client.head(path).status_code < 500

    def prefer(self, guest: Guest, n: int) -> None:
        """They open the preference page and flip switches."""
        path = next(iter(self._links(guest, "p")), None)
        if path is None:
            return
        page = _Form()
        page.feed(self.hotel.client.get(path).get_data(as_text=True))
        fields = dict(page.other)
        flipped: dict[str, bool] = {}
        wanted = {"topic.newsletter": bool(n & 1), "topic.offers": bool(n & 2), "feedback": bool(n & 4)}
        for name, ticked in page.ticked.items():
            on = wanted.get(name, ticked)
            if on:
                fields[name] = "on"
            if on != ticked:
                flipped[name.removeprefix("topic.")] = on
        answer = self.hotel.client.post(path, data=fields | {"action": "save"})
        assert answer.status_code == 200, answer.get_data(as_text=True)
        barred = guest.address in guest.truth.locked
        said = []
        for topic, on in flipped.items():
            if not on:
                said.append(self._say(guest, topic, False))
            elif not barred:
                self._say(guest, topic, True)
        self._can_undo(guest, answer.get_data(as_text=True), said, set())

    def stop_everything(self, guest: Guest, _n: int) -> None:
        """They press the button that stops all marketing."""
        path = next(iter(self._links(guest, "p")), None)
        if path is None:
            return
        answer = self.hotel.client.post(path, data={"action": "stop"})
        assert answer.status_code == 200
        said = [self._say(guest, ALL, False, everywhere=True), self._say(guest, "feedback", False)]
        fresh = {guest.address} - guest.truth.locked
        guest.truth.locked |= fresh
        self._can_undo(guest, answer.get_data(as_text=True), said, fresh)

    def _can_undo(self, guest: Guest, html: str, said: list[Word], locked: set[str]) -> None:
        found = re.search(r"http://localhost(/m/z/[^\s\"'<>?&]+)", html)
        if found:
            guest.last_undo = (self._now(), found[1], said, locked)

    def undo(self, guest: Guest, _n: int) -> None:
        """They take their last choice back, in time or too late."""
        if guest.last_undo is None:
            return
        at, path, said, locked = guest.last_undo
        guest.last_undo = None
        self.hotel.client.post(path)
        if self._now() > at + UNDO_WITHIN:
            return
        for word in said:
            if word in guest.truth.words:
                guest.truth.words.remove(word)
                again = replace(word, at=self._now(), yes=True, everywhere=False)
                guest.truth.words.append(again)
        guest.truth.locked -= locked

    def press_confirm(self, guest: Guest, n: int) -> None:
        """They press the button behind the newest confirmation mail; some look at it first, some press twice."""
        found = next(((row, mail) for row, mail in reversed(guest.mails) if row.class_ == "consent_request"), None)
        if found is None:
            return
        row, mail = found
        path = next(iter(_paths(mail, "k")))
        if n % 2:
            assert self.hotel.client.get(path).status_code == 200
        for _ in range(1 + n % 3 // 2):
            assert self.hotel.client.post(path).status_code in {200, 410}
        truth, asked = guest.truth, row.captured_at
        refused = any(
            not word.yes and word.at >= asked and (word.everywhere or word.topic in {row.topic, ALL})
            for word in truth.words
        )
        if self._now() <= asked + CONFIRM_WITHIN and not refused:
            self._say(guest, row.topic, True, address=row.address)
            truth.locked.discard(row.address)
            self.counted["confirmed by button"] += 1

    def complain(self, guest: Guest, _n: int) -> None:
        """They press "this is spam"; the provider tells."""
        row = self._report(guest, "complained", "abuse")
        if row is not None:
            self._say(guest, ALL, False, address=row.address)
            self._say(guest, "feedback", False, address=row.address)
            guest.truth.locked.add(row.address)

    def bounce(self, guest: Guest, n: int) -> None:
        """Their mailbox is gone; for few of them."""
        row = self._report(guest, "bounced", "hard") if n == 0 else None
        if row is not None:
            guest.truth.dead.add(row.address)

    def turn_out_to_be(self, guest: Guest, n: int) -> None:
        """The desk finds that two are one person, for few of them."""
        other = self.guests[(guest.number + 1 + n) % len(self.guests)]
        if n > 2 or other.truth is guest.truth:
            return
        with self._work() as session:
            ids = [
                session.scalar(select(Contact.id).where(Contact.external_id == one.name, Contact.merged_into.is_(None)))
                for one in (guest, other)
            ]
            if None in ids:
                return
            merge(session, ids[0] or 0, ids[1] or 0, "desk", self._now())
        guest.truth.joined(other.truth)
        for one in self.guests:
            if one.truth is other.truth and one is not guest:
                one.truth = guest.truth
        other.truth = guest.truth
        self.counted["merged"] += 1

    def sign_up(self, guest: Guest, n: int) -> None:
        """They fill in the form: yes to the newsletter, or "No grazie". Whoever types it, a no counts."""
        yes = n > 1
        answer = self.hotel.client.post(
            f"/f/{self._form}",
            data={"email": guest.address, "notice": "yes", "newsletter": "yes" if yes else "no", "language": "it"}
            | {"version": "1"},
            environ_overrides={"REMOTE_ADDR": f"10.0.0.{guest.number}"},
        )
        if answer.status_code == 429:
            self.counted["held back by a limit"] += 1
            return
        assert answer.status_code == 303, answer.get_data(as_text=True)
        guest.told.append({"at": _written(self._now()), "type": "form.submitted", "data": {"newsletter": yes}})
        if not yes:
            self._say(guest, "newsletter", False)

    def come_in_a_file(self, guest: Guest, n: int) -> None:
        """The hotel imports a list with them on it; some rows can show a yes, most cannot."""
        proven, at = n % 2 == 0, _written(self._now())
        row = f"{guest.address},yes,old list" + (f",w1,{at},{at}" if proven else ",,,")
        with self._work() as session:
            lists.taken(session, lists.csv(lists.PROVEN, row), self._now())
        if proven:
            self._say(guest, "newsletter", True, by_system=True)

    def be_erased(self, guest: Guest, n: int) -> None:
        """They ask to be erased; for few of them. Who comes back later comes back as somebody new."""
        with self._work() as session:
            found = session.scalar(select(Contact.id).where(Contact.external_id == guest.name)) if n < 2 else None
            if found is None:
                return
            erasure.erase(session, found, "person", self._now())
        cluster = [one for one in self.guests if one.truth is guest.truth]
        for one in cluster:
            one.truth = Truth(dead=guest.truth.dead & {one.address}, locked={one.address})
            one.mails, one.booked, one.last_undo = [], [], None
        self._settled = {name: held for name, held in self._settled.items() if held[0] not in cluster}
        self.counted["erased"] += 1

    def _report(self, guest: Guest, kind: str, reason: str) -> Any:
        if not guest.mails:
            return None
        row, mail = guest.mails[-1]
        number = f"r-{next(self._numbers)}"
        happened = {"id": number, "kind": kind, "reason": reason, "message_id": str(mail["Message-ID"]).strip()}
        body = json.dumps({"events": [happened | {"occurred_at": self._now().isoformat()}]}).encode()
        at = str(int(self._now().timestamp()))
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

    def _links(self, guest: Guest, kinds: str) -> list[str]:
        return _paths(guest.mails[-1][1], kinds) if guest.mails else []


HOW: Mapping[str, Callable[[Play, Guest, int], None]] = {
    "book": Play.book,
    "book_by_portal": Play.book_by_portal,
    "cancel": Play.cancel,
    "check_out": Play.check_out,
    "abandon": Play.abandon,
    "read_notice": Play.read_notice,
    "agree": Play.agree,
    "agree_without_proof": Play.agree_without_proof,
    "agree_late": Play.agree_late,
    "agree_by_file": Play.agree_by_file,
    "give_feedback_consent": Play.give_feedback_consent,
    "withdraw": Play.withdraw,
    "withdraw_late": Play.withdraw_late,
    "withdraw_all": Play.withdraw_all,
    "one_click": Play.one_click,
    "prefer": Play.prefer,
    "stop_everything": Play.stop_everything,
    "undo": Play.undo,
    "look_at_links": Play.look_at_links,
    "press_confirm": Play.press_confirm,
    "sign_up": Play.sign_up,
    "come_in_a_file": Play.come_in_a_file,
    "complain": Play.complain,
    "bounce": Play.bounce,
    "turn_out_to_be": Play.turn_out_to_be,
    "be_erased": Play.be_erased,
}
"""How each of `lives.DOINGS` is done."""


def _paths(mail: EmailMessage, kinds: str) -> list[str]:
    """Paths of a mail's functional links of these kinds (`links.PATHS`)."""
    part = mail.get_body(("plain",))
    assert part is not None
    found = re.findall(r"http://localhost(/m/([a-z])/[^\s<>\")\]]+)", part.get_content())
    return [path for path, kind in dict.fromkeys(found) if kind in kinds]


def _topic(n: int) -> str:
    return ALL if n == 7 else TOPICS[n % 2]


def _about(topic: str) -> dict[str, Any]:
    return {} if topic == ALL else {"topic": topic}


def _written(at: datetime) -> str:
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
