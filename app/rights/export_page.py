"""An export as a page to read, in English or Italian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.rights import notice, paper
from app.rights.export_texts import TEXTS
from app.rights.retention_periods import Periods

LEFT_OUT = frozenset({"consent_records", "messages"})
"""Tables that the page tells of in its own words; they are whole in the JSON."""


def page(document: Mapping[str, Any], topics: Mapping[str, Mapping[str, str]], language: str) -> str:
    """The document as one HTML page; instants in UTC."""

    def table(name: str) -> str:
        known = TEXTS.get(f"table_{name}")
        return known[paper.LANGUAGES.index(language)] if known else name.replace("_", " ")

    return paper.page(
        "export.html",
        TEXTS,
        document,
        language,
        table=table,
        topic=lambda name: paper.title(topics, name or "", language),
        when=lambda instant: paper.when(instant, language),
        kept_for=notice.lines(Periods(**document["kept_for"]), language),
        tables={name: rows for name, rows in document["tables"].items() if name not in LEFT_OUT},
    )
