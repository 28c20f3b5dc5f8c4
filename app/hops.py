"""Moves the demo's clock, from one due instant to the next, and lets the workers finish at each.

A jump of three days in one go would wake everything late: mails meant for 10:00 would be judged at midnight and held by
quiet hours. Going from due instant to due instant, everything happens at the minute it would have happened.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.clock import DatabaseClock
from app.due import at_rest, due, following
from app.house import House

POLL_SECONDS = 0.01
PATIENCE = 60.0
"""Seconds of real time that workers may take to deal with what fell due at one instant."""


class ClockStands(RuntimeError):  # noqa: N818
    """The clock of this installation is real time and cannot be moved (DEMO=0)."""


class NobodyWorks(RuntimeError):  # noqa: N818
    """Due work was not taken up in time: no worker runs, or it fails again and again."""


@dataclass(frozen=True)
class Moved:
    """Where the clock stands now and how many due instants it stopped at on its way."""

    now: datetime
    stops: int


def _clock(house: House) -> DatabaseClock:
    if not isinstance(house.clock, DatabaseClock):
        raise ClockStands("The clock moves only in demo mode (DEMO=1).")
    return house.clock


def settle(house: House, patience: float = PATIENCE) -> None:
    """Ring for everything due now and wait until nothing is; raises NobodyWorks after `patience` seconds."""
    waited = threading.Event()
    turns = 0
    while True:
        with house.database.system() as session:
            now = house.clock.now()
            if at_rest(session, now):
                return
            if turns % 50 == 0:
                for stage, workspace_id in due(session, now):
                    house.signals.ring(stage, workspace_id)
        turns += 1
        if turns * POLL_SECONDS > patience:
            raise NobodyWorks("What fell due was not taken up: is a worker running (bin/run, or app.worker work)?")
        waited.wait(POLL_SECONDS)


def advance_to(
    house: House, target: datetime, *, hold: bool = False, on_stop: Callable[[datetime], None] | None = None
) -> Moved:
    """Move to `target`, stopping wherever something falls due; time runs on from there.

    Args:
        target: where to; an instant before now moves back at once and stops nowhere.
        hold: time stands still at `target` instead of running on.
        on_stop: told each instant at which it stops.

    Raises:
        ClockStands: real time cannot be moved.
        NobodyWorks: no worker took up what fell due.
    """
    clock = _clock(house)
    stops = 0
    settle(house)
    while True:
        now = clock.now()
        with house.database.system() as session:
            instant = following(session, now)
        if instant is None or instant > target:
            break
        clock.set(max(instant, now), frozen=True)
        settle(house)
        stops += 1
        if on_stop:
            on_stop(instant)
    clock.set(target, frozen=hold)
    settle(house)
    return Moved(clock.now(), stops)


def advance(house: House, by: timedelta) -> Moved:
    """Move by `by`; see `advance_to`."""
    return advance_to(house, house.clock.now() + by)


def to_next(house: House) -> Moved | None:
    """Move to the next instant at which something falls due; None where nothing waits."""
    with house.database.system() as session:
        instant = following(session, house.clock.now())
    return advance_to(house, instant) if instant else None
