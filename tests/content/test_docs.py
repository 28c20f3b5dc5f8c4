"""docs/templates.md says what there is, and nothing that is not."""

from __future__ import annotations

import re
from pathlib import Path

from app.content.environment import FILTERS
from app.content.manifest import CLASSES, FIELD_TYPES
from app.content.problems import CODES
from app.content.program import URLS
from app.content.source import BLOCK_CLASSES

DOCS = (Path(__file__).parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")


def table(head: str) -> list[str]:
    """The first cells of the table that begins with a head."""
    rows = DOCS[DOCS.index(f"| {head} |") :].split("\n\n")[0].splitlines()[2:]
    return [row.split("|")[1] for row in rows]


def test_every_filter_is_listed_and_no_other() -> None:
    named = {name for cell in table("filter") for name in re.findall(r"`(\w+)", cell)}
    assert named == set(FILTERS)


def test_every_code_is_listed_with_its_meaning() -> None:
    for code, meaning in CODES.items():
        assert f"| `{code}` | {meaning} |" in DOCS
    assert {cell.strip(" `") for cell in table("code")} == set(CODES)


def test_classes_types_and_addresses_are_named() -> None:
    for name in (*CLASSES, *BLOCK_CLASSES, *FIELD_TYPES, *URLS):
        assert f"`{name}`" in DOCS, name
