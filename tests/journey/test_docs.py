"""The page on the language: every example reads, and every word of the language stands in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.events.catalogue import known_events
from app.journey.condition_lines import OPERATORS
from app.journey.known import FACT_FIELDS, Known
from app.journey.language import read
from app.journey.model import LATER, LATER_KEYS, STEPS, Entry, Goal, Workflow, keys_of
from app.journey.model_steps import Awaited, Send, Waiting
from app.journey.stories import read_stories

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "workflows.md").read_text(encoding="utf-8")
KNOWN = Known(events=known_events(), fields=FACT_FIELDS)
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
HEAD = """\
workflow: example
name: { en: Example }
phase: retention
class: transactional
entry: [ { on: booking.confirmed } ]
"""


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_reads(example: str) -> None:
    if example.startswith("- story:"):
        read_stories(example, file="example", known=KNOWN)
    elif example.startswith("workflow:"):
        read(example, file="example", known=KNOWN)
    elif example.startswith("if:"):
        indented = "".join(f"      {line}\n" for line in example.splitlines())
        step = "      steps: [ { id: s, send: x } ]\n"
        body = "steps:\n  - id: b\n    branch:\n    - " + indented.lstrip() + step
        read(HEAD + body, file="example", known=KNOWN)
    else:
        before = "" if "id: upsell" in example else "  - { id: upsell, send: x }\n"
        read(
            HEAD + "steps:\n" + before + "".join(f"  {line}\n" for line in example.splitlines()) + "",
            file="example",
            known=KNOWN,
        )


def test_every_word_of_the_language_is_explained() -> None:
    words = {*STEPS, *LATER, *LATER_KEYS, *OPERATORS, "late", "skip_to_end"}
    for block in (Workflow, Entry, Goal, Send, Waiting, Awaited):
        words |= set(keys_of(block))
    unsaid = {"description", "sender", "attachments"}
    assert sorted(word for word in words - unsaid if word not in PAGE) == []
