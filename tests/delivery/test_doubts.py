"""What may have left goes once more only where its provider knows it again, as it was, and only while that holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from app.consent.ledger import Act, Barred, append, suppress
from app.consent.ledger import address_key as key_of
from app.db import Ran
from app.delivery import deliver, domains, doubts, senders
from app.due import due
from tests.delivery.conftest import Post, add
from tests.delivery.fakes.remembering import Brevo, Resend
from tests.delivery.fakes.server import Asked, Fake, Said, say


@pytest.fixture
def by_resend(open_post: Callable[..., Post], fakes: Callable[..., Fake]) -> tuple[Post, Fake, Resend]:
    """A house that sends by Resend alone."""
    post = open_post("capture:", calls_allow=("127.0.0.0/8",), smtp_timeout=2, smtp_connections=1)
    provider = Resend()
    fake = fakes(provider)
    add(post, "resend", "main", fake)
    return post, fake, provider


def killed(post: Post, id_: int, attempts: int = 0) -> None:
    """The row as a worker leaves it that was killed between the provider's yes and its own commit."""
    assert post.message(id_).state == "accepted"
    gone = {"provider_id": None, "accepted_at": None, "ended_at": None, "attempts": attempts}
    post.change(id_, state="handed_over", lease_until=post.clock.now() - timedelta(seconds=1), **gone)


def settle(post: Post) -> Ran:
    """What the timer and the worker do about it."""
    with post.house.database.system() as session:
        deliver.recover(session, post.clock.now())
    return doubts.run(post.house, post.workspace_id, lambda *_: {})


def is_due(post: Post) -> bool:
    with post.house.database.system() as session:
        return ("doubts", post.workspace_id) in due(session, post.clock.now())


def test_r39_a_mail_of_a_killed_worker_is_asked_for_once_more_and_never_sent_twice(
    by_resend: tuple[Post, Fake, Resend],
) -> None:
    post, fake, provider = by_resend
    (id_,) = post.plan("anna@example.com")
    post.run()
    killed(post, id_)
    assert is_due(post)
    post.clock.advance(timedelta(minutes=5))
    assert settle(post) == Ran(1, False)
    message = post.message(id_)
    assert (message.state, message.provider_id, message.lease_until) == ("accepted", "re-1", None)
    first, second = fake.asked
    assert (first.body, first.headers["idempotency-key"]) == (second.body, second.headers["idempotency-key"])
    assert list(provider.mails.values()) == [1]
    assert [one.outcome for one in post.attempts(id_)] == ["accepted", "accepted"]
    assert settle(post).done == 0


def test_where_it_had_never_arrived_it_goes_now(by_resend: tuple[Post, Fake, Resend]) -> None:
    post, fake, provider = by_resend
    fake.answer = lambda _: say(200, {}, "cut")
    (id_,) = post.plan("anna@example.com")
    post.run()
    waiting = post.message(id_)
    assert (waiting.state, waiting.reason) == ("handed_over", "no_answer")
    assert waiting.lease_until is not None
    assert not is_due(post)
    assert waiting.lease_token is None, "nobody has it in hand"
    assert settle(post).done == 0
    fake.answer = provider
    post.clock.set(waiting.lease_until)
    assert settle(post).done == 1
    assert post.message(id_).state == "accepted"
    assert list(provider.mails.values()) == [1]


def test_brevo_says_that_the_key_came_before_and_that_settles_it(
    open_post: Callable[..., Post], fakes: Callable[..., Fake]
) -> None:
    post = open_post("capture:", calls_allow=("127.0.0.0/8",), smtp_connections=1)
    provider = Brevo()
    add(post, "brevo", "main", fakes(provider))
    (id_,) = post.plan("anna@example.com")
    post.run()
    killed(post, id_)
    settle(post)
    assert post.message(id_).state == "accepted"
    assert list(provider.mails.values()) == [1]
    assert list(provider.asked.values()) == [2]


def test_a_key_that_a_refused_try_had_used_says_nothing_of_the_one_in_doubt(
    open_post: Callable[..., Post], fakes: Callable[..., Fake]
) -> None:
    """Brevo failed first and may remember the key all the same: "came before" is no yes then."""
    post = open_post("capture:", calls_allow=("127.0.0.0/8",), smtp_connections=1)
    provider = Brevo()
    fake = fakes(lambda _: say(500, {"message": "down"}))
    add(post, "brevo", "main", fake)
    (id_,) = post.plan("anna@example.com")
    post.run()
    post.clock.set(post.message(id_).due_at)
    fake.answer = provider
    post.run()
    killed(post, id_, attempts=1)
    settle(post)
    message = post.message(id_)
    assert (message.state, message.reason) == ("handed_over", "no_answer")


def test_r39_silence_is_asked_again_until_the_key_is_forgotten(
    by_resend: tuple[Post, Fake, Resend],
) -> None:
    post, fake, _ = by_resend
    fake.answer = lambda _: say(502, None)
    (id_,) = post.plan("anna@example.com")
    post.run()
    tries = 0
    began = post.clock.now()
    while (message := post.message(id_)).state == "handed_over":
        assert message.lease_until is not None
        post.clock.set(message.lease_until + timedelta(seconds=1))
        tries += settle(post).done
        assert tries < 30
    assert (message.state, message.reason, message.rule) == ("unknown", "no_answer", "R39")
    assert timedelta(hours=20) < post.clock.now() - began < timedelta(hours=30)
    asked = len(fake.asked)
    post.clock.advance(timedelta(days=1))
    assert settle(post).done == 0
    assert len(fake.asked) == asked


def test_what_the_provider_surely_did_not_take_now_it_may_have_taken_before(
    by_resend: tuple[Post, Fake, Resend],
) -> None:
    """503 to the second request: not `ready`, from where it would go under another key or another way."""
    post, fake, provider = by_resend
    (id_,) = post.plan("anna@example.com")
    post.run()
    killed(post, id_)
    fake.answer = lambda _: say(503, {"message": "down"})
    settle(post)
    waiting = post.message(id_)
    assert waiting.state == "handed_over"
    assert waiting.lease_until is not None
    fake.answer = provider
    post.clock.set(waiting.lease_until)
    settle(post)
    assert post.message(id_).state == "accepted"
    assert list(provider.mails.values()) == [1]


def withdrawn(post: Post, id_: int) -> None:
    contact = post.contact_of(id_)
    with post.house.database.work(post.workspace_id) as session:
        act = Act(contact.id, key_of("anna@example.com"), "email", "marketing", None, "withdrawn", "staff",
                  post.clock.now())  # fmt: skip
        append(session, [act], post.clock.now())


def suppressed(post: Post, id_: int) -> None:
    with post.house.database.work(post.workspace_id) as session:
        suppress(session, [Barred("email", "anna@example.com", "hard_bounce")], post.clock.now())


def moved(post: Post, id_: int) -> None:
    contact = post.contact_of(id_)
    with post.house.database.work(post.workspace_id) as session:
        found = session.merge(contact)
        found.email = found.email_key = "elsewhere@example.com"


def other_account(post: Post, id_: int) -> None:
    with post.house.database.work(post.workspace_id) as session:
        senders.rotate(session, senders.named(session, "main"), credentials={"key": "re_of_another_account"})


def erased(post: Post, id_: int) -> None:
    message = post.message(id_)
    post.change(id_, facts={"way": (message.facts or {})["way"]})


@pytest.mark.parametrize("meanwhile", [suppressed, moved, other_account, erased])
def test_of_who_must_not_get_it_any_more_the_doubt_stays_a_doubt(
    by_resend: tuple[Post, Fake, Resend], meanwhile: Callable[[Post, int], None]
) -> None:
    post, fake, _ = by_resend
    (id_,) = post.plan("anna@example.com")
    post.run()
    killed(post, id_)
    meanwhile(post, id_)
    settle(post)
    message = post.message(id_)
    assert (message.state, message.reason) == ("unknown", "worker_lost")
    assert len(fake.asked) == 1
    assert "way" not in (message.facts or {})
    assert not is_due(post)


def test_r2_a_consent_withdrawn_meanwhile_keeps_it_from_being_handed_over_once_more(
    by_resend: tuple[Post, Fake, Resend],
) -> None:
    post, fake, _ = by_resend
    (id_,) = post.plan("anna@example.com", template="news", class_="marketing", topic="offers")
    contact = post.contact_of(id_)
    with post.house.database.work(post.workspace_id) as session:
        proof: dict[str, Any] = {"page": "preferences", "wording": "Yes", "wording_version": 1}
        grant = Act(contact.id, key_of("anna@example.com"), "email", "marketing", None, "granted",
                    "preference_centre", post.clock.now(), proof=proof)  # fmt: skip
        append(session, [grant], post.clock.now())
        domains.add(session, "verbano.example", post.clock.now()).marketing_at = post.clock.now()
    post.run()
    assert len(fake.asked) == 1, post.message(id_).reason
    killed(post, id_)
    withdrawn(post, id_)
    settle(post)
    message = post.message(id_)
    assert message.state == "unknown"
    assert message.verdict[-1]["allowed"] is False
    assert len(fake.asked) == 1


def test_a_sender_that_is_switched_off_is_waited_for(by_resend: tuple[Post, Fake, Resend]) -> None:
    post, fake, provider = by_resend
    (id_,) = post.plan("anna@example.com")
    post.run()
    killed(post, id_)
    with post.house.database.work(post.workspace_id) as session:
        senders.named(session, "main").active = False
    settle(post)
    assert (post.message(id_).state, len(fake.asked)) == ("handed_over", 1)
    with post.house.database.work(post.workspace_id) as session:
        senders.named(session, "main").active = True
    post.clock.advance(doubts.PATIENCE)
    settle(post)
    assert post.message(id_).state == "accepted"
    assert list(provider.mails.values()) == [1]


def test_what_was_let_go_by_another_way_is_never_asked_for_again(
    by_resend: tuple[Post, Fake, Resend], fakes: Callable[..., Fake]
) -> None:
    """Resend surely had not taken it, and the next way may have: Resend would send it a second time."""
    post, fake, _ = by_resend
    fake.answer = lambda _: say(500, {"message": "down"})
    seen: list[Any] = []

    def cut(_: Asked) -> Said:
        seen.append("way" in (post.message(id_).facts or {}))
        return say(200, {}, "cut")

    add(post, "mailgun", "spare", fakes(cut))
    (id_,) = post.plan("anna@example.com")
    post.run()
    assert seen == [False], "written before the other way had it"
    assert post.message(id_).state == "unknown"
    post.change(id_, state="handed_over", lease_until=post.clock.now() - timedelta(seconds=1))
    settle(post)
    assert (post.message(id_).state, len(fake.asked)) == ("unknown", 1)


def test_who_lost_the_lease_meanwhile_lets_nothing_go_by_another_way(
    by_resend: tuple[Post, Fake, Resend], fakes: Callable[..., Fake]
) -> None:
    post, fake, provider = by_resend

    def slow(_: Asked) -> Said:
        post.change(id_, lease_token=1)  # another worker holds it by now
        return say(500, {"message": "down"})

    fake.answer = slow
    spare = fakes(lambda _: say(200, {"id": "x", "message": "Queued. Thank you."}))
    add(post, "mailgun", "spare", spare)
    (id_,) = post.plan("anna@example.com")
    post.run()
    assert spare.asked == []
    assert post.message(id_).state == "handed_over"
    assert "way" in (post.message(id_).facts or {})
    assert provider.mails.total() == 0


def test_its_queries_do_not_grow_with_what_is_in_doubt_but_for_the_making_of_each_mail(
    by_resend: tuple[Post, Fake, Resend],
) -> None:
    post, _, _ = by_resend

    def cost(many: int) -> int:
        ids = post.plan(*(f"guest-{many}-{number}@example.com" for number in range(many)))
        post.run()
        for id_ in ids:
            killed(post, id_)
        statements: list[str] = []

        def count(_1: Any, _2: Any, statement: str, *_: Any) -> None:
            if not statement.startswith(("SAVEPOINT", "RELEASE", "SELECT set_config")):
                statements.append(statement)

        event.listen(post.house.database.engine, "before_cursor_execute", count)
        try:
            assert settle(post).done == many
        finally:
            event.remove(post.house.database.engine, "before_cursor_execute", count)
        return len([one for one in statements if "property_facts" not in one])

    few, more = cost(2), cost(9)
    assert more <= few + 1
