"""What kinds of events are called, in both languages.

The names are the catalogue's (`events/catalogue.py`), which tells them here: the words of a sentence belong to this
layer, the list of events to one above it.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.journey.known import CUSTOM

_NAMES: dict[str, Mapping[str, str]] = {}


def learn(names: Mapping[str, Mapping[str, str]]) -> None:
    """Take the names of kinds of events: kind → {en, it}."""
    _NAMES.update(names)


def event_name(kind: str, language: str) -> str:
    """What a kind of event is called: "Booking confirmed"; one of a team's own by its own name in words."""
    named = _NAMES.get(kind)
    if named is not None:
        return named.get(language) or named["en"]
    return kind.removeprefix(CUSTOM).replace(".", " ").replace("_", " ")
