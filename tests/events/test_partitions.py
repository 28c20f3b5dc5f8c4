"""Monthly partitions: made ahead, never at the cost of a row, and shut to whoever asks for one by name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from app.db import Database
from app.events.partitions import ensure_partitions

NOW = datetime(2026, 12, 15, tzinfo=UTC)
INSERT = (
    "INSERT INTO events (workspace_id, contact_id, id, received_at, event_id, type, occurred_at, ordered_at, data)"
    " VALUES (1, 1, :id, :at, :id, 'x', :at, :at, '{}')"
)


@pytest.fixture
def stored(database: Database) -> Database:
    with database.system() as session:
        session.execute(
            text("INSERT INTO workspaces (id, slug, name, created_at) VALUES (1, 'a', 'A', :now)"), {"now": NOW}
        )
    return database


def record(database: Database, number: int, at: datetime) -> None:
    with database.work(1) as session:
        session.execute(text(INSERT), {"id": number, "at": at})


def places(database: Database) -> dict[int, str]:
    with database.work(1) as session:
        return {row[0]: row[1] for row in session.execute(text("SELECT id, tableoid::regclass::text FROM events"))}


def test_this_month_and_two_more_are_made_once(stored: Database) -> None:
    with stored.system() as session:
        made = ensure_partitions(session, NOW)
    assert [name for name in made if name.startswith("events_")] == [
        "events_p2026_12",
        "events_p2027_01",
        "events_p2027_02",
    ]
    with stored.system() as session:
        assert ensure_partitions(session, NOW) == []
    record(stored, 1, NOW)
    assert places(stored) == {1: "events_p2026_12"}


def test_a_month_that_has_rows_already_is_left_where_it_is(stored: Database) -> None:
    record(stored, 1, NOW)
    with stored.system() as session:
        made = ensure_partitions(session, NOW)
    assert "events_p2026_12" not in made
    assert "events_p2027_01" in made
    assert places(stored) == {1: "events_default"}


def test_a_partition_shows_nothing_by_its_own_name(stored: Database) -> None:
    with stored.system() as session:
        ensure_partitions(session, NOW)
    record(stored, 1, NOW)
    record(stored, 2, datetime(2020, 1, 1, tzinfo=UTC))
    for scope in (stored.work(1), stored.work(2), stored.system()):
        with scope as session:
            assert session.execute(text("SELECT count(*) FROM events_p2026_12")).scalar() == 0
            assert session.execute(text("SELECT count(*) FROM events_default")).scalar() == 0
    assert len(places(stored)) == 2
