"""Each message leaves once; what is certain is written down, what is not is called unknown."""

from __future__ import annotations

import email
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.policy import default

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import event, select, text

from app.consent.ledger import Act, Barred, append, suppress, suppressed, suppression_hashes
from app.db import Database
from app.delivery import deliver, leases, outcomes
from app.delivery.models import CapturedMail
from app.delivery.providers import Accepted
from app.events.models import EventWork
from app.messages import gate
from app.messages.models import Message
from tests.delivery.conftest import Post
from tests.delivery.test_dkim import published, put
from tests.sink import Sink


def test_a_ready_message_reaches_the_mailbox_in_the_readers_language(post: Post, smtp: Sink) -> None:
    (id_,) = post.plan("anna@example.com")
    assert post.run().done == 1
    message = post.message(id_)
    assert (message.state, message.reason, message.attempts) == ("accepted", None, 1)
    assert (message.accepted_at, message.ended_at, message.handed_over_at) == (post.clock.now(),) * 3
    assert (message.address, message.subject, message.language) == ("anna@example.com", "Ciao Anna", "it")
    (taken,) = smtp.mails
    read = email.message_from_bytes(taken.data, policy=default)
    assert read["Subject"] == "Ciao Anna"
    assert read["Message-ID"] == message.message_id
    assert read["Date"].datetime == post.clock.now()
    assert [(one.number, one.outcome, one.transport) for one in post.attempts(id_)] == [(1, "accepted", "smtp")]


def test_a_mail_is_signed_with_the_key_of_its_senders_domain(post: Post, smtp: Sink) -> None:
    key = rsa.generate_private_key(65537, 2048)
    put(post.house.settings.data_dir, "verbano.example.p1.pem", key)
    post.plan("anna@example.com")
    post.run()
    assert dkim.verify(smtp.mails[0].data, dnsfunc=published(key))


def test_service_mail_goes_before_marketing(post: Post) -> None:
    news = post.plan("a@example.com", template="news", class_="marketing", topic="offers")
    note = post.plan("b@example.com", due_at=post.clock.now())
    post.run(limit=1)
    assert (post.message(news[0]).state, post.message(note[0]).state) == ("ready", "accepted")


def test_it_is_judged_once_more_and_a_refusal_is_kept(post: Post, smtp: Sink) -> None:
    (id_,) = post.plan("a@example.com", template="news", class_="marketing", topic="offers")
    post.run()
    message = post.message(id_)
    assert (message.state, message.reason, message.rule) == ("refused", "no_consent", "R1")
    assert smtp.mails == []


def test_a_contact_with_events_nobody_has_looked_at_is_waited_for(post: Post, smtp: Sink) -> None:
    (id_,) = post.plan("a@example.com")
    message = post.message(id_)
    with post.house.database.work(post.workspace_id) as session:
        session.add(
            EventWork(
                workspace_id=post.workspace_id,
                contact_id=message.contact_id,
                event_pk=1,
                received_at=post.clock.now(),
                attempts=0,
            )
        )
    assert post.run().done == 0
    assert post.message(id_).state == "ready"


def test_what_is_not_due_waits(post: Post) -> None:
    (id_,) = post.plan("a@example.com", due_at=post.clock.now() + timedelta(seconds=1))
    assert post.run().done == 0
    post.clock.advance(timedelta(seconds=1))
    post.run()
    assert post.message(id_).state == "accepted"


def test_a_mail_that_cannot_be_made_fails_alone_with_its_reason(post: Post, smtp: Sink) -> None:
    broken, fine = post.plan("a@example.com", "b@example.com")
    post.change(broken, template="gone")
    post.run()
    assert (post.message(broken).state, post.message(broken).reason) == ("failed", "no_template")
    assert post.message(broken).verdict[-1]["moment"] == "compose"
    assert post.message(fine).state == "accepted"


def test_a_name_cannot_smuggle_a_header(post: Post, smtp: Sink) -> None:
    (id_,) = post.plan("a@example.com")
    with post.house.database.work(post.workspace_id) as session:
        session.execute(text("UPDATE contacts SET first_name = E'Anna\\r\\nBcc: eve@example.com', last_name = 'X'"))
    post.run()
    assert post.message(id_).state in {"accepted", "failed"}
    assert all("eve@example.com" not in mail.recipients for mail in smtp.mails)
    assert all(email.message_from_bytes(mail.data)["Bcc"] is None for mail in smtp.mails)


def test_what_was_put_off_is_tried_again_with_the_same_message_id(post: Post, smtp: Sink) -> None:
    (id_,) = post.plan("greylist@example.com")
    post.run()
    waiting = post.message(id_)
    assert (waiting.state, waiting.reason, waiting.rule, waiting.attempts) == ("ready", "put_off", "R39", 1)
    assert timedelta(minutes=1) <= waiting.due_at - post.clock.now() <= timedelta(minutes=1.2)
    assert post.run().done == 0
    post.clock.advance(timedelta(minutes=2))
    post.run()
    done = post.message(id_)
    assert (done.state, done.attempts, done.message_id) == ("accepted", 2, waiting.message_id)
    assert [(one.number, one.outcome, one.code) for one in post.attempts(id_)] == [
        (1, "transient", "451 4.7.1"),
        (2, "accepted", "250 2.0.0"),
    ]
    assert list(smtp.ids.values()) == [1]


def test_tries_end_after_three_days(post: Post) -> None:
    (id_,) = post.plan("full@example.com")
    post.run()
    while (message := post.message(id_)).state == "ready":
        post.clock.set(message.due_at)
        post.run()
    assert (message.state, message.reason, message.rule) == ("failed", "retries_exhausted", "R39")
    assert timedelta(hours=66) < post.clock.now() - message.planned_at <= timedelta(hours=72)


def test_nothing_is_tried_after_its_latest_moment(post: Post) -> None:
    (id_,) = post.plan("full@example.com", latest=post.clock.now() + timedelta(seconds=30))
    post.run()
    assert (post.message(id_).state, post.message(id_).reason) == ("failed", "too_late")


def test_r35_an_address_that_does_not_exist_is_suppressed_at_once(post: Post) -> None:
    (id_,) = post.plan("bad@example.com")
    post.run()
    message = post.message(id_)
    assert (message.state, message.reason, message.rule) == ("failed", "hard_bounce", "R35")
    assert message.bounced_at == post.clock.now()
    assert [(one.kind, one.reason) for one in post.reports(id_)] == [("bounced", "hard")]
    with post.house.database.work(post.workspace_id) as session:
        found = suppressed(session, [("email", "bad@example.com")])
    assert [one.reason for one in found["email", "bad@example.com"]] == ["hard_bounce"]


def test_r35_a_block_is_the_senders_fault_and_never_held_against_the_address(post: Post) -> None:
    (id_,) = post.plan("blocked@example.com")
    post.run()
    assert (post.message(id_).state, post.message(id_).reason) == ("failed", "blocked")
    with post.house.database.work(post.workspace_id) as session:
        assert suppressed(session, [("email", "blocked@example.com")]) == {}


def test_a_silence_after_the_data_is_unknown_and_never_sent_again_by_itself(post: Post, smtp: Sink) -> None:
    (id_,) = post.plan("cut@example.com")
    post.run()
    message = post.message(id_)
    assert (message.state, message.reason, message.rule) == ("unknown", "no_answer", "R39")
    post.clock.advance(timedelta(days=2))
    with post.house.database.system() as session:
        deliver.recover(session, post.clock.now())
    assert post.run().done == 0
    assert list(smtp.ids.values()) == [1]


def test_trouble_with_one_mail_leaves_the_others_of_its_group_alone(post: Post, smtp: Sink) -> None:
    post.plan(*(f"guest{n}@example.com" for n in range(60)), "bad1@example.com", "drop@example.com", "cut@example.com")
    post.run()
    assert post.states() == {"accepted": 60, "failed": 1, "ready": 1, "unknown": 1}
    assert smtp.ids.total() == len(smtp.ids) == 61


def test_the_outbox_keeps_what_would_have_gone(open_post: Callable[..., Post]) -> None:
    post = open_post("capture:")
    (id_,) = post.plan("anna@example.com")
    post.run()
    with post.house.database.work(post.workspace_id) as session:
        kept = session.scalars(select(CapturedMail)).one()
    assert (kept.message_pk, kept.envelope_to) == (id_, "anna@example.com")
    assert email.message_from_bytes(kept.raw, policy=default)["Subject"] == "Ciao Anna"


# -- leases ----------------------------------------------------------------------------------------------------------


def lease_all(post: Post) -> leases.Lease:
    """What a worker does before it is killed."""
    now = post.clock.now()
    with post.house.database.work(post.workspace_id) as session:
        rows = leases.due(session, now, 500)
        lease = leases.begin(session)
        decisions = gate.judge(session, rows, now, "lease", lambda *_: {})
        gate.record(session, rows, decisions, now, "lease", (lease.token, now + timedelta(seconds=20)))
        return lease


def kept(post: Post, id_: int) -> dict[str, object]:
    message = post.message(id_)
    return {
        "id": id_,
        "contact_id": message.contact_id,
        "address": "a@example.com",
        "address_hash": "00",
        "subject": "x",
        "message_id": "<x@y>",
        "language": "it",
        "template_version_id": None,
        "facts": {},
    }


def test_an_expired_lease_makes_the_message_ready_again(post: Post, smtp: Sink) -> None:
    (id_,) = post.plan("a@example.com")
    lease_all(post)
    assert post.run().done == 0
    post.clock.advance(timedelta(seconds=21))
    with post.house.database.system() as session:
        assert deliver.recover(session, post.clock.now()) == leases.Recovered(freed=1, unknown=0)
    post.run()
    assert post.message(id_).state == "accepted"
    assert list(smtp.ids.values()) == [1]


def test_what_was_handed_over_by_a_dead_worker_is_unknown(post: Post, smtp: Sink) -> None:
    (id_,) = post.plan("a@example.com")
    lease = lease_all(post)
    with post.house.database.work(post.workspace_id) as session:
        assert leases.hand_over(session, lease, [kept(post, id_)], post.clock.now()) == {id_: post.clock.now()}
    post.clock.advance(timedelta(seconds=21))
    with post.house.database.system() as session:
        assert deliver.recover(session, post.clock.now()) == leases.Recovered(freed=0, unknown=1)
    assert post.run().done == 0
    assert (post.message(id_).state, post.message(id_).reason) == ("unknown", "worker_lost")


def test_a_worker_taken_for_dead_cannot_send_what_another_has_taken(post: Post) -> None:
    (id_,) = post.plan("a@example.com")
    old = lease_all(post)
    post.clock.advance(timedelta(seconds=21))
    with post.house.database.system() as session:
        deliver.recover(session, post.clock.now())
    new = lease_all(post)
    with post.house.database.work(post.workspace_id) as session:
        assert leases.hand_over(session, old, [kept(post, id_)], post.clock.now()) == {}
    assert post.message(id_).lease_token == new.token


def test_a_late_answer_settles_the_doubt(post: Post) -> None:
    (id_,) = post.plan("a@example.com")
    lease = lease_all(post)
    with post.house.database.work(post.workspace_id) as session:
        first_at = leases.hand_over(session, lease, [kept(post, id_)], post.clock.now())[id_]
    post.clock.advance(timedelta(seconds=21))
    with post.house.database.system() as session:
        deliver.recover(session, post.clock.now())
    with post.house.database.work(post.workspace_id) as session:
        settled = outcomes.Settled(post.message(id_), first_at, Accepted("q1"), "smtp")
        outcomes.settle(session, lease, [settled], post.clock.now())
    assert (post.message(id_).state, post.message(id_).provider_id) == ("accepted", "q1")


@pytest.mark.parametrize("what", ["consent line", "suppression", "event"])
def test_what_the_person_said_since_the_lease_counts_until_the_hand_over(post: Post, what: str) -> None:
    (id_,) = post.plan("a@example.com")
    lease = lease_all(post)
    contact_id = post.message(id_).contact_id
    now = post.clock.now()
    line = kept(post, id_)
    with post.house.database.work(post.workspace_id) as session:
        if what == "consent line":
            act = Act(contact_id, "a@example.com", "email", "marketing", None, "withdrawn", "staff", now)
            append(session, [act], now)
        elif what == "suppression":
            suppress(session, [Barred("email", "a@example.com", "manual")], now)
            line["address_hash"] = suppression_hashes(post.house.settings, "email", "a@example.com")[0].hex()
        else:
            row = {"workspace_id": post.workspace_id, "contact_id": contact_id, "event_pk": 1, "received_at": now}
            session.add(EventWork(**row, attempts=0))
    with post.house.database.work(post.workspace_id) as session:
        assert leases.hand_over(session, lease, [line], now) == {}
    assert post.message(id_).state == "ready"


def test_a_slow_provider_does_not_lose_the_lease(open_post: Callable[..., Post]) -> None:
    with Sink(delay=0.5) as sink:
        post = open_post(sink.url, lease_seconds=1)
        (id_,) = post.plan("a@example.com")
        before = post.clock.now()
        worker = threading.Thread(target=post.run)
        worker.start()
        while post.message(id_).state != "handed_over":
            worker.join(0.01)
        post.clock.advance(timedelta(seconds=5))
        seen = []
        while worker.is_alive():
            worker.join(0.05)
            seen.append(post.message(id_).lease_until)
        assert any(until and until > before + timedelta(seconds=5) for until in seen)
        assert post.message(id_).state == "accepted"


def test_two_workers_on_one_queue_send_each_message_once(post: Post, database_url: str, smtp: Sink) -> None:
    post.plan(*(f"guest{n}@example.com" for n in range(300)))

    def work() -> None:
        while post.run(limit=40).done:
            pass

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert post.states() == {"accepted": 300}
    assert smtp.ids.total() == len(smtp.ids) == 300


# -- cost ------------------------------------------------------------------------------------------------------------


@contextmanager
def counting(database: Database) -> Iterator[list[str]]:
    """The statements sent meanwhile, without those that open a transaction's scope."""
    seen: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_more: object) -> None:
        if "set_config" not in statement:
            seen.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("number", [1, 50, 120])
def test_a_batch_costs_a_fixed_number_of_queries(post: Post, number: int) -> None:
    post.plan(*(f"guest{n}@example.com" for n in range(number)))
    with counting(post.house.database) as statements:
        post.run()
    parts = sum("'handed_over', handed_over_at" in statement for statement in statements)
    assert parts <= 2 + number / deliver.SMALLEST
    assert len(statements) <= deliver.QUERIES_TO_LEASE + parts * deliver.QUERIES_PER_GROUP
    assert post.states() == {"accepted": number}


def test_no_message_is_left_on_its_way(post: Post) -> None:
    post.plan(*(f"guest{n}@example.com" for n in range(10)))
    post.run()
    with post.house.database.work(post.workspace_id) as session:
        assert session.scalars(select(Message.lease_until).where(Message.lease_until.is_not(None))).all() == []
