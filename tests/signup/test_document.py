"""What a form may not be (R4, R5)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.signup import document as documents
from app.signup import forms
from app.signup.document import Document
from tests.signup.conftest import DOCUMENT, Hall

TOPICS = ("newsletter", "offers")


def test_the_words_a_form_begins_with_need_only_a_topic_and_the_edition_of_the_notice() -> None:
    assert documents.problems(Document(), TOPICS) == {"topics": "no_topic", "notice_version": "needed"}
    assert documents.problems(DOCUMENT, TOPICS) == {}


def test_r4_the_newsletter_is_never_the_price_of_something() -> None:
    wanted = replace(DOCUMENT, must_tick=("notice", "newsletter"))
    assert documents.problems(wanted, TOPICS) == {"must_tick": "forced"}


@pytest.mark.parametrize("no", [{}, {"en": "No.", "it": " "}])
def test_r4_there_is_a_way_to_say_no_in_every_language(no: dict[str, str]) -> None:
    assert documents.problems(replace(DOCUMENT, no=no), TOPICS)["no-it"] == "no_refusal"


def test_r4_a_no_that_reads_like_the_yes_is_none() -> None:
    both = {"en": "Yes.", "it": "Sì."}
    assert set(documents.problems(replace(DOCUMENT, yes=both, no=both), TOPICS).values()) == {"same"}


def test_a_topic_that_is_gone_is_told() -> None:
    assert documents.problems(replace(DOCUMENT, topics=("news",)), TOPICS) == {"topics": "unknown_topic"}


def test_a_document_comes_back_as_it_was_stored() -> None:
    assert documents.read(DOCUMENT.as_json()) == DOCUMENT
    assert documents.read(DOCUMENT.as_json() | {"later": 1}) == DOCUMENT


@pytest.mark.parametrize(
    ("text_", "good", "bad"),
    [
        ("https://WWW.example.com/", ["https://www.example.com"], []),
        (
            "https://a.example, https://a.example\nhttp://localhost:8000",
            ["https://a.example", "http://localhost:8000"],
            [],
        ),
        (
            "http://a.example * https://a.example/path 'self'",
            [],
            ["http://a.example", "*", "https://a.example/path", "'self'"],
        ),
    ],
)
def test_sites_are_whole_origins_and_nothing_wider(text_: str, good: list[str], bad: list[str]) -> None:
    assert documents.origins(text_) == (good, bad)


def test_r5_a_wording_that_was_shown_is_never_changed(hall: Hall) -> None:
    with pytest.raises(DBAPIError, match="append-only"), hall.session.begin_nested():
        hall.session.execute(text("UPDATE signup_form_versions SET document = '{}'"))
    assert forms.publish(hall.session, hall.form, "Marta", hall.room.now) == 1, "the same words keep their number"
