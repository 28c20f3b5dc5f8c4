"""A file of any size: a fixed number of queries a chunk, none twice after a kill, and a rate worth waiting for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.consent import chain
from app.consent.models import ConsentRecord
from app.contacts.models import Contact, Property
from app.db import Database, workspace_of
from app.events.models import Event
from app.imports import columns, desk, stage
from app.imports.models import Import, ImportRow
from app.imports.taking import QUERIES_TO_CHECK, QUERIES_TO_TAKE
from tests.conftest import ROOT, START
from tests.events.test_queries import counted
from tests.imports.lists import NOW, PROVEN, checked, csv, hand_in, topics


def people(count: int) -> bytes:
    """So many people, every second with a yes and its proof, some of them twice."""
    return csv(
        PROVEN + ",Nome,Telefono,Città,Tags",
        *(
            f"p{n % (count - count // 50)}@example.com,{'yes' if n % 2 else ''},form,v1,2024-03-14,2024-03-14,"
            f"P{n % (count - count // 50)},"
            f"+39 0323 3{n % 10000:04d},Stresa,vip"
            for n in range(count)
        ),
    )


@pytest.mark.parametrize("size", [1, 60, 1500])
def test_a_chunk_costs_a_fixed_number_of_queries(hall: Session, size: int) -> None:
    one = hand_in(hall, people(size))
    with counted(hall) as sent:
        stage.run(hall, NOW)
    assert len(sent) <= QUERIES_TO_CHECK, sent
    desk.take(hall, one.id, NOW)
    with counted(hall) as sent:
        stage.run(hall, NOW)
    assert len(sent) <= QUERIES_TO_TAKE, sent
    again = checked(hall, people(size))
    desk.take(hall, again.id, NOW)
    with counted(hall) as sent:
        stage.run(hall, NOW)
    assert len(sent) <= QUERIES_TO_TAKE, sent


def test_a_file_taken_in_twice_makes_nobody_twice_and_adds_no_line(hall: Session) -> None:
    tallies = []
    for _ in range(2):
        one = checked(hall, people(300), chunk=100)
        desk.take(hall, one.id, NOW)
        while stage.run(hall, NOW, 100).more:
            if hall.get_one(Import, (workspace_of(hall), one.id)).state == "done":
                break
        tallies.append(one.tally)
    assert hall.scalar(select(func.count()).select_from(Contact)) == 294
    assert hall.scalar(select(func.count()).select_from(ConsentRecord)) == 147
    assert tallies[1]["permission"]["as_before"] == 150


def test_a_chunk_that_is_rolled_back_is_done_again_as_if_it_had_never_begun(hall: Session) -> None:
    one = checked(hall, people(100))
    desk.take(hall, one.id, NOW)
    place = hall.begin_nested()
    stage.run(hall, NOW, 50)
    place.rollback()
    hall.expire_all()
    assert hall.get_one(Import, (workspace_of(hall), one.id)).place == 0
    while stage.run(hall, NOW, 50).more:
        if hall.get_one(Import, (workspace_of(hall), one.id)).state == "done":
            break
    assert hall.scalar(select(func.count()).select_from(Contact)) == 98


def test_a_worker_killed_in_the_middle_loses_none_and_takes_none_twice(
    database: Database, environment: dict[str, str], redis: Redis
) -> None:
    count = 6_000
    with database.system() as session:
        hotel = Workspace(slug="lago", name="Hotel Lago", settings={}, created_at=START)
        session.add(hotel)
        session.flush()
        number = hotel.id
    with database.work(number) as session:
        session.add(
            Property(
                workspace_id=number,
                code="lago",
                name="Lago",
                zone="Europe/Rome",
                language="it",
                sender_name="Lago",
                sender_email="a@lago.example",
                country="IT",
                is_default=True,
                created_at=START,
                updated_at=START,
            )
        )
        topics(session, "newsletter")
        one = desk.receive(session, "list.csv", people(count), "Anna", START).id
        reading, _ = desk.suggested(session, session.get_one(Import, (number, one)), desk.known(session))
        desk.check(session, one, columns.of_json(reading.as_json(), 10), START)

    def run() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", _WORK, str(number)], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL
        )

    def state() -> Any:
        with database.work(number) as session:
            return session.execute(select(Import.state, Import.place)).one()

    def until(wanted: str, place: int = 0) -> None:
        limit = time.monotonic() + 90
        while not (state().state == wanted and state().place >= place):
            assert time.monotonic() < limit, state()
            time.sleep(0.01)

    first = run()
    until("checked")
    first.wait(30)
    with database.work(number) as session:
        desk.take(session, one, START)
    kills = 0
    for place in (1, 2_001, 4_001):
        worker = run()
        until("taking", place)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait(30)
        kills += state().state == "taking"
    assert kills == 3, "each was killed in the middle"
    last = run()
    until("done")
    last.wait(30)
    with database.work(number) as session:
        people_ = count - count // 50
        assert session.scalar(select(func.count()).select_from(Contact)) == people_
        assert session.scalar(select(func.count(func.distinct(Contact.email_key))).select_from(Contact)) == people_
        imported = select(func.count()).select_from(Event).where(Event.type == "contact.imported")
        assert session.scalar(imported) == people_
        assert session.scalar(select(func.count()).select_from(ConsentRecord)) == people_ // 2
        assert chain.broken(session) is None
        missing = select(func.count()).select_from(ImportRow).where(ImportRow.contact_id.is_(None))
        assert session.scalar(missing) == 0
        tally = session.scalars(select(Import)).one().tally
        assert sum(tally["verdict"].values()) == count


_WORK = """
import os, sys
from app.config import Settings
from app.house import furnish
from app.imports import stage
from tests.conftest import START
house = furnish(Settings.from_env(os.environ))
while True:
    with house.database.work(int(sys.argv[1])) as session:
        if not stage.run(session, START, 500).done:
            break
"""
