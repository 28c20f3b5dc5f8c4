"""Conditions: one line is one row of the rule builder. How it is evaluated and explained.

The grammar is in `condition_lines`, the tree in `condition_tree`, the check of names and types in `condition_checks`.

**What is not there.** A field without a value equals nothing, lies in nothing, is larger and smaller than nothing: the
positive operators are false, their opposites (`!=`, `not in`, `has not`) true. A value of another type than the one
compared with counts as not there. In SQL that is `coalesce(field op value, false)` and its negation.

**What cannot be known.** `clicked <step>` is None for a person whose clicks are not tracked, since nobody can say they
did not click (RULES R14, R15). None goes through groups by Kleene's rules: any is true as soon as one is true, all is
false as soon as one is false, and else what cannot be known stays unknown.

Whether somebody is in a segment that may not be looked at for them (`withheld` of the facts, R13) is None as well.

**What has happened.** `did <event>` counts what is known to have happened to the person (`contact_events` of the
facts); where the facts were loaded without it, it cannot be known.

**Days and instants.** A day against an instant (`booking.arrival > now`) compares calendar days of the property's zone.
"""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import Any

from app.journey import condition_words
from app.journey.condition_checks import ConditionProblem, check, type_of
from app.journey.condition_lines import OPERATORS, ConditionError, parse, to_line
from app.journey.condition_tree import (
    ALWAYS,
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
    fields,
    from_json,
    rests_on_engagement,
    to_json,
)
from app.journey.durations import Duration
from app.journey.facts import Facts, as_json, lookup, temporal, zone
from app.journey.folding import folded
from app.journey.waits import add, move_day

__all__ = [
    "ALWAYS",
    "OPERATORS",
    "ConditionError",
    "ConditionProblem",
    "check",
    "evaluate",
    "explain",
    "fields",
    "from_json",
    "parse",
    "rests_on_engagement",
    "to_json",
    "to_line",
    "type_of",
    "weighed",
]

_NEGATIVE = {"!=": "==", "not in": "in", "has not": "has", "is unknown": "is known"}

# --- evaluation ---------------------------------------------------------------------------------------------------


def evaluate(condition: Condition, facts: Facts, now: datetime) -> bool | None:
    """True, False, or None where it cannot be known. Never raises, whatever the facts hold."""
    match condition:
        case Compare():
            return None if _is_withheld(condition, facts) else _compare(condition, facts, now)
        case Engaged():
            return _engaged(condition, facts, now)
        case Did():
            count = _count(condition, facts, now)
            return None if count is None else (count >= condition.times) is not condition.negated
        case Group():
            return _group(condition, facts, now)


def _group(group: Group, facts: Facts, now: datetime) -> bool | None:
    decisive = group.join != "all"
    unknown = False
    for condition in group.conditions:
        verdict = evaluate(condition, facts, now)
        if verdict is decisive:
            return group.join == "any"
        unknown = unknown or verdict is None
    return None if unknown else group.join != "any"


def _is_withheld(condition: Compare, facts: Facts) -> bool:
    if condition.field != "contact.segments":
        return False
    withheld = facts.get("withheld") or ()
    return bool(withheld) and isinstance(condition.value, Text) and condition.value.text in withheld


def _compare(condition: Compare, facts: Facts, now: datetime) -> bool:
    positive = _NEGATIVE.get(condition.operator)
    if positive is not None:
        return not _holds(positive, condition, facts, now)
    return _holds(condition.operator, condition, facts, now)


def _holds(operator: str, condition: Compare, facts: Facts, now: datetime) -> bool:
    left = now if condition.field == "now" else lookup(facts, condition.field)
    if left is None or left == "":
        return False
    value = condition.value
    if operator == "is known":
        return not (isinstance(left, (list, tuple, dict)) and not left)
    if isinstance(value, Many):
        return any(_equal(left, one, condition.field, facts, now) for one in value.values)
    if value is None:
        return False
    if operator == "==":
        return _equal(left, value, condition.field, facts, now)
    if operator == "has":
        return isinstance(left, (list, tuple)) and any(_equal(x, value, condition.field, facts, now) for x in left)
    if operator in ("contains", "starts with"):
        right = _plain(value, facts, now)
        if not (isinstance(left, str) and isinstance(right, str)):
            return False
        whole, part = folded(left), folded(right)
        return part in whole if operator == "contains" else whole.startswith(part)
    if isinstance(value, Span):
        return _within(operator, left, value.duration, facts, now)
    order = _order(left, value, condition.field, facts, now)
    if order is None:
        return False
    return {
        "<": order < 0,
        "before": order < 0,
        "<=": order <= 0,
        ">": order > 0,
        "after": order > 0,
        ">=": order >= 0,
    }.get(operator, False)


def _equal(left: Any, value: Single, field: str, facts: Facts, now: datetime) -> bool:
    if isinstance(value, Text):
        return isinstance(left, str) and left == value.text
    if isinstance(value, Truth):
        return isinstance(left, bool) and left is value.truth
    return _order(left, value, field, facts, now) == 0


def _order(left: Any, value: Single, field: str, facts: Facts, now: datetime) -> int | None:
    """Less, equal or more as -1, 0, 1; None where the two cannot be compared."""
    if isinstance(value, Money):
        if _currency(field, facts) != value.currency:
            return None
        return _sign(left, value.minor) if _is_number(left) else None
    right = _plain(value, facts, now)
    if isinstance(right, date):
        return _order_in_time(left, right, facts)
    if isinstance(left, date):
        return _order_in_time(left, right, facts)
    if _is_number(left) and _is_number(right):
        return _sign(left, right)
    if isinstance(left, bool) and isinstance(right, bool):
        return 0 if left is right else None
    if isinstance(left, str) and isinstance(right, str):
        return _sign(left, right)
    return None


def _sign(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return not math.isnan(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _currency(field: str, facts: Facts) -> Any:
    return lookup(facts, field.rpartition(".")[0] + ".currency") or lookup(facts, "property.currency")


def _order_in_time(left: Any, right: Any, facts: Facts) -> int | None:
    one, other = temporal(left), temporal(right)
    if one is None or other is None:
        return None
    if isinstance(one, datetime) and isinstance(other, datetime):
        return _sign(one, other)
    return _sign(_day(one, facts), _day(other, facts))


def _day(value: date, facts: Facts) -> date:
    return value.astimezone(zone(facts, "property")).date() if isinstance(value, datetime) else value


def _plain(value: Single, facts: Facts, now: datetime) -> Any:
    match value:
        case Money():
            return value.minor
        case Ref():
            found = now if value.path == "now" else lookup(facts, value.path)
            return found if value.offset.zero else _moved(found, value.offset, facts)
        case _:
            return constant(value)


def _moved(value: Any, by: Duration, facts: Facts) -> date | None:
    moment = temporal(value)
    if moment is None:
        return None
    try:
        if isinstance(moment, datetime):
            return add(moment, by, zone(facts, "property"))
        return move_day(moment, by) + timedelta(days=round(by.seconds / 86_400))
    except (OverflowError, ValueError):
        return None


def _within(operator: str, left: Any, by: Duration, facts: Facts, now: datetime) -> bool:
    lowest = now if operator == "within next" else _moved(now, -by, facts)
    highest = now if operator == "within last" else _moved(now, by, facts)
    above = _order_in_time(left, lowest, facts)
    below = _order_in_time(left, highest, facts)
    return above is not None and below is not None and above >= 0 >= below


def _engaged(condition: Engaged, facts: Facts, now: datetime) -> bool | None:
    at = temporal(lookup(facts, f"engagement.{condition.act}.{condition.step}"))
    if isinstance(at, datetime) and at <= now:
        since = None if condition.within is None else _moved(now, -condition.within, facts)
        if since is None or at >= since:
            return True
    return False if lookup(facts, "engagement.tracked") is True else None


def _count(condition: Did, facts: Facts, now: datetime) -> int | None:
    """How often it has happened; None where the facts do not say what has happened at all."""
    past = facts.get("contact_events")
    if past is None:
        return None
    since = None if condition.within is None else _moved(now, -condition.within, facts)
    return sum(
        1
        for one in past
        if one[0] == condition.event and one[1] <= now and (not isinstance(since, datetime) or one[1] >= since)
    )


# --- explanation --------------------------------------------------------------------------------------------------


def explain(condition: Condition, facts: Facts, now: datetime, language: str = "en") -> str:
    """Why it is true, false or unknown, in plain words: "nights is at least 1 — it was 0"; language `en` or `it`.

    Of several lines, those that decided.
    """
    if isinstance(condition, Group):
        verdicts = [(evaluate(one, facts, now), one) for one in condition.conditions]
        whole = evaluate(condition, facts, now)
        telling = whole if condition.join != "none" else (None if whole is None else not whole)
        told = [one for verdict, one in verdicts if verdict is telling] or [one for _, one in verdicts]
        return "; ".join(explain(one, facts, now, language) for one in told)
    italian = language == "it"
    if isinstance(condition, Engaged):
        return f"{condition_words.engaged(condition, language)} — {_acted(condition, facts, now, italian)}"
    if isinstance(condition, Did):
        count = _count(condition, facts, now)
        return f"{condition_words.did(condition, language)} — {condition_words.so_often(count, language)}"
    said = condition_words.compare(condition, language)
    if _is_withheld(condition, facts):
        why = (
            "it cannot be known without a consent to profiling",
            "non si può sapere senza consenso alla profilazione",
        )
        return f"{said} — {why[italian]}"
    left = now if condition.field == "now" else lookup(facts, condition.field)
    if left is None or left == "":
        unknown = "non è noto" if italian else "it is not known"
        return said if condition.operator == "is unknown" else f"{said} — {unknown}"
    found = f"{'era' if italian else 'it was'} {_show(left, condition.field, facts, language)}"
    if isinstance(condition.value, Ref):
        meant = _plain(condition.value, facts, now)
        if isinstance(meant, datetime) and not isinstance(temporal(left), datetime):
            meant = _day(meant, facts)
        if meant is not None:
            name = condition_words.wanted(condition.value, condition.field, language)
            found += f", {name}: {_show(meant, condition.value.path, facts, language)}"
    return f"{said} — {found}"


def weighed(condition: Condition, facts: Facts, now: datetime) -> list[dict[str, Any]]:
    """Each line with what was wanted, what was found and the verdict, as JSON values: what a decision was read from."""
    if isinstance(condition, Group):
        return [row for one in condition.conditions for row in weighed(one, facts, now)]
    verdict = evaluate(condition, facts, now)
    row: dict[str, Any] = {"line": to_line(condition), "verdict": verdict}
    if isinstance(condition, Did):
        row["found"] = _count(condition, facts, now)
    elif isinstance(condition, Compare):
        left = now if condition.field == "now" else lookup(facts, condition.field)
        row |= {"field": condition.field, "found": None if _is_withheld(condition, facts) else as_json(left)}
        if isinstance(condition.value, Ref):
            row["wanted"] = as_json(_plain(condition.value, facts, now))
    return [row]


def _acted(condition: Engaged, facts: Facts, now: datetime, italian: bool) -> str:
    verdict = evaluate(condition, facts, now)
    if verdict is None:
        return "non si può sapere" if italian else "it cannot be known"
    return ("sì" if italian else "yes") if verdict else "no"


def _show(value: Any, path: str, facts: Facts, language: str) -> str:
    if isinstance(value, str) and condition_words.is_date(path):
        value = temporal(value) or value
    money = path.endswith(".amount") or path == "amount"
    currency = str(_currency(path, facts) or "") or None if money else None
    return condition_words.found(value, path, currency, zone(facts, "property"), language)
