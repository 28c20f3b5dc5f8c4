"""Broadcasts under real workers: killed and started again, beside bookings, against other workflows."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

from redis import Redis
from sqlalchemy import func, select

from app.accounts.models import Workspace
from app.clock import SystemClock
from app.config import Settings
from app.contacts.models import Contact
from app.demo.seed import Loaded, found
from app.house import House, furnish
from app.messages import broadcast_desk as desk
from app.messages.broadcast_desk import Wish
from app.messages.broadcast_preview import count_on
from app.messages.models import Broadcast, Message
from app.messages.plan import Planned, plan
from app.web import create_app
from tests.conftest import ROOT
from tests.messages.broadcasts import TEMPLATE, TOPIC, consent
from tests.sink import Sink

PATIENCE = 60


@contextmanager
def crew(environment: Mapping[str, str], workers: int = 2) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Workers and a timer, as the supervisor would run them."""
    parts = {**{f"worker-{number}": "work" for number in range(workers)}, "timer": "timer"}
    running = {name: start(environment, what) for name, what in parts.items()}
    try:
        yield running
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def start(environment: Mapping[str, str], what: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "app.worker", what]
    return subprocess.Popen(command, cwd=ROOT, env=dict(environment), stdout=subprocess.DEVNULL)


def crowd(house: House, loaded: Loaded, people: int) -> list[int]:
    """So many contacts who want the newsletter and may be written to at any hour."""
    now = house.clock.now()
    with house.database.work(loaded.workspace_id) as session:
        made = [
            Contact(
                workspace_id=loaded.workspace_id,
                external_id=f"c{number}",
                email=f"c{number}@example.com",
                email_key=f"c{number}@example.com",
                created_at=now,
                updated_at=now,
            )
            for number in range(people)
        ]
        session.add_all(made)
        session.flush()  # their numbers are asked for
        consent(session, made, now)
        return [one.id for one in made]


def open_all_night(house: House, loaded: Loaded, **caps: int) -> None:
    """Real time runs here, so no hour may be a quiet one."""
    with house.database.system() as session:
        workspace = session.get_one(Workspace, loaded.workspace_id)
        workspace.settings = {**workspace.settings, "quiet_hours": {"email": ["00:00", "00:00"]}, "caps": caps}


def begun(house: House, loaded: Loaded) -> int:
    """A broadcast to everybody, confirmed now."""
    now = house.clock.now()
    with house.database.work(loaded.workspace_id) as session:
        made = desk.write(session, Wish("Spring", TEMPLATE), "Marta", now)
        count_on(session, made, now, lambda: True)
        desk.confirm(session, made, desk.expected(made), "Marta", now, grace=timedelta())
        return made.id


def states(house: House, loaded: Loaded, **criteria: object) -> Counter[str]:
    with house.database.work(loaded.workspace_id) as session:
        rows = session.execute(
            select(Message.state, func.count().label("number")).filter_by(**criteria).group_by(Message.state)
        )
        return Counter({row.state: row.number for row in rows})


def wait_until(what: str, done: object) -> None:
    began = time.monotonic()
    while not done():  # type: ignore[operator]
        assert time.monotonic() - began < PATIENCE, what
        time.sleep(0.05)


def test_killed_again_and_again_while_it_is_planned_nobody_is_missed_and_nobody_is_written_to_twice(
    environment: dict[str, str], redis: Redis
) -> None:
    chance, people = random.Random(7), 1200
    with Sink(keep_data=False) as sink:
        environment |= {"SMTP_URL": sink.url, "PERCORSO_LEASE_SECONDS": "5", "PERCORSO_BATCH": "60"}
        house = furnish(Settings.from_env(environment), clock=SystemClock())
        loaded = found(house, house.clock.now())
        open_all_night(house, loaded)
        crowd(house, loaded, people)
        number = begun(house, loaded)
        with crew(environment) as running:
            wait_until("planning begins", lambda: states(house, loaded, broadcast_id=number))
            for _ in range(5):
                time.sleep(chance.uniform(0.05, 0.4))
                name = chance.choice(["worker-0", "worker-1"])
                running[name].kill()
                running[name].wait()
                running[name] = start(environment, "work")
            redis.flushall()

            def settled() -> bool:
                at = states(house, loaded, broadcast_id=number)
                return at["accepted"] + at["unknown"] == people

            wait_until("everybody is written to", settled)
        with house.database.work(loaded.workspace_id) as session:
            rows = session.execute(select(Message.contact_id, Message.message_id).where(Message.broadcast_id == number))
            planned = rows.all()
            assert session.scalars(select(Broadcast.planned)).one() == people
        house.close()
    assert len(planned) == len({row.contact_id for row in planned}) == people
    assert set(sink.ids.values()) == {1}, "no Message-ID reached the server twice"


def test_a_booking_made_while_a_large_broadcast_goes_out_is_confirmed_at_once(
    environment: dict[str, str], redis: Redis
) -> None:
    people = 6000
    with Sink(keep_data=False, delay=0.002) as sink:
        environment |= {"SMTP_URL": sink.url}
        house = furnish(Settings.from_env(environment), clock=SystemClock())
        loaded = found(house, house.clock.now())
        open_all_night(house, loaded)
        crowd(house, loaded, people)
        number = begun(house, loaded)
        with crew(environment):
            wait_until(
                "mails of the broadcast go", lambda: states(house, loaded, broadcast_id=number)["accepted"] > 200
            )
            reported = house.clock.now()
            book(house, loaded, reported)
            wait_until(
                "the confirmation goes", lambda: states(house, loaded, template="booking-confirmation")["accepted"]
            )
            with house.database.work(loaded.workspace_id) as session:
                query = select(Message.accepted_at).where(Message.template == "booking-confirmation")
                accepted = session.scalars(query).one()
            left = people - states(house, loaded, broadcast_id=number)["accepted"]
        house.close()
    assert accepted is not None
    waited = (accepted - reported).total_seconds()
    print(f"confirmed after {waited:.1f} s, with {left} mails of the broadcast still to go")
    assert left > 500, "the broadcast was still going: the test says something"
    assert waited < 15


def book(house: House, loaded: Loaded, now: datetime) -> None:
    client = create_app(house.settings, clock=house.clock, database=house.database).test_client()
    arrival = now.date() + timedelta(days=60)
    stay = {"reference": "B-1", "arrival": str(arrival), "departure": str(arrival + timedelta(days=2)), "adults": 2}
    event = {
        "id": "e-1",
        "type": "booking.confirmed",
        "occurred_at": now.isoformat(),
        "contact": {"external_id": "giulia", "email": "giulia@example.com", "first_name": "Giulia"},
        "data": {"booking": {**stay, "amount": 30000, "currency": "EUR", "channel": "direct"}},
    }
    answer = client.post(
        "/api/v1/events", json={"events": [event]}, headers={"Authorization": f"Bearer {loaded.api_key}"}
    )
    assert answer.status_code == 202, answer.text


def test_r46_many_workflows_at_once_and_several_workers_never_pass_the_cap_of_anybody(
    environment: dict[str, str], redis: Redis
) -> None:
    people, wishes, day_cap = 150, 12, 2
    chance = random.Random(3)
    with Sink(keep_data=False) as sink:
        environment |= {"SMTP_URL": sink.url, "PERCORSO_BATCH": "70"}
        house = furnish(Settings.from_env(environment), clock=SystemClock())
        loaded = found(house, house.clock.now())
        open_all_night(house, loaded, day=day_cap, week=9, month=20)
        contacts = crowd(house, loaded, people)
        with crew(environment, workers=3):
            for _ in range(wishes):
                now = house.clock.now()
                with house.database.work(loaded.workspace_id) as session:
                    plan(session, [wish(one, chance.randint(1, 99), now) for one in contacts], now)
                time.sleep(chance.uniform(0, 0.3))
            open_ = {"planned", "ready", "leased", "handed_over"}
            wait_until("every wish is judged", lambda: not states(house, loaded).keys() & open_)
        with house.database.work(loaded.workspace_id) as session:
            rows = session.execute(
                select(Message.contact_id, Message.state, Message.reason, func.count()).group_by(
                    Message.contact_id, Message.state, Message.reason
                )
            ).all()
        house.close()
    sent = Counter[int]()
    for contact_id, state, reason, count in rows:
        if state in {"accepted", "unknown"}:
            sent[contact_id] += count
        else:
            assert state in {"deferred", "refused"}
            assert reason in {"cap", "outranked"}
    assert set(sent) == set(contacts)
    assert set(sent.values()) == {day_cap}


def wish(contact_id: int, priority: int, now: datetime) -> Planned:
    """What one workflow wants to tell one person."""
    return Planned(
        contact_id, None, None, None, None, 1, None, None, "email", TEMPLATE, "marketing", TOPIC, priority, now
    )
