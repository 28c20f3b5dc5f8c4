"""What `POST /api/v1/events` answers."""

from __future__ import annotations

import json

from app.db import Database
from app.events.incoming import MOST
from app.queues import Signals
from tests.api.conftest import Door
from tests.events.feed import event, stay


def test_a_batch_is_answered_with_one_verdict_per_event(door: Door) -> None:
    answer = door.ask("POST", "/events", json={"events": [stay("e-1", "confirmed"), stay("e-1", "confirmed"), {"id": "x"}]})
    assert answer.status_code == 202
    told = answer.get_json()
    assert told["counts"] == {"accepted": 1, "duplicate": 1, "rejected": 1}
    assert [verdict["status"] for verdict in told["events"]] == ["accepted", "duplicate", "rejected"]
    (problem,) = told["events"][2]["problems"]
    assert problem["pointer"] == "/events/2/type"
    assert problem["cure"]


def test_one_event_alone_is_taken_as_it_is(door: Door) -> None:
    answer = door.ask("POST", "/events", json=stay("e-1", "confirmed"))
    assert (answer.status_code, answer.get_json()["events"]) == (202, [{"id": "e-1", "status": "accepted"}])
