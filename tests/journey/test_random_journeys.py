"""What holds of every workflow and every life, however the clock hops and wherever it is interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from app.journey import advance
from app.journey import program as programs_module
from app.journey.advance import Send, State, from_json, to_json
from app.journey.entry import Event
from app.journey.facts import Facts
from app.journey.program import Program, loose_ends
from tests.journey.at_random import arrivals, happenings, instants, lives, programs, waiting_first
from tests.journey.kit import NOW, Run, begin, drive, facts

Life = Callable[[datetime], Facts]


def through_json(state: State) -> State:
    return from_json(json.loads(json.dumps(to_json(state))))


def plans(run: Run) -> list[Send]:
    return run.sends


@given(programs, lives(), happenings())
def test_it_ends(program: Program, life: Life, events: list[Event]) -> None:
    run = drive(program, life, events=events)
    assert run.state.status != "active"
    assert run.state.wake_at is None
    assert run.left is not None


@given(programs, lives(), happenings())
def test_no_step_is_taken_twice(program: Program, life: Life, events: list[Event]) -> None:
    run = drive(program, life, events=events)
    assert all(count == 1 for count in run.state.visits.values())
    named = [(send.step_id, send.visit) for send in run.sends]
    assert len(named) == len(set(named))


@given(programs, lives(), happenings())
def test_it_does_the_same_again(program: Program, life: Life, events: list[Event]) -> None:
    one, other = (drive(program, life, events=events) for _ in range(2))
    assert (one.state, one.effects, one.trace) == (other.state, other.effects, other.trace)


@given(programs, lives(), happenings(), st.lists(instants, max_size=8))
def test_small_and_large_hops_of_the_clock_plan_the_same_messages(
    program: Program, life: Life, events: list[Event], hops: list[datetime]
) -> None:
    prompt, behind = drive(program, life, events=events), drive(program, life, events=events, hops=hops)
    assert prompt.sends == behind.sends
    assert prompt.state.visits == behind.state.visits
    assert (prompt.state.status, prompt.state.reason) == (behind.state.status, behind.state.reason)


@given(programs, lives(), happenings())
def test_it_goes_on_from_json_at_any_instant(program: Program, life: Life, events: list[Event]) -> None:
    stored = programs_module.from_json(json.loads(json.dumps(programs_module.to_json(program))))
    assert stored == program
    one = drive(program, life, events=events)
    other = drive(stored, life, events=events, between=through_json)
    assert (one.state, one.effects, one.trace) == (other.state, other.effects, other.trace)


@given(waiting_first, arrivals, arrivals, st.integers(0, 60 * 24 * 60), happenings())
def test_a_date_moved_before_any_message_equals_having_known_it(
    program: Program, first: date, second: date, minutes: int, events: list[Event]
) -> None:
    at = NOW + timedelta(minutes=minutes)
    waiting = begin(program, facts(arrival=first))
    known = begin(program, facts(arrival=second))
    assume(all(run.state.step_id == "a1" for run in (waiting, known)))
    assume(all(run.state.wake_at is not None and run.state.wake_at > at for run in (waiting, known)))
    later = [event for event in events if event.occurred_at > at]

    moved = advance.rebind(program, waiting.state, facts(arrival=second), at)
    state = moved.state if moved else waiting.state
    assert state == known.state

    def from_here(state: State) -> Run:
        """The rest of the passage, promptly."""
        run = Run(program, state)
        ahead, past = list(later), []
        for _ in range(500):
            moments = [event.occurred_at for event in ahead[:1]] + ([run.state.wake_at] if run.state.wake_at else [])
            if not moments:
                return run
            now = min(moments)
            while ahead and ahead[0].occurred_at <= now:
                event = ahead.pop(0)
                past.append((event.type, event.occurred_at))
                run.take(advance.hear(program, run.state, event, facts(arrival=second), now))
            run.advance(facts(arrival=second, past_events=list(past), contact_events=list(past)), now)
        raise AssertionError("does not come to rest")

    assert from_here(state).effects == from_here(known.state).effects


@given(programs, lives(), st.lists(st.tuples(instants, arrivals), max_size=5), happenings())
def test_however_often_a_booking_moves_no_message_goes_twice(
    program: Program, life: Life, moves: list[tuple[datetime, date]], events: list[Event]
) -> None:
    known: dict[str, Any] = dict(life(NOW))
    run = begin(program, known)
    turns: list[tuple[datetime, Any]] = [*moves, *((event.occurred_at, event) for event in events)]
    past: list[tuple[str, datetime]] = []
    for at, what in sorted(turns, key=lambda turn: turn[0]):
        while run.state.wake_at is not None and run.state.wake_at <= at:
            run.advance({**known, "contact_events": list(past)}, run.state.wake_at)
        if isinstance(what, Event):
            past.append((what.type, what.occurred_at))
            run.take(advance.hear(program, run.state, what, known, at))
        else:
            known = {**known, "booking": facts(arrival=what)["booking"]}
            run.take(advance.rebind(program, run.state, known, at))
        run.advance({**known, "contact_events": list(past)}, at)
    for _ in range(200):
        if run.state.wake_at is None:
            break
        run.advance({**known, "contact_events": list(past)}, run.state.wake_at)
    assert run.state.status != "active"
    assert all(count == 1 for count in run.state.visits.values())
    assert len({send.step_id for send in run.sends}) == len(run.sends)


@given(programs)
def test_every_program_has_no_loose_ends(program: Program) -> None:
    assert loose_ends(program) == []
    assert len(program.places) == len(program.ops)
