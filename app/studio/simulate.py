"""Try a workflow on recorded history: who would enter, what would go out each day, what not and why. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask import abort, request
from werkzeug.wrappers import Response

from app.doors import opened_by
from app.enrollments import catalogue
from app.enrollments.recorded import Span
from app.enrollments.simulation import NOTES, Day, Simulation, simulate_history
from app.journey import language
from app.journey.compiler import compile_program
from app.journey.places import LanguageError, Problem
from app.journey.program import Program
from app.studio import access, pages
from app.studio.blueprint import HERE, blueprint
from app.studio.reading import chain
from app.studio.reading import workflows as reading

LENGTHS = (7, 30, 90, 365)
"""How many days back a page may look."""

PEOPLE = 1_500
"""People a page looks at, drawn evenly where there are more: about two seconds. The command line has no such limit."""

_WIDTH, _HEIGHT, _BASE = 900, 180, 150


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of the chart, in the chart's own units."""

    day: date
    numbers: Day
    x: float
    width: float
    sent: float
    refused: float
    label: bool


@blueprint.get(f"{HERE}/workflows/<name>/try")
@opened_by(access.member)
def workflow_try(name: str) -> Response:
    """The draft, or the live version where there is none, tried on the last days."""
    given = request.args.get("days", "")
    days = int(given) if given in {str(one) for one in LENGTHS} else None
    alone = request.args.get("alone") == "1"
    with pages.unit() as unit:
        found = reading.one(unit, name)
        if found is None:
            abort(404)
        row, version = found
        source = row.draft or (version.source if version else "")
        program, problems = _compiled(unit, name, source)
        tried: Simulation | None = None
        if program is not None and days is not None:
            now = pages.now()
            tried = simulate_history(unit, program, Span(now - timedelta(days=days), now), alone=alone, limit=PEOPLE)
    return pages.answer(
        "workflow_try.html", workflow=row, version=version, tab="try", at="workflows", tried=tried, problems=problems,
        days=days, lengths=LENGTHS, alone=alone, is_draft=bool(row.draft), bars=_bars(tried) if tried else (),
        chart=(_WIDTH, _HEIGHT, _BASE), notes=[NOTES[one] for one in tried.notes] if tried else (),
        samples=_samples(tried) if tried else (), most=_most(tried) if tried else 0,
    )  # fmt: skip


def _compiled(unit: Any, name: str, source: str) -> tuple[Program | None, Sequence[Problem]]:
    try:
        return compile_program(language.read(source, file=f"{name}.yaml", known=catalogue.known(unit))), ()
    except LanguageError as error:
        return None, error.problems


def _most(tried: Simulation) -> int:
    return max((one.sent + one.refused for one in tried.days.values()), default=0)


def _bars(tried: Simulation) -> list[Bar]:
    """One bar a day: what goes out, and above it what is refused."""
    days = sorted(tried.days.items())
    step = _WIDTH / max(len(days), 1)
    scale = (_BASE - 14) / max(_most(tried), 1)
    every = max(round(len(days) / 8), 1)
    return [
        Bar(
            day,
            one,
            round(number * step + step * 0.12, 2),
            round(step * 0.76, 2),
            round(one.sent * scale, 2),
            round(one.refused * scale, 2),
            number % every == 0 and number * step < _WIDTH - 60,
        )
        for number, (day, one) in enumerate(days)
    ]


def _samples(tried: Simulation) -> list[Mapping[str, Any]]:
    return [
        {"name": one.name, "contact_id": one.contact_id, "links": chain.chain(one.decisions)} for one in tried.samples
    ]
