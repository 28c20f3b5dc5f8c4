"""What holds of every workflow and every life, however the clock hops and wherever it is interrupted."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.events.catalogue import known_events
from app.journey import advance
from app.journey import program as programs_module
from app.journey.advance import State, from_json, to_json
from app.journey.known import FACT_FIELDS, Known
from app.journey.language import read
from app.journey.program import Program, loose_ends
from tests.journey.kit import NOW
from tests.journey.proof.at_random import (
    Life,
    compiled,
    documents,
    eventful,
    instants,
    lives,
    most_visits,
    plain_programs,
    programs,
)
from tests.journey.proof.living import Lived, live

KNOWN = Known(known_events(), FACT_FIELDS)


def through_json(state: State) -> State:
    return from_json(json.loads(json.dumps(to_json(state))))


def outcome(lived: Lived) -> Any:
    return lived.state, lived.effects, lived.trace


@settings(max_examples=40)
@given(documents)
def test_the_random_workflows_are_valid(document: dict[str, Any]) -> None:
    assert read(json.dumps(document), file="at-random.yaml", known=KNOWN).workflow == "at-random"


@given(documents)
def test_a_program_has_no_loose_ends_and_is_the_same_from_json(document: dict[str, Any]) -> None:
    program = compiled(document)
    assert loose_ends(program) == []
    assert programs_module.from_json(json.loads(json.dumps(programs_module.to_json(program)))) == program
    assert compiled(document) == program


@given(programs, eventful)
def test_it_ends(program: Program, life: Life) -> None:
    lived = live(program, life)
    assert lived.state.status != "active"
    assert lived.state.wake_at is None
    assert lived.state.waits_for == ()
    assert lived.left is not None
    assert sum(effect == lived.left for effect in lived.effects) == 1


@given(programs, eventful)
def test_no_step_is_taken_more_often_than_its_rounds_and_no_message_planned_twice(program: Program, life: Life) -> None:
    lived = live(program, life)
    most = most_visits(program)
    assert {step: count for step, count in lived.state.visits.items() if count > most[step]} == {}
    named = [(send.step_id, send.visit) for send in lived.sends]
    assert len(named) == len(set(named))
    assert all(0 < visit <= lived.state.visits[step] for step, visit in named)


@given(programs, eventful)
def test_it_does_the_same_again(program: Program, life: Life) -> None:
    assert outcome(live(program, life)) == outcome(live(program, life))


@given(programs, eventful)
def test_it_goes_on_from_json_between_any_two_calls(program: Program, life: Life) -> None:
    assert outcome(live(program, life)) == outcome(live(program, life, between=through_json))


@given(plain_programs, lives(), st.lists(instants, max_size=8))
def test_small_and_large_hops_of_the_clock_plan_the_same_messages(
    program: Program, life: Life, hops: list[datetime]
) -> None:
    # Another workflow begins when the worker really starts it, so how long it takes cannot count from the passage's
    # own moment; here it never ends.
    life = replace(life, other_takes=None)
    prompt, behind = live(program, life), live(program, life, hops=hops)
    assert [(send.step_id, send.visit, send.due, send.latest) for send in behind.sends] == [
        (send.step_id, send.visit, send.due, send.latest) for send in prompt.sends
    ]
    assert behind.state.visits == prompt.state.visits
    assert (behind.state.status, behind.state.reason) == (prompt.state.status, prompt.state.reason)


@settings(max_examples=60)
@given(programs, eventful, st.lists(instants, max_size=8))
def test_called_too_early_or_when_it_is_over_nothing_happens(
    program: Program, life: Life, looks: list[datetime]
) -> None:
    lived = live(program, life)
    again = advance.advance(program, lived.state, lived.known(), max(looks, default=NOW))
    assert (again.state, again.effects) == (lived.state, ())
    assert advance.rebind(program, lived.state, lived.known(), NOW) is None
