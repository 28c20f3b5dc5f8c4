"""What came back of a message, as it is told."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from app.delivery.engagement import WHY
from app.enrollments.returned import _WHY_MACHINE, returned
from app.studio.words import DELIVERY

MESSAGE = SimpleNamespace(id=7, enrollment_id=None, step_id=None)


def event(kind: str, **data: Any) -> Any:
    at = datetime(2026, 5, 4, 10, tzinfo=UTC)
    return SimpleNamespace(kind=kind, reason=None, occurred_at=at, provider="percorso", data=data)


def test_a_person_followed_a_link() -> None:
    told = returned(event("clicked", url="https://x.example", **{"class": "human", "why": "reader"}), MESSAGE)
    assert (told.code, told.sentence["en"]) == ("clicked", "The reader followed a link: https://x.example")


def test_a_machine_is_told_as_one_with_why() -> None:
    told = returned(event("opened", **{"class": "proxy", "why": "image_proxy"}), MESSAGE)
    assert told.code == "opened_machine"
    assert (
        told.sentence["en"] == "A machine opened it: the mail program fetched the pictures, whoever looked or did not"
    )
    assert told.sentence["it"].startswith("Una macchina l'ha aperto: il programma di posta")
    assert told.inputs["class"] == "proxy"


def test_what_is_not_settled_says_so() -> None:
    told = returned(event("clicked", **{"class": "unsettled"}), MESSAGE)
    assert told.code == "clicked_unsettled"
    assert "in some seconds" in told.sentence["en"]


def test_what_was_recorded_before_hits_were_sorted_is_a_readers() -> None:
    assert returned(event("clicked", url="https://x.example"), MESSAGE).code == "clicked"


@pytest.mark.parametrize("code", sorted(set(WHY) - {"reader"}))
def test_every_why_has_words(code: str) -> None:
    assert all(_WHY_MACHINE[code])


@pytest.mark.parametrize("code", ["clicked", "opened"])
@pytest.mark.parametrize("who", ["machine", "unsettled"])
def test_every_code_has_its_mark(code: str, who: str) -> None:
    assert f"{code}_{who}" in DELIVERY
