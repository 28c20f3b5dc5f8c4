"""`flask broadcasts`: list them, send one, see what has become of it, stop it."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

import click
from flask.cli import with_appcontext
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cli.places import in_workspace, the_workspace
from app.consent.sentences import sentence
from app.doors import house
from app.journey.waits import at_clock
from app.messages import broadcast_desk as desk
from app.messages.broadcast import home_zone
from app.messages.broadcast_audience import UnknownSegmentError
from app.messages.broadcast_desk import BroadcastError, Wish
from app.messages.broadcast_preview import Count, count_on
from app.messages.models import Broadcast


@click.group("broadcasts")
def group() -> None:
    """One mail to one segment, once, through the same rules as every other message."""


@group.command("list")
@in_workspace
@with_appcontext
def listed(slug: str | None) -> None:
    """Every broadcast, newest first, with how many got it."""
    _, workspace_id = the_workspace(slug)
    with house().database.work(workspace_id) as session:
        found = session.scalars(select(Broadcast).order_by(Broadcast.id.desc()).limit(100)).all()
        for one in found:
            results = desk.results(session, one.id)
            when = one.ended_at or one.started_at or one.starts_at
            click.echo(
                f"{one.id:>6}  {one.state:<9}  {results.sent:>7} sent  {results.ended:>7} not  "
                f"{when.isoformat(timespec='minutes') if when else '–':<25}  {one.name}"
            )
    if not found:
        click.echo("There is none yet. Send one with “flask broadcasts send TEMPLATE”.")


@group.command("send")
@click.argument("template")
@click.option("--segment", help="To whom; without it, everybody.")
@click.option("--name", help="What the team calls it. Default: the template's name.")
@click.option("--at", "at", help="When, as 2026-05-12T10:00, by the property's clock. Default: now.")
@click.option("--local", "local", help="At each person's own hour, as 2026-05-12T10:00.")
@click.option("--within", "hours", default=24, show_default=True, help="Not later than so many hours after its moment.")
@click.option("--drop", is_flag=True, help="Leave out whom the frequency cap has no room for, instead of waiting.")
@click.option("--people", type=int, help="Confirm for this number of people; without it you are asked.")
@in_workspace
@with_appcontext
def send(
    template: str,
    segment: str | None,
    name: str | None,
    at: str | None,
    local: str | None,
    hours: int,
    drop: bool,
    people: int | None,
    slug: str | None,
) -> None:
    """Send TEMPLATE: it is counted first, and goes once the number is confirmed."""
    parts = house()
    _, workspace_id = the_workspace(slug)
    now, by = parts.clock.now(), os.environ.get("USER", "command line")
    if at and local:
        raise click.UsageError("Choose --at or --local.")
    moment = _moment(at or local)
    try:
        with parts.database.work(workspace_id) as session:
            wish = Wish(
                name=name or template,
                template=template,
                segment=segment,
                timing="at" if at else "local" if local else "now",
                at=at_clock(moment.date(), moment.time(), home_zone(session, None)) if at and moment else None,
                local_day=moment.date() if local and moment else None,
                local_time=moment.time() if local and moment else None,
                window_hours=hours,
                on_hit="drop" if drop else "defer",
            )
            made = desk.write(session, wish, by, now)
            counted = count_on(session, made, now, lambda: True)
            number, expected = made.id, desk.expected(made)
        _tell_count(counted)
        if not expected:
            raise click.ClickException(f"Nobody would get it. It is kept as draft {number}.")
        typed = people if people is not None else click.prompt(f"Type {expected} to confirm", type=int)
        with parts.database.work(workspace_id) as session:
            desk.confirm(session, _one(session, number), typed, by, parts.clock.now(), grace=timedelta())
    except UnknownSegmentError as error:
        raise click.ClickException(f"There is no segment {error}.") from None
    except BroadcastError as error:
        raise click.ClickException(f"Not sent: {error}.") from None
    click.echo(f"Broadcast {number} is on its way." if not moment else f"Broadcast {number} is scheduled.")


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"{text} is no day and hour; write it as 2026-05-12T10:00.") from None
    if read.tzinfo is not None:
        raise click.UsageError("Write the hour without a zone: it is read by the property's clock, or each person's.")
    return read


def _tell_count(counted: Count) -> None:
    later = f", {counted.later} of them later" if counted.later else ""
    click.echo(f"In the segment: {counted.people}. Would get it: {counted.may + counted.later}{later}.")
    for reason, people in (counted.refused or {}).items():
        click.echo(f"  {people:>7}  {reason}: {sentence(reason, 'en')}")


def _one(session: Session, number: int) -> Broadcast:
    found = desk.find(session, number)
    if found is None:
        raise click.ClickException(f"There is no broadcast {number}.")
    return found


@group.command("show")
@click.argument("number", type=int)
@in_workspace
@with_appcontext
def show(number: int, slug: str | None) -> None:
    """What has become of one: how far it is, and why not everybody."""
    _, workspace_id = the_workspace(slug)
    with house().database.work(workspace_id) as session:
        one = _one(session, number)
        results = desk.results(session, number)
        facts: dict[str, Any] = {
            "state": one.state,
            "template": one.template,
            "to": one.segment or "everybody",
            "frozen for": one.audience if one.frozen_at else "not yet",
            "sent": results.sent,
            "not sent": results.ended,
            "still to go": results.to_come,
            "came back": results.bounced,
            "called spam": results.complained,
        }
    click.echo(f"{number}: {one.name}")
    for label, value in facts.items():
        click.echo(f"  {label}: {value}")
    for reason, people in results.refused.items():
        click.echo(f"  {people:>7}  {reason}: {sentence(reason, 'en')}")


@group.command("stop")
@click.argument("number", type=int)
@in_workspace
@with_appcontext
def stop(number: int, slug: str | None) -> None:
    """End one for good: what waits is called off, what has been handed over has gone."""
    parts = house()
    _, workspace_id = the_workspace(slug)
    try:
        with parts.database.work(workspace_id) as session:
            called_off = desk.stop(
                session, _one(session, number), os.environ.get("USER", "command line"), parts.clock.now()
            )
            sent = desk.results(session, number).sent
    except BroadcastError:
        raise click.ClickException("It has not begun, or has ended already.") from None
    click.echo(f"Stopped. {sent} had been sent, {called_off} that waited were called off.")
