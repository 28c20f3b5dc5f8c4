"""X5 to X7 to the minute, through the language, the steps and the simulator: hours that are not there, hours that come
twice, and zones whose rules change while people wait."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.journey.compiler import compile_program
from app.journey.entry import NotEntered
from app.journey.flow import beginning, flow, terms
from app.journey.language import read
from app.journey.scenes import Outcome
from app.journey.simulate import simulate
from app.journey.stories import differences, read_stories, scene
from tests.journey.kit import OPEN_WORLD, begin, facts, program, until_done, workflow_text

ROME = ZoneInfo("Europe/Rome")


def told(text: str, story: str) -> tuple[Outcome, list[str]]:
    """What a story came to, and every difference to what it expects."""
    under_test = compile_program(read(text, file="t.yaml", known=OPEN_WORLD))
    stories = read_stories(story, file="t.stories.yaml", known=OPEN_WORLD)
    outcome = simulate(under_test, scene(stories.stories[0]))
    return outcome, [str(problem) for problem in differences(stories, 0, outcome)]


@pytest.mark.parametrize(
    ("arrival", "at", "wanted"),
    [
        ("2026-03-29", "02:30", "2026-03-29T03:30+02:00"),  # X5: the hour is not there
        ("2026-10-25", "02:30", "2026-10-25T02:30+02:00"),  # X6: the hour comes twice, the first counts
        ("2026-10-25", "03:30", "2026-10-25T03:30+01:00"),
        ("2026-03-29", "01:59", "2026-03-29T01:59+01:00"),
    ],
)
def test_a_date_in_the_night_of_the_change_is_kept_to_the_minute(arrival: str, at: str, wanted: str) -> None:
    steps = f'  - {{ id: w, wait: {{ until: booking.arrival, at: "{at}", late: go_on }} }}\n  - {{ id: s, send: x }}'
    early = datetime(2026, 2, 1, 9, tzinfo=UTC)
    known = facts(arrival=date.fromisoformat(arrival), event={"type": "booking.confirmed", "occurred_at": early})
    run = until_done(begin(program(steps), known, early), known)
    assert run.sent == [("s", datetime.fromisoformat(wanted).astimezone(UTC))]


@pytest.mark.parametrize(
    ("wait", "start", "wanted"),
    [
        ("1 day", "2026-03-28T02:30+01:00", "2026-03-29T03:30+02:00"),  # a day later by the clock, which lacks 02:30
        ("24 hours", "2026-03-28T02:30+01:00", "2026-03-29T03:30+02:00"),
        ("1 day", "2026-10-24T12:00+02:00", "2026-10-25T12:00+01:00"),  # 25 hours
        ("24 hours", "2026-10-24T12:00+02:00", "2026-10-25T11:00+01:00"),
        ("1 business day", "2026-03-27T02:30+01:00", "2026-03-30T02:30+02:00"),
    ],
)
def test_a_day_is_a_day_by_the_clock_and_hours_are_hours(wait: str, start: str, wanted: str) -> None:
    at = datetime.fromisoformat(start).astimezone(UTC)
    known = facts(event={"type": "booking.confirmed", "occurred_at": at})
    run = until_done(begin(program(f"  - {{ id: w, wait: {wait} }}\n  - {{ id: s, send: x }}"), known, at), known)
    assert run.sent == [("s", datetime.fromisoformat(wanted).astimezone(UTC))]


@pytest.mark.parametrize(
    "wait",
    ['{ until: booking.arrival, at: "10:00", late: go_on }', '{ until: "10:00" }', '{ for: 9 days, at: "10:00" }'],
)
def test_a_zone_whose_rules_change_while_somebody_waits_moves_the_moment(wait: str) -> None:
    """As when a country gives up summer time: what was 08:00 UTC when it was planned is 09:00 UTC by then."""
    before, after = "Etc/GMT-2", "Etc/GMT-1"
    under_test = program(f"  - {{ id: w, wait: {wait} }}\n  - {{ id: s, send: x }}", head="follow: booking\n")
    start = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
    planned = facts(property={"zone": before}, event={"type": "booking.confirmed", "occurred_at": start})
    run = begin(under_test, planned, start)
    due = run.state.until
    assert due is not None
    assert due.hour == 8
    changed = facts(property={"zone": after})
    run.advance(changed, due)
    assert run.sends == []
    run.advance(changed, due + timedelta(minutes=59))
    assert run.sends == []
    run.advance(changed, due + timedelta(hours=1))
    assert run.sent == [("s", due + timedelta(hours=1))]


def test_a_date_that_this_workflow_does_not_follow_stays_what_it_was_when_the_wait_began() -> None:
    under_test = program(
        '  - { id: w, wait: { until: booking.arrival, at: "10:00", late: go_on } }\n  - { id: s, send: x }'
    )
    run = begin(under_test, facts())
    due = run.state.until
    assert due is not None
    run.advance(facts(arrival=date(2026, 8, 1)), due)
    assert run.sent == [("s", due)]


# --- the calendar in stories ---

NIGHTLY = workflow_text("  - { id: s, send: x }").replace(
    "  - on: booking.confirmed\nkey: booking.reference\n",
    '  - { on: schedule, rrule: FREQ=DAILY, at: "02:30", segment: vip }\nreenter: always\n',
)


def test_a_schedule_comes_by_itself_once_a_day_through_the_change_of_the_clocks() -> None:
    story = """\
- story: The last week-end of March
  given: { now: 2026-03-28 12:00, segments: [vip] }
  until: 2026-03-31 00:00
  expect:
    messages:
      - { template: x, at: 2026-03-29T03:30+02:00 }
      - { template: x, at: 2026-03-30T02:30+02:00 }
"""
    assert told(NIGHTLY, story)[1] == []


def test_nobody_outside_the_segment_is_met_by_its_schedule() -> None:
    story = """\
- story: Comes into the segment, and leaves it
  given: { now: 2026-06-01 12:00 }
  events:
    - { at: 2026-06-03 12:00, type: segment.entered, data: { segment: vip } }
    - { at: 2026-06-05 12:00, type: segment.left, data: { segment: vip } }
  until: 2026-06-09 00:00
  expect: { messages: [ { template: x, at: 2026-06-04 02:30 }, { template: x, at: 2026-06-05 02:30 } ] }
"""
    assert told(NIGHTLY, story)[1] == []


def test_a_date_opens_the_workflow_by_itself_and_a_moved_one_on_its_new_day() -> None:
    text = workflow_text("  - { id: s, send: x }").replace(
        "  - on: booking.confirmed\n", '  - { on: date, ref: booking.arrival, offset: -7 days, at: "10:00" }\n'
    )
    story = """\
- story: Moved a month on
  events:
    - { at: 2026-06-01 10:00, type: booking.confirmed, booking: { reference: B1, arrival: 2026-07-10 } }
    - { at: 2026-06-15 10:00, type: booking.modified, booking: { reference: B1, arrival: 2026-08-10 } }
  expect: { messages: [ { template: x, at: 2026-08-03 10:00 } ], exit: finished }
"""
    assert told(text, story)[1] == []


def test_a_birthday_comes_every_year_of_the_story() -> None:
    text = workflow_text("  - { id: s, send: x }").replace(
        "  - on: booking.confirmed\nkey: booking.reference\n",
        '  - { on: date, ref: contact.attributes.birthday, at: "09:00", recur: yearly }\nreenter: always\n',
    )
    story = """\
- story: Born on a leap day
  given: { now: 2026-01-01 00:00, contact: { attributes: { birthday: 1988-02-29 } } }
  until: 2028-12-31 00:00
  expect:
    messages:
      - { template: x, at: 2026-02-28 09:00 }
      - { template: x, at: 2027-02-28 09:00 }
      - { template: x, at: 2028-02-29 09:00 }
"""
    assert told(text, story)[1] == []


EVERYTHING = workflow_text(
    """\
  - id: lot
    split:
      - { variant: short, weight: 50, steps: [ { id: s1, send: short, updated: short-updated } ] }
      - { variant: long, weight: 50, steps: [ { id: s2, send: long } ] }
    winner: { by: click, after: 7 days }
  - { id: tell, emit: custom.told }
  - { id: crm, webhook: crm }
  - { id: other, start: { workflow: survey, await: true, up_to: 5 days }, timeout: [ { id: none, send: none } ] }
  - { id: off, stop: newsletter }
  - id: again
    repeat: { max: 2, every: 2 days, steps: [ { id: nudge, send: nudge } ] }
""",
    head="limits: { max_duration: 60 days }\ncaps: { week: 2 }\n",
).replace("  - on: booking.confirmed\n", "  - { on: manual }\n  - { on: custom.told }\n")


def test_a_story_fixes_the_lot_and_tells_what_is_done_elsewhere() -> None:
    story = """\
- story: Started by hand
  given: { variants: { lot: short } }
  events:
    - { at: 2026-06-01 10:00, type: workflow.started, booking: { reference: B1, arrival: 2026-07-10 } }
    - { at: 2026-06-01 12:00, type: booking.modified, booking: { reference: B1, arrival: 2026-07-11 } }
    - at: 2026-06-03 10:00
      type: workflow.ended
      booking: { reference: B1 }
      data: { workflow: survey, key: B1, status: finished, outcome: happy }
  expect:
    variants: { lot: short }
    messages:
      - { template: short, at: 2026-06-01 10:00 }
      - { template: short-updated, at: 2026-06-01 12:00 }
      - { template: nudge, at: 2026-06-03 10:00 }
      - { template: nudge, at: 2026-06-05 10:00 }
    emitted: [custom.told]
    called: [crm]
    started: [survey]
    stopped: [newsletter]
    not_entered: already_inside
    exit: finished
"""
    outcome, different = told(EVERYTHING, story)
    assert different == []
    assert all(isinstance(refusal, NotEntered) for refusal in outcome.not_entered)


SHARED = workflow_text("  - { id: tell, webhook: { endpoint: partner, shares: true } }")


@pytest.mark.parametrize(("said", "called"), [("granted", "[partner]"), ("withdrawn", "[]"), ("pending", "[]")])
def test_r3_a_story_calls_those_who_share_only_of_whom_has_agreed(said: str, called: str) -> None:
    story = f"""\
- story: Sharing
  given: {{ consents: {{ third_party_sharing: {said} }} }}
  events: [ {{ at: 2026-06-01 10:00, type: booking.confirmed, booking: {{ reference: B1 }} }} ]
  expect: {{ called: {called} }}
"""
    assert told(SHARED, story)[1] == []


def test_what_a_story_expects_of_elsewhere_is_told_where_it_did_not_come() -> None:
    story = """\
- story: Wrong
  given: { variants: { lot: long } }
  events: [ { at: 2026-06-01 10:00, type: workflow.started, booking: { reference: B1 } } ]
  expect: { variants: { lot: short }, called: [], started: [survey, survey], emitted: [custom.told] }
"""
    under_test = compile_program(read(EVERYTHING, file="t.yaml", known=OPEN_WORLD))
    stories = read_stories(story, file="t.stories.yaml")
    found = [problem.message for problem in differences(stories, 0, simulate(under_test, scene(stories.stories[0])))]
    assert found == [
        "Wrong: crm was called, not nothing",
        "Wrong: survey was started, not survey, survey",
        "Wrong: long was drawn at lot, not short",
    ]


# --- the picture ---


def test_every_step_has_a_card_with_a_sentence_in_both_languages() -> None:
    under_test = compile_program(read(EVERYTHING, file="t.yaml", known=OPEN_WORLD))
    cards: dict[str, Any] = {card.id: card for card in flow(under_test)}
    assert [card.kind for card in flow(under_test)] == ["split", "emit", "webhook", "start", "stop", "repeat"]
    assert [way.sentence["it"] for way in cards["lot"].ways] == ["50%: short", "50%: long"]
    assert cards["lot"].notes[0]["en"].startswith("The better one wins by clicks, after 7 days at the earliest")
    assert cards["other"].sentence["it"] == "Avvia survey e attendi che sia concluso, al massimo 5 giorni"
    assert [way.sentence["en"] for way in cards["other"].ways] == ["When it has ended", "If it does not happen in time"]
    assert cards["again"].sentence == {
        "en": "Repeat at most 2 times, every 2 days",
        "it": "Ripeti al massimo 2 volte, ogni 2 giorni",
    }
    assert [way.kind for way in cards["again"].ways] == ["round"]
    assert cards["lot"].ways[0].cards[0].notes[0]["it"] == "Se in seguito cambia ciò che diceva: invia short-updated"
    assert [said["en"] for said in terms(under_test)] == [
        "At most 2 a week for one person",
        "A passage ends after 60 days",
    ]


def test_every_way_in_has_a_sentence_in_both_languages() -> None:
    ways = """\
  - { on: segment.entered, segment: vip }
  - { on: date, ref: contact.attributes.birthday, at: "09:00", recur: yearly }
  - { on: schedule, rrule: FREQ=WEEKLY;BYDAY=MO, at: "10:00", segment: vip }
  - { on: manual }
  - { on: api }
  - { on: consent.granted, topic: offers }
"""
    text = workflow_text("  - { id: s, send: x }").replace("  - on: booking.confirmed\nkey: booking.reference\n", ways)
    said = beginning(compile_program(read(text, file="t.yaml", known=OPEN_WORLD)))
    assert [one["en"] for one in said] == [
        "When somebody comes into the segment vip",
        "09:00 on the day of contact.attributes.birthday, hotel's time, every year",
        "Every Monday at 10:00, hotel's time: everybody in the segment vip",
        "When somebody starts it by hand",
        "When a program or another workflow starts it",
        "When consent is given (offers)",
    ]
    assert said[2]["it"] == "Ogni lunedì alle 10:00, ora dell'hotel: chi è nel segmento vip"
