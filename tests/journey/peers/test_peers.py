"""Every journey in the data folder of the peers is one of ours, and goes the same ways.

`docs/peers.md` says which of ours each one is, or why it is none; its table is what this test reads.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from app.enrollments.rehearse import rehearse
from app.events.catalogue import known_events
from app.journey.advance import SetFields
from app.journey.compiler import compile_program
from app.journey.known import FACT_FIELDS, Known
from app.journey.language import read
from app.journey.program import Program
from app.journey.simulate import Stage, allow_all, overwrite
from app.journey.stories import Stories, differences, read_stories, scene
from tests.journey.kit import NOW, begin, facts
from tests.journey.peers.shapes import ways_of, ways_of_dittofeed, ways_of_parcelvoy

HERE = Path(__file__).parent
PAGE = Path(__file__).resolve().parents[3] / "docs" / "peers.md"
FILES = sorted(path for path in HERE.glob("*.yaml") if not path.name.endswith(".stories.yaml"))
KNOWN = Known(known_events(), FACT_FIELDS)

BY_ANOTHER_DOOR = ("parcelvoy__JourneyService_4",)
"""Begins otherwise, and the page says why."""


@dataclass(frozen=True)
class Line:
    """One line of the page's table: a journey of a peer, and ours or the reason why there is none."""

    ours: tuple[str, ...]
    remark: str


def table() -> dict[str, Line]:
    rows = re.findall(r"^\| `([\w-]+)` \|([^|]*)\|([^|]*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: Line(tuple(re.findall(r"\[([\w-]+)\]", ours)), remark.strip()) for name, ours, remark in rows}


def program(name: str) -> Program:
    source = (HERE / f"{name}.yaml").read_text(encoding="utf-8")
    return compile_program(read(source, file=f"{name}.yaml", known=KNOWN))


def stories(name: str) -> Stories:
    beside = HERE / f"{name}.stories.yaml"
    return read_stories(beside.read_text(encoding="utf-8"), file=beside.name, known=KNOWN)


def told() -> list[tuple[str, int, str]]:
    return [(file.stem, number, one.story) for file in FILES for number, one in enumerate(stories(file.stem).stories)]


@pytest.mark.parametrize("name", [file.stem for file in FILES])
def test_each_is_a_valid_workflow_with_stories_that_expect_something(name: str) -> None:
    assert program(name).workflow == name
    found = stories(name).stories
    assert found
    assert all(story.expect is not None for story in found)


@pytest.mark.parametrize(("name", "number", "story"), told(), ids=lambda part: part if isinstance(part, str) else "")
def test_a_story_comes_out_as_told(name: str, number: int, story: str) -> None:
    of_file = stories(name)
    outcome = rehearse(program(name), scene(of_file.stories[number]))
    assert [str(problem) for problem in differences(of_file, number, outcome)] == []


@pytest.mark.parametrize(("name", "number", "story"), told(), ids=lambda part: part if isinstance(part, str) else "")
def test_a_story_comes_to_the_same_where_nobody_reads_why(name: str, number: int, story: str) -> None:
    outcomes = []
    for traced in (True, False):
        stage = Stage(program(name), scene(stories(name).stories[number]), allow_all, overwrite, traced=traced)
        outcomes.append(stage.play())
    read, unread = outcomes
    assert read.trace
    assert unread == replace(read, trace=())


def test_the_page_names_each_of_our_workflows_and_no_other() -> None:
    assert {name for line in table().values() for name in line.ours} == {file.stem for file in FILES}


def test_each_line_names_a_workflow_or_a_reason() -> None:
    assert table()
    assert [name for name, line in table().items() if not line.ours and not line.remark] == []


def peers(shared: Path) -> dict[str, Any]:
    """Every journey and scenario of the data folder by the name it has on the page."""
    folder = shared / "data" / "peer_journeys"
    listed = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = {}
    for entry in listed:
        journey = YAML(typ="safe").load((folder / entry["file"]).read_text(encoding="utf-8"))
        # A switch of the peer's journey that its test sets outside the definition.
        again = any("canRunMultiple is true" in told for told in entry["test_names"])
        found[Path(entry["file"]).stem] = {**journey.pop("definition", journey), **({"again": True} if again else {})}
    scenarios = json.loads((folder / "scenarios.json").read_text(encoding="utf-8"))["scenarios"]
    return {**found, **{scenario["name"]: scenario for scenario in scenarios}}


@pytest.mark.shared_data
def test_every_file_of_the_folder_is_listed_in_its_index(shared: Path) -> None:
    folder = shared / "data" / "peer_journeys"
    listed = {entry["file"] for entry in json.loads((folder / "index.json").read_text(encoding="utf-8"))}
    assert {path.name for path in folder.iterdir()} - listed == {"README.md", "index.json", "scenarios.json"}


@pytest.mark.shared_data
def test_every_journey_of_the_peers_is_on_the_page(shared: Path) -> None:
    assert sorted(set(peers(shared)) - set(table())) == [], "journeys that docs/peers.md does not know"
    assert sorted(set(table()) - set(peers(shared))) == [], "lines of docs/peers.md that are no journey of the folder"


@pytest.mark.shared_data
def test_ours_go_the_same_ways_as_theirs(shared: Path) -> None:
    compared = 0
    for name, journey in peers(shared).items():
        theirs = ways(name, journey)
        if theirs is None:
            continue
        for ours in table()[name].ours:
            assert ways_of(program(ours)) == theirs, f"{ours} is not {name}"
            compared += 1
    assert compared >= 28


@pytest.mark.shared_data
def test_ours_begin_as_theirs_do(shared: Path) -> None:
    for name, journey in peers(shared).items():
        if ways(name, journey) is None or name in BY_ANOTHER_DOOR:
            continue
        for ours in table()[name].ours:
            assert door(program(ours)) == their_door(journey), f"{ours} begins otherwise than {name}"


def test_an_update_copies_what_the_event_said() -> None:
    known = facts(event={"type": "custom.entrance", "occurred_at": NOW, "favorite_color": "blue"})
    (written,) = [effect for effect in begin(program("copy-a-field"), known).effects if isinstance(effect, SetFields)]
    assert (written.target, written.values) == ("contact", {"attributes.field2": "blue"})


@pytest.mark.shared_data
def test_what_a_test_of_theirs_only_names_has_as_many_steps_of_each_kind(shared: Path) -> None:
    """Some of their tests keep the nodes in variables: the names say what they are."""
    for name, journey in peers(shared).items():
        if not (isinstance(journey.get("nodes"), list) and isinstance(journey.get("entryNode"), str)):
            continue
        for ours in table()[name].ours:
            met = [one for way in ways_of(program(ours)) for one in way]
            for kind in ("message", "split"):
                named = [node for node in journey["nodes"] if node.startswith(f"<{kind}")]
                if kind == "message":
                    assert met.count(("message", "no topic")) == len(named)
                else:
                    assert max(sum(one[0] == "split" for one in way) for way in ways_of(program(ours))) == len(named)


def ways(name: str, journey: Any) -> set[Any] | None:
    """The ways through a peer's journey; None where the file does not hold them."""
    if name.startswith("parcelvoy__"):
        return ways_of_parcelvoy(journey)
    if not name.startswith("dittofeed__") or not isinstance(journey["entryNode"], dict):
        return None
    return ways_of_dittofeed(journey) if "child" in journey["entryNode"] else None


def their_door(journey: Any) -> tuple[str, bool, bool]:
    """How one comes in (by an event or by a segment), whether by a key, and whether again: as far as the file says."""
    if "entryNode" in journey:
        entry = journey["entryNode"]
        return ("event" if "event" in entry else "segment", "key" in entry, "again" in journey or "reEnter" in entry)
    entrance = next(step for step in journey.values() if step["type"] == "entrance")
    return ("event" if entrance["data"].get("trigger") == "event" else "segment", False, False)


def door(ours: Program) -> tuple[str, bool, bool]:
    (rule,) = ours.entry
    return ("segment" if rule.on == "segment.entered" else "event", ours.key is not None, ours.reenter.allowed)
