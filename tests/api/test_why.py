"""`GET /why`: what the API tells of the decisions about a person."""

from __future__ import annotations

import pytest

from tests.api.conftest import problem
from tests.enrollments.test_simulation import guest, stay
from tests.hotel import Hotel


@pytest.fixture
def lived(hotel: Hotel) -> Hotel:
    hotel.report("booking.confirmed", contact=guest("dora"), booking=stay("D-1", 9, 0))
    hotel.report("booking.confirmed", contact=guest("ugo"), booking=stay("U-1", 30, 3))
    hotel.work()
    return hotel


def test_a_person_and_a_workflow_are_told_in_both_languages_with_inputs_and_rule(lived: Hotel) -> None:
    shown = lived.client.get(
        "/api/v1/why?contact=dora&workflow=pre-arrival", headers={"Authorization": f"Bearer {lived.loaded.api_key}"}
    ).get_json()
    refused = shown["decisions"][1]
    assert (shown["contact"], shown["workflow"]) == ("dora", "pre-arrival")
    assert refused["code"] == "condition_false"
    assert refused["sentence"]["en"] == "Not entered: nights is at least 1 — it was 0"
    assert refused["sentence"]["it"].startswith("Non è entrato")
    assert refused["inputs"]["lines"][0]["found"] == 0


def test_a_message_is_told_by_its_number_alone(lived: Hotel) -> None:
    sent = lived.messages(state="accepted")[0]
    key = {"Authorization": f"Bearer {lived.loaded.api_key}"}
    shown = lived.client.get(f"/api/v1/why?message={sent.id}", headers=key).get_json()
    assert shown["message"] == sent.id
    (gate,) = [one for one in shown["decisions"] if one["stage"] == "gate"]
    assert gate["rule"] == "R20"
    assert len(gate["checks"]) > 5


@pytest.mark.parametrize(
    ("query", "status", "name"),
    [
        ("", 422, "invalid"),
        ("?contact=dora", 422, "invalid"),
        ("?workflow=pre-arrival", 422, "invalid"),
        ("?message=x", 422, "invalid"),
        ("?contact=dora&workflow=pre-arrival&sort=x", 422, "invalid"),
        ("?contact=nobody&workflow=pre-arrival", 404, "not-found"),
        ("?contact=dora&workflow=nothing", 404, "not-found"),
        ("?message=999999", 404, "not-found"),
        ("?contact=ugo&message=1&workflow=review-request", 404, "not-found"),
    ],
)
def test_what_is_missing_or_not_there_is_said(lived: Hotel, query: str, status: int, name: str) -> None:
    key = {"Authorization": f"Bearer {lived.loaded.api_key}"}
    problem(lived.client.get(f"/api/v1/why{query}", headers=key), status, name)
