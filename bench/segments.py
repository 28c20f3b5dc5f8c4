"""A segment over 50,000 contacts with a booking each: counted, filled, and kept up to date after changes.

Three lines, each beside the least that the database can do for the same answer in the same run:

* counted: the compiled condition (and all that the studio shows of it) beside a `count(*)` with the predicate by hand;
* filled: the first look at everybody, in pages, with its rows of membership, beside one `INSERT ... SELECT` by hand;
* moved: people who change, judged and told of in batches of 500, beside an upsert of as many rows of membership.

`python -m bench.segments` runs it by itself.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from sqlalchemy import text

from app.audience import catalogue, membership, segments
from bench import journey_2000
from bench.ground import Ground, Measured, ground, table

PEOPLE = 50_000
CHANGED = 10_000
BATCH = 500
RUNS = 5

SOURCE = """all:
  - contact.language in [it, de]
  - contact.attributes.points >= 50
  - booking.status == confirmed
  - booking.arrival > now
"""
_BY_HAND = """
    FROM contacts c WHERE c.workspace_id = :ws AND c.merged_into IS NULL AND c.erased_at IS NULL
    AND c.frozen_at IS NULL AND c.language IN ('it', 'de') AND CAST(c.attributes ->> 'points' AS numeric) >= 50
    AND EXISTS (SELECT 1 FROM bookings b WHERE b.workspace_id = c.workspace_id AND b.contact_id = c.id
        AND b.status = 'confirmed' AND b.arrival > CAST(CAST(:now AS timestamptz) AT TIME ZONE 'Europe/Rome' AS date))
"""
_CONTACTS = """
    INSERT INTO contacts (workspace_id, external_id, email, email_key, language, attributes, created_at, updated_at)
    SELECT :ws, 'c-' || n, 'c' || n || '@example.com', 'c' || n || '@example.com',
        (ARRAY['it', 'de', 'en', 'fr'])[1 + n % 4], jsonb_build_object('points', n % 100), :now, :now
    FROM generate_series(1, :people) AS n
"""
_BOOKINGS = """
    INSERT INTO bookings (workspace_id, contact_id, kind, reference, status, arrival, departure, nights, created_at,
        updated_at)
    SELECT :ws, id, 'booking', 'b-' || id, CASE WHEN id % 5 = 0 THEN 'cancelled' ELSE 'confirmed' END,
        CAST(:now AS date) + CAST(id % 60 AS int) - 30, CAST(:now AS date) + CAST(id % 60 AS int) - 28, 2, :now, :now
    FROM contacts WHERE workspace_id = :ws
"""


def measure(here: Ground) -> list[Measured]:
    """The three lines."""
    now, ws = here.house.clock.now(), here.workspace_id
    given = {"ws": ws, "now": now, "people": PEOPLE}
    with here.house.database.work(ws) as session:
        session.execute(text(_CONTACTS), given)
        session.execute(text(_BOOKINGS), given)
    with here.house.database.system() as session:
        session.connection().connection.cursor().execute("ANALYZE contacts")
        session.connection().connection.cursor().execute("ANALYZE bookings")
    with here.house.database.work(ws) as session:
        row = catalogue.create(session, "fine", {"en": "Fine"}, SOURCE, by="bench", now=now)
        condition = catalogue.condition_of(row)
    hand = text("SELECT count(*)" + _BY_HAND)
    lines = []
    with here.house.database.work(ws) as session:
        by_hand = session.execute(hand, {"ws": ws, "now": now}).scalar_one()
        if segments.count(session, condition, now).inside != by_hand:
            raise RuntimeError("The two counts differ.")
        lines.append(
            Measured.against(
                "segment count",
                PEOPLE / _median(lambda: segments.count(session, condition, now)),
                "people/s",
                PEOPLE / _median(lambda: session.execute(hand, {"ws": ws, "now": now}).scalar()),
                0.7,
            )
        )
    took = _until_done(here)
    limit = _inserted(here)
    lines.append(Measured.against("segment fill", PEOPLE / took, "people/s", PEOPLE / limit, 0.25))
    with here.house.database.work(ws) as session:
        session.execute(
            text("UPDATE contacts SET language = CASE language WHEN 'it' THEN 'en' ELSE 'it' END, updated_at = :now"
                 " WHERE workspace_id = :ws AND id IN (SELECT id FROM contacts WHERE workspace_id = :ws LIMIT :n)"),
            {"ws": ws, "now": now, "n": CHANGED},
        )  # fmt: skip
    took = _until_done(here)
    lines.append(Measured.against("segment moves", CHANGED / took, "people/s", CHANGED / _upserted(here), 0.1))
    return lines


def _median(once: Callable[[], object]) -> float:
    """Seconds that something takes, of several runs."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        once()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def _until_done(here: Ground) -> float:
    """Seconds until the stage has nothing left to do, a transaction a batch."""
    began = time.perf_counter()
    more = True
    while more:
        with here.house.database.work(here.workspace_id) as session:
            more = membership.run(session, here.house.clock.now(), BATCH).more
    return time.perf_counter() - began


_SCRATCH = """
    CREATE TABLE bench_members (
        workspace_id bigint, contact_id bigint, since timestamptz, PRIMARY KEY (workspace_id, contact_id))
"""


def _inserted(here: Ground) -> float:
    """Seconds that one statement by hand takes to write the same membership."""
    now = here.house.clock.now()
    with here.house.database.work(here.workspace_id) as session:
        session.execute(text(_SCRATCH))
    began = time.perf_counter()
    with here.house.database.work(here.workspace_id) as session:
        session.execute(
            text("INSERT INTO bench_members SELECT c.workspace_id, c.id, :now" + _BY_HAND),
            {"ws": here.workspace_id, "now": now},
        )
    return time.perf_counter() - began


def _upserted(here: Ground) -> float:
    """Seconds that bare upserts of as many rows take, a transaction a batch."""
    now, ws = here.house.clock.now(), here.workspace_id
    upsert = text(
        "INSERT INTO bench_members SELECT :ws, n, :now FROM generate_series(CAST(:first AS bigint), :last) AS n"
        " ON CONFLICT (workspace_id, contact_id) DO UPDATE SET since = :now"
    )
    began = time.perf_counter()
    for first in range(0, CHANGED, BATCH):
        with here.house.database.work(ws) as session:
            session.execute(upsert, {"ws": ws, "now": now, "first": first, "last": first + BATCH - 1})
    return time.perf_counter() - began


def main() -> None:
    """This benchmark alone."""
    with ground(journey_2000.TEMPLATE, journey_2000.WORKFLOW) as here:
        print(table(measure(here)))


if __name__ == "__main__":
    main()
