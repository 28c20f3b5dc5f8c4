"""The only reader of real time. Everything else is told what time it is.

A clock gives aware UTC instants. `SystemClock` is production, `FixedClock` belongs to tests and simulations,
`DatabaseClock` is the demo's: real time plus an offset kept in the database, so that all processes move together.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlalchemy import Engine, text


class Clock(Protocol):
    """Whatever knows the time."""

    def now(self) -> datetime:
        """The present instant: aware, UTC."""
        ...


class SystemClock:
    """Real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class FixedClock:
    """Stands still until told to move."""

    def __init__(self, instant: datetime) -> None:
        self._instant = instant.astimezone(UTC)

    def now(self) -> datetime:
        return self._instant

    def advance(self, by: timedelta) -> datetime:
        """Move by `by` (may be negative) and return the new instant."""
        self._instant += by
        return self._instant

    def set(self, instant: datetime) -> None:
        """Jump to `instant`."""
        self._instant = instant.astimezone(UTC)


class DatabaseClock:
    """Real time, or a moved one, as the one row of table `clock` says.

    The row holds an offset in microseconds and, while a replay runs, an instant at which time stands still.
    It is read again when the last reading is older than `stale` seconds of real time, so a move reaches every
    process within that time.
    """

    def __init__(self, engine: Engine, stale: float = 0.01) -> None:
        self._engine = engine
        self._stale = stale
        self._read_at = -1e9
        self._offset = timedelta()
        self._frozen: datetime | None = None
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            if time.monotonic() - self._read_at > self._stale:
                with self._engine.connect() as connection:
                    row = connection.execute(text("SELECT offset_us, frozen_at FROM clock")).first()
                self._offset = timedelta(microseconds=row[0]) if row else timedelta()
                self._frozen = row[1].astimezone(UTC) if row and row[1] else None
                self._read_at = time.monotonic()
            return self._frozen or datetime.now(UTC) + self._offset

    def _write(self, offset: timedelta, frozen: datetime | None) -> None:
        with self._lock, self._engine.begin() as connection:
            connection.execute(
                text("UPDATE clock SET offset_us = :offset, frozen_at = :frozen"),
                {"offset": round(offset.total_seconds() * 1_000_000), "frozen": frozen},
            )
            self._read_at = -1e9

    def advance(self, by: timedelta) -> datetime:
        """Move all processes by `by` and return the new instant."""
        instant = self.now() + by
        self.set(instant, frozen=self._frozen is not None)
        return instant

    def set(self, instant: datetime, *, frozen: bool = False) -> None:
        """Put all processes at `instant`; with `frozen` time stands still there until moved again."""
        self._write(instant - datetime.now(UTC), instant if frozen else None)

    def reset(self) -> None:
        """Back to real time."""
        self._write(timedelta(), None)
