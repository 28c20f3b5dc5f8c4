"""Every workflow we ship reads, and every story beside it comes out as told, judged by production's own rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.enrollments.rehearse import rehearse
from app.events.catalogue import known_events
from app.journey.compiler import compile_program
from app.journey.flow import beginning, endings, flow
from app.journey.known import FACT_FIELDS, Known
from app.journey.language import read
from app.journey.program import Program
from app.journey.stories import Stories, differences, read_stories, scene

WORKFLOWS = Path(__file__).resolve().parents[2] / "workflows"
FILES = sorted(path for path in WORKFLOWS.rglob("*.yaml") if not path.name.endswith(".stories.yaml"))
KNOWN = Known(events=known_events(), fields=FACT_FIELDS)


def program(file: Path) -> Program:
    return compile_program(read(file.read_text(encoding="utf-8"), file=file.name, known=KNOWN))


def stories(file: Path) -> Stories:
    beside = file.with_name(file.stem + ".stories.yaml")
    return read_stories(beside.read_text(encoding="utf-8"), file=beside.name, known=KNOWN)


def told() -> list[tuple[Path, int, str]]:
    return [(file, number, one.story) for file in FILES for number, one in enumerate(stories(file).stories)]


def test_the_four_workflows_of_a_hotel_are_there() -> None:
    names = {file.stem for file in FILES}
    assert {"pre-arrival", "abandoned-booking", "review-request", "newsletter-welcome"} <= names


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_is_named_after_its_workflow(file: Path) -> None:
    assert program(file).workflow == file.stem


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_workflow_has_stories_that_expect_something(file: Path) -> None:
    found = stories(file).stories
    assert len(found) >= 5
    assert all(story.expect is not None for story in found)


@pytest.mark.parametrize(("file", "number", "name"), told(), ids=lambda part: part if isinstance(part, str) else "")
def test_a_story_comes_out_as_told(file: Path, number: int, name: str) -> None:
    of_file = stories(file)
    outcome = rehearse(program(file), scene(of_file.stories[number]))
    assert [str(problem) for problem in differences(of_file, number, outcome)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_card_speaks_both_languages(file: Path) -> None:
    under_test = program(file)
    cards = list(flow(under_test))
    said = [*beginning(under_test), *endings(under_test)]
    while cards:
        card = cards.pop()
        said += [card.sentence, *card.notes, *(way.sentence for way in card.ways)]
        cards += [inner for way in card.ways for inner in way.cards]
    assert said
    assert all(sentence["en"].strip() and sentence["it"].strip() for sentence in said)
