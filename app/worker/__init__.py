"""The worker and the timer: what an RQ worker runs, and the clockwork that rings for what signals missed.

    python -m app.worker work     drains stages, woken by signals; `work deliver` serves that stage alone
    python -m app.worker timer    every second: finds due work, frees expired leases, cleans up after killed workers

Both may be killed at any instant. A killed worker's signal is rung again by the sweep within seconds; its database
transaction is gone, its leases expire.
"""

from __future__ import annotations

import imaplib
import os
import signal as unix_signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import FrameType

import structlog
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.worker import DequeueStrategy
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.audience import membership
from app.config import Settings
from app.db import Ran
from app.delivery import deliver, domains, doubts, hits, inbox
from app.due import due
from app.enrollments import advance, calls, enrol, exits, experiments, occasions, versions
from app.events.partitions import ensure_partitions
from app.house import House, calm_collector, furnish
from app.imports import stage as imports
from app.messages import broadcast, gate
from app.queues import STAGES
from app.rights import erasure, months, retention
from app.signup import stage as signups

log = structlog.get_logger()

HEARTBEAT_SECONDS = 10
"""A worker silent for this long is taken for dead. RQ's own default leaves a killed worker's job for 404 s or more."""

TURN_SECONDS = 0.5
"""How long a drain lasts at least while another stage waits for a worker; a batch that has begun is finished."""


INBOX_SECONDS = 60
"""How often the inbox is read: a complaint must be obeyed within a minute or so (R36)."""


DOMAIN_SECONDS = 60
"""How often it is looked which sender domains are due for their daily look at DNS."""


def stages(house: House, served: Sequence[str] = STAGES) -> Mapping[str, Callable[[int], Ran]]:
    """Stage name → one batch of it for one workspace.

    Args:
        served: the stages this worker serves. One that serves gate and delivery both delivers what it lets pass at
            once: one judgement and one write of each row fewer. Where others deliver, the gate only opens.
    """
    batch = house.settings.batch

    def within(run: Callable[[Session, datetime], Ran]) -> Callable[[int], Ran]:
        def one_batch(workspace_id: int) -> Ran:
            with house.database.work(workspace_id) as session:
                return run(session, house.clock.now())

        return one_batch

    return {
        "retention": within(lambda session, now: retention.run(session, now, batch)),
        "calls": lambda workspace_id: calls.run(house, workspace_id, batch),
        "broadcast": within(lambda session, now: broadcast.run(session, now, batch)),
        "carry": within(lambda session, now: versions.run(session, now, batch)),
        "experiments": within(lambda session, now: experiments.run(session, now, batch)),
        "imports": within(imports.run),
        "signups": within(lambda session, now: signups.run(session, now, batch, erasure.erase)),
        "segments": within(lambda session, now: membership.run(session, now, batch)),
        "hits": within(lambda session, now: hits.run(session, now, batch)),
        "occasions": within(lambda session, now: occasions.run(session, now, batch)),
        "enrol": within(lambda session, now: enrol.run(session, now, batch)),
        "advance": within(lambda session, now: advance.run(session, now, batch)),
        "gate": (
            (lambda workspace_id: deliver.through_the_gate(house, workspace_id, batch, exits.left))
            if "deliver" in served
            else within(lambda session, now: gate.run(session, now, batch, exits.left))
        ),
        "doubts": lambda workspace_id: doubts.run(house, workspace_id, exits.left),
        "deliver": lambda workspace_id: deliver.run(house, workspace_id, batch, exits.left),
    }


def run_due(house: House) -> int:
    """Do all that is due now in this process, stage after stage, until nothing is; returns how many rows that were.

    For loading the demo and for tests of the whole line: the same stages as the workers run, without queues.
    """
    run = stages(house)
    total = 0
    before: list[tuple[str, int]] = []
    while True:
        with house.database.system() as session:
            waiting = due(session, house.clock.now())
        done = sum(run[stage](workspace_id).done for stage, workspace_id in waiting)
        total += done
        if not waiting or (not done and waiting == before):  # the rest cannot be done now: its way out is shut, say
            return total
        before = waiting


_house: list[House] = []
_served: list[str] = list(STAGES)


def drain(stage: str, workspace_id: int, lane: int) -> None:
    """Take batches of one stage of one workspace until there are none, or for `drain_seconds` of real time.

    What is left then is signalled again, so that other stages and workspaces have their turn. Where another stage's
    signal already waits, which is to say that no worker is free for it, the turn ends after `TURN_SECONDS`: the mails
    of a large broadcast must not keep a booking waiting at the door.
    """
    house = _house[0]
    house.signals.answer(stage, workspace_id, lane)
    one_batch = stages(house, _served)[stage]
    stop = threading.Event()
    limit = threading.Timer(house.settings.drain_seconds, stop.set)
    limit.daemon = True
    limit.start()
    total, began, more = 0, time.monotonic(), True
    try:
        while more and not stop.is_set():
            ran = one_batch(workspace_id)
            total, more = total + ran.done, ran.more
            if more and time.monotonic() - began > TURN_SECONDS and house.signals.others_wait(stage):
                break
    finally:
        limit.cancel()
        if total:
            log.info("drained", stage=stage, workspace_id=workspace_id, lane=lane, done=total)
    if more:
        house.signals.ring(stage, workspace_id)


class Worker(SimpleWorker):
    """RQ's SimpleWorker with lives short enough that a killed one is noticed within seconds."""

    def get_heartbeat_ttl(self, job: object) -> int:
        return HEARTBEAT_SECONDS


def tick(house: House) -> None:
    """One turn of the timer: partitions made and, once a day, dropped; expired leases, forgotten work."""
    now = house.clock.now()
    with house.database.system() as session:
        ensure_partitions(session, now)
    with house.database.system() as session:
        deliver.recover(session, now)
        waiting = due(session, now)
    for stage, workspace_id in waiting:
        house.signals.ring(stage, workspace_id)
    months.drop(house.database, now)
    for stage in STAGES:
        StartedJobRegistry(
            queue=Queue(stage, connection=house.redis, serializer=JSONSerializer),
            serializer=JSONSerializer,
        ).cleanup()


def _read_inbox(house: House, stop: threading.Event) -> None:
    while not stop.wait(INBOX_SECONDS):
        try:
            inbox.fetch(house)
        except (DBAPIError, OSError, ValueError, imaplib.IMAP4.error) as error:
            log.warning("inbox_not_read", error=str(error).splitlines()[0] if str(error) else type(error).__name__)


def _look_at_domains(house: House, stop: threading.Event) -> None:
    while not stop.wait(DOMAIN_SECONDS):
        try:
            domains.run(house)
        except DBAPIError as error:
            log.warning("domains_not_looked_at", error=str(error).splitlines()[0])


def timer(house: House, every: timedelta = timedelta(seconds=1)) -> None:
    """Tick until told to stop. A tick that fails is logged and the next one tries again."""
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    unix_signal.signal(unix_signal.SIGTERM, end)
    unix_signal.signal(unix_signal.SIGINT, end)
    if house.settings.inbox:
        # On a thread of its own: a mail server that does not answer holds up no tick.
        threading.Thread(target=_read_inbox, args=(house, stop), name="inbox", daemon=True).start()
    # On a thread of its own: a name server that does not answer holds up no tick.
    threading.Thread(target=_look_at_domains, args=(house, stop), name="domains", daemon=True).start()
    while not stop.wait(every.total_seconds()):
        try:
            tick(house)
        except (DBAPIError, RedisError) as error:
            log.warning("tick_failed", error=str(error).splitlines()[0])


def work(house: House, stages: Sequence[str] = STAGES) -> None:
    """Serve these stages until SIGTERM: the one nearest to the mailbox first, then the others in turn, so that none
    waits for ever behind one that always has work."""
    _served[:] = [stage for stage in reversed(STAGES) if stage in stages]
    queues = [Queue(stage, connection=house.redis, serializer=JSONSerializer) for stage in _served]
    worker = Worker(
        queues,
        connection=house.redis,
        serializer=JSONSerializer,
        worker_ttl=20,
        maintenance_interval=2,
        job_monitoring_interval=3,
    )
    worker.work(logging_level="WARNING", with_scheduler=False, dequeue_strategy=DequeueStrategy.ROUND_ROBIN)


def main(arguments: list[str]) -> int:
    """`work`, with the stages to serve where not all, or `timer`."""
    what, *served = arguments or [""]
    if what not in {"work", "timer"} or not set(served) <= (set(STAGES) if what == "work" else set()):
        print(f"usage: python -m app.worker work [{'|'.join(STAGES)} ...] | timer", file=sys.stderr)
        return 2
    house = furnish(Settings.from_env(os.environ))
    _house[:] = [house]
    if what == "work":
        calm_collector()
        work(house, served or STAGES)
    else:
        timer(house)
    house.close()
    return 0
