"""A new version and the people inside: pinned, following or mapped; in batches, once each, whatever is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, text

from app.enrollments import catalogue, versions
from app.enrollments.models import StepVisit, WorkflowMove, WorkflowVersion
from app.journey.language import LanguageError
from tests.hotel import Hotel

CARE = """
workflow: care
name: { en: Care, it: Cura }
phase: retention
class: transactional
entry:
  - on: booking.confirmed
key: booking.reference
steps:
  - id: hello
    send: in-stay-welcome
  - id: pause
    wait: { for: 5 days }
  - id: again
    send: pre-arrival-direct
    latest: 1 day
"""
SOONER = CARE.replace("5 days", "3 days")
RENAMED = CARE.replace("id: pause", "id: rest")


def booked(number: int) -> dict[str, Any]:
    return {
        "id": f"b-{number}",
        "type": "booking.confirmed",
        "occurred_at": "2026-03-10T09:00:00Z",
        "contact": {"external_id": f"g-{number}", "email": f"g{number}@example.com"},
        "data": {"booking": {"reference": f"B-{number}", "arrival": "2026-06-01", "departure": "2026-06-03"}},
    }


def publish(hotel: Hotel, source: str, **more: Any) -> catalogue.Published:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return catalogue.publish(session, source, by="Marta", now=hotel.clock.now(), **more)


def inside(hotel: Hotel) -> dict[int, int]:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        found = publish_id(hotel)
        return versions.by_version(session, found)


def publish_id(hotel: Hotel) -> int:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return int(session.scalar(text("SELECT id FROM workflows WHERE name = 'care'")) or 0)


def care(hotel: Hotel, template: str = "pre-arrival-direct") -> list[Any]:
    return [row for row in hotel.messages(template=template) if row.workflow_id == publish_id(hotel)]


def move(hotel: Hotel) -> WorkflowMove:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return session.scalars(select(WorkflowMove).order_by(WorkflowMove.id.desc())).first()  # type: ignore[return-value]


@pytest.fixture
def three(hotel: Hotel) -> Hotel:
    """Three people in version 1, waiting."""
    publish(hotel, CARE)
    hotel.post([booked(number) for number in range(3)])
    hotel.work()
    return hotel


def test_pinned_people_finish_on_the_version_they_entered_with(three: Hotel) -> None:
    done = publish(three, SOONER)
    assert done.inside is not None
    assert (done.inside.people, done.inside.count("stays")) == (3, 3)
    three.post([booked(7)])
    three.after(timedelta(days=4))
    assert len(care(three)) == 1, "only who entered on the new version has waited long enough"
    assert inside(three) == {1: 3}


def test_followers_go_on_at_the_same_step_of_the_new_version(three: Hotel) -> None:
    three.after(timedelta(days=1))
    done = publish(three, SOONER, on_inside="follow")
    assert done.inside is not None
    assert [(step.id, step.people, step.fate) for step in done.inside.steps] == [("pause", 3, "goes_on")]
    three.after(timedelta(days=2))
    assert inside(three) == {}, "three days after they entered, all came to the end of version 2"
    assert len(care(three)) == 3
    assert len(care(three, "in-stay-welcome")) == 3, "what they had before is not said again"
    found = move(three)
    assert (found.moved, found.ended, found.stayed) == (3, 0, 0)
    with three.house.database.work(three.loaded.workspace_id) as session:
        told = session.scalars(select(StepVisit.detail).where(StepVisit.code == "carried")).all()
    assert {each["sentence"]["en"] for each in told} == {"goes on in version 2"}


def test_who_has_no_place_in_the_new_version_stays_pinned_and_is_counted_beforehand(three: Hotel) -> None:
    done = publish(three, RENAMED, on_inside="follow")
    assert done.inside is not None
    assert [(step.id, step.people) for step in done.inside.homeless] == [("pause", 3)]
    three.work()
    assert inside(three) == {1: 3}
    assert move(three).stayed == 3
    three.after(timedelta(days=5))
    assert len(care(three)) == 3, "they finish where they were"


def test_mapped_people_go_on_under_the_new_name_in_the_middle_of_their_wait(three: Hotel) -> None:
    three.after(timedelta(days=1))
    done = publish(three, RENAMED, on_inside="map", mapping={"pause": "rest"})
    assert done.inside is not None
    assert [(step.fate, step.target) for step in done.inside.steps] == [("moves", "rest")]
    three.work()
    assert inside(three) == {2: 3}
    assert {row.wake_at for row in three.enrollments() if row.workflow_id == publish_id(three)} == {
        three.clock.now() + timedelta(days=4)
    }


def test_people_mapped_to_the_way_out_leave_with_what_was_planned_for_them(three: Hotel) -> None:
    three.post([booked(9)])
    publish(three, RENAMED, on_inside="map", mapping={"pause": None})
    three.work()
    rows = [row for row in three.enrollments() if row.workflow_id == publish_id(three)]
    assert [(row.status, row.end_reason) for row in rows[:3]] == [("exited", "version_changed")] * 3
    assert rows[3].status == "active", "who entered on the new version is none of those inside"
    three.after(timedelta(days=6))
    assert len(care(three)) == 1


def test_a_mapping_to_a_step_that_is_not_there_publishes_nothing(three: Hotel) -> None:
    with pytest.raises(versions.MappingError, match=r"'nowhere'.*rest"):
        publish(three, RENAMED, on_inside="map", mapping={"pause": "nowhere"})
    assert publish(three, SOONER).number == 2, "no number was used up"


def test_finished_people_are_never_run_again(three: Hotel) -> None:
    three.after(timedelta(days=6))
    before = [(row.id, row.version_id, row.status, row.ended_at) for row in three.enrollments()]
    more = CARE + "  - id: last\n    send: in-stay-welcome\n"
    publish(three, more, on_inside="follow")
    three.after(timedelta(days=30))
    care_id = publish_id(three)
    after = [(row.id, row.version_id, row.status, row.ended_at) for row in three.enrollments()]
    ids = {row.id for row in three.enrollments() if row.workflow_id == care_id}
    assert [row for row in after if row[0] in ids] == [row for row in before if row[0] in ids]
    assert len(care(three, "in-stay-welcome")) == 3


@contextmanager
def counted(hotel: Hotel) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "set_config" not in statement:
            statements.append(statement)

    event.listen(hotel.house.database.engine, "before_cursor_execute", note)
    yield statements
    event.remove(hotel.house.database.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("people", [1, 40])
def test_a_batch_of_any_size_costs_the_same_few_queries(hotel: Hotel, people: int) -> None:
    publish(hotel, CARE)
    hotel.post([booked(number) for number in range(people)])
    hotel.work()
    publish(hotel, RENAMED, on_inside="map", mapping={"pause": "rest"})
    with counted(hotel) as statements, hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert versions.run(session, hotel.clock.now(), 500).done == people
    assert len(statements) <= versions.QUERIES, "\n".join(statements)
    assert inside(hotel) == {2: people}


def test_killed_between_batches_it_goes_on_where_it_was_and_moves_nobody_twice(hotel: Hotel) -> None:
    publish(hotel, CARE)
    hotel.post([booked(number) for number in range(7)])
    hotel.work()
    publish(hotel, SOONER, on_inside="follow")
    now, workspace_id = hotel.clock.now(), hotel.loaded.workspace_id
    with hotel.house.database.work(workspace_id) as session:
        assert versions.run(session, now, 3).more
    with pytest.raises(KeyboardInterrupt), hotel.house.database.work(workspace_id) as session:  # noqa: PT012
        versions.run(session, now, 3)
        raise KeyboardInterrupt
    assert inside(hotel) == {1: 4, 2: 3}, "the batch that was killed is as if it had not begun"
    hotel.work()
    assert inside(hotel) == {2: 7}
    assert move(hotel).moved == 7
    with hotel.house.database.work(workspace_id) as session:
        carried = session.scalars(select(StepVisit.enrollment_id).where(StepVisit.code == "carried")).all()
    assert len(carried) == len(set(carried)) == 7


def test_a_passage_that_cannot_be_read_stays_and_the_others_go_over(three: Hotel) -> None:
    with three.house.database.work(three.loaded.workspace_id) as session:
        session.execute(
            text("UPDATE enrollments SET state = '{\"status\": 7}' WHERE key = 'B-1' AND workflow_id = :care"),
            {"care": publish_id(three)},
        )
    publish(three, SOONER, on_inside="follow")
    three.work()
    assert inside(three) == {1: 1, 2: 2}
    assert (move(three).moved, move(three).stayed) == (2, 1)


def test_rolling_back_publishes_the_old_source_as_a_new_version(three: Hotel) -> None:
    publish(three, SOONER)
    with three.house.database.work(three.loaded.workspace_id) as session:
        done = catalogue.rollback(
            session, "care", 1, by="Marta", now=three.clock.now(), on_inside="follow", note="It was better"
        )
        version = session.scalars(
            select(WorkflowVersion).where(WorkflowVersion.workflow_id == publish_id(three)).order_by(WorkflowVersion.id)
        ).all()[-1]
    assert (done.number, version.source, version.note) == (3, CARE, "It was better")
    three.work()
    assert inside(three) == {3: 3}
    with (
        three.house.database.work(three.loaded.workspace_id) as session,
        pytest.raises(catalogue.UnknownWorkflowError, match="no version 9"),
    ):
        catalogue.rollback(session, "care", 9, by="Marta", now=three.clock.now())


def test_a_copy_is_a_draft_under_a_new_name_that_can_be_published(three: Hotel) -> None:
    with three.house.database.work(three.loaded.workspace_id) as session:
        copy = catalogue.duplicate(session, "care", "care-2", three.clock.now())
        assert (copy.status, copy.live_version_id) == ("draft", None)
        assert catalogue.publish(session, copy.draft or "", by="Marta", now=three.clock.now()).name == "care-2"
        for taken in ("care", "Not a name"):
            with pytest.raises(catalogue.NameTakenError):
                catalogue.duplicate(session, "care-2", taken, three.clock.now())


def test_a_draft_may_be_wrong_and_is_told_where_only_when_it_is_published(three: Hotel) -> None:
    wrong = CARE.replace("wait:", "wate:")
    with three.house.database.work(three.loaded.workspace_id) as session:
        catalogue.keep_draft(session, "care", wrong, three.clock.now())
    with three.house.database.work(three.loaded.workspace_id) as session:
        row = catalogue.named(session, "care")
        assert catalogue.source_of(session, row) == wrong
        with pytest.raises(LanguageError):
            catalogue.publish(session, wrong, by="Marta", now=three.clock.now())
        catalogue.keep_draft(session, "care", CARE, three.clock.now())
        assert row.draft is None, "what says the same as the live version is no draft"
