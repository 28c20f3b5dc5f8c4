"""Every step beyond sending and waiting: lots that are kept, rounds that end, what is done elsewhere, brakes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.journey import advance
from app.journey.advance import CallOut, Emit, SetFields, StartOther, State, StopOther, from_json, to_json
from app.journey.compiler import ProgramError, compile_program
from app.journey.entry import Event
from app.journey.language import Workflow, read
from app.journey.program import Program, RepeatOp, SendOp, loose_ends
from app.journey.program import from_json as program_from_json
from app.journey.program import to_json as program_to_json
from app.journey.updates import updates
from tests.journey.kit import NOW, OPEN_WORLD, Run, begin, facts, program, until_done, workflow_text

DAY = timedelta(days=1)


def person(number: int) -> dict[str, Any]:
    return facts(contact={"id": number, "language": "it", "tags": [], "attributes": {}})


# --- split ---

SPLIT = """\
  - id: test
    split:
      - { variant: short, weight: %d, steps: [ { id: s1, send: short } ] }
      - { variant: long, weight: %d, steps: [ { id: s2, send: long } ] }
  - { id: after, send: after }
"""


@given(st.integers(0, 100), st.integers(1, 1 << 40))
def test_who_has_drawn_a_variant_keeps_it_whatever_the_weights_become(weight: int, number: int) -> None:
    first = begin(program(SPLIT % (weight, 100 - weight)), person(number))
    drawn = first.state.variants["test"]
    other = program(SPLIT % (100 - weight, weight))
    kept = State(**{**_plain(advance.start(other, "B-1", person(number), NOW)), "variants": {"test": drawn}})
    again = Run(other, kept)
    again.advance(person(number), NOW)
    assert again.state.variants == {"test": drawn}
    assert [send.template for send in again.sends] == [drawn, "after"]


def _plain(state: State) -> dict[str, Any]:
    return {name: getattr(state, name) for name in State.__dataclass_fields__}


@given(st.integers(1, 1 << 40))
def test_a_person_draws_the_same_variant_every_time(number: int) -> None:
    under_test = program(SPLIT % (50, 50))
    one, other = begin(under_test, person(number)), begin(under_test, person(number), NOW + 400 * DAY)
    assert one.state.variants == other.state.variants


@pytest.mark.parametrize("weight", [0, 10, 50, 90, 100])
def test_as_many_draw_a_variant_as_its_weight_says(weight: int) -> None:
    under_test = program(SPLIT % (weight, 100 - weight))
    drawn = [begin(under_test, person(number)).state.variants["test"] for number in range(2000)]
    # Four standard deviations of a binomial with n = 2000: a fair lot fails this once in 16,000 seeds, and the lot is
    # fixed by the ids.
    assert abs(drawn.count("short") / 2000 - weight / 100) <= 4 * (weight / 100 * (1 - weight / 100) / 2000) ** 0.5


def test_who_comes_after_the_decision_gets_the_winner_and_who_had_drawn_keeps_theirs() -> None:
    under_test = program(SPLIT % (50, 50))
    decided = {**person(7), "experiments": {"test": "long"}}
    fresh = begin(under_test, decided)
    assert fresh.state.variants == {"test": "long"}
    assert [d.inputs["by"] for d in fresh.trace if d.code == "split"] == ["winner"]
    gone = {**person(7), "experiments": {"test": "no-such-variant"}}
    assert [d.inputs["by"] for d in begin(under_test, gone).trace if d.code == "split"] == ["lot"]


# --- repeat ---

REPEAT = """\
  - id: nudge
    repeat:
      max: 3
      every: 2 days
      until: enrollment.fields.answer is known
      steps:
        - { id: ask, send: ask }
  - { id: end, send: bye }
"""


def test_rounds_begin_every_so_often_and_no_more_than_the_most() -> None:
    run = until_done(begin(program(REPEAT), facts()), facts())
    assert run.sent == [("ask", NOW), ("ask", NOW + 2 * DAY), ("ask", NOW + 4 * DAY), ("end", NOW + 4 * DAY)]
    assert [send.visit for send in run.sends] == [1, 2, 3, 1]
    assert run.state.visits["ask"] == 3
    assert run.state.rounds == {}


def test_until_is_looked_at_before_every_round_the_first_too() -> None:
    under_test = program(REPEAT.replace("enrollment.fields.answer is known", "contact.tags has answered"))
    answered = facts(contact={"tags": ["answered"], "attributes": {}})
    assert begin(under_test, answered).sent == [("end", NOW)]
    run = begin(under_test, facts())
    run.advance(answered, NOW + 2 * DAY)
    assert run.sent == [("ask", NOW), ("end", NOW + 2 * DAY)]


def test_a_round_that_takes_longer_than_every_is_followed_at_once() -> None:
    slow = REPEAT.replace("- { id: ask, send: ask }", "- { id: ask, send: ask }\n        - { id: pause, wait: 3 days }")
    run = until_done(begin(program(slow), facts()), facts())
    assert [due for step, due in run.sent if step == "ask"] == [NOW, NOW + 3 * DAY, NOW + 6 * DAY]
    assert run.sent[-1] == ("end", NOW + 9 * DAY)


def test_a_worker_that_is_behind_plans_the_same_rounds() -> None:
    behind = begin(program(REPEAT), facts())
    behind.advance(facts(), NOW + 30 * DAY)
    assert behind.sent == until_done(begin(program(REPEAT), facts()), facts()).sent


def test_a_repeat_inside_a_repeat_counts_anew_each_time() -> None:
    nested = """\
  - id: weeks
    repeat:
      max: 2
      every: 7 days
      steps:
        - id: days
          repeat: { max: 3, every: 1 day, steps: [ { id: ask, send: ask } ] }
"""
    run = until_done(begin(program(nested), facts()), facts())
    assert [due - NOW for _, due in run.sent] == [0 * DAY, DAY, 2 * DAY, 7 * DAY, 8 * DAY, 9 * DAY]
    assert [send.visit for send in run.sends] == [1, 2, 3, 4, 5, 6]


def test_rounds_survive_the_way_through_json() -> None:
    run = begin(program(REPEAT), facts())
    stored = from_json(json.loads(json.dumps(to_json(run.state))))
    assert stored == run.state
    assert stored.rounds["nudge"].number == 1


def test_a_person_put_into_the_middle_of_a_round_does_not_get_lost() -> None:
    under_test = program(REPEAT)
    state = advance.start(under_test, "B-1", facts(), NOW)
    inside = State(**{**_plain(state), "step_id": "ask"})
    run = until_done(Run(under_test, inside), facts())
    assert run.state.status == "finished"
    assert len(run.sends) <= 5


@given(st.integers(1, 6), st.integers(1, 6), st.booleans(), st.integers(0, 3))
def test_rounds_are_bounded_and_the_bound_is_known_beforehand(outer: int, inner: int, pause: bool, more: int) -> None:
    wait = "{ id: pause, wait: 1 hour }, " if pause else ""
    sends = ", ".join(f"{{ id: s{number}, send: x }}" for number in range(more + 1))
    steps = f"""\
  - id: out
    repeat:
      max: {outer}
      every: 1 day
      steps: [ {wait}{{ id: in, repeat: {{ max: {inner}, every: 1 hour, steps: [ {sends} ] }} }} ]
"""
    under_test = program(steps)
    run = until_done(begin(under_test, facts()), facts(), most=500)
    assert run.state.status == "finished"
    assert len(run.sends) == outer * inner * (more + 1)
    assert sum(run.state.visits.values()) <= under_test.longest


def test_a_program_that_leads_back_without_a_bound_is_not_fit_to_run() -> None:
    good = program(REPEAT)
    assert loose_ends(good) == []
    repeat = good.ops[0]
    assert isinstance(repeat, RepeatOp)
    endless = replace(good, ops=(replace(repeat, max=0), *good.ops[1:]))
    assert loose_ends(endless) != []
    ask, bye = good.ops[1], good.ops[2]
    assert isinstance(ask, SendOp)
    assert isinstance(bye, SendOp)
    back = replace(good, ops=(repeat, replace(ask, next=1), *good.ops[2:]))
    assert loose_ends(back) == ["ask leads back or nowhere"]
    out = replace(good, ops=(*good.ops[:2], replace(bye, next=1), *good.ops[3:]))
    assert loose_ends(out) == ["end leads back or nowhere"]


def test_more_steps_than_a_passage_may_take_are_not_compiled() -> None:
    step: dict[str, Any] = {"id": "s", "send": "x"}
    for level in range(3):
        step = {"id": f"r{level}", "repeat": {"max": 300, "every": "1 day", "steps": [step]}}
    document = {
        "workflow": "too-long",
        "name": {"en": "Too long"},
        "phase": "retention",
        "class": "transactional",
        "entry": [{"on": "booking.confirmed"}],
        "steps": [step],
    }
    with pytest.raises(ProgramError, match="more than 10000"):
        compile_program(Workflow.model_validate(document))


# --- what is done elsewhere ---


def test_an_event_is_reported_with_what_is_known_then_and_of_the_same_booking() -> None:
    step = """\
  - id: tell
    emit:
      type: custom.stay_planned
      data:
        nights: { from: booking.nights }
        arrival: { from: booking.arrival }
        by: us
        tip: { from: booking.data.x }
"""
    (told,) = [one for one in begin(program(step), facts()).effects if isinstance(one, Emit)]
    assert told == Emit(
        "tell", 1, "custom.stay_planned", {"by": "us", "nights": 3, "arrival": "2026-07-10"}, booking="B-1"
    )


def test_a_call_out_and_a_stop_are_effects_with_an_identity() -> None:
    steps = "  - { id: call, webhook: { endpoint: crm, data: { a: 1 } } }\n  - { id: halt, stop: other }"
    effects = begin(program(steps), facts()).effects
    assert CallOut("call", 1, "crm", {"a": 1}) in effects
    assert StopOther("halt", 1, "other", "stopped", None) in effects
    keyed = begin(program("  - { id: halt, stop: { workflow: other, of: key, reason: moved } }"), facts()).effects
    assert StopOther("halt", 1, "other", "moved", "B-1") in keyed


def test_fields_are_copied_and_what_is_not_known_is_left_as_it_is() -> None:
    step = """\
  - id: keep
    set: { contact.attributes.colour: { from: booking.data.colour }, enrollment.fields.n: { from: booking.nights } }
"""
    effects = begin(program(step), facts()).effects
    assert [one for one in effects if isinstance(one, SetFields)] == [SetFields("keep", 1, "enrollment", {"n": 3})]
    coloured = facts()
    coloured["booking"]["data"] = {"colour": "red"}
    assert SetFields("keep", 1, "contact", {"attributes.colour": "red"}) in begin(program(step), coloured).effects


STARTED = """\
  - id: child
    start: { workflow: survey, await: true, up_to: 5 days }
    then: [ { id: thanks, send: thanks } ]
    timeout: [ { id: late, send: late } ]
"""


def ended(at: datetime, **data: Any) -> Event:
    return Event("workflow.ended", at, {"workflow": "survey", "key": "B-1", "status": "finished", **data}, "B-1")


def test_an_awaited_workflow_is_waited_for_and_what_it_came_to_is_kept() -> None:
    run = begin(program(STARTED), facts())
    assert run.effects == [StartOther("child", 1, "survey", "B-1", awaited=True)]
    assert run.state.waits_for == ("workflow.ended",)
    assert run.take(advance.hear(run.program, run.state, ended(NOW + DAY, outcome="happy"), facts(), NOW + DAY))
    run.advance(facts(), NOW + DAY)
    assert run.sent == [("thanks", NOW + DAY)]
    assert run.state.fields == {"child": "happy"}


def test_an_awaited_workflow_that_does_not_end_in_time_is_not_waited_for_longer() -> None:
    run = until_done(begin(program(STARTED), facts()), facts())
    assert run.sent == [("late", NOW + 5 * DAY)]


@pytest.mark.parametrize(
    ("event", "meant"),
    [
        (ended(NOW + DAY), True),
        (ended(NOW + DAY, workflow="other"), False),
        (ended(NOW + DAY, key="B-2"), False),
        (ended(NOW - DAY), False),
        (ended(NOW + 6 * DAY), False),
        (ended(NOW + DAY, key="B-2", caused_by={"enrollment": 5, "step": "child"}), True),
        (ended(NOW + DAY, caused_by={"enrollment": 6, "step": "child"}), False),
        (ended(NOW + DAY, caused_by={"enrollment": 5, "step": "another"}), False),
    ],
)
def test_only_the_end_of_the_passage_that_was_started_counts(event: Event, meant: bool) -> None:
    known = facts(enrollment={"key": "B-1", "id": 5})
    run = begin(program(STARTED), known)
    assert (advance.hear(run.program, run.state, event, known, NOW + 7 * DAY) is not None) is meant


def test_a_workflow_started_in_passing_is_not_waited_for() -> None:
    run = begin(program("  - { id: child, start: survey }\n  - { id: next, send: x }"), facts())
    assert [type(one).__name__ for one in run.effects] == ["StartOther", "Send", "Left"]


# --- since a step ---


def test_an_event_counts_from_the_step_that_since_names() -> None:
    steps = """\
  - { id: first, send: x }
  - { id: pause, wait: 2 days }
  - { id: second, send: y }
  - { id: rest, wait: 2 days }
  - id: seen
    wait_for: { on: page.viewed, of: contact, up_to: 1 day, since: %s }
    then: [ { id: yes, send: yes } ]
    timeout: [ { id: no, send: no } ]
"""
    for since, at, answer in (
        ("second", NOW + DAY, "no"),
        ("second", NOW + 3 * DAY, "yes"),
        ("entry", NOW + DAY, "yes"),
        ("step", NOW + 3 * DAY, "no"),
    ):
        seen = facts(contact_events=[("page.viewed", at, {})])
        run = until_done(begin(program(steps % since), seen), seen)
        assert run.sends[-1].template == answer, (since, at)


# --- brakes ---


def test_a_passage_ends_when_it_has_lasted_as_long_as_it_may() -> None:
    steps = "  - { id: a, wait: 3 days }\n  - { id: b, send: b }\n  - { id: c, wait: 30 days }\n  - { id: d, send: d }"
    under_test = program(steps, head="limits: { max_duration: 10 days }\n")
    prompt = until_done(begin(under_test, facts()), facts())
    assert (prompt.state.status, prompt.state.reason) == ("exited", "too_long")
    assert prompt.state.moment == NOW + 10 * DAY
    assert prompt.sent == [("b", NOW + 3 * DAY)]
    behind = begin(under_test, facts())
    behind.advance(facts(), NOW + 90 * DAY)
    assert (behind.sends, behind.state.reason) == (prompt.sends, "too_long")


def test_a_passage_ends_when_it_has_taken_as_many_steps_as_it_may() -> None:
    run = until_done(begin(program(REPEAT, head="limits: { max_steps: 3 }\n"), facts()), facts())
    assert run.state.reason == "too_many_steps"
    assert len(run.sends) == 2


# --- what was told and has changed since (X1) ---

UPDATED = "  - { id: eve, send: eve, updated: eve-updated, latest: 1 day }\n  - { id: pause, wait: 60 days }"


def test_a_message_that_went_out_is_put_right_where_what_it_said_has_changed() -> None:
    run = begin(program(UPDATED), facts())
    told, later = {"eve": facts()}, NOW + 3 * DAY
    assert updates(run.program, run.state, told, facts(), later) is None
    moved = facts(arrival=facts()["booking"]["arrival"] + 2 * DAY)
    came = updates(run.program, run.state, told, moved, later)
    assert came is not None
    (send,) = came.effects
    assert isinstance(send, advance.Send)
    assert (send.step_id, send.visit, send.template, send.due) == ("eve", 2, "eve-updated", later)
    changed = [line["field"] for line in came.trace[0].inputs["changed"]]
    assert changed == ["booking.arrival", "booking.departure"]
    again = updates(run.program, came.state, {"eve": moved}, moved, later + DAY)
    assert again is None


def test_what_puts_a_message_right_takes_the_new_stay_along_and_no_file_of_another_template() -> None:
    run = begin(program(UPDATED.replace("latest: 1 day", "attachments: [ calendar, house-rules.pdf ]")), facts())
    came = updates(run.program, run.state, {"eve": facts()}, facts(nights=9), NOW + DAY)
    assert came is not None
    assert [one.attachments for one in came.effects if isinstance(one, advance.Send)] == [("calendar",)]


def test_days_that_were_stored_as_text_are_the_same_days() -> None:
    run = begin(program(UPDATED), facts())
    stored = json.loads(json.dumps(facts(), default=str))
    assert updates(run.program, run.state, {"eve": stored}, facts(), NOW) is None


def test_what_was_not_known_then_is_no_change_and_a_passage_that_is_over_says_nothing() -> None:
    run = begin(program(UPDATED), facts())
    assert updates(run.program, run.state, {"eve": {"booking": {}}}, facts(), NOW) is None
    over = advance.leave(run.state, "gone", None, {"en": "", "it": ""}, NOW).state
    assert updates(run.program, over, {"eve": facts(nights=9)}, facts(), NOW) is None


# --- programs of before ---


def test_a_program_stored_before_there_were_these_steps_still_loads() -> None:
    stored = {
        "workflow": "old",
        "name": {"en": "Old"},
        "phase": "retention",
        "class_": "transactional",
        "ops": [
            {
                "op": "wait",
                "id": "a",
                "until": {"kind": "for", "duration": {"months": 0, "days": 1, "seconds": 0}},
                "next": 1,
                "skip": 1,
                "end": 1,
            },
            {"op": "end", "id": ""},
        ],
        "entry": [{"on": "booking.confirmed"}],
        "exits": [],
    }
    old: Program = program_from_json(stored)
    assert (old.holdout, old.caps, old.limits.max_steps, old.reenter.resume) == (0, None, None, False)
    assert until_done(begin(old, facts()), facts()).state.status == "finished"


def test_a_state_stored_before_there_were_these_steps_still_loads() -> None:
    state = from_json(
        {"status": "active", "key": "B-1", "entered_at": NOW.isoformat(), "moment": NOW.isoformat(), "step_id": "a"}
    )
    assert (state.variants, state.rounds, state.marks) == ({}, {}, {})


def test_the_programs_of_all_steps_go_through_json() -> None:
    for steps in (SPLIT % (50, 50), REPEAT, STARTED, UPDATED):
        under_test = program(steps)
        assert program_from_json(json.loads(json.dumps(program_to_json(under_test)))) == under_test


def test_a_workflow_that_says_nothing_of_it_takes_the_workspace_s_terms() -> None:
    plain = program("  - { id: a, send: x }")
    assert (plain.caps, plain.quiet_hours, plain.tracking) == (None, None, None)
    head = (
        'caps: { day: 1, on_hit: drop }\nquiet_hours: { from: "21:00", to: "08:00" }\ntracking: false\nholdout: 10%\n'
    )
    text = workflow_text("  - { id: a, send: x }", head=head).replace("class: transactional", "class: feedback")
    own = compile_program(read(text, file="t.yaml", known=OPEN_WORLD))
    assert own.caps == {"day": 1, "on_hit": "drop"}
    assert own.quiet_hours == {"from": "21:00", "to": "08:00"}
    assert (own.tracking, own.holdout) == (False, 10)
