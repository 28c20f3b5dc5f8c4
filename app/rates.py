"""How often: counters in Redis, which counts by its own time.

Redis counts, not our clock: a demo's clock may stand still or leap. A lost Redis lets everybody pass, for nothing that
is limited here is worse off without the limit than without the request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from redis import Redis
from redis.exceptions import RedisError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many in so many seconds."""

    most: int
    seconds: int


def wait(redis: Redis, counted: Sequence[tuple[str, Limit]]) -> int:
    """Count one more under each name; the seconds to wait where one of them is over its limit, else 0."""
    try:
        with redis.pipeline(transaction=True) as pipeline:
            for name, limit in counted:
                key = f"percorso:rate:{name}"
                pipeline.set(key, 0, ex=limit.seconds, nx=True)
                pipeline.incr(key)
                pipeline.ttl(key)
            answers = pipeline.execute()
    except RedisError as error:
        log.warning("rate_not_counted", error=str(error))
        return 0
    found = zip(answers[1::3], answers[2::3], counted, strict=True)
    return max((max(int(left), 1) for count, left, (_, limit) in found if count > limit.most), default=0)
