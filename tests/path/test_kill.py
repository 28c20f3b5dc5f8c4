"""Processes die at the worst moments and signals vanish: no message is lost, none goes out twice, work goes on."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import pytest
from redis import Redis
from sqlalchemy import func, select

from app.clock import SystemClock
from app.config import Settings
from app.delivery import senders
from app.delivery.sender_checks import Outward
from app.demo.seed import Loaded, found
from app.house import House, furnish
from app.messages.models import Message
from app.web import create_app
from tests.conftest import ROOT
from tests.delivery.fakes.remembering import Resend
from tests.delivery.fakes.server import Asked, Fake, Said, say
from tests.sink import Sink

GUESTS = 500
KILLS = 8
PATIENCE = 30
"""Seconds after the last death within which everything is settled."""

PARTS: Mapping[str, str] = {"worker-1": "work", "worker-2": "work", "timer": "timer"}


class Crew:
    """Two workers and a timer, as the supervisor would run them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._running = {name: self._start(name) for name in PARTS}

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "app.worker", PARTS[name]]
        return subprocess.Popen(command, cwd=ROOT, env=dict(self._environment), stdout=subprocess.DEVNULL)

    def kill(self, name: str) -> None:
        """SIGKILL, and a new one in its place at once."""
        self._running[name].kill()
        self._running[name].wait()
        self._running[name] = self._start(name)

    def gone(self) -> list[str]:
        """Who has ended without being killed."""
        return [name for name, process in self._running.items() if process.poll() is not None]

    def dismiss(self) -> None:
        """End them all."""
        for process in self._running.values():
            process.kill()
            process.wait()


@contextmanager
def crew(environment: Mapping[str, str]) -> Iterator[Crew]:
    running = Crew(environment)
    try:
        yield running
    finally:
        running.dismiss()


def report_bookings(house: House, loaded: Loaded) -> None:
    """500 guests book, over the API."""
    client = create_app(house.settings, clock=house.clock, database=house.database).test_client()
    now = house.clock.now()
    arrival = now.date() + timedelta(days=60)
    events = [
        {
            "id": f"e{number}",
            "type": "booking.confirmed",
            "occurred_at": now.isoformat(),
            "contact": {"external_id": f"g{number}", "email": f"guest{number}@example.com", "first_name": "Anna"},
            "data": {
                "booking": {
                    "reference": f"B{number}",
                    "arrival": arrival.isoformat(),
                    "departure": (arrival + timedelta(days=2)).isoformat(),
                    "adults": 2,
                    "amount": 30000,
                    "currency": "EUR",
                    "channel": "direct",
                }
            },
        }
        for number in range(GUESTS)
    ]
    for start in range(0, GUESTS, 100):
        answer = client.post(
            "/api/v1/events",
            json={"events": events[start : start + 100]},
            headers={"Authorization": f"Bearer {loaded.api_key}"},
        )
        assert answer.status_code == 202, answer.get_data(as_text=True)


def states(house: House, workspace_id: int) -> Counter[str]:
    with house.database.work(workspace_id) as session:
        rows = session.execute(
            select(Message.state, func.count())
            .where(Message.template == "booking-confirmation")
            .group_by(Message.state)
        )
        return Counter(dict(rows.all()))


def kill_some(
    running: Crew, house: House, workspace_id: int, redis: Redis, chance: random.Random, began: Callable[[], bool]
) -> None:
    """Kill once mails go out, forget signals meanwhile, and wait until every message is settled."""
    while not began():
        time.sleep(0.01)
    for death in range(KILLS):
        time.sleep(chance.uniform(0, 0.6))
        running.kill(chance.choice([*PARTS, "worker-1", "worker-2"]))
        if death % 3 == 1:
            redis.flushall()
    died = time.monotonic()
    while (at := states(house, workspace_id))["accepted"] + at["unknown"] < GUESTS:
        assert not running.gone()
        assert time.monotonic() - died < PATIENCE, f"{at} {PATIENCE} s after the last death"
        time.sleep(0.1)


def settled(house: House, workspace_id: int, taken: Counter[str], seed: int) -> None:
    """Every message has one end, and nothing was taken twice, nor is missing although it counts as accepted."""
    with house.database.work(workspace_id) as session:
        rows = session.execute(
            select(Message.message_id, Message.state).where(Message.template == "booking-confirmation")
        ).all()
    assert len(rows) == GUESTS
    assert len({row.message_id for row in rows}) == GUESTS
    assert set(taken.values()) == {1}, "no Message-ID reached the server twice"
    assert all(taken[row.message_id] == 1 for row in rows if row.state == "accepted"), "nothing accepted is missing"
    lost = [row.message_id for row in rows if row.state == "unknown"]
    print(f"seed {seed}: {len(lost)} unknown, of which {sum(taken[one] for one in lost)} had arrived")
    assert set(taken) <= {row.message_id for row in rows}


@pytest.mark.parametrize(("seed", "lease"), [(1, 5), (2, 10)])
def test_no_death_loses_or_doubles_a_message(environment: dict[str, str], redis: Redis, seed: int, lease: int) -> None:
    with Sink(keep_data=False, delay=0.01) as sink:
        environment |= {"SMTP_URL": sink.url, "PERCORSO_LEASE_SECONDS": str(lease), "PERCORSO_EVENT_RATE": "100000"}
        house = furnish(Settings.from_env(environment), clock=SystemClock())
        loaded = found(house, house.clock.now())
        with crew(environment) as running:
            report_bookings(house, loaded)
            chance = random.Random(seed)
            kill_some(running, house, loaded.workspace_id, redis, chance, lambda: sink.ids.total() > 0)
        settled(house, loaded.workspace_id, sink.ids, seed)
        house.close()


def test_no_death_loses_or_doubles_a_message_on_its_way_to_an_api(environment: dict[str, str], redis: Redis) -> None:
    """The same with a provider over HTTP, and a second one beside it that must get nothing the first may have."""
    taken: Counter[str] = Counter()
    lock = threading.Lock()

    def answer(asked: Asked) -> Said:
        named = re.search(rb"^Message-ID: (<[^>]*>)", asked.body, re.MULTILINE)
        assert named
        with lock:
            taken[named[1].decode()] += 1
        time.sleep(0.01)
        return say(200, {"id": named[1].decode(), "message": "Queued. Thank you."})

    with Fake(answer) as first, Fake(answer) as second:
        environment |= {"SMTP_URL": "smtp://127.0.0.1:9", "PERCORSO_CALLS_ALLOW": "127.0.0.0/8"}
        environment |= {"PERCORSO_LEASE_SECONDS": "5", "PERCORSO_EVENT_RATE": "100000"}
        house = furnish(Settings.from_env(environment), clock=SystemClock())
        loaded = found(house, house.clock.now())
        with house.database.work(loaded.workspace_id) as session:
            for name, fake in (("first", first), ("second", second)):
                outward = Outward({"key": "key-1"}, {"base": fake.url})
                senders.add(session, "mailgun", name, (), (), house.clock.now(), outward)
        with crew(environment) as running:
            report_bookings(house, loaded)
            kill_some(running, house, loaded.workspace_id, redis, random.Random(3), lambda: taken.total() > 0)
        settled(house, loaded.workspace_id, taken, 3)
        assert second.asked == [], "the first was never surely without a mail"
        house.close()


def test_what_a_killed_worker_left_in_doubt_is_settled_by_its_key_and_goes_out_once(
    environment: dict[str, str], redis: Redis
) -> None:
    """SIGKILL while a provider that knows a request by its key has taken mails and has not answered yet."""
    provider, held = Resend(), threading.Event()

    def slow(asked: Asked) -> Said:
        said = provider(asked)
        if not held.is_set():
            held.wait(20)  # taken; the worker dies before it hears of it
        return said

    with Fake(slow) as fake:
        environment |= {"SMTP_URL": "smtp://127.0.0.1:9", "PERCORSO_CALLS_ALLOW": "127.0.0.0/8"}
        environment |= {"PERCORSO_LEASE_SECONDS": "5", "PERCORSO_EVENT_RATE": "100000"}
        house = furnish(Settings.from_env(environment), clock=SystemClock())
        loaded = found(house, house.clock.now())
        with house.database.work(loaded.workspace_id) as session:
            outward = Outward({"key": "re-key"}, {"base": fake.url})
            senders.add(session, "resend", "main", (), (), house.clock.now(), outward)
        with crew(environment) as running:
            report_bookings(house, loaded)
            began = time.monotonic()
            while provider.mails.total() < 2:
                assert time.monotonic() - began < PATIENCE
                time.sleep(0.01)
            caught = set(provider.mails)
            running.kill("worker-1")
            running.kill("worker-2")
            held.set()
            died = time.monotonic()
            while (at := states(house, loaded.workspace_id))["accepted"] < GUESTS:
                assert not running.gone()
                assert time.monotonic() - died < 2 * PATIENCE, f"{at} long after the death"
                time.sleep(0.1)
        assert at["unknown"] == 0
        assert set(provider.mails.values()) == {1}, "each mail went out once"
        assert len(provider.mails) == GUESTS
        asked_again = [key for key in caught if provider.asked[key] > 1]
        print(f"{len(caught)} had been taken when the workers died, {len(asked_again)} were asked for once more")
        assert asked_again
        house.close()
