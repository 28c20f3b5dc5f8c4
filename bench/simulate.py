"""A workflow of nine steps tried on 90 days of recorded history: 4,000 guests, read, replayed and judged on one core.

Value: enrollments a second, from the first query to the last figure. Limit: the steps alone, taken by `advance` over
facts that lie ready, with no database, no story and no gate. `python -m bench.simulate` runs it by itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from app.consent import ledger
from app.consent.ledger import Act
from app.db import Database
from app.enrollments.recorded import Span
from app.enrollments.simulation import simulate_history
from app.events.catalogue import known_events
from app.events.incoming import read
from app.events.record import Reporter, record
from app.house import calm_collector
from app.journey import advance, language
from app.journey.compiler import compile_program
from app.journey.known import FACT_FIELDS, Known
from app.journey.program import Program
from bench import journey_2000
from bench.ground import Ground, Measured, ground, table

GUESTS = 4_000
DAYS = 90
BATCH = 500
GOAL = 0.25
"""Of the limit. A quarter of the time goes to reading histories; of the rest, steps and gate take a third each."""

WORKFLOW = """workflow: tried
name: { en: Before the stay, it: Prima del soggiorno }
phase: retention
class: transactional
entry:
  - on: booking.confirmed
    if: booking.nights >= 1
key: booking.reference
reenter: never
follow: booking
exit:
  - on: booking.cancelled
steps:
  - { id: confirm, send: confirmation }
  - id: week-before
    wait: { until: booking.arrival, offset: -7 days, at: "10:00", late: skip_next }
  - { id: upsell, send: confirmation, class: marketing, topic: offers }
  - id: eve
    wait: { until: booking.arrival, offset: -1 day, at: "16:00", late: go_on }
  - id: channel
    branch:
      - if: booking.channel == direct
        steps: [ { id: eve-direct, send: confirmation } ]
      - else: true
        steps: [ { id: eve-ota, send: confirmation } ]
  - id: arrived
    wait_for: { on: booking.checked_in, up_to: { until: booking.arrival, offset: 1 day, at: "12:00" } }
    then: [ { id: welcome, send: confirmation } ]
"""
_KNOWN = Known(events=known_events(), fields=FACT_FIELDS, templates=None)


def measure(here: Ground) -> Measured:
    """Record the past, then try the workflow on it three times; the best counts, for both."""
    now = here.house.clock.now()
    _past(here, now)
    program = compile_program(language.read(WORKFLOW, file="tried.yaml", known=_KNOWN))
    span = Span(now - timedelta(days=DAYS), now)
    calm_collector()  # as the command does
    best = max(_tried(here.house.database, here.workspace_id, program, span) for _ in range(3))
    limit = max(_steps_alone(program, span) for _ in range(3))
    return Measured.against("simulate", best, "passages/s", limit, GOAL)


def _tried(database: Database, workspace_id: int, program: Program, span: Span) -> float:
    with database.work(workspace_id) as session:
        found = simulate_history(session, program, span)
    if found.entered != GUESTS or found.failed:
        raise RuntimeError(f"{found.entered} of {GUESTS} entered, {found.failed} failed.")
    return found.rate


def _past(here: Ground, now: datetime) -> None:
    """Bookings day by day, half of them followed by a check-in; every third guest allows offers."""
    began = now - timedelta(days=DAYS - 1)
    told = sorted(_events(began), key=lambda one: str(one["occurred_at"]))
    for first in range(0, len(told), BATCH):
        some = told[first : first + BATCH]
        at = datetime.fromisoformat(str(some[-1]["occurred_at"]))
        with here.house.database.work(here.workspace_id) as session:
            record(session, Reporter(here.source_id), [read(raw, "/events") for raw in some], at)
    acts = [
        Act(number + 1, f"g{number}@example.com", "email", "marketing", "offers", "granted", "paper", began, began,
            {"wording_version": "1"})
        for number in range(0, GUESTS, 3)
    ]  # fmt: skip
    with here.house.database.work(here.workspace_id) as session:
        ledger.append(session, acts, began)


def _events(began: datetime) -> Iterator[dict[str, Any]]:
    for number in range(GUESTS):
        at = began + timedelta(minutes=number * 20)
        arrival = (at + timedelta(days=8 + number % 13)).date()
        booking = {
            "reference": f"R{number}", "arrival": arrival.isoformat(), "channel": "direct" if number % 2 else "agency",
            "departure": (arrival + timedelta(days=2)).isoformat(), "amount": 30_000, "currency": "EUR",
        }  # fmt: skip
        who = {"external_id": f"g{number}", "email": f"g{number}@example.com", "first_name": "Anna", "language": "it"}
        yield _event(f"c{number}", "booking.confirmed", at, who, booking)
        came = at + timedelta(days=8 + number % 13, hours=6)
        if number % 2 and came < began + timedelta(days=DAYS - 1):
            yield _event(f"i{number}", "booking.checked_in", came, who, {"reference": f"R{number}"})


def _event(name: str, type_: str, at: datetime, who: dict[str, Any], booking: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "type": type_, "occurred_at": at.isoformat(), "contact": who, "data": {"booking": booking}}


def _steps_alone(program: Program, span: Span) -> float:
    """Passages a second of `advance` alone, from the first step to the last, each on its own prepared facts."""
    prepared = [_facts(number, span.since + timedelta(minutes=number)) for number in range(1_000)]
    began = time.perf_counter()
    for facts, now in prepared:
        state = advance.start(program, "R", facts, now)
        while state.status == "active" and state.wake_at is not None:
            state = advance.advance(program, state, facts, max(now, state.wake_at)).state
    return len(prepared) / (time.perf_counter() - began)


def _facts(number: int, now: datetime) -> tuple[dict[str, Any], datetime]:
    arrival = (now + timedelta(days=8 + number % 13)).date()
    booking = {"reference": "R", "nights": 2, "arrival": arrival, "channel": "direct" if number % 2 else "agency"}
    event = {"type": "booking.confirmed", "occurred_at": now}
    place = {"zone": "Europe/Rome", "currency": "EUR"}
    return {"booking": booking, "contact": {"id": number}, "property": place, "event": event}, now


def main(lines: Sequence[Measured] = ()) -> None:
    """This benchmark alone."""
    with ground(journey_2000.TEMPLATE, journey_2000.WORKFLOW) as here:
        print(table([*lines, measure(here)]))


if __name__ == "__main__":
    main()
