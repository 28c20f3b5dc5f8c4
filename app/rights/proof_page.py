"""A proof pack as a page to read, in English or Italian; every instant is told in UTC, as it was signed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.rights import paper
from app.rights.proof_texts import CODES, TEXTS


def page(document: Mapping[str, Any], language: str) -> str:
    """The document as one HTML page."""
    place = paper.LANGUAGES.index(language)

    def word(code: str | None) -> str:
        return CODES[code][place] if code in CODES else (code or "–").replace("_", " ")

    def words(codes: Iterable[str]) -> str:
        return ", ".join(word(code) for code in codes)

    def topic(name: str | None) -> str:
        return paper.title(document["topics"], name, language) if name else TEXTS["all_topics"][place]

    def when(instant: str | None) -> str:
        return paper.when(instant, language, "d MMMM y, HH:mm:ss", "–")

    return paper.page("proof.html", TEXTS, document, language, word=word, words=words, when=when, topic=topic)
