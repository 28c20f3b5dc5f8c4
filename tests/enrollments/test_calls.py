"""Calls out: signed, repeated under one id, given up in time, never into a private network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text
from standardwebhooks import Webhook

from app.enrollments import calling, calls, endpoints
from app.enrollments.calls import Wanted
from app.enrollments.endpoints import EndpointRefusedError
from app.enrollments.models import Call, CallEndpoint
from app.house import House
from tests.hotel import Hotel
from tests.receiver import Answering, listening


@pytest.fixture
def other() -> Iterator[Answering]:
    with listening(Answering()) as answering:
        yield answering


@pytest.fixture
def house(hotel: Hotel) -> House:
    """The hotel's house, allowed to call this machine."""
    return replace(hotel.house, settings=replace(hotel.house.settings, calls_allow=("127.0.0.0/8",)))


def asked(hotel: Hotel, url: str, number: int = 1, name: str = "pms") -> str:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        secret = endpoints.add(session, name, url, hotel.clock.now(), {"x-hotel": "lago"})
        wanted = [Wanted(1, n, 1, "tell", 1, name, {"greeting": "ciao", "n": n}) for n in range(number)]
        calls.ask(session, wanted, hotel.clock.now())
        calls.ask(session, wanted, hotel.clock.now())
    return secret


def row(hotel: Hotel) -> Call:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return session.scalars(select(Call)).one()


def endpoint(hotel: Hotel) -> CallEndpoint:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return session.scalars(select(CallEndpoint)).one()


def test_a_call_is_made_once_signed_so_that_the_other_house_can_verify_it(
    hotel: Hotel, house: House, other: Answering
) -> None:
    secret = asked(hotel, other.url)
    assert calls.run(house, hotel.loaded.workspace_id, 500).done == 1
    assert calls.run(house, hotel.loaded.workspace_id, 500).done == 0
    ((headers, body),) = other.took
    assert headers["x-hotel"] == "lago"
    told = Webhook(secret).verify(body, headers)
    assert told["data"] == {"greeting": "ciao", "n": 0}
    done = row(hotel)
    assert (done.state, done.attempts, done.tries[0]["outcome"], done.tries[0]["status"]) == ("done", 1, "ok", 204)


def test_a_call_is_tried_again_on_its_schedule_under_the_same_id_until_it_is_taken(
    hotel: Hotel, house: House, other: Answering
) -> None:
    asked(hotel, other.url)
    other.status = 503
    gaps = []
    for _ in calls.DELAYS:
        before = hotel.clock.now()
        assert calls.run(house, hotel.loaded.workspace_id, 500).done == 1
        waiting = row(hotel)
        assert waiting.state == "waiting"
        assert waiting.next_at
        gaps.append(waiting.next_at - before)
        hotel.clock.set(waiting.next_at)
    assert all(delay <= gap <= delay * 1.2 for delay, gap in zip(calls.DELAYS, gaps, strict=True)), gaps
    other.status = 200
    calls.run(house, hotel.loaded.workspace_id, 500)
    assert row(hotel).state == "done"
    assert len({headers["webhook-id"] for headers, _ in other.took}) == 1
    assert len({body for _, body in other.took}) == 1


def test_a_call_that_nobody_takes_is_given_up_and_can_be_made_again_by_hand(
    hotel: Hotel, house: House, other: Answering
) -> None:
    asked(hotel, other.url)
    other.status = 500
    for _ in range(len(calls.DELAYS) + 1):
        calls.run(house, hotel.loaded.workspace_id, 500)
        hotel.clock.set(row(hotel).next_at or hotel.clock.now())
    given_up = row(hotel)
    assert (given_up.state, given_up.attempts) == ("failed", len(calls.DELAYS) + 1)
    other.status = 200
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert calls.again(session, given_up.id, hotel.clock.now())
    calls.run(house, hotel.loaded.workspace_id, 500)
    assert row(hotel).state == "done"


def test_the_other_house_may_say_how_long_to_wait(hotel: Hotel, house: House, other: Answering) -> None:
    asked(hotel, other.url)
    other.status, other.headers = 429, {"Retry-After": "600"}
    calls.run(house, hotel.loaded.workspace_id, 500)
    assert row(hotel).next_at == hotel.clock.now() + timedelta(seconds=600)


def test_an_endpoint_that_takes_nothing_for_days_is_switched_off_and_its_calls_say_so(
    hotel: Hotel, house: House, other: Answering
) -> None:
    asked(hotel, other.url)
    other.status = 500
    calls.run(house, hotel.loaded.workspace_id, 500)
    hotel.clock.advance(calls.GIVE_UP)
    calls.run(house, hotel.loaded.workspace_id, 500)
    off = endpoint(hotel)
    assert (off.active, off.stopped_reason, off.last_outcome) == (False, "failing", "refused 500")
    hotel.clock.advance(timedelta(hours=12))
    calls.run(house, hotel.loaded.workspace_id, 500)
    stopped = row(hotel)
    assert (stopped.state, stopped.tries[-1]["outcome"]) == ("failed", "stopped")
    assert len(other.took) == 2


def test_who_answers_410_is_not_called_again(hotel: Hotel, house: House, other: Answering) -> None:
    asked(hotel, other.url)
    other.status = 410
    calls.run(house, hotel.loaded.workspace_id, 500)
    assert row(hotel).state == "failed"
    assert (endpoint(hotel).active, endpoint(hotel).stopped_reason) == (False, "gone")


def test_a_redirect_is_an_answer_and_is_not_followed(hotel: Hotel, house: House, other: Answering) -> None:
    asked(hotel, other.url)
    with listening(Answering()) as elsewhere:
        other.status, other.headers = 302, {"Location": elsewhere.url}
        calls.run(house, hotel.loaded.workspace_id, 500)
        assert elsewhere.took == []
    assert row(hotel).tries[0]["outcome"] == "redirect"


def test_a_private_address_is_never_called(hotel: Hotel, other: Answering) -> None:
    asked(hotel, other.url)
    calls.run(hotel.house, hotel.loaded.workspace_id, 500)
    assert other.took == []
    refused = row(hotel)
    assert (refused.state, refused.tries[0]["outcome"]) == ("failed", "blocked")
    assert "127.0.0.1" in refused.tries[0]["said"]


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - an address to be refused
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_only_public_addresses_may_be_called(address: str, may: bool) -> None:
    assert calling.allowed(address, ()) is may


@pytest.mark.parametrize("url", ["ftp://x.example/", "https://user:pw@x.example/", "https:///x", "x.example", ""])
def test_an_address_that_cannot_be_called_is_refused_when_it_is_entered(hotel: Hotel, url: str) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session, pytest.raises(EndpointRefusedError):
        endpoints.add(session, "pms", url, hotel.clock.now())


def test_only_the_beginning_of_an_answer_is_read_and_kept(hotel: Hotel, house: House, other: Answering) -> None:
    asked(hotel, other.url)
    other.status, other.body = 200, b"x" * 5_000_000
    calls.run(house, hotel.loaded.workspace_id, 500)
    assert len(row(hotel).tries[0]["said"]) == calling.KEPT


def test_after_a_new_secret_both_sign_for_a_day(hotel: Hotel, house: House, other: Answering) -> None:
    older = asked(hotel, other.url)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        newer = endpoints.rotate(session, session.scalars(select(CallEndpoint)).one(), hotel.clock.now())
    calls.run(house, hotel.loaded.workspace_id, 500)
    headers, body = other.took[-1]
    assert Webhook(older).verify(body, headers) == Webhook(newer).verify(body, headers)
    hotel.clock.advance(timedelta(days=2))
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        calls.again(session, row(hotel).id, hotel.clock.now())
    calls.run(house, hotel.loaded.workspace_id, 500)
    assert len(other.took[-1][0]["webhook-signature"].split()) == 1


def test_what_is_kept_of_an_endpoint_shows_neither_its_secret_nor_its_headers(hotel: Hotel) -> None:
    secret = asked(hotel, "https://pms.example/hook")
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        kept = session.scalar(text("SELECT CAST(e AS text) FROM call_endpoints e"))
    assert secret not in kept
    assert "lago" not in kept


def test_no_connection_is_held_while_the_other_house_thinks(hotel: Hotel, house: House, other: Answering) -> None:
    asked(hotel, other.url)
    held: list[int] = []
    other.before = lambda: held.append(house.database.engine.pool.checkedout())  # type: ignore[attr-defined]
    calls.run(house, hotel.loaded.workspace_id, 500)
    assert held == [0]


def test_a_worker_killed_while_it_calls_leaves_a_try_counted_as_unknown_and_the_call_is_made_again(
    hotel: Hotel, house: House, other: Answering
) -> None:
    asked(hotel, other.url)

    # The process dies after the other house has taken the call and before the outcome is written.
    now = hotel.clock.now()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        leased, targets = calls._lease(session, house, now, 10, "dead")
    calls._call(house, targets["pms"], leased[0])
    assert row(hotel).state == "leased"
    assert calls.run(house, hotel.loaded.workspace_id, 500).done == 0, "the lease still runs"
    hotel.clock.advance(calls.LEASE)
    assert calls.run(house, hotel.loaded.workspace_id, 500).done == 1
    again = row(hotel)
    assert [tried["outcome"] for tried in again.tries] == ["unknown", "ok"]
    assert (again.state, again.attempts) == ("done", 2)
    first, second = (headers["webhook-id"] for headers, _ in other.took)
    assert first == second, "by its id the other house knows the repetition"
    # The dead one, if it only slept, changes nothing any more.
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        calls._settle(session, "dead", leased, [calling.Answer("timeout")], {}, hotel.clock.now())
    assert row(hotel).state == "done"


def test_a_slow_endpoint_leaves_room_for_the_others(hotel: Hotel, house: House, other: Answering) -> None:
    asked(hotel, other.url, number=50, name="slow")
    hotel.clock.advance(timedelta(seconds=1))
    with listening(Answering()) as quick:
        with hotel.house.database.work(hotel.loaded.workspace_id) as session:
            endpoints.add(session, "quick", quick.url, hotel.clock.now())
            calls.ask(session, [Wanted(1, 900, 1, "tell", 1, "quick", {})], hotel.clock.now())
        ran = calls.run(house, hotel.loaded.workspace_id, 500)
        assert len(quick.took) == 1
    assert (len(other.took), ran.more) == (calls.EACH, True)


@pytest.mark.parametrize("number", [1, 8])
def test_a_batch_of_any_size_costs_the_same_few_queries(
    hotel: Hotel, house: House, other: Answering, number: int
) -> None:
    asked(hotel, other.url, number=number)
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "set_config" not in statement:
            statements.append(statement)

    event.listen(house.database.engine, "before_cursor_execute", note)
    assert calls.run(house, hotel.loaded.workspace_id, 500).done == number
    event.remove(house.database.engine, "before_cursor_execute", note)
    assert len(statements) <= calls.QUERIES, "\n".join(statements)
    assert json.loads(other.took[0][1])["type"] == "workflow.call"
