"""A clock is set to another zone: what waits by it moves, sooner or later as the case may be (R58)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.journey import advance
from app.journey.scenes import Happening, Scene
from app.journey.simulate import simulate
from tests.journey.kit import NOW, Run, begin, facts, program

TOKYO, ROME, NEW_YORK = ({"zone": zone} for zone in ("Asia/Tokyo", "Europe/Rome", "America/New_York"))
CLOCK = '  - { id: w, wait: { until: "20:00" ZONE } }\n  - { id: s, send: x }\n'
LONG = '  - { id: w, wait: { for: 2 days, at: "20:00" ZONE } }\n  - { id: s, send: x }\n'
DEADLINE = (
    "  - id: w\n    wait_for:\n      on: page.viewed\n"
    '      up_to: { until: booking.arrival, at: "20:00" ZONE }\n    timeout: [ { id: s, send: x } ]\n'
)


def known(of_contact: dict[str, str], of_property: dict[str, str]) -> dict[str, Any]:
    return facts(
        contact={"external_id": "c-1", "tags": [], "attributes": {}, **of_contact},
        property={**of_property, "currency": "EUR"},
    )


def after(steps: str, before: dict[str, Any], then: dict[str, Any]) -> Run:
    run = begin(program(steps), before)
    run.take(advance.rezone(run.program, run.state, then, NOW))
    return run


@pytest.mark.parametrize("steps", [CLOCK, LONG, DEADLINE], ids=["clock time", "days", "up to a date"])
@pytest.mark.parametrize(
    ("zone", "there", "here"),
    [("", ({}, NEW_YORK), ({}, ROME)), (", zone: contact", (NEW_YORK, ROME), (ROME, ROME))],
    ids=["the property's", "the person's"],
)
def test_a_wait_moves_both_ways_with_its_clock(steps: str, zone: str, there: Any, here: Any) -> None:
    written = steps.replace(" ZONE", zone)
    american, roman = known(*there), known(*here)
    later, sooner = (begin(program(written), one).state.until for one in (american, roman))
    assert later is not None
    assert sooner is not None
    assert later > sooner
    assert after(written, american, roman).state.until == sooner
    assert after(written, roman, american).state.until == later


def test_a_clock_that_says_the_same_moves_nothing() -> None:
    run = begin(program(CLOCK.replace(" ZONE", "")), known({}, ROME))
    assert advance.rezone(run.program, run.state, known({}, {"zone": "Europe/Berlin"}), NOW) is None


def test_what_is_past_by_the_new_clock_goes_on_at_once() -> None:
    written = CLOCK.replace(" ZONE", "")
    run = begin(program(written), known({}, NEW_YORK))
    late = datetime(2026, 6, 1, 21, tzinfo=UTC)
    then = known({}, ROME)
    assert run.take(advance.rezone(run.program, run.state, then, late))
    run.advance(then, late)
    assert run.sent == [("s", datetime(2026, 6, 1, 18, tzinfo=UTC))]


@pytest.mark.parametrize(
    ("wait", "theirs"),
    [
        ('{ until: "20:00", zone: contact }', True),
        ('{ until: "20:00" }', False),
        ('{ until: booking.arrival, at: "20:00", zone: contact, late: go_on }', False),
    ],
)
def test_which_waits_go_by_the_person_s_own_clock(wait: str, theirs: bool) -> None:
    run = begin(program(f"  - {{ id: w, wait: {wait} }}\n"), known(ROME, ROME))
    assert advance.by_contact_clock(run.program, run.state) is theirs


def test_a_date_that_is_followed_is_worked_out_by_the_person_s_new_clock() -> None:
    steps = '  - { id: w, wait: { until: booking.arrival, at: "20:00", zone: contact, late: go_on } }\n'
    run = begin(program(steps, head="follow: booking\n"), known(ROME, ROME))
    assert advance.by_contact_clock(run.program, run.state)


def test_a_story_moves_them_too() -> None:
    booked = {"reference": "B-1", "arrival": "2026-07-10", "departure": "2026-07-13"}
    scene = Scene(
        now=NOW,
        contact={"zone": "America/New_York"},
        property={"zone": "Europe/Rome"},
        happenings=(
            Happening(NOW, "booking.confirmed", NOW, booking=booked),
            Happening(NOW.replace(hour=9), "contact.updated", NOW.replace(hour=9), contact={"zone": "Asia/Tokyo"}),
        ),
    )
    [message] = simulate(program(CLOCK.replace(" ZONE", ", zone: contact")), scene).sent
    assert message.at == datetime(2026, 6, 1, 11, tzinfo=UTC)
