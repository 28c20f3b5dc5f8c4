"""Nothing stays longer than it is needed (R53): the stage `retention`, once a night for each workspace, in batches.

Each task walks rows in the order of their numbers and keeps how far it came in `retention_marks`, in the transaction of
its batch: killed at any instant it goes on where it was. Rows that carry a figure are emptied and stay; rows that carry
none are deleted. What the periods are says `retention_periods.py`; proof of consent is touched by none of this.

Rows are looked up by contact, booking or message, which lead the keys of every table; partitions older than the period
of a table are found by `received_at`, so a month that was emptied costs a look at its index and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.consent.policy import Policy
from app.contacts import relays, special
from app.db import Ran, workspace_of
from app.rights import requests, retention_periods
from app.rights.models import RetentionMark
from app.rights.retention_periods import Periods

AT_NIGHT = time(2, 30)
"""UTC; a round begins then, and lasts as many batches as it takes."""

QUERIES = 11
"""Of one batch at most: the requests, the mark, the settings, the page, up to five tables, special data, the mark."""


@dataclass(frozen=True)
class Page:
    """What one batch of a task came to."""

    last: int
    """The last row looked at."""
    looked: int
    removed: int


Step = Callable[[Session, datetime, int, int], Page]


@dataclass(frozen=True)
class Task:
    """One keeping period at work."""

    period: str | None
    """Its name in `Periods`; None: it counts back by itself, from now."""
    step: Step
    goes_on: bool = False
    """Rows come in the order of their age: what one night has dealt with, the next begins behind."""


def run(session: Session, now: datetime, limit: int) -> Ran:
    """Finish what people have asked for, and one batch of whatever period is due; see `QUERIES`."""
    finished = requests.finish(session, now, limit)
    mark = session.scalars(
        select(RetentionMark)
        .where(RetentionMark.due_at <= now)
        .order_by(RetentionMark.due_at, RetentionMark.task)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if mark is None:
        _begin(session, now)
        return Ran(finished, False)
    task = TASKS.get(mark.task)
    if task is None:  # of a release that kept another period
        session.delete(mark)
        return Ran(finished, True)
    periods = retention_periods.of(
        session.scalar(select(Workspace.settings).where(Workspace.id == workspace_of(session))) or {}
    )
    page = task.step(session, before(now, periods, task.period) if task.period else now, mark.after_id, limit)
    mark.counting += page.removed
    if page.looked < limit:
        mark.after_id = page.last if task.goes_on else 0
        mark.removed, mark.counting, mark.finished_at = mark.counting, 0, now
        mark.due_at = tonight(now)
    else:
        mark.after_id = page.last
    return Ran(finished + page.removed, True)


def before(now: datetime, periods: Periods, period: str) -> datetime:
    """Whatever is older than this has had its time; a month is 30.4 days."""
    months: int = periods.as_json()[period]
    return now - timedelta(days=round(months * 365.25 / 12))


def tonight(now: datetime) -> datetime:
    """The next round."""
    night = datetime.combine(now.astimezone(UTC).date(), AT_NIGHT, UTC)
    return night if night > now else night + timedelta(days=1)


def _begin(session: Session, now: datetime) -> None:
    """Marks for tasks that have none. One query."""
    rows = [{"workspace_id": workspace_of(session), "task": name, "due_at": tonight(now)} for name in TASKS]
    session.execute(insert(RetentionMark).values(rows).on_conflict_do_nothing())


def _paged(rows: str, **statements: str) -> Step:
    """A task's step: `rows` gives ids of one page after `:after`; each statement works on `:ids`."""
    look = text(rows)
    acts = [text(f"WITH gone AS ({one} RETURNING 1) SELECT count(*) FROM gone") for one in statements.values()]

    def step(session: Session, cutoff: datetime, after: int, limit: int) -> Page:
        asked: dict[str, Any] = {"ws": workspace_of(session), "cutoff": cutoff, "after": after, "limit": limit}
        ids: Sequence[int] = session.scalars(look, asked).all()
        if not ids:
            return Page(after, 0, 0)
        given = {"ws": asked["ws"], "cutoff": cutoff, "ids": list(ids)}
        return Page(ids[-1], len(ids), sum(session.execute(act, given).scalar_one() for act in acts))

    return step


def _special(session: Session, cutoff: datetime, after: int, _limit: int) -> Page:
    """Special data goes 30 days after the stay (R18): that period is the rule's, not ours to change."""
    return Page(after, 0, special.expire(session, cutoff))


def _relays(session: Session, cutoff: datetime, after: int, _limit: int) -> Page:
    """Masked addresses of booking sites are hidden once they have expired (R34)."""
    policy = Policy.from_settings(
        session.scalar(select(Workspace.settings).where(Workspace.id == workspace_of(session))) or {}
    )
    return Page(after, 0, relays.hide(session, cutoff, policy.relay_suffixes, policy.relay_days))


_CONTACTS = """
    SELECT id FROM contacts WHERE workspace_id = :ws AND id > :after AND created_at < :cutoff AND erased_at IS NULL
     ORDER BY id LIMIT :limit
"""
_SILENT = """
    NOT EXISTS (SELECT 1 FROM events e WHERE e.workspace_id = :ws AND e.contact_id = c.id AND e.ordered_at >= :cutoff
                   AND (e.source_id IS NOT NULL OR e.type = 'message.clicked' OR e.type LIKE 'consent.%'))
    AND NOT EXISTS (SELECT 1 FROM bookings b WHERE b.workspace_id = :ws AND b.contact_id = c.id
                       AND greatest(b.departure, CAST(b.booked_at AS date), b.arrival) >= CAST(:cutoff AS date))
    AND NOT EXISTS (SELECT 1 FROM consent_records l WHERE l.workspace_id = :ws AND l.contact_id = c.id
                       AND l.recorded_at >= :cutoff)
"""
"""Of contact `c`: nothing was heard of the person since."""
_NEEDED_ATTRIBUTES = "'birth_date', 'age_band'"
"""Kept with the consent: they say whether it counts at all (R12)."""
_MINE = f"SELECT c.id FROM contacts c WHERE c.workspace_id = :ws AND c.id = ANY(:ids) AND {_SILENT}"

_STAY = (
    "'status', 'reference', 'arrival', 'departure', 'nights', 'adults', 'children', 'amount', 'currency', 'channel',"
    " 'kind', 'booked_at'"
)
"""Fields of a booking's claims that figures are made of."""

TASKS: Mapping[str, Task] = {
    "marketing": Task(
        "marketing",
        _paged(
            _CONTACTS,
            profile=f"""
                UPDATE contacts t SET tags = '{{}}', attributes = (
                       SELECT coalesce(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each(t.attributes)
                        WHERE key IN ({_NEEDED_ATTRIBUTES}))
                 WHERE t.workspace_id = :ws AND t.id IN ({_MINE})
                   AND (t.tags <> '{{}}' OR t.attributes - ARRAY[{_NEEDED_ATTRIBUTES}] <> '{{}}')
            """,
            events=f"""
                UPDATE events t SET data = '{{}}' WHERE t.workspace_id = :ws AND t.contact_id IN ({_MINE})
                   AND t.received_at < :cutoff AND t.data <> '{{}}'
            """,
            decisions=f"""
                UPDATE step_visits t SET detail = detail - 'inputs' WHERE t.workspace_id = :ws
                   AND t.contact_id IN ({_MINE}) AND t.at < :cutoff AND detail ? 'inputs'
                   AND t.detail #>> '{{inputs,by}}' IS DISTINCT FROM 'kept'
            """,
        ),
    ),
    "purchases": Task(
        "purchases",
        _paged(
            """
            SELECT id FROM bookings WHERE workspace_id = :ws AND id > :after
               AND coalesce(departure, CAST(booked_at AS date), CAST(created_at AS date)) < CAST(:cutoff AS date)
             ORDER BY id LIMIT :limit
            """,
            bookings=f"""
                UPDATE bookings t SET data = '{{}}', room_type = NULL, rate = NULL, claims = (
                       SELECT coalesce(jsonb_agg(c.value || jsonb_build_object('fields', (
                              SELECT coalesce(jsonb_object_agg(f.key, f.value), '{{}}')
                                FROM jsonb_each(c.value -> 'fields') f WHERE f.key IN ({_STAY})))
                              ORDER BY c.ordinality), '[]')
                         FROM jsonb_array_elements(t.claims) WITH ORDINALITY c)
                 WHERE t.workspace_id = :ws AND t.id = ANY(:ids) AND (t.data <> '{{}}' OR t.room_type IS NOT NULL)
            """,
            events="""
                UPDATE events t SET data = '{}' WHERE t.workspace_id = :ws AND t.booking_id = ANY(:ids)
                   AND t.received_at < :cutoff AND t.data <> '{}' AND t.source_id IS NOT NULL
            """,
        ),
    ),
    "tracks": Task(
        "tracks",
        _paged(
            _CONTACTS,
            deliveries="""
                UPDATE delivery_events t SET data = data - ARRAY['ip', 'user_agent'] WHERE t.workspace_id = :ws
                   AND t.contact_id = ANY(:ids) AND t.received_at < :cutoff AND t.data ?| ARRAY['ip', 'user_agent']
            """,
            events="""
                UPDATE events t SET data = data - ARRAY['ip', 'user_agent'] WHERE t.workspace_id = :ws
                   AND t.contact_id = ANY(:ids) AND t.received_at < :cutoff AND t.data ?| ARRAY['ip', 'user_agent']
            """,
        ),
    ),
    "mails": Task(
        "mails",
        _paged(
            """
            SELECT id FROM messages WHERE workspace_id = :ws AND id > :after AND planned_at < :cutoff
               AND state NOT IN ('planned', 'deferred', 'ready', 'leased', 'handed_over')
             ORDER BY id LIMIT :limit
            """,
            messages="""
                UPDATE messages t SET facts = NULL, subject = NULL
                 WHERE t.workspace_id = :ws AND t.id = ANY(:ids) AND (t.facts IS NOT NULL OR t.subject IS NOT NULL)
            """,
            captured="""
                DELETE FROM captured_mails t WHERE t.workspace_id = :ws AND t.message_pk = ANY(:ids)
            """,
        ),
        goes_on=True,
    ),
    "logs": Task(
        "logs",
        _paged(
            """
            SELECT id FROM messages WHERE workspace_id = :ws AND id > :after AND planned_at < :cutoff
             ORDER BY id LIMIT :limit
            """,
            attempts="""
                UPDATE attempts t SET detail = NULL
                 WHERE t.workspace_id = :ws AND t.message_pk = ANY(:ids) AND t.detail IS NOT NULL
            """,
            reports="""
                UPDATE delivery_events t SET data = data - ARRAY['raw', 'recipient', 'text'] WHERE t.workspace_id = :ws
                   AND t.message_pk = ANY(:ids) AND t.received_at < :cutoff
                   AND t.data ?| ARRAY['raw', 'recipient', 'text']
            """,
        ),
        goes_on=True,
    ),
    "calls": Task(
        "logs",
        _paged(
            """
            SELECT id FROM calls WHERE workspace_id = :ws AND id > :after AND created_at < :cutoff AND next_at IS NULL
             ORDER BY id LIMIT :limit
            """,
            calls="""
                UPDATE calls t SET payload = '{}', tries = '[]' WHERE t.workspace_id = :ws AND t.id = ANY(:ids)
            """,
        ),
        goes_on=True,
    ),
    "unmatched": Task(
        "logs",
        _paged(
            """
            SELECT id FROM unmatched_reports WHERE workspace_id = :ws AND id > :after AND received_at < :cutoff
             ORDER BY id LIMIT :limit
            """,
            reports="DELETE FROM unmatched_reports t WHERE t.workspace_id = :ws AND t.id = ANY(:ids)",
        ),
    ),
    "conflicts": Task(
        "logs",
        _paged(
            """
            SELECT id FROM event_conflicts WHERE workspace_id = :ws AND id > :after AND received_at < :cutoff
             ORDER BY id LIMIT :limit
            """,
            conflicts="DELETE FROM event_conflicts t WHERE t.workspace_id = :ws AND t.id = ANY(:ids)",
        ),
    ),
    "special": Task(None, _special),
    "relays": Task(None, _relays),
}
"""Name → what it does."""
