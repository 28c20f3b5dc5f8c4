"""R53: what has had its time goes, night by night, in batches that can be killed; proof and figures stay."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.clock import FixedClock
from app.consent import chain
from app.db import Database, workspace_of
from app.due import due, following
from app.rights import retention
from tests.messages.mailroom import Mailroom
from tests.rights.filling import fill

Work = Callable[[], AbstractContextManager[Session]]


def nights(session: Session, clock: FixedClock, limit: int = 500) -> int:
    """Run the stage until nothing is due; how many batches."""
    batches = 0
    retention.run(session, clock.now(), limit)
    clock.advance(timedelta(days=1))
    while retention.run(session, clock.now(), limit).more:
        batches += 1
    return batches


def one(session: Session, sql: str) -> object:
    session.expire_all()
    return session.execute(text(sql)).scalar()


def test_r53_a_workspace_is_looked_after_from_its_first_night_on(work: Work, db: Database, clock: FixedClock) -> None:
    with work() as session:
        number = workspace_of(session)
    with db.system() as session:
        assert ("retention", number) in due(session, clock.now())
    with work() as session:
        retention.run(session, clock.now(), 500)
    with db.system() as session:
        assert ("retention", number) not in due(session, clock.now())
        assert following(session, clock.now()) is None, "a night to come is nothing to wait for"
        assert ("retention", number) in due(session, clock.now() + timedelta(days=1))


def test_r53_mails_go_after_24_months_and_what_was_sent_stays_known(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        old = room.plan(room.guest(), "note")
        room.change(old, state="accepted", subject="Ciao Anna", facts={"contact": {}})
        clock.advance(timedelta(days=720))
        young = room.plan(room.guest(email="b@example.com"), "note")
        room.change(young, state="accepted", subject="Ciao Bruno", facts={"contact": {}})
        nights(session, clock)
        assert room.message(old).subject == "Ciao Anna"
        clock.advance(timedelta(days=20))
        nights(session, clock)
        assert (room.message(old).subject, room.message(old).facts, room.message(old).state) == (None, None, "accepted")
        assert room.message(young).subject == "Ciao Bruno"


def test_r53_a_workspace_may_keep_mails_for_less(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        session.get_one(Workspace, workspace_of(session)).settings = {"retention": {"mails": 1}}
        number = room.plan(room.guest(), "note")
        room.change(number, state="accepted", subject="Ciao Anna")
        clock.advance(timedelta(days=31))
        nights(session, clock)
        assert room.message(number).subject is None


def test_r53_marketing_data_goes_24_months_after_the_last_sign_of_life_and_consent_stays(
    work: Work, clock: FixedClock
) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        silent = room.guest(tags=["vip"], attributes={"loves": "boats", "birth_date": "1980-01-01"})
        alive = room.guest(email="b@example.com", tags=["vip"], attributes={})
        room.say(silent)
        clock.advance(timedelta(days=740))
        room.say(alive)
        nights(session, clock)
        rows = {row.id: row.tags for row in session.execute(text("SELECT id, tags FROM contacts"))}
        assert rows == {silent.id: [], alive.id: ["vip"]}
        assert one(session, f"SELECT attributes FROM contacts WHERE id = {silent.id}") == {"birth_date": "1980-01-01"}
        assert room.lines()[0].state == "granted"
        assert chain.broken(session) is None


def test_r53_details_of_a_purchase_go_after_12_months_and_the_figures_stay(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        told = {"arrival": "2026-03-20", "amount": 42000, "room_type": "suite", "note": "honeymoon"}
        claim = {"id": "1:a", "type": "booking.confirmed", "at": "x", "occurred_at": "x", "source": 1}
        claims = [{**claim, "fields": told}]
        booking = room.make.booking(room.guest(), amount=42000, room_type="suite", data={"note": "x"}, claims=claims)
        clock.advance(timedelta(days=400))
        nights(session, clock)
        row = session.execute(text("SELECT * FROM bookings WHERE id = :id"), {"id": booking.id}).one()
    assert (row.amount, row.room_type, row.data) == (42000, None, {})
    assert row.claims[0]["fields"] == {"arrival": "2026-03-20", "amount": 42000}


def test_r53_addresses_of_machines_go_after_six_months_but_not_out_of_the_proof(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        anna = room.guest()
        fill(session, anna, clock.now())
        session.execute(text("""UPDATE delivery_events SET data = '{"ip": "192.0.2.1", "url": "x"}'"""))
        room.say(anna, proof={"wording_version": "1", "ip": "192.0.2.1"})
        clock.advance(timedelta(days=190))
        nights(session, clock)
        assert one(session, "SELECT data FROM delivery_events") == {"url": "x"}
        assert room.lines()[-1].proof["ip"] == "192.0.2.1"


def test_r53_reports_of_nobodys_mail_go_after_12_months(work: Work, clock: FixedClock) -> None:
    with work() as session:
        fill(session, Mailroom(session, clock).guest(), clock.now())
        clock.advance(timedelta(days=370))
        nights(session, clock)
        assert one(session, "SELECT count(*) FROM unmatched_reports") == 0
        assert one(session, "SELECT count(*) FROM event_conflicts") == 0


def test_r53_small_batches_come_to_the_same_and_a_second_night_finds_nothing(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        numbers = [room.plan(room.guest(email=f"g{n}@example.com"), "note") for n in range(7)]
        for number in numbers:
            room.change(number, state="accepted", subject="x")
        clock.advance(timedelta(days=740))
        assert nights(session, clock, 2) > len(retention.TASKS)
        assert one(session, "SELECT count(*) FROM messages WHERE subject IS NOT NULL") == 0
        assert one(session, "SELECT removed FROM retention_marks WHERE task = 'mails'") == 7
        nights(session, clock, 2)
        assert one(session, "SELECT removed FROM retention_marks WHERE task = 'mails'") == 0


@pytest.mark.parametrize("people", [3, 40])
def test_r53_a_batch_costs_the_same_however_many_there_are(
    work: Work, db: Database, clock: FixedClock, people: int
) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        for n in range(people):
            room.change(room.plan(room.guest(email=f"g{n}@example.com"), "note"), state="accepted", subject="x")
        retention.run(session, clock.now(), 500)
    clock.advance(timedelta(days=740))
    asked: list[str] = []

    def count(*given: object) -> None:
        asked.append(str(given[2]))

    for _ in retention.TASKS:
        asked.clear()
        with work() as session:
            event.listen(db.engine, "before_cursor_execute", count)
            retention.run(session, clock.now(), 500)
            session.flush()
            event.remove(db.engine, "before_cursor_execute", count)
        assert len(asked) <= retention.QUERIES, asked
