"""An export as a page to read, in English or Italian; it needs no network, no script and no other file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from babel import dates
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.rights.export_texts import TEXTS

LANGUAGES = ("en", "it")
_LOCALES = {"en": "en_GB", "it": "it_IT"}
LEFT_OUT = frozenset({"consent_records", "messages"})
"""Tables that the page tells of in its own words; they are whole in the JSON."""

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(document: Mapping[str, Any], topics: Mapping[str, Mapping[str, str]], language: str) -> str:
    """The document as one HTML page; instants in UTC."""
    place = LANGUAGES.index(language)

    def say(name: str, /, **values: Any) -> str:
        return TEXTS[name][place].format(**values)

    def table(name: str) -> str:
        return TEXTS[f"table_{name}"][place] if f"table_{name}" in TEXTS else name.replace("_", " ")

    def topic(name: str | None) -> str:
        title = topics.get(name or "") or {}
        return str(title.get(language) or title.get("en") or name or "")

    def when(instant: str | None) -> str:
        if not instant:
            return ""
        told = dates.format_datetime(datetime.fromisoformat(instant), "d MMMM y, HH:mm", locale=_LOCALES[language])
        return f"{told} UTC"

    shown = {name: rows for name, rows in document["tables"].items() if name not in LEFT_OUT}
    return _environment.get_template("export.html").render(
        document=document, language=language, say=say, table=table, topic=topic, when=when, tables=shown
    )
