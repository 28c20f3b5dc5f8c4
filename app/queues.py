"""Work signals: "this stage of this workspace has work", sent only after commit. With worker/ the one user of RQ.

The database is the truth; a signal is a doorbell. Losing every signal (FLUSHALL) delays work until the timer's next
sweep and loses none. A signal carries a stage and a workspace, never an id of a row.
"""

from __future__ import annotations

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.serializers import JSONSerializer
from sqlalchemy.orm import Session

from app.db import after_commit, workspace_of

log = structlog.get_logger()

STAGES = (
    *("retention", "imports", "signups", "segments", "occasions", "broadcast", "calls", "carry", "experiments", "hits"),
    *("enrol", "advance", "gate", "doubts", "deliver"),
)
"""Stages in path order; each has a queue of its name, which workers serve in turn, beginning with what is nearest to
a mailbox. `retention` can wait for all others; `imports` and the four after it bring about what `enrol` takes up;
`calls` and `carry` stand among them since neither another house's slow answer nor a move of thousands to a new version
of their workflow may keep a letter waiting."""

PARALLEL = {
    "retention": 1,
    "imports": 1,
    "signups": 1,
    "segments": 1,
    "occasions": 1,
    "broadcast": 1,
    "calls": 1,
    "carry": 1,
    "experiments": 1,
    "hits": 1,
    "enrol": 1,
    "advance": 2,
    "gate": 2,
    "doubts": 1,
    "deliver": 2,
}
"""How many workers are woken for one stage of one workspace. `enrol` and `gate` also take a lock of their own: events
of a person keep their order, and a frequency cap cannot be passed by two judges at once."""

BELL_SECONDS = 10
"""How long a bell that nobody answered stays rung: a worker killed between taking the signal and starting on it
delays its work by this much at most (the timer's sweep rings again)."""

JOB_SECONDS = 600
"""RQ's limit on one drain; far above `drain_seconds` plus one batch, as it only ends a worker that hangs."""


class Signals:
    """Rings the doorbells.

    A bell is a Redis key that lives from the ring until a worker begins to drain. Rings in between change nothing;
    a ring after it starts another drain, so nothing that was committed before a ring can be overlooked.

    Args:
        redis: connection to Redis or Valkey.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._queues = {stage: Queue(stage, connection=redis, serializer=JSONSerializer) for stage in STAGES}

    def ring(self, stage: str, workspace_id: int) -> None:
        """Wake up to `PARALLEL[stage]` workers. Never raises for a lost Redis: the sweep rings again."""
        try:
            for lane in range(PARALLEL[stage]):
                if self._redis.set(_bell(stage, workspace_id, lane), 1, nx=True, ex=BELL_SECONDS):
                    self._queues[stage].enqueue_call(
                        "app.worker.drain",
                        args=(stage, workspace_id, lane),
                        timeout=JOB_SECONDS,
                        result_ttl=0,
                        failure_ttl=60,
                    )
        except RedisError as error:
            log.warning("signal_lost", stage=stage, workspace_id=workspace_id, error=str(error))

    def answer(self, stage: str, workspace_id: int, lane: int) -> None:
        """Say that a drain begins: rings from here on count anew."""
        self._redis.delete(_bell(stage, workspace_id, lane))

    def others_wait(self, stage: str) -> bool:
        """Whether the signal of another stage waits for a worker; False where Redis does not answer."""
        try:
            with self._redis.pipeline(transaction=False) as asked:
                for name, queue in self._queues.items():
                    if name != stage:
                        asked.llen(queue.key)
                return any(asked.execute())
        except RedisError:
            return False

    def depth(self) -> dict[str, int]:
        """Waiting signals by stage."""
        return {stage: queue.count for stage, queue in self._queues.items()}


def _bell(stage: str, workspace_id: int, lane: int) -> str:
    return f"percorso:bell:{stage}:{workspace_id}:{lane}"


_signals: list[Signals] = []


def connect(redis: Redis) -> Signals:
    """Make `redis` the one this process signals through; called once at start."""
    _signals[:] = [Signals(redis)]
    return _signals[0]


def signal(session: Session, stage: str) -> None:
    """After this unit of work has committed, say that `stage` of its workspace has work. Once per stage and unit."""
    workspace_id = workspace_of(session)
    rung: set[str] = session.info.setdefault("signals", set())
    if stage in rung:
        return
    rung.add(stage)
    after_commit(session, lambda: _signals[0].ring(stage, workspace_id) if _signals else None)
