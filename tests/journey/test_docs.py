"""The page on the language: every journey on it is valid and its stories come out; every word of it is used or told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.enrollments.rehearse import rehearse
from app.events.catalogue import known_events
from app.journey.compiler import compile_program
from app.journey.condition_lines import OPERATORS
from app.journey.known import FACT_FIELDS, Known
from app.journey.language import read
from app.journey.model import LATER, STEPS, Entry, Goal, Workflow, keys_of
from app.journey.model_steps import Awaited, Send, Waiting
from app.journey.stories import differences, read_stories, scene

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "workflows.md").read_text(encoding="utf-8")
KNOWN = Known(events=known_events(), fields={**FACT_FIELDS, "contact.attributes.birthday": "date"})
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@dataclass(frozen=True)
class Journey:
    """One journey of the page: its workflow and the stories that follow it."""

    name: str
    workflow: str
    stories: str


def journeys() -> list[Journey]:
    found = []
    for block, after in zip(BLOCKS, [*BLOCKS[1:], ""], strict=True):
        if block.startswith("workflow:"):
            found.append(Journey(block.split()[1], block, after if after.startswith("- story:") else ""))
    return found


JOURNEYS = {journey.name: journey for journey in journeys()}


def told() -> list[tuple[str, int, str]]:
    return [
        (name, number, story.story)
        for name, journey in JOURNEYS.items()
        for number, story in enumerate(read_stories(journey.stories, file=name, known=KNOWN).stories)
    ]


def test_there_are_eleven_journeys_each_with_stories() -> None:
    assert len(JOURNEYS) == 11
    assert [name for name, journey in JOURNEYS.items() if not journey.stories] == []


def test_no_block_is_left_unread() -> None:
    kinds = ("workflow:", "- story:", "if:")
    assert [block for block in BLOCKS if not block.startswith(kinds)] == []


@pytest.mark.parametrize(("name", "number", "story"), told(), ids=lambda part: part if isinstance(part, str) else "")
def test_a_story_of_the_page_comes_out(name: str, number: int, story: str) -> None:
    journey = JOURNEYS[name]
    program = compile_program(read(journey.workflow, file=f"{name}.yaml", known=KNOWN))
    stories = read_stories(journey.stories, file=f"{name}.stories.yaml", known=KNOWN)
    assert stories.stories[number].expect is not None
    outcome = rehearse(program, scene(stories.stories[number]))
    assert [str(problem) for problem in differences(stories, number, outcome)] == []


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.startswith("if:")])
def test_every_condition_of_the_page_reads(block: str) -> None:
    head = (
        "workflow: w\nname: { en: W }\nphase: retention\nclass: transactional\nentry: [ { on: booking.confirmed } ]\n"
    )
    lines = "".join(f"      {line}\n" for line in block.splitlines()).lstrip()
    steps = f"steps:\n  - id: b\n    branch:\n    - {lines}      steps: [ {{ id: s, send: x }} ]\n"
    read(head + steps, file="w.yaml", known=KNOWN)


def test_every_word_of_the_language_is_told() -> None:
    words = {*STEPS, *LATER, *OPERATORS, "late", "skip_to_end", "skip_next", "go_on"}
    for block in (Workflow, Entry, Goal, Send, Waiting, Awaited):
        words |= set(keys_of(block))
    only_in_the_reference = {"description", "starts"}
    assert sorted(word for word in words - only_in_the_reference if word not in PAGE) == []


def test_every_kind_of_step_is_used_in_a_journey() -> None:
    used = {kind for kind in STEPS for journey in JOURNEYS.values() if re.search(rf"\b{kind}:", journey.workflow)}
    assert used == set(STEPS)


@pytest.mark.parametrize("page", ["workflows.md", "peers.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", text):
        assert not target or (DOCS / target).exists(), target
        if anchor and not target:
            heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}, anchor
