"""R7: whichever way a person says no, what waits is cancelled at once, and what is leased is not handed over."""

from __future__ import annotations

import mailbox
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import select

from app.contacts.models import Contact
from app.db import Database
from app.delivery import inbox, leases, senders, track
from app.delivery.providers.webhooks import Report, Secrets
from app.delivery.reported import take
from app.delivery.senders import Known
from app.delivery.track import Arrival
from app.house import House
from app.messages import links
from app.queues import Signals
from tests.subscriber.conftest import Reader

WAITING = ("planned", "deferred", "ready", "leased")


@pytest.fixture
def house(db: Database, redis: Redis, reader: Reader, tmp_path: Path) -> House:
    """The house of the test, with a box that unsubscribe mails come to."""
    mailbox.Maildir(tmp_path / "box", create=True)
    settings = replace(reader.settings, inbox=f"maildir:{tmp_path / 'box'}")
    return House(settings=settings, clock=reader.clock, database=db, redis=redis, signals=Signals(redis))


def one_click(reader: Reader, _: House) -> None:
    reader.post("unsubscribe", {"List-Unsubscribe": "One-Click"})


def page_topic(reader: Reader, _: House) -> None:
    reader.post("unsubscribe", {"leave": "topic"})


def page_all(reader: Reader, _: House) -> None:
    reader.post("unsubscribe", {"leave": "all"})


def preference_centre(reader: Reader, _: House) -> None:
    reader.post("preferences", {"action": "save", "language": "it"})


def stop_everything(reader: Reader, _: House) -> None:
    reader.post("preferences", {"action": "stop"})


def mail(reader: Reader, house: House) -> None:
    token = links.sign(reader.settings, "unsubscribe", reader.ref)
    box = mailbox.Maildir(house.settings.inbox.removeprefix("maildir:"))
    box.add(f"From: x@example.net\r\nTo: leave@lago.example\r\nSubject: unsubscribe {token}\r\n\r\n".encode())
    assert inbox.fetch(house).withdrawals == 1


def complaint(reader: Reader, _: House) -> None:
    with reader.work() as session:
        now = reader.clock.now()
        track.record(session, [Arrival("complained", now, "inbox", "x", reader.message_id, reason="abuse")], now)


def provider(reader: Reader, _: House) -> None:
    with reader.mailroom() as room:
        message_id = room.message(reader.message_id).message_id
        report = Report("unsubscribed", "x", {}, room.now, message_id=message_id)
        sender = senders.add(room.session, "generic", "ours", ["a key of ours"], [], room.now)
        take(room.session, Known(reader.workspace_id, sender.id, "generic", Secrets()), [report], room.now)


WAYS: tuple[Callable[[Reader, House], None], ...] = (
    *(one_click, page_topic, page_all, preference_centre, stop_everything, mail, complaint, provider),
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_r7_every_way_out_stops_what_is_queued_and_what_is_leased(
    reader: Reader, house: House, way: Callable[[Reader, House], None]
) -> None:
    with reader.mailroom() as room:
        contact = room.session.scalars(select(Contact).where(Contact.id == reader.contact_id)).one()
        offers = [room.plan(contact) for _ in WAITING]
        service = room.plan(contact, "note")
        lease = leases.begin(room.session)
        for number, state in zip(offers, WAITING, strict=True):
            room.change(number, state=state)
        room.change(offers[-1], lease_token=lease.token)
    way(reader, house)
    with reader.mailroom() as room:
        ends = {(room.message(number).state, room.message(number).rule) for number in offers}
        assert ends == {("cancelled", "R7")}
        assert {room.message(number).ledger_line for number in offers} <= {line.line for line in room.lines()}
        held = room.message(offers[-1])
        line = {
            "id": held.id,
            "contact_id": held.contact_id,
            "address": reader.address,
            "address_hash": "",
            "subject": "x",
            "message_id": "<x@lago.example>",
            "language": "it",
            "template_version_id": 1,
            "facts": {},
        }
        assert leases.hand_over(room.session, lease, [line], room.now) == {}
        assert room.message(held.id).state == "cancelled"
        assert room.message(service).state == "planned"
    assert reader.consents()["offers"] in {"withdrawn", "objected"}
