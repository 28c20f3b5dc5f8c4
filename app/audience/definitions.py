"""What a segment's document says, what may be wrong with it, what it rests on, and when time alone moves it.

A document is one group in YAML, `all:`, `any:` or `none:` with a list of lines and further groups:

    all:
      - contact.language == it
      - any: [ booking.nights >= 3, contact.tags has vip ]
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.audience.sides import Places
from app.consent.models import Topic
from app.contacts.models import AttributeDefinition
from app.db import workspace_of
from app.events.catalogue import known_events
from app.journey import places as documents
from app.journey.condition_checks import ConditionProblem, check, type_of
from app.journey.condition_source import walk
from app.journey.condition_tree import Compare, Condition, Day, Did, Engaged, Group, Many, Ref, Single, Span, fields
from app.journey.facts import zone
from app.journey.known import FACT_FIELDS, FieldType, Known
from app.journey.language import load
from app.journey.places import LanguageError, Problem
from app.journey.waits import at_clock

FILE = "segment"
"""What errors call the document."""
LONGEST = 20_000
_NOT_HERE = {
    "event": "a segment looks at people, not at an event",
    "enrollment": "a segment looks at people, not at a passage through a workflow",
    "contact.segments": "a segment cannot rest on other segments",
}

Moves = Literal["never", "day", "hour"]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a segment's lines may speak of in one workspace."""

    known: Known
    steps: Sequence[str]
    """Ids of steps of live workflows that send: what `clicked` may name."""
    barred: frozenset[str]
    """Attributes of a special category: they never define a segment (R18)."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A document that was read and checked."""

    source: str
    condition: Condition

    @property
    def rests_on(self) -> list[str]:
        """Kinds of changes that may move somebody. New people and erased ones always do."""
        roots = {path.split(".")[0] for path in fields(self.condition)}
        kinds = {"contact"}
        kinds |= {"booking"} if roots & {"booking", "property"} else set()
        kinds |= {"consent"} if roots & {"consent", "engagement"} else set()
        kinds |= {"engagement"} if "engagement" in roots else set()
        kinds |= {"event"} if "did" in roots else set()
        return sorted(kinds)

    @property
    def moves(self) -> Moves:
        """How often time alone may move somebody."""
        return _moves(self.condition)


_STEPS = text(
    """
    SELECT DISTINCT op ->> 'id' AS id FROM workflows w
    JOIN workflow_versions v ON v.workspace_id = w.workspace_id AND v.id = w.live_version_id
    CROSS JOIN LATERAL jsonb_array_elements(v.program -> 'ops') AS op
    WHERE w.workspace_id = :workspace_id AND w.status IN ('live', 'paused') AND op ->> 'op' = 'send' ORDER BY 1
    """
)


def vocabulary(session: Session) -> Vocabulary:
    """What lines may speak of here; three queries."""
    attributes = session.execute(
        select(AttributeDefinition.key, AttributeDefinition.type, AttributeDefinition.special_category)
    ).all()
    known: dict[str, FieldType] = {path: type_ for path, type_ in FACT_FIELDS.items() if not _not_here(path)}
    known |= {f"contact.attributes.{row.key}": row.type for row in attributes}
    topics = tuple(session.scalars(select(Topic.name).order_by(Topic.position)))
    steps = [row.id for row in session.execute(_STEPS, {"workspace_id": workspace_of(session)})]
    barred = frozenset(f"contact.attributes.{row.key}" for row in attributes if row.special_category)
    return Vocabulary(Known(events=known_events(), fields=known, topics=topics or None), steps, barred)


def read(source: str, words: Vocabulary) -> Definition:
    """The document, checked.

    Raises:
        LanguageError: every problem, with line and column (of file `segment`) and cure.
    """
    if len(source) > LONGEST:
        raise LanguageError([Problem(FILE, 1, 1, "", "too-large", f"more than {LONGEST} characters")])
    if re.match(r"\s*(#.*\n\s*)*(-|$)", source) or not re.match(r"\s*(#.*\n\s*)*\{?\s*\w+\s*:", source):
        message = "a segment is one group of lines"
        raise LanguageError([Problem(FILE, 1, 1, "", "wrong-type", message, "start with all:, any: or none:")])
    root = load(source, FILE)
    where = documents.Places(FILE, source, root)
    condition, lines = walk(documents.plain(root), ())
    problems: list[Problem] = []
    for line in lines:
        if line.error is not None:
            is_group = not line.path or not isinstance(line.path[-1], int)
            part = None if is_group else line.error.column
            wrong = where.problem(
                line.path, "condition", line.error.message, line.error.cure, on_key=is_group, part=part
            )
            problems.append(wrong)
        elif line.condition is not None:
            problems += [
                where.problem(line.path, one.code, one.message, one.cure, part=one.part or None)
                for one in _wrong(line.condition, words)
            ]
    if problems:
        raise LanguageError(problems)
    return Definition(source, condition)


def _wrong(line: Condition, words: Vocabulary) -> list[ConditionProblem]:
    found: list[ConditionProblem] = []
    for path in sorted(fields(line)):
        why = _not_here(path)
        if why:
            found.append(ConditionProblem("not-in-segments", f"there is no {path} here: {why}", "", path))
        if path in words.barred:
            message = f"{path} is of a special category and may define no segment (R18)"
            found.append(ConditionProblem("special-category", message, "choose another field", path))
    return found or check(line, words.known, (), words.steps)


def _not_here(path: str) -> str | None:
    return _NOT_HERE.get(path) or _NOT_HERE.get(path.split(".", maxsplit=1)[0])


def _moves(condition: Condition) -> Moves:
    if isinstance(condition, Group):
        found = {_moves(one) for one in condition.conditions}
        return "hour" if "hour" in found else "day" if "day" in found else "never"
    if isinstance(condition, Engaged | Did):
        return "hour" if condition.within else "never"
    values: Sequence[Single | None] = (
        condition.value.values if isinstance(condition.value, Many) else (condition.value,)
    )
    if not any(_speaks_of_now(condition, value) for value in values):
        return "never"
    return "day" if all(_by_day(condition, value) for value in values) else "hour"


def _speaks_of_now(condition: Compare, value: Single | None) -> bool:
    return condition.field == "now" or isinstance(value, Span) or (isinstance(value, Ref) and value.path == "now")


def _by_day(condition: Compare, value: Single | None) -> bool:
    """Whether one side is a calendar day for certain: then only a midnight can change what they compare to."""
    if isinstance(value, Span):
        return _is_day(condition.field) and not value.duration.seconds
    if condition.field == "now":
        whole = isinstance(value, Ref) and _is_day(value.path) and not value.offset.seconds
        return isinstance(value, Day) or whole
    return _is_day(condition.field) and isinstance(value, Ref) and not value.offset.seconds


def _is_day(path: str) -> bool:
    return type_of(path, Known(events={}, fields=FACT_FIELDS)) == "date"


def next_due(moves: Moves, where: Places, now: datetime) -> datetime | None:
    """When time alone may next move somebody: the next full hour, or the next midnight of any property."""
    if moves == "never":
        return None
    if moves == "hour":
        return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return min(_midnight(zone(facts, "property"), now) for facts in where.every())


def _midnight(of: ZoneInfo, now: datetime) -> datetime:
    return at_clock(now.astimezone(of).date() + timedelta(days=1), time(0), of)
