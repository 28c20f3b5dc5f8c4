"""The hosted form: what a visitor sees, and what a sent form leads to (R4, R6)."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import altcha
import pytest
from flask.testing import FlaskClient
from sqlalchemy import event
from sqlalchemy.orm import Session

from app.clock import FixedClock
from app.db import Database
from app.signup import effort, forms
from app.signup.document import Document
from tests.factories import Factory
from tests.signup.conftest import FILLED, SITE, WAY, Kept


def solved(site: FlaskClient) -> str:
    """The work, done."""
    challenge = altcha.Challenge.from_dict(site.get(f"{WAY}/challenge").get_json())
    solution = altcha.solve_challenge(challenge)
    assert solution is not None
    return altcha.Payload(challenge, solution).to_base64()


def test_r4_nothing_is_ticked_and_the_no_stands_as_large_as_the_yes(site: FlaskClient) -> None:
    page = site.get(WAY, headers={"Accept-Language": "it"}).text
    boxes = re.findall(r"<input type=\"(?:radio|checkbox)\"[^>]*name=\"(newsletter|notice)\"[^>]*>", page)
    assert boxes == ["newsletter", "newsletter", "notice"]
    ticked = re.findall(r"<input[^>]*checked[^>]*>", page)
    assert [re.search(r'name="(\w+)"', one)[1] for one in ticked] == ["language"]  # type: ignore[index]
    assert "No grazie, non voglio ricevere la newsletter." in page
    row = '<label><input type="radio" name="newsletter" value="{}" required> <span>'
    assert all(row.format(one) in page for one in ("yes", "no")), "one row each, alike in everything"


def test_a_page_needs_no_cookie_and_no_script(site: FlaskClient, kept: Kept) -> None:
    answer = site.post(WAY + "?lang=it", data=FILLED | {"first_name": " Anna "}, headers={"User-Agent": "Mozilla"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{WAY}/thanks?lang=it")
    assert "Set-Cookie" not in answer.headers
    (row,) = kept()
    assert (row.address, row.wants, row.topics, row.language, row.number) == (
        *("anna@example.com", True),
        *(["newsletter"], "it", 1),
    )
    assert row.given["first_name"] == "Anna"
    assert (row.given["user_agent"], row.given["page"], row.given["effort"]) == ("Mozilla", WAY, "none")


def test_r4_no_grazie_leads_on_like_a_yes(site: FlaskClient, kept: Kept) -> None:
    answer = site.post(WAY + "?lang=it", data=FILLED | {"newsletter": "no"})
    assert answer.headers["Location"] == f"{WAY}/thanks?lang=it"
    assert [row.wants for row in kept()] == [False]


def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(site: FlaskClient, kept: Kept) -> None:
    answer = site.post(WAY + "?lang=it", data={"email": "anna@", "version": "1", "first_name": "Anna"})
    assert answer.status_code == 422
    for words in ("non è un indirizzo e-mail", "Scelga sì oppure no", "spunti la casella", 'value="anna@"'):
        assert words in answer.text
    assert kept() == []


def test_the_answer_looks_at_nobody(
    site: FlaskClient, db: Database, work: Callable[[], AbstractContextManager[Session]], clock: FixedClock
) -> None:
    """Same answer, same statements: the web process does not ask whether an address is known."""

    def sent(address: str) -> tuple[str, list[str], list[str]]:
        statements: list[str] = []
        told: list[str] = []

        def note(*given: object) -> None:
            if "SAVEPOINT" not in str(given[2]):
                statements.append(str(given[2]))
            if address in str(given[3]):
                told.append(str(given[2])[:30])

        event.listen(db.engine, "before_cursor_execute", note)
        answer = site.post(WAY, data=FILLED | {"email": address})
        event.remove(db.engine, "before_cursor_execute", note)
        return answer.text, statements, told

    with work() as session:
        Factory(session, clock).contact(email="known@example.com")
    known, unknown = sent("known@example.com"), sent("unknown@example.com")
    assert known == unknown
    assert known[2] == ["INSERT INTO signup_submissions"], "the address is written down, and nobody is looked for by it"


def test_a_robot_in_the_trap_is_thanked_and_forgotten(site: FlaskClient, kept: Kept) -> None:
    answer = site.post(WAY + "?lang=en", data=FILLED | {"website": "https://spam.example"})
    assert answer.headers["Location"] == f"{WAY}/thanks?lang=en"
    assert kept() == []


def test_without_the_work_few_pass_and_with_it_many(site: FlaskClient, kept: Kept) -> None:
    for number in range(effort.UNPROVEN.most):
        assert site.post(WAY, data=FILLED | {"email": f"p{number}@example.com"}).status_code == 303
    answer = site.post(WAY, data=FILLED | {"email": "one-more@example.com"})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "one-more@example.com" in answer.text, "what was typed stays"
    assert site.post(WAY, data=FILLED | {"email": "one-more@example.com", "altcha": solved(site)}).status_code == 303
    assert kept()[-1].given["effort"] == "work"


def test_the_work_counts_once_and_for_one_form(site: FlaskClient, kept: Kept) -> None:
    work = solved(site)
    for _ in range(2):
        site.post(WAY, data=FILLED | {"altcha": work})
    site.post(WAY, data=FILLED | {"altcha": "bm90IG91cnM="})
    assert [row.given["effort"] for row in kept()] == ["work", "none", "none"]


def test_one_address_is_not_flooded_from_many_places(site: FlaskClient) -> None:
    codes = []
    for number in range(effort.OF_ADDRESS.most + 1):
        place = {"REMOTE_ADDR": f"203.0.113.{number}"}
        codes.append(site.post(WAY, data=FILLED, environ_overrides=place).status_code)
    assert codes == [303] * effort.OF_ADDRESS.most + [429]


def test_r5_words_of_an_older_version_are_named_and_unknown_ones_shown_anew(
    site: FlaskClient, kept: Kept, work: Callable[[], AbstractContextManager[Session]], clock: FixedClock
) -> None:
    with work() as session:
        form = forms.listed(session)[0]
        forms.save(form, Document(topics=("newsletter", "offers"), notice_version="2026-11"), clock.now())
        assert forms.publish(session, form, "Marta", clock.now()) == 2
    assert site.post(WAY, data=FILLED).status_code == 303
    assert [row.number for row in kept()] == [1]
    assert site.post(WAY, data=FILLED | {"version": "9"}).status_code == 422
    unsaid = site.post(WAY + "?lang=en", data=FILLED | {"version": "2"})
    assert (unsaid.status_code, "Please choose what you would like to read about." in unsaid.text) == (422, True)
    assert site.post(WAY, data=FILLED | {"version": "2", "topic": ["offers"]}).status_code == 303
    assert kept()[-1].topics == ["offers"]


def test_a_closed_form_takes_nothing(
    site: FlaskClient, kept: Kept, work: Callable[[], AbstractContextManager[Session]], clock: FixedClock
) -> None:
    with work() as session:
        forms.close(forms.listed(session)[0], clock.now())
    assert (site.get(WAY).status_code, site.post(WAY, data=FILLED).status_code) == (410, 410)
    assert kept() == []
    assert site.get(f"{WAY}/challenge").status_code == 404


def test_only_the_forms_own_sites_may_frame_it_and_ask_for_work(site: FlaskClient) -> None:
    policy = site.get(WAY + "?embed=1").headers["Content-Security-Policy"]
    assert f"frame-ancestors {SITE}" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    allowed = site.get(f"{WAY}/challenge", headers={"Origin": SITE})
    assert allowed.headers["Access-Control-Allow-Origin"] == SITE
    assert (
        "Access-Control-Allow-Origin"
        not in site.get(f"{WAY}/challenge", headers={"Origin": "https://evil.example"}).headers
    )


def test_a_page_is_small(site: FlaskClient) -> None:
    assert len(site.get(WAY).data) < 12_000


@pytest.mark.parametrize("way", ["/f/nothing", "/f/" + "x" * 60, "/f/%00", "/f/assets/../pages.py", "/f/assets/x.js"])
def test_what_is_not_there_is_not_found(site: FlaskClient, way: str) -> None:
    assert site.get(way).status_code == 404
