"""Ways in that the calendar opens: dates of people and bookings (`on: date`), and planned times (`on: schedule`).

Each such entry of a live workflow has a mark (`occasion_marks`): up to when it was looked at, and when the next
occasion is. A look goes through people or bookings in pages, fires what fell due since the last one, each at its own
instant and with an id of its own (`date:<workflow>:<entry>:<contact>:<booking>:<day>`), so that nothing is fired twice
whatever is repeated, an outage loses nothing, and a date that moved fires for its new day, once. The same look finds
the next occasion, which is when the next look is; new and moved dates pull it forward (`noticed`), and at least once a
day everybody is looked at.

When exactly, to the minute and by whose clock, is told by `journey.schedules`, for the simulator too (X5 to X7).

Cost: a page reads the ids of `PAGE` rows and, of those, what lies within some days of the moment; a workspace of a
million bookings is 200 pages a look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import bindparam, select, text
from sqlalchemy.orm import Session

from app.audience import facts as audience
from app.audience import segments
from app.audience.facts import Facts, Who
from app.audience.models import Segment
from app.consent.ages import is_child
from app.contacts.models import Contact, Property
from app.db import Ran, as_rows, workspace_of
from app.enrollments import programs
from app.enrollments.programs import Live
from app.events.record import OwnEvent, record_own
from app.journey.condition_tree import Condition
from app.journey.conditions import from_json
from app.journey.durations import NO_TIME, write
from app.journey.facts import known_zone, lookup, temporal
from app.journey.program import Dated, EntryRule, Program
from app.journey.schedules import fires, next_fire, occasions
from app.queues import signal

log = structlog.get_logger()

QUERIES = 16
"""At most: lock, mark, live workflows (2), ids of the page, candidates, facts (4), own events (3), the mark. For a
schedule: segment, its members (2), their zones, the default property."""

PAGE = 5000
AHEAD = timedelta(hours=26)
"""How far a look reaches beyond its moment for the next occasion."""
AT_LEAST = timedelta(hours=24)
_SLACK = 3
"""Days by which SQL reaches further than it must: zones, instants and short months are reckoned with in Python."""

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('occasions', :workspace_id))")
_MARK = text(
    """
    SELECT workflow_id, rule, swept_until, after_id, sweeping, upcoming FROM occasion_marks
    WHERE workspace_id = :workspace_id AND next_at <= :now ORDER BY next_at, workflow_id, rule LIMIT 1 FOR UPDATE
    """
)
_REGISTER = text(
    """
    INSERT INTO occasion_marks AS m (workspace_id, workflow_id, rule, swept_until, next_at)
    SELECT :workspace_id, :workflow_id, rule, :now, :now FROM unnest(CAST(:rules AS text[])) AS r(rule)
    ON CONFLICT (workspace_id, workflow_id, rule) DO UPDATE SET next_at = least(m.next_at, excluded.next_at)
    """
)
_FORGET = text(
    "DELETE FROM occasion_marks WHERE workspace_id = :workspace_id AND workflow_id = :workflow_id"
    " AND rule <> ALL(:rules)"
)
_SAVE = text(
    """
    UPDATE occasion_marks SET swept_until = :swept_until, next_at = :next_at, after_id = :after_id,
        sweeping = :sweeping, upcoming = :upcoming
    WHERE workspace_id = :workspace_id AND workflow_id = :workflow_id AND rule = :rule
    """
)
_SOONER = text(
    """
    UPDATE occasion_marks m SET next_at = least(m.next_at, r.at), upcoming = least(m.upcoming, r.at)
    FROM json_to_recordset(CAST(:rows AS json)) AS r(workflow_id bigint, rule text, at timestamptz)
    WHERE m.workspace_id = :workspace_id AND m.workflow_id = r.workflow_id AND m.rule = r.rule
        AND (m.next_at > r.at OR m.sweeping IS NOT NULL)
    """
)


@dataclass(frozen=True, slots=True)
class _Mark:
    """One entry's mark, as far as a look has come."""

    workflow_id: int
    rule: str
    swept_until: datetime
    after_id: int
    until: datetime
    upcoming: datetime | None


@dataclass(frozen=True, slots=True)
class _Page:
    """What a page of a look found."""

    events: Sequence[OwnEvent]
    upcoming: datetime | None
    last: int | None
    """The number up to which it came; None: that was all."""


def register(session: Session, workflow_id: int, program: Program, now: datetime) -> None:
    """Look at the dates and planned times that this program enters on, from now on, and at no others of its workflow.

    Called when it goes live; two queries. What an entry had looked at already it does not look at again.
    """
    rules = [rule_text(rule) for rule in program.entry if rule.date or rule.rrule]
    asked = {"workspace_id": workspace_of(session), "workflow_id": workflow_id, "rules": rules, "now": now}
    session.execute(_FORGET, asked)
    if rules:
        session.execute(_REGISTER, asked)
        signal(session, "occasions")


def noticed(session: Session, live: Sequence[Live], facts: Mapping[Who, Facts], now: datetime) -> None:
    """Have new and moved dates of these people looked at in time; at most one query, none without an `on: date`."""
    rows = []
    for each in live:
        for rule in each.program.entry:
            if rule.date is None:
                continue
            soon = [at for known in facts.values() for at in occasions(rule, known, now, now + AHEAD)]
            if soon:
                rows.append({"workflow_id": each.workflow_id, "rule": rule_text(rule), "at": min(soon)})
    if rows:
        session.execute(_SOONER, {"workspace_id": workspace_of(session), "rows": as_rows(rows)})


def run(session: Session, now: datetime, limit: int) -> Ran:
    """Look through one page of one due entry.

    Args:
        limit: of the batch; a page is at least as long.
    """
    workspace_id = workspace_of(session)
    session.execute(_LOCK, {"workspace_id": workspace_id})
    row = session.execute(_MARK, {"workspace_id": workspace_id, "now": now}).one_or_none()
    if row is None:
        return Ran(0, False)
    mark = _Mark(row.workflow_id, row.rule, row.swept_until, row.after_id, row.sweeping or now, row.upcoming)
    live = next((each for each in programs.live(session) if each.workflow_id == mark.workflow_id), None)
    rule = next((one for one in live.program.entry if rule_text(one) == mark.rule), None) if live else None
    if live is None or rule is None:
        # Not live: nothing of this time is fired, and the entry is there again when the workflow is.
        page = _Page((), None, None)
    elif rule.date is not None:
        page = _dates(session, mark, live, rule, rule.date, max(limit, PAGE), now)
    else:
        page = _times(session, mark, live, rule, max(limit, PAGE), now)
    told = record_own(session, page.events, now)
    if told:
        log.info("occasions_fired", workspace_id=workspace_id, workflow_id=mark.workflow_id, events=len(told))
    _save(session, workspace_id, mark, page, now)
    return Ran(1, True)


def rule_text(rule: EntryRule) -> str:
    """What an entry hangs on, as the key of its mark."""
    when = rule.date
    if when is not None:
        parts: list[object] = [when.ref, write(when.offset), when.at, when.zone, rule.recur]
    else:
        parts = [rule.segment, rule.rrule, rule.at, rule.zone, rule.starts]
    return f"{rule.number}:" + "|".join("" if part is None else str(part) for part in parts)


def _save(session: Session, workspace_id: int, mark: _Mark, page: _Page, now: datetime) -> None:
    upcoming = min((at for at in (mark.upcoming, page.upcoming) if at is not None), default=None)
    asked: dict[str, Any] = {"workspace_id": workspace_id, "workflow_id": mark.workflow_id, "rule": mark.rule}
    if page.last is None:
        again = mark.until + AT_LEAST
        asked |= {"swept_until": mark.until, "next_at": min(upcoming or again, again)}
        asked |= {"after_id": 0, "sweeping": None, "upcoming": None}
    else:
        asked |= {"swept_until": mark.swept_until, "next_at": now, "after_id": page.last}
        asked |= {"sweeping": mark.until, "upcoming": upcoming}
    session.execute(_SAVE, asked)


# -- dates -----------------------------------------------------------------------------------------------------------

_DAYS = {
    "booking.arrival": "to_char(b.arrival, 'YYYY-MM-DD')",
    "booking.departure": "to_char(b.departure, 'YYYY-MM-DD')",
    "booking.created_at": "to_char(b.booked_at, 'YYYY-MM-DD')",
    "booking.cancelled_at": "to_char(b.cancelled_at, 'YYYY-MM-DD')",
    "contact.created_at": "to_char(c.created_at, 'YYYY-MM-DD')",
}
"""Each as text, as days in JSON are: what a sender wrote there may be no day at all, and casting it would end the look
for everybody."""


def _dates(session: Session, mark: _Mark, live: Live, rule: EntryRule, dated: Dated, size: int, now: datetime) -> _Page:
    """Candidates by day in SQL, the instant of each in Python."""
    whose = "bookings" if dated.ref.startswith("booking.") else "contacts"
    asked: dict[str, Any] = {"workspace_id": workspace_of(session), "after": mark.after_id, "size": size}
    ids = session.scalars(
        text(f"SELECT id FROM {whose} WHERE workspace_id = :workspace_id AND id > :after ORDER BY id LIMIT :size"),
        asked,
    ).all()
    if not ids:
        return _Page((), None, None)
    found = session.execute(
        _candidates(dated, rule.recur is not None), {**asked, "last": ids[-1], **_reach(mark, rule)}
    )
    wanted = [Who(row.contact_id, row.booking_id, row.property_id) for row in found]
    facts = audience.load(session, wanted, now) if wanted else {}
    events: list[OwnEvent] = []
    upcoming: datetime | None = None
    for who in wanted:
        if who not in facts or (whose == "contacts" and _is_a_childs_day(rule, facts[who], now)):
            continue
        for at in occasions(rule, facts[who], mark.swept_until, mark.until + AHEAD):
            if at > mark.until:
                upcoming = min(upcoming or at, at)
            elif not _came_later(facts[who], dated.ref, at):
                events.append(_reached(live, rule, dated, who, facts[who], at))
    return _Page(events, upcoming, ids[-1] if len(ids) == size else None)


def _candidates(dated: Dated, yearly: bool) -> Any:
    """Whose date may lie near: a statement of (contact_id, booking_id, property_id)."""
    near = "substr({day}, 6, 5) = ANY(:days)" if yearly else "left({day}, 10) BETWEEN :first AND :last_day"
    if dated.ref.startswith("booking."):
        day = _DAYS.get(dated.ref) or _day_of("b.data", dated.ref.removeprefix("booking.").removeprefix("data."))
        return text(
            f"""
            SELECT b.contact_id, b.id AS booking_id, b.property_id FROM bookings b
            JOIN contacts c ON c.workspace_id = b.workspace_id AND c.id = b.contact_id AND {segments.ALIVE}
            WHERE b.workspace_id = :workspace_id AND b.id > :after AND b.id <= :last
                AND (b.status <> 'cancelled' OR :ref = 'booking.cancelled_at') AND {near.format(day=day)}
            """
        ).bindparams(bindparam("ref", dated.ref))
    day = _DAYS.get(dated.ref) or _day_of("c.attributes", dated.ref.removeprefix("contact.attributes."))
    return text(
        f"""
        SELECT c.id AS contact_id, NULL AS booking_id, NULL AS property_id FROM contacts c
        WHERE c.workspace_id = :workspace_id AND c.id > :after AND c.id <= :last AND {segments.ALIVE}
            AND {near.format(day=day)}
        """
    )


def _day_of(column: str, key: str) -> str:
    """What stands in JSON under a key. It is a name of the workflow language, and quoted all the same."""
    quoted = key.replace("'", "''").replace(":", r"\:")
    return f"({column} ->> '{quoted}')"


def _reach(mark: _Mark, rule: EntryRule) -> dict[str, Any]:
    """The days on which a date may stand whose occasion falls between the last look and as far as this one reaches."""
    offset = rule.date.offset if rule.date else NO_TIME
    # Months and working days are of several lengths: where SQL reaches too far, Python says no.
    length = offset.days + int(offset.months * 30.44) + int(offset.business * 1.4) + offset.seconds // 86_400
    wide = _SLACK + abs(offset.months) // 12 + 2 * bool(offset.months) + abs(offset.business) // 2
    wide += 10 * bool(offset.business)
    first = mark.swept_until.date() - timedelta(days=length + wide)
    last = (mark.until + AHEAD).date() - timedelta(days=length - wide)
    if rule.recur is None:
        return {"first": first.isoformat(), "last_day": last.isoformat()}
    span = min((last - first).days, 366)
    days = {(first + timedelta(days=number)).strftime("%m-%d") for number in range(span + 1)}
    if days & {"02-28", "03-01"}:
        days.add("02-29")
    return {"days": sorted(days)}


def _is_a_childs_day(rule: EntryRule, facts: Facts, now: datetime) -> bool:
    """Whether it is a yearly day of somebody known to be under 14: a child's birthday starts nothing (R12)."""
    attributes = facts["contact"].get("attributes") or {}
    born, band = (str(attributes.get(name) or "") for name in ("birth_date", "age_band"))
    return rule.recur is not None and is_child(born, band, now.date())


def _came_later(facts: Facts, ref: str, at: datetime) -> bool:
    """Whether the booking or the person was not there yet at the instant: what was past by then is not made up for."""
    born = temporal(lookup(facts, "booking.created_at" if ref.startswith("booking.") else "contact.created_at"))
    return isinstance(born, datetime) and born > at and not ref.endswith("created_at")


def _reached(live: Live, rule: EntryRule, dated: Dated, who: Who, facts: Facts, at: datetime) -> OwnEvent:
    value = temporal(lookup(facts, dated.ref))
    day = value.date() if isinstance(value, datetime) else value
    # Of a yearly date each year's is one of its own; of another, each day it is moved to.
    turn = at.year if rule.recur else day
    booking = facts.get("booking")
    return OwnEvent(
        contact_id=who.contact_id,
        type="date.reached",
        occurred_at=at,
        data={"workflow": live.program.workflow, "entry": rule.number, "ref": dated.ref, "date": day},
        booking_id=who.booking_id,
        booking_reference=booking["reference"] if booking else None,
        property_id=who.property_id,
        id=f"date:{live.workflow_id}:{rule.number}:{who.contact_id}:{who.booking_id or 0}:{turn}",
    )


# -- planned times ---------------------------------------------------------------------------------------------------


def _times(session: Session, mark: _Mark, live: Live, rule: EntryRule, size: int, now: datetime) -> _Page:
    """Everybody in the segment, at the last planned time since the last look: after an outage a weekly letter goes
    once, not for every week that was missed."""
    home = session.scalar(select(Property.zone).order_by(Property.is_default.desc(), Property.id).limit(1)) or "UTC"
    zones = {zone for (zone,) in session.execute(select(Contact.zone).distinct())} if rule.zone == "contact" else {None}
    upcoming = min(
        (at for at in (next_fire(rule, _zone(rule, zone, home), mark.until) for zone in zones) if at), default=None
    )
    latest = {zone: _latest(rule, _zone(rule, zone, home), mark) for zone in zones}
    condition = _condition(session, rule.segment)
    if condition is None or not any(latest.values()):
        return _Page((), upcoming, None)
    ids = segments.inside(session, condition, now, after=mark.after_id, limit=size)
    zone_of: dict[int, str | None] = {}
    if rule.zone == "contact":
        query = select(Contact.id, Contact.zone).where(Contact.id.in_(ids))
        zone_of = {row.id: row.zone for row in session.execute(query)}
    events = []
    for contact_id in ids:
        at = latest.get(zone_of.get(contact_id))
        if at is not None:
            events.append(_fired(live, rule, contact_id, at))
    return _Page(events, upcoming, ids[-1] if len(ids) == size else None)


def _zone(rule: EntryRule, of_contact: str | None, home: str) -> ZoneInfo:
    """Whose clock: a person without a zone lives by the property's (X22)."""
    named = of_contact if rule.zone == "contact" else rule.zone
    return _clock_of(named if named and named != "property" and known_zone(named) else home)


@lru_cache(maxsize=512)
def _clock_of(name: str) -> ZoneInfo:
    return ZoneInfo(name if known_zone(name) else "UTC")


def _latest(rule: EntryRule, zone: ZoneInfo, mark: _Mark) -> datetime | None:
    return max(fires(rule, zone, mark.swept_until, mark.until), default=None)


def _condition(session: Session, name: str | None) -> Condition | None:
    """What a segment is; None where it does not exist or is archived."""
    stored = session.scalar(select(Segment.condition).where(Segment.name == name, Segment.archived_at.is_(None)))
    return None if stored is None else from_json(stored)


def _fired(live: Live, rule: EntryRule, contact_id: int, at: datetime) -> OwnEvent:
    return OwnEvent(
        contact_id=contact_id,
        type="schedule.fired",
        occurred_at=at,
        data={"workflow": live.program.workflow, "entry": rule.number, "segment": rule.segment, "occurrence": at},
        id=f"schedule:{live.workflow_id}:{rule.number}:{contact_id}:{at:%Y%m%dT%H%M}",
    )
