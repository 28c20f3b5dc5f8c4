"""Paces: nobody is written to faster than they take it, nobody else waits for that, and nothing is lost."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from redis import Redis
from sqlalchemy import select

from app.accounts.models import Workspace
from app.delivery.paces import (
    ANSWER_SECONDS,
    AT_ONCE,
    BULK_SHARE,
    RECOVERY,
    Pace,
    Paces,
    Slowed,
    Wanting,
    pace_of,
    patience,
    provider_of,
    rate_now,
)
from app.delivery.providers import Accepted, Permanent, Transient, Unknown
from app.messages.models import Message
from tests.delivery.conftest import Post
from tests.sink import Sink

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
BUSY = Transient("421 4.7.0", "4.7.0 Too many messages, try again later")


def wanting(
    count: int, domain: str = "gmail.com", class_: str = "marketing", *, promised: bool = False
) -> list[Wanting]:
    return [Wanting(number, f"g{number}@{domain}", class_, None, promised) for number in range(count)]


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("a@gmail.com", "google"),
        ("a@GoogleMail.com", "google"),
        ("a@hotmail.it", "microsoft"),
        ("a@virgilio.it", "italiaonline"),
        ("a@hotel-lago.example", "hotel-lago.example"),
    ],
)
def test_domains_that_share_a_provider_share_its_pace(address: str, provider: str) -> None:
    assert provider_of(address) == provider


def test_a_rate_is_kept_and_a_few_seconds_of_it_may_go_at_once(redis: Redis) -> None:
    later = Paces(redis, 1, {"google": {"minute": 60}}).book(wanting(100), NOON)
    at_once = int(AT_ONCE.total_seconds() * BULK_SHARE)
    assert len(later) == 100 - at_once - 1
    instants = sorted(later.values())
    gaps = {round((after - before).total_seconds(), 3) for before, after in pairwise(instants)}
    assert gaps == {round(1 / BULK_SHARE, 3)}
    assert instants[0] > NOON


def test_what_has_no_limit_waits_for_nothing_and_costs_one_question(redis: Redis) -> None:
    paces = Paces(redis, 1)
    paces.slowed(NOON)  # a connection that is made says who it is, once
    before = redis.info("commandstats")
    assert paces.book(wanting(500, "hotel-lago.example"), NOON) == {}
    after = redis.info("commandstats")
    asked = {
        name: stat["calls"] - before.get(name, {"calls": 0})["calls"]
        for name, stat in after.items()
        if name != "cmdstat_info"
    }
    assert {name: calls for name, calls in asked.items() if calls} == {"cmdstat_hgetall": 1}


def test_the_slower_of_two_rates_counts_and_a_workspace_may_set_its_own() -> None:
    assert Pace(60, 1800).per_second == 0.5
    assert pace_of("google", {}).minute > 0
    assert pace_of("google", {"google": {"minute": 5}}) == Pace(5)
    assert pace_of("hotel-lago.example", {}) == Pace()
    assert pace_of("hotel-lago.example", {"hotel-lago.example": {"hour": 60}}).per_second == pytest.approx(1 / 60)


def test_service_mail_does_not_wait_behind_a_broadcast(redis: Redis) -> None:
    paces = Paces(redis, 1, {"google": {"minute": 60}})
    assert len(paces.book(wanting(5000), NOON)) > 4900
    assert paces.book(wanting(3, class_="transactional"), NOON) == {}


def test_promised_places_are_kept_and_a_heap_of_them_is_spread_anew(redis: Redis) -> None:
    paces = Paces(redis, 1, {"google": {"minute": 60}})
    paces.book(wanting(10), NOON)
    soon = NOON + timedelta(seconds=8)
    assert paces.book(wanting(3, promised=True), soon) == {}
    much_later = NOON + timedelta(hours=1)
    heap = paces.book(wanting(600, promised=True), much_later)
    assert 600 - 60 <= len(heap) < 600
    assert min(heap.values()) > much_later
    assert (max(heap.values()) - much_later).total_seconds() > 500


def test_nobody_gets_an_instant_after_its_latest(redis: Redis) -> None:
    paces = Paces(redis, 1, {"google": {"minute": 1}})
    latest = NOON + timedelta(minutes=5)
    later = paces.book([one._replace(latest=latest) for one in wanting(50)], NOON)
    assert max(later.values()) == latest


@pytest.mark.parametrize(
    ("outcome", "steps"),
    [
        (BUSY, 1),
        (Transient("450 4.2.1", "4.2.1 The user you are trying to contact is receiving mail too quickly"), 1),
        (Transient("451 4.7.1", "Temporarily deferred"), 1),
        (Transient("451 4.7.1", "Greylisting in action, please come back later"), 0),
        (Transient("452 4.2.2", "mailbox full"), 0),
        (Transient("450 4.1.1", "no such user yet"), 0),
        (Transient(None, "no connection"), 0),
        (Permanent("550 5.7.1", "blocked: bad reputation", "sender"), 2),
        (Permanent("550 5.1.1", "no such user", "recipient"), 0),
        (Accepted(None), 0),
        (Unknown("silence"), 0),
    ],
)
def test_r35_only_what_is_about_us_slows_us_down(outcome: object, steps: int) -> None:
    assert patience(outcome) == steps


def test_a_provider_that_asks_for_patience_gets_less_and_recovers(redis: Redis) -> None:
    paces = Paces(redis, 1)
    paces.heard([("a@gmail.com", BUSY)], NOON)
    held = paces.slowed(NOON)["google"]
    assert (held.level, held.why) == (1, "421 4.7.0 4.7.0 Too many messages, try again later")
    later = paces.book(wanting(1), NOON)
    assert later[0] == held.until() > NOON
    assert paces.book(wanting(3, "libero.it"), NOON) == {}
    paces.heard([("a@gmail.com", BUSY)], NOON + timedelta(minutes=1))
    assert paces.slowed(NOON + timedelta(minutes=1))["google"].level == 2
    assert paces.slowed(NOON + timedelta(minutes=1) + RECOVERY)["google"].level_now(NOON + RECOVERY * 1.3) == 1
    assert paces.slowed(NOON + timedelta(minutes=1) + 2 * RECOVERY) == {}


def test_one_groups_many_refusals_are_one(redis: Redis) -> None:
    paces = Paces(redis, 1)
    paces.heard([(f"g{n}@gmail.com", BUSY) for n in range(50)], NOON)
    paces.heard([(f"g{n}@gmail.com", BUSY) for n in range(50)], NOON + timedelta(seconds=2))
    assert paces.slowed(NOON)["google"].level == 1


def test_a_halved_rate_is_half_and_one_without_a_rate_begins_somewhere() -> None:
    slowed = Slowed(1, NOON, "421")
    assert rate_now(Pace(60), slowed, NOON) == 0.5
    assert 0 < rate_now(Pace(), slowed, NOON) < 60
    assert rate_now(Pace(), None, NOON) == 0
    assert rate_now(Pace(60), slowed, NOON + RECOVERY) == 1


def test_a_lost_redis_holds_nobody_up() -> None:
    # As the house opens it: made otherwise, the client tries again for seconds, each time it is asked.
    with Redis.from_url("redis://127.0.0.1:1/0") as gone:
        paces = Paces(gone, 1, {"google": {"minute": 1}})
        assert paces.book(wanting(50), NOON) == {}
        paces.heard([("a@gmail.com", BUSY)], NOON)
        assert paces.slowed(NOON) == {}


def test_a_redis_that_hangs_is_waited_for_once_and_shortly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hangs = Redis(port=silent.getsockname()[1], socket_timeout=60, socket_connect_timeout=60)
        began = time.monotonic()
        for _ in range(20):
            assert Paces(hangs, 1, {"google": {"minute": 60}}).book(wanting(10), NOON) == {}
        assert time.monotonic() - began < 3 * ANSWER_SECONDS
        hangs.close()


def test_losing_the_counters_only_starts_the_rates_anew(redis: Redis) -> None:
    paces = Paces(redis, 1, {"google": {"minute": 60}})
    first = paces.book(wanting(50), NOON)
    redis.flushall()
    assert paces.book(wanting(50), NOON) == first


# -- in the line -------------------------------------------------------------------------------------------------------


def limit(post: Post, **paces: dict[str, int]) -> None:
    with post.house.database.system() as session:
        session.scalars(select(Workspace).where(Workspace.id == post.workspace_id)).one().settings = {"paces": paces}


def waiting(post: Post) -> Counter[tuple[str, str | None]]:
    with post.house.database.work(post.workspace_id) as session:
        return Counter((row.state, row.reason) for row in session.execute(select(Message.state, Message.reason)))


def test_a_slow_provider_keeps_nobody_else_waiting_and_all_arrive_in_the_end(
    open_post: Callable[..., Post], smtp: Sink, redis: Redis, valkey: object
) -> None:
    post = open_post(smtp.url, redis_url=valkey.url)  # type: ignore[attr-defined]
    limit(post, google={"minute": 60})
    slow = post.plan(*(f"slow{n}@gmail.com" for n in range(40)))
    quick = post.plan(*(f"quick{n}@hotel-lago.example" for n in range(40)))
    post.run()
    assert {post.message(number).state for number in quick} == {"accepted"}
    held = [post.message(number) for number in slow if post.message(number).state == "ready"]
    assert waiting(post)["ready", "throttled"] == len(held) > 30
    assert all(one.due_at > post.clock.now() and one.rule == "R35" for one in held)
    assert [check["code"] for check in held[0].verdict[-1]["checks"] if not check["allowed"]] == ["throttled"]
    assert held[0].verdict[-1]["until"] == held[0].due_at.isoformat()
    for _ in range(45):
        post.clock.advance(timedelta(seconds=1))
        post.run()
    assert post.states() == {"accepted": 80}
    assert len(smtp.mails) == 80
    assert max(Counter(post.message(number).accepted_at for number in slow[6:]).values()) <= 2


def test_a_provider_that_says_too_many_is_left_alone_for_a_while(
    open_post: Callable[..., Post], smtp: Sink, redis: Redis, valkey: object
) -> None:
    post = open_post(smtp.url, redis_url=valkey.url)  # type: ignore[attr-defined]
    Paces(redis, post.workspace_id).heard([("a@slow.example", BUSY)], post.clock.now())
    first, other = post.plan("a@slow.example", "b@quick.example")
    post.run()
    assert (post.message(first).state, post.message(first).reason) == ("ready", "throttled")
    assert post.message(other).state == "accepted"
    post.clock.advance(timedelta(minutes=1))
    post.run()
    assert post.message(first).state == "accepted"
