"""Conditions as SQL over contacts: who is in a segment, how many, who for example.

`compiled` says in SQL what `person.judge` says in Python, three-valued alike; a property test holds the two equal.
Values are bound parameters, never text of a statement. What `booking.*` means here is told in `person`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.audience import facts, person, sides
from app.audience.sides import NOTHING, Frame, Places, Side
from app.consent.fold import PURPOSES
from app.db import workspace_of
from app.journey.condition_tree import (
    Compare,
    Condition,
    Did,
    Engaged,
    Group,
    Many,
    Money,
    Ref,
    Single,
    Span,
    Text,
    Truth,
    constant,
    rests_on_engagement,
)
from app.journey.durations import Duration
from app.journey.facts import lookup, zone
from app.journey.folding import LOWER, UPPER
from app.journey.waits import add

ALIVE = "c.merged_into IS NULL AND c.erased_at IS NULL AND c.frozen_at IS NULL"
"""Whom segments look at: not who became part of somebody else, was erased, or asked us to stop (R52)."""

FROM = """contacts c LEFT JOIN consent_words k
    ON k.workspace_id = c.workspace_id AND k.contact_id = c.id AND k.address = c.email_key"""
"""What a compiled condition is written over."""

_NEGATIVE = {"!=": "==", "not in": "in", "has not": "has", "is unknown": "is known"}
_ORDER = {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "before": "<", "after": ">"}

_CONTACT: Mapping[str, Side] = {
    **{
        name: sides.of_text(f"c.{name}")
        for name in ("external_id", "email", "phone", "first_name", "last_name", "language", "zone", "country")
    },
    "id": sides.of_number("c.id"),
    "created_at": sides.of_instant("c.created_at"),
    "tags": Side(items="to_jsonb(c.tags)", known="(cardinality(c.tags) > 0)"),
}
_BOOKING_TEXTS = ("kind", "reference", "status", "currency", "channel", "language", "room_type", "rate")
_BOOKING_NUMBERS = ("nights", "adults", "children", "amount", "revision")
_BOOKING_DAYS = ("arrival", "departure")
_BOOKING_INSTANTS = {"created_at": "booked_at", "cancelled_at": "cancelled_at"}


@dataclass(frozen=True, slots=True)
class Compiled:
    """A condition as SQL over `contacts c` (and `consent_words k`).

    `verdict` is true, false or NULL where it cannot be known; `holds` is true exactly where `verdict` is.
    """

    verdict: str
    holds: str
    parameters: Mapping[str, Any]


def compiled(
    condition: Condition, places: Places, now: datetime, prefix: str = "", *, of_named: bool = False
) -> Compiled:
    """The condition as SQL.

    Args:
        condition: as `journey.conditions` reads it. What a segment cannot see (`event.x`) is not there.
        places: the workspace's properties, for zones, currencies and `property.*`.
        now: the instant it is judged at.
        prefix: of the parameters' names, where several conditions share a statement.
        of_named: the statement asks of the people in its parameter `contact_ids` alone, so nobody else's past is read.
    """
    writer = _Writer(Frame(places, now), of_named=of_named)
    verdict, holds = writer.whole(condition)
    names = {name: prefix + name for name in writer.frame.parameters}
    if prefix:
        for name in sorted(names, key=len, reverse=True):
            verdict, holds = (sql.replace(f":{name} ", f":{prefix}{name} ") for sql in (verdict, holds))
    return Compiled(verdict, holds, {names[name]: value for name, value in writer.frame.parameters.items()})


class _Writer:
    """Writes one statement's condition."""

    def __init__(self, frame: Frame, *, of_named: bool = False) -> None:
        self.frame = frame
        self._named = of_named
        self._aliases = 0

    # -- the whole and its groups ----------------------------------------------------------------------------------

    def whole(self, condition: Condition) -> tuple[str, str]:
        """(verdict, holds) over a person."""
        if not person.reads_bookings(condition):
            sql = self.write(condition)
            return sql, sql
        outside: list[Condition] = []
        inside = condition
        if isinstance(condition, Group) and condition.join == "all" and self.frame.places.one_zone:
            # What speaks of the person alone is asked once, not once a booking.
            outside = [one for one in condition.conditions if not person.reads_bookings(one)]
            inside = Group("all", tuple(one for one in condition.conditions if one not in outside))
        person_only = [self.write(one) for one in outside]
        verdict, holds = self._any_booking(inside)
        return " AND ".join([*person_only, verdict]), " AND ".join([*person_only, holds])

    def _any_booking(self, condition: Condition) -> tuple[str, str]:
        """(verdict, holds) of "for one of the person's bookings"; once without any for who has none."""
        outer = self.frame.booking
        self._aliases += 1
        alias = self.frame.booking = f"b{self._aliases}"
        sql = self.write(condition)
        self.frame.booking = outer
        link = f"{alias}.workspace_id = c.workspace_id AND {alias}.contact_id = c.id"
        if _needs_booking(condition):
            rows = f"FROM bookings {alias} WHERE {link} AND"
        else:
            rows = f"FROM (SELECT) AS one LEFT JOIN bookings {alias} ON {link} WHERE"
        holds = f"EXISTS (SELECT 1 {rows} ({sql}))"
        if not rests_on_engagement(condition):
            return holds, holds
        open_ = f"EXISTS (SELECT 1 {rows} ({sql}) IS NULL)"
        return f"(CASE WHEN {holds} THEN TRUE WHEN {open_} THEN NULL ELSE FALSE END)", holds

    def write(self, condition: Condition) -> str:
        """The condition for one person and, where the frame has one, one booking."""
        match condition:
            case Compare():
                positive = _NEGATIVE.get(condition.operator)
                holds = self._holds(positive or condition.operator, condition)
                return f"(NOT {holds})" if positive else holds
            case Engaged():
                return self._engaged(condition)
            case Did():
                return self._did(condition)
            case Group(join="none") if person.reads_bookings(condition):
                verdict, _ = self._any_booking(Group("any", condition.conditions))
                return f"(NOT {verdict})"
            case Group():
                parts = [self.write(one) for one in condition.conditions]
                if condition.join == "all":
                    return f"({' AND '.join(parts)})" if parts else "TRUE"
                either = f"({' OR '.join(parts)})" if parts else "FALSE"
                return f"(NOT {either})" if condition.join == "none" else either

    # -- lines -----------------------------------------------------------------------------------------------------

    def _holds(self, operator: str, condition: Compare) -> str:
        left, value, frame = self.side(condition.field).there, condition.value, self.frame
        if operator == "is known":
            return left.known
        if isinstance(value, Many):
            parts = [self._equal(left, one, condition.field) for one in value.values]
            return f"({' OR '.join(parts)})" if parts else "FALSE"
        if value is None:
            return "FALSE"
        if operator == "==":
            return self._equal(left, value, condition.field)
        if operator == "has":
            return self._has(left, value, condition.field)
        if operator in {"contains", "starts with"}:
            right = self.value(value)
            if not (left.text and right.text):
                return "FALSE"
            upper, lower = frame.bind(UPPER, "text"), frame.bind(LOWER, "text")
            whole, part = (f"translate({side.text}, {upper}, {lower})" for side in (left, right))
            asked = f"strpos({whole}, {part}) > 0" if operator == "contains" else f"starts_with({whole}, {part})"
            return f"coalesce({asked}, FALSE)"
        if isinstance(value, Span):
            lowest = self._now() if operator == "within next" else self._now(-value.duration)
            highest = self._now() if operator == "within last" else self._now(value.duration)
            return f"({sides.in_time('>=', left, lowest, frame)} AND {sides.in_time('<=', left, highest, frame)})"
        if operator not in _ORDER:
            return "FALSE"
        return self._order(_ORDER[operator], left, value, condition.field)

    def _equal(self, left: Side, value: Single, field: str) -> str:
        if isinstance(value, Text | Truth):
            strictly = "text" if isinstance(value, Text) else "truth"
            return sides.equal(left, self.value(value), self.frame, strictly=strictly)
        return self._order("=", left, value, field)

    def _order(self, operator: str, left: Side, value: Single, field: str) -> str:
        if not isinstance(value, Money):
            return sides.ordered(operator, left, self.value(value), self.frame)
        if not left.number:
            return "FALSE"
        amount = f"coalesce({left.number} {operator} {self.frame.bind(value.minor, 'numeric')}, FALSE)"
        return f"({amount} AND {self._in_currency(field, value.currency)})"

    def _in_currency(self, field: str, wanted: str) -> str:
        """Whether an amount is in this currency: the one told beside it, else the property's."""
        of_places = {
            at: lookup(spoken, "property.currency") == wanted for at, spoken in self.frame.facts_by_place().items()
        }
        theirs = self.frame.by_place(of_places, "boolean")
        own = self.side(field.rpartition(".")[0] + ".currency")
        if own is NOTHING:
            return theirs
        told = [own.known]
        told += [f"{own.number} IS DISTINCT FROM 0"] if own.number else []
        told += [f"{own.truth} IS DISTINCT FROM FALSE"] if own.truth else []
        same = f"coalesce({own.text} = {self.frame.bind(wanted, 'text')}, FALSE)" if own.text else "FALSE"
        return f"(CASE WHEN {' AND '.join(told)} THEN {same} ELSE {theirs} END)"

    def _has(self, left: Side, value: Single, field: str) -> str:
        if not left.items:
            return "FALSE"
        if isinstance(value, Text):
            return f"coalesce(jsonb_exists({left.items}, {self.frame.bind(value.text, 'text')}), FALSE)"
        one = self._equal(sides.of_json("item.value"), value, field)
        return f"EXISTS (SELECT 1 FROM jsonb_array_elements({left.items}) AS item(value) WHERE {one})"

    def _engaged(self, condition: Engaged) -> str:
        """True where the newest act lies within its time; else false for who is tracked and unknown for all others."""
        frame = self.frame
        step, act = frame.bind(condition.step, "text"), frame.bind(condition.act, "text")
        acted = f"""SELECT d.contact_id FROM delivery_events d
            JOIN messages m ON m.workspace_id = d.workspace_id AND m.contact_id = d.contact_id AND m.id = d.message_pk
            WHERE d.workspace_id = :workspace_id AND d.kind = {act} AND m.step_id = {step} AND {facts.HUMAN}
            AND d.occurred_at <= {frame.bind(frame.now, "timestamptz")} AND {self._of_those("d")}"""
        if condition.within is not None:
            acted += f" AND d.occurred_at >= {self._now(-condition.within).instant}"
        if frame.booking is not None and not frame.places.one_zone:
            did = f"EXISTS ({acted} AND d.contact_id = c.id)"
        else:
            did = f"c.id IN ({acted})"
        return f"(CASE WHEN {did} THEN TRUE WHEN k.words ->> 'open_tracking' = 'granted' THEN FALSE ELSE NULL END)"

    def _of_those(self, alias: str) -> str:
        """Only what is about the people a statement asks of, where it names them."""
        return f"{alias}.contact_id = ANY(:contact_ids)" if self._named else "TRUE"

    def _did(self, condition: Did) -> str:
        """Whether something has happened to the person so often."""
        frame = self.frame
        happened = f"""SELECT e.contact_id FROM events e
            WHERE e.workspace_id = :workspace_id AND e.type = {frame.bind(condition.event, "text")}
            AND e.quarantined IS NULL AND e.ordered_at <= {frame.bind(frame.now, "timestamptz")}
            AND {self._of_those("e")}"""
        if condition.within is not None:
            since = self._now(-condition.within).instant
            # No event counts as later than a day after it was received (X15): so older months need not be read.
            happened += f" AND e.ordered_at >= {since} AND e.received_at >= {since} - interval '1 day'"
        often = f"HAVING count(*) >= {frame.bind(condition.times, 'bigint')}"
        if frame.booking is not None and not frame.places.one_zone:
            did = f"EXISTS ({happened} AND e.contact_id = c.id GROUP BY e.contact_id {often})"
        else:
            did = f"c.id IN ({happened} GROUP BY e.contact_id {often})"
        return f"(NOT {did})" if condition.negated else f"({did})"

    # -- sides -----------------------------------------------------------------------------------------------------

    def value(self, value: Single) -> Side:
        """The right side of a comparison."""
        match value:
            case Ref(path="now"):
                return self._now(value.offset)
            case Ref():
                found = self.side(value.path)
                return found if value.offset.zero else sides.moved(found, value.offset, self.frame)
            case _:
                return self.frame.constant(constant(value))

    def _now(self, by: Duration | None = None) -> Side:
        """Now, moved: each property's own calendar counts the days."""
        frame, moments = self.frame, {}
        for at, spoken in frame.facts_by_place().items():
            moments[at] = frame.now if by is None or by.zero else add(frame.now, by, zone(spoken, "property"))
        return sides.of_instant(frame.by_place(moments, "timestamptz"))

    def side(self, path: str) -> Side:
        """A field, as the facts of one person and booking have it."""
        root, *keys = path.split(".")
        if path == "now":
            return self._now()
        if root == "contact" and keys:
            if keys[0] == "attributes":
                return self._within_json("c.attributes", keys[1:])
            return _CONTACT.get(keys[0], NOTHING) if len(keys) == 1 else NOTHING
        if root == "contact":
            return Side(known="TRUE")
        if root == "booking" and self.frame.booking:
            return self._booking(self.frame.booking, keys)
        if root == "property":
            return self.frame.property(keys)
        if root == "consent":
            if not keys:
                return Side(known="(coalesce(k.words, '{}') <> '{}')")
            return sides.of_text(f"(k.words ->> {self.frame.bind(keys[0], 'text')})") if len(keys) == 1 else NOTHING
        return NOTHING

    def _booking(self, alias: str, keys: list[str]) -> Side:
        if not keys:
            return Side(known=f"({alias}.id IS NOT NULL)")
        if keys[0] == "data":
            return self._within_json(f"{alias}.data", keys[1:])
        name = keys[0]
        if len(keys) > 1:
            return NOTHING
        if name == "replaced":
            there = f"{alias}.id IS NOT NULL"
            return Side(truth=f"(CASE WHEN {there} THEN {alias}.replaced_by IS NOT NULL END)", known=f"({there})")
        if name in _BOOKING_TEXTS:
            return sides.of_text(f"{alias}.{name}")
        if name in _BOOKING_NUMBERS:
            return sides.of_number(f"{alias}.{name}")
        if name in _BOOKING_DAYS:
            return sides.of_day(f"{alias}.{name}")
        if name in _BOOKING_INSTANTS:
            return sides.of_instant(f"{alias}.{_BOOKING_INSTANTS[name]}")
        return NOTHING

    def _within_json(self, column: str, keys: Sequence[str]) -> Side:
        return sides.of_json("(" + " -> ".join([column, *(self.frame.bind(key, "text") for key in keys)]) + ")")


def _needs_booking(condition: Condition) -> bool:
    """Whether it is false for who has no booking, so that the others need not be looked at."""
    match condition:
        case Compare():
            reads = {condition.field} | ({condition.value.path} if isinstance(condition.value, Ref) else set())
            return condition.operator not in _NEGATIVE and any(path.startswith("booking.") for path in reads)
        case Group(join="all"):
            return any(_needs_booking(one) for one in condition.conditions)
        case Group(join="any"):
            return all(_needs_booking(one) for one in condition.conditions)
        case _:
            return False


# -- asking ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counted:
    """How many a condition holds for, of how many people, and whom of them a marketing mail may reach."""

    people: int
    inside: int
    unknown: int
    """Cannot be known of so many: their clicks are not tracked."""
    with_address: int
    with_consent: int
    """Have an address and have said yes to marketing on some topic. Suppressions and caps are the gate's to judge."""


def count(session: Session, condition: Condition, now: datetime, *, within_ms: int | None = None) -> Counted:
    """Count, in two queries (the properties and everybody); a third sets a limit of time where one is given.

    Raises:
        sqlalchemy.exc.OperationalError: it took longer than `within_ms`. The unit of work cannot go on then.
    """
    asked = compiled(condition, person.places(session), now)
    if within_ms is not None:
        session.execute(text("SELECT set_config('statement_timeout', :limit, true)"), {"limit": str(within_ms)})
    row = session.execute(
        text(
            f"""
            SELECT count(*) AS people, count(*) FILTER (WHERE verdict) AS inside,
                count(*) FILTER (WHERE verdict IS NULL) AS unknown,
                count(*) FILTER (WHERE verdict AND email_key IS NOT NULL) AS with_address,
                count(*) FILTER (WHERE verdict AND email_key IS NOT NULL AND EXISTS (SELECT 1
                    FROM jsonb_each_text(words) AS w WHERE w.value = 'granted' AND w.key <> ALL(:others)))
                    AS with_consent
            FROM (SELECT {asked.verdict} AS verdict, c.email_key, k.words FROM {FROM}
                WHERE c.workspace_id = :workspace_id AND {ALIVE} OFFSET 0) AS judged
            """
        ),
        {**asked.parameters, "workspace_id": workspace_of(session), "others": list(_NOT_MARKETING)},
    ).one()
    return Counted(row.people, row.inside, row.unknown, row.with_address, row.with_consent)


_NOT_MARKETING = tuple(purpose for purpose in PURPOSES if purpose != "marketing")


def inside(
    session: Session, condition: Condition, now: datetime, *, after: int = 0, limit: int, before: int | None = None
) -> list[int]:
    """Contacts it holds for at `now`, exactly and by number: the next `limit` after one, or the last before one.

    Two queries. A broadcast pages through its segment with this; the membership table lags by up to a refresh.
    """
    asked = compiled(condition, person.places(session), now)
    edge, order = ("c.id > :edge", "") if before is None else ("c.id < :edge", "DESC")
    found = session.execute(
        text(
            f"SELECT c.id FROM {FROM} WHERE c.workspace_id = :workspace_id AND {edge} AND {ALIVE} AND {asked.holds}"
            f" ORDER BY c.id {order} LIMIT :limit"
        ),
        {
            **asked.parameters,
            "workspace_id": workspace_of(session),
            "edge": after if before is None else before,
            "limit": limit,
        },
    )
    return sorted(row.id for row in found)


def judged(
    session: Session, conditions: Mapping[int, Condition], contact_ids: Collection[int], now: datetime
) -> dict[int, dict[int, bool | None]]:
    """Contact → key of a condition → verdict, for those who are alive; two queries whatever their number."""
    places = person.places(session)
    parameters: dict[str, Any] = {"workspace_id": workspace_of(session), "contact_ids": list(contact_ids)}
    columns = []
    for number, (key, condition) in enumerate(conditions.items()):
        asked = compiled(condition, places, now, prefix=f"s{number}", of_named=True)
        parameters |= asked.parameters
        columns.append(f"{asked.verdict} AS v{key}")
    statement = f"""
        SELECT {", ".join(["c.id", *columns])} FROM {FROM}
        WHERE c.workspace_id = :workspace_id AND c.id = ANY(:contact_ids) AND {ALIVE}
        """
    return {row[0]: dict(zip(conditions, row[1:], strict=True)) for row in session.execute(text(statement), parameters)}
