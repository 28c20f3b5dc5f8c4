"""MJML in the wild: every file of the shared collection compiles, or is refused for the right reason."""

from __future__ import annotations

import json
import posixpath
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from app.content.lint import lint
from app.content.mjml import draw_document

pytestmark = pytest.mark.shared_data

ACCESSIBILITY = {"missing-alt", "low-contrast"}
"""What the reference implementation does not look at."""
OURS = {"unsupported"}
"""What the reference takes and our compiler does not: inlined styles."""


def load(shared: Path) -> tuple[list[dict[str, Any]], dict[str, str]]:
    root = shared / "mjml" if (shared / "mjml").is_dir() else shared / "data" / "mjml"
    listed: list[dict[str, Any]] = json.loads((root / "index.json").read_text())["files"]
    files = {one["file"]: (root / one["file"]).read_text(encoding="utf-8") for one in listed}
    # The collection is flat; the names of folders are part of the file names, and some parts were left out of it.
    for name in list(files):
        folder, _, rest = name.partition("/")
        if "__" in rest:
            files[f"{folder}/{rest.replace('__', '/')}"] = files[name]
    section = "<mj-section><mj-column><mj-text>A part</mj-text></mj-column></mj-section>"
    for name, text in list(files.items()):
        for include in re.findall(r'<mj-include path="([^"]+)"', text):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(name), include))
            files.setdefault(path, "p { margin: 0 }" if path.endswith(".css") else section)
    return listed, files


def test_every_file_compiles_or_is_refused_for_the_right_reason(shared: Path) -> None:
    listed, files = load(shared)
    assert len(listed) == 148
    compiled = 0
    for one in listed:
        name = one["file"].replace("__", "/")
        drawn, problems = draw_document(name, files)
        errors = {p.code for p in problems if p.severity == "error"}
        text = files[name]
        if not one["mjml_js"]["compiles"]:
            assert errors == {"no-root"}, (name, problems)
        elif 'inline="inline"' in text:
            assert errors == {"unsupported"}, (name, problems)
        elif any("doesn't exist" in warning for warning in one["mjml_js"]["warnings"]):
            assert "unknown-tag" in errors, (name, problems)
        else:
            assert drawn is not None, (name, problems)
            assert "</html>" in drawn.html
            compiled += 1
    assert compiled >= 125


def test_the_linter_says_what_the_reference_says_and_nothing_more(shared: Path) -> None:
    listed, files = load(shared)
    for one in listed:
        if not one["mjml_js"]["compiles"]:
            continue
        found = [p for p in lint(files[one["file"]], one["file"]) if p.code not in ACCESSIBILITY | OURS]
        if "doesn't exist" in str(one["mjml_js"]["warnings"]):
            found = [p for p in found if p.code == "unknown-tag"]
        assert len(found) == len(one["mjml_js"]["warnings"]), (one["file"], found)


def test_a_picture_of_the_reference_has_the_words_of_ours(shared: Path) -> None:
    listed, files = load(shared)
    root = shared / "mjml" if (shared / "mjml").is_dir() else shared / "data" / "mjml"
    for one in listed:
        drawn, _ = draw_document(one["file"].replace("__", "/"), files)
        for expected in one.get("expected") or []:
            if drawn is None or "include" in one["file"]:
                continue
            theirs = _words((root / expected).read_text(encoding="utf-8"))
            ours = _words(drawn.html)
            assert theirs <= ours, (one["file"], theirs - ours)


def _words(html: str) -> set[str]:
    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.words: set[str] = set()
            self.silent = 0

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.silent += tag in {"style", "script", "title"}

        def handle_endtag(self, tag: str) -> None:
            self.silent -= tag in {"style", "script", "title"}

        def handle_data(self, data: str) -> None:
            if not self.silent:
                self.words.update(word for word in data.split() if word.isalpha())

    reader = Reader()
    reader.feed(html)
    return reader.words
