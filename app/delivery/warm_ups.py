"""Warm-ups as people look after them: begun, paused, skipped ahead, begun anew, ended. `messages/warming.py` counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import workspace_of
from app.delivery.models import SenderDomain, WarmUp
from app.messages import identities, warming
from app.messages.warming import Ramp
from app.queues import signal


class Day(NamedTuple):
    """A line of the plan."""

    number: int
    on: date
    allowed: int
    sent: int
    today: bool


def running(session: Session, domain_id: int) -> WarmUp | None:
    """The warm-up of a domain, where one has not ended. One query."""
    return session.scalar(select(WarmUp).where(WarmUp.domain_id == domain_id, WarmUp.ended_at.is_(None)))


def begin(
    session: Session,
    domain: SenderDomain,
    zone: str,
    by: str,
    now: datetime,
    plan: Sequence[int] | None = None,
    *,
    service: bool = False,
) -> WarmUp:
    """Begin today, by the advised plan where none is given; one that runs is ended.

    Raises ValueError for a plan without days.
    """
    days = list(plan if plan is not None else warming.plan())
    if not days or min(days) < 1:
        raise ValueError("A plan has a day at least, and a mail on each.")
    before = running(session, domain.id)
    if before is not None:
        before.ended_at = now
    made = WarmUp(
        workspace_id=workspace_of(session),
        domain_id=domain.id,
        zone=zone,
        started_on=now,
        plan=days,
        service=service,
        created_at=now,
        created_by=by,
    )
    made.started_on = ramp_of(made).today(now)
    session.add(made)
    session.flush()  # its number is asked for
    return made


def ramp_of(row: WarmUp) -> Ramp:
    """A warm-up as the gate reads it."""
    return Ramp(
        row.id, row.domain_id, row.zone, row.plan, row.started_on, bool(row.service), row.skipped or 0, row.paused_at,
        row.sent or {}, row.booked,
    )  # fmt: skip


def days(row: WarmUp, now: datetime) -> list[Day]:
    """The plan, day by day, as it stands now."""
    ramp = ramp_of(row)
    today = ramp.today(now)
    current = ramp.number(today)
    return [
        Day(number + 1, on, allowed, ramp.gone(on), number == current)
        for number, allowed in enumerate(ramp.days)
        for on in [today + timedelta(days=number - current)]
    ]


def pause(row: WarmUp, now: datetime) -> None:
    """Stay at today's number until it is resumed."""
    row.paused_at = row.paused_at or now


def resume(row: WarmUp, now: datetime) -> None:
    """Go on with the day after the one it was paused on, and no further ahead."""
    if row.paused_at is not None:
        ramp = ramp_of(row)
        row.skipped -= (ramp.today(now) - ramp.today(row.paused_at)).days
        row.paused_at = None


def skip(session: Session, row: WarmUp, now: datetime) -> None:
    """Go a day further in the plan, today."""
    row.skipped += 1
    _anew(session, row, now)


def reset(session: Session, row: WarmUp, now: datetime) -> None:
    """Begin again with the first day, today."""
    row.started_on, row.skipped, row.paused_at = ramp_of(row).today(now), 0, None
    _anew(session, row, now)


def end(session: Session, row: WarmUp, now: datetime) -> None:
    """Nothing holds this domain's mails back any more."""
    row.ended_at = now
    _anew(session, row, now)


def _anew(session: Session, row: WarmUp, now: datetime) -> None:
    """What waits is given its instant anew, by what the plan now says."""
    row.booked = None
    session.flush()  # what wakes is judged by what the row now says
    if identities.wake(session, now, ["warm_up"]):
        signal(session, "gate")
