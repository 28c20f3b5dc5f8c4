"""One person takes steps: each kind of step, late and in time, and what a changed booking does."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from app.journey import advance
from app.journey.advance import Send, SetFields, State, Task, from_json, to_json
from app.journey.entry import Event
from tests.journey.kit import NOW, begin, facts, program, until_done


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


DATED = """\
  - { id: eve, wait: { until: booking.arrival, offset: -1 day, at: "16:00", late: LATE } }
  - { id: first, send: x }
  - { id: second, send: y }"""


def dated(late: str = "go_on", *, follow: bool = True) -> Any:
    return program(DATED.replace("LATE", late), head="follow: booking\n" if follow else "")


# --- waits ---


def test_a_date_is_waited_for_and_then_gone_on_from() -> None:
    run = begin(dated(), facts())
    assert (run.state.step_id, run.state.wake_at) == ("eve", utc(2026, 7, 9, 14))
    until_done(run, facts())
    assert run.sent == [("first", utc(2026, 7, 9, 14)), ("second", utc(2026, 7, 9, 14))]
    assert run.left is not None
    assert run.left.status == "finished"


@pytest.mark.parametrize(
    ("late", "sent", "status"),
    [
        ("go_on", ["first", "second"], "finished"),
        ("skip_next", ["second"], "finished"),
        ("skip_to_end", [], "finished"),
        ("exit", [], "exited"),
    ],
)
def test_who_comes_after_the_date_follows_its_late_rule(late: str, sent: list[str], status: str) -> None:
    run = begin(dated(late), facts(arrival=date(2026, 6, 1)))
    assert [send.step_id for send in run.sends] == sent
    assert run.state.status == status
    assert "late" in run.codes


def test_being_woken_a_little_late_is_not_being_late() -> None:
    known = facts()
    run = begin(dated("exit"), known)
    run.advance(known, utc(2026, 7, 9, 15, 30))
    assert [send.step_id for send in run.sends] == ["first", "second"]


def test_a_message_behind_a_wait_is_good_for_a_day() -> None:
    run = until_done(begin(dated(), facts()), facts())
    assert run.sends[0].latest == utc(2026, 7, 10, 14)


def test_after_a_long_outage_what_is_stale_says_so() -> None:
    known = facts()
    run = begin(dated(), known)
    back = utc(2026, 7, 12, 9)
    run.advance(known, back)
    assert all(send.latest is not None and send.latest < back for send in run.sends)


def test_a_message_before_any_wait_has_no_last_moment() -> None:
    assert begin(program("  - { id: a, send: x }"), facts()).sends[0].latest is None


@pytest.mark.parametrize(
    ("latest", "expected"),
    [
        ("2 hours", NOW + timedelta(hours=2)),
        ('{ until: booking.arrival, at: "18:00" }', utc(2026, 7, 10, 16)),
        ("{ until: booking.departure, offset: 25 days }", utc(2026, 8, 6, 22)),
    ],
)
def test_a_message_may_say_its_own_last_moment(latest: str, expected: datetime) -> None:
    assert begin(program(f"  - {{ id: a, send: x, latest: {latest} }}"), facts()).sends[0].latest == expected


def test_who_has_no_date_leaves_or_goes_on_as_told() -> None:
    nobody = facts(arrival=None)
    leaves = begin(dated(), nobody)
    assert (leaves.state.status, leaves.state.reason) == ("exited", "date_missing")
    goes_on = begin(program(DATED.replace("late: LATE", "late: exit, missing: go_on")), nobody)
    assert [send.step_id for send in goes_on.sends] == ["first", "second"]


def test_a_relative_wait_counts_from_when_the_step_was_due() -> None:
    steps = "  - { id: a, wait: 1 hour }\n  - { id: b, send: x }\n  - { id: c, wait: 1 hour }\n  - { id: d, send: y }"
    run = begin(program(steps), facts())
    run.advance(facts(), NOW + timedelta(minutes=80))  # the worker was twenty minutes behind
    assert run.state.wake_at == NOW + timedelta(hours=2)


def test_the_clock_starts_when_the_event_happened() -> None:
    known = facts(event={"type": "booking.abandoned", "occurred_at": NOW - timedelta(minutes=20)})
    run = begin(program("  - { id: a, wait: 1 hour }"), known)
    assert run.state.wake_at == NOW + timedelta(minutes=40)


def test_an_event_dated_in_the_future_starts_now() -> None:
    known = facts(event={"type": "booking.abandoned", "occurred_at": NOW + timedelta(days=20)})
    assert begin(program("  - { id: a, wait: 1 hour }"), known).state.wake_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        ("3 days", utc(2026, 6, 4, 8)),
        ('{ until: "09:00" }', utc(2026, 6, 2, 7)),
        ('{ until: tuesday, at: "10:00" }', utc(2026, 6, 2, 8)),
        ('{ until: "10:00", weekdays: [wednesday, friday] }', utc(2026, 6, 3, 8)),
        ('{ until: "11:00-18:00" }', utc(2026, 6, 1, 9)),
        ('{ until: "11:00", zone: contact }', utc(2026, 6, 1, 15)),
        ('{ until: "11:00", zone: Europe/London }', utc(2026, 6, 1, 10)),
    ],
)
def test_each_wait_ends_when_it_says(wait: str, expected: datetime) -> None:
    known = facts(contact={"zone": "America/New_York"})
    run = begin(program(f"  - {{ id: a, wait: {wait} }}"), known)
    assert run.state.wake_at == expected


def test_inside_the_window_nobody_waits() -> None:
    assert begin(program('  - { id: a, wait: { until: "09:00-18:00" } }'), facts()).state.status == "finished"


# --- wait_for ---

AWAIT = """\
  - id: arrived
    wait_for: { on: booking.checked_in, up_to: 2 days }
    then: [ { id: welcome, send: x } ]
    timeout: [ { id: call, task: { to: desk, text: { en: Call, it: Chiamare } } } ]
  - { id: after, send: y }"""


def checked_in(at: datetime, reference: str = "B-1") -> Event:
    return Event("booking.checked_in", at, {}, reference)


def test_an_event_is_heard_and_the_ways_join_again() -> None:
    run = begin(program(AWAIT), facts())
    assert run.state.waits_for == ("booking.checked_in",)
    at = NOW + timedelta(hours=5)
    assert run.take(advance.hear(run.program, run.state, checked_in(at), facts(), at))
    assert run.state.wake_at == at
    run.advance(facts(), at)
    assert run.sent == [("welcome", at), ("after", at)]


def test_what_does_not_come_in_time_goes_the_other_way() -> None:
    run = until_done(begin(program(AWAIT), facts()), facts())
    assert [effect.to for effect in run.effects if isinstance(effect, Task)] == ["desk"]
    assert [send.step_id for send in run.sends] == ["after"]


def test_another_booking_is_not_heard() -> None:
    run = begin(program(AWAIT), facts())
    assert advance.hear(run.program, run.state, checked_in(NOW, "B-2"), facts(), NOW) is None


def test_what_comes_after_the_deadline_is_too_late_even_when_the_worker_is_later() -> None:
    run = begin(program(AWAIT), facts())
    late = NOW + timedelta(days=3)
    assert advance.hear(run.program, run.state, checked_in(late), facts(), late) is None


def test_what_came_in_time_counts_though_it_is_told_late() -> None:
    run = begin(program(AWAIT), facts())
    told_late = NOW + timedelta(days=3)
    assert advance.hear(run.program, run.state, checked_in(NOW + timedelta(days=1)), facts(), told_late) is not None


@pytest.mark.parametrize(("since", "heard"), [("entry", True), ("step", False)])
def test_what_happened_before_the_step_counts_since_entry(since: str, heard: bool) -> None:
    steps = "  - { id: a, wait: 1 day }\n" + AWAIT.replace("up_to", f"since: {since}, up_to")
    run = begin(program(steps), facts())
    run.advance(facts(past_events=[("booking.checked_in", NOW + timedelta(hours=1))]), NOW + timedelta(days=1))
    assert ("welcome" in [send.step_id for send in run.sends]) is heard


def test_an_event_may_have_to_fit_a_condition() -> None:
    steps = AWAIT.replace("booking.checked_in", "page.viewed, of: contact, if: event.url contains spa")
    run = begin(program(steps), facts())
    for url, heard in (("/rooms", False), ("/spa", True)):
        event = Event("page.viewed", NOW, {"url": url})
        assert (advance.hear(run.program, run.state, event, facts(), NOW) is not None) is heard


def test_a_condition_is_awaited_by_looking_again() -> None:
    steps = AWAIT.replace("on: booking.checked_in", "if: contact.language == de")
    run = begin(program(steps), facts())
    assert run.state.wake_at == NOW + timedelta(hours=1)
    run.advance(facts(contact={"language": "de"}), NOW + timedelta(hours=1))
    assert run.sends[0].step_id == "welcome"


def test_a_condition_that_cannot_be_known_goes_its_own_way() -> None:
    steps = """\
  - { id: offer, send: x }
  - id: clicked
    wait_for: { if: clicked offer, up_to: 2 days }
    then: [ { id: yes, send: y } ]
    unknown: [ { id: maybe, send: z } ]"""
    run = begin(program(steps), facts())
    assert [send.step_id for send in run.sends] == ["offer", "maybe"]


def test_the_end_of_waiting_may_hang_on_a_date_and_move_with_it() -> None:
    steps = AWAIT.replace("up_to: 2 days", 'up_to: { until: booking.arrival, at: "22:00" }')
    run = begin(program(steps, head="follow: booking\n"), facts())
    assert run.state.wake_at == utc(2026, 7, 10, 20)
    run.take(advance.rebind(run.program, run.state, facts(arrival=date(2026, 8, 1)), NOW))
    assert run.state.wake_at == utc(2026, 8, 1, 20)
    assert run.state.step_id == "arrived"


# --- branch, set, exit ---

CLICKS = """\
  - { id: offer, send: x }
  - id: by-click
    branch:
      - if: clicked offer
        steps: [ { id: yes, send: y } ]
      - else: true
        steps: [ { id: no, send: z } ]
      - unknown: true
        steps: [ { id: maybe, send: w } ]"""


@pytest.mark.parametrize(
    ("engagement", "step"),
    [
        ({"tracked": True, "clicked": {"offer": NOW}}, "yes"),
        ({"tracked": True, "clicked": {}}, "no"),
        ({"tracked": False, "clicked": {}}, "maybe"),
        (None, "maybe"),
    ],
)
def test_those_who_are_not_tracked_go_their_own_way(engagement: Any, step: str) -> None:
    run = begin(program(CLICKS), facts(engagement=engagement))
    assert [send.step_id for send in run.sends] == ["offer", step]


def test_a_branch_says_why_it_went_that_way() -> None:
    steps = "  - id: b\n    branch: [ { if: booking.nights >= 5, steps: [ { id: a, send: x } ] } ]"
    run = begin(program(steps), facts())
    said = next(decision for decision in run.trace if decision.code == "branch")
    assert said.sentence == {
        "en": "else: nights is at least 5 — it was 3",
        "it": "altrimenti: numero di notti è almeno 5 — era 3",
    }
    assert said.inputs["lines"] == [
        {"line": "booking.nights >= 5", "verdict": False, "field": "booking.nights", "found": 3}
    ]


def test_what_is_written_is_seen_by_the_next_step() -> None:
    steps = """\
  - id: mark
    set: { contact.attributes.vip: true, enrollment.fields.way: long }
    add_tags: seen
    remove_tags: new
  - id: b
    branch:
      - if:
          - contact.attributes.vip == true
          - enrollment.fields.way == long
          - contact.tags has seen
          - contact.tags has not new
        steps: [ { id: yes, send: x } ]"""
    run = begin(program(steps), facts(contact={"tags": ["new", "old"], "attributes": {"vip": False, "keep": 1}}))
    assert [send.step_id for send in run.sends] == ["yes"]
    written = [effect for effect in run.effects if isinstance(effect, SetFields)]
    assert [(effect.target, dict(effect.values)) for effect in written] == [
        ("enrollment", {"way": "long"}),
        ("contact", {"attributes.vip": True}),
    ]
    assert run.state.fields == {"way": "long"}


def test_an_exit_names_its_reason_and_outcome() -> None:
    run = begin(program("  - { id: a, exit: enough, outcome: won }"), facts())
    assert (run.state.status, run.state.reason, run.state.outcome) == ("exited", "enough", "won")


def test_an_exit_condition_is_read_whenever_a_passage_wakes() -> None:
    under_test = program(DATED.replace("LATE", "go_on"), head="exit: [ { if: booking.status == cancelled } ]\n")
    run = begin(under_test, facts())
    cancelled = facts()
    cancelled["booking"]["status"] = "cancelled"
    run.advance(cancelled, utc(2026, 7, 9, 14))
    assert run.sends == []
    assert run.state.status == "exited"


# --- a booking that moves ---


def test_a_later_arrival_moves_the_wait_back() -> None:
    run = begin(dated(), facts())
    assert run.take(advance.rebind(run.program, run.state, facts(arrival=date(2026, 8, 1)), NOW))
    assert run.state.wake_at == utc(2026, 7, 31, 14)
    assert run.codes[-1] == "moved"


def test_an_earlier_arrival_moves_the_wait_forward() -> None:
    run = begin(dated(), facts())
    run.take(advance.rebind(run.program, run.state, facts(arrival=date(2026, 6, 5)), NOW))
    assert run.state.wake_at == utc(2026, 6, 4, 14)


def test_a_change_of_something_else_moves_nothing() -> None:
    run = begin(dated(), facts())
    assert advance.rebind(run.program, run.state, facts(nights=9), NOW) is None


@pytest.mark.parametrize(("late", "sent"), [("skip_next", ["second"]), ("go_on", ["first", "second"]), ("exit", [])])
def test_an_arrival_moved_into_the_past_of_the_wait_follows_its_late_rule(late: str, sent: list[str]) -> None:
    run = begin(dated(late), facts())
    tomorrow = facts(arrival=date(2026, 6, 20))
    at = utc(2026, 6, 19, 15)
    run.take(advance.rebind(run.program, run.state, tomorrow, at))
    run.advance(tomorrow, at)
    assert [send.step_id for send in run.sends] == sent
    assert all(send.due == at for send in run.sends)


def test_a_step_that_was_taken_is_not_taken_again() -> None:
    known = facts()
    run = begin(
        program(DATED.replace("LATE", "go_on") + "\n  - { id: stay, wait: 60 days }", head="follow: booking\n"), known
    )
    run.advance(known, utc(2026, 7, 9, 14))
    assert advance.rebind(run.program, run.state, facts(arrival=date(2026, 9, 1)), utc(2026, 7, 9, 15)) is None
    until_done(run, facts(arrival=date(2026, 9, 1)))
    assert [send.step_id for send in run.sends] == ["first", "second"]


def test_a_booking_that_loses_its_date_follows_the_missing_rule() -> None:
    run = begin(dated(), facts())
    run.take(advance.rebind(run.program, run.state, facts(arrival=None), NOW))
    assert run.state.reason == "date_missing"


def test_the_runner_can_ask_what_a_wait_hangs_on() -> None:
    assert advance.binds_to(dated(), begin(dated(), facts()).state) == "booking.arrival"


# --- the state ---


def test_a_state_survives_json() -> None:
    for steps in (DATED.replace("LATE", "exit"), AWAIT, "  - { id: a, exit: x }"):
        state = begin(program(steps), facts()).state
        assert from_json(json.loads(json.dumps(to_json(state)))) == state


def test_called_too_early_nothing_changes() -> None:
    run = begin(dated(), facts())
    assert advance.advance(run.program, run.state, facts(), NOW + timedelta(days=1)) == advance.Advanced(
        run.state, (), ()
    )


def test_who_has_left_takes_no_more_steps() -> None:
    run = begin(dated(), facts())
    run.take(advance.leave(run.state, "by hand", None, {"en": "x", "it": "x"}, NOW))
    again = advance.advance(run.program, run.state, facts(), NOW + timedelta(days=90))
    assert (again.effects, again.state.reason) == ((), "by hand")


def test_a_step_that_a_new_version_lacks_ends_the_passage() -> None:
    state = State("active", "B-1", NOW, NOW, step_id="gone", wake_at=NOW)
    ended = advance.advance(dated(), state, facts(), NOW)
    assert (ended.state.status, ended.state.reason) == ("exited", "step_removed")


def test_a_message_is_named_by_step_and_visit() -> None:
    send = begin(program("  - { id: a, send: x, priority: 7, channels: [sms, email] }"), facts()).sends[0]
    assert send == Send("a", 1, "x", "transactional", None, ("sms", "email"), 7, NOW, None)


def test_every_decision_is_told_in_both_languages_with_plain_inputs() -> None:
    run = until_done(begin(program(AWAIT), facts()), facts())
    for decision in run.trace:
        assert set(decision.sentence) == {"en", "it"}
        json.dumps(dict(decision.inputs))
