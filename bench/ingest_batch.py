"""Batches of 500 events over HTTP, accepted and committed, beside a bare bulk insert of the same events.

Value: events a second as the caller sees it, two callers at once, no worker running. Limit: the same payloads inserted
into a table with the same unique key, 500 to a commit, by one psycopg connection.
"""

from __future__ import annotations

import statistics
import threading
import time

import msgspec
import psycopg

from bench.ground import Ground, Measured
from bench.journey_2000 import BATCH, bodies

EVENTS = 10_000
RUNS = 3
CALLERS = 2

_TABLE = """
    CREATE TABLE IF NOT EXISTS bench_events (
        source_id bigint, event_id text, received_at timestamptz, data jsonb, PRIMARY KEY (source_id, event_id))
"""
_INSERT = """
    INSERT INTO bench_events SELECT 1, r.id, now(), r.data FROM unnest(%s::text[], %s::jsonb[]) AS r(id, data)
    ON CONFLICT DO NOTHING
"""


def posted(run: str, ground: Ground) -> float:
    """Seconds until every batch was answered."""
    requests = bodies(run, EVENTS, ground)
    callers = [
        threading.Thread(target=ground.post, args=(requests[number::CALLERS],), daemon=True)
        for number in range(CALLERS)
    ]
    began = time.perf_counter()
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return time.perf_counter() - began


def inserted(run: str, ground: Ground) -> float:
    """Seconds that a bare bulk insert of the same events takes, JSON encoded beforehand."""
    events = [event for body in bodies(run, EVENTS, ground) for event in msgspec.json.decode(body)["events"]]
    rows = [(event["id"], msgspec.json.encode(event).decode()) for event in events]
    url = ground.environment["DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute(_TABLE)
        connection.commit()
        began = time.perf_counter()
        for at in range(0, len(rows), BATCH):
            ids, data = zip(*rows[at : at + BATCH], strict=True)
            connection.execute(_INSERT, (list(ids), list(data)))
            connection.commit()
        return time.perf_counter() - began


def measure(ground: Ground) -> Measured:
    """Medians of `RUNS` runs."""
    with ground.running("web"):
        posted("warm-ingest", ground)
        ours = [EVENTS / posted(f"i{run}", ground) for run in range(RUNS)]
        limits = [EVENTS / inserted(f"raw{run}", ground) for run in range(RUNS)]
    print(
        f"ingest_batch: {EVENTS:,} events, {BATCH} a request; {RUNS} runs: "
        f"{', '.join(f'{one:,.0f}/s' for one in ours)}; bare: {', '.join(f'{one:,.0f}/s' for one in limits)}"
    )
    return Measured.against("ingest_batch", statistics.median(ours), "events/s", statistics.median(limits), 0.15)
