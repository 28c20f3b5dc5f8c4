"""Enrol and advance: fixed numbers of queries, poison that steps aside, pauses without a burst, versions that stay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError

from app.enrollments import advance, catalogue, enrol, pauses
from app.enrollments.models import EntryRefusal, StepVisit, Workflow, WorkflowVersion
from app.events.models import EventWork
from app.journey.language import LanguageError
from tests.hotel import Hotel

GREETING = """
workflow: greeting
name: { en: Greeting, it: Saluto }
phase: retention
class: transactional
entry:
  - on: booking.confirmed
key: booking.reference
steps:
  - id: pause
    wait: { for: 1 hour }
  - id: note
    set: { contact.attributes.greeted: true }
  - id: hello
    send: in-stay-welcome
"""


def booked(number: int) -> dict[str, Any]:
    return {
        "id": f"b-{number}",
        "type": "booking.confirmed",
        "occurred_at": "2026-03-10T09:00:00Z",
        "contact": {"external_id": f"g-{number}", "email": f"g{number}@example.com"},
        "data": {
            "booking": {"reference": f"B-{number}", "arrival": "2026-06-01", "departure": "2026-06-03", "adults": 2}
        },
    }


@contextmanager
def counted(hotel: Hotel) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "set_config" not in statement:
            statements.append(statement)

    event.listen(hotel.house.database.engine, "before_cursor_execute", note)
    yield statements
    event.remove(hotel.house.database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("number", [1, 40])
def test_a_batch_of_any_size_costs_the_same_few_queries(hotel: Hotel, number: int) -> None:
    hotel.post([booked(n) for n in range(number)])
    now = hotel.clock.now()
    with counted(hotel) as statements, hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert enrol.run(session, now, 500).done == number
    assert len(statements) <= enrol.QUERIES, "\n".join(statements)
    # The first steps are taken by then; the wait for the week before arrival is over for everybody at once.
    week_before = max(row.wake_at for row in hotel.enrollments() if row.wake_at)
    with counted(hotel) as statements, hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert advance.run(session, week_before, 500).done == number
    assert len(statements) <= advance.QUERIES, "\n".join(statements)


def test_what_did_not_start_a_workflow_is_kept_with_its_reason(hotel: Hotel) -> None:
    day_use = booked(1)
    day_use["data"]["booking"]["departure"] = "2026-06-01"
    hotel.post([day_use])
    hotel.work()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        refusal = session.scalars(select(EntryRefusal)).one()
    assert refusal.code == "condition_false"
    assert "nights is at least 1 — it was 0" in refusal.detail["sentence"]["en"], "it says what was and what was wanted"


def test_a_poisoned_passage_steps_aside_with_its_error_and_the_others_go_on(hotel: Hotel) -> None:
    hotel.post([booked(1), booked(2)])
    hotel.work()
    due = max(row.wake_at for row in hotel.enrollments() if row.wake_at)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        session.execute(text("UPDATE enrollments SET state = '{\"status\": 7}' WHERE key = 'B-1'"))
    hotel.until(due)
    damaged, whole = hotel.enrollments()
    assert damaged.attempts == 1
    assert damaged.error
    assert damaged.wake_at == due + timedelta(hours=1)
    assert whole.error is None
    assert whole.wake_at
    assert whole.wake_at > due, "the other has taken its step"


def test_a_poisoned_event_steps_aside_and_the_others_go_on(hotel: Hotel) -> None:
    hotel.post([booked(1), booked(2)])
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        session.execute(text("UPDATE events SET data = '[]' WHERE event_id = 'b-1'"))
    hotel.work()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        (aside,) = session.scalars(select(EventWork)).all()
    assert aside.attempts == 1
    assert aside.error
    assert aside.not_before == hotel.clock.now() + timedelta(hours=1)
    assert [row.key for row in hotel.enrollments()] == ["B-2"]


def test_a_set_step_writes_the_contact(hotel: Hotel) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        catalogue.publish(session, GREETING, by="test", now=hotel.clock.now())
    hotel.post([booked(1)])
    hotel.after(timedelta(hours=2))
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert session.scalar(text("SELECT attributes ->> 'greeted' FROM contacts")) == "true"


def test_a_paused_workflow_holds_everything_and_resumed_sends_no_burst(hotel: Hotel) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        catalogue.publish(session, GREETING, by="test", now=hotel.clock.now())
    hotel.post([booked(1)])
    hotel.work()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        pauses.pause(session, "greeting", hotel.clock.now())
    hotel.post([booked(2)])
    hotel.after(timedelta(days=3))
    assert hotel.messages(template="in-stay-welcome") == [], "nobody takes a step while it is paused"
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        pauses.resume(session, "greeting", hotel.clock.now())
    hotel.work()
    (late,) = hotel.messages(template="in-stay-welcome")
    assert (late.state, late.rule) == ("refused", "R59"), "three days late is too late for a greeting"
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        codes = session.scalars(select(EntryRefusal.code).join(Workflow, Workflow.id == EntryRefusal.workflow_id)).all()
    assert "paused" in codes


def test_publishing_the_same_again_changes_nothing_and_a_change_makes_a_version(hotel: Hotel) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        first = catalogue.publish(session, GREETING, by="test", now=hotel.clock.now())
        again = catalogue.publish(session, GREETING, by="test", now=hotel.clock.now())
        other = GREETING.replace("1 hour", "2 hours")
        second = catalogue.publish(session, other, by="test", now=hotel.clock.now())
    assert (first.number, first.changed) == (1, True)
    assert (again.number, again.changed) == (1, False)
    assert (second.number, second.changed) == (2, True)


def test_who_is_inside_stays_on_the_version_they_entered_with(hotel: Hotel) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        catalogue.publish(session, GREETING, by="test", now=hotel.clock.now())
    hotel.post([booked(1)])
    hotel.work()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        other = GREETING.replace("1 hour", "2 days")
        catalogue.publish(session, other, by="test", now=hotel.clock.now())
    hotel.after(timedelta(hours=2))
    assert [row.state for row in hotel.messages(template="in-stay-welcome")] == ["accepted"]


def test_a_document_with_a_mistake_publishes_nothing(hotel: Hotel) -> None:
    wrong = GREETING.replace("in-stay-welcome", "in-stay-welcom")
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        with pytest.raises(LanguageError) as refused:
            catalogue.publish(session, wrong, by="test", now=hotel.clock.now(), file="greeting.yaml")
        assert session.scalar(select(Workflow).where(Workflow.name == "greeting")) is None
    (problem,) = refused.value.problems
    assert (problem.file, problem.line) == ("greeting.yaml", 15)
    assert "in-stay-welcome" in problem.cure, "the nearest right name is offered"


def test_a_published_version_cannot_be_changed_or_deleted(hotel: Hotel) -> None:
    for statement in ("UPDATE workflow_versions SET note = 'x'", "DELETE FROM workflow_versions"):
        with (
            pytest.raises(DBAPIError, match="append-only"),
            hotel.house.database.work(hotel.loaded.workspace_id) as session,
        ):
            session.execute(text(statement))
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert len(session.scalars(select(WorkflowVersion)).all()) == 5


def test_every_step_taken_is_kept_in_order(hotel: Hotel) -> None:
    hotel.post([booked(1)])
    hotel.after(timedelta(hours=1))
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        visits = session.execute(select(StepVisit.step_id, StepVisit.code).order_by(StepVisit.id)).all()
    assert [tuple(visit) for visit in visits][:4] == [
        ("", "entered"),
        ("news", "branch"),
        ("confirm", "send"),
        ("settle", "waiting"),
    ]
