"""Replay: real hotel bookings, streamed through the real HTTP API as dated events against the movable clock.

The dates of the file are moved by whole weeks so that its first booking is made now; time then goes from event to event
and from due instant to due instant, with the workers of the running copy doing their work at each. At the end what
happened is counted in the database and held against an independent count over the file.
"""

from __future__ import annotations

import calendar
import csv
import gzip
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from sqlalchemy import text

from app import hops
from app.clock import DatabaseClock
from app.demo.history import Stay, events_of, read
from app.house import House

AFTERWARDS = timedelta(days=30)
"""How long the clock goes on after the last event, so that review requests and reminders come due."""
MOST = 1_000


class ReplayRefusedError(RuntimeError):
    """The API did not take the events; the message says what it answered."""


@dataclass(frozen=True)
class Line:
    """One line of the reconciliation: what the file says and what the database holds."""

    what: str
    expected: int
    found: int


@dataclass(frozen=True)
class Report:
    """What a replay came to."""

    bookings: int
    events: Counter[str]
    verdicts: Counter[str]
    enrollments: Counter[tuple[str, str]]
    """(workflow, status) → number."""
    messages: Counter[tuple[str, str, str]]
    """(workflow, state, reason) → number."""
    lines: tuple[Line, ...]

    @property
    def reconciled(self) -> bool:
        """Whether every total is what the file says."""
        return all(line.expected == line.found for line in self.lines)


def replay(
    house: House,
    workspace_id: int,
    path: Path,
    *,
    base_url: str,
    api_key: str,
    run: str,
    limit: int | None = None,
    hotel: str | None = None,
    consent_every: int = 3,
    on_progress: Callable[[int, int, datetime], None] | None = None,
) -> Report:
    """Replay a file of hotel bookings.

    Args:
        house: of the running copy, with its movable clock.
        workspace_id: whose bookings they become.
        path: the hotel booking data, .csv or .csv.gz.
        base_url, api_key: where the events are posted and as whom.
        run: a word that begins every reference; the same word again is answered with duplicates.
        limit: how many bookings; all of them by default.
        hotel: only this hotel's, as the file names it.
        consent_every: every so-many-th guest agrees to offers and to being asked for an opinion; 0: none.
        on_progress: told (events done, events in all, the clock).

    Raises:
        hops.ClockStands: the copy runs on real time.
        ReplayRefusedError: the API refused.
    """
    clock = house.clock
    if not isinstance(clock, DatabaseClock):
        raise hops.ClockStands("The clock moves only in demo mode (DEMO=1).")
    zone = ZoneInfo("Europe/Rome")
    stays = list(read(path, limit, hotel))
    shift = _shift(stays, clock.now().astimezone(zone))
    by_instant: dict[datetime, list[dict[str, Any]]] = defaultdict(list)
    total = 0
    for stay in stays:
        for event in events_of(stay, run, zone, shift, consent_every):
            by_instant[datetime.fromisoformat(event["occurred_at"])].append(event)
            total += 1
    done = 0
    sent: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    with httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {api_key}"}, timeout=60) as client:
        try:
            for instant in sorted(by_instant):
                hops.advance_to(house, instant, hold=True)
                batch = by_instant[instant]
                for start in range(0, len(batch), MOST):
                    part = batch[start : start + MOST]
                    verdicts.update(_post(client, part))
                    sent.update(event["type"] for event in part)
                    done += len(part)
                if on_progress:
                    on_progress(done, total, instant)
            hops.settle(house)
            hops.advance_to(house, clock.now() + AFTERWARDS, hold=True)
        finally:
            clock.set(clock.now(), frozen=False)
    return _report(house, workspace_id, run, path, limit, hotel, consent_every, sent, verdicts)


def _shift(stays: Sequence[Stay], now: datetime) -> timedelta:
    """Whole weeks from the file's first day to the first such weekday after `now`: weekends stay weekends."""
    first = min(stay.booked_on for stay in stays)
    weeks = -(-((now.date() - first).days + 1) // 7)
    return timedelta(weeks=weeks)


def _post(client: httpx.Client, events: Sequence[dict[str, Any]]) -> Counter[str]:
    answer = client.post("/api/v1/events", json={"events": events})
    if answer.status_code != 202:
        raise ReplayRefusedError(f"{answer.status_code}: {answer.text[:500]}")
    return Counter(verdict["status"] for verdict in answer.json()["events"])


_BOOKINGS = text(
    "SELECT status, count(*) FROM bookings WHERE workspace_id = :workspace_id AND reference LIKE :like GROUP BY 1"
)
_EVENTS = text(
    "SELECT e.type, count(*) FROM events e WHERE e.workspace_id = :workspace_id AND e.event_id LIKE :like"
    " AND e.source_id IS NOT NULL GROUP BY 1"
)
_ENROLLMENTS = text(
    "SELECT w.name, e.status, count(*) FROM enrollments e JOIN workflows w USING (workspace_id)"
    " JOIN contacts c ON c.workspace_id = e.workspace_id AND c.id = e.contact_id"
    " WHERE w.id = e.workflow_id AND e.workspace_id = :workspace_id AND c.external_id LIKE :guest GROUP BY 1, 2"
)
_MESSAGES = text(
    "SELECT w.name, m.state, coalesce(m.reason, ''), count(*) FROM messages m JOIN workflows w USING (workspace_id)"
    " JOIN contacts c ON c.workspace_id = m.workspace_id AND c.id = m.contact_id"
    " WHERE w.id = m.workflow_id AND m.workspace_id = :workspace_id AND c.external_id LIKE :guest GROUP BY 1, 2, 3"
)


def _report(
    house: House,
    workspace_id: int,
    run: str,
    path: Path,
    limit: int | None,
    hotel: str | None,
    consent_every: int,
    sent: Counter[str],
    verdicts: Counter[str],
) -> Report:
    with house.database.work(workspace_id) as session:
        parameters = {"workspace_id": workspace_id, "like": f"{run}-%", "guest": f"guest-{run}-%"}
        statuses = Counter({row[0]: row[1] for row in session.execute(_BOOKINGS, parameters)})
        events = Counter({row[0]: row[1] for row in session.execute(_EVENTS, parameters)})
        enrollments = Counter({(row[0], row[1]): row[2] for row in session.execute(_ENROLLMENTS, parameters)})
        messages = Counter({(row[0], row[1], row[2]): row[3] for row in session.execute(_MESSAGES, parameters)})
    expected = count(path, limit, hotel, consent_every)
    entered: Counter[str] = Counter()
    for (workflow, _), number in enrollments.items():
        entered[workflow] += number
    found = {
        **{f"events {name}": events[name] for name in expected if not name.startswith(("status ", "entered "))},
        **{f"status {name}": statuses[name] for name in ("checked_out", "cancelled", "no_show")},
        **{f"entered {name}": entered[name] for name in ("pre-arrival", "review-request")},
    }
    lines = tuple(
        Line(
            name if name.startswith(("status ", "entered ")) else f"events {name}",
            number,
            found[name if name.startswith(("status ", "entered ")) else f"events {name}"],
        )
        for name, number in expected.items()
    )
    return Report(sum(statuses.values()), sent, verdicts, enrollments, messages, lines)


def count(path: Path, limit: int | None, hotel: str | None, consent_every: int) -> dict[str, int]:
    """What the file itself says, counted from its columns alone: shares no code with `history`."""
    totals: Counter[str] = Counter()
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as raw:
        rows = csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8"))
        taken = 0
        for number, row in enumerate(rows, start=1):
            if hotel and row["hotel"] != hotel:
                continue
            if limit is not None and taken == limit:
                break
            taken += 1
            came = row["reservation_status"] == "Check-Out"
            nights = int(row["stays_in_weekend_nights"]) + int(row["stays_in_week_nights"])
            totals["booking.confirmed"] += 1
            totals["booking.modified"] += int(row["booking_changes"])
            totals["booking.cancelled"] += row["reservation_status"] == "Canceled"
            totals["booking.no_show"] += row["reservation_status"] == "No-Show"
            totals["booking.checked_in"] += came
            totals["booking.checked_out"] += came
            totals["consent.granted"] += 2 if consent_every and number % consent_every == 0 else 0
            totals["status checked_out"] += came
            totals["status cancelled"] += row["reservation_status"] == "Canceled"
            totals["status no_show"] += row["reservation_status"] == "No-Show"
            totals["entered pre-arrival"] += nights >= 1
            # Who leaves early is asked by the day they really left (X27): the day of the status, not the one booked.
            month = list(calendar.month_name).index(row["arrival_date_month"])
            arrival = date(int(row["arrival_date_year"]), month, int(row["arrival_date_day_of_month"]))
            stayed = (date.fromisoformat(row["reservation_status_date"]) - arrival).days
            totals["entered review-request"] += came and stayed >= 1 and nights >= 1
    return dict(totals)
