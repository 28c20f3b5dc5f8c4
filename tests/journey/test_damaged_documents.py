"""Whatever somebody writes into a file, they get a workflow that compiles or a list of problems; never a crash."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.events.catalogue import known_events
from app.journey.compiler import compile_program
from app.journey.flow import flow
from app.journey.known import FACT_FIELDS, Known
from app.journey.language import LanguageError, Workflow, load, read
from app.journey.places import plain

KNOWN = Known(events=known_events(), fields=FACT_FIELDS, topics=("offers", "newsletter"))
FILES = sorted((Path(__file__).resolve().parents[2] / "workflows" / "hotel").glob("*[!s].yaml"))
SOURCES = [file.read_text(encoding="utf-8") for file in FILES if ".stories" not in file.name]
DOCUMENTS = [plain(load(source, "a.yaml")) for source in SOURCES]

WORDS = (
    "send|wait|if|else|unknown|steps|booking.arrival|10:00|-1 day|clicked a|x||late|exit|any|booking.nights >= 1|now|"
    "until|for|on|id|9999 years|property|true|[a"
)
words = st.sampled_from(WORDS.split("|"))
values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | words
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path below a document."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for key, value in inner for found in [(*path, key), *places(value, (*path, key))]]


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """A shipped workflow with something taken out, put in, or exchanged."""
    document: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(document)))
        node: Any = document
        for key in path[:-1]:
            node = node[key]
        match draw(st.sampled_from(["remove", "replace", "insert"])):
            case "remove":
                del node[path[-1]]
            case "replace":
                node[path[-1]] = draw(values)
            case _ if isinstance(node, dict):
                node[draw(words)] = draw(values)
            case _:
                node.insert(path[-1], draw(values))
        if not places(document):
            break
    return document


def told_or_read(text: str) -> Workflow | None:
    """The workflow, compiled and drawn; or None, where every problem has its place and words."""
    try:
        workflow = read(text, file="a.yaml", known=KNOWN)
    except LanguageError as error:
        problems = error.problems
    else:
        flow(compile_program(workflow))
        return workflow
    lines = text.count("\n") + 1
    assert problems
    assert all(1 <= one.line <= lines and one.column >= 1 and one.message for one in problems)
    return None


@given(damaged())
def test_a_damaged_workflow_is_refused_or_still_compiles(document: dict[str, Any]) -> None:
    told_or_read(json.dumps(document, indent=1))


@given(values)
def test_any_document_at_all_is_refused(document: Any) -> None:
    assert told_or_read(json.dumps(document)) is None


@given(
    st.sampled_from(SOURCES), st.integers(0, 3000), st.integers(0, 30), st.text(":-[]{}'\"\n #&*!|>%@`ab", max_size=5)
)
def test_a_slip_of_the_hand_in_the_text_is_refused_or_still_compiles(
    source: str, at: int, length: int, written: str
) -> None:
    told_or_read(source[:at] + written + source[at + length :])
