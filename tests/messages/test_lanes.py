"""Lanes: a flood of one kind of message slows the others and stops none, at the gate and at the lease."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.messages import lanes
from app.messages.models import LANE
from tests.messages.mailroom import Mailroom


def plan(mailroom: Mailroom, template: str, how_many: int, minutes_ago: int = 0) -> None:
    due = mailroom.now - timedelta(minutes=minutes_ago)
    for _ in range(how_many):
        mailroom.plan(mailroom.guest(), template, due_at=due)


def taken(mailroom: Mailroom, limit: int, states: tuple[str, ...] = ("planned", "deferred")) -> list[str]:
    return [row.class_ for row in lanes.due(mailroom.session, states, mailroom.now, limit)]


@pytest.mark.parametrize("states", [("planned", "deferred"), ("ready",)])
def test_a_confirmation_planned_behind_a_whole_broadcast_is_in_the_next_batch(
    mailroom: Mailroom, states: tuple[str, ...]
) -> None:
    plan(mailroom, "offer", 80, minutes_ago=60)
    plan(mailroom, "note", 1)
    mailroom.session.execute(text("UPDATE messages SET state = :state"), {"state": states[0]})
    batch = taken(mailroom, 20, states)
    assert batch[0] == "transactional"
    assert Counter(batch) == {"transactional": 1, "marketing": 19}


def test_feedback_goes_before_marketing_and_after_service(mailroom: Mailroom) -> None:
    plan(mailroom, "offer", 5, minutes_ago=60)
    plan(mailroom, "ask", 5, minutes_ago=30)
    plan(mailroom, "note", 5)
    assert taken(mailroom, 8) == ["transactional"] * 5 + ["feedback"] * 3


def test_a_lane_behind_a_full_one_still_gets_a_tenth_of_the_batch(mailroom: Mailroom) -> None:
    plan(mailroom, "note", 30)
    plan(mailroom, "ask", 30)
    plan(mailroom, "offer", 30)
    assert Counter(taken(mailroom, 20)) == {"transactional": 20, "feedback": 2, "marketing": 2}


def test_within_a_lane_the_longest_due_goes_first_and_what_is_not_due_waits(mailroom: Mailroom) -> None:
    first = mailroom.plan(mailroom.guest(), "offer", due_at=mailroom.now - timedelta(hours=2))
    mailroom.plan(mailroom.guest(), "offer", due_at=mailroom.now + timedelta(seconds=1))
    second = mailroom.plan(mailroom.guest(), "offer", due_at=mailroom.now - timedelta(hours=1))
    assert [row.id for row in lanes.due(mailroom.session, ("planned",), mailroom.now, 10)] == [first, second]


def test_a_batch_is_found_by_the_index_of_its_lane_however_many_wait_in_the_others(mailroom: Mailroom) -> None:
    guest = mailroom.guest()
    mailroom.session.execute(
        text(
            "INSERT INTO messages (workspace_id, contact_id, channel, template, class, state, planned_at, due_at)"
            " SELECT :ws, :who, 'email', 'offer', 'marketing', 'planned', :now, :now FROM generate_series(1, 20000)"
        ),
        {"ws": mailroom.workspace_id, "who": guest.id, "now": mailroom.now - timedelta(hours=1)},
    )
    mailroom.plan(guest, "note")
    mailroom.session.execute(text("ANALYZE messages"))
    batch = lanes.due(mailroom.session, ("planned", "deferred"), mailroom.now, 50)
    assert [row.class_ for row in batch[:2]] == ["transactional", "marketing"]
    plan_ = mailroom.session.execute(
        text(
            "EXPLAIN SELECT id FROM messages WHERE workspace_id = :ws AND state IN ('planned', 'deferred')"
            f" AND ({LANE}) = 0 AND due_at <= :now ORDER BY due_at, id LIMIT 50"
        ),
        {"ws": mailroom.workspace_id, "now": mailroom.now},
    ).scalars()
    assert "ix_messages_to_judge" in "\n".join(plan_)
