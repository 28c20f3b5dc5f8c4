"""The whole line with its real database: however it is cut into batches, ordered or interrupted, the same messages go.

And one row that cannot be dealt with holds nobody else up, says what is wrong with it, and goes on once it is mended.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.db import Ran
from app.due import due, following
from app.enrollments import advance, enrol
from app.house import House
from app.worker import stages
from tests.conftest import START
from tests.hotel import Hotel

GUESTS = 6
DAYS = 45


def letter(number: int, type_: str, at: datetime, **booking: Any) -> dict[str, Any]:
    return {
        "id": f"{type_}-{number}",
        "type": type_,
        "occurred_at": at.isoformat(),
        "contact": {"external_id": f"g-{number}", "email": f"guest{number}@example.com", "language": "it"},
        "data": {"booking": {"reference": f"B-{number}", **booking}},
    }


def lives() -> list[tuple[datetime, dict[str, Any]]]:
    """What happens to a few guests: some move, one cancels, some check in, some leave; when it is reported."""
    told: list[tuple[datetime, dict[str, Any]]] = []
    for number in range(GUESTS):
        booked = START + timedelta(hours=7 * number)
        arrival = (START + timedelta(days=12 + 4 * number)).date()
        stay: dict[str, Any] = {"arrival": arrival.isoformat(), "adults": 2, "amount": 42000, "currency": "EUR"}
        stay["departure"] = (arrival + timedelta(days=2 + number)).isoformat()
        stay["channel"] = "booking.com" if number == 3 else "direct"
        told.append((booked, letter(number, "booking.confirmed", booked, **stay)))
        if number % 3 == 1:
            sooner = {"arrival": (arrival - timedelta(days=3)).isoformat(), "departure": arrival.isoformat()}
            told.append((booked + timedelta(days=2), letter(number, "booking.modified", booked, **sooner)))
        elif number % 3 == 2:
            told.append((booked + timedelta(days=9), letter(number, "booking.cancelled", booked + timedelta(days=9))))
        else:
            came = START + timedelta(days=12 + 4 * number, hours=5)
            told.append((came, letter(number, "booking.checked_in", came)))
            told.append((came + timedelta(days=2), letter(number, "booking.checked_out", came + timedelta(days=2))))
    return sorted(told, key=lambda one: one[0])


Worker = Callable[[House], None]


def live(hotel: Hotel, worker: Worker) -> list[tuple[str, str, str, datetime | None]]:
    """Let it all happen with this worker; what became of every message: whose, which, its state, when accepted."""
    ahead = lives()
    end = START + timedelta(days=DAYS)
    while True:
        with hotel.house.database.system() as session:
            wake = following(session, hotel.clock.now())
        moments = [instant for instant in (wake, ahead[0][0] if ahead else None) if instant is not None]
        now = min(moments, default=end)
        if now >= end:
            break
        hotel.clock.set(max(now, hotel.clock.now()))
        while ahead and ahead[0][0] <= now:
            hotel.post([ahead.pop(0)[1]])
        worker(hotel.house)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        rows = session.execute(
            text(
                "SELECT c.external_id, m.template, m.state, m.accepted_at FROM messages m JOIN contacts c"
                " ON c.workspace_id = m.workspace_id AND c.id = m.contact_id ORDER BY 1, 4, 2"
            )
        )
        return [(row[0], row[1], row[2], row[3]) for row in rows]


def in_one_go(house: House) -> None:
    """Stage after stage in path order, 500 rows at a time."""
    run = stages(house)
    while waiting := _due(house):
        for stage, workspace_id in waiting:
            run[stage](workspace_id)


def one_by_one(seed: int, *, killed: bool) -> Worker:
    """One row at a time, stages in any order; `killed`: every third batch is lost before it commits."""
    dice = random.Random(seed)

    def worker(house: House) -> None:
        slow = replace(house, settings=replace(house.settings, batch=1))
        run = stages(slow)
        while waiting := _due(house):
            stage, workspace_id = dice.choice(waiting)
            if killed and stage in ("enrol", "advance") and dice.random() < 0.34:
                _lost(house, stage, workspace_id)
            else:
                run[stage](workspace_id)

    return worker


class _KilledError(Exception):
    """The worker dies here."""


def _lost(house: House, stage: str, workspace_id: int) -> None:
    one_batch: Callable[..., Ran] = enrol.run if stage == "enrol" else advance.run
    with suppress(_KilledError), house.database.work(workspace_id) as session:
        one_batch(session, house.clock.now(), 3)
        raise _KilledError


def _due(house: House) -> list[tuple[str, int]]:
    with house.database.system() as session:
        return due(session, house.clock.now())


def test_one_row_at_a_time_in_any_order_and_killed_between_sends_the_same(hotels: Callable[[], Hotel]) -> None:
    whole = live(hotels(), in_one_go)
    templates = {state: {template for _, template, as_, _ in whole if as_ == state} for _, _, state, _ in whole}
    assert len(templates["accepted"]) >= 4, "lives worth comparing"
    assert templates["refused"], "some may not be written to"
    assert live(hotels(), one_by_one(7, killed=False)) == whole
    assert live(hotels(), one_by_one(8, killed=True)) == whole


@pytest.mark.parametrize("damage", ["{}", "[]", '{"status": 7}', '"gone"'])
def test_a_row_that_cannot_be_read_says_so_holds_nobody_up_and_goes_on_once_mended(hotel: Hotel, damage: str) -> None:
    stay = {"arrival": "2026-05-01", "departure": "2026-05-04", "adults": 2, "channel": "direct"}
    hotel.post([letter(number, "booking.confirmed", START, **stay) for number in range(3)])
    hotel.work()
    due_at = max(row.wake_at for row in hotel.enrollments() if row.wake_at)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        whole = session.scalar(text("SELECT state FROM enrollments WHERE key = 'B-1'"))
        session.execute(text("UPDATE enrollments SET state = CAST(:s AS jsonb) WHERE key = 'B-1'"), {"s": damage})
    hotel.until(due_at)
    by_key = {row.key: row for row in hotel.enrollments()}
    assert by_key["B-1"].error, "the row says what is wrong with it"
    assert by_key["B-1"].attempts == 1
    assert by_key["B-1"].error_at == hotel.clock.now()
    others = [by_key[key].wake_at for key in ("B-0", "B-2")]
    assert all(at and at > due_at for at in others), "the others have taken their step"

    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        statement = text("UPDATE enrollments SET state = CAST(:s AS jsonb) WHERE key = 'B-1'")
        session.execute(statement, {"s": json.dumps(whole)})
    hotel.after(timedelta(hours=1))
    mended = {row.key: row for row in hotel.enrollments()}["B-1"]
    assert (mended.error, mended.wake_at) == (None, others[0])
