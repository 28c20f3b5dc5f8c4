"""In which language a person is written to (R25)."""

from __future__ import annotations

from typing import Any

import pytest

from app.content.languages import Choice, choose

ALL = ("it", "en", "de", "fr", "es")


def facts(
    contact: str | None = None, booking: str | None = None, country: str | None = None, place: str | None = None
) -> dict[str, Any]:
    return {
        "contact": {"language": contact, "country": country},
        "booking": {"data": {"language": booking}} if booking else None,
        "property": {"language": place},
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (facts("fr", "de", "ES", "it"), Choice("fr", "contact", "fr")),
        (facts(None, "de", "ES", "it"), Choice("de", "booking", "de")),
        (facts(None, None, "ES", "it"), Choice("es", "country", "es")),
        (facts(None, None, "CH", "it"), Choice("it", "property", "it")),
        (facts(None, None, None, None), Choice("it", "fallback", None)),
        (facts("en-GB"), Choice("en", "contact", "en-GB")),
        (facts("DE_at"), Choice("de", "contact", "DE_at")),
        (facts("ja", "de"), Choice("it", "fallback", "ja")),
    ],
)
def test_declared_then_booking_then_country_then_property(given: dict[str, Any], expected: Choice) -> None:
    assert choose(given, ALL) == expected


def test_the_property_may_set_its_own_fallback_order() -> None:
    assert choose(facts("ja"), ALL, order=("en", "it")).language == "en"


def test_a_template_with_one_other_language_is_still_sent() -> None:
    assert choose(facts("ja"), ["de"]) == Choice("de", "only", "ja")


def test_a_template_without_a_language_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="without any language"):
        choose(facts("it"), [])


def test_no_booking_and_no_property_are_no_obstacle() -> None:
    assert choose({"contact": {"language": "en"}, "booking": None, "property": None}, ALL).language == "en"
