"""Several ways out: another is tried only where the first surely took nothing; attempts and senders tell of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select

from app.api.health import Figures
from app.db import Database, Ran
from app.delivery import deliver, proof, reported, senders, ways
from app.delivery.circuit import FAILURES, SHORTEST
from app.delivery.mime import Mail, Mailbox, assemble
from app.delivery.models import Sender, UnmatchedReport
from app.delivery.proof import Proof
from app.delivery.providers import Outgoing
from app.delivery.providers.readers import READERS
from app.delivery.providers.webhooks import Request, Secrets, as_tag
from app.delivery.providers.writers import WRITERS
from app.delivery.sender_checks import Outward, SenderError
from app.delivery.senders import Known
from app.house import furnish
from app.sealed import opened, reseal
from tests.conftest import START
from tests.delivery.conftest import Post, add
from tests.delivery.fakes.providers import PROVIDERS
from tests.delivery.fakes.server import Asked, Fake, Said, say
from tests.sink import Sink

_numbers = itertools.count(1)


def mailgun(asked: Asked) -> Said:
    """Mailgun, with an id of its own for each mail."""
    (mail,) = PROVIDERS["mailgun"].mails(asked)
    return say(200, {"id": mail["headers"]["message-id"], "message": "Queued. Thank you."})


def resend(_: Asked) -> Said:
    return say(200, {"id": f"re-{next(_numbers)}"})


@pytest.fixture
def two(open_post: Callable[..., Post], fakes: Callable[..., Fake]) -> tuple[Post, Fake, Fake]:
    """A house that sends by Mailgun, and by Resend where that does not take a mail; SMTP_URL would keep them."""
    post = open_post("capture:", calls_allow=("127.0.0.0/8",), smtp_timeout=1, smtp_connections=1)
    first, second = fakes(mailgun), fakes(resend)
    add(post, "mailgun", "first", first)
    add(post, "resend", "second", second)
    return post, first, second


def sender(post: Post, name: str) -> Sender:
    with post.house.database.work(post.workspace_id) as session:
        return session.scalars(select(Sender).where(Sender.name == name)).one()


def tries(post: Post, id_: int) -> list[tuple[int, str, str]]:
    return [(one.number, one.transport, one.outcome) for one in post.attempts(id_)]


def figures(post: Post) -> dict[str, float]:
    """What `/metrics` says of each sender."""
    told = {metric.name: metric.samples for metric in Figures(post.house).collect()}
    return {one.labels["sender"]: one.value for one in told["percorso_sender_circuit"]}


def test_a_mail_goes_out_by_the_first_way_and_its_attempt_names_the_sender(two: tuple[Post, Fake, Fake]) -> None:
    post, first, second = two
    (id_,) = post.plan("anna@example.com")
    assert post.run().done == 1
    message = post.message(id_)
    assert (message.state, message.provider_id) == ("accepted", message.message_id)
    assert tries(post, id_) == [(1, "first", "accepted")]
    assert (len(first.asked), len(second.asked)) == (1, 0)
    assert sender(post, "first").last_sent_at == post.clock.now()


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_what_the_first_way_surely_did_not_take_goes_by_the_next_at_once(
    two: tuple[Post, Fake, Fake], status: int
) -> None:
    post, first, second = two
    first.answer = lambda _: say(status, {"message": "no"})
    (id_,) = post.plan("anna@example.com")
    post.run()
    message = post.message(id_)
    assert (message.state, message.attempts) == ("accepted", 1)
    assert tries(post, id_) == [(1, "first", "transient"), (1, "second", "accepted")]
    assert len(second.asked) == 1
    assert sender(post, "first").last_error is not None


def test_nobody_at_home_is_surely_not_taken(two: tuple[Post, Fake, Fake]) -> None:
    post, first, _ = two
    first.close()
    (id_,) = post.plan("anna@example.com")
    post.run()
    assert tries(post, id_) == [(1, "first", "transient"), (1, "second", "accepted")]


@pytest.mark.parametrize("how", ["cut", "silent"])
def test_a_mail_in_doubt_is_never_given_to_another_way(two: tuple[Post, Fake, Fake], how: Any) -> None:
    post, first, second = two
    first.answer = lambda _: say(200, {}, how)
    (id_,) = post.plan("anna@example.com")
    post.run()
    assert (post.message(id_).state, post.message(id_).reason) == ("unknown", "no_answer")
    post.clock.advance(timedelta(days=1))
    assert post.run().done == 0
    assert (len(first.asked), second.asked) == (1, [])


def test_a_mail_refused_for_its_reader_or_for_what_it_is_goes_nowhere_else(two: tuple[Post, Fake, Fake]) -> None:
    post, first, second = two
    answers = iter([PROVIDERS["mailgun"].bad_reader, say(400, {"message": "this is spam"})])
    first.answer = lambda _: next(answers)
    reader, spam = post.plan("nobody@example.com", "anna@example.com")
    post.run()
    assert {post.message(reader).reason, post.message(spam).reason} == {"hard_bounce", "blocked"}
    assert second.asked == []


def test_where_no_way_takes_it_the_mail_waits_and_is_tried_again(two: tuple[Post, Fake, Fake]) -> None:
    post, first, second = two
    first.answer = second.answer = lambda _: say(503, {"message": "down"}, Retry_After="600")
    (id_,) = post.plan("anna@example.com")
    post.run()
    waiting = post.message(id_)
    assert (waiting.state, waiting.reason) == ("ready", "put_off")
    assert waiting.due_at >= post.clock.now() + timedelta(seconds=600)
    assert tries(post, id_) == [(1, "first", "transient"), (1, "second", "transient")]
    first.answer = mailgun
    post.clock.set(waiting.due_at)
    post.run()
    assert post.message(id_).state == "accepted"
    assert post.message(id_).message_id == waiting.message_id


def test_a_way_that_fails_again_and_again_is_left_alone_then_tried_with_one_mail(two: tuple[Post, Fake, Fake]) -> None:
    post, first, _ = two
    first.answer = lambda _: say(500, {"message": "down"})
    for _ in range(FAILURES):
        post.plan(f"guest{next(_numbers)}@example.com")
        post.run()
    assert sender(post, "first").open_until == post.clock.now() + SHORTEST
    assert figures(post) == {"first": 2, "second": 0}
    asked = len(first.asked)
    (spared,) = post.plan("spared@example.com")
    post.run()
    assert tries(post, spared) == [(1, "second", "accepted")]
    assert len(first.asked) == asked
    post.clock.advance(SHORTEST)
    assert figures(post)["first"] == 1
    first.answer = mailgun
    ids = post.plan(*(f"guest{next(_numbers)}@example.com" for _ in range(5)))
    post.run()
    assert len(first.asked) == asked + 5
    assert all(tries(post, id_) == [(1, "first", "accepted")] for id_ in ids)
    healed = sender(post, "first")
    assert (healed.failures, healed.open_until) == (0, None)


def test_a_new_process_knows_which_ways_are_left_alone(two: tuple[Post, Fake, Fake]) -> None:
    post, first, _ = two
    first.answer = lambda _: say(429, {"message": "slow"}, Retry_After="60")
    post.plan("anna@example.com")
    post.run()
    ways.hang_up()  # what a new process begins with
    post.plan("berta@example.com")
    post.run()
    assert len(first.asked) == 1


def shut(post: Post, until: timedelta, *names: str) -> None:
    with post.house.database.work(post.workspace_id) as session:
        for one in senders.listed(session):
            if one.name in names:
                one.failures, one.open_until = FAILURES, post.clock.now() + until


def test_while_every_way_is_left_alone_nothing_is_taken_up_and_one_query_says_so(two: tuple[Post, Fake, Fake]) -> None:
    post, first, second = two
    shut(post, SHORTEST, "first", "second")
    ids = post.plan(*(f"guest{number}@example.com" for number in range(60)))
    statements: list[str] = []

    def count(_1: Any, _2: Any, statement: str, *_: Any) -> None:
        if not statement.lower().startswith(("savepoint", "release", "select set_config")):
            statements.append(statement)

    event.listen(post.house.database.engine, "before_cursor_execute", count)
    try:
        assert post.run() == Ran(0, False)
    finally:
        event.remove(post.house.database.engine, "before_cursor_execute", count)
    assert len(statements) == 1, statements
    assert post.states() == {"ready": 60}
    # The first that tries is one of a few, not of all.
    first.answer = second.answer = lambda _: say(503, {"message": "down"})
    post.clock.advance(SHORTEST)
    assert post.run().done == deliver.FIRST
    assert (len(first.asked), len(second.asked)) == (1, 1)
    assert sum(bool(tries(post, id_)) for id_ in ids) == deliver.FIRST
    first.answer = mailgun
    post.clock.advance(timedelta(minutes=30))
    while post.run().more:
        pass
    assert post.states() == {"accepted": 60}


def test_a_stream_whose_ways_are_left_alone_keeps_the_other_from_nothing(
    open_post: Callable[..., Post], fakes: Callable[..., Fake]
) -> None:
    post = open_post("capture:", calls_allow=("127.0.0.0/8",), smtp_connections=1)
    add(post, "resend", "news", fakes(resend), ("marketing",))
    add(post, "mailgun", "desk", fakes(mailgun), ("service",))
    shut(post, SHORTEST, "news")
    (waits,) = post.plan("anna@example.com", template="news", class_="marketing", topic="offers")
    (goes,) = post.plan("berta@example.com")
    assert post.run().done == 1
    assert (post.message(waits).state, post.message(goes).state) == ("ready", "accepted")


def test_at_the_gate_what_no_way_takes_is_judged_and_ready_for_when_one_does(two: tuple[Post, Fake, Fake]) -> None:
    post, first, second = two
    shut(post, SHORTEST, "first", "second")
    (id_,) = post.plan("anna@example.com", state="planned")
    deliver.through_the_gate(post.house, post.workspace_id, 500, lambda *_: {})
    waiting = post.message(id_)
    assert (waiting.state, waiting.reason, waiting.lease_token) == ("ready", None, None)
    assert waiting.verdict[-1]["allowed"] is True
    assert first.asked == second.asked == []
    post.clock.advance(SHORTEST)
    post.run()
    assert post.message(id_).state == "accepted"


def test_marketing_and_service_mail_go_by_ways_of_their_own(
    open_post: Callable[..., Post], fakes: Callable[..., Fake], smtp: Sink
) -> None:
    post = open_post(smtp.url, calls_allow=("127.0.0.1",))
    fake = fakes(resend)
    add(post, "resend", "news", fake, ("marketing",))
    post.plan("anna@example.com")
    post.run()
    assert (len(smtp.mails), fake.asked) == (1, []), "no sender has the stream service: SMTP_URL is its way out"
    message = Mail(Mailbox("", "a@b.example"), Mailbox("", "c@d.example"), "x", "x", "x", "<1@b.example>", START)
    out = Outgoing(1, 1, "<1@b.example>", "a@b.example", "c@d.example", assemble(message), message, "marketing")
    with post.house.database.work(post.workspace_id) as session:
        known = senders.ways(session)
    handed = ways.open_ways(post.house, post.workspace_id, known).send(
        [out, replace(out, message_pk=2, stream="service")]
    )
    assert [one.by for one in handed] == ["news", "smtp"]
    assert (len(smtp.mails), len(fake.asked)) == (2, 1)


def test_the_order_of_a_stream_is_the_teams(two: tuple[Post, Fake, Fake]) -> None:
    post, first, second = two
    with post.house.database.work(post.workspace_id) as session:
        senders.order(session, "service", ["second", "first"])
    post.plan("anna@example.com")
    post.run()
    assert (len(first.asked), len(second.asked)) == (0, 1)
    with post.house.database.work(post.workspace_id) as session:
        senders.order(session, "service", [])
        assert [(one.name, one.streams) for one in senders.listed(session)] == [
            ("second", ["marketing"]),
            ("first", ["marketing"]),
        ]
        with pytest.raises(SenderError):
            senders.order(session, "service", ["nobody"])


def test_a_batch_asks_for_its_ways_once_and_keeps_connections(two: tuple[Post, Fake, Fake]) -> None:
    post, first, _ = two
    post.plan(*(f"guest{number}@example.com" for number in range(30)))
    post.run()
    post.plan(*(f"again{number}@example.com" for number in range(30)))
    post.run()
    assert post.states() == {"accepted": 60}
    assert first.connections == 1


def test_a_trial_mail_goes_by_the_sender_that_is_named_and_is_counted_nowhere(two: tuple[Post, Fake, Fake]) -> None:
    post, first, second = two
    trial = Proof("team@example.com", "en", "Trial", "<p>x</p>", "x", "Hotel Verbano", "ciao@verbano.example")
    assert proof.send(post.house, post.workspace_id, trial, by="second").__class__.__name__ == "Accepted"
    assert (first.asked, len(second.asked)) == ([], 1)
    assert PROVIDERS["resend"].mails(second.asked[0])[0]["subject"] == "[Test] Trial"
    with pytest.raises(LookupError):
        proof.send(post.house, post.workspace_id, trial, by="nobody")
    assert post.states() == {}


# -- what a report is matched by --------------------------------------------------------------------------------------


def told(provider: str, message: Any, asked: Mapping[str, Any]) -> bytes:
    """A provider's webhook on a hard bounce of a mail it took, in its own words, naming it as that provider does."""
    ours = asked["ours"]
    bodies: Mapping[str, Any] = {
        "brevo": {
            "event": "hard_bounce",
            "email": message.address,
            "X-Mailin-custom": f'{{"percorso_message": "{ours}"}}',
        },
        "mailgun": {
            "event-data": {
                "event": "failed",
                "severity": "permanent",
                "reason": "bounce",
                "delivery-status": {"code": 550, "message": "5.1.1 no such user"},
                "user-variables": {"percorso_message": ours},
            }
        },
        "mailjet": {
            "event": "bounce",
            "hard_bounce": True,
            "email": message.address,
            "Payload": json.dumps({"percorso_message": ours}),
        },
        "postmark": {"RecordType": "Bounce", "Type": "HardBounce", "ID": 1, "Metadata": {"percorso_message": ours}},
        "resend": {
            "type": "email.bounced",
            "data": {"bounce": {"type": "Permanent"}, "tags": {"percorso_message": asked["tag"]}},
        },
        "sendgrid": [
            {"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "no such user", "percorso_message": ours}
        ],
        "sparkpost": [
            {
                "msys": {
                    "message_event": {
                        "type": "bounce",
                        "bounce_class": "10",
                        "rcpt_meta": {"percorso_message": ours},
                    }
                }
            }
        ],
        "amazon_ses": {
            "Type": "Notification",
            "MessageId": "sns-1",
            "Message": json.dumps(
                {
                    "eventType": "Bounce",
                    "mail": {"destination": [message.address], "tags": {"percorso_message": [asked["tag"]]}},
                    "bounce": {
                        "bounceType": "Permanent",
                        "bouncedRecipients": [{"emailAddress": message.address, "diagnosticCode": "5.1.1 unknown"}],
                    },
                }
            ),
        },
    }
    return json.dumps(bodies[provider]).encode()


@pytest.mark.parametrize("provider", sorted(WRITERS))
def test_a_webhook_finds_the_mail_by_what_went_out_with_it_although_no_answer_came(
    open_post: Callable[..., Post], fakes: Callable[..., Fake], provider: str
) -> None:
    """The line was cut before the provider's id came: only the metadata says whose bounce it is."""
    post = open_post("capture:", calls_allow=("127.0.0.0/8",), smtp_timeout=1)
    fake = fakes(lambda _: say(200, None, "cut"))
    add(post, provider, "main", fake)
    (id_,) = post.plan("anna@example.com")
    post.run()
    message = post.message(id_)
    assert message.state == ("handed_over" if WRITERS[provider].known_for else "unknown")
    (asked,) = PROVIDERS[provider].mails(fake.asked[0])
    assert asked["ours"] == message.message_id
    body = told(provider, message, {**asked, "tag": as_tag(asked["ours"])})
    reports = READERS[provider].parse(Request("POST", "https://x", {"content-type": "application/json"}, body))
    known = Known(post.workspace_id, sender(post, "main").id, provider, Secrets())
    with post.house.database.work(post.workspace_id) as session:
        taken = reported.take(session, known, reports, post.clock.now())
        assert session.scalars(select(UnmatchedReport)).all() == []
    assert taken.recorded == 1
    assert (post.message(id_).state, [one.reason for one in post.reports(id_)]) == ("accepted", ["hard"])


# -- secrets ----------------------------------------------------------------------------------------------------------


def test_what_a_sender_sends_with_is_sealed_and_checked(open_post: Callable[..., Post]) -> None:
    post = open_post("capture:")
    now = post.clock.now()
    with post.house.database.work(post.workspace_id) as session:
        made = senders.add(session, "sendgrid", "main", (), (), now, Outward({"key": "SG.secret"}))
        assert "SG.secret" not in (made.credentials or "")
        for provider, outward, why in (
            ("sendgrid", Outward({}), "sendgrid needs key"),
            ("sendgrid", Outward({"key": "k", "oops": "x"}), "knows no oops"),
            ("sendgrid", Outward({"key": "k"}, {"planet": "mars"}), "knows no planet"),
            ("sendgrid", Outward({"key": "k"}, {}, ("gossip",)), "service or marketing"),
            ("sendgrid", Outward({"key": "k\nx"}), "has a character"),
            ("sendgrid", Outward({"key": "k"}, {"base": "http://127.0.0.1:9"}), "PERCORSO_CALLS_ALLOW"),
            ("sendgrid", Outward({"key": "k"}, {"base": "https://evil.example"}), "PERCORSO_CALLS_ALLOW"),
            ("amazon_ses", Outward({"key_id": "a", "secret": "b"}, {"region": "evil/"}), "no region"),
            ("mailgun", Outward({"key": "k"}, {"domain": "a/b"}), "is not an address"),
            ("smtp", Outward({"url": "gopher://x"}), "SMTP_URL must be"),
            ("mandrill", Outward({"key": "k"}), "only reports"),
        ):
            with pytest.raises(SenderError, match=why):
                senders.add(session, provider, "other", (), (), now, outward)


def test_a_secret_that_is_changed_is_used_from_the_next_batch_on(two: tuple[Post, Fake, Fake]) -> None:
    post, first, _ = two
    post.plan("anna@example.com")
    post.run()
    with post.house.database.work(post.workspace_id) as session:
        senders.rotate(session, senders.named(session, "first"), credentials={"key": "key-2"})
    post.plan("berta@example.com")
    post.run()
    assert len({asked.headers["authorization"] for asked in first.asked}) == 2


def test_after_resealing_nothing_hangs_on_the_old_secret(two: tuple[Post, Fake, Fake], database_url: str) -> None:
    post = two[0]
    old = post.house.settings
    newer = replace(old, secret="n" * 40, previous_secrets=(old.secret,))
    house = furnish(newer, clock=post.clock, database=Database(database_url))
    with house.database.system() as session:
        done = reseal(session)
    assert (done.texts, done.lost) == (2, 0)
    alone = replace(newer, previous_secrets=())
    assert opened(alone, sender(post, "first").credentials or "") == '{"key":"key-1"}'
    house.database.settings = old
    with house.database.system() as session:
        assert reseal(session).lost == 2, "the old secret opens nothing any more, and nothing is overwritten"
    assert opened(alone, sender(post, "first").credentials or "") == '{"key":"key-1"}'
    house.close()


def test_a_sender_whose_secret_is_lost_keeps_its_mails_waiting(two: tuple[Post, Fake, Fake]) -> None:
    post, first, second = two
    with post.house.database.work(post.workspace_id) as session:
        for one in senders.listed(session):
            one.credentials = (one.credentials or "")[:-6] + "AAAAA="
    (id_,) = post.plan("anna@example.com")
    post.run()
    assert post.message(id_).state == "ready", "and it does not slip out by SMTP_URL"
    assert first.asked == second.asked == []
