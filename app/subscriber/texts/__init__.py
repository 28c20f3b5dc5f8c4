"""The words of the public pages: one table for each language, each written by its own ear.

A further language is one more file and one more name in `TABLES`; a test holds that none lacks a text or a gap.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.subscriber.texts import en, it

TABLES: Mapping[str, Mapping[str, str]] = {"en": en.TEXTS, "it": it.TEXTS}
"""Language → key → text. The first is what is spoken where a language is not known."""

NAMES: Mapping[str, str] = {"en": "English", "it": "Italiano"}
"""Language → its own name for itself."""

SPOKEN: tuple[str, ...] = tuple(TABLES)


def say(key: str, language: str, **gaps: object) -> str:
    """A text in a language (English where it is not spoken), its gaps filled."""
    text = TABLES.get(language, TABLES["en"])[key]
    return text.format(**gaps) if gaps else text
