"""Home: what needs attention, how much goes out, and where people are. A fixed number of queries, all over indexes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from app.delivery.domains import in_trouble
from app.delivery.models import CapturedMail, SenderDomain
from app.due import oldest
from app.enrollments.models import Enrollment, Workflow
from app.events.catalogue import known_events
from app.events.models import Event, EventWork
from app.messages.models import Message
from app.messages.streams import paused, warnings
from app.studio.words import PHASES

LATE = timedelta(minutes=5)
"""How far behind the oldest due item may be before Home says so."""


@dataclass(frozen=True, slots=True)
class Volume:
    """Messages of one local day: gone, still to go, and refused."""

    sent: int = 0
    planned: int = 0
    refused: int = 0
    waits: int = 0
    """People whose wait ends on that day."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One segment of the ribbon: people inside, live workflows."""

    name: str
    inside: int
    workflows: int


@dataclass(frozen=True, slots=True)
class Home:
    """The page's figures."""

    failed: int
    unknown: int
    stuck: int
    poisoned: int
    paused: Sequence[Workflow]
    unmapped: Mapping[str, int]
    oldest_due: datetime | None
    today: Volume
    tomorrow: Volume
    phases: Sequence[Phase]
    workflows: int
    outbox: int
    streams: Mapping[str, str]
    """Kind of message → why it has been paused (R38)."""
    warned: Mapping[str, str]
    """Kind of message → the figures, where it comes near that."""

    domains: Sequence[SenderDomain] = ()
    """Domains in use that fail their checks, or whose signing key is not seen any more (R30)."""

    def late(self, now: datetime) -> datetime | None:
        """Since when the oldest due item waits, where that is long enough to speak of."""
        return self.oldest_due if self.oldest_due and now - self.oldest_due > LATE else None

    def well(self, now: datetime) -> bool:
        """Whether nothing needs anybody."""
        troubles = (
            self.failed, self.unknown, self.stuck, self.poisoned, self.paused, self.unmapped, self.streams,
            self.warned, self.domains, self.late(now),
        )  # fmt: skip
        return not any(troubles)


def home(session: Session, now: datetime, zone: ZoneInfo, property_id: int | None = None) -> Home:
    """All of it; fifteen queries, two more where a stream was near its limit."""
    local = now.astimezone(zone)
    midnight = datetime(local.year, local.month, local.day, tzinfo=zone)
    days = [midnight + timedelta(days=shift) for shift in range(3)]
    ours = Message.property_id == property_id if property_id is not None else Message.id.is_not(None)
    week = now - timedelta(days=7)
    failed, unknown = session.execute(
        select(
            func.count().filter(Message.state == "failed", Message.ended_at >= week),
            func.count().filter(Message.state == "unknown"),
        ).where(ours, Message.state.in_(("failed", "unknown")))
    ).one()
    volumes = session.execute(
        select(
            *(
                count
                for start, end in ((days[0], days[1]), (days[1], days[2]))
                for count in (
                    func.count().filter(
                        Message.state == "accepted", Message.accepted_at >= start, Message.accepted_at < end
                    ),
                    func.count().filter(
                        Message.state.in_(("planned", "deferred", "ready", "leased", "handed_over")),
                        Message.due_at < end,
                        Message.due_at >= (start if start != days[0] else datetime.min.replace(tzinfo=zone)),
                    ),
                    func.count().filter(Message.state == "refused", Message.ended_at >= start, Message.ended_at < end),
                )
            )
        ).where(
            ours,
            or_(
                Message.state.in_(("planned", "deferred", "ready", "leased", "handed_over")),
                and_(Message.ended_at.is_not(None), Message.ended_at >= days[0]),
                and_(Message.accepted_at.is_not(None), Message.accepted_at >= days[0]),
            ),
        )
    ).one()
    waits = session.execute(
        select(
            func.count().filter(Enrollment.wake_at < days[1]),
            func.count().filter(Enrollment.wake_at >= days[1], Enrollment.wake_at < days[2]),
        ).where(
            Enrollment.status == "active",
            Enrollment.wake_at.is_not(None),
            Enrollment.wake_at < days[2],
            Enrollment.property_id == property_id if property_id is not None else Enrollment.id.is_not(None),
        )
    ).one()
    workflows = session.scalars(
        select(Workflow).where(Workflow.status.in_(("live", "paused"))).order_by(Workflow.name)
    ).all()
    inside = select(Enrollment.workflow_id, func.count(), func.count().filter(Enrollment.error.is_not(None))).where(
        Enrollment.status == "active"
    )
    if property_id is not None:
        inside = inside.where(Enrollment.property_id == property_id)
    counted = {row[0]: (row[1], row[2]) for row in session.execute(inside.group_by(Enrollment.workflow_id))}
    poisoned = session.scalar(select(func.count()).select_from(EventWork).where(EventWork.attempts > 0)) or 0
    waiting = [since for since in oldest(session, now).values() if since is not None]
    return Home(
        failed=failed,
        unknown=unknown,
        stuck=sum(row[1] for row in counted.values()),
        poisoned=poisoned,
        paused=[workflow for workflow in workflows if workflow.status == "paused"],
        unmapped=_unmapped(session, week),
        oldest_due=min(waiting, default=None),
        today=Volume(volumes[0], volumes[1], volumes[2], waits[0]),
        tomorrow=Volume(volumes[3], volumes[4], volumes[5], waits[1]),
        phases=[
            Phase(
                phase,
                sum(counted.get(workflow.id, (0, 0))[0] for workflow in workflows if workflow.phase == phase),
                sum(workflow.phase == phase for workflow in workflows),
            )
            for phase in PHASES
        ],
        workflows=len(workflows),
        outbox=session.scalar(select(func.count()).select_from(CapturedMail)) or 0,
        streams=paused(session),
        warned=warnings(session, now),
        domains=in_trouble(session),
    )


def _unmapped(session: Session, since: datetime) -> dict[str, int]:
    """Event types of the last days that no catalogue entry describes, with how many came."""
    known = tuple(known_events())
    rows = session.execute(
        select(Event.type, func.count())
        .where(Event.received_at >= since, Event.type.not_in(known))
        .group_by(Event.type)
        .order_by(func.count().desc())
        .limit(5)
    ).all()
    return {str(kind): int(count) for kind, count in rows}
