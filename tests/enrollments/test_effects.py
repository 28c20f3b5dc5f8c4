"""What steps bring about besides mail: events, other workflows, calls and tasks; and what keeps it within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text

from app.db import Database
from app.enrollments import advance, catalogue, effects, enrol, pauses, tasks
from app.enrollments.models import Call, Enrollment, EntryRefusal, StepVisit, Task
from app.events.models import Event
from tests.hotel import Hotel


def workflow(name: str, entry: str, steps: str, more: str = "key: booking.reference") -> str:
    return (
        f"workflow: {name}\nname: {{ en: {name}, it: {name} }}\nphase: retention\nclass: transactional\n"
        f"entry:\n{entry}\n{more}\nsteps:\n{steps}\n"
    )


def publish(hotel: Hotel, *sources: str) -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        for source in sources:
            catalogue.publish(session, source, by="test", now=hotel.clock.now())


def enter(hotel: Hotel, reference: str = "RS-1") -> None:
    hotel.report(
        "booking.confirmed", booking={"reference": reference, "arrival": "2026-06-01", "departure": "2026-06-03"}
    )
    hotel.work()


def passages(hotel: Hotel, name: str) -> list[Enrollment]:
    query = text("SELECT id FROM workflows WHERE name = :name")
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        workflow_id = session.scalar(query, {"name": name})
        found = select(Enrollment).where(Enrollment.workflow_id == workflow_id).order_by(Enrollment.id)
        return list(session.scalars(found))


def events(hotel: Hotel, type_: str) -> list[Event]:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return list(session.scalars(select(Event).where(Event.type == type_).order_by(Event.id)))


def codes(hotel: Hotel, row: Enrollment) -> list[str]:
    query = select(StepVisit.code).where(StepVisit.enrollment_id == row.id).order_by(StepVisit.id)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return list(session.scalars(query))


BOOKED = "  - on: booking.confirmed"
NOTE = "  - id: note\n    set: { enrollment.fields.seen: true }"
PARENT = workflow(
    "parent",
    BOOKED,
    "  - id: ask\n    start: { workflow: child, await: true, up_to: 3 days }\n"
    "    then:\n      - id: went\n        set: { enrollment.fields.how: went }\n"
    "    timeout:\n      - id: late\n        set: { enrollment.fields.how: late }\n",
)


def child(steps: str, more: str = "key: booking.reference") -> str:
    return workflow("child", "  - on: api", steps, more)


# -- emit ------------------------------------------------------------------------------------------------------------


def test_an_emitted_event_is_about_the_same_booking_and_starts_and_wakes_others(hotel: Hotel) -> None:
    publish(
        hotel,
        workflow(
            "teller",
            BOOKED,
            "  - id: pause\n    wait: { for: 1 hour }\n"
            "  - id: tell\n    emit: { type: custom.vip_arrives, data: { level: 3, who: { from: contact.email } } }",
        ),
        workflow("starter", "  - on: custom.vip_arrives\n    if: event.level >= 3", NOTE),
        workflow(
            "waiter",
            BOOKED,
            "  - id: hear\n    wait_for: { on: custom.vip_arrives, up_to: 2 days }\n"
            "    then:\n      - id: heard\n        set: { enrollment.fields.seen: true }\n",
        ),
    )
    enter(hotel)
    enter(hotel, "RS-2")
    hotel.after(timedelta(hours=2))
    first, second = events(hotel, "custom.vip_arrives")
    assert (first.booking_reference, second.booking_reference) == ("RS-1", "RS-2")
    assert first.data["level"] == 3
    assert first.data["who"] == "giulia@example.com"
    assert first.data["caused_by"]["step"] == "tell"
    assert [row.key for row in passages(hotel, "starter")] == ["RS-1", "RS-2"]
    assert [(row.status, row.state["fields"]) for row in passages(hotel, "waiter")] == [
        ("finished", {"seen": True})
    ] * 2


def test_workflows_that_start_each_other_are_stopped_with_the_reason_where_it_can_be_seen(hotel: Hotel) -> None:
    again = "key: booking.reference\nreenter: always"
    publish(
        hotel,
        workflow("ping", BOOKED + "\n  - on: custom.pong", "  - id: out\n    emit: custom.ping", again),
        workflow("pong", "  - on: custom.ping", "  - id: back\n    emit: custom.pong", again),
    )
    enter(hotel)
    hotel.after(timedelta(hours=1))
    assert len(events(hotel, "custom.ping")) + len(events(hotel, "custom.pong")) == effects.DEEPEST
    last = (passages(hotel, "ping") + passages(hotel, "pong"))[-1]
    everything = [code for row in passages(hotel, "ping") + passages(hotel, "pong") for code in codes(hotel, row)]
    assert everything.count("too_deep") == 1
    assert last.status == "finished"


# -- start and stop --------------------------------------------------------------------------------------------------


def test_an_awaited_workflow_runs_for_the_same_key_and_its_end_lets_the_other_go_on(hotel: Hotel) -> None:
    publish(hotel, child("  - id: pause\n    wait: { for: 5 hours }\n" + NOTE), PARENT)
    enter(hotel)
    (inside,) = passages(hotel, "child")
    assert (inside.key, inside.status) == ("RS-1", "active")
    assert passages(hotel, "parent")[0].status == "active"
    hotel.after(timedelta(hours=6))
    (parent,) = passages(hotel, "parent")
    assert (parent.status, parent.state["fields"]["how"]) == ("finished", "went")
    (told,) = events(hotel, "workflow.ended")
    assert (told.data["workflow"], told.data["status"], told.data["enrollment"]) == ("child", "finished", inside.id)


def test_an_awaited_workflow_that_does_not_end_in_time_is_timed_out(hotel: Hotel) -> None:
    publish(hotel, child("  - id: pause\n    wait: { for: 30 days }"), PARENT)
    enter(hotel)
    hotel.after(timedelta(days=4))
    (parent,) = passages(hotel, "parent")
    assert (parent.status, parent.state["fields"]["how"]) == ("finished", "late")


@pytest.mark.parametrize(
    ("source", "status"),
    [
        (
            child(NOTE, "key: booking.reference").replace("  - on: api", "  - on: api\n    if: booking.nights > 9"),
            "refused",
        ),
        (None, "refused"),
    ],
)
def test_who_awaits_a_workflow_that_cannot_start_is_told_at_once(hotel: Hotel, source: str | None, status: str) -> None:
    publish(hotel, *([source] if source else []), PARENT)
    enter(hotel)
    (told,) = events(hotel, "workflow.ended")
    assert told.data["status"] == status
    assert passages(hotel, "parent")[0].status == "finished", "nobody waits three days for what never began"


def test_an_exit_of_the_awaited_one_is_an_end_too(hotel: Hotel) -> None:
    publish(
        hotel,
        child(
            "  - id: pause\n    wait: { for: 2 days }",
            "key: booking.reference\nexit:\n  - on: page.viewed\n    of: contact",
        ),
        PARENT,
    )
    enter(hotel)
    hotel.report("page.viewed", data={"url": "https://www.example.com"})
    hotel.work()
    (told,) = events(hotel, "workflow.ended")
    assert told.data["status"] == "exited"
    assert passages(hotel, "parent")[0].state["fields"]["how"] == "went"


def test_an_awaited_workflow_that_is_archived_with_the_people_in_it_is_an_end_too(hotel: Hotel) -> None:
    publish(hotel, child("  - id: pause\n    wait: { for: 30 days }"), PARENT)
    enter(hotel)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        pauses.archive(session, "child", hotel.clock.now(), by="test", inside="exit")
    hotel.after(timedelta(days=1))
    (told,) = events(hotel, "workflow.ended")
    assert (told.data["status"], told.data["reason"]) == ("exited", "archived")
    assert passages(hotel, "parent")[0].state["fields"]["how"] == "went"


def test_stop_ends_the_passage_of_this_key_and_what_it_had_planned(hotel: Hotel) -> None:
    publish(
        hotel,
        workflow("long", BOOKED, "  - id: pause\n    wait: { for: 9 days }\n" + NOTE),
        workflow(
            "stopper",
            "  - on: booking.checked_in",
            "  - id: halt\n    stop: { workflow: long, reason: arrived, of: key }",
        ),
    )
    enter(hotel, "RS-1")
    enter(hotel, "RS-2")
    hotel.report("booking.checked_in", booking={"reference": "RS-1"})
    hotel.work()
    ended, other = passages(hotel, "long")
    assert (ended.status, ended.end_reason) == ("exited", "arrived")
    assert other.status == "active"


# -- calls and tasks -------------------------------------------------------------------------------------------------


def test_a_webhook_step_leaves_a_call_that_says_who_and_what_and_no_more(hotel: Hotel) -> None:
    publish(
        hotel,
        workflow(
            "caller", BOOKED, "  - id: tell\n    webhook: { endpoint: pms, data: { nights: { from: booking.nights } } }"
        ),
    )
    enter(hotel)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        (call,) = session.scalars(select(Call)).all()
    assert call.payload["contact"]["external_id"] == "giulia"
    assert call.payload["data"] == {"nights": 2}
    assert "giulia@example.com" not in str(call.payload)
    assert (call.state, call.tries[0]["outcome"]) == ("failed", "stopped"), "nobody has set up an endpoint"


def test_a_task_step_leaves_a_task_and_a_step_taken_twice_leaves_one(hotel: Hotel) -> None:
    publish(
        hotel,
        workflow(
            "helper",
            BOOKED,
            "  - id: desk\n    task:\n      to: front_desk\n      text: { en: Call the guest, it: Chiamare l'ospite }\n"
            "      due_within: 2 days",
        ),
    )
    enter(hotel)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        (task,) = session.scalars(select(Task)).all()
        assert task.team == "front_desk"
        assert task.what["it"] == "Chiamare l'ospite"
        assert task.due_at == hotel.clock.now() + timedelta(days=2)
        done = effects.Done(hotel.clock.now())
        done.tasks.append(
            tasks.Wanted(
                task.contact_id, task.enrollment_id, task.workflow_id, "desk", 1, None, None, "front_desk", {}, None
            )
        )
        done.write(session)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert len(session.scalars(select(Task)).all()) == 1


# -- limits ----------------------------------------------------------------------------------------------------------


def test_limits_end_a_passage_or_keep_it_out_with_the_reason(hotel: Hotel) -> None:
    publish(
        hotel,
        workflow("few", BOOKED, NOTE, "key: booking.reference\nlimits: { max_entries: 1 }"),
        workflow(
            "short",
            BOOKED,
            "  - id: forever\n    wait_for: { on: page.viewed, up_to: 400 days }",
            "key: booking.reference\nlimits: { max_duration: 3 days }",
        ),
        workflow(
            "steps",
            BOOKED,
            "  - id: round\n    repeat: { max: 50, every: 1 day, steps: [ { id: turn, emit: custom.turn } ] }",
            "key: booking.reference\nlimits: { max_steps: 7 }",
        ),
    )
    enter(hotel, "RS-1")
    enter(hotel, "RS-2")
    hotel.after(timedelta(days=20))
    assert [row.key for row in passages(hotel, "few")] == ["RS-1"]
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert "full" in session.scalars(select(EntryRefusal.code)).all()
    short = passages(hotel, "short")[0]
    assert (short.status, short.end_reason) == ("exited", "too_long")
    assert short.ended_at == short.entered_at + timedelta(days=3)
    assert passages(hotel, "steps")[0].end_reason == "too_many_steps"


# -- cost and locks --------------------------------------------------------------------------------------------------


@contextmanager
def counted(hotel: Hotel) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "set_config" not in statement:
            statements.append(statement)

    event.listen(hotel.house.database.engine, "before_cursor_execute", note)
    yield statements
    event.remove(hotel.house.database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("number", [1, 25])
def test_all_effects_of_a_batch_cost_the_same_few_queries(hotel: Hotel, number: int) -> None:
    publish(
        hotel,
        child(NOTE),
        workflow(
            "busy",
            BOOKED,
            "  - id: e\n    emit: custom.seen\n  - id: w\n    webhook: pms\n"
            "  - id: t\n    task: { to: desk, text: { en: Look, it: Guarda } }\n  - id: c\n    start: child\n"
            "  - id: s\n    set: { contact.attributes.busy: true }",
        ),
    )
    for one in range(number):
        hotel.report(
            "booking.confirmed",
            contact={"external_id": f"g-{one}"},
            booking={"reference": f"B-{one}", "arrival": "2026-06-01", "departure": "2026-06-03"},
        )
    now = hotel.clock.now()
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        enrol.run(session, now, 500)
    with counted(hotel) as statements, hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert advance.run(session, now, 500).done
    assert len(statements) <= advance.QUERIES, "\n".join(statements)
    with counted(hotel) as statements, hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert enrol.run(session, now, 500).done
    assert len(statements) <= enrol.QUERIES, "\n".join(statements)


def test_a_step_that_writes_a_contact_never_waits_for_a_recording_that_waits_for_its_passage(hotel: Hotel) -> None:
    publish(hotel, workflow("writer", BOOKED, "  - id: mark\n    set: { contact.attributes.greeted: true }"))
    hotel.report("booking.confirmed", booking={"reference": "RS-1", "arrival": "2026-06-01", "departure": "2026-06-03"})
    now, workspace = hotel.clock.now(), hotel.loaded.workspace_id
    with hotel.house.database.work(workspace) as session:
        enrol.run(session, now, 500)
    other = Database(hotel.house.settings.database_url)
    with other.work(workspace) as recording:
        # As recording does it: first the contact, then, where a booking moved, its passages.
        recording.execute(text("SELECT id FROM contacts FOR NO KEY UPDATE"))
        with hotel.house.database.work(workspace) as session:
            session.execute(text("SET LOCAL lock_timeout = '2s'"))
            advance.run(session, now, 500)
        recording.execute(text("SET LOCAL lock_timeout = '2s'"))
        recording.execute(text("SELECT id FROM enrollments ORDER BY id FOR UPDATE"))
        assert recording.scalar(text("SELECT attributes ->> 'greeted' FROM contacts")) is None
    other.close()
    hotel.work()
    with hotel.house.database.work(workspace) as session:
        assert session.scalar(text("SELECT attributes ->> 'greeted' FROM contacts")) == "true"
    assert passages(hotel, "writer")[0].status == "finished"
