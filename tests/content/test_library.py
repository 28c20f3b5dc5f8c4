"""The letters that ship in email_templates/: each in every language, with all its facts and with the fewest."""

from __future__ import annotations

import re
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from app.content.catalogue import read_library, sample_facts
from app.content.compile import compile_template, examine
from app.content.compiled import Compiled
from app.content.manifest import Manifest, read_manifest
from app.content.problems import Problem
from app.content.render import Rendered, render
from app.content.samples import URLS

ROOT: Final = Path(__file__).parents[2] / "email_templates"
LIBRARY: Final = read_library(ROOT)
NAMES: Final = tuple(LIBRARY.names)
LANGUAGES: Final = ("en", "it")
EVERY: Final = [(name, language) for name in NAMES for language in LANGUAGES]
PROMISED: Final = {
    "booking-confirmation", "booking-updated", "booking-cancelled", "pre-arrival-direct", "pre-arrival-ota",
    "room-upgrade", "in-stay-welcome", "abandoned-reminder", "abandoned-reasons", "abandoned-extra",
    "review-invitation", "review-reminder", "newsletter-welcome", "guest-voices", "confirm-subscription",
}  # fmt: skip
MARK: Final = re.compile(r"\{\{|\{%|\{#|JJ\d+JJ")
REFUSED_ALL: Final = frozenset({"marketing", "feedback"})


@cache
def compiled(name: str) -> Compiled:
    return compile_template(name, LIBRARY.files)


def manifest(name: str) -> Manifest:
    problems: list[Problem] = []
    read = read_manifest(name, LIBRARY.files, problems)
    assert read is not None, problems
    return read


def fewest(name: str) -> dict[str, Any]:
    """The samples without every fact that a message can do without."""
    facts = deepcopy(sample_facts(name, LIBRARY))
    for field in manifest(name).fields.values():
        if field.required:
            continue
        inner: Any = facts
        *parents, last = field.path.split(".")
        for parent in parents:
            inner = inner.get(parent, {})
        inner.pop(last, None)
    return facts


def mail(
    name: str, language: str, facts: dict[str, Any] | None = None, refused: frozenset[str] = frozenset()
) -> Rendered:
    return render(
        compiled(name).languages[language], sample_facts(name, LIBRARY) if facts is None else facts,
        link=lambda _, address: address, urls=URLS, allows=lambda class_: class_ not in refused, locale=language,
        zone="Europe/Rome",
    )  # fmt: skip


def test_the_letters_that_workflows_send_are_all_there() -> None:
    assert set(NAMES) >= PROMISED


@pytest.mark.parametrize("name", NAMES)
def test_a_letter_compiles_in_both_languages_without_a_problem(name: str) -> None:
    examined = examine(name, LIBRARY.files)

    assert [str(problem) for problem in examined.problems] == []
    assert examined.compiled is not None
    assert set(examined.compiled.languages) == set(LANGUAGES)


@pytest.mark.parametrize(("name", "language"), EVERY)
@pytest.mark.parametrize("given", [sample_facts, lambda name, _: fewest(name)], ids=["all facts", "fewest facts"])
def test_a_letter_shows_no_mark_and_no_hole(name: str, language: str, given: Any) -> None:
    sent = mail(name, language, given(name, LIBRARY))

    for part in (sent.subject, sent.preheader, sent.html, sent.text):
        assert part.strip()
        assert not MARK.search(part)
        assert not re.search(r"\bNone\b|Undefined", part)
    assert not re.search(r" [,.;:](\s|$)|\(\s*\)|,\s*,", sent.text)


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_the_feet_name_who_is_responsible_the_cin_and_the_notice_in_both_parts(name: str, language: str) -> None:
    facts = fewest(name)
    sent = mail(name, language, facts)

    for part in (sent.html, sent.text):
        for said in (facts["property"]["controller"], facts["property"]["vat"], facts["property"]["cin"]):
            assert said in part
        assert URLS["notice_url"] in part


@pytest.mark.parametrize(("name", "language"), EVERY)
def test_only_marketing_and_feedback_have_a_way_to_unsubscribe(name: str, language: str) -> None:
    sent = mail(name, language, refused=REFUSED_ALL - {manifest(name).class_})

    expected = manifest(name).class_ in REFUSED_ALL
    for part in (sent.html, sent.text):
        assert (URLS["unsubscribe_url"] in part) is expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_room_offer_before_arrival_comes_with_its_way_out_or_not_at_all(language: str) -> None:
    offered = mail("pre-arrival-direct", language)
    without = mail("pre-arrival-direct", language, refused=REFUSED_ALL)
    offer = sample_facts("pre-arrival-direct", LIBRARY)["property"]["links"]["upgrade"]

    assert offer in offered.html
    assert URLS["unsubscribe_url"] in offered.html
    assert offered.shown >= {"marketing"}
    assert offer not in without.html
    assert not without.shown


@pytest.mark.parametrize("name", ["abandoned-reminder", "pre-arrival-ota", "confirm-subscription"])
def test_a_letter_that_may_not_promote_holds_no_marketing_block(name: str) -> None:
    assert not {"marketing", "feedback"} & set(compiled(name).block_classes)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_masked_address_gets_no_link_but_the_notice(language: str) -> None:
    assert {address for _, address in mail("pre-arrival-ota", language).links_used} <= {URLS["notice_url"]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_changed_booking_shows_before_and_after_only_of_what_changed(language: str) -> None:
    facts = sample_facts("booking-updated", LIBRARY)
    facts["event"]["previous"] = {"arrival": "2026-06-12", "adults": facts["booking"]["adults"]}
    facts["booking"]["children"] = 0
    sent = mail("booking-updated", language, facts)

    old = re.findall(r"<s [^>]*>(.*?)</s>", sent.html)
    assert old == [{"en": "12 Jun 2026", "it": "12 giu 2026"}[language]]


def test_every_picture_a_letter_shows_is_drawn_and_small() -> None:
    shown = {name for text in LIBRARY.files.values() for name in re.findall(r"asset\('([^']+)'\)", text)}

    assert shown
    for name in shown:
        picture = ROOT / "_assets" / name
        assert picture.with_suffix(".svg").exists()
        assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert picture.stat().st_size < 30_000


def test_the_guide_lists_every_fact_that_a_letter_relies_on() -> None:
    guide = (ROOT / "README.md").read_text("utf-8")
    relied_on = {path for name in NAMES for path in manifest(name).fields}

    assert {path for path in relied_on if f"`{path}`" not in guide} == set()
