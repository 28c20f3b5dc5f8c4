"""Recorded journeys are run again on today's core: a program stored then, and what it did then.

`histories/*.json` hold programs as they were stored and the outcome they had. A difference means that people who are
inside would be treated otherwise than they were promised: it must be wanted, explained in the commit, and written anew
with `python -m tests.journey.test_histories`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from app.journey.compiler import compile_program
from app.journey.known import FACT_FIELDS, Known
from app.journey.language import read
from app.journey.program import from_json, to_json
from app.journey.simulate import Outcome, Scene, simulate
from app.journey.stories import read_stories, scene
from tests.journey.kit import EVENTS

HISTORIES = Path(__file__).parent / "histories"
WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows" / "hotel"
SCENES: TypeAdapter[Scene] = TypeAdapter(Scene)
RECORDED = {
    "pre-arrival": ("Booked early, direct", "Moved nearer, so that a week before is past", "Does not come"),
    "review-request": ("The departure is put right afterwards",),
}


def summary(outcome: Outcome) -> dict[str, Any]:
    """What must stay: messages with their instants, ends, and the order of decisions."""
    return {
        "messages": [
            [one.step_id, one.template, one.at.isoformat(), one.outcome, one.code] for one in outcome.messages
        ],
        "passages": [[one.key, one.status, one.reason] for one in outcome.passages],
        "trace": [[one.at.isoformat(), one.step_id, one.code] for one in outcome.trace],
    }


@pytest.mark.parametrize("file", sorted(HISTORIES.glob("*.json")), ids=lambda file: file.stem)
def test_a_recorded_journey_goes_as_it_went(file: Path) -> None:
    history = json.loads(file.read_text(encoding="utf-8"))
    outcome = simulate(from_json(history["program"]), SCENES.validate_python(history["scene"]))
    assert summary(outcome) == history["outcome"]


def test_there_are_histories() -> None:
    assert len(list(HISTORIES.glob("*.json"))) >= 4


def record() -> None:
    """Write the histories anew from today's workflows and stories."""
    HISTORIES.mkdir(exist_ok=True)
    known = Known(EVENTS, FACT_FIELDS)
    for name, wanted in RECORDED.items():
        source = (WORKFLOWS / f"{name}.yaml").read_text(encoding="utf-8")
        events = {**EVENTS, **dict.fromkeys(("booking.no_show", "review.posted"), EVENTS["page.viewed"])}
        program = compile_program(read(source, file=name, known=Known(events, known.fields)))
        told = read_stories((WORKFLOWS / f"{name}.stories.yaml").read_text(encoding="utf-8"), file=name)
        for story in told.stories:
            if story.story in wanted:
                act = scene(story)
                history = {
                    "story": story.story,
                    "program": to_json(program),
                    "scene": SCENES.dump_python(act, mode="json"),
                    "outcome": summary(simulate(program, act)),
                }
                file = HISTORIES / f"{name}-{'-'.join(story.story.lower().replace(',', '').split()[:3])}.json"
                file.write_text(json.dumps(history, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record()
