"""A form over the API: what it says, what it takes, and from whose pages (R4, RFC 9457)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.clock import FixedClock
from app.signup import document as documents
from app.signup import effort, forms
from tests.signup.conftest import SITE, WAY, Kept

API = "/api/v1/forms/" + WAY.rpartition("/")[2]
BODY = {"email": "anna@example.com", "language": "it", "notice": True, "newsletter": "yes", "version": 1}


def send(site: FlaskClient, body: Any = None, origin: str | None = None, **changes: Any) -> TestResponse:
    """Send a submission."""
    headers = {"Origin": origin} if origin else {}
    return site.post(f"{API}/submissions", json={**BODY, **changes} if body is None else body, headers=headers)


def test_a_submission_is_taken_like_one_from_the_page(site: FlaskClient, kept: Kept) -> None:
    answer = send(site, origin=SITE, first_name="Anna", page="https://www.example.com/wifi")
    assert (answer.status_code, answer.get_json()) == (202, {"status": "accepted"})
    (row,) = kept()
    assert (row.address, row.wants, row.topics, row.number) == ("anna@example.com", True, ["newsletter"], 1)
    assert (row.given["origin"], row.given["page"]) == (SITE, "https://www.example.com/wifi")


def test_r3_r12_a_wide_form_says_what_it_asks_and_takes_it_by_name(
    site: FlaskClient, kept: Kept, work: Callable[[], AbstractContextManager[Session]], clock: FixedClock
) -> None:
    with work() as session:
        form = forms.listed(session)[0]
        forms.save(form, replace(documents.read(form.draft), purposes=("open_tracking",), age=True), clock.now())
        forms.publish(session, form, "Marta", clock.now())
    told = site.get(API).get_json()
    assert (told["version"], told["purposes"], told["age"]) == (2, ["open_tracking"], True)
    assert told["texts"]["it"]["open_tracking"].startswith("Sì, potete vedere")
    ticked: dict[str, Any] = {"version": 2, "purposes": ["open_tracking", "profiling"]}
    for changes, pointer in (({}, "/age"), ({"age": "13"}, "/age"), ({"age": "child"}, "/guardian")):
        answer = send(site, **ticked, **changes)
        assert [one["pointer"] for one in answer.get_json()["errors"]] == [pointer]
    assert send(site, **ticked, age="child", guardian=" Bruno  Bianchi ").status_code == 202
    assert send(site, version=2, newsletter="no").status_code == 202, "a no needs nobody's leave"
    first, second = kept()
    assert (first.purposes, first.given["guardian"]) == (["open_tracking"], "Bruno Bianchi"), "what it does not ask for"
    assert (second.purposes, second.given.get("guardian")) == ([], None)


def test_the_form_says_what_is_to_be_drawn(site: FlaskClient) -> None:
    told = site.get(API).get_json()
    assert (told["version"], told["texts"]["it"]["no"]) == (1, "No grazie, non voglio ricevere la newsletter.")
    assert [one["name"] for one in told["topics"]] == ["newsletter"]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"email": "anna@"}, "/email"),
        ({"notice": "true"}, "/notice"),
        ({"newsletter": True}, "/newsletter"),
        ({"newsletter": None}, "/newsletter"),
        ({"version": None}, "/version"),
        ({"version": 7}, "/version"),
        ({"first_name": ["x"]}, "/first_name"),
        ({"topics": "newsletter"}, "/topics"),
        ({"email": "a\x00b@example.com"}, "/email"),
    ],
)
def test_what_does_not_fit_is_a_problem_that_points_at_it(
    site: FlaskClient, kept: Kept, changes: dict[str, Any], pointer: str
) -> None:
    answer = send(site, **changes)
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert [one["pointer"] for one in answer.get_json()["errors"]] == [pointer]
    assert kept() == []


@pytest.mark.parametrize("body", [[], "x", 7])
def test_what_is_no_object_is_refused(site: FlaskClient, body: Any) -> None:
    assert send(site, body).status_code == 422


def test_only_scripts_of_the_forms_own_sites_see_the_answer(site: FlaskClient) -> None:
    for origin, seen in ((SITE, SITE), ("https://evil.example", None), ("null", None), (SITE + ".evil.example", None)):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        before = site.options(f"{API}/submissions", headers=asked)
        assert before.headers.get("Access-Control-Allow-Origin") == seen
        assert before.headers.get("Access-Control-Allow-Headers") == ("Content-Type" if seen else None)
        assert send(site, origin=origin, newsletter="?").headers.get("Access-Control-Allow-Origin") == seen
        assert "Origin" in site.get(API, headers={"Origin": origin}).headers["Vary"]


def test_the_limits_are_the_pages_own(site: FlaskClient) -> None:
    codes = [send(site, email=f"p{number}@example.com").status_code for number in range(effort.UNPROVEN.most + 1)]
    assert codes == [202] * effort.UNPROVEN.most + [429]
    assert int(send(site, email="x@example.com").headers["Retry-After"]) > 0


def test_a_robot_in_the_trap_gets_the_same_answer(site: FlaskClient, kept: Kept) -> None:
    assert send(site, website="x").get_json() == {"status": "accepted"}
    assert kept() == []


def test_a_closed_form_is_not_there(
    site: FlaskClient, work: Callable[[], AbstractContextManager[Session]], clock: FixedClock
) -> None:
    with work() as session:
        forms.close(forms.listed(session)[0], clock.now())
    assert [send(site).status_code, site.get(API).status_code, site.get(f"{API}/challenge").status_code] == [404] * 3
