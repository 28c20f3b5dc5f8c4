"""Workflows that hold people out and divide them, and people to go through them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from app.enrollments import catalogue
from app.enrollments.models import Enrollment, Experiment, Workflow
from tests.hotel import Hotel

WINBACK = """
workflow: winback
name: { en: Win back, it: Riconquista }
phase: consideration
class: marketing
goal: { on: booking.confirmed, within: 14 days, value: event.booking.amount }
holdout: 40
entry:
  - on: booking.abandoned
reenter: always
steps:
  - id: offer
    send: room-upgrade
    topic: offers
"""
DIVIDED = """
workflow: divided
name: { en: Divided, it: Diviso }
phase: consideration
class: transactional
goal: { on: booking.confirmed, within: 14 days, value: event.booking.amount }
entry:
  - on: booking.abandoned
reenter: always
steps:
  - id: tone
    split:
      - { variant: warm, weight: 50, steps: [ { id: warm-word, set: { contact.attributes.tone: warm } } ] }
      - { variant: brief, weight: 50, steps: [ { id: brief-word, set: { contact.attributes.tone: brief } } ] }
    winner: { by: goal, after: 3 days, min_sample: 20, confidence: 0.95 }
  - id: pause
    wait: 1 hour
"""
STAY: dict[str, Any] = {"arrival": "2026-06-01", "departure": "2026-06-03", "adults": 2}


def publish(hotel: Hotel, *sources: str) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        for source in sources:
            catalogue.publish(session, source, by="test", now=hotel.clock.now())


def event(hotel: Hotel, type_: str, who: int, reference: str, late: timedelta = timedelta(), **more: Any) -> Any:
    return {
        "id": f"{type_}-{reference}-{who}-{more.pop('mark', 0)}",
        "type": type_,
        "occurred_at": (hotel.clock.now() - late).isoformat(),
        "contact": {"external_id": f"g-{who}", "email": f"g{who}@example.com"},
        "data": {"booking": {"reference": reference, **more}},
    }


def left(hotel: Hotel, count: int, first: int = 1) -> None:
    """So many people leave their cart."""
    hotel.post([event(hotel, "booking.abandoned", who, f"CART-{who}", **STAY) for who in range(first, first + count)])
    hotel.work()


def booked(hotel: Hotel, people: list[int], amount: int = 30_000, late: timedelta = timedelta()) -> None:
    hotel.post([event(hotel, "booking.confirmed", who, f"B-{who}", late, amount=amount, **STAY) for who in people])
    hotel.work()


def passages(hotel: Hotel, name: str) -> list[Enrollment]:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return list(
            session.scalars(
                select(Enrollment)
                .join(Workflow, Workflow.id == Enrollment.workflow_id)
                .where(Workflow.name == name)
                .order_by(Enrollment.id)
            )
        )


def the_experiment(hotel: Hotel) -> Experiment:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return session.scalars(select(Experiment).order_by(Experiment.id.desc())).first()  # type: ignore[return-value]


def workflow(session: Any, name: str = "divided") -> Workflow:
    row: Workflow = session.scalars(select(Workflow).where(Workflow.name == name)).one()
    return row
