"""R53: a month of events goes whole when nothing in it may or need be kept; nobody who records waits for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from app.db import Database
from app.events.partitions import ensure_partitions
from app.rights import months

THEN = datetime(2024, 1, 15, tzinfo=UTC)
NOW = datetime(2026, 3, 10, 9, tzinfo=UTC)
EVENT = (
    "INSERT INTO events (workspace_id, contact_id, id, received_at, event_id, type, occurred_at, ordered_at, data)"
    " VALUES (1, 1, :id, :at, :id, 'x', :at, :at, CAST(:data AS jsonb))"
)
REPORT = (
    "INSERT INTO delivery_events (workspace_id, contact_id, id, received_at, message_pk, kind, occurred_at, provider,"
    " dedupe, data) VALUES (1, 1, :id, :at, 1, 'clicked', :at, 'smtp', :id, '{}')"
)


@pytest.fixture
def stored(database: Database) -> Database:
    """A workspace with one contact, and a month of each table two years ago."""
    with database.system() as session:
        now = {"now": THEN}
        session.execute(text("INSERT INTO workspaces (id, slug, name, created_at) VALUES (1, 'a', 'A', :now)"), now)
        made = ensure_partitions(session, THEN)
    assert {"events_p2024_01", "delivery_events_p2024_01"} <= set(made)
    with database.work(1) as session:
        made_at = "INSERT INTO contacts (workspace_id, id, created_at, updated_at) VALUES (1, 1, :now, :now)"
        session.execute(text(made_at), now)
    return database


def record(database: Database, number: int, data: str = "{}", at: datetime = THEN) -> None:
    with database.work(1) as session:
        session.execute(text(EVENT), {"id": number, "at": at, "data": data})
        session.execute(text(REPORT), {"id": number, "at": at})


def there(database: Database) -> set[str]:
    with database.system() as session:
        return set(session.scalars(text("SELECT relname FROM pg_class WHERE relname ~ 'events_p2024_01$'")))


BOTH = {"events_p2024_01", "delivery_events_p2024_01"}


def test_r53_an_emptied_month_goes_when_the_longest_period_is_over(stored: Database) -> None:
    record(stored, 1)
    record(stored, 2, at=NOW)
    assert months.drop(stored, datetime(2026, 1, 30, tzinfo=UTC)) == []
    assert there(stored) == BOTH
    assert set(months.drop(stored, NOW)) >= BOTH
    assert there(stored) == set()
    with stored.work(1) as session:
        assert session.scalars(text("SELECT id FROM events")).all() == [2]
        assert session.scalars(text("SELECT id FROM delivery_events")).all() == [2]


def test_r53_a_month_in_which_an_event_still_says_something_stays(stored: Database) -> None:
    record(stored, 1)
    record(stored, 2, '{"page": "/rooms"}')
    months.drop(stored, NOW)
    assert there(stored) == {"events_p2024_01"}


def test_r53_what_is_left_of_somebody_erased_holds_no_month_back(stored: Database) -> None:
    record(stored, 1, '{"by": "person"}')
    with stored.work(1) as session:
        session.execute(text("UPDATE contacts SET erased_at = :now"), {"now": NOW})
    months.drop(stored, NOW)
    assert there(stored) == set()


def test_r53_an_event_that_nobody_has_dealt_with_yet_keeps_its_month(stored: Database) -> None:
    record(stored, 1)
    with stored.work(1) as session:
        work = "INSERT INTO event_work (workspace_id, contact_id, event_pk, received_at) VALUES (1, 1, 1, :at)"
        session.execute(text(work), {"at": THEN})
    months.drop(stored, NOW)
    assert there(stored) == {"events_p2024_01"}


def test_r53_one_workspace_that_keeps_things_longer_keeps_the_month_for_all(stored: Database) -> None:
    record(stored, 1)
    with stored.system() as session:
        session.execute(
            text("INSERT INTO workspaces (id, slug, name, settings, created_at) VALUES (2, 'b', 'B', :own, :now)"),
            {"own": '{"retention": {"mails": 60, "marketing": 60}}', "now": NOW},
        )
    months.drop(stored, NOW)
    assert there(stored) == BOTH


def test_r53_who_holds_the_table_is_waited_for_half_a_second_and_the_month_goes_later(stored: Database) -> None:
    record(stored, 1)
    with stored.work(1) as session:
        session.execute(text("SELECT count(*) FROM events"))
        assert "events_p2024_01" not in months.drop(stored, NOW)
    assert months.drop(stored, NOW + timedelta(minutes=1)) == [], "not at every tick"
    assert "events_p2024_01" in months.drop(stored, NOW + months.AGAIN)
