"""Segments in the studio: the rows become rules, mistakes stand beside their row, and what is in use stays."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.audience import catalogue
from app.audience.models import Segment
from app.contacts.models import Contact
from app.enrollments.catalogue import publish
from app.worker import run_due
from tests.studio.stage import ANALYST, HERE, Stage, token

LIST, NEW = f"{HERE}/audience/segments", f"{HERE}/audience/new-segment"
ROWS = {
    "title-en": "Italians who stay long",
    "join-0": "all",
    "block-0": "0",
    "field-0": "contact.language",
    "operator-0": "in",
    "value-0": "it, de",
    "block-1": "1",
    "field-1": "booking.nights",
    "operator-1": ">=",
    "value-1": "2",
    "block-2": "1",
    "field-2": "consent.newsletter",
    "operator-2": "==",
    "value-2": "granted",
    "join-1": "any",
}
SOURCE = """all:
  - contact.language in [it, de]
  - any:
      - booking.nights >= 2
      - consent.newsletter == granted
"""


def send(client: FlaskClient, page: str, given: dict[str, str], **headers: str) -> TestResponse:
    """Send a form of a page."""
    where = page if page != f"{HERE}/audience/count-segment" else NEW
    return client.post(page, data={"csrf_token": token(client, where), **given}, headers=headers)


def made(stage: Stage, owner: FlaskClient, **more: str) -> str:
    """Make the segment of `ROWS` and let it fill; gives its name."""
    answer = send(owner, NEW, {**ROWS, **more, "act": "save"})
    assert answer.status_code == 303, answer.text
    run_due(stage.house)
    return str(answer.location.rsplit("/", 1)[-1])


def test_rows_become_a_segment_that_fills_itself(stage: Stage, owner: FlaskClient) -> None:
    name = made(stage, owner)
    assert name == "italians-who-stay-long"
    with stage.work() as session:
        row = session.scalars(select(Segment)).one()
        assert (row.source, row.members > 0) == (SOURCE, True)
    page = owner.get(f"{LIST}/{name}").text
    assert "Giulia Rossi" in page
    assert "guest&#39;s language is one of" in page
    assert f">{row.members}</td>" in owner.get(LIST).text


def test_the_form_of_a_segment_shows_its_rows_again(stage: Stage, owner: FlaskClient) -> None:
    page = owner.get(f"{LIST}/{made(stage, owner)}/rules").text
    chosen = re.findall(r'<option value="([^"]*)" selected>', page)
    assert chosen == [
        "all",
        "contact.language",
        "in",
        "any",
        "booking.nights",
        "&gt;=",
        "consent.newsletter",
        "==",
        "granted",
    ]
    assert 'value="it, de"' in page


def test_a_mistake_stands_beside_its_row_and_nothing_is_lost(owner: FlaskClient) -> None:
    answer = send(owner, NEW, {**ROWS, "value-1": "many", "act": "save"})
    assert answer.status_code == 422
    row = re.search(r'<div class="rule-row rule-wrong".*?</div>', answer.text, re.DOTALL)
    assert row is not None
    assert 'value="many"' in row[0]
    assert "booking.nights is a number" in row[0]
    assert "write a number, such as 3" in row[0]


def test_text_tells_line_and_column_with_the_nearest_right_name(owner: FlaskClient) -> None:
    source = SOURCE.replace("contact.language", "contact.langage")
    answer = send(owner, NEW, {"title-en": "Mine", "source": source, "act": "save"})
    assert answer.status_code == 422
    assert "Line 2, column 5" in answer.text
    assert "did you mean contact.language?" in answer.text
    assert "contact.langage in" in answer.text


@pytest.mark.parametrize(
    ("act", "fields"),
    [("add:1", ["contact.language", "booking.nights", "consent.newsletter", ""]),
     ("drop:0", ["booking.nights", "consent.newsletter"]),
     ("group", ["contact.language", "booking.nights", "consent.newsletter", ""]),
     ("ungroup:1", ["contact.language"])],
)  # fmt: skip
def test_rows_and_groups_come_and_go_without_a_script(owner: FlaskClient, act: str, fields: list[str]) -> None:
    page = send(owner, NEW, {**ROWS, "act": act}).text
    held = re.findall(r'<select class="form-select" id="field-\d+".*?</select>', page, re.DOTALL)
    assert [(re.findall(r'value="([^"]*)" selected', one) or [""])[0] for one in held] == fields


def test_rows_turn_into_text_and_back(owner: FlaskClient) -> None:
    page = send(owner, NEW, {**ROWS, "act": "text"}).text
    assert SOURCE.replace(">", "&gt;") in page
    assert 'id="field-2"' in send(owner, NEW, {"source": SOURCE, "act": "rows"}).text


def test_the_count_follows_the_form(stage: Stage, owner: FlaskClient) -> None:
    headers = {"HX-Request": "true", "HX-Target": "div#tally"}
    answer = send(owner, f"{HERE}/audience/count-segment", ROWS, **headers)
    with stage.work() as session:
        people = len(session.scalars(select(Contact.id)).all())
    assert answer.status_code == 200, answer.text
    assert answer.text.lstrip().startswith('<div id="tally">'), "only the block is sent"
    assert f"of {people} people" in answer.text
    assert re.search(r"Counted just now in \d+ ms", answer.text)
    wrong = send(owner, f"{HERE}/audience/count-segment", {**ROWS, "value-1": "many"}, **headers)
    assert "cannot be counted yet" in wrong.text


def test_a_page_says_why_a_person_is_in_it(stage: Stage, owner: FlaskClient) -> None:
    name = made(stage, owner)
    (giulia,) = stage.ids(Contact, external_id="giulia")
    (henry,) = stage.ids(Contact, external_id="henry")
    page = owner.get(f"{LIST}/{name}/why/{giulia}").text
    assert "In it" in page
    assert "Looked at with booking RS-1" in page
    assert "nights is at least 2" in page
    assert "Not in it" in owner.get(f"{LIST}/{name}/why/{henry}").text
    found = owner.get(f"{LIST}/{name}?q=henry").text
    assert "Not in it" in found
    italian = stage.signed_in(language="it").get(f"{LIST}/{name}/why/{giulia}").text
    assert "numero di notti è almeno 2" in italian


def test_what_a_workflow_rests_on_can_neither_be_put_away_nor_renamed(stage: Stage, owner: FlaskClient) -> None:
    name = made(stage, owner)
    source = f"""
workflow: welcome-in
name: {{ en: Welcome in, it: Benvenuto }}
phase: retention
class: transactional
entry: [ {{ on: segment.entered, segment: {name} }} ]
steps: [ {{ id: note, set: {{ contact.attributes.seen: true }} }} ]
"""
    with stage.work() as session:
        publish(session, source, by="Marta", now=stage.clock.now())
    answer = owner.post(f"{LIST}/{name}/archive", data={"csrf_token": token(owner, LIST)}, follow_redirects=True)
    assert "This rests on it: welcome-in" in answer.text
    renamed = send(owner, f"{LIST}/{name}/rules", {**ROWS, "name": "other", "act": "save"})
    assert renamed.status_code == 422
    assert "welcome-in" in renamed.text
    with stage.work() as session:
        assert catalogue.names(session) == (name,)


def test_putting_away_empties_it_and_can_be_undone(stage: Stage, owner: FlaskClient) -> None:
    name = made(stage, owner)
    given = {"csrf_token": token(owner, LIST)}
    assert owner.post(f"{LIST}/{name}/archive", data=given).status_code == 303
    assert name not in owner.get(LIST).text.split("toast")[0]
    assert name in owner.get(f"{LIST}?archived=1").text
    assert owner.post(f"{LIST}/{name}/restore", data=given).status_code == 303
    run_due(stage.house)
    assert "Giulia Rossi" in owner.get(f"{LIST}/{name}").text
    history = owner.get(f"{LIST}/{name}/history").text
    assert [word for word in ("It was made", "It was put away", "Taken out again") if word not in history] == []


def test_a_copy_has_the_same_rules(stage: Stage, owner: FlaskClient) -> None:
    name = made(stage, owner)
    answer = owner.post(f"{LIST}/{name}/duplicate", data={"csrf_token": token(owner, LIST)})
    assert answer.location.endswith(f"/{name}-2/rules")
    with stage.work() as session:
        assert catalogue.named(session, f"{name}-2").source == SOURCE


def test_who_may_only_look_sees_no_way_to_change(stage: Stage, owner: FlaskClient) -> None:
    name = made(stage, owner)
    analyst = stage.signed_in(ANALYST)
    page = analyst.get(f"{LIST}/{name}/rules").text
    assert "Save the segment" not in page
    assert analyst.get(NEW).status_code == 403
    assert analyst.post(f"{LIST}/{name}/archive", data={"csrf_token": token(analyst, LIST)}).status_code == 403


def test_another_workspace_has_its_own(stage: Stage, owner: FlaskClient) -> None:
    made(stage, owner)
    with stage.house.database.work(stage.elsewhere_id) as session:
        assert session.scalars(select(Segment)).all() == []
