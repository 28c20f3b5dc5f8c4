"""The studio's two languages: complete, in step with its texts, and right about time."""

from __future__ import annotations

import importlib.util
import re
from datetime import UTC, date, datetime, timedelta
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from babel.messages.pofile import read_po
from flask import g

from app.studio import languages
from tests.conftest import ROOT
from tests.studio.stage import Stage


@pytest.fixture(scope="module")
def translations() -> ModuleType:
    """`bin/translations`, as a module."""
    loader = SourceFileLoader("translations", str(ROOT / "bin" / "translations"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("translations", loader))  # type: ignore[arg-type]
    loader.exec_module(module)
    return module


def _italian() -> Any:
    path = Path(languages.CATALOGUES) / "it" / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        return read_po(file, locale="it")


def test_no_italian_text_is_empty_or_fuzzy(translations: ModuleType) -> None:
    entries = [entry for entry in _italian() if entry.id]
    assert len(entries) > 400
    assert [entry.id for entry in entries if not all(translations.strings_of(entry))] == []
    assert [entry.id for entry in entries if entry.fuzzy] == []


def test_the_catalogue_has_every_text_of_the_studio_and_no_other(translations: ModuleType) -> None:
    written = {entry.id for entry in translations.texts() if entry.id}
    kept = {entry.id for entry in _italian() if entry.id}
    assert (written - kept, kept - written) == (set(), set()), "run bin/translations, then translate what is new"


def test_names_to_fill_in_are_the_same_in_both_languages(translations: ModuleType) -> None:
    for entry in _italian():
        if not entry.id:
            continue
        wanted = set(re.findall(r"%\(\w+\)s", " ".join(entry.id) if isinstance(entry.id, tuple | list) else entry.id))
        for string in translations.strings_of(entry):
            assert set(re.findall(r"%\(\w+\)s", string)) <= wanted, entry.id
            assert "!" not in string, "no exclamation marks"


NOW = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)  # Saturday, 23:30 in Rome; the clocks go forward that night


@pytest.mark.parametrize(
    ("instant", "english", "italian"),
    [
        (NOW + timedelta(seconds=20), "now", "adesso"),
        (NOW + timedelta(minutes=5), "in 5 minutes", "tra 5 minuti"),
        (NOW - timedelta(minutes=40), "40 minutes ago", "40 minuti fa"),
        (datetime(2026, 3, 29, 14, 0, tzinfo=UTC), "tomorrow 16:00", "domani 16:00"),
        (datetime(2026, 3, 27, 15, 0, tzinfo=UTC), "yesterday 16:00", "ieri 16:00"),
        (datetime(2026, 4, 2, 14, 0, tzinfo=UTC), "Thursday 16:00", "giovedì 16:00"),
        (datetime(2026, 8, 12, 14, 0, tzinfo=UTC), "12 Aug 16:00", "12 ago 16:00"),
        (datetime(2027, 1, 12, 15, 0, tzinfo=UTC), "12 Jan 2027 16:00", "12 gen 2027 16:00"),
        (datetime(9999, 1, 1, tzinfo=UTC), "when it is resumed", "quando riprende"),
    ],
)
def test_times_are_said_as_people_say_them_by_the_hotel_s_clock(
    stage: Stage, instant: datetime, english: str, italian: str
) -> None:
    for language, words in (("en", english), ("it", italian)):
        with stage.app.test_request_context("/", headers={"Accept-Language": language}):
            g.zone = "Europe/Rome"
            assert languages.said(instant, NOW) == words


def test_the_exact_instant_names_zone_and_utc(stage: Stage) -> None:
    with stage.app.test_request_context("/"):
        g.zone = "Europe/Rome"
        told = languages.exact(datetime(2026, 7, 1, 14, 0, tzinfo=UTC))
    assert "16:00:00 CEST (Europe/Rome), 14:00 UTC" in told


def test_money_and_numbers_follow_the_reader(stage: Stage) -> None:
    for language, money, number, day in (
        ("en", "€1,234.50", "12,345", "12 Aug 2026"),
        ("it", "1.234,50\xa0€", "12.345", "12 ago 2026"),
    ):
        with stage.app.test_request_context("/", headers={"Accept-Language": language}):
            assert languages.money(123_450, "EUR") == money
            assert languages.number(12_345) == number
            assert languages.day(date(2026, 8, 12)) == day
