"""What a night of keeping periods costs a house of 200,000 people, beside a bare look at the same rows.

Everybody has a booking and four events, spread over 30 months, each month in its partition. Two lines:

* a first night: all that has ever come of age is found, and emptied;
* a later night: what one day has brought.

The limit is one `count(*)` with a condition on every row of people, events and bookings: nobody who looks at all of
them can be faster. A later night need not look at them all, so it may well come out above it.

`python -m bench.retention` runs it by itself.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from sqlalchemy import text

from app.events.partitions import ensure_partitions
from app.rights import retention
from bench import journey_2000
from bench.ground import Ground, Measured, ground, table

PEOPLE = 200_000
MONTHS = 30
BATCH = 500
GOALS = {"first": 0.005, "later": 0.3}

_CONTACTS = """
    INSERT INTO contacts (workspace_id, external_id, email, email_key, tags, attributes, created_at, updated_at)
    SELECT :ws, 'c-' || n, 'c' || n || '@example.com', 'c' || n || '@example.com', '{vip}', '{"loves": "boats"}', at, at
    FROM generate_series(1, :people) AS n,
        LATERAL (SELECT CAST(:now AS timestamptz) - make_interval(days => n % :days) AS at) AS t
"""
_BOOKINGS = """
    INSERT INTO bookings (workspace_id, contact_id, kind, reference, status, arrival, departure, nights, data,
        created_at, updated_at)
    SELECT :ws, id, 'booking', 'b-' || id, 'confirmed', CAST(created_at AS date), CAST(created_at AS date) + 2, 2,
        '{"note": "late"}', created_at, created_at
    FROM contacts WHERE workspace_id = :ws
"""
_EVENTS = """
    INSERT INTO events (workspace_id, contact_id, event_id, source_id, type, received_at, occurred_at, ordered_at, data)
    SELECT :ws, id, 'e-' || id || '-' || n, 1, 'page.viewed', at, at, at, '{"page": "/rooms", "ip": "192.0.2.1"}'
    FROM contacts CROSS JOIN generate_series(0, 3) AS n,
        LATERAL (SELECT least(created_at + make_interval(hours => n), CAST(:now AS timestamptz)) AS at) AS t
    WHERE workspace_id = :ws
"""
_LOOK = (
    "SELECT count(*) FROM contacts WHERE workspace_id = :ws AND tags <> '{}'",
    "SELECT count(*) FROM events WHERE workspace_id = :ws AND data <> '{}'",
    "SELECT count(*) FROM bookings WHERE workspace_id = :ws AND data <> '{}'",
)


def measure(here: Ground) -> list[Measured]:
    """The two lines."""
    _fill(here)
    night = here.house.clock.now() + timedelta(days=1)
    with here.house.database.work(here.workspace_id) as session:
        retention.run(session, here.house.clock.now(), BATCH)
    limit = PEOPLE / _looked(here)
    took = {"first": _night(here, night), "later": _night(here, night + timedelta(days=1))}
    return [
        Measured.against(f"retention {name}", PEOPLE / seconds, "people/s", limit, GOALS[name])
        for name, seconds in took.items()
    ]


def _fill(here: Ground) -> None:
    now = here.house.clock.now()
    for month in range(MONTHS, 0, -1):
        with here.house.database.system() as session:
            ensure_partitions(session, now - timedelta(days=30.4 * month))
    asked = {"ws": here.workspace_id, "now": now, "people": PEOPLE, "days": int(MONTHS * 30.4)}
    with here.house.database.work(here.workspace_id) as session:
        for statement in (_CONTACTS, _BOOKINGS, _EVENTS):
            session.execute(text(statement), asked)
    with here.house.database.system() as session:
        session.execute(text("ANALYZE"))


def _looked(here: Ground) -> float:
    """Seconds of a bare look at everything."""
    with here.house.database.work(here.workspace_id) as session:
        began = time.perf_counter()
        for statement in _LOOK:
            session.execute(text(statement), {"ws": here.workspace_id})
        return time.perf_counter() - began


def _night(here: Ground, at: datetime) -> float:
    began = time.perf_counter()
    more = True
    while more:
        with here.house.database.work(here.workspace_id) as session:
            more = retention.run(session, at, BATCH).more
    return time.perf_counter() - began


if __name__ == "__main__":
    with ground(journey_2000.TEMPLATE, journey_2000.WORKFLOW) as alone:
        print(table(measure(alone)))
