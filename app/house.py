"""What a process holds: settings, clock, database, Redis. Made once at start and passed on; nothing global."""

from __future__ import annotations

import gc
from dataclasses import dataclass

from redis import Redis

from app.clock import Clock, DatabaseClock, SystemClock
from app.config import Settings
from app.db import Database
from app.logs import configure
from app.queues import Signals, connect


@dataclass(frozen=True)
class House:
    """The parts every door and stage is given."""

    settings: Settings
    clock: Clock
    database: Database
    redis: Redis
    signals: Signals

    def close(self) -> None:
        """Give back every connection."""
        self.database.close()
        self.redis.close()


def furnish(settings: Settings, *, clock: Clock | None = None, database: Database | None = None) -> House:
    """Open the database and Redis that `settings` name.

    Args:
        clock: a test's own; else the demo's movable clock or real time, as `settings.demo` says.
        database: a test's own; else one is opened.
    """
    configure(settings)
    database = database or Database(settings.database_url, settings.pool_size)
    database.settings = settings
    redis = Redis.from_url(settings.redis_url, socket_timeout=10, socket_connect_timeout=5)
    if clock is None:
        clock = DatabaseClock(database.engine) if settings.demo else SystemClock()
    return House(settings, clock, database, redis, connect(redis))


def calm_collector() -> None:
    """Have Python look for garbage cycles more seldom: batches make many objects that live long and form none.

    With Python's own thresholds a tenth to a fifth of the time of a busy process goes into looking at them again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
