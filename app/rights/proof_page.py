"""A proof pack as a page to read, in English or Italian; it needs no network, no script and no other file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from babel import dates
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.rights.proof_texts import CODES, TEXTS

LANGUAGES = ("en", "it")
_LOCALES = {"en": "en_GB", "it": "it_IT"}

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(document: Mapping[str, Any], language: str) -> str:
    """The document as one HTML page; every instant is told in UTC, as it was signed."""
    place = LANGUAGES.index(language)

    def say(name: str, /, **values: Any) -> str:
        return TEXTS[name][place].format(**values)

    def word(code: str | None) -> str:
        return CODES[code][place] if code in CODES else (code or "–").replace("_", " ")

    def words(codes: Iterable[str]) -> str:
        return ", ".join(word(code) for code in codes)

    def when(instant: str | None) -> str:
        if not instant:
            return "–"
        told = dates.format_datetime(datetime.fromisoformat(instant), "d MMMM y, HH:mm:ss", locale=_LOCALES[language])
        return f"{told} UTC"

    def topic(name: str | None) -> str:
        title = document["topics"].get(name) or {}
        return str(title.get(language) or title.get("en") or name) if name else say("all_topics")

    template = _environment.get_template("proof.html")
    called = {"say": say, "word": word, "words": words, "when": when, "topic": topic}
    return template.render(document=document, language=language, **called)
