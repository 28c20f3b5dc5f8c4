"""Recorded passages are run again on today's core: programs stored then, and what they did then.

A difference means that people who are inside would be treated otherwise than they were promised. See
`histories/README.md` for what to do about it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from app.journey.program import from_json, to_json
from app.journey.simulate import Outcome, Scene, simulate
from tests.journey.histories import tape

HISTORIES = Path(__file__).parent / "histories"
RECORDED = sorted(HISTORIES.glob("*--*.json"))
TOLD = sorted(set(HISTORIES.glob("*.json")) - set(RECORDED))
SCENES: TypeAdapter[Scene] = TypeAdapter(Scene)


def held(file: Path) -> dict[str, Any]:
    history: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return history


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_a_recorded_passage_goes_as_it_went(file: Path) -> None:
    history = held(file)
    for call, came in zip(history["calls"], tape.replayed(history), strict=True):
        assert tape.promised(came) == tape.promised(call["gives"]), f"{call['call']} at {call['now']}"


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_a_recorded_passage_is_worth_replaying(file: Path) -> None:
    calls = held(file)["calls"]
    assert [call["call"] for call in calls[:2]] == ["door", "start"]
    assert any(call["gives"] and call["gives"].get("effects") for call in calls)


def test_the_recordings_hold_every_kind_of_call() -> None:
    calls = {call["call"] for file in RECORDED for call in held(file)["calls"]}
    assert calls >= {"door", "start", "advance", "hear", "rebind", "updates", "leave"}


def test_the_recordings_hold_nearly_every_effect() -> None:
    gives = [call["gives"] or {} for file in RECORDED for call in held(file)["calls"]]
    effects = {effect["effect"] for one in gives for effect in one.get("effects", [])}
    assert effects >= {"send", "set", "task", "emit", "start", "stop", "left"}, "a call out needs an endpoint"


def told(outcome: Outcome) -> dict[str, Any]:
    """What must stay of a story: messages with their instants, ends, and the order of decisions."""
    return {
        "messages": [
            [one.step_id, one.template, one.at.isoformat(), one.outcome, one.code] for one in outcome.messages
        ],
        "passages": [[one.key, one.status, one.reason] for one in outcome.passages],
        "trace": [[one.at.isoformat(), one.step_id, one.code] for one in outcome.trace],
    }


@pytest.mark.parametrize("file", TOLD, ids=lambda file: file.stem)
def test_a_recorded_story_goes_as_it_went(file: Path) -> None:
    history = held(file)
    outcome = simulate(from_json(history["program"]), SCENES.validate_python(history["scene"]))
    assert told(outcome) == history["outcome"]


@pytest.mark.parametrize("file", [*RECORDED, *TOLD], ids=lambda file: file.stem)
def test_a_program_stored_then_is_the_same_program_when_stored_again(file: Path) -> None:
    program = from_json(held(file)["program"])
    assert from_json(json.loads(json.dumps(to_json(program)))) == program
