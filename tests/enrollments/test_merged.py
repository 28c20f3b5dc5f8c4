"""Two people become one while both are inside: one passage goes on, by the clock of the person they now are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.enrollments import catalogue, enrol
from app.enrollments.explain import explain
from app.enrollments.models import Enrollment
from app.events.merging import merge, undo_merge
from tests.hotel import Hotel

STAY = {"reference": "RS-1", "arrival": "2026-05-12", "departure": "2026-05-15"}
HEAD = "name: { en: One, it: Uno }\nphase: retention\nclass: transactional\nentry:\n  - on: booking.confirmed\n"
ASKS = (
    f"workflow: one\n{HEAD}steps:\n"
    "  - id: read\n    wait_for: { on: booking.modified, up_to: 5 days }\n"
    "    then: [ { id: letter, send: in-stay-welcome } ]\n    timeout: []\n"
)
EVENING = (
    f"workflow: one\n{HEAD}zone: contact\nsteps:\n"
    '  - { id: evening, wait: { until: "20:00" } }\n  - { id: letter, send: in-stay-welcome }\n'
)


def person(name: str, **fields: Any) -> dict[str, Any]:
    return {"external_id": name, "email": f"{name}@example.com", "language": "it", **fields}


def enter(hotel: Hotel, source: str, *people: dict[str, Any]) -> None:
    """Each of them books and comes in, one after the other."""
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        catalogue.publish(session, source, by="Marta", now=hotel.clock.now())
    for number, one in enumerate(people):
        hotel.report("booking.confirmed", contact=one, booking={**STAY, "reference": f"RS-{number}"})
        hotel.after(timedelta(minutes=1))


def inside(hotel: Hotel) -> list[Enrollment]:
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        number = session.scalar(text("SELECT id FROM workflows WHERE name = 'one'"))
    return [row for row in hotel.enrollments() if row.workflow_id == number]


def letters(hotel: Hotel) -> int:
    return sum(row.step_id == "letter" for row in hotel.messages())


def join(hotel: Hotel, winner: str, loser: str) -> int:
    """Merge two people by their external ids; gives the number of the merge."""
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        number = {
            name: session.execute(text("SELECT id FROM contacts WHERE external_id = :n"), {"n": name}).scalar_one()
            for name in (winner, loser)
        }
        return merge(session, number[winner], number[loser], "Marta", hotel.clock.now())


def test_the_passage_that_ended_with_the_merge_hears_nothing_any_more(hotel: Hotel) -> None:
    enter(hotel, ASKS, person("giulia"), person("julia"))
    join(hotel, "giulia", "julia")
    assert sorted((row.status, row.end_reason) for row in inside(hotel)) == [("active", None), ("exited", "merged")]
    hotel.report("booking.modified", contact=person("giulia"), booking={**STAY, "reference": "RS-0", "adults": 3})
    hotel.after(timedelta(hours=1))
    assert letters(hotel) == 1
    assert sorted((row.status, row.end_reason) for row in inside(hotel)) == [
        ("exited", "merged"),
        ("finished", "finished"),
    ]


def test_the_merge_undone_both_hear_again(hotel: Hotel) -> None:
    enter(hotel, ASKS, person("giulia"), person("julia"))
    number = join(hotel, "giulia", "julia")
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        undo_merge(session, number, hotel.clock.now())
    for name in ("giulia", "julia"):
        hotel.report("booking.confirmed", contact=person(name), booking={**STAY, "reference": f"{name}-2"})
        hotel.report("booking.modified", contact=person(name), booking={**STAY, "reference": f"{name}-2", "adults": 3})
        hotel.after(timedelta(hours=1))
    assert letters(hotel) == 2
    assert {row.status for row in inside(hotel)} == {"finished"}


def test_what_both_were_about_to_be_told_is_told_once_and_undone_to_both(hotel: Hotel) -> None:
    enter(
        hotel,
        f"workflow: one\n{HEAD}steps:\n  - {{ id: letter, send: in-stay-welcome }}\n  - {{ id: rest, wait: 9 days }}\n",
    )
    for number, name in enumerate(("giulia", "julia")):
        hotel.report("booking.confirmed", contact=person(name), booking={**STAY, "reference": f"RS-{number}"})
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        enrol.run(session, hotel.clock.now(), 500)
    merged = join(hotel, "giulia", "julia")
    assert [(row.state, row.reason) for row in hotel.messages(step_id="letter")] == [
        ("planned", None),
        ("cancelled", "exited:merged"),
    ]
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        told = explain(session, None, hotel.clock.now(), message_id=hotel.messages(state="cancelled")[0].id)
        assert "la persona è uscita: due persone sono risultate una sola" in told.decisions[-1].sentence["it"]
        undo_merge(session, merged, hotel.clock.now())
    hotel.after(timedelta(hours=1))
    assert [row.state for row in hotel.messages(step_id="letter")] == ["accepted", "accepted"]


@pytest.mark.parametrize(
    ("theirs", "wakes"),
    [
        ("Asia/Tokyo", datetime(2026, 3, 10, 11, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 11, 0, tzinfo=UTC)),
    ],
)
def test_a_wait_goes_by_the_clock_of_the_person_they_now_are(hotel: Hotel, theirs: str, wakes: datetime) -> None:
    enter(hotel, EVENING, person("giulia"))
    hotel.report("contact.updated", contact=person("julia", zone=theirs))
    hotel.work()
    number = join(hotel, "giulia", "julia")
    hotel.work()
    assert [row.wake_at for row in inside(hotel)] == [wakes]
    with hotel.house.database.work(hotel.loaded.workspace_id) as session:
        undo_merge(session, number, hotel.clock.now())
    hotel.work()
    assert [row.wake_at for row in inside(hotel)] == [datetime(2026, 3, 10, 19, tzinfo=UTC)]
