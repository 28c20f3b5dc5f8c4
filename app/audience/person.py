"""One person against a condition, in Python: the meaning that `segments` says in SQL, and why it is so.

A person may have several bookings, a condition speaks of "the" booking. In a segment the lines under `all` and `any`
speak of one booking, the same for all of them: somebody is in where one of their bookings fits. A `none` group says
that no booking at all fits any of its lines. Who has no booking is looked at once, without one. `property.*` and the
calendar are those of that booking's property, else of the one that speaks by default. There is no `event.*`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.audience import facts as audience
from app.audience.facts import Facts
from app.audience.sides import Places
from app.contacts.models import Booking, Contact, Property
from app.db import workspace_of
from app.journey.condition_tree import Compare, Condition, Did, Engaged, Group, fields
from app.journey.conditions import evaluate, explain, to_line

QUERIES = 7
"""Properties, who is alive, contacts, consents, bookings, clicks, what happened."""


@dataclass(frozen=True, slots=True)
class Person:
    """Everything a segment may see of somebody: facts, each booking with its property, and the default property."""

    facts: Facts
    bookings: Sequence[Facts]
    """Each `{"booking": ..., "property": ...}`."""
    alone: Facts
    """The same for who has none: the default property."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a condition: what it says, whether it holds, and what was found."""

    line: str
    verdict: bool | None
    why: str
    depth: int = 0
    join: str = ""
    """Set on the head of a group: all, any or none."""


def reads_bookings(condition: Condition) -> bool:
    """Whether it speaks of a booking or its property."""
    return any(path.split(".")[0] in {"booking", "property"} for path in fields(condition))


def judge(condition: Condition, who: Person, now: datetime) -> bool | None:
    """Whether somebody is in a segment of this condition: true, false, or None where it cannot be known."""
    if not reads_bookings(condition):
        return evaluate(condition, {**who.facts, **who.alone}, now)
    return _any_of(_judge(condition, who, booking, now) for booking in who.bookings or [who.alone])


def _judge(condition: Condition, who: Person, booking: Facts, now: datetime) -> bool | None:
    """With one booking as the one that is spoken of."""
    if not isinstance(condition, Group):
        return evaluate(condition, {**who.facts, **booking}, now)
    if condition.join == "none":
        anyone = Group("any", condition.conditions)
        fresh = judge(anyone, who, now) if reads_bookings(anyone) else _judge(anyone, who, booking, now)
        return None if fresh is None else not fresh
    verdicts = [_judge(one, who, booking, now) for one in condition.conditions]
    if condition.join == "any":
        return _any_of(verdicts)
    none_false = _any_of(None if verdict is None else not verdict for verdict in verdicts)
    return None if none_false is None else not none_false


def _any_of(verdicts: Iterable[bool | None]) -> bool | None:
    said = list(verdicts)
    return True if True in said else None if None in said else False


def told(condition: Condition, who: Person, now: datetime, language: str = "en") -> tuple[list[Line], Facts | None]:
    """Why somebody is in or out: each line with its verdict, told of the booking that fits, else of the best one.

    The second value is that booking with its property; None where no line speaks of one or they have none.
    """
    spoken = who.alone
    if reads_bookings(condition) and who.bookings:
        # The booking that fits; else the one of which most lines hold, the newest of equals.
        spoken = max(
            reversed(who.bookings),
            key=lambda one: (_judge(condition, who, one, now) is True, _fitting(condition, who, one, now)),
        )
    lines = list(_lines(condition, who, spoken, now, language, 0))
    return lines, spoken if spoken.get("booking") else None


def _fitting(condition: Condition, who: Person, booking: Facts, now: datetime) -> int:
    if isinstance(condition, Group) and condition.join != "none":
        return sum(_fitting(one, who, booking, now) for one in condition.conditions)
    return int(_judge(condition, who, booking, now) is True)


def _lines(
    condition: Condition, who: Person, booking: Facts, now: datetime, language: str, depth: int
) -> Iterable[Line]:
    verdict = _judge(condition, who, booking, now)
    if isinstance(condition, Group):
        if depth or condition.join != "all":
            yield Line("", verdict, "", depth, condition.join)
            depth += 1
        for one in condition.conditions:
            yield from _lines(one, who, _telling(condition, one, who, booking, now), now, language, depth)
    elif isinstance(condition, Compare | Engaged | Did):
        why = explain(condition, {**who.facts, **booking}, now, language)
        yield Line(to_line(condition), verdict, why, depth)


def _telling(group: Group, line: Condition, who: Person, booking: Facts, now: datetime) -> Facts:
    """The booking a line is told of: under `none` the one that it holds for, as that is the one in the way."""
    if group.join == "none" and reads_bookings(group):
        return next((one for one in who.bookings if _judge(line, who, one, now) is True), booking)
    return booking


# -- loading ---------------------------------------------------------------------------------------------------------


def places(session: Session) -> Places:
    """The workspace's properties; one query."""
    by_id: dict[int, Facts] = {}
    default: Facts | None = None
    for row in session.execute(audience.PROPERTIES.order_by(Property.id)):
        by_id[row.id] = audience.property_facts(row)
        if row.is_default or default is None:
            default = by_id[row.id]
    return Places(by_id, default)


def people(session: Session, contact_ids: Sequence[int], now: datetime) -> dict[int, Person]:
    """What a segment sees of these people, in `QUERIES` queries. Those it does not look at are left out."""
    known = places(session)
    alive = select(Contact.id).where(
        Contact.id.in_(contact_ids),
        Contact.merged_into.is_(None),
        Contact.erased_at.is_(None),
        Contact.frozen_at.is_(None),
    )
    facts = audience.of_contacts(session, session.scalars(alive).all(), now)
    bookings: dict[int, list[Facts]] = {}
    rows = session.execute(
        audience.BOOKINGS.add_columns(Booking.contact_id)
        .where(Booking.contact_id.in_(list(facts)))
        .order_by(Booking.id)
    )
    for row in rows:
        place = known.by_id.get(row.property_id, known.default)
        bookings.setdefault(row.contact_id, []).append({"booking": audience.booking_facts(row), "property": place})
    acts = _acts(session, list(facts), now)
    happened = audience.happened(session, list(facts), now)
    found = {}
    for contact_id, of_contact in facts.items():
        tracked = of_contact["consent"].get("open_tracking") == "granted"
        engagement: Mapping[str, Any] = {"tracked": tracked, **acts.get(contact_id, {})}
        alone = {"booking": None, "property": known.default}
        seen = {**of_contact, "engagement": engagement, "contact_events": happened.get(contact_id, ())}
        found[contact_id] = Person(seen, bookings.get(contact_id, ()), alone)
    return found


_ACTS = text(
    f"""
    SELECT d.contact_id, d.kind, m.step_id, max(d.occurred_at) AS at
    FROM delivery_events d
    JOIN messages m ON m.workspace_id = d.workspace_id AND m.contact_id = d.contact_id AND m.id = d.message_pk
    WHERE d.workspace_id = :workspace_id AND d.contact_id = ANY(:contact_ids) AND d.kind IN ('clicked', 'opened')
        AND d.occurred_at <= :now AND m.step_id IS NOT NULL AND {audience.HUMAN}
    GROUP BY 1, 2, 3
    """
)


def _acts(session: Session, contact_ids: Sequence[int], now: datetime) -> dict[int, dict[str, dict[str, datetime]]]:
    """Contact → act → step → when it was last done, over all passages."""
    found: dict[int, dict[str, dict[str, datetime]]] = {}
    given = {"workspace_id": workspace_of(session), "contact_ids": list(contact_ids), "now": now}
    for row in session.execute(_ACTS, given):
        found.setdefault(row.contact_id, {}).setdefault(row.kind, {})[row.step_id] = row.at
    return found
