"""The gate in batches: every planned message gets a verdict with its reason, in a fixed number of queries."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import event, text

from app.accounts.models import Workspace
from app.clock import FixedClock
from app.config import Settings
from app.consent import ledger
from app.consent.ledger import Barred
from app.db import Database, Ran
from app.events.models import EventWork
from app.messages import gate, grounds
from app.messages.rows import load_rows
from tests.messages.mailroom import Mailroom


def test_r1_a_message_without_basis_is_refused_and_says_why(mailroom: Mailroom) -> None:
    number = mailroom.plan(mailroom.guest())
    assert mailroom.gate().done == 1
    message = mailroom.message(number)
    assert (message.state, message.reason, message.rule) == ("refused", "no_consent", "R1")
    assert message.ended_at == mailroom.now
    (verdict,) = message.verdict
    assert (verdict["moment"], verdict["allowed"]) == ("gate", False)
    assert [check["check"] for check in verdict["checks"]] == ["person", "address", "basis"]


def test_r1_a_message_with_consent_is_ready_and_names_its_line(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(mailroom.guest())
    line = mailroom.say(guest)
    number = mailroom.plan(guest)
    mailroom.gate()
    message = mailroom.message(number)
    assert (message.state, message.reason) == ("ready", None)
    assert (message.basis, message.ledger_line) == ("consent", line)


def test_r8_a_paying_guest_who_was_told_may_get_offers(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.make.booking(guest, amount=24000, currency="EUR", channel="direct")
    line = mailroom.say(guest, purpose="notice", proof={"wording_version": "1", "refusal_offered": True})
    number = mailroom.plan(guest)
    mailroom.gate()
    assert (mailroom.message(number).basis, mailroom.message(number).ledger_line) == ("soft_opt_in", line)


def test_r37_a_suppressed_address_gets_nothing(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    ledger.suppress(mailroom.session, [Barred("email", guest.email or "", "hard_bounce")], mailroom.now)
    number = mailroom.plan(guest, "note")
    mailroom.gate()
    assert (mailroom.message(number).reason, mailroom.message(number).rule) == ("suppressed", "R37")


def test_r46_two_offers_due_together_the_more_important_goes_and_the_other_waits(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    low, high = mailroom.plan(guest, priority=10), mailroom.plan(guest, priority=90)
    mailroom.gate()
    assert mailroom.message(high).state == "ready"
    waiting = mailroom.message(low)
    assert (waiting.state, waiting.reason) == ("deferred", "cap")
    assert waiting.due_at.isoformat() == "2026-03-11T07:00:00+00:00"


def test_r46_the_deferred_one_goes_the_next_morning(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    low, high = mailroom.plan(guest, priority=10), mailroom.plan(guest, priority=90)
    mailroom.gate()
    mailroom.change(high, state="accepted", handed_over_at=mailroom.now, accepted_at=mailroom.now)
    mailroom.clock.advance(timedelta(hours=22))
    mailroom.gate()
    assert mailroom.message(low).state == "ready"
    assert [entry["outcome"] for entry in mailroom.message(low).verdict] == ["deferred", "allowed"]


def test_r46_what_is_ready_counts_as_sent(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    mailroom.plan(guest, priority=10)
    mailroom.gate()
    late = mailroom.plan(guest, priority=90)
    mailroom.gate()
    assert mailroom.message(late).state == "deferred"


def test_r46_a_later_but_more_important_message_of_the_same_day_keeps_its_slot(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    low = mailroom.plan(guest, priority=10)
    mailroom.plan(guest, priority=90, due_at=mailroom.now + timedelta(hours=2))
    mailroom.gate()
    assert mailroom.message(low).reason == "outranked"


def test_r47_in_quiet_hours_offers_wait_and_service_goes(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    mailroom.clock.advance(timedelta(hours=12))
    offer, note = mailroom.plan(guest), mailroom.plan(guest, "note")
    mailroom.gate()
    assert (mailroom.message(offer).reason, mailroom.message(note).state) == ("quiet_hours", "ready")


def test_r60_a_passage_that_is_over_cancels_its_message(mailroom: Mailroom) -> None:
    number = mailroom.plan(mailroom.guest(), "note")
    gate.run(mailroom.session, mailroom.now, 10, lambda *_: {number: "booking cancelled"})
    message = mailroom.message(number)
    assert (message.state, message.reason, message.rule) == ("cancelled", "exited", "R60")


def test_a_contact_with_unseen_events_is_passed_over_until_they_are_seen(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    number = mailroom.plan(guest, "note")
    work = mailroom.make.add(EventWork, contact_id=guest.id, event_pk=1, received_at=mailroom.now)
    assert mailroom.gate().done == 0
    assert mailroom.message(number).state == "planned"
    work.attempts, work.not_before = 1, mailroom.now + timedelta(hours=1)
    mailroom.session.flush()  # the gate reads by Core
    assert mailroom.gate().done == 1


def test_a_message_not_due_is_left_alone(mailroom: Mailroom) -> None:
    mailroom.plan(mailroom.guest(), "note", due_at=mailroom.now + timedelta(minutes=1))
    assert mailroom.gate().done == 0


def test_a_plan_written_twice_is_one_message(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.plan(guest, "note", enrollment_id=5, step_id="confirm")
    with pytest.raises(IndexError):
        mailroom.plan(guest, "note", enrollment_id=5, step_id="confirm")
    mailroom.plan(guest, "note", enrollment_id=5, step_id="confirm", visit=2)


def test_more_than_the_limit_is_said(mailroom: Mailroom) -> None:
    for _ in range(3):
        mailroom.plan(mailroom.guest(), "note")
    assert mailroom.gate(2) == Ran(2, True)
    assert mailroom.gate(2) == Ran(1, False)


@pytest.mark.parametrize("count", [2, 40])
def test_judging_costs_the_same_queries_for_two_messages_and_for_forty(mailroom: Mailroom, count: int) -> None:
    for number in range(count):
        guest = mailroom.guest()
        mailroom.say(guest)
        mailroom.make.booking(guest)
        mailroom.plan(guest, "offer" if number % 2 else "note")
    asked: list[str] = []
    connection = mailroom.session.connection()
    event.listen(connection, "before_cursor_execute", lambda *given: asked.append(given[2]))
    assert mailroom.gate().done == count
    assert len(asked) == gate.QUERIES
    assert grounds.QUERIES == 13


def test_r2_judged_again_at_the_lease_a_withdrawal_meanwhile_stops_it(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    number = mailroom.plan(guest)
    mailroom.gate()
    mailroom.clock.advance(timedelta(minutes=1))
    mailroom.say(guest, "withdrawn")
    rows = load_rows(mailroom.session, [number])
    decisions = gate.judge(mailroom.session, rows, mailroom.now, "lease", lambda *_: {})
    assert (decisions[number].outcome, decisions[number].code) == ("refused", "withdrawn")
    gate.record(mailroom.session, rows, decisions, mailroom.now, "lease")
    message = mailroom.message(number)
    assert (message.state, message.rule) == ("refused", "R7")
    assert [entry["moment"] for entry in message.verdict] == ["gate", "lease"]


def test_r46_the_lease_sees_what_its_own_batch_is_about_to_send(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.say(guest)
    numbers = [mailroom.plan(guest, priority=priority) for priority in (10, 90, 50)]
    for number in numbers:
        mailroom.change(number, state="ready")
    rows = load_rows(mailroom.session, numbers)
    decisions = gate.judge(mailroom.session, rows, mailroom.now, "lease", lambda *_: {})
    assert [decisions[number].outcome for number in numbers] == ["deferred", "allowed", "deferred"]


def test_r46_two_workers_that_lease_at_once_still_send_one(mailroom: Mailroom) -> None:
    # Neither sees the other's lease, but each sees the other's message as ready: rank alone decides.
    guest = mailroom.guest()
    mailroom.say(guest)
    low, high = mailroom.plan(guest, priority=10), mailroom.plan(guest, priority=90)
    for number in (low, high):
        mailroom.change(number, state="ready")
    outcomes = [
        gate.judge(mailroom.session, load_rows(mailroom.session, [one]), mailroom.now, "lease", lambda *_: {})[one]
        for one in (low, high)
    ]
    assert [decision.outcome for decision in outcomes] == ["deferred", "allowed"]


def test_r46_the_cap_holds_with_two_gates_at_once(database: Database, settings: Settings, clock: FixedClock) -> None:
    database.settings = settings
    with database.system() as session:
        workspace = Workspace(slug="busy", name="Busy", settings={}, created_at=clock.now())
        session.add(workspace)
        session.flush()  # its number is asked for
        workspace_id = workspace.id
    with database.work(workspace_id) as session:
        mailroom = Mailroom(session, clock)
        for _ in range(10):
            guest = mailroom.guest()
            mailroom.say(guest)
            for priority in (10, 20, 30):
                mailroom.plan(guest, priority=priority)

    def work() -> None:
        more = True
        while more:
            with database.work(workspace_id) as session:
                more = gate.run(session, clock.now(), 4, lambda *_: {}).more

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.work(workspace_id) as session:
        counted = session.execute(
            text("SELECT contact_id, count(*) FILTER (WHERE state = 'ready') FROM messages GROUP BY 1")
        ).all()
    assert [count for _, count in counted] == [1] * 10
