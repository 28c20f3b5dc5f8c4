"""Requests with the same person, booking or event at the same instant: nothing lost, nothing doubled, no deadlock."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import func, select

from app.accounts.models import Workspace
from app.contacts.models import Booking, Contact
from app.db import Database
from app.events.incoming import Verdict
from app.events.models import Event, EventConflict, EventWork
from tests.events.feed import NOW, event, report, stay

TOGETHER = 6


@pytest.fixture
def workspace(database: Database) -> int:
    """A workspace in the throwaway database."""
    with database.system() as session:
        made = Workspace(slug="lago", name="Lago", settings={}, created_at=NOW)
        session.add(made)
        session.flush()
        return made.id


@pytest.fixture
def at_once(database: Database, workspace: int) -> Callable[[Sequence[Sequence[Any]]], list[Verdict]]:
    """Record each of several batches in a thread and connection of its own, all let go at the same instant."""

    def run(batches: Sequence[Sequence[Any]]) -> list[Verdict]:
        verdicts: list[Verdict] = []
        errors: list[Exception] = []
        gate = threading.Barrier(len(batches))

        def one(raws: Sequence[Any]) -> None:
            try:
                with database.work(workspace) as session:
                    gate.wait(10)
                    found = report(session, raws)
                verdicts.extend(found)
            except Exception as error:  # noqa: BLE001 (whatever it is belongs to the test's own thread)
                errors.append(error)

        threads = [threading.Thread(target=one, args=(raws,)) for raws in batches]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not errors, errors
        return verdicts

    return run


def count(database: Database, workspace: int, model: Any) -> int:
    """Rows of a table."""
    with database.work(workspace) as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def extra(number: int) -> dict[str, Any]:
    """A field of a booking that only this event speaks of."""
    return {f"extra_{number}": number}


def test_one_event_sent_at_once_from_everywhere_is_one_event(
    database: Database, workspace: int, at_once: Callable[[Any], list[Verdict]]
) -> None:
    verdicts = at_once([[stay("e-1", "confirmed", arrival="2026-05-01")]] * TOGETHER)
    assert Counter(verdict.status for verdict in verdicts) == {"accepted": 1, "duplicate": TOGETHER - 1}
    assert [count(database, workspace, model) for model in (Event, EventWork, Contact, Booking)] == [1, 1, 1, 1]


def test_one_new_person_with_different_events_at_once_is_one_contact(
    database: Database, workspace: int, at_once: Callable[[Any], list[Verdict]]
) -> None:
    people: list[dict[str, Any]] = [{"email": "New@example.com"}, {"external_id": "n-1", "email": "new@example.com"}]
    at_once([[event(f"e-{n}", "page.viewed", contact=people[n % 2])] for n in range(TOGETHER)])
    with database.work(workspace) as session:
        (person,) = session.scalars(select(Contact)).all()
        assert person.external_id == "n-1"
    assert count(database, workspace, Event) == TOGETHER


def test_one_new_booking_told_of_by_all_at_once_has_every_claim(
    database: Database, workspace: int, at_once: Callable[[Any], list[Verdict]]
) -> None:
    at_once(
        [
            [stay(f"e-{n}", "modified" if n else "confirmed", minutes=n - 60, adults=n, **extra(n))]
            for n in range(TOGETHER)
        ]
    )
    with database.work(workspace) as session:
        (row,) = session.scalars(select(Booking)).all()
        assert (row.status, row.adults, len(row.claims)) == ("confirmed", TOGETHER - 1, TOGETHER)
        assert row.data == {f"extra_{n}": n for n in range(TOGETHER)}


def test_the_same_people_in_opposite_orders_do_not_deadlock(
    database: Database, workspace: int, at_once: Callable[[Any], list[Verdict]]
) -> None:
    draw = random.Random(7)
    for turn in range(4):
        batches = []
        for lane in range(TOGETHER):
            raws = [
                stay(
                    f"{turn}-{lane}-{n}",
                    draw.choice(["confirmed", "modified"]),
                    minutes=n - 600,
                    reference=f"B-{n}",
                    adults=lane,
                    contact={
                        "external_id": f"p-{n % 17}",
                        "email": f"p{n % 17}@example.com",
                        "attributes": {f"a{n}": 1},
                    },
                )
                for n in range(40)
            ]
            # Some events are everybody's.
            raws += [event(f"shared-{turn}-{n}", "page.viewed", contact={"external_id": f"p-{n}"}) for n in range(10)]
            draw.shuffle(raws)
            batches.append(raws)
        verdicts = at_once(batches)
        assert Counter(verdict.status for verdict in verdicts)["accepted"] == TOGETHER * 40 + 10
    assert count(database, workspace, Contact) == 17
    assert count(database, workspace, Booking) == 40
    assert count(database, workspace, EventConflict) == 0
    with database.work(workspace) as session:
        assert {len(row.claims) for row in session.scalars(select(Booking))} == {4 * TOGETHER}
