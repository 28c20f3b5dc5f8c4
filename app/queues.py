"""Work signals: "there is work in this stage of this workspace", sent only after commit. With worker.py the one user of RQ.

The database is the truth; a signal is a doorbell. Losing every signal (FLUSHALL) delays work until the timer's next
sweep and loses none. A signal carries a stage and a workspace, never an id of a row.
"""

from __future__ import annotations

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer
from sqlalchemy.orm import Session

from app.db import after_commit, workspace_of

log = structlog.get_logger()

STAGES = ("enrol", "advance", "gate", "deliver", "track")
"""Stages in path order; each has a queue of its name, and workers serve them last first, so that what is nearest to
a mailbox goes out before new work is taken in."""

PARALLEL = {"enrol": 1, "advance": 2, "gate": 1, "deliver": 2, "track": 1}
"""How many workers may drain one stage of one workspace at once. `enrol` is one: events of a person keep their order."""

_AGAIN_SECONDS = 60


class Signals:
    """Rings the doorbells.

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
                try:
                    self._queues[stage].enqueue_call(
                        "app.worker.drain",
                        args=(stage, workspace_id, lane),
                        job_id=f"{stage}-{workspace_id}-{lane}",
                        unique=True,
                        timeout=60,
                        result_ttl=0,
                        failure_ttl=0,
                    )
                except DuplicateJobError:
                    # Already waiting or running; a running one may have looked before our rows were committed.
                    self._redis.set(again_key(stage, workspace_id), 1, ex=_AGAIN_SECONDS)
        except RedisError as error:
            log.warning("signal_lost", stage=stage, workspace_id=workspace_id, error=str(error))

    def asked_again(self, stage: str, workspace_id: int) -> bool:
        """Whether somebody rang while the stage was being drained; asking clears it."""
        return bool(self._redis.getdel(again_key(stage, workspace_id)))

    def depth(self) -> dict[str, int]:
        """Waiting signals by stage."""
        return {stage: queue.count for stage, queue in self._queues.items()}


def again_key(stage: str, workspace_id: int) -> str:
    """The Redis key that says "look once more"."""
    return f"percorso:again:{stage}:{workspace_id}"


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
