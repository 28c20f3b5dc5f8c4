"""At rest: a rule for what came due in a pause, a preview that is true, an archive that can be taken back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.enrollments import catalogue, pauses
from tests.enrollments.test_versions import CARE, booked, care, publish, publish_id
from tests.hotel import Hotel

DATED = """
workflow: care
name: { en: Care, it: Cura }
phase: retention
class: transactional
entry:
  - on: booking.confirmed
key: booking.reference
steps:
  - id: near
    wait: { until: booking.arrival, offset: -80 days, late: skip_next }
  - id: tip
    send: pre-arrival-direct
    latest: 60 days
  - id: soon
    wait: { for: 1 hour }
  - id: hello
    send: in-stay-welcome
    latest: 60 days
"""


def pause(hotel: Hotel, rule: Any = "late_rules") -> None:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        pauses.pause(session, "care", hotel.clock.now(), rule)


def resume(hotel: Hotel, rule: Any = None) -> pauses.Resumed:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        told = pauses.preview(session, catalogue.named(session, "care"), hotel.clock.now(), rule)
        pauses.resume(session, "care", hotel.clock.now(), rule)
    hotel.work()
    return told


def waiting(hotel: Hotel, source: str, people: int = 3) -> None:
    publish(hotel, source)
    hotel.post([booked(number) for number in range(people)])
    hotel.work()


def outcomes(hotel: Hotel, template: str) -> list[str]:
    return [row.state for row in care(hotel, template)]


def test_after_a_long_pause_what_is_stale_is_dropped_and_the_preview_said_so(hotel: Hotel) -> None:
    waiting(hotel, CARE)
    pause(hotel)
    hotel.after(timedelta(days=9))
    assert outcomes(hotel, "pre-arrival-direct") == []
    told = resume(hotel)
    assert (told.overdue, told.goes_out, told.too_late, told.exact) == (3, 0, 3, True)
    assert outcomes(hotel, "pre-arrival-direct") == ["refused"] * 3, "four days late, and good for one"


def test_after_a_short_pause_it_goes_on_and_the_preview_said_how_many(hotel: Hotel) -> None:
    waiting(hotel, CARE)
    hotel.after(timedelta(days=4, hours=23))
    pause(hotel)
    hotel.after(timedelta(hours=5))
    told = resume(hotel)
    assert (told.goes_out, told.too_late) == (3, 0)
    assert outcomes(hotel, "pre-arrival-direct") == ["accepted"] * 3


@pytest.mark.parametrize(
    ("rule", "tips", "left"),
    [("late_rules", 0, 0), ("skip_next", 0, 0), ("exit", 0, 3)],
)
def test_dated_waits_that_came_due_in_a_pause_follow_its_rule(hotel: Hotel, rule: str, tips: int, left: int) -> None:
    waiting(hotel, DATED)
    pause(hotel, rule)
    hotel.after(timedelta(days=10))
    told = resume(hotel)
    assert told.leaves == left
    assert len(care(hotel, "pre-arrival-direct")) == tips
    rows = [row for row in hotel.enrollments() if row.workflow_id == publish_id(hotel)]
    assert [row.end_reason for row in rows].count("paused") == left
    hotel.after(timedelta(hours=2))
    assert len(care(hotel, "in-stay-welcome")) == 3 - left


def test_the_rule_can_be_changed_when_it_is_resumed(hotel: Hotel) -> None:
    waiting(hotel, DATED)
    pause(hotel, "exit")
    hotel.after(timedelta(days=10))
    resume(hotel, "late_rules")
    hotel.after(timedelta(hours=2))
    assert len(care(hotel, "in-stay-welcome")) == 3


def test_a_pause_taken_back_at_once_changes_nothing(hotel: Hotel) -> None:
    publish(hotel, CARE)
    hotel.post([booked(1)])
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        from_here = hotel.clock.now()
        pauses.pause(session, "care", from_here, "exit")
        pauses.resume(session, "care", from_here)
    hotel.after(timedelta(days=5))
    assert outcomes(hotel, "pre-arrival-direct") == ["accepted"]


def test_what_waits_for_later_is_not_touched_by_a_pause(hotel: Hotel) -> None:
    waiting(hotel, CARE)
    pause(hotel, "exit")
    hotel.after(timedelta(days=3))
    assert resume(hotel).overdue == 0
    hotel.after(timedelta(days=2))
    assert outcomes(hotel, "pre-arrival-direct") == ["accepted"] * 3


def test_only_what_runs_can_be_paused(hotel: Hotel) -> None:
    publish(hotel, CARE)
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        pauses.archive(session, "care", hotel.clock.now(), by="Marta")
        with pytest.raises(pauses.NotNowError):
            pauses.pause(session, "care", hotel.clock.now())


# -- archive ---------------------------------------------------------------------------------------------------------


def archive(hotel: Hotel, inside: Any = "finish") -> int:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        return pauses.archive(session, "care", hotel.clock.now(), by="Marta", inside=inside)


def test_an_archived_workflow_takes_nobody_in_and_lets_who_is_inside_finish(hotel: Hotel) -> None:
    waiting(hotel, CARE)
    assert archive(hotel) == 3
    hotel.post([booked(7)])
    hotel.after(timedelta(days=5))
    assert outcomes(hotel, "pre-arrival-direct") == ["accepted"] * 3
    assert len([row for row in hotel.enrollments() if row.workflow_id == publish_id(hotel)]) == 3


def test_or_lets_them_leave_a_minute_later(hotel: Hotel) -> None:
    waiting(hotel, CARE)
    archive(hotel, "exit")
    hotel.work()
    rows = [row for row in hotel.enrollments() if row.workflow_id == publish_id(hotel)]
    assert {row.status for row in rows} == {"active"}, "a minute to take it back"
    hotel.after(pauses.REGRET)
    rows = [row for row in hotel.enrollments() if row.workflow_id == publish_id(hotel)]
    assert {(row.status, row.end_reason) for row in rows} == {("exited", "archived")}


def test_taken_back_in_time_nobody_has_left(hotel: Hotel) -> None:
    waiting(hotel, CARE)
    archive(hotel, "exit")
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        assert pauses.restore(session, "care", hotel.clock.now()) == 0
    hotel.post([booked(7)])
    hotel.after(timedelta(days=5))
    assert outcomes(hotel, "pre-arrival-direct") == ["accepted"] * 4
