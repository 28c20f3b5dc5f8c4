"""R53: what has had its time goes, night by night, in batches that can be killed; proof and figures stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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


def one(session: Session, sql: str, **asked: object) -> object:
    session.expire_all()
    return session.execute(text(sql), asked).scalar()


@contextmanager
def counted(db: Database) -> Iterator[list[str]]:
    """The statements that are run meanwhile."""
    asked: list[str] = []

    def note(*given: object) -> None:
        asked.append(str(given[2]))

    event.listen(db.engine, "before_cursor_execute", note)
    yield asked
    event.remove(db.engine, "before_cursor_execute", note)


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


def test_r53_reports_of_nobodys_mail_go_with_what_tells_of_machines(work: Work, clock: FixedClock) -> None:
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
        assert nights(session, clock, 2) >= 4
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
    with work() as session, counted(db) as asked:
        retention.run(session, clock.now(), 500)
        session.flush()
    assert len(asked) <= retention.QUERIES, asked
    with work() as session:
        assert one(session, "SELECT count(*) FROM messages WHERE subject IS NOT NULL") == 0, "all in the one batch"


def test_r53_a_night_in_which_nothing_is_old_is_one_batch_of_one_look_a_task(
    work: Work, db: Database, clock: FixedClock
) -> None:
    with work() as session:
        retention.run(session, clock.now(), 500)
    clock.advance(timedelta(days=1))
    with work() as session, counted(db) as asked:
        retention.run(session, clock.now(), 500)
        session.flush()
    assert len(asked) <= len(retention.TASKS) + 15, asked
    with work() as session:
        assert one(session, "SELECT count(*) FROM retention_marks WHERE due_at <= :now", now=clock.now()) == 0


def test_r53_a_later_night_finds_who_has_become_silent_since(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        first = room.guest(tags=["vip"])
        clock.advance(timedelta(days=100))
        second = room.guest(email="b@example.com", tags=["vip"])
        booked = room.guest(email="c@example.com", tags=["vip"])
        room.make.booking(booked, departure=(clock.now() + timedelta(days=50)).date())
        gone = []
        for days in (640, 95, 50):
            clock.advance(timedelta(days=days))
            nights(session, clock)
            rows = session.execute(text("SELECT id FROM contacts WHERE tags = '{}' ORDER BY id")).scalars().all()
            gone.append(list(rows))
        assert gone == [[first.id], [first.id, second.id], [first.id, second.id, booked.id]]


def test_r53_what_a_longer_period_keeps_and_a_shorter_one_then_drops(work: Work, clock: FixedClock) -> None:
    with work() as session:
        room = Mailroom(session, clock)
        house = session.get_one(Workspace, workspace_of(session))
        anna = room.guest(tags=["vip"])
        house.settings = {"retention": {"marketing": 36}}
        clock.advance(timedelta(days=740))
        nights(session, clock)
        assert one(session, f"SELECT tags FROM contacts WHERE id = {anna.id}") == ["vip"]
        house = session.get_one(Workspace, workspace_of(session))
        house.settings = {}
        nights(session, clock)
        assert one(session, f"SELECT tags FROM contacts WHERE id = {anna.id}") == []


def test_r53_decisions_refusals_and_looks_are_logs_and_go_after_12_months(work: Work, clock: FixedClock) -> None:
    with work() as session:
        anna = Mailroom(session, clock).guest()
        fill(session, anna, clock.now())
        session.execute(text("UPDATE enrollments SET status = 'exited', ended_at = :now"), {"now": clock.now()})
        session.execute(text("UPDATE step_visits SET enrollment_id = (SELECT id FROM enrollments)"))
        session.execute(text("""UPDATE step_visits SET detail = '{"sentence": {"en": "x"}, "inputs": {"a": 1}}'"""))
        clock.advance(timedelta(days=360))
        nights(session, clock)
        assert one(session, "SELECT count(*) FROM entry_refusals") == 1
        clock.advance(timedelta(days=10))
        nights(session, clock)
        assert one(session, "SELECT count(*) FROM entry_refusals") == 0
        assert one(session, "SELECT count(*) FROM data_accesses") == 0
        assert one(session, "SELECT detail FROM step_visits") == {"sentence": {"en": "x"}}
        assert one(session, "SELECT moved FROM contact_merges") == {}


def test_r53_addresses_of_machines_go_wherever_they_are_kept(work: Work, clock: FixedClock) -> None:
    machine = '{"ip": "192.0.2.1", "user_agent": "x", "confirmed_ip": "192.0.2.1", "confirmed_user_agent": "x"}'
    with work() as session:
        fill(session, Mailroom(session, clock).guest(), clock.now())
        session.execute(text("UPDATE events SET data = CAST(:machine AS jsonb)"), {"machine": machine})
        session.execute(text("UPDATE enrollments SET event = CAST(:machine AS jsonb)"), {"machine": machine})
        session.execute(text("""UPDATE delivery_events SET kind = 'clicked', data = '{"raw": {"ip": "192.0.2.1"}}'"""))
        clock.advance(timedelta(days=190))
        nights(session, clock)
        for table, column in (("events", "data"), ("enrollments", "event"), ("delivery_events", "data")):
            assert one(session, f"SELECT {column} FROM {table} WHERE CAST({column} AS text) LIKE '%192.0.2%'") is None
        assert one(session, "SELECT count(*) FROM unmatched_reports") == 0
        assert one(session, "SELECT count(*) FROM event_conflicts") == 0
