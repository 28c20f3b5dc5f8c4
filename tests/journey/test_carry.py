"""Going over to another version: nobody takes a step twice, nobody is lost, waits go on under the new words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.journey.advance import State, advance, start
from app.journey.carry import after_pause, carry
from app.journey.compiler import compile_program
from app.journey.language import Workflow
from app.journey.program import Program, RepeatOp
from tests.journey.kit import NOW, facts, program

Step = dict[str, Any]
FAR = timedelta(days=400)


def at(day: int, hour: int = 8) -> datetime:
    return datetime(2026, 6, day, hour, tzinfo=UTC)


def run(prog: Program, state: State, until: datetime, known: dict[str, Any]) -> tuple[State, list[tuple[str, int]]]:
    """Let a passage take its steps up to an instant; gives its state and what it planned: (step, visit)."""
    sent: list[tuple[str, int]] = []
    while state.status == "active" and state.wake_at is not None and state.wake_at <= until:
        moved = advance(prog, state, known, max(state.wake_at, state.moment))
        sent += [(effect.step_id, effect.visit) for effect in moved.effects if effect.effect == "send"]
        assert moved.state != state, "a passage that is due must come on"
        state = moved.state
    return state, sent


# -- what becomes of a wait ------------------------------------------------------------------------------------------

BEFORE = """
  - { id: hello, send: booking-confirmation }
  - { id: pause, wait: 10 days }
  - { id: bye, send: booking-confirmation }
"""


def waiting(prog: Program) -> State:
    return run(prog, start(prog, "B-1", facts(), NOW), NOW, facts())[0]


def test_a_wait_that_says_the_same_is_kept_to_the_second() -> None:
    old = program(BEFORE)
    new = program(BEFORE.replace("id: bye, send: booking-confirmation", "id: bye, send: pre-arrival-direct"))
    gone = carry(old, new, waiting(old), {}, facts(), at(3))
    assert gone is not None
    assert gone.state.wake_at == NOW + timedelta(days=10)
    assert gone.trace == ()


@pytest.mark.parametrize(
    ("length", "until"),
    [("12 days", NOW + timedelta(days=12)), ("4 days", NOW + timedelta(days=4)), ("1 day", at(3))],
)
def test_a_wait_of_another_length_counts_from_when_it_was_reached_and_ends_no_sooner_than_the_version_came(
    length: str, until: datetime
) -> None:
    old, new = program(BEFORE), program(BEFORE.replace("10 days", length))
    gone = carry(old, new, waiting(old), {}, facts(), at(3))
    assert gone is not None
    assert gone.state.wake_at == until
    later = advance(new, gone.state, facts(), until)
    assert [effect.step_id for effect in later.effects if effect.effect == "send"] == ["bye"]
    (send,) = (effect for effect in later.effects if effect.effect == "send")
    assert send.latest is not None
    assert send.latest > until, "what the new version brings forward is on time, not a day late"


def test_a_dated_wait_moves_and_what_is_past_follows_its_late_rule() -> None:
    dated = BEFORE.replace("10 days", "{ until: booking.arrival, offset: -7 days, late: skip_next }")
    old = program(dated)
    moved = carry(old, program(dated.replace("-7 days", "-9 days")), waiting(old), {}, facts(), at(3))
    assert moved is not None
    assert moved.state.wake_at == datetime(2026, 6, 30, 22, tzinfo=UTC), "midnight in Rome, nine days before 10 July"
    past = carry(old, program(dated.replace("-7 days", "-60 days")), waiting(old), {}, facts(), at(3))
    assert past is not None
    assert [decision.code for decision in past.trace] == ["late"]
    assert run(program(dated), past.state, at(30), facts())[1] == [], "skip_next leaves out the mail behind it"


def test_a_step_that_is_gone_keeps_people_where_they_are_unless_it_is_mapped() -> None:
    old = program(BEFORE)
    new = program(BEFORE.replace("id: pause", "id: rest"))
    state = waiting(old)
    assert carry(old, new, state, {}, facts(), at(3)) is None
    renamed = carry(old, new, state, {"pause": "rest"}, facts(), at(3))
    assert renamed is not None
    assert (renamed.state.step_id, renamed.state.wake_at) == ("rest", NOW + timedelta(days=10)), (
        "the same wait, renamed"
    )
    out = carry(old, new, state, {"pause": None}, facts(), at(3))
    assert out is not None
    assert (out.state.status, out.state.reason) == ("exited", "version_changed")


def test_what_was_taken_under_an_old_name_is_not_taken_again_under_the_new() -> None:
    old = program(BEFORE)
    new = program("""
  - { id: pause, wait: 10 days }
  - { id: welcome, send: booking-confirmation }
  - { id: bye, send: booking-confirmation }
""")
    gone = carry(old, new, waiting(old), {"hello": "welcome"}, facts(), at(3))
    assert gone is not None
    assert run(new, gone.state, at(30), facts())[1] == [("bye", 1)]


def test_a_wait_inside_a_removed_branch_can_be_mapped_behind_it() -> None:
    old = program("""
  - id: way
    branch:
      - if: booking.channel == direct
        steps: [ { id: long, wait: 10 days }, { id: offer, send: pre-arrival-direct } ]
      - else: true
  - { id: bye, send: booking-confirmation }
""")
    new = program("  - { id: bye, send: booking-confirmation }\n")
    gone = carry(old, new, waiting(old), {"long": "bye"}, facts(), at(3))
    assert gone is not None
    assert run(new, gone.state, at(3), facts())[1] == [("bye", 1)]


def test_what_is_awaited_is_begun_anew_where_the_version_awaits_something_else() -> None:
    old = program("  - { id: f, wait_for: { on: booking.checked_in, up_to: 20 days }, then: [], timeout: [] }\n")
    new = program("  - { id: f, wait_for: { on: upsell.purchased, up_to: 20 days }, then: [], timeout: [] }\n")
    state = waiting(old)
    bought = {**facts(), "past_events": [("upsell.purchased", at(2), {})]}
    gone = carry(old, new, state, {}, bought, at(3))
    assert gone is not None
    assert advance(new, gone.state, bought, at(3)).state.status == "finished", "it happened since the step was reached"
    still = carry(old, new, state, {}, facts(), at(3))
    assert still is not None
    waits = advance(new, still.state, facts(), at(3)).state
    assert (waits.waits_for, waits.until) == (("upsell.purchased",), NOW + timedelta(days=20))


# -- always ----------------------------------------------------------------------------------------------------------

_LENGTHS = st.sampled_from(["10 minutes", "1 day", "3 days", "2 weeks"])
_WAIT = st.one_of(
    _LENGTHS,
    st.fixed_dictionaries(
        {
            "until": st.sampled_from(["booking.arrival", "booking.departure"]),
            "offset": st.sampled_from(["-30 days", "-7 days", "1 day"]),
            "late": st.sampled_from(["go_on", "skip_next", "skip_to_end", "exit"]),
        }
    ),
)
_AWAITED = st.fixed_dictionaries({"on": st.sampled_from(["booking.checked_in", "page.viewed"]), "up_to": _LENGTHS})


@st.composite
def documents(draw: st.DrawFn) -> list[Step]:
    """Steps out of one stock of ids, each id always of the same kind, in any order, with any words."""
    number = iter(range(100))

    def sequence(depth: int, stock: list[str]) -> list[Step]:
        steps: list[Step] = []
        for _ in range(draw(st.integers(0, 4))):
            if not stock or next(number) > 12:
                break
            name = stock.pop(draw(st.integers(0, len(stock) - 1)))
            match name[0]:
                case "s":
                    steps.append({"id": name, "send": "x"})
                case "w":
                    steps.append({"id": name, "wait": draw(_WAIT)})
                case "t":
                    steps.append({"id": name, "set": {"enrollment.fields.seen": name}})
                case "f" if depth:
                    inner = sequence(depth - 1, stock), sequence(depth - 1, stock)
                    steps.append({"id": name, "wait_for": draw(_AWAITED), "then": inner[0], "timeout": inner[1]})
                case "r" if depth:
                    if body := sequence(depth - 1, stock):
                        max_ = draw(st.integers(1, 3))
                        steps.append({"id": name, "repeat": {"max": max_, "every": draw(_LENGTHS), "steps": body}})
                case "b" if depth:
                    yes, no = sequence(depth - 1, stock), sequence(depth - 1, stock)
                    line = draw(st.sampled_from(["booking.nights >= 3", "contact.language == de"]))
                    steps.append({"id": name, "branch": [{"if": line, "steps": yes}, {"else": True, "steps": no}]})
        return steps

    stock = [f"{kind}{place}" for kind in "sswwtfrb" for place in (1, 2)]
    return sequence(2, sorted(set(stock))) or [{"id": "s1", "send": "x"}]


def compiled(steps: list[Step]) -> Program:
    return compile_program(
        Workflow.model_validate(
            {
                "workflow": "at-random",
                "name": {"en": "At random"},
                "phase": "retention",
                "class": "transactional",
                "entry": [{"on": "booking.confirmed"}],
                "key": "booking.reference",
                "follow": "booking",
                "steps": steps,
            }
        )
    )


programs = documents().map(compiled)


def looped(prog: Program) -> set[str]:
    return {op.id for each in prog.ops if isinstance(each, RepeatOp) for op in prog.ops[each.body : each.end]}


@st.composite
def mappings(draw: st.DrawFn, old: Program, new: Program) -> Mapping[str, str | None]:
    return draw(
        st.dictionaries(
            st.sampled_from([op.id for op in old.ops if op.id]),
            st.none() | st.sampled_from([op.id for op in new.ops if op.id]),
            max_size=3,
        )
    )


@given(st.data(), programs, programs, st.integers(0, 40))
def test_whoever_goes_over_takes_no_step_twice_and_comes_to_an_end(
    data: st.DataObject, old: Program, new: Program, day: int
) -> None:
    known = facts(nights=3)
    when = NOW + timedelta(days=day)
    state, before = run(old, start(old, "B-1", known, NOW), when, known)
    mapping = data.draw(mappings(old, new))
    gone = carry(old, new, state, mapping, known, when)
    if gone is None:
        target = mapping.get(state.step_id or "", state.step_id)
        assert state.status != "active" or target not in new.places, "only who has no place in it stays behind"
        return
    if gone.state.status == "active":
        assert gone.state.step_id in new.places
        assert gone.state.wake_at is not None or gone.state.waits_for, "somebody must come back to it"
    else:
        assert gone.state.reason, "who leaves is told why"
    ended, after = run(new, gone.state, when + FAR, known)
    assert ended.status != "active" or ended.wake_at is None
    names = {a: b for a, b in mapping.items() if b and b not in old.places}
    had = {names.get(step, step) for step, _ in before}
    again = [step for step, _ in after if step in had and step not in looped(new)]
    assert again == []
    planned = [*before, *after]
    assert len(planned) == len(set(planned)), "no message is planned twice under one identity"


@given(programs, programs, st.integers(0, 40))
def test_going_over_and_back_again_is_as_if_nothing_had_been_where_the_step_is_in_both(
    old: Program, new: Program, day: int
) -> None:
    known = facts(nights=3)
    when = NOW + timedelta(days=day)
    state, before = run(old, start(old, "B-1", known, NOW), when, known)
    there = carry(old, new, state, {}, known, when)
    back = carry(new, old, there.state, {}, known, when) if there else None
    if back is None:
        return
    _, after = run(old, back.state, when + FAR, known)
    had = {step for step, _ in before}
    assert [step for step, _ in after if step in had and step not in looped(old)] == []


@given(programs, st.integers(0, 40))
@example(program("  - { id: s1, send: booking-confirmation }\n"), 1)
def test_finished_people_are_never_run_again(prog: Program, day: int) -> None:
    known = facts(nights=3)
    state, _ = run(prog, start(prog, "B-1", known, NOW), NOW + FAR, known)
    if state.status != "active":
        assert carry(prog, prog, state, {}, known, NOW + timedelta(days=day)) is None


@given(programs, st.integers(0, 40))
def test_going_over_to_the_very_same_changes_nothing_that_is_sent(prog: Program, day: int) -> None:
    known = facts(nights=3)
    when = NOW + timedelta(days=day)
    state, before = run(prog, start(prog, "B-1", known, NOW), when, known)
    gone = carry(prog, prog, state, {}, known, when)
    whole = run(prog, start(prog, "B-1", known, NOW), when + FAR, known)[1]
    assert before + (run(prog, gone.state, when + FAR, known)[1] if gone else []) == whole


# -- after a pause ---------------------------------------------------------------------------------------------------

PAUSED = """
  - { id: pause, wait: { until: booking.arrival, offset: -30 days, late: LATE } }
  - { id: offer, send: pre-arrival-direct }
  - { id: bye, send: booking-confirmation }
"""


@pytest.mark.parametrize(
    ("late", "rule", "sends"),
    [
        ("go_on", "late_rules", ["offer", "bye"]),
        ("skip_next", "late_rules", ["bye"]),
        ("skip_to_end", "late_rules", []),
        ("exit", "late_rules", []),
        ("go_on", "skip_next", ["bye"]),
        ("go_on", "exit", []),
    ],
)
def test_what_came_due_in_a_pause_goes_by_the_rule_of_the_pause(late: str, rule: Any, sends: list[str]) -> None:
    prog = program(PAUSED.replace("LATE", late))
    state = waiting(prog)
    assert state.until is not None
    now = state.until + timedelta(days=5)
    dealt = after_pause(prog, state, rule, now)
    state = dealt.state if dealt else state
    assert [step for step, _ in run(prog, replace(state, wake_at=now), now, facts())[1]] == sends


def test_what_came_due_minutes_before_a_pause_ended_goes_on() -> None:
    prog = program(PAUSED.replace("LATE", "skip_next"))
    state = waiting(prog)
    assert state.until is not None
    assert after_pause(prog, state, "exit", state.until + timedelta(minutes=59)) is None
