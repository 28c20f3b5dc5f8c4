"""Conditions as a document holds them: a line, a list of lines (all must hold), or groups of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.journey.condition_lines import ConditionError, parse
from app.journey.condition_tree import ALWAYS, Condition, Group
from app.journey.nearest import cure
from app.journey.places import Path

_JOINS = ("all", "any", "none")


@dataclass(frozen=True, slots=True)
class Line:
    """One line and where it stands; `error` where it could not be read."""

    path: Path
    condition: Condition | None
    error: ConditionError | None = None


def read(source: Any) -> Condition:
    """The condition of a checked document; raises ConditionError where it cannot be read."""
    condition, lines = walk(source, ())
    for line in lines:
        if line.error is not None:
            raise line.error
    return condition


def walk(source: Any, path: Path) -> tuple[Condition, list[Line]]:
    """The condition, and each of its lines with its place. Lines that cannot be read are left out of the condition."""
    if source is None:
        return ALWAYS, []
    if isinstance(source, str):
        try:
            condition = parse(source)
        except ConditionError as error:
            return ALWAYS, [Line(path, None, error)]
        return condition, [Line(path, condition)]
    if isinstance(source, list):
        return _group("all", source, path)
    if isinstance(source, Mapping) and len(source) == 1:
        join, inner = next(iter(source.items()))
        for name in _JOINS:
            if join == name:
                return _group(name, inner if isinstance(inner, list) else [inner], (*path, name))
        message = f"unknown group {join}"
        return ALWAYS, [Line((*path, join), None, ConditionError(message, 0, cure(str(join), _JOINS)))]
    message = "a condition is a line, a list of lines, or one of all, any, none with a list"
    return ALWAYS, [Line(path, None, ConditionError(message, 0, "for example booking.nights >= 3"))]


def _group(join: str, sources: list[Any], path: Path) -> tuple[Condition, list[Line]]:
    conditions: list[Condition] = []
    lines: list[Line] = []
    for number, source in enumerate(sources):
        condition, found = walk(source, (*path, number))
        conditions.append(condition)
        lines += found
    if join == "all" and len(conditions) == 1:
        return conditions[0], lines
    return Group("any" if join == "any" else "none" if join == "none" else "all", tuple(conditions)), lines
