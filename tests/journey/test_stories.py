"""The simulator's own promises, and that a story which does not come out says so at its line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.journey.advance import Send
from app.journey.facts import Facts
from app.journey.places import LanguageError
from app.journey.simulate import Happening, Judgement, Scene, overwrite, simulate
from app.journey.stories import differences, read_stories, scene
from tests.journey.kit import NOW, OPEN_WORLD, program

STEPS = "  - { id: a, send: x }\n  - { id: b, wait: 1 day }\n  - { id: c, send: y }"
STORY = """\
- story: One night
  events:
    - at: 2026-06-01 10:00
      type: booking.confirmed
      booking: { reference: B-1, arrival: 2026-07-10, departure: 2026-07-11 }
  expect:
    messages:
      - { template: x, at: 2026-06-01 10:00 }
      - { template: y, at: 2026-06-02 10:00 }
    exit: finished
"""


def told(story: str) -> list[tuple[int, int, str]]:
    found = read_stories(story, file="s.yaml", known=OPEN_WORLD)
    outcome = simulate(program(STEPS), scene(found.stories[0]))
    return [(one.line, one.column, one.message) for one in differences(found, 0, outcome)]


def test_a_story_that_comes_out_has_no_difference() -> None:
    assert told(STORY) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "y, at: 2026-06-02",
            "y, at: 2026-06-03",
            (9, 28, "One night: y was sent 2026-06-02 10:00, not 2026-06-03 10:00"),
        ),
        ("template: y", "template: z", (9, 9, "One night: y was sent 2026-06-02 10:00, not z")),
        (
            "      - { template: y, at: 2026-06-02 10:00 }\n",
            "",
            (8, 7, "One night: y was sent 2026-06-02 10:00 as well"),
        ),
        ("exit: finished", "exit: left", (10, 11, "One night: ended with finished, not left")),
        ("exit: finished", "none_of: [y]", (10, 15, "One night: y was sent 2026-06-02 10:00")),
        ("exit: finished", "goal: true", (10, 11, "One night: the goal was not reached")),
        ("exit: finished", "not_entered: too_old", (10, 18, "One night: nobody was turned away, not too_old")),
    ],
)
def test_a_story_that_does_not_come_out_says_where(old: str, new: str, expected: tuple[int, int, str]) -> None:
    assert told(STORY.replace(old, new)) == [expected]


@pytest.mark.parametrize(
    ("old", "new", "line", "code"),
    [
        ("booking.confirmed", "booking.confirmd", 4, "unknown-event"),
        ("  expect:", "  expects:", 6, "unknown-key"),
        ("at: 2026-06-01 10:00\n      type", "at: soon\n      type", 3, "wrong-value"),
        ("  events:", "  given: { contact: 3 }\n  events:", 2, "wrong-type"),
    ],
)
def test_a_story_that_cannot_be_read_says_where(old: str, new: str, line: int, code: str) -> None:
    with pytest.raises(LanguageError) as caught:
        read_stories(STORY.replace(old, new, 1), file="s.yaml", known=OPEN_WORLD)
    assert [(one.line, one.code) for one in caught.value.problems] == [(line, code)]


# --- the simulator ---


def happening(type_: str, hours: float = 0, *, occurred: float | None = None, **booking: object) -> Happening:
    at = NOW + timedelta(hours=hours)
    happened = at if occurred is None else NOW + timedelta(hours=occurred)
    return Happening(at, type_, happened, booking={"reference": "B-1", **booking})


def play(*happenings: Happening) -> Scene:
    return Scene(NOW, {}, {"zone": "Europe/Rome"}, happenings=happenings)


def test_what_the_judge_puts_off_is_judged_again() -> None:
    opens = NOW + timedelta(hours=5)

    def judge(_send: Send, _facts: Facts, now: datetime) -> Judgement:
        return Judgement("allowed") if now >= opens else Judgement("deferred", "quiet", "R47", opens)

    outcome = simulate(program("  - { id: a, send: x }"), play(happening("booking.confirmed")), judge=judge)
    assert [(one.template, one.at, one.planned_at) for one in outcome.sent] == [("x", opens, NOW)]


def test_who_left_meanwhile_does_not_get_what_was_put_off() -> None:
    opens = NOW + timedelta(hours=5)

    def judge(_send: Send, _facts: Facts, now: datetime) -> Judgement:
        return Judgement("allowed") if now >= opens else Judgement("deferred", "quiet", "R47", opens)

    under_test = program(
        "  - { id: a, send: x }\n  - { id: b, wait: 9 days }", head="exit: [ { on: booking.cancelled } ]\n"
    )
    happenings = (happening("booking.confirmed"), happening("booking.cancelled", 1))
    outcome = simulate(under_test, play(*happenings), judge=judge)
    assert [(one.outcome, one.code) for one in outcome.messages] == [("refused", "exited")]


def test_the_same_template_is_not_sent_again_within_its_time() -> None:
    steps = """\
  - { id: a, send: x }
  - { id: b, wait: 2 days }
  - { id: c, send: x, skip_if_sent_within: 3 days }
  - { id: d, wait: 2 days }
  - { id: e, send: x, skip_if_sent_within: 3 days }"""
    outcome = simulate(program(steps), play(happening("booking.confirmed")))
    assert [(one.step_id, one.code) for one in outcome.messages] == [
        ("a", "allowed"),
        ("c", "sent_already"),
        ("e", "allowed"),
    ]


def test_it_tells_why_somebody_did_not_enter() -> None:
    outcome = simulate(program(STEPS), play(happening("booking.confirmed"), happening("booking.confirmed", 1)))
    assert [refusal.code for refusal in outcome.not_entered] == ["already_inside"]
    assert [line.code for line in outcome.trace][:3] == ["event", "entered", "send"]


def test_it_stops_where_the_story_stops() -> None:
    cut = Scene(NOW, {}, {"zone": "UTC"}, happenings=(happening("booking.confirmed"),), until=NOW + timedelta(hours=2))
    outcome = simulate(program(STEPS), cut)
    assert [(one.status, one.step_id) for one in outcome.passages] == [("active", "b")]


# --- the simple projection ---


def test_a_later_event_overwrites() -> None:
    first = overwrite(None, happening("booking.confirmed", arrival="2026-07-10", departure="2026-07-13"))
    after = overwrite(first, happening("booking.modified", 1, departure="2026-07-12"))
    assert (after["nights"], after["status"]) == (2, "confirmed")


def test_an_event_that_comes_late_only_fills_what_is_missing() -> None:
    first = overwrite(None, happening("booking.modified", 1, departure="2026-07-12"))
    after = overwrite(
        first, happening("booking.confirmed", 2, occurred=0, arrival="2026-07-10", departure="2026-07-13")
    )
    assert (after["nights"], str(after["departure"])) == (2, "2026-07-12")


def test_what_was_cancelled_stays_so_when_the_booking_comes_after() -> None:
    first = overwrite(None, happening("booking.cancelled", 1))
    after = overwrite(first, happening("booking.confirmed", 2, occurred=0, arrival="2026-07-10"))
    assert after["status"] == "cancelled"
    assert after["cancelled_at"] == datetime(2026, 6, 1, 9, tzinfo=UTC)
