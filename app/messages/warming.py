"""Warming up a sender domain: so many mails a day, more each day, spread over the day. Pure but for `Turns.write`.

Mailbox providers distrust a domain that nobody knew yesterday and that sends thousands today. So a plan says what may
go on its first day, its second ...; what is over is put off, to an instant of its own, so that a waiting mail is judged
again once and not every few minutes. The gate asks (its batches take turns, so the count is exact); a message that has
passed is not asked again.

Whose turn it is follows the order of the lanes, oldest first. Not the most engaged first: sorting all that waits by
what each reader did would cost more than it is worth, and the plan is over in weeks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.consent.case import Held
from app.db import as_rows, workspace_of

OPENS, CLOSES = time(8), time(20)
"""The hours of a day over which its mails are spread, on the clock of the warm-up."""

START, GROWTH, TARGET = 50, 1.6, 5_000
"""Advised: 50 on the first day, three fifths more each day, over when 5,000 are allowed (the number from which Gmail,
Yahoo and Microsoft hold a sender to the rules for bulk)."""


def plan(start: int = START, growth: float = GROWTH, target: int = TARGET) -> list[int]:
    """What is allowed on each day, up to the day that reaches `target`.

    Raises ValueError for a start under 1, a growth that does not grow, or a plan of more than 120 days.
    """
    if start < 1 or target < start or growth <= 1:
        raise ValueError("A plan begins with 1 mail or more, grows each day, and ends with more than it began.")
    days, allowed = [], float(start)
    while allowed < target:
        days.append(int(allowed))
        allowed = max(allowed * growth, int(allowed) + 1)
        if len(days) >= 120:
            raise ValueError("This would take more than 120 days.")
    return [*days, target]


@dataclass(frozen=True, slots=True)
class Ramp:
    """One warm-up."""

    id: int
    domain_id: int
    zone: str
    days: Sequence[int]
    started_on: date
    service: bool = False
    skipped: int = 0
    paused_at: datetime | None = None
    sent: Mapping[str, int] | None = None
    booked: datetime | None = None

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Ramp:
        """From a row as JSON."""
        paused, booked = (datetime.fromisoformat(row[name]) if row[name] else None for name in ("paused_at", "booked"))
        return cls(
            row["id"], row["domain_id"], row["zone"], row["plan"], date.fromisoformat(row["started_on"]),
            row["service"], row["skipped"], paused, row["sent"], booked,
        )  # fmt: skip

    def today(self, now: datetime) -> date:
        """The day on its clock."""
        return now.astimezone(ZoneInfo(self.zone)).date()

    def number(self, day: date) -> int:
        """Which day of the plan a date is, from 0. While it is paused the day of the pause lasts."""
        if self.paused_at is not None:
            day = min(day, self.today(self.paused_at))
        return max(0, (day - self.started_on).days + self.skipped)

    def allowed(self, day: date) -> int | None:
        """How many may go on a date; None: it is over, and nothing holds any more."""
        number = self.number(day)
        return self.days[number] if number < len(self.days) else None

    def gone(self, day: date) -> int:
        """How many were let go on a date."""
        return int((self.sent or {}).get(day.isoformat(), 0))

    def instant(self, day: date, place: int) -> datetime:
        """When the mail of that place (from 0) has its turn on a date: evenly over the hours of the day."""
        opens = datetime.combine(day, OPENS, ZoneInfo(self.zone))
        return opens + self._spacing(day) * place

    def _spacing(self, day: date) -> timedelta:
        hours = datetime.combine(day, CLOSES) - datetime.combine(day, OPENS)
        return hours / max(1, self.allowed(day) or 1)

    def after(self, now: datetime, taken: int) -> datetime:
        """The next instant that is promised to nobody, with so many gone today."""
        day = self.today(now)
        if self.booked is not None and self.booked > now:
            day = self.today(self.booked)
            following = self.booked + self._spacing(day)
            if following < self.instant(day, self.allowed(day) or 1):
                return following
            return self.instant(day + timedelta(days=1), 0)
        if taken < (self.allowed(day) or 0):
            return max(now, self.instant(day, taken))
        return self.instant(day + timedelta(days=1), 0)


class Turns:
    """Whose turn it is in one batch, and what that makes of each warm-up.

    Args:
        ramps: id of a domain → its warm-up.
        now: the instant of judgement.
    """

    def __init__(self, ramps: Mapping[int, Ramp], now: datetime) -> None:
        self._ramps = dict(ramps)
        self._now = now
        self._taken: dict[int, int] = {}

    def held(self, domain_id: int, class_: str, waited: bool) -> Held | None:
        """Why this mail waits, and until when; None: it may go, or nothing warms up here.

        Args:
            waited: whether it was put off before; who did goes before who comes new.
        """
        ramp = self._ramp(domain_id, class_)
        day = ramp.today(self._now) if ramp else None
        allowed = ramp.allowed(day) if ramp and day else None
        if ramp is None or day is None or allowed is None:
            return None
        taken = ramp.gone(day) + self._taken.get(domain_id, 0)
        queue = ramp.booked is not None and ramp.booked > self._now
        if taken < allowed and ramp.instant(day, taken) <= self._now and (waited or not queue):
            return None
        inputs = {"plan_day": ramp.number(day) + 1, "allowed": allowed, "sent": taken}
        return Held("warm_up", "R30", inputs, ramp.after(self._now, taken))

    def take(self, domain_id: int, class_: str) -> None:
        """A mail goes."""
        if self._ramp(domain_id, class_) is not None:
            self._taken[domain_id] = self._taken.get(domain_id, 0) + 1

    def book(self, domain_id: int, until: datetime) -> None:
        """A mail waits for this instant."""
        ramp = self._ramps[domain_id]
        self._ramps[domain_id] = Ramp(
            ramp.id, ramp.domain_id, ramp.zone, ramp.days, ramp.started_on, ramp.service, ramp.skipped, ramp.paused_at,
            ramp.sent, until,
        )  # fmt: skip

    def _ramp(self, domain_id: int, class_: str) -> Ramp | None:
        ramp = self._ramps.get(domain_id)
        return ramp if ramp is not None and (class_ == "marketing" or ramp.service) else None

    def write(self, session: Session) -> None:
        """Keep what this batch took and booked: one query, none where nothing warms up."""
        rows = [
            {
                "id": ramp.id,
                "day": ramp.today(self._now).isoformat(),
                "taken": self._taken.get(domain_id, 0),
                "booked": ramp.booked,
            }
            for domain_id, ramp in self._ramps.items()
        ]
        if rows:
            session.execute(_WRITE, {"ws": workspace_of(session), "rows": as_rows(rows)})


_WRITE = text(
    """
    UPDATE warm_ups w SET
        sent = CASE WHEN r.taken = 0 THEN w.sent
            ELSE jsonb_set(w.sent, ARRAY[r.day], to_jsonb(coalesce((w.sent ->> r.day)::int, 0) + r.taken)) END,
        booked = greatest(w.booked, r.booked)
    FROM json_to_recordset(CAST(:rows AS json)) AS r(id bigint, day text, taken integer, booked timestamptz)
    WHERE w.workspace_id = :ws AND w.id = r.id
    """
)
