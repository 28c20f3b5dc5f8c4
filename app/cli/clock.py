"""`flask clock`: where the demo's clock stands, and moving it."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

import click
from flask.cli import with_appcontext

from app import hops
from app.clock import DatabaseClock
from app.doors import house
from app.journey.durations import DurationError, parse
from app.journey.waits import add


@click.group("clock", help="The demo's movable clock.")
def group() -> None:
    """Commands that show and move the demo's clock."""


@group.command("show")
@with_appcontext
def show() -> None:
    """Say where the clock stands."""
    click.echo(house().clock.now().isoformat(timespec="seconds"))


@group.command("advance")
@click.argument("duration")
@with_appcontext
def advance(duration: str) -> None:
    """Move by DURATION ("3 days", "90 minutes"), stopping wherever something falls due on the way."""
    try:
        length = parse(duration)
    except DurationError as error:
        raise click.UsageError(str(error)) from None
    parts = house()
    target = add(parts.clock.now(), length, ZoneInfo("UTC"))
    _move(lambda: hops.advance_to(parts, target))


@group.command("next")
@with_appcontext
def next_() -> None:
    """Move to the next instant at which something falls due."""
    _move(lambda: hops.to_next(house()))


@group.command("reset")
@with_appcontext
def reset() -> None:
    """Back to real time."""
    clock = house().clock
    if not isinstance(clock, DatabaseClock):
        raise click.ClickException("The clock moves only in demo mode (DEMO=1).")
    clock.reset()
    click.echo(clock.now().isoformat(timespec="seconds"))


def _move(move: Callable[[], hops.Moved | None]) -> None:
    try:
        moved = move()
    except (hops.ClockStands, hops.NobodyWorks) as error:
        raise click.ClickException(str(error)) from None
    if moved is None:
        click.echo("Nothing is waiting for a later time.")
        return
    click.echo(f"{moved.now.isoformat(timespec='seconds')} (stopped at {moved.stops} due instants on the way)")
