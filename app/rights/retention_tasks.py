"""What the stage `retention` does for each keeping period (R53): which rows have come of age, and what goes of them.

A page names people, bookings or messages in the order of their numbers, at most `:limit` behind `:after`, of whom
something came of age in [`:since`, `:cutoff`): each leg of it walks a key of its table once a round, whatever the
number of pages. Rows are changed by contact, booking or message, which lead the keys of every table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.accounts.models import Workspace
from app.consent.policy import Policy
from app.contacts import relays, special
from app.db import workspace_of
from app.rights import apart

_EVER = datetime(1900, 1, 1, tzinfo=UTC)


class Span(NamedTuple):
    """What a round looks at: what came of age in it."""

    since: datetime | None
    """Up to where the round before has looked; None: there was none."""
    cutoff: datetime


@dataclass(frozen=True)
class Page:
    """What one batch of a task came to."""

    last: int
    """The last row looked at."""
    looked: int
    removed: int


Step = Callable[[Session, Span, int, int], Page]


@dataclass(frozen=True)
class Task:
    """One keeping period at work."""

    period: str | None
    """Its name in `Periods`; None: it counts back by itself, from now."""
    step: Step
    goes_on: bool = False
    """Rows come in the order of their age: what one night has dealt with, the next begins behind."""


def _paged(rows: str, concerned: str | None = None, /, **statements: str) -> Step:
    """A task's step: `rows` gives ids of one page; each statement works on `:ids`, those of them that `concerned` gives
    where it is given."""
    look = text(rows)
    whom = text(concerned) if concerned else None
    acts = [text(f"WITH gone AS ({one} RETURNING 1) SELECT count(*) FROM gone") for one in statements.values()]

    def step(session: Session, span: Span, after: int, limit: int) -> Page:
        given: dict[str, Any] = {"ws": workspace_of(session), "since": span.since or _EVER, "cutoff": span.cutoff}
        ids: Sequence[int] = session.scalars(look, {**given, "after": after, "limit": limit}).all()
        if not ids:
            return Page(after, 0, 0)
        chosen = session.scalars(whom, {**given, "ids": list(ids)}).all() if whom is not None else ids
        given["ids"] = list(chosen)
        removed = sum(session.execute(act, given).scalar_one() for act in acts) if chosen else 0
        return Page(ids[-1], len(ids), removed)

    return step


def _taken_apart(batch: Callable[[Session, int, datetime], apart.Batch]) -> Step:
    """Once through everything that was recorded before it was known to be special (R12, R18)."""

    def step(session: Session, span: Span, after: int, limit: int) -> Page:
        done = batch(session, after, span.cutoff)
        return Page(done.last, limit if done.more else 0, done.changed)

    return step


def _special(session: Session, span: Span, after: int, _limit: int) -> Page:
    """Special data goes 30 days after the stay (R18): that period is the rule's, not ours to change."""
    return Page(after, 0, special.expire(session, span.cutoff))


def _relays(session: Session, span: Span, after: int, _limit: int) -> Page:
    """Masked addresses of booking sites are hidden once they have expired (R34)."""
    policy = Policy.from_settings(
        session.scalar(select(Workspace.settings).where(Workspace.id == workspace_of(session))) or {}
    )
    return Page(after, 0, relays.hide(session, span.cutoff, policy.relay_suffixes, policy.relay_days))


def _of_age(table: str, column: str, at: str, which: str = "true") -> str:
    """A leg: numbers in `column` of rows that came of age by their `at`."""
    return f"""
        (SELECT DISTINCT {column} AS id FROM {table} WHERE workspace_id = :ws AND {column} > :after
            AND {at} >= :since AND {at} < :cutoff AND ({which}) ORDER BY 1 LIMIT :limit)
    """


def _any_of(*legs: str) -> str:
    """A page of what any leg gives."""
    return f"SELECT id FROM ({' UNION '.join(legs)}) AS due ORDER BY id LIMIT :limit"


_LAST_DAY = "CAST(greatest(departure, CAST(booked_at AS date), arrival) + 1 AS timestamptz)"
"""When the last day that a booking speaks of was over, UTC."""
_SILENT = """
    NOT EXISTS (SELECT 1 FROM events e WHERE e.workspace_id = :ws AND e.contact_id = c.id AND e.ordered_at >= :cutoff
                   AND e.received_at >= :cutoff
                   AND (e.source_id IS NOT NULL OR e.type = 'message.clicked' OR e.type LIKE 'consent.%'))
    AND NOT EXISTS (SELECT 1 FROM bookings b WHERE b.workspace_id = :ws AND b.contact_id = c.id
                       AND greatest(b.departure, CAST(b.booked_at AS date), b.arrival) >= CAST(:cutoff AS date))
    AND NOT EXISTS (SELECT 1 FROM consent_records l WHERE l.workspace_id = :ws AND l.contact_id = c.id
                       AND l.recorded_at >= :cutoff)
"""
"""Of contact `c`: nothing was heard of the person since. An event is ordered by an instant no later than when it came,
which is what months are kept by: those before the cutoff are not looked into."""
_NEEDED_ATTRIBUTES = "'birth_date', 'age_band'"
"""Kept with the consent: they say whether it counts at all (R12)."""
_MACHINE = "ARRAY['ip', 'user_agent', 'confirmed_ip', 'confirmed_user_agent']"
"""What tells of the machine somebody used, in the data of events and reports."""

_STAY = (
    "'status', 'reference', 'arrival', 'departure', 'nights', 'adults', 'children', 'amount', 'currency', 'channel',"
    " 'kind', 'booked_at'"
)
"""Fields of a booking's claims that figures are made of."""

TASKS: Mapping[str, Task] = {
    "marketing": Task(
        "marketing",
        _paged(
            # Whoever has become silent did something for the last time just then, or was last changed by somebody.
            _any_of(
                _of_age("contacts", "id", "updated_at", "erased_at IS NULL"),
                _of_age("events", "contact_id", "received_at", "contact_id > 0"),
                _of_age("bookings", "contact_id", _LAST_DAY),
                _of_age("consent_records", "contact_id", "recorded_at"),
            ),
            f"""
                SELECT c.id FROM contacts c WHERE c.workspace_id = :ws AND c.id = ANY(:ids) AND c.created_at < :cutoff
                   AND c.erased_at IS NULL AND {_SILENT}
            """,
            profile=f"""
                UPDATE contacts t SET tags = '{{}}', attributes = (
                       SELECT coalesce(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each(t.attributes)
                        WHERE key IN ({_NEEDED_ATTRIBUTES}))
                 WHERE t.workspace_id = :ws AND t.id = ANY(:ids)
                   AND (t.tags <> '{{}}' OR t.attributes - ARRAY[{_NEEDED_ATTRIBUTES}] <> '{{}}')
            """,
            events="""
                UPDATE events t SET data = '{}' WHERE t.workspace_id = :ws AND t.contact_id = ANY(:ids)
                   AND t.received_at < :cutoff AND t.data <> '{}'
            """,
            passages="""
                UPDATE enrollments t SET event = '{}', state = state - 'fields' WHERE t.workspace_id = :ws
                   AND t.contact_id = ANY(:ids) AND t.status <> 'active' AND t.ended_at < :cutoff
                   AND (t.event <> '{}' OR t.state ? 'fields')
            """,
            decisions="""
                UPDATE step_visits t SET detail = detail - 'inputs' WHERE t.workspace_id = :ws
                   AND t.contact_id = ANY(:ids) AND t.at < :cutoff AND detail ? 'inputs'
                   AND t.detail #>> '{inputs,by}' IS DISTINCT FROM 'kept'
            """,
        ),
    ),
    "purchases": Task(
        "purchases",
        _paged(
            _any_of(
                _of_age(
                    "bookings",
                    "id",
                    "CAST(coalesce(departure, CAST(booked_at AS date), CAST(created_at AS date)) + 1 AS timestamptz)",
                ),
                # Somebody told of it again, long after.
                _of_age(
                    "bookings",
                    "id",
                    "updated_at",
                    "coalesce(departure, CAST(booked_at AS date)) < CAST(:cutoff AS date)",
                ),
            ),
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
            _any_of(
                _of_age("events", "contact_id", "received_at", f"contact_id > 0 AND data ?| {_MACHINE}"),
                _of_age(
                    "delivery_events",
                    "contact_id",
                    "received_at",
                    f"data ?| {_MACHINE} OR (kind IN ('opened', 'clicked') AND data ? 'raw')",
                ),
                _of_age("enrollments", "contact_id", "entered_at", f"event ?| {_MACHINE}"),
            ),
            # What a provider told of an open or a click is about a machine from beginning to end.
            deliveries=f"""
                UPDATE delivery_events t
                   SET data = CASE WHEN kind IN ('opened', 'clicked') THEN data - 'raw' ELSE data END - {_MACHINE}
                 WHERE t.workspace_id = :ws AND t.contact_id = ANY(:ids) AND t.received_at < :cutoff
                   AND t.received_at >= :since
                   AND (t.data ?| {_MACHINE} OR (kind IN ('opened', 'clicked') AND data ? 'raw'))
            """,
            events=f"""
                UPDATE events t SET data = data - {_MACHINE} WHERE t.workspace_id = :ws AND t.contact_id = ANY(:ids)
                   AND t.received_at < :cutoff AND t.received_at >= :since AND t.data ?| {_MACHINE}
            """,
            passages=f"""
                UPDATE enrollments t SET event = event - {_MACHINE} WHERE t.workspace_id = :ws
                   AND t.contact_id = ANY(:ids) AND t.entered_at < :cutoff AND t.event ?| {_MACHINE}
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
    "decisions": Task(
        "logs",
        _paged(
            _any_of(_of_age("enrollments", "id", "ended_at")),
            decisions="""
                UPDATE step_visits t SET detail = detail - 'inputs' WHERE t.workspace_id = :ws
                   AND t.enrollment_id = ANY(:ids) AND detail ? 'inputs'
                   AND t.detail #>> '{inputs,by}' IS DISTINCT FROM 'kept'
            """,
        ),
    ),
    "refusals": Task(
        "logs",
        _paged(
            _any_of(_of_age("entry_refusals", "contact_id", "at")),
            refusals="""
                DELETE FROM entry_refusals t WHERE t.workspace_id = :ws AND t.contact_id = ANY(:ids) AND t.at < :cutoff
            """,
        ),
    ),
    "accesses": Task(
        "logs",
        _paged(
            _any_of(_of_age("data_accesses", "id", "at")),
            accesses="DELETE FROM data_accesses t WHERE t.workspace_id = :ws AND t.id = ANY(:ids)",
        ),
    ),
    "merges": Task(
        "logs",
        _paged(
            _any_of(_of_age("contact_merges", "id", "merged_at")),
            # By then nobody can take it back any more, which is all it was kept for.
            merges="UPDATE contact_merges t SET moved = '{}' WHERE t.workspace_id = :ws AND t.id = ANY(:ids)",
        ),
    ),
    # They hold what providers and systems sent as it came, addresses of machines among it.
    "unmatched": Task(
        "tracks",
        _paged(
            _any_of(_of_age("unmatched_reports", "id", "received_at")),
            reports="DELETE FROM unmatched_reports t WHERE t.workspace_id = :ws AND t.id = ANY(:ids)",
        ),
    ),
    "conflicts": Task(
        "tracks",
        _paged(
            _any_of(_of_age("event_conflicts", "id", "received_at")),
            conflicts="DELETE FROM event_conflicts t WHERE t.workspace_id = :ws AND t.id = ANY(:ids)",
        ),
    ),
    "quarantined": Task(
        "logs",
        _paged(
            """
            SELECT id FROM events WHERE workspace_id = :ws AND contact_id = 0 AND id > :after
               AND received_at >= :since AND received_at < :cutoff ORDER BY id LIMIT :limit
            """,
            events="""
                DELETE FROM events t WHERE t.workspace_id = :ws AND t.contact_id = 0 AND t.id = ANY(:ids)
                   AND t.received_at >= :since AND t.received_at < :cutoff
            """,
        ),
    ),
    "special": Task(None, _special),
    **{
        name: Task(None, _taken_apart(batch), goes_on=True)
        for name, batch in zip(apart.TASKS, (apart.people, apart.conflicts, apart.quarantined), strict=True)
    },
    "relays": Task(None, _relays),
}
"""Name → what it does."""
