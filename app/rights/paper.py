"""What the files that people are given have in common: pages that need no network, no script and no other file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from babel import dates
from jinja2 import Environment, FileSystemLoader, StrictUndefined

LANGUAGES = ("en", "it")
_LOCALES = {"en": "en_GB", "it": "it_IT"}

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

Texts = Mapping[str, tuple[str, str]]
"""Key → (English, Italian)."""


def page(template: str, texts: Texts, document: Mapping[str, Any], language: str, /, **called: Any) -> str:
    """A document by its template; `say` words it by `texts`, `called` is whatever else the template calls."""
    place = LANGUAGES.index(language)

    def say(name: str, /, **values: Any) -> str:
        return texts[name][place].format(**values)

    return _environment.get_template(template).render(document=document, language=language, say=say, **called)


def when(instant: str | None, language: str, pattern: str = "d MMMM y, HH:mm", nothing: str = "") -> str:
    """An instant of a document, told in UTC."""
    if not instant:
        return nothing
    return f"{dates.format_datetime(datetime.fromisoformat(instant), pattern, locale=_LOCALES[language])} UTC"


def title(titles: Mapping[str, Mapping[str, str]], name: str, language: str) -> str:
    """What a topic is called."""
    known = titles.get(name) or {}
    return str(known.get(language) or known.get("en") or name)


def plain(document: Mapping[str, Any]) -> bytes:
    """A document for machines."""
    return json.dumps(document, indent=1, ensure_ascii=False).encode()
